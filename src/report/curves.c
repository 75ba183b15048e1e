/* report/curves.c - see curves.h. */
#include "report/curves.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "law/rows.h"

enum { CURVE_BOOT = 200, CURVE_MAX_ARMS = 64 };

/* The laws' rows are a mixture's: natural text with other seeds (A/A) is natural text. */
static bool same_mixture(const struct input_cell *a, const struct input_cell *b)
{
    return strcmp(a->kind, b->kind) == 0 && a->share == b->share;
}

/* The runs that the plan holds out: the largest budget, the largest size, or where it does not say,
 * where both are largest. */
static void mark_held_out(struct curves *c, const struct input *in)
{
    const struct js *rule = js_get(js_get(in->plan, "settings"), "hold_out");
    bool by_d = js_get_bool(rule, "budget", false), by_n = js_get_bool(rule, "model", false);
    if (!by_d && !by_n)
        by_d = by_n = true;
    c->held_out = NEW_ARRAY(bool, in->n_run ? in->n_run : 1);
    for (size_t i = 0; i < in->n_run; i++) {
        const struct input_run *r = &in->run[i];
        c->held_out[i] =
            r->cell != SIZE_MAX && (!by_n || r->n == in->n_max) && (!by_d || r->d == in->d_max);
        c->n_held_out += c->held_out[i];
    }
}

static size_t count_distinct(const double *v, size_t n)
{
    size_t n_distinct = 0;
    for (size_t i = 0; i < n; i++) {
        size_t k = 0;
        while (k < i && v[k] != v[i])
            k++;
        n_distinct += k == i;
    }
    return n_distinct;
}

static const struct law *choose(const double *n, const double *d, size_t n_row)
{
    size_t sizes = count_distinct(n, n_row), budgets = count_distinct(d, n_row);
    if (sizes >= 2 && budgets >= 2 && sizes * budgets >= 5)
        return law_find("joint");
    if (sizes == 1 && budgets >= 3)
        return law_find("data");
    return NULL;
}

static bool same_trunk(const char *a, const char *b)
{
    size_t n = rows_trunk_len(a);
    return n > 0 && n == rows_trunk_len(b) && memcmp(a, b, n) == 0;
}

/* Fits the arm's runs, all of them or those that are not held out. */
static bool fit_arm(struct fit *fit, const struct curves *c, const struct input *in,
                    const struct input_cell *arm, bool all, struct err *err)
{
    double *n = NEW_ARRAY(double, 3 * in->n_run + 1), *d = n + in->n_run, *loss = d + in->n_run;
    uint32_t *group = NEW_ARRAY(uint32_t, in->n_run + 1);
    size_t n_row = 0, *run = NEW_ARRAY(size_t, in->n_run + 1);
    for (size_t i = 0; i < in->n_run; i++) {
        const struct input_run *r = &in->run[i];
        if (r->cell == SIZE_MAX || !same_mixture(&in->cell[r->cell], arm) ||
            (!all && c->held_out[i]))
            continue;
        size_t k = 0; /* budgets of one trunk are not independent: they are resampled together */
        while (k < n_row && !same_trunk(in->run[run[k]].run_id, r->run_id))
            k++;
        group[n_row] = k < n_row ? group[k] : (uint32_t)n_row;
        run[n_row] = i;
        n[n_row] = r->n;
        d[n_row] = r->d;
        loss[n_row++] = r->loss;
    }
    const struct law *law = choose(n, d, n_row);
    struct fit_data data = { .n = n_row, .n_param = n, .n_tok = d, .loss = loss, .group = group };
    struct fit_conf conf = fit_conf_default();
    conf.n_boot = CURVE_BOOT;
    conf.no_profile = true;
    conf.seed = 1;
    bool ok = law && fit_law(fit, law, &data, &conf, err) == ST_OK;
    free(n);
    free(group);
    free(run);
    return ok;
}

void curves_make(struct curves *c, const struct input *in)
{
    memset(c, 0, sizeof *c);
    c->curve = NEW_ARRAY(struct curve, CURVE_MAX_ARMS);
    mark_held_out(c, in);
    for (size_t i = 0; i < in->n_cell && c->n < CURVE_MAX_ARMS; i++) {
        const struct input_cell *cell = &in->cell[i];
        if (cell->control || curves_find(c, cell))
            continue;
        struct curve *v = &c->curve[c->n++];
        struct err err = { "" };
        v->arm = cell;
        v->has_fit = fit_arm(&v->fit, c, in, cell, true, &err);
        v->has_early = c->n_held_out > 0 && fit_arm(&v->early, c, in, cell, false, &err);
        if (err.msg[0] && !c->problem[0])
            snprintf(c->problem, sizeof c->problem, "%.60s: %.180s", cell->arm, err.msg);
    }
}

const struct curve *curves_find(const struct curves *c, const struct input_cell *cell)
{
    for (size_t i = 0; i < c->n; i++)
        if (same_mixture(c->curve[i].arm, cell))
            return &c->curve[i];
    return NULL;
}

void curves_release(struct curves *c)
{
    for (size_t i = 0; i < c->n; i++) {
        if (c->curve[i].has_fit)
            fit_release(&c->curve[i].fit);
        if (c->curve[i].has_early)
            fit_release(&c->curve[i].early);
    }
    free(c->curve);
    free(c->held_out);
    memset(c, 0, sizeof *c);
}
