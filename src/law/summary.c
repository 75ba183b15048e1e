/* law/summary.c - see summary.h: picks rows and laws, fits, writes the report and its warnings. */
#include "law/summary.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

/* The columns in use and the rows that survived, of one mixture or of the whole table. */
struct rows {
    const struct table *t;
    const char *name_n, *name_d, *name_loss; /* NULL: the table has none */
    const double *col_n, *col_d, *col_loss;
    size_t *row; /* [n] of the table */
    size_t n, n_where, n_diverged, n_missing;
    bool *held;      /* [n_row of the table]; NULL: no hold-out */
    uint32_t *group; /* [n_row of the table]; NULL: every row its own */
    const char *group_name;
    const char *kind; /* of the mixture; NULL: no mixtures told apart */
    double share;
};

static void warn(struct js *list, const char *fmt, ...) PRINTF_LIKE(2, 3);
static void warn(struct js *list, const char *fmt, ...)
{
    char text[512];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    js_push_text(list, text);
}

/* --- columns --- */

/* The column that --map gives to the role, or the first usual name that is there. Owned by the caller. */
static char *column_name(const struct table *t, const char *map, const char *role,
                         const char *const *usual)
{
    size_t n = strlen(role);
    for (const char *p = map; p && *p;) {
        size_t len = strcspn(p, ",");
        if (len > n + 1 && strncmp(p, role, n) == 0 && p[n] == '=')
            return xstrndup(p + n + 1, len - n - 1);
        p += len + (p[len] == ',');
    }
    for (; *usual; usual++)
        if (table_find(t, *usual))
            return xstrdup(*usual);
    return NULL;
}

static enum st check_map(const char *map, struct err *err)
{
    for (const char *p = map; p && *p;) {
        size_t len = strcspn(p, ","), key = strcspn(p, "=");
        if (key >= len || len == key + 1)
            return err_set(err, ST_USAGE, "--map: '%.*s', want N=COL, D=COL or loss=COL", (int)len,
                           p);
        if (strncmp(p, "w_", 2) == 0)
            return err_set(err, ST_UNSUPPORTED, "--map w_*: mixture laws are not built yet");
        if (strncmp(p, "N=", 2) != 0 && strncmp(p, "D=", 2) != 0 && strncmp(p, "loss=", 5) != 0)
            return err_set(err, ST_USAGE, "--map: '%.*s', want N=COL, D=COL or loss=COL", (int)len,
                           p);
        p += len + (p[len] == ',');
    }
    return ST_OK;
}

static enum st find_columns(struct rows *r, const char *map, struct err *err)
{
    static const char *const n[] = { "N", "n_param_nonemb", "n_param", NULL };
    static const char *const d[] = { "D", "n_tok", NULL };
    static const char *const loss[] = { "loss", NULL };
    enum st st = check_map(map, err);
    if (st < 0)
        return st;
    r->name_n = column_name(r->t, map, "N", n);
    r->name_d = column_name(r->t, map, "D", d);
    r->name_loss = column_name(r->t, map, "loss", loss);
    if ((st = table_need(r->t, r->name_loss ? r->name_loss : "loss", &r->col_loss, err)) < 0)
        return st;
    if (r->name_n && (st = table_need(r->t, r->name_n, &r->col_n, err)) < 0)
        return st;
    if (r->name_d && (st = table_need(r->t, r->name_d, &r->col_d, err)) < 0)
        return st;
    if (!r->name_n && !r->name_d)
        return table_need(r->t, "n_tok", &r->col_d, err); /* says which columns there are */
    return ST_OK;
}

/* --- rows --- */

static int by_text(const void *a, const void *b)
{
    const char *const *x = *(const char *const *const *)a, *const *y =
                                                               *(const char *const *const *)b;
    int c = strcmp(*x, *y);
    return c ? c : (x > y) - (x < y);
}

/* Numbers equal texts alike. Returns how many differ. */
static size_t number_texts(uint32_t *id, char *const *text, size_t n)
{
    char *const **order = NEW_ARRAY(char *const *, n + 1);
    uint32_t next = 0;
    for (size_t i = 0; i < n; i++)
        order[i] = &text[i];
    qsort(order, n, sizeof *order, by_text);
    for (size_t i = 0; i < n; i++) {
        next += i > 0 && strcmp(*order[i], *order[i - 1]) != 0;
        id[order[i] - text] = next;
    }
    free(order);
    return n ? next + 1 : 0;
}

static enum st find_groups(struct rows *r, const char *column, struct err *err)
{
    const char *name = column ? column : "run_id";
    char *const *text = table_text(r->t, name);
    const double *unused;
    if (!text)
        return column ? table_need(r->t, column, &unused, err) : ST_OK;
    uint32_t *id = NEW_ARRAY(uint32_t, r->t->n_row);
    size_t n = number_texts(id, text, r->t->n_row);
    if (n == r->t->n_row) { /* each run has one row */
        free(id);
        return ST_OK;
    }
    r->group = id;
    r->group_name = name;
    return ST_OK;
}

/* Rows that pass --where, did not diverge and have every number; a loss that is not positive is an
 * error of the table, not something to leave out silently. */
static enum st choose_rows(struct rows *r, const char *where, struct err *err)
{
    const struct table *t = r->t;
    bool *keep = NEW_ARRAY(bool, t->n_row);
    const double *diverged = table_num(t, "diverged");
    enum st st = where ? table_where(t, where, keep, err) : ST_OK;
    r->row = NEW_ARRAY(size_t, t->n_row);
    for (size_t i = 0; i < t->n_row && st == ST_OK; i++) {
        const double *num[] = { r->col_loss, r->col_n, r->col_d };
        const char *name[] = { r->name_loss, r->name_n, r->name_d };
        bool missing = false, lost = diverged && diverged[i] > 0;
        if (where && !keep[i]) {
            r->n_where++;
            continue;
        }
        for (int k = 0; k < 3 && !lost; k++) {
            missing |= num[k] && isnan(num[k][i]);
            if (num[k] && num[k][i] <= 0)
                st = err_set(err, ST_FORMAT, "'%s' line %zu column '%s': %g, want more than 0",
                             t->path, t->line[i], name[k], num[k][i]);
        }
        r->n_diverged += lost;
        r->n_missing += !lost && missing;
        if (!lost && !missing)
            r->row[r->n++] = i;
    }
    free(keep);
    if (st == ST_OK && r->n == 0)
        st = err_set(err, ST_USAGE,
                     "'%s': no row left of %zu (%zu by --where, %zu diverged, %zu without N, D or "
                     "loss)",
                     t->path, t->n_row, r->n_where, r->n_diverged, r->n_missing);
    return st;
}

/* How many values differ by more than a thousandth; 100 means many. */
static size_t n_values(const double *v, size_t n)
{
    enum { MANY = 100 };
    double seen[MANY];
    size_t k = 0;
    for (size_t i = 0; i < n && k < MANY; i++) {
        size_t j = 0;
        while (j < k && fabs(seen[j] / v[i] - 1) > 1e-3)
            j++;
        if (j == k)
            seen[k++] = v[i];
    }
    return k;
}

static size_t distinct(const struct rows *r, const double *col)
{
    if (!col)
        return 0;
    double *v = NEW_ARRAY(double, r->n + 1);
    for (size_t i = 0; i < r->n; i++)
        v[i] = col[r->row[i]];
    size_t n = n_values(v, r->n);
    free(v);
    return n;
}

/* The rows of one part (all, held in or held out) as plain arrays. */
static void take_part(struct fit_data *d, const struct rows *r, int held, double skip_n)
{
    double *n = NEW_ARRAY(double, r->n + 1), *tok = NEW_ARRAY(double, r->n + 1),
           *loss = NEW_ARRAY(double, r->n + 1);
    uint32_t *group = r->group ? NEW_ARRAY(uint32_t, r->n + 1) : NULL;
    *d = (struct fit_data){ .n_param = n, .n_tok = tok, .loss = loss, .group = group };
    for (size_t i = 0; i < r->n; i++) {
        size_t row = r->row[i];
        double size = r->col_n ? r->col_n[row] : 1;
        if (held >= 0 && r->held && r->held[row] != (held > 0))
            continue;
        if (skip_n > 0 && (fabs(size / skip_n - 1) < 1e-3) != (held > 0))
            continue;
        n[d->n] = size;
        tok[d->n] = r->col_d ? r->col_d[row] : 1;
        loss[d->n] = r->col_loss[row];
        if (group)
            group[d->n] = r->group[row];
        d->n++;
    }
}

static void drop_part(struct fit_data *d)
{
    free((void *)(uintptr_t)d->n_param);
    free((void *)(uintptr_t)d->n_tok);
    free((void *)(uintptr_t)d->loss);
    free((void *)(uintptr_t)d->group);
}

/* --- the report --- */

static struct js *params_json(const struct fit *f)
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

static struct js *identifiability_json(const struct fit *f)
{
    struct js *o = js_object(), *corr = js_array(), *profile = js_array(), *loose = js_array(),
              *names = js_array();
    for (int i = 0; i < f->law->n_param; i++) {
        struct js *line = js_array();
        for (int j = 0; j < f->law->n_param; j++)
            js_push_real(line, f->corr[i][j]);
        js_push(corr, line);
        js_push_text(names, f->law->param[i]);
        if (f->unbounded >> i & 1)
            js_push_text(loose, f->law->param[i]);
    }
    for (int i = 0; i < f->n_profile; i++) {
        struct js *p = js_object();
        js_put_real(p, "E", f->profile_e[i]);
        js_put_real(p, "objective", f->profile_objective[i]);
        js_push(profile, p);
    }
    js_put(o, "params", names);
    js_put(o, "correlation", corr);
    js_put_real(o, "condition", f->condition);
    js_put(o, "profile_e", profile);
    js_put(o, "unbounded", loose);
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

/* Do so many sizes and budgets determine the law's predictions at others? A sum of a term in N and a
 * term in D has n_size + n_budget - 1 independent values, and three of one kind fix floor, factor
 * and exponent. */
static bool is_determined(const struct law *law, size_t n_size, size_t n_budget)
{
    if (law->tied)
        return n_size + n_budget - 1 >= (size_t)law->n_param;
    return (!law->uses_n || n_size >= 3) && (!law->uses_d || n_budget >= 3);
}

/* Fits the rows outside and judges those inside the hold-out. */
static struct js *hold_out_json(const struct rows *r, const struct law *law,
                                const struct fit_conf *conf)
{
    struct fit_data in, out;
    struct fit f;
    struct err err;
    struct js *o;
    struct fit_conf quick = *conf;
    quick.n_boot = 0;
    quick.no_profile = true;
    take_part(&in, r, 0, 0);
    take_part(&out, r, 1, 0);
    size_t n_size = n_values(in.n_param, in.n), n_budget = n_values(in.n_tok, in.n);
    bool ok = out.n > 0 && is_determined(law, n_size, n_budget);
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
        js_put(o, "params", params_json(&f));
        fit_release(&f);
    } else {
        o = js_object();
        js_put_whole(o, "n", (int64_t)out.n);
        js_put_text(o, "error", err.msg);
    }
    drop_part(&in);
    drop_part(&out);
    return o;
}

/* Each size predicted from the others; NULL with fewer than 3 sizes or more than 12. */
static struct js *leave_size_json(const struct rows *r, const struct law *law,
                                  const struct fit_conf *conf)
{
    size_t n_size = distinct(r, r->col_n);
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
        take_part(&in, &all, 0, size);
        take_part(&out, &all, 1, size);
        if (is_determined(law, n_size - 1, n_values(in.n_tok, in.n)) &&
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
        drop_part(&in);
        drop_part(&out);
    }
    free(done);
    if (!ok || total.n == 0)
        return NULL;
    total.mrae /= (double)total.n;
    total.bias /= (double)total.n;
    return error_json(&total);
}

static struct js *rows_json(const struct rows *r)
{
    struct js *o = js_object(), *d = js_object();
    js_put_whole(o, "table", (int64_t)r->t->n_row);
    js_put_whole(o, "used", (int64_t)r->n);
    js_put_whole(d, "where", (int64_t)r->n_where);
    js_put_whole(d, "diverged", (int64_t)r->n_diverged);
    js_put_whole(d, "missing", (int64_t)r->n_missing);
    js_put(o, "dropped", d);
    js_put_text(o, "N", r->name_n);
    js_put_text(o, "D", r->name_d);
    js_put_text(o, "loss", r->name_loss);
    js_put_text(o, "resampled_by", r->group_name ? r->group_name : "row");
    return o;
}

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

/* --- warnings --- */

struct triple {
    double n, d, loss;
};

static int by_triple(const void *a, const void *b)
{
    return memcmp(a, b, sizeof(struct triple));
}

static void warn_of_table(struct js *list, const struct rows *r)
{
    struct triple *v = NEW_ARRAY(struct triple, r->n + 1);
    size_t n_twice = 0, n_small = 0, n_ratio = 0, n_repeat = 0, n_unique = 0;
    const double *epoch_n = table_num(r->t, "n_epoch_natural"),
                 *epoch_s = table_num(r->t, "n_epoch_synth"),
                 *unique_n = table_num(r->t, "n_tok_unique_natural"),
                 *unique_s = table_num(r->t, "n_tok_unique_synth");
    for (size_t i = 0; i < r->n; i++) {
        size_t row = r->row[i];
        double n = r->col_n ? r->col_n[row] : 0, d = r->col_d ? r->col_d[row] : 0;
        v[i] = (struct triple){ n, d, r->col_loss[row] };
        n_small += (r->col_n && n < 1000) || (r->col_d && d < 1000);
        n_ratio += r->col_n && r->col_d && (d / n < 0.01 || d / n > 1e5);
        n_repeat += (epoch_n && epoch_n[row] > 4) || (epoch_s && epoch_s[row] > 4);
        n_unique += d > 0 && ((unique_n && unique_n[row] > 1.01 * d) ||
                              (unique_s && unique_s[row] > 1.01 * d));
    }
    qsort(v, r->n, sizeof *v, by_triple);
    for (size_t i = 1; i < r->n; i++)
        n_twice += memcmp(&v[i], &v[i - 1], sizeof *v) == 0;
    free(v);
    if (n_twice)
        warn(list,
             "%zu rows repeat another row's N, D and loss exactly: duplicates make intervals too "
             "narrow",
             n_twice);
    if (n_small)
        warn(list,
             "%zu rows have N or D below 1000: are they in millions? parameters and tokens are "
             "wanted",
             n_small);
    else if (n_ratio)
        warn(list, "%zu rows have an implausible D/N (outside .01 to 100000): check the units",
             n_ratio);
    if (n_unique)
        warn(list, "%zu rows have more unique tokens than training tokens: check the columns",
             n_unique);
    if (n_repeat)
        warn(list, "%zu rows saw a source for over 4 epochs: repetition is confounded with D",
             n_repeat);
    if (r->group)
        warn(list,
             "several rows share a %s: whole runs are resampled; early checkpoints of a run whose "
             "schedule ends later are no runs of their own",
             r->group_name);
    if (r->name_n && strcmp(r->name_n, "n_param_nonemb") == 0)
        warn(list, "N is without embeddings (n_param_nonemb); --map N=n_param counts them");
    if (r->n_diverged)
        warn(list, "%zu diverged runs are left out", r->n_diverged);
    if (r->n_missing)
        warn(list, "%zu rows without N, D or loss are left out", r->n_missing);
}

/* Rows of the same N and D trained at other rates: exponents move. */
static void warn_of_rates(struct js *list, const struct rows *r)
{
    const double *lr = table_num(r->t, "lr");
    size_t n = 0;
    for (size_t i = 0; lr && i < r->n && r->n < 5000; i++)
        for (size_t j = 0; j < i; j++) {
            size_t a = r->row[i], b = r->row[j];
            bool same = (!r->col_n || r->col_n[a] == r->col_n[b]) &&
                        (!r->col_d || r->col_d[a] == r->col_d[b]);
            if (same && fabs(lr[a] - lr[b]) > 1e-6 * fabs(lr[a])) {
                n++;
                break;
            }
        }
    if (n)
        warn(list,
             "%zu rows share N and D with a row trained at another learning rate: keep the best "
             "rate for each N and D (--where)",
             n);
}

static void warn_of_fit(struct js *list, const struct fit *f, const struct rows *r)
{
    const struct law *law = f->law;
    size_t n_n = distinct(r, r->col_n), n_d = distinct(r, r->col_d);
    if (!law->uses_n && n_n > 1)
        warn(list, "the law ignores N, but the rows have %zu sizes", n_n);
    if (!law->uses_d && n_d > 1)
        warn(list, "the law ignores D, but the rows have %zu budgets", n_d);
    if (!is_determined(law, n_n, n_d))
        warn(list,
             "%zu sizes and %zu budgets do not determine the law: single parameters mean nothing, "
             "do not extrapolate",
             law->uses_n ? n_n : 1, law->uses_d ? n_d : 1);
    if (f->n_row < (size_t)law->n_param + 3)
        warn(list, "%zu rows for %d parameters: the residual says little", f->n_row, law->n_param);
    if (2 * f->n_start_agree < f->n_start)
        warn(list, "only %d of %d starts agree on the optimum", f->n_start_agree, f->n_start);
    if (f->n_param_at_start)
        warn(list, "%d parameters equal their start: the fit did not move", f->n_param_at_start);
    for (int k = 0; k < law->n_param; k++)
        if (f->unbounded >> k & 1)
            warn(list, "%s is unbounded: the rows do not determine it", law->param[k]);
    if (f->condition > 1e12)
        warn(list, "condition number %.1g: single parameters mean nothing, compare predictions",
             f->condition);
    if (f->n_boot_failed)
        warn(list, "%zu of %zu bootstraps could not be fitted", f->n_boot_failed,
             f->n_boot + f->n_boot_failed);
}

/* --- fits --- */

static void put_mixture(struct js *o, const struct rows *r)
{
    if (!r->kind)
        return;
    js_put_textn(o, "kind", r->kind, strlen(r->kind));
    js_put_real(o, "share", r->share);
}

static bool fit_one(struct js *out, const struct rows *r, const struct law *law,
                    const struct summary_conf *c, struct err *why)
{
    struct js *o = js_object(), *warnings = js_array();
    struct fit_data data;
    struct fit f;
    js_put_text(o, "law", law->name);
    js_put_text(o, "formula", law->formula);
    put_mixture(o, r);
    take_part(&data, r, -1, 0);
    bool ok = fit_law(&f, law, &data, &c->fit, why) == ST_OK;
    if (!ok) {
        js_put_text(o, "error", why->msg);
        js_put_whole(o, "n_rows", (int64_t)r->n);
        js_put(o, "rows", rows_json(r));
    } else {
        js_put(o, "params", params_json(&f));
        js_put_real(o, "objective", f.objective);
        js_put_whole(o, "n_rows", (int64_t)f.n_row);
        js_put_whole(o, "n_starts", f.n_start);
        js_put_whole(o, "n_starts_agree", f.n_start_agree);
        js_put_real(o, "runner_up", f.runner_up);
        js_put_real(o, "grad_norm", f.grad_norm);
        js_put_whole(o, "n_bootstrap", (int64_t)f.n_boot);
        js_put_real(o, "mrae", f.mrae);
        js_put_real(o, "bias", f.bias);
        js_put_real(o, "rmse_log", f.rmse_log);
        if (r->held)
            js_put(o, "hold_out", hold_out_json(r, law, &c->fit));
        else
            js_put_text(o, "hold_out", NULL);
        struct js *left = leave_size_json(r, law, &c->fit);
        if (left)
            js_put(o, "leave_one_size_out", left);
        js_put(o, "identifiability", identifiability_json(&f));
        js_put(o, "worst", worst_json(r, &f));
        js_put(o, "rows", rows_json(r));
        warn_of_fit(warnings, &f, r);
        fit_release(&f);
    }
    drop_part(&data);
    warn_of_table(warnings, r);
    warn_of_rates(warnings, r);
    js_put(o, "warnings", warnings);
    js_push(out, o);
    return ok;
}

/* Laws by name, or all that the rows allow: joint ones for several sizes and budgets. */
static enum st fit_laws(struct js *out, const struct rows *r, const struct summary_conf *c,
                        size_t *n_ok, struct err *why)
{
    if (!c->laws) {
        bool n = distinct(r, r->col_n) > 1, d = distinct(r, r->col_d) > 1;
        for (size_t i = 0; i < n_laws; i++)
            if (laws[i].uses_n == n && laws[i].uses_d == d)
                *n_ok += fit_one(out, r, &laws[i], c, why);
        if (!n && !d)
            return err_set(why, ST_USAGE, "one size and one budget only: nothing to fit");
        return ST_OK;
    }
    for (const char *p = c->laws; *p;) {
        size_t len = strcspn(p, ",");
        char *name = xstrndup(p, len);
        const struct law *law = law_find(name);
        if (!law) {
            struct strbuf b = { 0 };
            for (size_t i = 0; i < n_laws; i++)
                str_printf(&b, " %s", laws[i].name);
            enum st st = err_set(why, ST_USAGE, "unknown law '%s', want one of:%s", name, b.s);
            str_release(&b);
            free(name);
            return st;
        }
        free(name);
        *n_ok += fit_one(out, r, law, c, why);
        p += len + (p[len] == ',');
    }
    return ST_OK;
}

/* One fit for each (kind, share) in order of appearance; `all` for tables without mixtures. */
static enum st fit_mixtures(struct js *out, const struct rows *all, const struct summary_conf *c,
                            size_t *n_ok, struct err *why)
{
    char *const *kind = table_text(all->t, "kind");
    const double *share = table_num(all->t, "frac_synth");
    if (c->pooled || !kind || !share)
        return fit_laws(out, all, c, n_ok, why);
    bool *done = NEW_ARRAY(bool, all->n + 1);
    struct rows part = *all;
    part.row = NEW_ARRAY(size_t, all->n + 1);
    enum st st = ST_OK;
    for (size_t i = 0; i < all->n && st != ST_USAGE; i++) {
        if (done[i])
            continue;
        size_t first = all->row[i];
        part.kind = kind[first];
        part.share = share[first];
        part.n = 0;
        for (size_t j = i; j < all->n; j++) {
            size_t row = all->row[j];
            bool same =
                strcmp(kind[row], part.kind) == 0 &&
                (fabs(share[row] - part.share) < 1e-6 || (isnan(share[row]) && isnan(part.share)));
            if (same && !done[j]) {
                done[j] = true;
                part.row[part.n++] = row;
            }
        }
        struct err one = { "" };
        enum st got = fit_laws(out, &part, c, n_ok, &one);
        if (got < 0 || one.msg[0])
            *why = one;
        if (got < 0 && c->laws)
            st = got; /* a law's name is wrong for every mixture */
    }
    free(part.row);
    free(done);
    return st;
}

/* Marks, within each mixture, the law with the smallest held-out error. */
static void choose(struct js *list)
{
    for (size_t i = 0; i < js_len(list);) {
        size_t end = i, best = 0;
        double least = INFINITY;
        const char *kind = js_get_text(js_at(list, i), "kind", "");
        double share = js_get_real(js_at(list, i), "share", -1);
        for (; end < js_len(list); end++) {
            struct js *o = js_at(list, end);
            double e = js_get_real(js_get(o, "hold_out"), "mrae", INFINITY);
            if (strcmp(js_get_text(o, "kind", ""), kind) != 0 ||
                fabs(js_get_real(o, "share", -1) - share) > 1e-9)
                break;
            if (e < least) {
                least = e;
                best = end;
            }
        }
        for (size_t k = i; k < end && least < INFINITY; k++)
            js_put_bool(js_at(list, k), "chosen", k == best);
        i = end > i ? end : i + 1;
    }
}

enum st summary_fit(struct js *out, const struct table *t, const struct summary_conf *c,
                    struct err *err)
{
    struct rows r = { .t = t };
    struct err why = { "nothing to fit" };
    size_t n_ok = 0;
    enum st st = find_columns(&r, c->map, err);
    if (st == ST_OK)
        st = find_groups(&r, c->group, err);
    if (st == ST_OK)
        st = choose_rows(&r, c->where, err);
    if (st == ST_OK && c->hold_out) {
        r.held = NEW_ARRAY(bool, t->n_row);
        st = table_where(t, c->hold_out, r.held, err);
    }
    if (st == ST_OK) {
        struct js *list = js_array();
        st = fit_mixtures(list, &r, c, &n_ok, &why);
        if (st < 0 || n_ok == 0)
            st = err_set(err, ST_USAGE, "%s", why.msg);
        else
            choose(list);
        for (size_t i = 0; i < js_len(list) && st == ST_OK; i++)
            js_push(out, js_copy(js_at(list, i)));
        js_free(list);
    }
    free((void *)(uintptr_t)r.name_n);
    free((void *)(uintptr_t)r.name_d);
    free((void *)(uintptr_t)r.name_loss);
    free(r.row);
    free(r.held);
    free(r.group);
    return st;
}
