/*
 * corpus/ngram.c - see ngram.h.
 *
 * Words are hashed as they are read, and an n-gram's hash is a polynomial in its words' hashes that
 * rolls on in two multiplications; the set is open addressing with linear probing on 64-bit keys.
 */
#include "corpus/ngram.h"

#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#include "base/attr.h"
#include "base/mem.h"

enum { MAX_WORDS = 64, START_SLOTS = 1 << 12 };

struct ngram_index {
    int n_words;
    uint64_t top; /* weight of the word that leaves: BASE ^ (n_words - 1) */
    uint64_t *slot;
    uint32_t *owner; /* of each slot, or NULL */
    size_t n_slots, n;
};

static const uint64_t BASE = 0x9E3779B97F4A7C15u; /* odd; words' hashes are well mixed already */

/* Zero marks an empty slot. */
static uint64_t mix(uint64_t h)
{
    h ^= h >> 32;
    h *= 0xD6E8FEB86659FD93u;
    h ^= h >> 32;
    return h ? h : 1;
}

static uint64_t top_weight(int n_words)
{
    uint64_t top = 1;
    assert(n_words >= 1 && n_words <= MAX_WORDS);
    for (int i = 1; i < n_words; i++)
        top *= BASE;
    return top;
}

struct ngram_index *ngram_new(int n_words)
{
    struct ngram_index *ix = NEW(struct ngram_index);
    ix->n_words = n_words;
    ix->top = top_weight(n_words);
    ix->n_slots = START_SLOTS; /* more than two batches */
    ix->slot = NEW_ARRAY(uint64_t, ix->n_slots);
    return ix;
}

struct ngram_index *ngram_new_owned(int n_words)
{
    struct ngram_index *ix = ngram_new(n_words);
    ix->owner = NEW_ARRAY(uint32_t, ix->n_slots);
    return ix;
}

void ngram_free(struct ngram_index *ix)
{
    if (!ix)
        return;
    free(ix->slot);
    free(ix->owner);
    free(ix);
}

/* The slot that holds the key, or the empty one where it belongs. */
static size_t find(const struct ngram_index *ix, uint64_t key)
{
    size_t mask = ix->n_slots - 1, i = key & mask;
    while (ix->slot[i] && ix->slot[i] != key)
        i = (i + 1) & mask;
    return i;
}

static bool has(const struct ngram_index *ix, uint64_t key)
{
    return ix->slot[find(ix, key)] != 0;
}

static void put(struct ngram_index *ix, uint64_t key, uint32_t owner)
{
    size_t i = find(ix, key);
    ix->n += ix->slot[i] == 0;
    ix->slot[i] = key;
    if (ix->owner)
        ix->owner[i] = owner;
}

static void grow(struct ngram_index *ix)
{
    struct ngram_index bigger = *ix;
    bigger.n_slots *= 2;
    bigger.n = 0;
    bigger.slot = NEW_ARRAY(uint64_t, bigger.n_slots);
    if (ix->owner)
        bigger.owner = NEW_ARRAY(uint32_t, bigger.n_slots);
    for (size_t i = 0; i < ix->n_slots; i++)
        if (ix->slot[i])
            put(&bigger, ix->slot[i], ix->owner ? ix->owner[i] : 0);
    free(ix->slot);
    free(ix->owner);
    *ix = bigger;
}

/* Bytes of a word's characters: letters and digits of ASCII by table. */
static const unsigned char ascii_fold[128] = {
    ['0'] = '0', ['1'] = '1', ['2'] = '2', ['3'] = '3', ['4'] = '4', ['5'] = '5', ['6'] = '6',
    ['7'] = '7', ['8'] = '8', ['9'] = '9', ['a'] = 'a', ['b'] = 'b', ['c'] = 'c', ['d'] = 'd',
    ['e'] = 'e', ['f'] = 'f', ['g'] = 'g', ['h'] = 'h', ['i'] = 'i', ['j'] = 'j', ['k'] = 'k',
    ['l'] = 'l', ['m'] = 'm', ['n'] = 'n', ['o'] = 'o', ['p'] = 'p', ['q'] = 'q', ['r'] = 'r',
    ['s'] = 's', ['t'] = 't', ['u'] = 'u', ['v'] = 'v', ['w'] = 'w', ['x'] = 'x', ['y'] = 'y',
    ['z'] = 'z', ['A'] = 'a', ['B'] = 'b', ['C'] = 'c', ['D'] = 'd', ['E'] = 'e', ['F'] = 'f',
    ['G'] = 'g', ['H'] = 'h', ['I'] = 'i', ['J'] = 'j', ['K'] = 'k', ['L'] = 'l', ['M'] = 'm',
    ['N'] = 'n', ['O'] = 'o', ['P'] = 'p', ['Q'] = 'q', ['R'] = 'r', ['S'] = 's', ['T'] = 't',
    ['U'] = 'u', ['V'] = 'v', ['W'] = 'w', ['X'] = 'x', ['Y'] = 'y', ['Z'] = 'z'
};

/* The character at p beyond ASCII: its folded code point when it belongs to words, else 0. */
static uint32_t wide_fold(const char *p, const char *end, size_t *len)
{
    utf8proc_int32_t c;
    utf8proc_ssize_t n =
        utf8proc_iterate((const utf8proc_uint8_t *)p, (utf8proc_ssize_t)(end - p), &c);
    if (n <= 0) {
        *len = 1;
        return 0;
    }
    *len = (size_t)n;
    switch (utf8proc_category(c)) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_MC:
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_NL:
        return (uint32_t)utf8proc_tolower(c);
    default:
        return 0;
    }
}

/* One character: its folded value, 0 for a separator. */
static inline uint32_t fold(const char *p, const char *end, size_t *len)
{
    unsigned char c = (unsigned char)*p;
    if (c < 0x80) {
        *len = 1;
        return ascii_fold[c];
    }
    return wide_fold(p, end, len);
}

const char *word_next(const char **p, const char *end, size_t *len)
{
    const char *s = *p;
    size_t n = 1;
    while (s < end && !fold(s, end, &n))
        s += n;
    const char *start = s;
    while (s < end && fold(s, end, &n))
        s += n;
    *p = s;
    *len = (size_t)(s - start);
    return s > start ? start : NULL;
}

/* Walks a text's n-grams. */
struct walk {
    const char *p, *end;
    uint64_t ring[MAX_WORDS];
    uint64_t hash;
    size_t n_words; /* read so far */
    size_t at;      /* of the ring: the oldest word */
};

/* The next word's hash; false at the end. */
static bool next_word(struct walk *w, uint64_t *out)
{
    const char *s = w->p, *end = w->end;
    size_t n = 1;
    uint32_t c = 0;
    while (s < end && !(c = fold(s, end, &n)))
        s += n;
    if (s >= end) {
        w->p = s;
        return false;
    }
    uint64_t h = 0xCBF29CE484222325u;
    do {
        h = (h ^ c) * 0x100000001B3u; /* FNV-1a over folded characters */
        s += n;
    } while (s < end && (c = fold(s, end, &n)));
    w->p = s;
    h ^= h >> 29;
    *out = h * 0xBF58476D1CE4E5B9u;
    return true;
}

/* The next n-gram's key; false at the end. */
static bool next_gram(struct walk *w, const struct ngram_index *ix, uint64_t *key)
{
    uint64_t word;
    size_t n = (size_t)ix->n_words;
    while (next_word(w, &word)) {
        size_t at = w->at;
        w->at = at + 1 == n ? 0 : at + 1;
        if (w->n_words >= n)
            w->hash -= w->ring[at] * ix->top;
        w->hash = w->hash * BASE + word;
        w->ring[at] = word;
        if (++w->n_words >= n) {
            *key = mix(w->hash);
            return true;
        }
    }
    return false;
}

size_t ngram_len(const struct ngram_index *ix)
{
    return ix->n;
}

/*
 * Almost every probe of a large index misses the cache, so keys are gathered in batches and their
 * slots asked for ahead: the waits overlap.
 */
enum { BATCH = 32 };

static size_t take_batch(struct walk *w, const struct ngram_index *ix, uint64_t key[BATCH])
{
    size_t n = 0;
    while (n < BATCH && next_gram(w, ix, &key[n])) {
        PREFETCH(&ix->slot[key[n] & (ix->n_slots - 1)]);
        n++;
    }
    return n;
}

static void add(struct ngram_index *ix, const char *text, size_t n_bytes, uint32_t owner)
{
    struct walk w = { .p = text, .end = text + n_bytes };
    uint64_t key[BATCH];
    size_t n;
    while ((n = take_batch(&w, ix, key)) > 0) {
        if (2 * (ix->n + n) > ix->n_slots)
            grow(ix);
        for (size_t i = 0; i < n; i++)
            put(ix, key[i], owner);
    }
}

void ngram_add(struct ngram_index *ix, const char *text, size_t n_bytes)
{
    add(ix, text, n_bytes, 0);
}

bool ngram_claim(struct ngram_index *ix, const char *text, size_t n_bytes, uint32_t owner)
{
    assert(ix->owner);
    if (ngram_shared(ix, text, n_bytes) > 0)
        return false;
    add(ix, text, n_bytes, owner);
    return true;
}

void ngram_owners(const struct ngram_index *ix, const char *text, size_t n_bytes, ngram_hit *hit,
                  void *arg)
{
    struct walk w = { .p = text, .end = text + n_bytes };
    uint64_t key[BATCH];
    size_t n;
    assert(ix->owner);
    while ((n = take_batch(&w, ix, key)) > 0)
        for (size_t i = 0; i < n; i++) {
            size_t at = find(ix, key[i]);
            if (ix->slot[at])
                hit(arg, ix->owner[at]);
        }
}

size_t ngram_shared(const struct ngram_index *ix, const char *text, size_t n_bytes)
{
    struct walk w = { .p = text, .end = text + n_bytes };
    uint64_t key[BATCH];
    size_t n_shared = 0, n;
    while ((n = take_batch(&w, ix, key)) > 0)
        for (size_t i = 0; i < n; i++)
            n_shared += has(ix, key[i]);
    return n_shared;
}

size_t ngram_count(const struct ngram_index *ix, const char *text, size_t n_bytes)
{
    struct walk w = { .p = text, .end = text + n_bytes };
    uint64_t key;
    size_t n = 0;
    while (next_gram(&w, ix, &key))
        n++;
    return n;
}

void ngram_each(int n_words, const char *text, size_t n_bytes, ngram_use *use, void *arg)
{
    const struct ngram_index shape = { .n_words = n_words, .top = top_weight(n_words) };
    struct walk w = { .p = text, .end = text + n_bytes };
    uint64_t key;
    while (next_gram(&w, &shape, &key))
        use(arg, key);
}
