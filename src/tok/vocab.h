/*
 * tok/vocab.h - inside a struct tok; for tok/ only.
 *
 * Built in three steps: vocab_new, vocab_add for each token and vocab_merge for each merge in order
 * of rank, vocab_finish. The hash tables map (left, right) to rank and product, and a word's bytes
 * to its id.
 */
#ifndef MIXLAW_TOK_VOCAB_H
#define MIXLAW_TOK_VOCAB_H

#include <stdbool.h>

#include "tok/bpe.h"
#include "tok/split.h"
#include "tok/tok.h"

enum {
    TOK_MAX_VOCAB = 1 << 21,       /* ids */
    TOK_MAX_TOKEN_BYTES = 1 << 16, /* of one token */
    TOK_MAX_WHOLE = 1 << 14,       /* added tokens: they are compared one by one */
    TOK_MAX_FILE_MIB = 512
};

enum token_kind {
    TOKEN_ABSENT, /* a hole in the ids */
    TOKEN_TEXT,   /* reached by merging */
    TOKEN_UNUSED, /* never produced; spelled as in its file */
    TOKEN_ADDED,  /* matched as a whole in any text */
    TOKEN_SPECIAL /* matched as a whole only where asked for */
};

struct token {
    uint64_t at; /* of its bytes in the blob */
    uint32_t n_bytes;
    uint8_t kind;
};

struct word_slot { /* id NO_TOKEN: free */
    uint32_t hash, id;
};

struct tok {
    enum splitter splitter;
    bool lacks_bytes;   /* some byte has no token: it is left out of words, as elsewhere */
    bool ignore_merges; /* a word that is a token needs no merging (Llama 3) */
    bool nfc;           /* text is brought to NFC before it is split (Qwen2) */
    struct strbuf blob;
    struct token *token; /* [vocab_size] */
    uint32_t vocab_size, cap;
    struct word_slot *word; /* tokens of text by their bytes */
    uint32_t word_mask;
    struct merges merges;
    uint32_t *whole; /* added and special ids, longest spelling first */
    size_t n_whole;
    bool has_added;
    uint8_t whole_first[256]; /* some spelling begins with the byte */
    int64_t eod;
    struct digest digest;
    struct encoder_pool *encoders;
};

struct tok *vocab_new(enum splitter splitter, bool ignore_merges, bool nfc);
/* Errors: ST_FORMAT an id twice, ST_LIMIT beyond the maxima. kind: not TOKEN_ABSENT. */
MUST_USE enum st vocab_add(struct tok *t, uint64_t id, enum token_kind kind, const void *bytes,
                           size_t n_bytes, struct err *err);
/* An id that is there already becomes a whole token; its spelling must be the same. */
MUST_USE enum st vocab_add_whole(struct tok *t, uint64_t id, enum token_kind kind,
                                 const char *spelling, size_t n_bytes, struct err *err);
/* Indexes the words and finds the bytes. After all tokens, before the merges. */
MUST_USE enum st vocab_index(struct tok *t, struct err *err);
void vocab_index_one(struct tok *t, uint32_t id); /* of a token added later; not there yet */
MUST_USE enum st vocab_merge(struct tok *t, uint32_t left, uint32_t right, struct err *err);
void vocab_finish(struct tok *t); /* end-of-document id, digest */

/* Id of the token of text with these bytes, or NO_TOKEN. */
uint32_t vocab_find(const struct tok *t, const void *bytes, size_t n_bytes);

/* A token as files spell it: text in symbols (tok/bytemap.h), whole tokens as they are; valid until
 * b changes. */
struct bytemap;
const char *token_symbols(const struct tok *t, const struct bytemap *map, uint32_t id,
                          struct strbuf *b);

static inline const char *token_bytes(const struct tok *t, uint32_t id)
{
    return t->blob.s + t->token[id].at;
}

#endif
