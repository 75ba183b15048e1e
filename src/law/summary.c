/* law/summary.c - see summary.h: laws and mixtures of a table, each fitted and reported. */
#include "law/summary.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "law/summary_parts.h"

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

/* How the numbers came about, for whoever repeats it. */
static struct js *method_json(const struct fit *f, const struct fit_conf *c)
{
    struct js *o = js_object();
    js_put_text(o, "objective", c->delta < INFINITY ? "huber" : "mse");
    js_put_real(o, "delta", c->delta < INFINITY ? c->delta : NAN);
    js_put_text(o, "weights", "none");
    js_put_text(
        o, "starts",
        "exponents on a grid, E A B by non-negative least squares, the best polished by BFGS");
    js_put_real(o, "level", c->level);
    js_put_whole(o, "seed", (int64_t)c->seed);
    js_put_whole(o, "n_bootstrap_failed", (int64_t)f->n_boot_failed);
    return o;
}

/* The same law over the parameters with embeddings: exponents differ, and both are stated. */
static struct js *with_embeddings_json(const struct rows *r, const struct law *law,
                                       const struct fit_conf *conf)
{
    const double *n_param = table_num(r->t, "n_param");
    struct rows other = *r;
    struct fit_data d;
    struct fit f;
    struct err err; /* the fit without embeddings is there; this one is left out */
    struct fit_conf quick = *conf;
    struct js *o = js_object();
    quick.n_boot = quick.n_boot < 200 ? quick.n_boot : 200;
    quick.no_profile = true;
    bool ok = n_param && law->uses_n;
    for (size_t i = 0; i < r->n && ok; i++)
        ok = n_param[r->row[i]] > 0;
    if (ok) {
        other.col_n = n_param;
        rows_part(&d, &other, -1, 0);
        if (fit_law(&f, law, &d, &quick, &err) == ST_OK) {
            js_put_text(o, "N", "n_param");
            js_put(o, "params", judge_params(&f));
            js_put_real(o, "objective", f.objective);
            js_put_real(o, "mrae", f.mrae);
            fit_release(&f);
        }
        rows_part_release(&d);
    }
    return o;
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
    rows_part(&data, r, -1, 0);
    bool ok = fit_law(&f, law, &data, &c->fit, why) == ST_OK;
    if (!ok) {
        js_put_text(o, "error", why->msg);
        js_put_whole(o, "n_rows", (int64_t)r->n);
        js_put(o, "rows", rows_json(r));
    } else {
        js_put(o, "params", judge_params(&f));
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
            js_put(o, "hold_out", judge_hold_out(r, law, &c->fit, warnings));
        else
            js_put_text(o, "hold_out", NULL);
        struct js *left = judge_sizes(r, law, &c->fit);
        if (left)
            js_put(o, "leave_one_size_out", left);
        js_put(o, "identifiability", identifiability_json(&f));
        js_put(o, "residuals", judge_residuals(r, &f, &c->fit));
        js_put(o, "derived", judge_derived(r, &f, &c->fit));
        js_put(o, "method", method_json(&f, &c->fit));
        js_put(o, "input", judge_input(r));
        js_put(o, "rows", rows_json(r));
        if (!c->map && strcmp(r->name_n ? r->name_n : "", "n_param_nonemb") == 0)
            js_put(o, "with_embeddings", with_embeddings_json(r, law, &c->fit));
        warn_of_fit(warnings, &f, r);
        fit_release(&f);
    }
    rows_part_release(&data);
    warn_of_table(warnings, r);
    warn_of_rates(warnings, r);
    js_put(o, "warnings", warnings);
    js_push(out, o);
    return ok;
}

/* A mixture of one size and one budget, as controls are, has no law. */
static enum st unfitted(struct js *out, const struct rows *r, struct err *why)
{
    enum st st = err_set(why, ST_USAGE, "one size and one budget only: nothing to fit");
    struct js *o = js_object();
    js_put_text(o, "law", NULL);
    put_mixture(o, r);
    js_put_text(o, "error", why->msg);
    js_put_whole(o, "n_rows", (int64_t)r->n);
    js_push(out, o);
    return st;
}

/* Laws by name, or all that the rows allow: joint ones for several sizes and budgets. */
static enum st fit_laws(struct js *out, const struct rows *r, const struct summary_conf *c,
                        size_t *n_ok, struct err *why)
{
    if (!c->laws) {
        bool n = rows_distinct(r, r->col_n) > 1, d = rows_distinct(r, r->col_d) > 1;
        for (size_t i = 0; i < n_laws; i++)
            if (laws[i].uses_n == n && laws[i].uses_d == d)
                *n_ok += fit_one(out, r, &laws[i], c, why);
        if (!n && !d)
            return unfitted(out, r, why);
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
    struct rows r;
    struct err why = { "nothing to fit" };
    size_t n_ok = 0;
    enum st st = rows_take(&r, t, c->map, c->group, c->where, c->hold_out, err);
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
    rows_release(&r);
    return st;
}
