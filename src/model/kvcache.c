/* model/kvcache.c - see kvcache.h. */
#include "model/kvcache.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

enum {
    N_ROW = 4096, /* of the tables; a few thousand blocks at most are alive */
    MIN_COPY = 4  /* positions: computing fewer costs no more than copying a block */
};

struct kvcache {
    size_t n_bytes; /* of a block */
    int max_blocks, n_block;
    struct kv_block **all;            /* [max_blocks] */
    struct kv_block *row[N_ROW];      /* by key */
    struct kv_block *parent[N_ROW];   /* by parent */
    struct kv_block *oldest, *newest; /* unused blocks */
    int n_unused;
};

struct kvcache *kvcache_new(size_t n_block_bytes, int max_blocks)
{
    struct kvcache *c = NEW(struct kvcache);
    c->n_bytes = n_block_bytes;
    c->max_blocks = max_blocks;
    c->all = xcalloc((size_t)max_blocks, sizeof *c->all);
    return c;
}

void kvcache_free(struct kvcache *c)
{
    if (!c)
        return;
    for (int i = 0; i < c->n_block; i++) {
        free(c->all[i]->data);
        free(c->all[i]);
    }
    free(c->all);
    free(c);
}

size_t kvcache_bytes(const struct kvcache *c)
{
    return (size_t)c->n_block * c->n_bytes;
}

static struct kv_block **row_of(struct kvcache *c, struct digest key)
{
    return &c->row[key.lo % N_ROW];
}

static void unused_take(struct kvcache *c, struct kv_block *b)
{
    *(b->older ? &b->older->newer : &c->oldest) = b->newer;
    *(b->newer ? &b->newer->older : &c->newest) = b->older;
    b->older = b->newer = NULL;
    c->n_unused--;
}

static void unused_add(struct kvcache *c, struct kv_block *b)
{
    b->older = c->newest;
    b->newer = NULL;
    *(c->newest ? &c->newest->newer : &c->oldest) = b;
    c->newest = b;
    c->n_unused++;
}

static void forget(struct kvcache *c, struct kv_block *b)
{
    if (!b->known)
        return;
    struct kv_block **at = row_of(c, b->key);
    while (*at != b)
        at = &(*at)->chain;
    *at = b->chain;
    at = &c->parent[b->parent.lo % N_ROW];
    while (*at != b)
        at = &(*at)->sibling;
    *at = b->sibling;
    b->known = false;
}

static void learn(struct kvcache *c, struct kv_block *b, struct digest key, struct digest parent,
                  const uint32_t *tok)
{
    b->key = key;
    b->parent = parent;
    memcpy(b->tok, tok, sizeof b->tok);
    b->chain = *row_of(c, key);
    *row_of(c, key) = b;
    b->sibling = c->parent[parent.lo % N_ROW];
    c->parent[parent.lo % N_ROW] = b;
    b->known = true;
}

/* The block after the same tokens that agrees with tok [n] for longest, in *n_same positions; or
 * NULL. */
static const struct kv_block *nearest(const struct kvcache *c, struct digest parent,
                                      const uint32_t *tok, int n, int *n_same)
{
    const struct kv_block *best = NULL;
    *n_same = 0;
    for (const struct kv_block *b = c->parent[parent.lo % N_ROW]; b; b = b->sibling) {
        int same = 0;
        while (same < n && same < b->n_filled && b->tok[same] == tok[same])
            same++;
        if (same > *n_same && digest_cmp(b->parent, parent) == 0) {
            *n_same = same;
            best = b;
        }
    }
    return best;
}

static struct kv_block *take_new(struct kvcache *c)
{
    struct kv_block *b;
    if (c->n_block < c->max_blocks) {
        b = NEW(struct kv_block);
        b->data = xaligned(c->n_bytes);
        c->all[c->n_block++] = b;
    } else {
        b = c->oldest;
        unused_take(c, b);
        forget(c, b);
    }
    b->n_user = 1;
    b->n_filled = 0;
    return b;
}

/* What another block has computed of the same beginning goes into b; how many positions. */
static int copy_nearest(struct kvcache *c, struct kv_block *b, struct digest parent,
                        const uint32_t *tok, int n)
{
    int n_same;
    const struct kv_block *from = nearest(c, parent, tok, n < KV_BLOCK ? n : KV_BLOCK, &n_same);
    if (!from || n_same < MIN_COPY)
        return 0;
    memcpy(b->data, from->data, c->n_bytes);
    b->n_filled = n_same;
    return n_same;
}

static struct kv_block *take_known(struct kvcache *c, struct digest key)
{
    struct kv_block *b = *row_of(c, key);
    while (b && digest_cmp(b->key, key) != 0)
        b = b->chain;
    if (b && b->n_user++ == 0)
        unused_take(c, b);
    return b;
}

static void put_back(struct kvcache *c, struct kv_block *b)
{
    assert(b->n_user > 0);
    if (--b->n_user > 0)
        return;
    if (b->n_filled < KV_BLOCK)
        forget(c, b); /* given up half-way, or past the prompt */
    unused_add(c, b);
}

bool kv_seq_open(struct kvcache *c, struct kv_seq *s, const uint32_t *tok, int n_prompt, int n_pos,
                 int *n_have)
{
    int n = (n_pos + KV_BLOCK - 1) / KV_BLOCK;
    *s = (struct kv_seq){ .block = xcalloc((size_t)n, sizeof *s->block),
                          .data = xcalloc((size_t)n, sizeof *s->data) };
    struct hasher *h = hasher_new();
    struct digest parent = hasher_digest(h), key = parent;
    bool sharing = true;
    *n_have = 0;
    for (int i = 0; i < n; i++, parent = key) {
        struct kv_block *b = NULL;
        bool prompt = (i + 1) * KV_BLOCK < n_prompt; /* the last token is always computed */
        if (prompt) {
            hasher_add(h, tok + i * KV_BLOCK, KV_BLOCK * sizeof *tok);
            key = hasher_digest(h);
            if (sharing)
                b = take_known(c, key);
        }
        if (b) {
            s->n_shared = i + 1;
            *n_have = s->n_shared * KV_BLOCK;
        } else {
            if (c->n_block == c->max_blocks && c->n_unused == 0) {
                hasher_free(h);
                kv_seq_close(c, s);
                return false;
            }
            b = take_new(c);
            if (sharing)
                *n_have +=
                    copy_nearest(c, b, parent, tok + i * KV_BLOCK, n_prompt - 1 - i * KV_BLOCK);
            if (prompt)
                learn(c, b, key, parent, tok + i * KV_BLOCK);
            sharing = false;
        }
        s->block[i] = b;
        s->data[i] = b->data;
        s->n_block = i + 1;
    }
    hasher_free(h);
    return true;
}

void kv_seq_close(struct kvcache *c, struct kv_seq *s)
{
    for (int i = s->n_block - 1; i >= 0; i--)
        put_back(c, s->block[i]);
    free(s->block);
    free(s->data);
    *s = (struct kv_seq){ 0 };
}

bool kv_seq_ready(const struct kv_seq *s, int pos)
{
    int last = pos / KV_BLOCK < s->n_shared ? pos / KV_BLOCK : s->n_shared;
    for (int i = 0; i < last; i++)
        if (s->block[i]->n_filled < KV_BLOCK)
            return false;
    return true;
}

void kv_seq_fill(struct kv_seq *s, int pos)
{
    struct kv_block *b = s->block[pos / KV_BLOCK];
    assert(pos / KV_BLOCK >= s->n_shared && pos % KV_BLOCK == b->n_filled);
    b->n_filled++;
}
