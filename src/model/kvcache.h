/*
 * model/kvcache.h - keys and values in blocks of 32 positions that sequences share.
 *
 * A full block of prompt tokens is known by the digest of all tokens up to its end: a sequence
 * whose prompt begins alike takes the same block instead of computing it. Blocks are counted by
 * users; one that nobody uses any more stays findable until its memory is needed (least recently
 * used first).
 *
 * Where blocks part ways inside, what they have in common is copied: prompts made from one template
 * share its first words, however few. Whoever finds no block makes one and fills it. Others may
 * take it before it is full, and must then not compute past `n_filled` (see kv_seq_ready).
 *
 * Threads: one at a time.
 */
#ifndef MIXLAW_MODEL_KVCACHE_H
#define MIXLAW_MODEL_KVCACHE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/hash.h"

enum { KV_BLOCK = 32 }; /* positions */

struct kv_block {
    uint8_t *data; /* all layers and heads; see backend/cpu/decode.h */
    int n_user, n_filled;
    bool known;                /* in both tables */
    struct digest key, parent; /* of all tokens to its end, and to its beginning */
    uint32_t tok[KV_BLOCK];
    struct kv_block *chain;         /* in its row of the table of keys */
    struct kv_block *sibling;       /* in its row of the table of parents */
    struct kv_block *older, *newer; /* among the unused */
};

struct kv_seq {
    struct kv_block **block;
    uint8_t **data; /* block[i]->data, as the kernels want it */
    int n_block;
    int n_shared; /* of them taken over at the beginning, not to be written */
};

struct kvcache;
struct kvcache *kvcache_new(size_t n_block_bytes, int max_blocks);
void kvcache_free(struct kvcache *c);          /* NULL is fine */
size_t kvcache_bytes(const struct kvcache *c); /* of all blocks made so far, used or not */

/* Blocks for n_pos positions. The first n_prompt - 1 tokens may come from others: *n_have says how
 * many positions need no computing here. False: no room now, nothing taken. */
bool kv_seq_open(struct kvcache *c, struct kv_seq *s, const uint32_t *tok, int n_prompt, int n_pos,
                 int *n_have);
void kv_seq_close(struct kvcache *c, struct kv_seq *s);

/* Are all positions before pos computed, or computed in this very step by their owner? */
bool kv_seq_ready(const struct kv_seq *s, int pos);
/* Position pos will be written in this step. */
void kv_seq_fill(struct kv_seq *s, int pos);

#endif
