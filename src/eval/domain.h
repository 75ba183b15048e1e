/*
 * eval/domain.h - a held-out domain as fixed windows of tokens.
 *
 * Which text is scored depends on the documents and the limit alone, not on seed, arm or model:
 * documents are visited in a fixed shuffled order, each giving at most an eighth of the limit at a
 * visit (one long document must not stand for its domain), until the limit is reached or all is
 * used. The pieces are packed back to back behind end-of-document tokens and cut into windows of
 * seq_len + 1 tokens, each beginning with the last token of the one before, so that every token of
 * text is scored once. The last window is padded; padding and end-of-document tokens are not
 * scored.
 *
 *     st = eval_domain_shard(&d, "books", "tokens/domain-books", tok, 256, 60000, err);
 *     ...
 *     eval_domain_release(&d);
 *
 * Threads: read-only after building.
 */
#ifndef MIXLAW_EVAL_DOMAIN_H
#define MIXLAW_EVAL_DOMAIN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/json.h"
#include "tok/tok.h"

enum { EVAL_MAX_BYTES = 60000 }; /* of a domain, unless told otherwise */

struct eval_domain {
    char *name;
    int seq_len;
    size_t n_window;
    uint32_t *tok;     /* [n_window, seq_len + 1] */
    uint16_t *n_bytes; /* [n_window, seq_len]: bytes of each target token; 0: not scored */
    uint64_t n_tok_scored, n_bytes_scored;
};
void eval_domain_release(struct eval_domain *d);

/* From token files. max_bytes 0: all of it. ST_USAGE: encoded with another tokenizer.
 * ST_UNSUPPORTED: the tokenizer normalizes, so that its tokens' bytes are not the text's.
 * ST_FORMAT: no text in it, or damaged. Without a manifest the tokenizer cannot be checked, which
 * is said once. */
MUST_USE enum st eval_domain_shard(struct eval_domain *d, const char *name, const char *prefix,
                                   const struct tok *tok, int seq_len, uint64_t max_bytes,
                                   struct err *err);

/* From texts: add documents, then finish. Equal documents give the windows that token files give.
 */
struct eval_texts;
struct eval_texts *eval_texts_new(const struct tok *tok);
/* False when EVAL_MAX_TEXT bytes were reached and this document is left out. */
enum { EVAL_MAX_TEXT = 256 << 20 };
bool eval_texts_add(struct eval_texts *t, const char *text, size_t n_bytes);
MUST_USE enum st eval_texts_domain(const struct eval_texts *t, struct eval_domain *d,
                                   const char *name, int seq_len, uint64_t max_bytes,
                                   struct err *err);
void eval_texts_free(struct eval_texts *t); /* NULL is fine */

/* Cuts the same text anew, into windows of the same length that begin every `stride` tokens, 1 <=
 * stride <= seq_len: a window after the first scores its last `stride` tokens only, so each has at
 * least seq_len - stride before it. */
void eval_domain_stride(struct eval_domain *d, int stride);

/* ST_USAGE unless the token files' manifest names this tokenizer. */
MUST_USE enum st eval_check_tokenizer(const struct js *manifest, const char *prefix,
                                      const struct tok *tok, struct err *err);

#endif
