/* synth/pages.c - see pages.h. */
#include "synth/pages.h"

#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/log.h"
#include "corpus/reader.h"

enum { FIRST_WAVE = 64, PAGE_MAX_BYTES = 4 << 20, NO_RANK = -1 };

struct pages {
    struct pages_conf conf;
    int64_t *rank;     /* by number in the input; NO_RANK: not used */
    uint32_t *n_piece; /* of each */
    size_t n, cap, cap_piece;
    uint64_t *hash; /* of all pieces, page by page, for conf.distinct */
    size_t n_hash, cap_hash;
    uint64_t n_wanted, n_usable, n_used, n_pieces;
    struct keywords *keywords;
    struct reader *reader;
    size_t file;    /* index of the next path */
    size_t at;      /* number in the input of the next document */
    int64_t lo, hi; /* ranks of this wave */
    struct doc doc; /* the one shown */
    struct arena scratch;
    struct arena_mark base; /* one block stays, so that a page costs no malloc */
};

/* The pieces of a page that are used: all that are long enough and prose, or `pieces` of them,
 * drawn by the page's own text so that another kind cuts the same page alike. */
static struct piece *pick_pieces(struct arena *a, const struct recipe_input *in, const char *text,
                                 size_t n_bytes, uint64_t seed, size_t *n)
{
    size_t n_all, k = 0;
    if (strcmp(in->unit, "document") == 0) {
        struct piece *whole = ARENA_ARRAY(a, struct piece, 1);
        *whole = (struct piece){ text, n_bytes, text_n_words(text, n_bytes), 0 };
        *n = whole->n_words >= in->min_words;
        return whole;
    }
    if (n_bytes > PAGE_MAX_BYTES)
        n_bytes = utf8_valid(text, PAGE_MAX_BYTES);
    struct piece *p = text_passages(a, text, n_bytes, (size_t)in->max_words, &n_all);
    bool whole_page = strcmp(in->unit, "passage") != 0;
    for (size_t i = 0; i < n_all && !(whole_page && i); i++)
        if (p[i].n_words >= in->min_words && text_is_prose(a, p[i].s, p[i].n_bytes))
            p[k++] = p[i];
    uint64_t want = whole_page ? 1 : in->pieces;
    for (uint64_t draw = seed; want && k > want; k--) { /* drop one at a time, keep the order */
        draw = hash64(&draw, sizeof draw, n_bytes);
        size_t out = (size_t)(draw % k);
        memmove(p + out, p + out + 1, (k - out - 1) * sizeof *p);
    }
    *n = k;
    return p;
}

static enum st next_doc(struct pages *p, struct doc *d, struct err *err)
{
    for (;;) {
        if (!p->reader) {
            const struct reader_conf conf = { .strict = p->conf.strict };
            if (p->file == p->conf.n_path)
                return ST_END;
            enum st st = reader_open(&p->reader, p->conf.path[p->file++], &conf, err);
            if (st < 0)
                return st;
        }
        enum st st = reader_next(p->reader, d, err);
        if (st != ST_END)
            return st;
        reader_close(p->reader);
        p->reader = NULL;
    }
}

struct order {
    uint64_t hash;
    size_t doc;
};

static int by_rank(const void *a, const void *b)
{
    const struct order *x = a, *y = b;
    if (x->hash != y->hash)
        return x->hash < y->hash ? -1 : 1;
    return x->doc < y->doc ? -1 : x->doc > y->doc;
}

static enum st survey(struct pages *p, struct err *err)
{
    struct order *order = NULL;
    size_t n_order = 0, cap_order = 0;
    struct progress progress;
    struct doc d;
    enum st st;
    progress_start(&progress, "read pages", 0, "pages");
    while ((st = next_doc(p, &d, err)) == ST_OK && !stop_asked()) {
        struct arena_mark mark = arena_mark(&p->scratch);
        uint64_t hash = hash64(d.text, d.n_bytes, p->conf.seed);
        size_t n;
        struct piece *piece = pick_pieces(&p->scratch, p->conf.input, d.text, d.n_bytes, hash, &n);
        for (size_t i = 0; i < n && p->conf.distinct; i++) {
            GROW(p->hash, p->n_hash, p->cap_hash);
            p->hash[p->n_hash++] = hash64(piece[i].s, piece[i].n_bytes, 0);
        }
        if (p->conf.keywords)
            keywords_learn(p->keywords, d.text, d.n_bytes, &p->scratch);
        arena_rewind(&p->scratch, mark);
        GROW(p->n_piece, p->n, p->cap_piece);
        p->n_piece[p->n] = (uint32_t)n;
        GROW(p->rank, p->n, p->cap);
        p->rank[p->n] = NO_RANK;
        bool wanted = !p->conf.only || strcmp(d.id, p->conf.only) == 0;
        p->n_wanted += wanted;
        if (n && wanted) {
            GROW(order, n_order, cap_order);
            order[n_order++] = (struct order){ hash, p->n };
        }
        progress_at(&progress, ++p->n);
    }
    progress_end(&progress);
    if (st >= 0 && stop_asked())
        st = err_set(err, ST_INTERRUPTED, "interrupted");
    if (n_order)
        qsort(order, n_order, sizeof *order, by_rank);
    p->n_usable = n_order;
    for (size_t i = 0; i < n_order; i++)
        p->rank[order[i].doc] = (int64_t)i;
    free(order);
    pages_limit(p, 0);
    return st == ST_END ? ST_OK : st;
}

static bool is_used(const struct pages *p, size_t i)
{
    return p->rank[i] != NO_RANK && p->rank[i] < (int64_t)p->n_used;
}

void pages_limit(struct pages *p, uint64_t n)
{
    uint64_t most = p->conf.max_docs ? p->conf.max_docs : p->n_usable;
    p->n_used = n && n < most ? n : most;
    if (p->n_used > p->n_usable)
        p->n_used = p->n_usable;
    p->n_pieces = 0;
    for (size_t i = 0; i < p->n; i++)
        if (is_used(p, i))
            p->n_pieces += p->n_piece[i];
}

void pages_rewind(struct pages *p)
{
    reader_close(p->reader);
    p->reader = NULL;
    p->file = p->at = 0;
    p->lo = 0;
    p->hi = FIRST_WAVE;
}

static enum st none_usable(const struct pages *p, struct err *err)
{
    const struct recipe_input *in = p->conf.input;
    unsigned long long n = p->n, lo = in->min_words, hi = in->max_words;
    if (!n)
        return err_set(err, ST_FORMAT, "the input has no document with text");
    if (!p->conf.only)
        return err_set(err, ST_FORMAT,
                       "none of %llu documents has a piece of %llu to %llu words of running text",
                       n, lo, hi);
    if (!p->n_wanted)
        return err_set(err, ST_USAGE, "none of %llu documents has the id '%s'", n, p->conf.only);
    return err_set(err, ST_FORMAT,
                   "document '%s' has no piece of %llu to %llu words of running text", p->conf.only,
                   lo, hi);
}

enum st pages_open(struct pages **out, const struct pages_conf *conf, struct err *err)
{
    struct pages *p = NEW(struct pages);
    p->conf = *conf;
    arena_alloc(&p->scratch, 1, 1);
    p->base = arena_mark(&p->scratch);
    if (conf->keywords)
        p->keywords = keywords_new();
    enum st st = survey(p, err);
    if (st == ST_OK && !p->n_used)
        st = none_usable(p, err);
    pages_rewind(p);
    if (st < 0) {
        pages_close(p);
        return st;
    }
    *out = p;
    return ST_OK;
}

void pages_close(struct pages *p)
{
    if (!p)
        return;
    reader_close(p->reader);
    keywords_free(p->keywords);
    arena_release(&p->scratch);
    free(p->rank);
    free(p->n_piece);
    free(p->hash);
    free(p);
}

enum st pages_next(struct pages *p, struct page *page, struct err *err)
{
    enum st st;
    arena_rewind(&p->scratch, p->base);
    for (;;) {
        if (stop_asked())
            return err_set(err, ST_INTERRUPTED, "interrupted");
        st = next_doc(p, &p->doc, err);
        if (st == ST_END && p->hi < (int64_t)p->n_used) { /* the next wave, twice as wide */
            p->lo = p->hi;
            p->hi *= 2;
            p->file = p->at = 0;
            continue;
        }
        if (st != ST_OK)
            return st;
        if (p->at >= p->n)
            return err_set(err, ST_IO, "the input grew while it was read");
        int64_t rank = p->rank[p->at++];
        if (rank >= p->lo && rank < p->hi && rank < (int64_t)p->n_used)
            break;
    }
    uint64_t hash = hash64(p->doc.text, p->doc.n_bytes, p->conf.seed);
    page->doc = &p->doc;
    page->piece =
        pick_pieces(&p->scratch, p->conf.input, p->doc.text, p->doc.n_bytes, hash, &page->n_piece);
    return ST_OK;
}

uint64_t pages_n_usable(const struct pages *p)
{
    return p->n_usable;
}

uint64_t pages_n_docs(const struct pages *p)
{
    return p->n;
}

uint64_t pages_n_used(const struct pages *p)
{
    return p->n_used;
}

uint64_t pages_n_pieces(const struct pages *p)
{
    return p->n_pieces;
}

static int by_hash(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b;
    return *x < *y ? -1 : *x > *y;
}

uint64_t pages_n_distinct(const struct pages *p)
{
    uint64_t *used = NEW_ARRAY(uint64_t, p->n_hash + 1), n_distinct = 0;
    size_t n = 0, at = 0;
    for (size_t i = 0; i < p->n; at += p->n_piece[i++])
        if (is_used(p, i)) {
            memcpy(used + n, p->hash + at, p->n_piece[i] * sizeof *used);
            n += p->n_piece[i];
        }
    qsort(used, n, sizeof *used, by_hash);
    for (size_t i = 0; i < n; i++)
        n_distinct += i == 0 || used[i] != used[i - 1];
    free(used);
    return n_distinct;
}

const struct keywords *pages_keywords(const struct pages *p)
{
    return p->keywords;
}
