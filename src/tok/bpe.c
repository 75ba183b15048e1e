/* tok/bpe.c - see bpe.h. */
#include "tok/bpe.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

enum { SHORT_WORD = 40 }; /* bytes; beyond it the heap is faster */

static uint64_t pair_of(uint32_t left, uint32_t right)
{
    return (uint64_t)left << 32 | right;
}

static uint64_t pair_hash(uint64_t pair)
{
    pair *= 0x9E3779B97F4A7C15u;
    return pair ^ pair >> 32;
}

static const struct merge_slot *find(const struct merges *m, uint32_t left, uint32_t right)
{
    uint64_t pair = pair_of(left, right);
    for (uint64_t i = pair_hash(pair) & m->mask;; i = (i + 1) & m->mask) {
        const struct merge_slot *s = &m->slot[i];
        if (s->rank == NO_TOKEN)
            return NULL;
        if (s->pair == pair)
            return s;
    }
}

static void place(struct merges *m, uint64_t pair, uint32_t rank, uint32_t id)
{
    uint64_t i = pair_hash(pair) & m->mask;
    while (m->slot[i].rank != NO_TOKEN && m->slot[i].pair != pair)
        i = (i + 1) & m->mask;
    m->slot[i] = (struct merge_slot){ pair, rank, id };
}

static void grow(struct merges *m)
{
    uint64_t n_slot = m->slot ? 2 * (m->mask + 1) : 1024;
    free(m->slot);
    m->slot = xmalloc(n_slot * sizeof *m->slot);
    m->mask = n_slot - 1;
    for (uint64_t i = 0; i < n_slot; i++)
        m->slot[i].rank = NO_TOKEN;
    for (size_t r = 0; r < m->n; r++)
        place(m, pair_of(m->merge[r].left, m->merge[r].right), (uint32_t)r, m->merge[r].id);
}

void merges_add(struct merges *m, uint32_t left, uint32_t right, uint32_t id)
{
    if (!m->slot || 3 * m->n > m->mask)
        grow(m);
    GROW(m->merge, m->n, m->cap);
    m->merge[m->n] = (struct merge){ left, right, id };
    place(m, pair_of(left, right), (uint32_t)m->n, id);
    m->n++;
}

void merges_release(struct merges *m)
{
    free(m->merge);
    free(m->slot);
    *m = (struct merges){ 0 };
}

void bpe_scratch_release(struct bpe_scratch *s)
{
    free(s->sym);
    free(s->prev);
    free(s->next);
    free(s->heap);
    *s = (struct bpe_scratch){ 0 };
}

static size_t short_word(const struct merges *m, const uint8_t *word, size_t n, uint32_t *sym)
{
    const struct merge_slot *pair[SHORT_WORD];
    for (size_t i = 0; i < n; i++)
        sym[i] = m->byte_id[word[i]];
    for (size_t i = 0; i + 1 < n; i++)
        pair[i] = find(m, sym[i], sym[i + 1]);
    for (;;) {
        uint32_t best = NO_TOKEN;
        size_t at = 0;
        for (size_t i = 0; i + 1 < n; i++)
            if (pair[i] && pair[i]->rank < best) {
                best = pair[i]->rank;
                at = i;
            }
        if (best == NO_TOKEN)
            return n;
        sym[at] = pair[at]->id;
        n--;
        memmove(sym + at + 1, sym + at + 2, (n - at - 1) * sizeof *sym);
        if (at + 1 < n) {
            memmove(pair + at + 1, pair + at + 2, (n - at - 2) * sizeof *pair);
            pair[at] = find(m, sym[at], sym[at + 1]);
        }
        if (at > 0)
            pair[at - 1] = find(m, sym[at - 1], sym[at]);
    }
}

/* A heap of rank << 32 | position: the smallest is the next merge. Entries that a neighbour's merge
 * has overtaken are recognised when they come up. */
static void sift_down(uint64_t *heap, size_t n, size_t i)
{
    uint64_t v = heap[i];
    for (size_t child; (child = 2 * i + 1) < n; i = child) {
        if (child + 1 < n && heap[child + 1] < heap[child])
            child++;
        if (v <= heap[child])
            break;
        heap[i] = heap[child];
    }
    heap[i] = v;
}

static void push(struct bpe_scratch *s, size_t *n, uint64_t v)
{
    GROW(s->heap, *n, s->heap_cap);
    size_t i = (*n)++;
    for (; i > 0 && s->heap[(i - 1) / 2] > v; i = (i - 1) / 2)
        s->heap[i] = s->heap[(i - 1) / 2];
    s->heap[i] = v;
}

static void scratch_fit(struct bpe_scratch *s, size_t n)
{
    if (s->cap >= n)
        return;
    s->sym = xrealloc(s->sym, n, sizeof *s->sym);
    s->prev = xrealloc(s->prev, n, sizeof *s->prev);
    s->next = xrealloc(s->next, n, sizeof *s->next);
    s->cap = n;
}

static size_t long_word(const struct merges *m, struct bpe_scratch *s, const uint8_t *word,
                        size_t n, uint32_t *ids)
{
    const uint32_t none = UINT32_MAX; /* no neighbour; as a symbol: merged away */
    scratch_fit(s, n);
    for (size_t i = 0; i < n; i++) {
        s->sym[i] = m->byte_id[word[i]];
        s->prev[i] = i ? (uint32_t)i - 1 : none;
        s->next[i] = i + 1 < n ? (uint32_t)i + 1 : none;
    }
    size_t n_heap = 0;
    for (size_t i = 0; i + 1 < n; i++) {
        const struct merge_slot *p = find(m, s->sym[i], s->sym[i + 1]);
        if (p) {
            GROW(s->heap, n_heap, s->heap_cap);
            s->heap[n_heap++] = (uint64_t)p->rank << 32 | i;
        }
    }
    for (size_t i = n_heap / 2; i-- > 0;)
        sift_down(s->heap, n_heap, i);

    while (n_heap > 0) {
        uint64_t top = s->heap[0];
        s->heap[0] = s->heap[--n_heap];
        if (n_heap)
            sift_down(s->heap, n_heap, 0);
        uint32_t at = (uint32_t)top, rank = (uint32_t)(top >> 32);
        if (s->sym[at] == NO_TOKEN || s->next[at] == none)
            continue;
        uint32_t right = s->next[at];
        const struct merge_slot *p = find(m, s->sym[at], s->sym[right]);
        if (!p || p->rank != rank)
            continue;
        s->sym[at] = p->id;
        s->sym[right] = NO_TOKEN;
        s->next[at] = s->next[right];
        if (s->next[at] != none) {
            s->prev[s->next[at]] = at;
            p = find(m, s->sym[at], s->sym[s->next[at]]);
            if (p)
                push(s, &n_heap, (uint64_t)p->rank << 32 | at);
        }
        if (s->prev[at] != none) {
            p = find(m, s->sym[s->prev[at]], s->sym[at]);
            if (p)
                push(s, &n_heap, (uint64_t)p->rank << 32 | s->prev[at]);
        }
    }
    size_t n_id = 0;
    for (uint32_t i = 0; i != none; i = s->next[i])
        ids[n_id++] = s->sym[i];
    return n_id;
}

size_t bpe_word(const struct merges *m, struct bpe_scratch *s, const uint8_t *word, size_t n_bytes,
                uint32_t *ids)
{
    assert(n_bytes > 0 && n_bytes <= BPE_MAX_WORD);
    if (!m->slot) { /* a vocabulary of bytes alone */
        for (size_t i = 0; i < n_bytes; i++)
            ids[i] = m->byte_id[word[i]];
        return n_bytes;
    }
    return n_bytes <= SHORT_WORD ? short_word(m, word, n_bytes, ids)
                                 : long_word(m, s, word, n_bytes, ids);
}
