/* tests/generate/sampling.c - which tokens may come and how often, against a plain full sort. */
#include <math.h>

#include "base/mem.h"
#include "base/rng.h"
#include "generate_tests.h"
#include "model/sample.h"

enum { VOCAB = 3000, DRAWS = 20000 };

struct entry {
    double p;
    uint32_t id;
};

static int entry_cmp(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    if (x->p != y->p)
        return x->p > y->p ? -1 : 1;
    return x->id < y->id ? -1 : 1;
}

/* Probabilities after penalty, temperature, top-k, top-p and min-p, by the definition. */
static void expected(double *p, const float *logits, const struct sampling *c,
                     const uint32_t *history, int n_history)
{
    struct entry e[VOCAB];
    double sum = 0, got = 0;
    for (uint32_t i = 0; i < VOCAB; i++) {
        double l = (double)logits[i];
        for (int h = 0; h < n_history; h++)
            if (history[h] == i) {
                l = c->repetition_penalty == 0 ? l
                    : l > 0                    ? l / c->repetition_penalty
                                               : l * c->repetition_penalty;
                break;
            }
        e[i] = (struct entry){ exp(l / c->temperature), i };
    }
    qsort(e, VOCAB, sizeof *e, entry_cmp);
    int n = c->top_k > 0 ? c->top_k : VOCAB;
    for (int i = 0; i < n; i++)
        sum += e[i].p;
    for (int i = 0; i < n && c->top_p < 1; i++)
        if ((got += e[i].p) >= c->top_p * sum)
            n = i + 1;
    while (n > 1 && e[n - 1].p < c->min_p * e[0].p)
        n--;
    sum = 0;
    for (int i = 0; i < n; i++)
        sum += e[i].p;
    memset(p, 0, VOCAB * sizeof *p);
    for (int i = 0; i < n; i++)
        p[e[i].id] = e[i].p / sum;
}

void test_sampling(void)
{
    static const struct sampling conf[] = {
        { .temperature = 1, .top_p = 1 },
        { .temperature = 0.7, .top_p = 0.9 },
        { .temperature = 2.5, .top_p = 0.999 },
        { .temperature = 1, .top_p = 1, .top_k = 40 },
        { .temperature = 1, .top_p = 0.5, .top_k = 200, .min_p = 0.1 },
        { .temperature = 1.3, .top_p = 1, .min_p = 0.02 },
        { .temperature = 0.9, .top_p = 0.95, .repetition_penalty = 1.5 },
    };
    const struct decode_kernels *k;
    struct err err = { "" };
    NEED(decode_kernels(&k, &err) == ST_OK, "%s", err.msg);
    struct sample_scratch scratch = { 0 };
    struct rng rng;
    static float logits[VOCAB], work[VOCAB];
    static double want[VOCAB];
    static int count[VOCAB];
    rng_init(&rng, 1, "logits", 0);
    for (int i = 0; i < VOCAB; i++)
        logits[i] = (float)(2.5 * rng_normal(&rng));
    logits[17] = logits[18] = 9; /* a tie */
    uint32_t history[] = { 17, 5, 17 };
    for (size_t c = 0; c < N_OF(conf); c++) {
        expected(want, logits, &conf[c], history, N_OF(history));
        memset(count, 0, sizeof count);
        for (int d = 0; d < DRAWS; d++) {
            memcpy(work, logits, sizeof work);
            count[sample_token(k, &scratch, &conf[c], &rng, work, NULL, VOCAB, history,
                               N_OF(history))]++;
        }
        double chi2 = 0, rest_want = 0;
        int n_class = 0, rest = 0;
        int n_wrong = 0;
        for (int i = 0; i < VOCAB; i++) {
            n_wrong += want[i] > 0 ? 0 : count[i];
            double e = want[i] * DRAWS;
            if (e < 5) {
                rest += count[i];
                rest_want += e;
                continue;
            }
            chi2 += (count[i] - e) * (count[i] - e) / e;
            n_class++;
        }
        if (rest_want > 5) {
            chi2 += (rest - rest_want) * (rest - rest_want) / rest_want;
            n_class++;
        }
        CHECK(n_wrong == 0, "settings %zu: %d draws of tokens that must not come", c, n_wrong);
        double limit = n_class + 5 * sqrt(2.0 * n_class) + 10;
        CHECK(chi2 < limit, "settings %zu: chi square %g in %d classes", c, chi2, n_class);
    }
    logits[17] = logits[18] = 50;
    struct sampling greedy = { .temperature = 0 };
    CHECK(sample_token(k, &scratch, &greedy, &rng, logits, NULL, VOCAB, NULL, 0) == 17,
          "a tie goes to the lower id");
    for (int i = 0; i < VOCAB; i++)
        logits[i] = NAN;
    CHECK(sample_token(k, &scratch, &greedy, &rng, logits, NULL, VOCAB, NULL, 0) < VOCAB,
          "all NaN");
    CHECK(sample_token(k, &scratch, &conf[1], &rng, logits, NULL, VOCAB, NULL, 0) < VOCAB,
          "all NaN");
    sample_scratch_release(&scratch);
}
