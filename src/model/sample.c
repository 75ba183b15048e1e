/* model/sample.c - see sample.h. */
#include "model/sample.h"

#include <math.h>
#include <stdlib.h>

#include "base/mem.h"

struct sample_pick {
    float p;
    uint32_t id;
};

static void make_room(struct sample_scratch *s, int n)
{
    if (s->cap >= n)
        return;
    sample_scratch_release(s);
    s->p = xaligned((size_t)n * sizeof *s->p);
    s->pick = NEW_ARRAY(struct sample_pick, (size_t)n);
    s->index = NEW_ARRAY(uint32_t, (size_t)n);
    s->cap = n;
}

float *sample_room(struct sample_scratch *s, int n_vocab)
{
    make_room(s, n_vocab);
    return s->p;
}

void sample_scratch_release(struct sample_scratch *s)
{
    free(s->p);
    free(s->pick);
    free(s->index);
    *s = (struct sample_scratch){ 0 };
}

static void penalise(float *logits, const uint32_t *history, int n, double penalty)
{
    for (int i = 0; i < n; i++) {
        bool before = false; /* each token once, however often it came */
        for (int k = 0; k < i && !before; k++)
            before = history[k] == history[i];
        float *l = &logits[history[i]];
        if (!before)
            *l = *l > 0 ? (float)(*l / penalty) : (float)(*l * penalty);
    }
}

static uint32_t arg_max(const struct decode_kernels *k, struct sample_scratch *s,
                        const float *logits, int n)
{
    int found = k->at_least(logits, n, k->max(logits, n), s->index, 1);
    return found > 0 ? s->index[0] : 0; /* 0: every logit is NaN */
}

static int pick_cmp(const void *a, const void *b)
{
    const struct sample_pick *x = a, *y = b;
    if (x->p != y->p)
        return x->p > y->p ? -1 : 1;
    return x->id < y->id ? -1 : x->id > y->id;
}

/* Fills s->pick with the likeliest tokens, sorted, at least as many as the settings can let
 * through. Tokens are gathered above a falling threshold until those hold top_k tokens or top_p of
 * the sum. */
static int gather_picks(const struct decode_kernels *k, struct sample_scratch *s,
                        const struct sampling *c, int n_vocab, double sum)
{
    int n = 0;
    for (float least = 0x1p-5f;; least *= 0x1p-5f) {
        if (least < 0x1p-60f)
            least = 0;
        n = k->at_least(s->p, n_vocab, least, s->index, n_vocab);
        double got = 0;
        for (int i = 0; i < n; i++)
            got += (double)s->p[s->index[i]];
        bool enough = least == 0 || (c->top_k > 0   ? n >= c->top_k
                                     : c->top_p < 1 ? got >= c->top_p * sum
                                                    : (double)least <= c->min_p);
        if (enough)
            break;
    }
    for (int i = 0; i < n; i++)
        s->pick[i] = (struct sample_pick){ s->p[s->index[i]], s->index[i] };
    qsort(s->pick, (size_t)n, sizeof *s->pick, pick_cmp);
    return n;
}

/* How many of the sorted picks the settings let through; never none. */
static int cut(const struct sampling *c, const struct sample_pick *pick, int n, double all)
{
    if (c->top_k > 0 && c->top_k <= n) {
        n = c->top_k;
        all = 0;
        for (int i = 0; i < n; i++)
            all += (double)pick[i].p;
    }
    if (c->top_p < 1) {
        double got = 0;
        int i = 0;
        while (i < n && (i == 0 || got < c->top_p * all))
            got += (double)pick[i++].p;
        n = i;
    }
    while (n > 1 && c->min_p > 0 && (double)pick[n - 1].p < c->min_p * (double)pick[0].p)
        n--;
    return n;
}

static uint32_t draw_any(const float *p, int n, double u)
{
    double got = 0;
    int last = 0;
    for (int i = 0; i < n; i++) {
        if (p[i] > 0)
            last = i;
        got += (double)p[i];
        if (u < got)
            return (uint32_t)i;
    }
    return (uint32_t)last; /* u lay in the rounding of the sum */
}

/* One of the n sorted picks; all: the sum that top_p is a share of. */
static uint32_t draw_pick(const struct sampling *c, const struct sample_pick *pick, int n,
                          double all, double u)
{
    n = cut(c, pick, n, all);
    double sum = 0, got = 0;
    for (int i = 0; i < n; i++)
        sum += (double)pick[i].p;
    for (int i = 0; i < n; i++) {
        got += (double)pick[i].p;
        if (u * sum < got)
            return pick[i].id;
    }
    return pick[n - 1].id;
}

/* The plausible tokens go into s->pick with their scores log p - lambda log p_amateur, up to a
 * constant that all share; *best is the highest. Returns how many. */
static int contrast(const struct decode_kernels *k, struct sample_scratch *s,
                    const struct sampling *c, const float *logits, const float *amateur,
                    int n_vocab, int *best)
{
    float least = k->max(logits, n_vocab) + (float)log(c->contrast_alpha);
    int n = k->at_least(logits, n_vocab, least, s->index, n_vocab);
    *best = 0;
    for (int i = 0; i < n; i++) {
        uint32_t id = s->index[i];
        double score = (double)logits[id] - c->contrast_lambda * (double)amateur[id];
        s->pick[i] = (struct sample_pick){ (float)score, id };
        if (s->pick[i].p > s->pick[*best].p)
            *best = i;
    }
    return n;
}

static uint32_t sample_contrast(const struct decode_kernels *k, struct sample_scratch *s,
                                const struct sampling *c, struct rng *rng, const float *logits,
                                const float *amateur, int n_vocab)
{
    int best, n = contrast(k, s, c, logits, amateur, n_vocab, &best);
    bool greedy = !(c->temperature > 0);
    double u = greedy ? 0 : rng_uniform(rng), all = 0;
    if (n == 0 || !isfinite(s->pick[best].p))
        return arg_max(k, s, logits, n_vocab);
    if (greedy)
        return s->pick[best].id;
    double top = (double)s->pick[best].p;
    for (int i = 0; i < n; i++) {
        s->pick[i].p = (float)exp(((double)s->pick[i].p - top) / c->temperature);
        all += (double)s->pick[i].p;
    }
    qsort(s->pick, (size_t)n, sizeof *s->pick, pick_cmp);
    return draw_pick(c, s->pick, n, all, u);
}

uint32_t sample_token(const struct decode_kernels *k, struct sample_scratch *s,
                      const struct sampling *c, struct rng *rng, float *logits,
                      const float *amateur, int n_vocab, const uint32_t *history, int n_history)
{
    make_room(s, n_vocab);
    if (c->repetition_penalty > 0 && c->repetition_penalty != 1)
        penalise(logits, history, n_history, c->repetition_penalty);
    if (amateur)
        return sample_contrast(k, s, c, rng, logits, amateur, n_vocab);
    if (!(c->temperature > 0))
        return arg_max(k, s, logits, n_vocab);
    double sum =
        k->exp_sum(s->p, logits, n_vocab, k->max(logits, n_vocab), (float)(1 / c->temperature));
    double u = rng_uniform(rng);
    if (!(sum > 0) || !isfinite(sum))
        return arg_max(k, s, logits, n_vocab);
    if (c->top_k <= 0 && !(c->top_p < 1) && !(c->min_p > 0))
        return draw_any(s->p, n_vocab, u * sum);
    int n = gather_picks(k, s, c, n_vocab, sum);
    return draw_pick(c, s->pick, n, sum, u);
}
