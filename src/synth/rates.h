/*
 * synth/rates.h - what became of the answers: counts by verdict and variant, means of the measures,
 * and the judgement whether the generator is too weak for the recipe.
 *
 * "raw" rates are about answers as they came, before preambles were stripped, loops cut and
 * sentences dropped: they describe the generator. The rates of verdicts describe what was kept.
 */
#ifndef MIXLAW_SYNTH_RATES_H
#define MIXLAW_SYNTH_RATES_H

#include "base/str.h"
#include "synth/verdict.h"

struct mean {
    double sum, sum2;
    uint64_t n;
};
void mean_add(struct mean *m, double x); /* NaN is left out */
double mean_value(const struct mean *m);
double mean_sd(const struct mean *m); /* sample standard deviation, NaN under two */

struct rates {
    uint64_t n, verdict[V_N];
    uint64_t n_length, n_meta, n_loop, n_refusal, n_leak, n_copy; /* of raw answers */
    uint64_t n_cut, n_cut_loop, n_meta_dropped, n_stripped;       /* of documents */
    struct mean raw_copied, copied, ratio;
    struct mean raw_survives[SURVIVE_N], survives[SURVIVE_N]; /* survival.h */
};
void rates_add(struct rates *s, const struct recipe *r, const struct answer *a);
struct js *rates_json(const struct rates *s);
uint64_t rates_answered(const struct rates *s); /* all but failed ones */

/* Reasons why the generator is too weak, one line each; none: it is not. Under 16 answers: none. */
void rates_weak(const struct rates *s, const struct recipe *r, struct strlist *reasons);

#endif
