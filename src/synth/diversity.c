/* synth/diversity.c - see diversity.h. */
#include "synth/diversity.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/stream.h"
#include "synth/text.h"

struct window {
    struct look *text;  /* a ring */
    size_t size, n, at; /* texts held; where the next one goes */
};

struct window *window_new(size_t size)
{
    struct window *w = NEW(struct window);
    w->size = size;
    w->text = NEW_ARRAY(struct look, size);
    return w;
}

void window_free(struct window *w)
{
    if (!w)
        return;
    free(w->text);
    free(w);
}

bool window_full(const struct window *w)
{
    return w->n == w->size;
}

void look_at(struct look *l, const char *text, size_t n_bytes, struct arena *scratch)
{
    struct arena_mark mark = arena_mark(scratch);
    size_t n, begin = text_words_end(text, n_bytes, LOOK_WORDS);
    struct word *word = text_words(scratch, text, begin, &n);
    l->opening = words_hash(word, n < OPENING_WORDS ? n : OPENING_WORDS);
    for (size_t k = 0; k < DISTINCT_MAX; k++) {
        l->n_gram[k] = n > k ? n - k : 0;
        for (size_t i = 0; i < l->n_gram[k]; i++)
            l->gram[k][i] = words_hash(word + i, k + 1);
    }
    l->has_runs = minhash_of(&l->runs, text, begin);
    l->n_head = 0;
    for (size_t i = 0; i < n_bytes && l->n_head < LOOK_BYTES; i++) {
        bool space = text[i] == ' ' || text[i] == '\n' || text[i] == '\t' || text[i] == '\r';
        if (!space || (l->n_head && l->head[l->n_head - 1] != ' '))
            l->head[l->n_head++] = space ? ' ' : text[i];
    }
    arena_rewind(scratch, mark);
}

void window_add(struct window *w, const struct look *l)
{
    w->text[w->at] = *l;
    w->at = (w->at + 1) % w->size;
    w->n += w->n < w->size;
}

static int by_value(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* A group is of two texts or more: one alone begins like none. */
static double same_opening(const struct window *w, struct arena *scratch)
{
    uint64_t *opening = ARENA_ARRAY(scratch, uint64_t, w->n);
    size_t largest = 0;
    for (size_t i = 0; i < w->n; i++)
        opening[i] = w->text[i].opening;
    qsort(opening, w->n, sizeof *opening, by_value);
    for (size_t i = 0, end; i < w->n; i = end) {
        for (end = i + 1; end < w->n && opening[end] == opening[i];)
            end++;
        if (end - i > 1 && end - i > largest)
            largest = end - i;
    }
    return (double)largest / (double)w->n;
}

static double distinct(const struct window *w, size_t k, struct arena *scratch)
{
    struct hashset seen = hashset_new(scratch, w->n * LOOK_WORDS);
    size_t n = 0, n_new = 0;
    for (size_t i = 0; i < w->n; i++)
        for (size_t g = 0; g < w->text[i].n_gram[k]; g++, n++)
            n_new += !hashset_add(&seen, w->text[i].gram[k][g]);
    return n ? (double)n_new / (double)n : NAN;
}

/* Of the newest half: deflate looks back 32 kB, more texts would say the same for more time. */
static double compression(const struct window *w, struct arena *scratch)
{
    size_t n_text = w->n < w->size ? w->n : w->size - w->size / 2, n = 0;
    char *all = ARENA_ARRAY(scratch, char, n_text *(LOOK_BYTES + 1));
    for (size_t k = n_text; k > 0; k--) { /* oldest first */
        const struct look *t = &w->text[(w->at + w->size - k) % w->size];
        memcpy(all + n, t->head, t->n_head);
        n += t->n_head;
        all[n++] = '\n';
    }
    return (double)n / (double)stream_deflated_size(all, n);
}

static double self_similar(const struct window *w, struct arena *scratch)
{
    double *best = ARENA_ARRAY(scratch, double, w->n), sum = 0;
    for (size_t i = 0; i < w->n; i++)
        for (size_t k = 0; k < i; k++) {
            const struct look *a = &w->text[i], *b = &w->text[k];
            double s = a->has_runs && b->has_runs ? minhash_similarity(&a->runs, &b->runs) : 0;
            best[i] = fmax(best[i], s);
            best[k] = fmax(best[k], s);
        }
    for (size_t i = 0; i < w->n; i++)
        sum += best[i];
    return sum / (double)w->n;
}

void window_measure(const struct window *w, struct diversity *out, struct arena *scratch)
{
    struct arena_mark mark = arena_mark(scratch);
    *out = (struct diversity){ NAN, { NAN, NAN, NAN }, NAN, NAN };
    if (w->n < 2)
        return;
    out->same_opening = same_opening(w, scratch);
    for (size_t k = 0; k < DISTINCT_MAX; k++)
        out->distinct[k] = distinct(w, k, scratch);
    out->compression = compression(w, scratch);
    out->self_similar = self_similar(w, scratch);
    arena_rewind(scratch, mark);
}

struct js *diversity_json(const struct diversity *d)
{
    struct js *v = js_object();
    js_put_real(v, "same_opening", d->same_opening);
    js_put_real(v, "distinct_1", d->distinct[0]);
    js_put_real(v, "distinct_2", d->distinct[1]);
    js_put_real(v, "distinct_3", d->distinct[2]);
    js_put_real(v, "compression", d->compression);
    js_put_real(v, "self_similar", d->self_similar);
    return v;
}
