/*
 * tok/tok.h - byte-level BPE: train, load, encode, decode.
 *
 * Text is split by the GPT-2 pattern with every digit alone (the splitter of SmolLM2, in Hugging
 * Face terms Sequence[Digits(individual), ByteLevel(no prefix space)]), its bytes are mapped to
 * symbols and merged by rank. Any byte string encodes and decodes back to itself, unless a loaded
 * vocabulary lacks some bytes (SmolLM2's lacks control characters): those are left out, as
 * elsewhere; or its tokenizer brings text to NFC first (Qwen2's does): then the text in NFC comes
 * back.
 *
 *     st = tok_load(&tk, "tokenizer.json", err);         or tok_from_gguf
 *     size_t n = tok_encode(tk, text, n_bytes, ids);     ids: room for tok_room
 *
 * Threads: a struct tok is read-only after loading and may be shared.
 */
#ifndef MIXLAW_TOK_TOK_H
#define MIXLAW_TOK_TOK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/hash.h"
#include "base/str.h"

struct tok;
struct gguf;
struct gguf_writer;

MUST_USE enum st tok_load(struct tok **out, const char *path,
                          struct err *err); /* Hugging Face tokenizer.json */
/* Either, told apart by content: tokenizer.json, a folder that holds one, or a GGUF file. */
MUST_USE enum st tok_open(struct tok **out, const char *path, struct err *err);
MUST_USE enum st tok_from_gguf(struct tok **out, const struct gguf *g, struct err *err);
/* The vocabulary as keys of a GGUF file for a model of n_vocab tokens; ids beyond the tokenizer's
 * become unused tokens. Which ids begin and end a text is for the caller to say. ST_UNSUPPORTED:
 * llama.cpp has no name for this way of making tokens. */
MUST_USE enum st tok_to_gguf(const struct tok *t, struct gguf_writer *w, int n_vocab,
                             struct err *err);
void tok_free(struct tok *t); /* NULL is fine */
MUST_USE enum st tok_save(const struct tok *t, const char *path, struct err *err);

/* The most ids that n_bytes of text become: n_bytes, and more where NFC may lengthen the text. */
size_t tok_room(const struct tok *t, size_t n_bytes);
/* Plain text to ids, without a beginning-of-text token; special tokens' spellings in text are
 * ordinary text. Returns how many, at most tok_room. */
size_t tok_encode(const struct tok *t, const char *text, size_t n_bytes, uint32_t *ids);
/* As tok_encode, but special tokens' spellings (<|im_start|>) become their ids: for prompts we
 * wrote. */
size_t tok_encode_special(const struct tok *t, const char *text, size_t n_bytes, uint32_t *ids);
/* Appends the raw bytes; special tokens and ids that do not exist stand for none. */
void tok_decode(const struct tok *t, const uint32_t *ids, size_t n, struct strbuf *out);
/* Bytes of any token, special ones included, not terminated; NULL when there is no such id. */
const char *tok_spelling(const struct tok *t, uint32_t id, size_t *n_bytes);

int tok_vocab_size(const struct tok *t);
size_t tok_n_merges(const struct tok *t);
/* Text is brought to NFC before it is split: its tokens' bytes are not always those that were
 * given. */
bool tok_normalizes(const struct tok *t);
/* For those who count a text's bytes by its tokens: ST_UNSUPPORTED when the tokenizer normalizes.
 */
MUST_USE enum st tok_check_bytes(const struct tok *t, struct err *err);
int64_t tok_eod(const struct tok *t); /* end-of-document id, -1 when there is none */
int64_t tok_id(const struct tok *t, const char *special); /* of a special token by spelling, -1 */
size_t tok_n_bytes(const struct tok *t,
                   uint32_t id); /* bytes of text the token stands for; 0 for special ones */
/* How many of a text's n tokens begin within its first n_bytes. */
size_t tok_n_within(const struct tok *t, const uint32_t *ids, size_t n, size_t n_bytes);
struct digest tok_digest(const struct tok *t); /* of vocabulary, merges and splitter */

/* Trains: feed texts, then finish. vocab_size counts 256 bytes, merges and the end-of-document
 * token. */
struct tok_trainer;
struct tok_trainer *tok_trainer_new(void);
void tok_trainer_add(struct tok_trainer *tr, const char *text, size_t n_bytes);
MUST_USE enum st tok_trainer_finish(struct tok_trainer *tr, int vocab_size, struct tok **out,
                                    struct err *err);
void tok_trainer_free(struct tok_trainer *tr);

#endif
