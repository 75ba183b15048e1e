/* law/judge.c - how a fit stands to its rows and beyond them: input, residuals, hold-out, derived
 * numbers. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "law/stats.h"
#include "law/summary_parts.h"

struct js *judge_params(const struct fit *f)
{
    struct js *o = js_object();
    for (int k = 0; k < f->law->n_param; k++) {
        struct js *p = js_object();
        js_put_real(p, "value", f->param[k]);
        js_put_real(p, "lo", f->lo[k]);
        js_put_real(p, "hi", f->hi[k]);
        js_put(o, f->law->param[k], p);
    }
    return o;
}

static struct js *error_json(const struct fit_error *e)
{
    struct js *o = js_object();
    js_put_real(o, "mrae", e->mrae);
    js_put_real(o, "bias", e->bias);
    js_put_whole(o, "n", (int64_t)e->n);
    return o;
}

/* --- input --- */

static struct js *range_json(const double *v, size_t n)
{
    struct js *o = js_object();
    double lo = INFINITY, hi = -INFINITY;
    for (size_t i = 0; i < n; i++) {
        lo = fmin(lo, v[i]);
        hi = fmax(hi, v[i]);
    }
    js_put_real(o, "min", lo);
    js_put_real(o, "max", hi);
    js_put_whole(o, "n_distinct", (int64_t)rows_n_values(v, n));
    return o;
}

/* How many different numbers: names such as seeds, for which near is not the same. Sorts v. */
static size_t count_names(double *v, size_t n)
{
    size_t k = 0;
    sort_numbers(v, n);
    for (size_t i = 0; i < n; i++)
        k += i == 0 || v[i] != v[i - 1];
    return k;
}

struct js *judge_input(const struct rows *r)
{
    struct fit_data d;
    struct js *o = js_object();
    const double *seed = table_num(r->t, "seed");
    size_t n_domain = 0, n_seed = 0;
    rows_part(&d, r, -1, 0);
    double *ratio = NEW_ARRAY(double, d.n + 1), *seeds = NEW_ARRAY(double, d.n + 1);
    for (size_t i = 0; i < d.n; i++) {
        ratio[i] = d.n_tok[i] / d.n_param[i];
        if (seed && !isnan(seed[r->row[i]]))
            seeds[n_seed++] = seed[r->row[i]];
    }
    for (size_t c = 0; c < r->t->n_col; c++)
        n_domain += strncmp(r->t->col[c].name, "loss_", 5) == 0;
    if (r->col_n)
        js_put(o, "N", range_json(d.n_param, d.n));
    if (r->col_d)
        js_put(o, "D", range_json(d.n_tok, d.n));
    if (r->col_n && r->col_d)
        js_put(o, "D_per_N", range_json(ratio, d.n));
    js_put(o, "loss", range_json(d.loss, d.n));
    js_put_text(o, "N_counts",
                !r->name_n                                 ? NULL
                : strcmp(r->name_n, "n_param_nonemb") == 0 ? "parameters without embeddings"
                : strcmp(r->name_n, "n_param") == 0        ? "parameters with embeddings"
                                                           : "as the column has it");
    js_put_text(o, "flop_rule", "6 N D");
    js_put_whole(o, "n_seeds", (int64_t)count_names(seeds, n_seed));
    js_put_whole(o, "n_runs", (int64_t)rows_n_groups(r));
    js_put_whole(o, "n_domains", (int64_t)n_domain);
    free(ratio);
    free(seeds);
    rows_part_release(&d);
    return o;
}

/* --- residuals --- */

/* Rows beyond which what compares all pairs is left out. */
enum { MAX_PAIRED = 5000 };

/* The rows that the fit misses most. */
static struct js *worst_json(const struct rows *r, const struct fit *f)
{
    enum { N_WORST = 5 };
    struct js *list = js_array();
    bool *listed = NEW_ARRAY(bool, r->n + 1);
    char *const *run_id = table_text(r->t, "run_id");
    for (size_t k = 0; k < N_WORST && k < r->n; k++) {
        size_t worst = 0;
        double most = -1, signed_error = 0;
        for (size_t i = 0; i < r->n; i++) {
            size_t row = r->row[i];
            double pred = law_predict(f->law, f->param, r->col_n ? r->col_n[row] : 1,
                                      r->col_d ? r->col_d[row] : 1);
            double e = 100 * (pred / r->col_loss[row] - 1);
            if (!listed[i] && fabs(e) > most) {
                most = fabs(e);
                signed_error = e;
                worst = i;
            }
        }
        listed[worst] = true;
        struct js *o = js_object();
        js_put_whole(o, "line", (int64_t)r->t->line[r->row[worst]]);
        if (run_id)
            js_put_textn(o, "run_id", run_id[r->row[worst]], strlen(run_id[r->row[worst]]));
        js_put_real(o, "error_percent", signed_error);
        js_push(list, o);
    }
    free(listed);
    return list;
}

static double correlation(const double *x, const double *y, size_t n)
{
    double mx = 0, my = 0, xx = 0, yy = 0, xy = 0;
    for (size_t i = 0; i < n; i++) {
        mx += x[i] / (double)n;
        my += y[i] / (double)n;
    }
    for (size_t i = 0; i < n; i++) {
        xx += (x[i] - mx) * (x[i] - mx);
        yy += (y[i] - my) * (y[i] - my);
        xy += (x[i] - mx) * (y[i] - my);
    }
    return xx > 0 && yy > 0 ? xy / sqrt(xx * yy) : NAN;
}

/* Correlation of the log residuals with where the rows lie: what the law does not follow. */
static struct js *trends_json(const struct rows *r, const struct fit_data *d,
                              const double *residual)
{
    static const char *const name[] = { "ln_N", "ln_D", "ln_D_per_N", "ln_C" };
    struct js *o = js_object();
    double *x = NEW_ARRAY(double, d->n + 1);
    for (size_t k = 0; k < N_OF(name); k++) {
        if ((k != 1 && !r->col_n) || (k != 0 && !r->col_d))
            continue;
        for (size_t i = 0; i < d->n; i++) {
            double ln_n = log(d->n_param[i]), ln_d = log(d->n_tok[i]);
            x[i] = k == 0 ? ln_n : k == 1 ? ln_d : k == 2 ? ln_d - ln_n : ln_n + ln_d;
        }
        js_put_real(o, name[k], correlation(x, residual, d->n));
    }
    free(x);
    return o;
}

/* S.d. of ln loss between rows of the same N and D, which no law can explain. */
static double repeat_noise(const struct fit_data *d)
{
    double squares = 0, df = 0;
    if (d->n > MAX_PAIRED)
        return NAN;
    bool *done = NEW_ARRAY(bool, d->n + 1);
    for (size_t i = 0; i < d->n; i++) {
        double sum = 0, sum2 = 0, n = 0;
        for (size_t j = i; j < d->n && !done[i]; j++)
            if (!done[j] && fabs(d->n_param[j] / d->n_param[i] - 1) < 1e-3 &&
                fabs(d->n_tok[j] / d->n_tok[i] - 1) < 1e-3) {
                double v = log(d->loss[j] / d->loss[i]);
                sum += v;
                sum2 += v * v;
                n++;
                done[j] = j > i;
            }
        if (n > 1) {
            squares += sum2 - sum * sum / n;
            df += n - 1;
        }
    }
    free(done);
    return df > 0 ? sqrt(fmax(squares, 0) / df) : NAN;
}

/* How much the prediction at the largest N and D moves without the row of least or most N D,
 * percent. */
static struct js *influence_json(const struct fit_data *d, const struct fit *f,
                                 const struct fit_conf *conf, double n, double tok)
{
    struct js *o = js_object();
    struct fit_conf quick = *conf;
    quick.n_boot = 0;
    quick.no_profile = true;
    for (int most = 0; most < 2; most++) {
        size_t drop = 0, k = 0;
        for (size_t i = 1; i < d->n; i++) {
            double c = d->n_param[i] * d->n_tok[i], best = d->n_param[drop] * d->n_tok[drop];
            if (most ? c > best : c < best)
                drop = i;
        }
        double *v = NEW_ARRAY(double, 3 * d->n + 1), shift = NAN;
        for (size_t i = 0; i < d->n; i++)
            if (i != drop) {
                v[k] = d->n_param[i];
                v[d->n + k] = d->n_tok[i];
                v[2 * d->n + k++] = d->loss[i];
            }
        struct fit_data rest = { .n = k, .n_param = v, .n_tok = v + d->n, .loss = v + 2 * d->n };
        struct fit g;
        struct err err; /* too few rows are left: the influence is not known */
        if (fit_law(&g, f->law, &rest, &quick, &err) == ST_OK) {
            shift =
                100 *
                (law_predict(f->law, g.param, n, tok) / law_predict(f->law, f->param, n, tok) - 1);
            fit_release(&g);
        }
        js_put_real(o, most ? "most_compute" : "least_compute", shift);
        free(v);
    }
    return o;
}

static void largest(const struct fit_data *d, double *n, double *tok)
{
    *n = *tok = 0;
    for (size_t i = 0; i < d->n; i++) {
        *n = fmax(*n, d->n_param[i]);
        *tok = fmax(*tok, d->n_tok[i]);
    }
}

struct js *judge_residuals(const struct rows *r, const struct fit *f, const struct fit_conf *conf)
{
    struct js *o = js_object();
    struct fit_data d;
    double n, tok;
    rows_part(&d, r, -1, 0);
    largest(&d, &n, &tok);
    double *residual = NEW_ARRAY(double, d.n + 1), noise = repeat_noise(&d);
    for (size_t i = 0; i < d.n; i++)
        residual[i] = log(law_predict(f->law, f->param, d.n_param[i], d.n_tok[i]) / d.loss[i]);
    js_put(o, "worst", worst_json(r, f));
    js_put(o, "trends", trends_json(r, &d, residual));
    js_put_real(o, "noise_log", noise);
    js_put_real(o, "rmse_per_noise", noise > 0 ? f->rmse_log / noise : NAN);
    js_put(o, "influence_percent", influence_json(&d, f, conf, n, tok));
    free(residual);
    rows_part_release(&d);
    return o;
}

/* --- derived numbers --- */

static void put_interval(struct js *o, const char *key, double value, double *draw, size_t n,
                         double level)
{
    struct js *p = js_object();
    sort_numbers(draw, n);
    js_put_real(p, "value", value);
    js_put_real(p, "lo", quantile_sorted(draw, n, (1 - level) / 2));
    js_put_real(p, "hi", quantile_sorted(draw, n, (1 + level) / 2));
    js_put(o, key, p);
}

/* The loss at the largest N and D with its prediction interval (bootstrap and residual noise), and
 * for laws of both the exponent of the best N in compute, beta / (alpha + beta). */
struct js *judge_derived(const struct rows *r, const struct fit *f, const struct fit_conf *conf)
{
    struct js *o = js_object();
    struct fit_data d;
    double n, tok, *draw = NEW_ARRAY(double, f->n_boot + 1);
    size_t n_param = (size_t)f->law->n_param;
    int a = law_index(f->law, LAW_ALPHA), b = law_index(f->law, LAW_BETA);
    rows_part(&d, r, -1, 0);
    largest(&d, &n, &tok);
    /* Fitted parameters make residuals too small. */
    double left = (double)d.n - f->law->n_param,
           sd = left > 0 ? f->rmse_log * sqrt((double)d.n / left) : NAN;
    for (size_t k = 0; k < f->n_boot; k++) {
        struct rng rng;
        rng_init(&rng, conf->seed, "residual of a law", k);
        draw[k] = law_predict(f->law, f->boot + k * n_param, n, tok) *
                  exp(isnan(sd) ? 0 : sd * rng_normal(&rng));
    }
    js_put_real(o, "N", r->col_n ? n : NAN);
    js_put_real(o, "D", r->col_d ? tok : NAN);
    put_interval(o, "loss", law_predict(f->law, f->param, n, tok), draw, f->n_boot, conf->level);
    if (a >= 0 && b >= 0) {
        for (size_t k = 0; k < f->n_boot; k++) {
            const double *p = f->boot + k * n_param;
            draw[k] = p[b] / (p[a] + p[b]);
        }
        put_interval(o, "best_N_exponent", f->param[b] / (f->param[a] + f->param[b]), draw,
                     f->n_boot, conf->level);
    }
    free(draw);
    rows_part_release(&d);
    return o;
}

/* --- beyond the rows --- */

/* What one knows without a law: the mean loss of the nearest fitted rows in ln N and ln D. */
static double nearest_loss(const struct fit_data *in, double n, double tok)
{
    double best = INFINITY, sum = 0, count = 0;
    for (size_t i = 0; i < in->n; i++) {
        double far = hypot(log(in->n_param[i] / n), log(in->n_tok[i] / tok));
        if (far < best - 1e-3) {
            best = far;
            sum = count = 0;
        }
        if (far < best + 1e-3) {
            sum += in->loss[i];
            count++;
        }
    }
    return sum / count;
}

static double largest_compute(const struct fit_data *d)
{
    double c = 0;
    for (size_t i = 0; i < d->n; i++)
        c = fmax(c, d->n_param[i] * d->n_tok[i]);
    return c;
}

/* Group numbers are below n_row. */
static bool shares_runs(const struct fit_data *in, const struct fit_data *out, size_t n_row)
{
    bool *fitted = NEW_ARRAY(bool, n_row + 1), any = false;
    for (size_t i = 0; i < in->n && in->group; i++)
        fitted[in->group[i]] = true;
    for (size_t i = 0; i < out->n && out->group; i++)
        any |= fitted[out->group[i]];
    free(fitted);
    return any;
}

static void put_reach(struct js *o, const struct rows *r, const struct fit_data *in,
                      const struct fit_data *out, struct js *warnings)
{
    double baseline = 0, reach = largest_compute(out) / largest_compute(in);
    if (in->n > MAX_PAIRED || out->n > MAX_PAIRED)
        baseline = NAN;
    for (size_t i = 0; i < out->n && !isnan(baseline); i++)
        baseline += 100 *
                    fabs(nearest_loss(in, out->n_param[i], out->n_tok[i]) / out->loss[i] - 1) /
                    (double)out->n;
    js_put_real(o, "baseline_mrae", baseline);
    js_put_real(o, "reach", reach);
    if (js_get_real(o, "mrae", 0) > baseline)
        warn(warnings,
             "held out, the law is no better than the nearest measured loss (%.3g %% against "
             "%.3g %%)",
             js_get_real(o, "mrae", 0), baseline);
    if (reach > 10)
        warn(warnings, "held-out rows have %.3g times the largest fitted compute", reach);
    if (shares_runs(in, out, r->t->n_row))
        warn(warnings,
             "held-out rows share their %s with fitted ones (branches of one trunk): they are not "
             "independent, new runs will be predicted worse",
             r->group_name);
}

/* Fits the rows outside and judges those inside the hold-out. */
struct js *judge_hold_out(const struct rows *r, const struct law *law, const struct fit_conf *conf,
                          struct js *warnings)
{
    struct fit_data in, out;
    struct fit f;
    struct err err;
    struct js *o;
    struct fit_conf quick = *conf;
    quick.n_boot = 0;
    quick.no_profile = true;
    rows_part(&in, r, 0, 0);
    rows_part(&out, r, 1, 0);
    size_t n_size = rows_n_values(in.n_param, in.n), n_budget = rows_n_values(in.n_tok, in.n);
    bool ok = out.n > 0 && law_is_determined(law, n_size, n_budget);
    if (out.n == 0)
        (void)err_set(&err, ST_USAGE, "no row of this fit is held out");
    else if (!ok)
        (void)err_set(&err, ST_USAGE,
                      "%zu sizes and %zu budgets are left, which do not determine the law", n_size,
                      n_budget);
    if (ok && fit_law(&f, law, &in, &quick, &err) == ST_OK) {
        struct fit_error e;
        fit_error(&e, law, f.param, &out);
        o = error_json(&e);
        js_put_whole(o, "n_fitted", (int64_t)in.n);
        put_reach(o, r, &in, &out, warnings);
        js_put(o, "params", judge_params(&f));
        fit_release(&f);
    } else {
        o = js_object();
        js_put_whole(o, "n", (int64_t)out.n);
        js_put_text(o, "error", err.msg);
    }
    rows_part_release(&in);
    rows_part_release(&out);
    return o;
}

/* Each size predicted from the others; NULL with fewer than 3 sizes or more than 12. */
struct js *judge_sizes(const struct rows *r, const struct law *law, const struct fit_conf *conf)
{
    size_t n_size = rows_distinct(r, r->col_n);
    if (!law->uses_n || n_size < 3 || n_size > 12)
        return NULL;
    struct fit_conf quick = *conf;
    quick.n_boot = 0;
    quick.no_profile = true;
    struct fit_error total = { .n = 0 };
    double *done = NEW_ARRAY(double, n_size);
    size_t n_done = 0;
    bool ok = true;
    for (size_t i = 0; i < r->n && n_done < n_size && ok; i++) {
        double size = r->col_n[r->row[i]];
        size_t j = 0;
        while (j < n_done && fabs(done[j] / size - 1) > 1e-3)
            j++;
        if (j < n_done)
            continue;
        done[n_done++] = size;
        struct rows all = *r;
        struct fit_data in, out;
        struct fit f;
        struct err err;
        all.held = NULL;
        rows_part(&in, &all, 0, size);
        rows_part(&out, &all, 1, size);
        if (law_is_determined(law, n_size - 1, rows_n_values(in.n_tok, in.n)) &&
            fit_law(&f, law, &in, &quick, &err) == ST_OK) {
            struct fit_error e;
            fit_error(&e, law, f.param, &out);
            total.mrae += e.mrae * (double)e.n;
            total.bias += e.bias * (double)e.n;
            total.n += e.n;
            fit_release(&f);
        } else {
            ok = false;
        }
        rows_part_release(&in);
        rows_part_release(&out);
    }
    free(done);
    if (!ok || total.n == 0)
        return NULL;
    total.mrae /= (double)total.n;
    total.bias /= (double)total.n;
    return error_json(&total);
}
