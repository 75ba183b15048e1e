/* study/conclude.c - laws, advice and report from the table of runs, as child processes. */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "study/child.h"
#include "study/stages.h"

/* Lines of JSON as one array in a file. */
static enum st write_rows(const struct strbuf *lines, const char *path, struct err *err)
{
    struct js *rows = js_array();
    enum st st = ST_OK;
    const char *p = lines->n ? lines->s : "";
    while (*p && st == ST_OK) {
        struct js *row;
        size_t n = strcspn(p, "\n");
        if (n) {
            st = js_parse(&row, p, n, err);
            if (st == ST_OK)
                js_push(rows, row);
        }
        p += n + (p[n] == '\n');
    }
    if (st == ST_OK)
        st = js_write_file(rows, path, err);
    js_free(rows);
    return st;
}

static enum st fit(struct study *s, struct err *err)
{
    struct strlist argv = { 0 };
    struct strbuf out = { 0 };
    args_self(s, &argv, "fit", "--json", "--group", "run_id", NULL);
    bool enough = s->plan.n_model * s->plan.n_budget > 2; /* for a law without the largest */
    if (enough && (s->conf.hold_out_budget || s->conf.hold_out_model))
        args_add(&argv, "--hold-out",
                 !s->conf.hold_out_model    ? "n_tok == max"
                 : !s->conf.hold_out_budget ? "n_param == max"
                                            : "n_tok == max && n_param == max",
                 NULL);
    args_add(&argv, study_path(s, "runs.csv"), NULL);
    enum st st = child_run(&argv, &out, err);
    if (st == ST_USAGE) { /* too few sizes, budgets or runs, as fit itself has said */
        log_warn("no law is fitted; the advice rests on the runs alone");
        str_clear(&out);
        st = ST_OK;
    }
    if (st == ST_OK)
        st = err_in(err, write_rows(&out, study_path(s, "fits.json"), err), "fit");
    strlist_release(&argv);
    str_release(&out);
    return st;
}

static enum st advise(struct study *s, struct err *err)
{
    struct strlist argv = { 0 };
    struct js *row;
    args_self(s, &argv, "advise", "--json", "--seed",
              arena_printf(&s->arena, "%llu", (unsigned long long)s->where.seed), NULL);
    /* the decision rule that was frozen in the plan */
    args_add(&argv, "--level", arena_printf(&s->arena, "%g", s->plan.level), "--threshold",
             arena_printf(&s->arena, "%g", s->plan.threshold), NULL);
    if (s->conf.price_in > 0)
        args_add(&argv, "--price-in", arena_printf(&s->arena, "%.9g", s->conf.price_in), NULL);
    if (s->conf.price_out > 0)
        args_add(&argv, "--price-out", arena_printf(&s->arena, "%.9g", s->conf.price_out), NULL);
    if (s->conf.gpu_hour > 0)
        args_add(&argv, "--gpu-hour", arena_printf(&s->arena, "%.9g", s->conf.gpu_hour), NULL);
    strlist_add(&argv, s->dir);
    enum st st = child_json(&argv, &row, err);
    if (st == ST_OK) {
        st = js_write_file(row, study_path(s, "advice.json"), err);
        js_free(row);
    }
    strlist_release(&argv);
    return st;
}

enum st stage_conclude(struct study *s, struct err *err)
{
    struct strlist argv = { 0 };
    enum st st = fit(s, err);
    if (st == ST_OK)
        st = advise(s, err);
    if (st < 0)
        return st;
    args_self(s, &argv, "report", "--out", study_path(s, "report.html"), s->dir, NULL);
    st = child_run(&argv, NULL, err);
    strlist_release(&argv);
    return st;
}
