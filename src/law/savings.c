/* law/savings.c - what the same loss would have cost without synthetic text, and when making it
 * pays. */
#include "law/advice.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "law/stats.h"

/* Tokens beyond this multiple of what was trained are extrapolation, not advice. */
static const double MAX_REACH = 10;

void advice_fit_natural(struct advice *a)
{
    const struct runs *r = &a->runs;
    double *d = NEW_ARRAY(double, r->n), *loss = NEW_ARRAY(double, r->n);
    struct fit_data data = { .n_tok = d, .loss = loss };
    struct fit_conf conf = fit_conf_default();
    struct err err;
    size_t n_budget = 0;
    conf.n_boot = a->conf->n_boot ? a->conf->n_boot : 1000;
    conf.level = a->level;
    conf.seed = a->conf->seed;
    conf.no_profile = true;
    /* A few seeds of one size are too few to be drawn again: the noise of all arms is drawn
     * instead. */
    conf.noise_sd = a->point.noise.sd_seed;
    conf.noise_df = a->point.noise.df_seed;
    for (size_t i = 0; i < r->n; i++) {
        const struct runs_run *x = &r->run[i];
        bool fresh = true;
        if (r->arm[x->arm].role != ARM_NATURAL || !same_size(x->n, a->point.n))
            continue;
        for (size_t j = 0; j < data.n && fresh; j++)
            fresh = !same_budget(d[j], x->d);
        n_budget += fresh;
        d[data.n] = x->d;
        loss[data.n++] = x->loss;
    }
    if (n_budget < MIN_BUDGETS)
        snprintf(a->no_law, sizeof a->no_law, "natural has %zu budgets at this size, want %d",
                 n_budget, MIN_BUDGETS);
    else if (fit_law(&a->law, law_find("data"), &data, &conf, &err) == ST_OK)
        a->has_law = true;
    else
        snprintf(a->no_law, sizeof a->no_law, "%.250s", err.msg);
    free(d);
    free(loss);
}

/* Natural tokens for a loss that is the mean of n_run, with an interval in which law and loss vary;
 * NAN and why when it is out of reach. */
double advice_natural_tokens(const struct advice *a, double loss, size_t n_run, double *lo,
                             double *hi, const char **why)
{
    const struct noise *noise = &a->point.noise;
    const struct fit *f = &a->law;
    double limit = MAX_REACH * a->point.d, v;
    *lo = *hi = NAN;
    *why = a->no_law;
    if (!a->has_law)
        return NAN;
    /* Arms share their seeds, so what is known best is the difference to natural's measured mean.
     */
    double gap = loss - a->point.arm[a->runs.natural].mean;
    v = law_tokens_for(f->law, f->param, a->point.n,
                       law_predict(f->law, f->param, a->point.n, a->point.d) + gap);
    if (!(v <= limit)) {
        *why = "beyond ten times the trained tokens, where natural's law says nothing sure";
        return NAN;
    }
    double *draw = NEW_ARRAY(double, f->n_boot + 1);
    bool paired = noise->df_pair > 0;
    double sd = paired ? noise->sd_pair : noise->sd_seed,
           df = paired ? noise->df_pair : noise->df_seed;
    for (size_t b = 0; b < f->n_boot; b++) {
        const double *param = f->boot + b * (size_t)f->law->n_param;
        struct rng rng;
        rng_init(&rng, a->conf->seed, "gap to natural", b);
        double drawn = df > 0 ? sd_draw(&rng, sd, df) * sqrt(2 / (double)n_run) : 0;
        draw[b] = law_tokens_for(f->law, param, a->point.n,
                                 law_predict(f->law, param, a->point.n, a->point.d) + gap +
                                     drawn * rng_normal(&rng));
    }
    sort_numbers(draw, f->n_boot);
    *lo = quantile_sorted(draw, f->n_boot, (1 - a->level) / 2);
    *hi = quantile_sorted(draw, f->n_boot, (1 + a->level) / 2);
    if (!(*hi <= limit))
        *hi = NAN; /* no upper bound */
    free(draw);
    return v;
}

static double median_speed(const struct advice *a)
{
    const double *speed = table_num(a->runs.t, "tok_per_s");
    double *v = NEW_ARRAY(double, a->runs.n + 1);
    size_t n = 0;
    for (size_t i = 0; speed && i < a->runs.n; i++)
        if (same_size(a->runs.run[i].n, a->point.n) && speed[a->runs.run[i].row] > 0)
            v[n++] = speed[a->runs.run[i].row];
    sort_numbers(v, n);
    double m = quantile_sorted(v, n, 0.5);
    free(v);
    return m;
}

/* Passes over an arm's synthetic text in a run at the point; NAN when the table does not say. */
static double epochs_of(const struct advice *a, int arm)
{
    const double *epoch = table_num(a->runs.t, "n_epoch_synth");
    for (size_t i = 0; epoch && i < a->runs.n; i++)
        if (a->runs.run[i].arm == arm && run_is_at(&a->runs.run[i], &a->point))
            return epoch[a->runs.run[i].row];
    return NAN;
}

/* Training tokens from which on the saved training pays for making or buying the kind's text once.
 */
double advice_breakeven(struct advice *a, int arm, double tokens_saved)
{
    static const double max_epochs = 4;
    const char *kind = a->runs.arm[arm].kind;
    const struct advise_conf *c = a->conf;
    const struct advise_cost *cost = NULL;
    for (size_t i = 0; i < c->n_cost; i++)
        if (strcmp(c->cost[i].kind, kind) == 0)
            cost = &c->cost[i];
    bool priced = c->price_in > 0 || c->price_out > 0 || (cost && cost->price > 0);
    const char *why = NULL;
    double speed = median_speed(a);
    if (!priced || !(c->gpu_hour > 0))
        why = "--price-in or --price-out, and --gpu-hour are not given";
    else if (!cost)
        why = "how many tokens were generated is not known";
    else if (!(speed > 0))
        why = "the runs have no tok_per_s";
    else if (!(tokens_saved > 0))
        why = "no tokens are saved";
    if (why) {
        if (priced || c->gpu_hour > 0)
            advice_reason(a, "no break-even point: %s", why);
        return NAN;
    }
    double price = ((c->price_in > 0 ? c->price_in * cost->tokens_in : 0) +
                    (c->price_out > 0 ? c->price_out * cost->tokens_out : 0)) /
                   1e6;
    if (!(price > 0)) /* nothing was generated for it, or no price was given: what it did cost */
        price = cost->price;
    double per_token = c->gpu_hour / (3600 * speed);
    double even = price / (per_token * tokens_saved / a->point.d);
    double epochs = epochs_of(a, arm) * even / a->point.d;
    if (epochs > max_epochs)
        advice_reason(
            a,
            "at the break-even point the text that was made would be repeated %.3g times; over "
            "%g it is worth less, so more would have to be made",
            epochs, max_epochs);
    return even;
}
