/*
 * tok/trainer.c - learning merges: always the most frequent pair of neighbours, inside words.
 *
 * Words are counted in a hash table. Their distinct spellings, one after the other with a
 * separator, are the text that is merged: a symbol stands at the position of its first byte, its
 * length is its token's, and the position of its last byte points back to its first, so both
 * neighbours are found without a list. Each pair has its count and the positions where it was once;
 * a merge visits those, skips what is gone and adds the pairs it makes. Costs follow the
 * occurrences, whatever the length of a word.
 *
 * Equal counts: the pair with the smaller left id, then the smaller right id, as the tokenizers
 * library does; ids are the special token, the bytes in the order of their symbols, then products.
 * Counts are sums, so neither the order of texts nor of words matters.
 */
#include "tok/vocab.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "tok/bytemap.h"

static const char end_of_text[] = "<|endoftext|>";

struct word { /* n_bytes 0: free */
    uint64_t hash, count, at;
    uint32_t n_bytes;
};

struct tok_trainer {
    struct strbuf blob; /* distinct words, one after the other */
    struct word *word;
    uint64_t mask, n_word;
};

struct tok_trainer *tok_trainer_new(void)
{
    struct tok_trainer *tr = NEW(struct tok_trainer);
    tr->mask = (1 << 12) - 1;
    tr->word = NEW_ARRAY(struct word, tr->mask + 1);
    return tr;
}

void tok_trainer_free(struct tok_trainer *tr)
{
    if (!tr)
        return;
    str_release(&tr->blob);
    free(tr->word);
    free(tr);
}

static void grow_words(struct tok_trainer *tr)
{
    uint64_t mask = 2 * tr->mask + 1;
    struct word *bigger = NEW_ARRAY(struct word, mask + 1);
    for (uint64_t i = 0; i <= tr->mask; i++) {
        if (!tr->word[i].n_bytes)
            continue;
        uint64_t k = tr->word[i].hash & mask;
        while (bigger[k].n_bytes)
            k = (k + 1) & mask;
        bigger[k] = tr->word[i];
    }
    free(tr->word);
    tr->word = bigger;
    tr->mask = mask;
}

static void count_word(struct tok_trainer *tr, const uint8_t *bytes, size_t n)
{
    uint64_t hash = hash64(bytes, n, 0);
    struct word *w;
    for (uint64_t i = hash & tr->mask;; i = (i + 1) & tr->mask) {
        w = &tr->word[i];
        if (!w->n_bytes)
            break;
        if (w->hash == hash && w->n_bytes == n && memcmp(tr->blob.s + w->at, bytes, n) == 0) {
            w->count++;
            return;
        }
    }
    *w = (struct word){ hash, 1, tr->blob.n, (uint32_t)n };
    str_add(&tr->blob, bytes, n);
    if (++tr->n_word > tr->mask / 2)
        grow_words(tr);
}

void tok_trainer_add(struct tok_trainer *tr, const char *text, size_t n_bytes)
{
    const uint8_t *p = (const uint8_t *)text, *end = p + n_bytes;
    for (size_t n; p < end; p += n) {
        n = split_next(SPLIT_SMOLLM, p, end);
        if (n > BPE_MAX_WORD)
            n = BPE_MAX_WORD;
        count_word(tr, p, n);
    }
}

struct pair {
    uint64_t key; /* left << 32 | right */
    int64_t count;
    uint32_t *at, n_at, cap_at; /* positions where it was once */
    bool fresh;                 /* in the list of those that gained positions */
    bool merged; /* it has a rank; it may come back when another merge makes one of its halves */
};

struct heap_entry {
    int64_t count; /* when it was pushed: never below the pair's count now */
    uint64_t key;
    uint32_t pair;
};

struct merger {
    struct tok *t;
    uint32_t n_pos;
    uint32_t *sym;   /* [n_pos] token at its first byte; NO_TOKEN: inside one, or a separator */
    uint32_t *first; /* [n_pos] at a symbol's last byte: its position; at a separator: 0 */
    uint32_t *word;  /* [n_pos] which word, for its weight */
    uint64_t *weight;
    struct pair *pair;
    size_t n_pair, cap_pair;
    uint32_t *slot; /* pairs by key; NO_TOKEN: free */
    uint64_t slot_mask;
    struct heap_entry *heap;
    size_t n_heap, cap_heap;
    uint32_t *fresh; /* pairs that gained positions in this merge */
    size_t n_fresh, cap_fresh;
};

static void merger_release(struct merger *m)
{
    for (size_t i = 0; i < m->n_pair; i++)
        free(m->pair[i].at);
    free(m->sym);
    free(m->first);
    free(m->word);
    free(m->weight);
    free(m->pair);
    free(m->slot);
    free(m->heap);
    free(m->fresh);
}

static uint64_t key_slot(const struct merger *m, uint64_t key)
{
    uint64_t h = key * 0x9E3779B97F4A7C15u;
    return (h ^ h >> 32) & m->slot_mask;
}

static void grow_slots(struct merger *m)
{
    uint64_t n = m->slot ? 2 * (m->slot_mask + 1) : 1 << 16;
    free(m->slot);
    m->slot = xmalloc(n * sizeof *m->slot);
    m->slot_mask = n - 1;
    for (uint64_t i = 0; i < n; i++)
        m->slot[i] = NO_TOKEN;
    for (size_t p = 0; p < m->n_pair; p++) {
        uint64_t i = key_slot(m, m->pair[p].key);
        while (m->slot[i] != NO_TOKEN)
            i = (i + 1) & m->slot_mask;
        m->slot[i] = (uint32_t)p;
    }
}

static uint32_t pair_at(struct merger *m, uint32_t left, uint32_t right)
{
    uint64_t key = (uint64_t)left << 32 | right;
    uint64_t i = key_slot(m, key);
    for (; m->slot[i] != NO_TOKEN; i = (i + 1) & m->slot_mask)
        if (m->pair[m->slot[i]].key == key)
            return m->slot[i];
    GROW(m->pair, m->n_pair, m->cap_pair);
    m->pair[m->n_pair] = (struct pair){ .key = key };
    m->slot[i] = (uint32_t)m->n_pair++;
    if (m->n_pair > m->slot_mask / 2)
        grow_slots(m);
    return (uint32_t)m->n_pair - 1;
}

static uint32_t len_at(const struct merger *m, uint32_t pos)
{
    return m->t->token[m->sym[pos]].n_bytes;
}

/* A pair gains an occurrence at pos, unless its product would be too long for a token. */
static void gain(struct merger *m, uint32_t pos, uint32_t left, uint32_t right)
{
    const struct token *token = m->t->token;
    if (token[left].n_bytes + token[right].n_bytes > TOK_MAX_TOKEN_BYTES)
        return;
    uint32_t index = pair_at(m, left, right);
    struct pair *p = &m->pair[index];
    if (p->n_at == p->cap_at) {
        p->cap_at = p->cap_at ? 2 * p->cap_at : 2;
        p->at = xrealloc(p->at, p->cap_at, sizeof *p->at);
    }
    p->at[p->n_at++] = pos;
    p->count += (int64_t)m->weight[m->word[pos]];
    if (!p->fresh) {
        p->fresh = true;
        GROW(m->fresh, m->n_fresh, m->cap_fresh);
        m->fresh[m->n_fresh++] = index;
    }
}

static void lose(struct merger *m, uint32_t pos, uint32_t left, uint32_t right)
{
    const struct token *token = m->t->token;
    if (token[left].n_bytes + token[right].n_bytes <= TOK_MAX_TOKEN_BYTES)
        m->pair[pair_at(m, left, right)].count -= (int64_t)m->weight[m->word[pos]];
}

/* More frequent first, then the smaller ids. */
static bool before(const struct heap_entry *a, const struct heap_entry *b)
{
    return a->count != b->count ? a->count > b->count : a->key < b->key;
}

static void heap_push(struct merger *m, struct heap_entry e)
{
    GROW(m->heap, m->n_heap, m->cap_heap);
    size_t i = m->n_heap++;
    for (; i > 0 && before(&e, &m->heap[(i - 1) / 2]); i = (i - 1) / 2)
        m->heap[i] = m->heap[(i - 1) / 2];
    m->heap[i] = e;
}

static struct heap_entry heap_pop(struct merger *m)
{
    struct heap_entry top = m->heap[0], e = m->heap[--m->n_heap];
    size_t i = 0;
    for (size_t child; (child = 2 * i + 1) < m->n_heap; i = child) {
        if (child + 1 < m->n_heap && before(&m->heap[child + 1], &m->heap[child]))
            child++;
        if (!before(&m->heap[child], &e))
            break;
        m->heap[i] = m->heap[child];
    }
    m->heap[i] = e;
    return top;
}

/* A pair that is in the heap with a count that later rose (two merges made the same token) gets a
 * second entry; the stale one is recognised when it comes up. */
static void push_fresh(struct merger *m)
{
    for (size_t i = 0; i < m->n_fresh; i++) {
        struct pair *p = &m->pair[m->fresh[i]];
        p->fresh = false;
        if (p->count > 0)
            heap_push(m, (struct heap_entry){ p->count, p->key, m->fresh[i] });
    }
    m->n_fresh = 0;
}

static void lay_out(struct merger *m, const struct tok_trainer *tr)
{
    size_t n = tr->blob.n + tr->n_word + 1;
    m->n_pos = (uint32_t)n;
    m->sym = xmalloc(n * sizeof *m->sym);
    m->first = xmalloc(n * sizeof *m->first);
    m->word = xmalloc(n * sizeof *m->word);
    m->weight = xmalloc((tr->n_word + 1) * sizeof *m->weight);
    uint32_t pos = 0, n_word = 0;
    m->first[pos] = 0;
    m->sym[pos++] = NO_TOKEN;
    for (uint64_t i = 0; i <= tr->mask; i++) {
        const struct word *w = &tr->word[i];
        for (uint32_t k = 0; k < w->n_bytes; k++, pos++) {
            m->sym[pos] = m->t->merges.byte_id[(uint8_t)tr->blob.s[w->at + k]];
            m->first[pos] = pos;
            m->word[pos] = n_word;
        }
        if (w->n_bytes) {
            m->weight[n_word++] = w->count;
            m->first[pos] = 0;
            m->sym[pos++] = NO_TOKEN;
        }
    }
    assert(pos == m->n_pos);
    for (pos = 1; pos + 1 < m->n_pos; pos++)
        if (m->sym[pos] != NO_TOKEN && m->sym[pos + 1] != NO_TOKEN)
            gain(m, pos, m->sym[pos], m->sym[pos + 1]);
    push_fresh(m);
}

static int by_position(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

/* Runs like "aaa" must be merged from the left; positions are out of order only after two merges
 * made the same token. */
static void sort_positions(uint32_t *at, uint32_t n)
{
    for (uint32_t i = 1; i < n; i++)
        if (at[i] < at[i - 1]) {
            qsort(at, n, sizeof *at, by_position);
            return;
        }
}

/* What stood there may be gone: then nothing happens. */
static void merge_at(struct merger *m, uint32_t pos, uint32_t left, uint32_t right, uint32_t id)
{
    if (m->sym[pos] != left)
        return;
    uint32_t second = pos + len_at(m, pos);
    if (m->sym[second] != right)
        return;
    uint32_t next = second + len_at(m, second), prev = m->first[pos - 1];
    m->sym[pos] = id;
    m->sym[second] = NO_TOKEN;
    m->first[next - 1] = pos;
    if (prev) {
        lose(m, prev, m->sym[prev], left);
        gain(m, prev, m->sym[prev], id);
    }
    if (m->sym[next] != NO_TOKEN) {
        lose(m, pos, right, m->sym[next]);
        gain(m, pos, id, m->sym[next]);
    }
}

/* The token that left and right make: a new one, or one that another merge has made before. */
static enum st product(struct merger *m, uint32_t left, uint32_t right, struct strbuf *bytes,
                       uint32_t *id, struct err *err)
{
    str_clear(bytes);
    str_add(bytes, token_bytes(m->t, left), m->t->token[left].n_bytes);
    str_add(bytes, token_bytes(m->t, right), m->t->token[right].n_bytes);
    *id = vocab_find(m->t, bytes->s, bytes->n);
    if (*id != NO_TOKEN)
        return ST_OK;
    *id = m->t->vocab_size;
    enum st st = vocab_add(m->t, *id, TOKEN_TEXT, bytes->s, bytes->n, err);
    if (st == ST_OK)
        vocab_index_one(m->t, *id);
    return st;
}

static enum st merge_all(struct merger *m, uint32_t vocab_size, struct err *err)
{
    struct strbuf bytes = { 0 };
    enum st st = ST_OK;
    while (st == ST_OK && m->t->vocab_size < vocab_size && m->n_heap > 0) {
        if (stop_asked()) {
            st = err_set(err, ST_INTERRUPTED, "stopped while learning merges");
            break;
        }
        struct heap_entry e = heap_pop(m);
        struct pair *p = &m->pair[e.pair];
        if (p->count != e.count) { /* it lost some: again, with what is left */
            if (p->count > 0 && p->count < e.count)
                heap_push(m, (struct heap_entry){ p->count, e.key, e.pair });
            continue;
        }
        uint32_t left = (uint32_t)(e.key >> 32), right = (uint32_t)e.key, id;
        uint32_t *at = p->at, n_at = p->n_at;
        bool again = p->merged;
        p->at = NULL;
        p->n_at = p->cap_at = 0;
        p->merged = true;
        sort_positions(at, n_at);
        st = product(m, left, right, &bytes, &id, err);
        if (st == ST_OK && !again)
            merges_add(&m->t->merges, left, right, id);
        for (uint32_t i = 0; i < n_at && st == ST_OK; i++)
            merge_at(m, at[i], left, right, id);
        m->pair[e.pair].count = 0;
        free(at);
        push_fresh(m);
    }
    str_release(&bytes);
    return st;
}

/* The special token is 0, the bytes follow in the order of their symbols' code points. */
static enum st add_bytes(struct tok *t, struct err *err)
{
    struct bytemap map;
    bytemap_init(&map);
    enum st st = vocab_add_whole(t, 0, TOKEN_SPECIAL, end_of_text, sizeof end_of_text - 1, err);
    for (size_t c = 0; c < N_OF(map.byte) && st == ST_OK; c++) {
        uint8_t byte = (uint8_t)map.byte[c];
        if (map.byte[c] >= 0)
            st = vocab_add(t, t->vocab_size, TOKEN_TEXT, &byte, 1, err);
    }
    return st == ST_OK ? vocab_index(t, err) : st;
}

enum st tok_trainer_finish(struct tok_trainer *tr, int vocab_size, struct tok **out,
                           struct err *err)
{
    *out = NULL;
    if (vocab_size < 257 || vocab_size > TOK_MAX_VOCAB)
        return err_set(err, ST_USAGE,
                       "vocabulary of %d, want 257 (bytes and end of document) to %d", vocab_size,
                       TOK_MAX_VOCAB);
    if (tr->blob.n + tr->n_word + 1 >= UINT32_MAX)
        return err_set(err, ST_LIMIT,
                       "distinct words of %zu bytes, want under 4 GiB; train on less text",
                       tr->blob.n);
    struct merger m = { .t = vocab_new(SPLIT_SMOLLM, false, false) };
    enum st st = add_bytes(m.t, err);
    if (st == ST_OK) {
        grow_slots(&m);
        lay_out(&m, tr);
        st = merge_all(&m, (uint32_t)vocab_size, err);
    }
    if (st == ST_OK) {
        vocab_finish(m.t);
        *out = m.t;
        m.t = NULL;
    }
    tok_free(m.t);
    merger_release(&m);
    return st;
}
