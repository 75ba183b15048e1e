/*
 * corpus/minhash.c - see minhash.h.
 *
 * A permutation of 32-bit numbers is a fixed mixing after an exclusive or with a number of its own:
 * each step can be undone, so no two shingles fall together.
 */
#include "corpus/minhash.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/attr.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/rng.h"
#include "corpus/ngram.h"

enum { START_SLOTS = 64, SHINGLES = 64 };
#define NOBODY UINT32_MAX

struct minhash_index {
    double max_similar;
    struct minhash *sig; /* of each text that was added */
    size_t n, cap;
    uint32_t *slot[MINHASH_BANDS]; /* open addressing: text that owns a band's value, or NOBODY */
    size_t n_slots;                /* of each band */
};

struct signing {
    uint32_t least[MINHASH_N], salt[MINHASH_N];
    uint32_t shingle[SHINGLES]; /* waiting: taken many at a time */
    size_t n;
    bool any;
};

WIDE_TOO static void take_shingles(uint32_t *restrict least, const uint32_t *restrict salt,
                                   const uint32_t *restrict shingle, size_t n)
{
    for (size_t k = 0; k < n; k++)
        for (int i = 0; i < MINHASH_N; i++) {
            uint32_t h = shingle[k] ^ salt[i];
            h = (h ^ h >> 16) * 0x7FEB352Du;
            h = (h ^ h >> 15) * 0x846CA68Bu;
            h ^= h >> 16;
            least[i] = h < least[i] ? h : least[i];
        }
}

static void flush(struct signing *s)
{
    take_shingles(s->least, s->salt, s->shingle, s->n);
    s->any |= s->n > 0;
    s->n = 0;
}

static void add_shingle(void *arg, uint64_t hash)
{
    struct signing *s = arg;
    if (s->n == SHINGLES)
        flush(s);
    s->shingle[s->n++] = (uint32_t)(hash >> 32);
}

bool minhash_of(struct minhash *m, const char *text, size_t n_bytes)
{
    struct signing s = { .n = 0 };
    struct rng rng;
    rng_init(&rng, 1, "minhash permutations", 0);
    for (int i = 0; i < MINHASH_N; i++) {
        s.salt[i] = (uint32_t)rng_u64(&rng);
        s.least[i] = UINT32_MAX;
    }
    ngram_each(MINHASH_WORDS, text, n_bytes, add_shingle, &s);
    flush(&s);
    for (int i = 0; i < MINHASH_N; i++)
        m->v[i] = (uint16_t)s.least[i];
    return s.any;
}

double minhash_similarity(const struct minhash *a, const struct minhash *b)
{
    int n = 0;
    for (int i = 0; i < MINHASH_N; i++)
        n += a->v[i] == b->v[i];
    return (double)n / MINHASH_N;
}

struct minhash_index *minhash_index_new(double max_similar)
{
    struct minhash_index *ix = NEW(struct minhash_index);
    ix->max_similar = max_similar;
    ix->n_slots = START_SLOTS;
    for (int b = 0; b < MINHASH_BANDS; b++) {
        ix->slot[b] = xmalloc(ix->n_slots * sizeof *ix->slot[b]);
        memset(ix->slot[b], 0xFF, ix->n_slots * sizeof *ix->slot[b]);
    }
    return ix;
}

void minhash_index_free(struct minhash_index *ix)
{
    if (!ix)
        return;
    for (int b = 0; b < MINHASH_BANDS; b++)
        free(ix->slot[b]);
    free(ix->sig);
    free(ix);
}

/* Where a signature's band belongs: the slot of the text that owns its value, or an empty one. */
static uint32_t *find(const struct minhash_index *ix, int band, const struct minhash *m)
{
    const uint16_t *v = m->v + band * MINHASH_ROWS;
    size_t n_bytes = MINHASH_ROWS * sizeof *v, mask = ix->n_slots - 1;
    size_t i = (size_t)hash64(v, n_bytes, (uint64_t)band) & mask;
    for (; ix->slot[band][i] != NOBODY; i = (i + 1) & mask)
        if (memcmp(ix->sig[ix->slot[band][i]].v + band * MINHASH_ROWS, v, n_bytes) == 0)
            break;
    return &ix->slot[band][i];
}

bool minhash_index_find(const struct minhash_index *ix, const struct minhash *m, uint32_t *which)
{
    double best = ix->max_similar;
    uint32_t who = NOBODY;
    for (int b = 0; b < MINHASH_BANDS; b++) {
        uint32_t other = *find(ix, b, m);
        if (other == NOBODY)
            continue;
        double similar = minhash_similarity(m, &ix->sig[other]);
        if (similar > best || (similar == best && who != NOBODY && other < who)) {
            best = similar;
            who = other;
        }
    }
    if (who != NOBODY)
        *which = who;
    return who != NOBODY;
}

static void grow(struct minhash_index *ix, int band)
{
    uint32_t *old = ix->slot[band];
    size_t n_old = ix->n_slots / 2;
    ix->slot[band] = xmalloc(ix->n_slots * sizeof *old);
    memset(ix->slot[band], 0xFF, ix->n_slots * sizeof *old);
    for (size_t i = 0; i < n_old; i++)
        if (old[i] != NOBODY)
            *find(ix, band, &ix->sig[old[i]]) = old[i];
    free(old);
}

uint32_t minhash_index_add(struct minhash_index *ix, const struct minhash *m)
{
    assert(ix->n < NOBODY);
    GROW(ix->sig, ix->n, ix->cap);
    ix->sig[ix->n] = *m;
    if (2 * (ix->n + 1) > ix->n_slots) { /* no band has more values than there are texts */
        ix->n_slots *= 2;
        for (int b = 0; b < MINHASH_BANDS; b++)
            grow(ix, b);
    }
    for (int b = 0; b < MINHASH_BANDS; b++) {
        uint32_t *slot = find(ix, b, m);
        if (*slot == NOBODY)
            *slot = (uint32_t)ix->n;
    }
    return (uint32_t)ix->n++;
}
