/* cli/cmd_fit.c - `fit` and `fit laws`: scaling laws from a table of runs. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "cli/commands.h"
#include "law/summary.h"

struct fit_opts {
    const char *law, *objective, *where, *hold_out, *group, *map;
    uint64_t bootstrap, starts;
    double delta;
    bool pooled;
};

static const struct field fit_field[] = {
    { .name = "law",
      .kind = FIELD_TEXT,
      .unit = "NAME,...",
      .help = "laws to fit (default: those that sizes and budgets of the rows allow)",
      .offset = offsetof(struct fit_opts, law) },
    { .name = "objective",
      .kind = FIELD_CHOICE,
      .choices = "huber|mse",
      .help = "of the log residual, summed over rows",
      .offset = offsetof(struct fit_opts, objective) },
    { .name = "delta",
      .kind = FIELD_REAL,
      .help = "where Huber's objective turns linear",
      .offset = offsetof(struct fit_opts, delta),
      .min = 1e-9,
      .max = 1e3 },
    { .name = "where",
      .kind = FIELD_TEXT,
      .unit = "EXPR",
      .help = "rows to use: \"n_tok >= 1e6 && kind == natural\"",
      .offset = offsetof(struct fit_opts, where) },
    { .name = "hold_out",
      .kind = FIELD_TEXT,
      .unit = "EXPR",
      .help = "rows to predict from the others: \"n_tok == max\"",
      .offset = offsetof(struct fit_opts, hold_out) },
    { .name = "group",
      .kind = FIELD_TEXT,
      .unit = "COLUMN",
      .help = "resample by this column (default: run_id where it repeats or names trunks, "
              "TRUNK/TOKENS; else rows)",
      .offset = offsetof(struct fit_opts, group) },
    { .name = "bootstrap",
      .kind = FIELD_WHOLE,
      .unit = "N",
      .help = "resamples for the intervals, 0 for none",
      .offset = offsetof(struct fit_opts, bootstrap),
      .min = 0,
      .max = 1e6 },
    { .name = "starts",
      .kind = FIELD_WHOLE,
      .unit = "N",
      .help = "starts that are polished",
      .offset = offsetof(struct fit_opts, starts),
      .min = 1,
      .max = 256 },
    { .name = "map",
      .kind = FIELD_TEXT,
      .unit = "N=COL,D=COL,loss=COL",
      .help = "columns of other names (usual: N or n_param_nonemb or n_param, D or n_tok, loss)",
      .offset = offsetof(struct fit_opts, map) },
    { .name = "pooled",
      .kind = FIELD_BOOL,
      .help = "one fit for all kinds and shares of the table",
      .offset = offsetof(struct fit_opts, pooled) },
};

static const struct fit_opts fit_defaults = {
    .objective = "huber", .delta = 1e-3, .bootstrap = 1000, .starts = 16
};

static const char *mixture_text(char *buf, size_t n, const struct js *fit)
{
    const char *kind = js_get_text(fit, "kind", NULL);
    if (!kind)
        return "";
    snprintf(buf, n, "%.80s@%.4g", kind, js_get_real(fit, "share", NAN));
    return buf;
}

/* For people: a line a parameter, then a line a law, then the warnings as messages. */
static void print_tables(struct out *out, const struct js *fits)
{
    char buf[128];
    for (size_t i = 0; i < js_len(fits); i++) {
        const struct js *fit = js_at(fits, i), *params = js_get(fit, "params");
        for (void *it = js_iter(params); params && it; it = js_next(params, it)) {
            struct js *row = js_object();
            js_put_text(row, "law", js_get_text(fit, "law", ""));
            js_put_text(row, "mixture", mixture_text(buf, sizeof buf, fit));
            js_put_text(row, "param", js_iter_key(it));
            js_put_real(row, "value", js_get_real(js_iter_value(it), "value", NAN));
            js_put_real(row, "lo", js_get_real(js_iter_value(it), "lo", NAN));
            js_put_real(row, "hi", js_get_real(js_iter_value(it), "hi", NAN));
            out_row(out, row);
        }
    }
    for (size_t i = 0; i < js_len(fits); i++) {
        const struct js *fit = js_at(fits, i), *held = js_get(fit, "hold_out");
        struct js *row = js_object();
        js_put_text(row, "law", js_get_text(fit, "law", ""));
        js_put_text(row, "mixture", mixture_text(buf, sizeof buf, fit));
        js_put_whole(row, "rows", js_get_whole(fit, "n_rows", 0));
        js_put_real(row, "objective", js_get_real(fit, "objective", NAN));
        snprintf(buf, sizeof buf, "%d/%d", (int)js_get_whole(fit, "n_starts_agree", 0),
                 (int)js_get_whole(fit, "n_starts", 0));
        js_put_text(row, "starts_agree", buf);
        js_put_real(row, "mrae_%", js_get_real(fit, "mrae", NAN));
        js_put_real(row, "held_out_mrae_%", js_get_real(held, "mrae", NAN));
        js_put_real(row, "held_out_bias_%", js_get_real(held, "bias", NAN));
        js_put_text(row, "error", js_get_text(fit, "error", ""));
        out_row(out, row);
    }
}

static void log_warnings(const struct js *fits)
{
    char buf[128];
    for (size_t i = 0; i < js_len(fits); i++) {
        const struct js *fit = js_at(fits, i), *list = js_get(fit, "warnings");
        for (size_t k = 0; k < js_len(list); k++)
            log_warn("%s %s: %s", js_get_text(fit, "law", ""), mixture_text(buf, sizeof buf, fit),
                     js_as_text(js_at(list, k), NULL));
    }
}

static enum st run_fit(void *opts, struct cli *cli, int argc, char **argv, struct err *err)
{
    const struct fit_opts *o = opts;
    if (argc != 1)
        return err_set(err, ST_USAGE,
                       "want one table: FILE.csv, FILE.jsonl, - or a study's folder");
    struct summary_conf c = { .laws = o->law,
                              .where = o->where,
                              .hold_out = o->hold_out,
                              .group = o->group,
                              .map = o->map,
                              .pooled = o->pooled,
                              .fit = fit_conf_default() };
    c.fit.delta = strcmp(o->objective, "mse") == 0 ? INFINITY : o->delta;
    c.fit.n_boot = o->bootstrap;
    c.fit.n_start = (int)o->starts;
    c.fit.seed = cli->seed;
    struct table t;
    enum st st = table_read(&t, argv[0], err);
    if (st < 0)
        return st;
    struct js *fits = js_array();
    st = summary_fit(fits, &t, &c, err);
    if (st == ST_OK && out_is_json(cli->out)) {
        for (size_t i = 0; i < js_len(fits); i++)
            out_row(cli->out, js_copy(js_at(fits, i)));
    } else if (st == ST_OK) {
        print_tables(cli->out, fits);
        log_warnings(fits);
    }
    js_free(fits);
    table_release(&t);
    return st;
}

const struct command cmd_fit = {
    .name = "fit",
    .summary = "scaling laws fitted to a table of runs, with intervals and hold-out errors",
    .usage = "fit [options] FILE.csv|FILE.jsonl|STUDY",
    .detail =
        "The table has a header and one row a run; 'mixlaw fit laws' lists the laws. Rows of a "
        "study are fitted for each kind and share. The optimum is global: exponents on a grid, "
        "the linear part solved exactly, the best polished. The objective is the sum over rows "
        "of Huber(1e-3) of ln predicted - ln observed. Intervals are percentiles of a "
        "bootstrap. A held-out row never enters the fit that is judged on it; the parameters "
        "printed are those of all rows.",
    .field = fit_field,
    .n_field = N_OF(fit_field),
    .opts_size = sizeof(struct fit_opts),
    .defaults = &fit_defaults,
    .run = run_fit,
};

static enum st run_fit_laws(void *opts, struct cli *cli, int argc, char **argv, struct err *err)
{
    (void)opts, (void)argv;
    if (argc > 0)
        return err_set(err, ST_USAGE, "takes no arguments");
    for (size_t i = 0; i < n_laws; i++) {
        struct js *row = js_object(), *params = js_array();
        for (int k = 0; k < laws[i].n_param; k++)
            js_push_text(params, laws[i].param[k]);
        js_put_text(row, "law", laws[i].name);
        js_put_text(row, "formula", laws[i].formula);
        js_put(row, "params", params);
        js_put_text(row, "source", laws[i].source);
        out_row(cli->out, row);
    }
    return ST_OK;
}

const struct command cmd_fit_laws = {
    .name = "fit laws",
    .summary = "the laws there are",
    .usage = "fit laws",
    .run = run_fit_laws,
};
