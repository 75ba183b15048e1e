/* synth/keywords.c - see keywords.h. */
#include "synth/keywords.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "synth/text.h"

enum { MIN_LETTERS = 4, NAME_WORDS = 4, WORDS_MAX = 4 << 20, NAMES_SHARE = 3 };

struct entry {
    uint64_t hash; /* 0: empty */
    uint32_t n_page;
};

struct keywords {
    struct entry *table; /* open addressing; new words are no longer taken when it is full */
    size_t n, cap;
    uint64_t n_page;
};

struct keywords *keywords_new(void)
{
    struct keywords *k = NEW(struct keywords);
    k->cap = 1 << 14;
    k->table = NEW_ARRAY(struct entry, k->cap);
    return k;
}

void keywords_free(struct keywords *k)
{
    if (!k)
        return;
    free(k->table);
    free(k);
}

static struct entry *find(const struct keywords *k, uint64_t hash)
{
    size_t i = hash & (k->cap - 1);
    while (k->table[i].hash && k->table[i].hash != hash)
        i = (i + 1) & (k->cap - 1);
    return &k->table[i];
}

static void grow(struct keywords *k)
{
    struct entry *old = k->table;
    size_t cap = k->cap;
    k->cap *= 2;
    k->table = NEW_ARRAY(struct entry, k->cap);
    for (size_t i = 0; i < cap; i++)
        if (old[i].hash)
            *find(k, old[i].hash) = old[i];
    free(old);
}

static bool is_candidate(const struct word *w)
{
    if (w->n_bytes < MIN_LETTERS || w->n_bytes > 30)
        return false;
    for (uint32_t i = 0; i < w->n_bytes; i++)
        if (isdigit((unsigned char)w->s[i]))
            return false;
    return true;
}

static int by_hash(const void *a, const void *b)
{
    const struct word *x = a, *y = b;
    if (x->hash != y->hash)
        return x->hash < y->hash ? -1 : 1;
    return x->s < y->s ? -1 : x->s > y->s; /* first on the page first: same result every time */
}

/* The page's candidate words, equal ones side by side. */
static struct word *sorted_words(struct arena *a, const char *text, size_t n_bytes, size_t *n)
{
    size_t m;
    struct word *w = text_words(a, text, n_bytes, &m);
    *n = 0;
    for (size_t i = 0; i < m; i++)
        if (is_candidate(&w[i]))
            w[(*n)++] = w[i];
    if (*n)
        qsort(w, *n, sizeof *w, by_hash);
    return w;
}

void keywords_learn(struct keywords *k, const char *text, size_t n_bytes, struct arena *scratch)
{
    struct arena_mark mark = arena_mark(scratch);
    size_t n;
    struct word *w = sorted_words(scratch, text, n_bytes, &n);
    for (size_t i = 0; i < n; i++) {
        if (i && w[i].hash == w[i - 1].hash)
            continue;
        struct entry *e = find(k, w[i].hash);
        if (!e->hash) {
            if (k->n == WORDS_MAX)
                continue;
            if (2 * (k->n + 1) > k->cap) {
                grow(k);
                e = find(k, w[i].hash);
            }
            e->hash = w[i].hash;
            k->n++;
        }
        e->n_page++;
    }
    k->n_page++;
    arena_rewind(scratch, mark);
}

struct choice {
    const char *s;
    size_t n_bytes, first; /* where it stands first: breaks ties */
    double score;
};

static int by_score(const void *a, const void *b)
{
    const struct choice *x = a, *y = b;
    if (x->score != y->score)
        return x->score > y->score ? -1 : 1;
    return x->first < y->first ? -1 : x->first > y->first;
}

static size_t pick_words(const struct keywords *k, struct choice *out, const char *text,
                         size_t n_bytes, struct arena *scratch)
{
    size_t n, n_out = 0;
    struct word *w = sorted_words(scratch, text, n_bytes, &n);
    for (size_t i = 0, j; i < n; i = j) {
        for (j = i + 1; j < n && w[j].hash == w[i].hash;)
            j++;
        uint32_t pages = find(k, w[i].hash)->n_page;
        if (pages < (k->n_page >= 50 ? 2u : 1u))
            continue;
        out[n_out++] = (struct choice){ w[i].s, w[i].n_bytes, (size_t)(w[i].s - text),
                                        (double)(j - i) * log((double)(k->n_page + 1) / pages) };
    }
    return n_out;
}

static bool is_capital(const struct word *w)
{
    return isupper((unsigned char)w->s[0]) && w->n_bytes > 1 && islower((unsigned char)w->s[1]);
}

/* Names that begin after another word of the same sentence: a sentence's first word is capital
 * anyway. */
static size_t pick_names(struct choice *out, const char *text, size_t n_bytes,
                         struct arena *scratch)
{
    size_t n, n_out = 0;
    struct word *w = text_words(scratch, text, n_bytes, &n);
    for (size_t i = 1; i < n; i++) {
        if (!is_capital(&w[i]) || w[i].s[-1] != ' ' ||
            !isalpha((unsigned char)w[i - 1].s[w[i - 1].n_bytes - 1]) ||
            w[i].s - (w[i - 1].s + w[i - 1].n_bytes) != 1)
            continue;
        size_t j = i + 1;
        while (j < n && j - i < NAME_WORDS && is_capital(&w[j]) &&
               w[j].s - (w[j - 1].s + w[j - 1].n_bytes) == 1 && w[j].s[-1] == ' ')
            j++;
        if (j - i < 2)
            continue;
        const char *end = w[j - 1].s + w[j - 1].n_bytes;
        out[n_out++] =
            (struct choice){ w[i].s, (size_t)(end - w[i].s), (size_t)(w[i].s - text), 1 };
        i = j;
    }
    for (size_t i = 0; i < n_out; i++) /* count repeats in the first one */
        for (size_t j = 0; j < i; j++)
            if (out[j].n_bytes == out[i].n_bytes &&
                memcmp(out[j].s, out[i].s, out[i].n_bytes) == 0) {
                out[j].score += 1;
                out[i].score = 0;
                break;
            }
    return n_out;
}

static void put(struct strbuf *out, const struct choice *c, bool lower, size_t *n)
{
    if ((*n)++)
        str_adds(out, ", ");
    for (size_t i = 0; i < c->n_bytes; i++)
        str_addc(out, lower ? (char)tolower((unsigned char)c->s[i]) : c->s[i]);
}

void keywords_pick(const struct keywords *k, const char *text, size_t n_bytes, size_t n,
                   struct strbuf *out, struct arena *scratch)
{
    enum { LOOK = 20000 }; /* bytes of a page: the rest of a book adds nothing */
    struct arena_mark mark = arena_mark(scratch);
    n_bytes = n_bytes < LOOK ? n_bytes : LOOK;
    struct choice *c = ARENA_ARRAY(scratch, struct choice, n_bytes / 2 + 1);
    size_t done = 0, names = pick_names(c, text, n_bytes, scratch);
    if (names)
        qsort(c, names, sizeof *c, by_score);
    for (size_t i = 0; i < names && c[i].score > 0 && done < n / NAMES_SHARE; i++)
        put(out, &c[i], false, &done);
    size_t words = pick_words(k, c, text, n_bytes, scratch);
    if (words)
        qsort(c, words, sizeof *c, by_score);
    for (size_t i = 0; i < words && done < n; i++)
        put(out, &c[i], true, &done);
    arena_rewind(scratch, mark);
}
