/* law/fit.c - see fit.h: starts, polish, bootstrap, errors. */
#include "law/fit.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "law/identify.h"
#include "law/optimize.h"
#include "law/problem.h"
#include "law/stats.h"

enum { MAX_STEP = 2000, MAX_STEP_BOOT = 400, MAX_START = 256 };

struct fit_conf fit_conf_default(void)
{
    return (
        struct fit_conf){ .delta = 1e-3, .n_boot = 1000, .n_start = 16, .level = 0.95, .seed = 1 };
}

void fit_release(struct fit *f)
{
    free(f->boot);
    f->boot = NULL;
}

static size_t n_distinct(const double *v, size_t n)
{
    double *s = NEW_ARRAY(double, n);
    memcpy(s, v, n * sizeof *s);
    sort_numbers(s, n);
    size_t k = n > 0;
    for (size_t i = 1; i < n; i++)
        k += s[i] > s[i - 1] + 1e-9 * fabs(s[i]); /* nearer ones are one value, rounded */
    free(s);
    return k;
}

static enum st check_rows(const struct law *law, const struct fit_data *d, struct err *err)
{
    if (d->n < (size_t)law->n_param)
        return err_set(err, ST_USAGE, "law '%s' has %d parameters, but there are only %zu rows",
                       law->name, law->n_param, d->n);
    for (size_t i = 0; i < d->n; i++) {
        bool ok = d->loss[i] > 0 && d->loss[i] < INFINITY &&
                  (!law->uses_n || (d->n_param[i] > 0 && d->n_param[i] < INFINITY)) &&
                  (!law->uses_d || (d->n_tok[i] > 0 && d->n_tok[i] < INFINITY)) &&
                  (!d->weight || d->weight[i] >= 0);
        if (!ok)
            return err_set(err, ST_USAGE,
                           "row %zu: N, D and loss must be positive and finite (loss %g)", i + 1,
                           d->loss[i]);
    }
    if (law->uses_n && n_distinct(d->n_param, d->n) < 2)
        return err_set(err, ST_USAGE,
                       "law '%s' needs at least 2 model sizes, the rows have one; the law 'data' "
                       "needs one size only",
                       law->name);
    if (law->uses_d && n_distinct(d->n_tok, d->n) < 2)
        return err_set(err, ST_USAGE,
                       "law '%s' needs at least 2 token budgets, the rows have one; the law "
                       "'model' needs one budget only",
                       law->name);
    return ST_OK;
}

/* z = (ln v - mean) / sd: the raw problem has a condition number of millions. */
static void centre(double *z, const double *v, size_t n, double *mean, double *sd)
{
    double m = 0, s = 0;
    for (size_t i = 0; i < n; i++)
        m += z[i] = log(v[i]);
    m /= (double)n;
    for (size_t i = 0; i < n; i++)
        s += (z[i] - m) * (z[i] - m);
    *mean = m;
    *sd = sqrt(s / (double)n);
}

static void scale_rows(const struct law *law, const struct fit_data *d, struct law_scale *s,
                       double *zn, double *zd)
{
    *s = (struct law_scale){ .sd_n = 1, .sd_d = 1 };
    if (law->uses_n)
        centre(zn, d->n_param, d->n, &s->mean_n, &s->sd_n);
    if (law->uses_d)
        centre(zd, d->n_tok, d->n, &s->mean_d, &s->sd_d);
    if (law->tied)
        s->sd_n = s->sd_d = sqrt(s->sd_n * s->sd_d);
    for (size_t i = 0; i < d->n; i++) {
        zn[i] = law->uses_n ? (zn[i] - s->mean_n) / s->sd_n : 0;
        zd[i] = law->uses_d ? (zd[i] - s->mean_d) / s->sd_d : 0;
    }
}

/* Polishes all starts; theta and inverse get the best. */
static void polish(struct fit *f, struct problem *p, int n_start, double *theta, double *inverse)
{
    double(*start)[LAW_PARAM_MAX] = xcalloc((size_t)n_start, sizeof *start);
    double *value = NEW_ARRAY(double, (size_t)n_start), best = INFINITY;
    int n_param = p->law->n_param;
    n_start = problem_starts(p, start, n_start);
    for (int i = 0; i < n_start; i++) {
        double x[LAW_PARAM_MAX], h[OPTIMIZE_MAX * OPTIMIZE_MAX];
        memcpy(x, start[i], sizeof x);
        struct optimum o = optimize(problem_value, p, x, n_param, h, 0, 1e-13, MAX_STEP);
        value[i] = o.value;
        if (o.value < best) {
            best = o.value;
            f->grad_norm = o.grad_norm;
            f->n_param_at_start = 0;
            for (int k = 0; k < n_param; k++)
                f->n_param_at_start += x[k] == start[i][k];
            memcpy(theta, x, sizeof x);
            memcpy(inverse, h, sizeof h);
        }
    }
    /* Where every row is met within a billionth, objectives differ by rounding only. */
    double exact = 0.5 * (double)p->p.n * 1e-18 / problem_scale(p);
    f->n_start = n_start;
    f->objective = best * problem_scale(p);
    f->runner_up = NAN;
    for (int i = 0; i < n_start; i++) {
        double v = value[i] * problem_scale(p);
        if (value[i] <= best * (1 + 1e-5) + exact)
            f->n_start_agree++;
        else if (!(v >= f->runner_up))
            f->runner_up = v;
    }
    free(value);
    free(start);
}

/* The rows of one resample of groups: those drawn, weighted by how often. */
struct resample {
    double *zn, *zd, *ln_loss, *weight;
    double *fitted;  /* losses at the optimum */
    uint32_t *count; /* per group */
    uint32_t *group; /* per row, 0..n_group-1 */
    size_t n_group;
};

struct keyed {
    uint32_t group;
    size_t row;
};

static int by_group(const void *a, const void *b)
{
    const struct keyed *x = a, *y = b;
    if (x->group != y->group)
        return x->group < y->group ? -1 : 1;
    return (x->row > y->row) - (x->row < y->row);
}

/* For each row the first row of its group. The caller frees it. */
static size_t *first_of_groups(const struct fit_data *d)
{
    struct keyed *k = NEW_ARRAY(struct keyed, d->n);
    size_t *first = NEW_ARRAY(size_t, d->n);
    for (size_t i = 0; i < d->n; i++)
        k[i] = (struct keyed){ d->group[i], i };
    qsort(k, d->n, sizeof *k, by_group);
    for (size_t i = 0, head = 0; i < d->n; i++) {
        if (k[i].group != k[head].group)
            head = i;
        first[k[i].row] = k[head].row;
    }
    free(k);
    return first;
}

/* Numbers the groups 0..n_group-1 in order of first appearance. */
static size_t number_groups(uint32_t *group, const struct fit_data *d)
{
    if (!d->group) {
        for (size_t i = 0; i < d->n; i++)
            group[i] = (uint32_t)i;
        return d->n;
    }
    size_t n_group = 0, *first = first_of_groups(d);
    for (size_t i = 0; i < d->n; i++) {
        group[i] = first[i] == i ? (uint32_t)n_group++ : group[first[i]];
    }
    free(first);
    return n_group;
}

/* All rows with new noise about the fitted losses. */
static size_t draw_noise(struct resample *r, const struct problem *all, const struct fit_conf *c,
                         struct rng *rng)
{
    size_t n = all->p.n;
    double sd = sd_draw(rng, c->noise_sd, c->noise_df);
    memcpy(r->zn, all->p.zn, n * sizeof *r->zn);
    memcpy(r->zd, all->p.zd, n * sizeof *r->zd);
    memcpy(r->weight, all->weight, n * sizeof *r->weight);
    for (size_t i = 0; i < n; i++)
        r->ln_loss[i] = log(fmax(r->fitted[i] + sd * rng_normal(rng), 1e-3 * r->fitted[i]));
    return n;
}

static size_t draw(struct resample *r, const struct problem *all, struct rng *rng)
{
    memset(r->count, 0, r->n_group * sizeof *r->count);
    for (size_t i = 0; i < r->n_group; i++)
        r->count[rng_below(rng, r->n_group)]++;
    size_t n = 0;
    for (size_t i = 0; i < all->p.n; i++) {
        uint32_t c = r->count[r->group[i]];
        if (c == 0)
            continue;
        r->zn[n] = all->p.zn[i];
        r->zd[n] = all->p.zd[i];
        r->ln_loss[n] = all->ln_loss[i];
        r->weight[n++] = all->weight[i] * c;
    }
    return n;
}

/* Enough different sizes and budgets left to fit the law at all? */
static bool can_fit(const struct law *law, const struct resample *r, size_t n)
{
    return (!law->uses_n || n_distinct(r->zn, n) >= 2) &&
           (!law->uses_d || n_distinct(r->zd, n) >= 2);
}

static bool all_finite(const double *v, int n)
{
    for (int i = 0; i < n; i++)
        if (!isfinite(v[i]))
            return false;
    return true;
}

static void bootstrap(struct fit *f, const struct problem *all, const struct law_scale *s,
                      const struct fit_data *d, const struct fit_conf *c, const double *theta,
                      const double *inverse)
{
    size_t n = d->n;
    int n_param = f->law->n_param;
    struct resample r = { .zn = NEW_ARRAY(double, n),
                          .zd = NEW_ARRAY(double, n),
                          .ln_loss = NEW_ARRAY(double, n),
                          .weight = NEW_ARRAY(double, n),
                          .fitted = NEW_ARRAY(double, n),
                          .count = NEW_ARRAY(uint32_t, n),
                          .group = NEW_ARRAY(uint32_t, n) };
    f->n_group = r.n_group = number_groups(r.group, d);
    f->boot = NEW_ARRAY(double, c->n_boot *(size_t)n_param + 1);
    f->law->eval(theta, &all->p, r.fitted, NULL);
    struct problem p = *all;
    p.p.zn = r.zn;
    p.p.zd = r.zd;
    p.ln_loss = r.ln_loss;
    p.weight = r.weight;
    for (size_t b = 0; b < c->n_boot; b++) {
        struct rng rng;
        rng_init(&rng, c->seed, "bootstrap of a law", b);
        p.p.n = c->noise_sd > 0 ? draw_noise(&r, all, c, &rng) : draw(&r, all, &rng);
        double x[LAW_PARAM_MAX], h[OPTIMIZE_MAX * OPTIMIZE_MAX];
        memcpy(x, theta, sizeof x);
        memcpy(h, inverse, sizeof h);
        if (!can_fit(f->law, &r, p.p.n) ||
            !(optimize(problem_value, &p, x, n_param, h, 1, 1e-10, MAX_STEP_BOOT).value <
              INFINITY)) {
            f->n_boot_failed++;
            continue;
        }
        double *param = f->boot + f->n_boot * (size_t)n_param;
        law_natural(f->law, param, x, s);
        if (all_finite(param, n_param))
            f->n_boot++;
        else
            f->n_boot_failed++;
    }
    free(r.zn);
    free(r.zd);
    free(r.ln_loss);
    free(r.weight);
    free(r.fitted);
    free(r.count);
    free(r.group);
}

static void intervals(struct fit *f, double level)
{
    size_t n_param = (size_t)f->law->n_param;
    double *v = NEW_ARRAY(double, f->n_boot + 1);
    for (size_t k = 0; k < n_param; k++) {
        for (size_t b = 0; b < f->n_boot; b++)
            v[b] = f->boot[b * n_param + k];
        sort_numbers(v, f->n_boot);
        f->lo[k] = quantile_sorted(v, f->n_boot, (1 - level) / 2);
        f->hi[k] = quantile_sorted(v, f->n_boot, (1 + level) / 2);
    }
    free(v);
}

static void residuals(struct fit *f, const struct fit_data *d)
{
    struct fit_error e;
    fit_error(&e, f->law, f->param, d);
    f->mrae = e.mrae;
    f->bias = e.bias;
    double s = 0;
    for (size_t i = 0; i < d->n; i++) {
        double pred = law_predict(f->law, f->param, f->law->uses_n ? d->n_param[i] : 1,
                                  f->law->uses_d ? d->n_tok[i] : 1);
        s += pow(log(pred / d->loss[i]), 2);
    }
    f->rmse_log = sqrt(s / (double)d->n);
}

enum st fit_law(struct fit *out, const struct law *law, const struct fit_data *d,
                const struct fit_conf *c, struct err *err)
{
    memset(out, 0, sizeof *out);
    enum st st = check_rows(law, d, err);
    if (st < 0)
        return st;
    if (c->n_start < 1 || c->n_start > MAX_START || !(c->delta > 0))
        return err_set(err, ST_USAGE, "want 1..%d starts and a positive delta", MAX_START);
    out->law = law;
    out->n_row = out->n_group = d->n;
    size_t n = d->n;
    double *zn = NEW_ARRAY(double, n), *zd = NEW_ARRAY(double, n), *ln_loss = NEW_ARRAY(double, n),
           *weight = NEW_ARRAY(double, n);
    struct law_scale scale;
    scale_rows(law, d, &scale, zn, zd);
    for (size_t i = 0; i < n; i++) {
        ln_loss[i] = log(d->loss[i]);
        weight[i] = d->weight ? d->weight[i] : 1;
    }
    struct problem p = { .law = law,
                         .p = { .n = n, .zn = zn, .zd = zd },
                         .ln_loss = ln_loss,
                         .weight = weight,
                         .delta = c->delta,
                         .pred = NEW_ARRAY(double, n),
                         .jac = NEW_ARRAY(double, n *(size_t)law->n_param) };
    double theta[LAW_PARAM_MAX], inverse[OPTIMIZE_MAX * OPTIMIZE_MAX];
    polish(out, &p, c->n_start, theta, inverse);
    if (out->n_start == 0 || !(out->objective < INFINITY)) {
        st = err_set(err, ST_USAGE, "law '%s' has no finite value on these rows", law->name);
        goto out;
    }
    law_natural(law, out->param, theta, &scale);
    if (!all_finite(out->param, law->n_param)) { /* A/N^alpha with an exponent of 50 and more */
        st = err_set(err, ST_USAGE,
                     "law '%s': the losses fall faster than a power law; sizes or budgets further "
                     "apart would tell",
                     law->name);
        goto out;
    }
    residuals(out, d);
    if (c->n_boot > 0)
        bootstrap(out, &p, &scale, d, c, theta, inverse);
    intervals(out, c->level);
    identify(out, &p, &scale, theta, !c->no_profile);
out:
    free(zn);
    free(zd);
    free(ln_loss);
    free(weight);
    free(p.pred);
    free(p.jac);
    return st;
}

void fit_predict(const struct fit *f, double n, double d, double level, double *loss, double *lo,
                 double *hi)
{
    size_t n_param = (size_t)f->law->n_param;
    double *v = NEW_ARRAY(double, f->n_boot + 1);
    *loss = law_predict(f->law, f->param, n, d);
    for (size_t b = 0; b < f->n_boot; b++)
        v[b] = law_predict(f->law, f->boot + b * n_param, n, d);
    sort_numbers(v, f->n_boot);
    *lo = quantile_sorted(v, f->n_boot, (1 - level) / 2);
    *hi = quantile_sorted(v, f->n_boot, (1 + level) / 2);
    free(v);
}

void fit_error(struct fit_error *e, const struct law *law, const double *param,
               const struct fit_data *d)
{
    *e = (struct fit_error){ .n = d->n };
    for (size_t i = 0; i < d->n; i++) {
        double pred =
            law_predict(law, param, law->uses_n ? d->n_param[i] : 1, law->uses_d ? d->n_tok[i] : 1);
        e->bias += 100 * (pred / d->loss[i] - 1);
        e->mrae += 100 * fabs(pred / d->loss[i] - 1);
    }
    e->bias = d->n ? e->bias / (double)d->n : NAN;
    e->mrae = d->n ? e->mrae / (double)d->n : NAN;
}
