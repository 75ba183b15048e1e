/*
 * data/shard.h - token files: Megatron's PREFIX.bin and PREFIX.idx, with our PREFIX.json beside
 * them.
 *
 * PREFIX.json is the manifest: tokenizer digest, vocabulary size, end-of-document id, documents,
 * tokens, bytes of text, provenance. Every document ends with the end-of-document token, inside its
 * sequence. Readers map the files; any Megatron-style trainer reads them as they are.
 * Layout: Megatron-LM's indexed dataset, version 1.
 *
 * Threads: a shard is read-only and may be shared; a writer belongs to one thread.
 */
#ifndef MIXLAW_DATA_SHARD_H
#define MIXLAW_DATA_SHARD_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/hash.h"
#include "base/json.h"

struct shard;
/* Checks all of .idx; prefix may end in .bin or .idx. */
MUST_USE enum st shard_open(struct shard **out, const char *prefix, struct err *err);
void shard_close(struct shard *s); /* NULL is fine */
const char *shard_prefix(const struct shard *s);
size_t shard_n_docs(const struct shard *s);
uint64_t shard_n_tok(const struct shard *s);
uint64_t shard_n_bytes(const struct shard *s);           /* bytes of text; 0 when unknown */
int shard_vocab_size(const struct shard *s);             /* 0 when unknown */
int64_t shard_eod(const struct shard *s);                /* -1 when unknown */
size_t shard_doc_len(const struct shard *s, size_t doc); /* tokens, end-of-document included */
/* Copies n tokens of a document from position `at`; both within the document. */
void shard_copy(const struct shard *s, size_t doc, size_t at, size_t n, uint32_t *out);
/* The same over the whole of .bin: a document begins at token shard_doc_at (doc up to n_docs). */
uint64_t shard_doc_at(const struct shard *s, size_t doc);
void shard_copy_at(const struct shard *s, uint64_t at, size_t n, uint32_t *out);
int shard_width(const struct shard *s);       /* bytes a token in the file */
uint32_t shard_max_id(const struct shard *s); /* reads all of .bin; 0 when empty */
/* Of n ids that shard_copy_at gave for `at`: ST_FORMAT names the first that is not below
 * vocab_size, and its byte. */
MUST_USE enum st shard_check_copied(const struct shard *s, uint64_t at, const uint32_t *id,
                                    size_t n, uint32_t vocab_size, struct err *err);
/* The same of all of .bin, which it reads. */
MUST_USE enum st shard_check_ids(const struct shard *s, uint32_t vocab_size, struct err *err);
const struct js *shard_manifest(const struct shard *s); /* NULL when there is no PREFIX.json */

struct shard_writer;
/* vocab_size decides the width: 16 bits below 65,500, else 32. */
MUST_USE enum st shard_writer_open(struct shard_writer **out, const char *prefix, int vocab_size,
                                   struct err *err);
void shard_writer_eod(struct shard_writer *w, int64_t eod); /* for the manifest; -1: unknown */
/* One document, its end-of-document token included; n_bytes of text. ST_FORMAT: an id too large. */
MUST_USE enum st shard_write(struct shard_writer *w, const uint32_t *tok, size_t n_tok,
                             size_t n_bytes, struct err *err);
/* Writes .idx and the manifest (takes extra: more members for it, may be NULL), then all three
 * appear, the manifest last. */
MUST_USE enum st shard_writer_commit(struct shard_writer *w, struct js *extra, struct err *err);
void shard_writer_close(struct shard_writer *w); /* NULL is fine */

#endif
