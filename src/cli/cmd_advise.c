/* cli/cmd_advise.c - `advise`: the recommendation from a table of runs. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/manifest.h"
#include "base/mem.h"
#include "cli/commands.h"
#include "law/advise.h"

struct advise_opts {
    uint64_t params, tokens, bootstrap;
    double level, threshold, price_in, price_out, gpu_hour;
    uint64_t generated_in, generated_out;
};

static const struct field advise_field[] = {
    { .name = "params",
      .kind = FIELD_WHOLE,
      .unit = "N",
      .help = "model size to advise on (default: the largest measured)",
      .offset = offsetof(struct advise_opts, params) },
    { .name = "tokens",
      .kind = FIELD_WHOLE,
      .unit = "D",
      .help = "training tokens to advise on (default: the largest measured)",
      .offset = offsetof(struct advise_opts, tokens) },
    { .name = "level",
      .kind = FIELD_REAL,
      .help = "of intervals and tests",
      .offset = offsetof(struct advise_opts, level),
      .min = 0.5,
      .max = 0.9999 },
    { .name = "threshold",
      .kind = FIELD_REAL,
      .unit = "NATS",
      .help = "smallest gain in loss worth having",
      .offset = offsetof(struct advise_opts, threshold),
      .min = 1e-9,
      .max = 100 },
    { .name = "price_in",
      .kind = FIELD_REAL,
      .unit = "PRICE",
      .help = "of a million prompt tokens of the generator",
      .offset = offsetof(struct advise_opts, price_in),
      .min = 0,
      .max = 1e9 },
    { .name = "price_out",
      .kind = FIELD_REAL,
      .unit = "PRICE",
      .help = "of a million generated tokens",
      .offset = offsetof(struct advise_opts, price_out),
      .min = 0,
      .max = 1e9 },
    { .name = "gpu_hour",
      .kind = FIELD_REAL,
      .unit = "PRICE",
      .help = "of an hour of training at the runs' own tok_per_s",
      .offset = offsetof(struct advise_opts, gpu_hour),
      .min = 0,
      .max = 1e9 },
    { .name = "generated_in",
      .kind = FIELD_WHOLE,
      .unit = "TOKENS",
      .help = "prompt tokens spent on each kind (default: from the study)",
      .offset = offsetof(struct advise_opts, generated_in) },
    { .name = "generated_out",
      .kind = FIELD_WHOLE,
      .unit = "TOKENS",
      .help = "tokens generated for each kind (default: from the study)",
      .offset = offsetof(struct advise_opts, generated_out) },
    { .name = "bootstrap",
      .kind = FIELD_WHOLE,
      .unit = "N",
      .help = "draws for intervals of shares and savings",
      .offset = offsetof(struct advise_opts, bootstrap),
      .min = 1,
      .max = 1e6 },
};

static const struct advise_opts advise_defaults = { .level = 0.95,
                                                    .threshold = 0.01,
                                                    .bootstrap = 2000 };

struct costs {
    struct advise_cost *cost;
    size_t n, cap;
};

static void costs_release(struct costs *c)
{
    for (size_t i = 0; i < c->n; i++)
        free((void *)(uintptr_t)c->cost[i].kind);
    free(c->cost);
}

/* What each kind of a study cost to make, from its manifests; nothing where there are none. */
static enum st study_costs(struct costs *c, const char *study, struct err *err)
{
    char *kinds = path_join(study, "kinds");
    struct strlist names = { 0 };
    enum st st = file_is_dir(kinds) ? dir_list(kinds, &names, err) : ST_OK;
    for (size_t i = 0; i < names.n && st == ST_OK; i++) {
        char *dir = path_join(kinds, names.s[i]), *file = path_join(dir, "manifest.json");
        struct js *m;
        if (file_exists(file) && (st = js_read_file(&m, file, err)) == ST_OK) {
            const struct js *row = js_get(js_get(m, "counts"), "row");
            double in = js_get_real(row, "tokens_prompt", NAN),
                   out = js_get_real(row, "tokens_out", NAN), price = js_get_real(row, "cost", NAN);
            if (!isnan(in) && !isnan(out)) {
                GROW(c->cost, c->n, c->cap);
                c->cost[c->n++] = (struct advise_cost){ xstrdup(names.s[i]), in, out, price };
            }
            js_free(m);
        }
        free(dir);
        free(file);
    }
    strlist_release(&names);
    free(kinds);
    return st;
}

/* The same tokens for every kind of the table, as the command line says. */
static void flag_costs(struct costs *c, const struct table *t, const struct advise_opts *o)
{
    char *const *kind = table_text(t, "kind");
    for (size_t i = 0; kind && i < t->n_row; i++) {
        size_t j = 0;
        while (j < c->n && strcmp(c->cost[j].kind, kind[i]) != 0)
            j++;
        if (j < c->n)
            continue;
        GROW(c->cost, c->n, c->cap);
        c->cost[c->n++] = (struct advise_cost){ xstrdup(kind[i]), (double)o->generated_in,
                                                (double)o->generated_out, NAN };
    }
}

/* For people: the answer line by line, then the choices and the controls as tables. */
static void print_tables(struct out *out, const struct js *advice)
{
    static const char *const key[] = { "verdict",          "kind",        "share",
                                       "share_lo",         "share_hi",    "loss",
                                       "loss_lo",          "loss_hi",     "tokens_saved",
                                       "breakeven_tokens", "runs_needed", "smallest_effect" };
    static const char *const column[] = { "arm",    "kind",    "share",   "n_seed",
                                          "loss",   "diff",    "diff_lo", "diff_hi",
                                          "p_holm", "verdict", "penalty" };
    static const char *const check[] = { "control", "arm",     "want",   "got",
                                         "diff",    "diff_lo", "diff_hi" };
    struct js *row = js_object();
    for (size_t i = 0; i < N_OF(key); i++)
        js_put(row, key[i], js_copy(js_get(advice, key[i])));
    out_row(out, row);
    const struct js *list = js_get(advice, "choices");
    for (size_t k = 0; k < js_len(list); k++) {
        row = js_object();
        for (size_t i = 0; i < N_OF(column); i++) {
            const struct js *v = js_get(js_at(list, k), column[i]);
            if (v)
                js_put(row, column[i], js_copy(v));
            else
                js_put_text(row, column[i], NULL);
        }
        out_row(out, row);
    }
    list = js_get(advice, "controls");
    for (size_t k = 0; k < js_len(list); k++) {
        row = js_object();
        for (size_t i = 0; i < N_OF(check); i++)
            js_put(row, check[i], js_copy(js_get(js_at(list, k), check[i])));
        out_row(out, row);
    }
    list = js_get(advice, "reasons");
    for (size_t k = 0; k < js_len(list); k++) {
        row = js_object();
        js_put(row, "reason", js_copy(js_at(list, k)));
        out_row(out, row);
    }
}

static enum st run_advise(void *opts, struct cli *cli, int argc, char **argv, struct err *err)
{
    const struct advise_opts *o = opts;
    if (argc != 1)
        return err_set(err, ST_USAGE,
                       "want one table: RUNS.csv, RUNS.jsonl, - or a study's folder");
    if (str_ends(argv[0], ".json"))
        return err_set(err, ST_UNSUPPORTED,
                       "advice from fits alone ('%s') is not built yet; give the table of runs",
                       argv[0]);
    struct table t = { 0 };
    struct costs costs = { 0 };
    struct js *advice = NULL;
    enum st st = table_read(&t, argv[0], err);
    if (st == ST_OK && (o->generated_in || o->generated_out))
        flag_costs(&costs, &t, o);
    else if (st == ST_OK && file_is_dir(argv[0]))
        st = study_costs(&costs, argv[0], err);
    if (st == ST_OK) {
        struct advise_conf c = { .n_param = (double)o->params,
                                 .n_tok = (double)o->tokens,
                                 .level = o->level,
                                 .threshold = o->threshold,
                                 .n_boot = o->bootstrap,
                                 .seed = cli->seed,
                                 .price_in = o->price_in > 0 ? o->price_in : NAN,
                                 .price_out = o->price_out > 0 ? o->price_out : NAN,
                                 .gpu_hour = o->gpu_hour > 0 ? o->gpu_hour : NAN,
                                 .cost = costs.cost,
                                 .n_cost = costs.n };
        st = advise(&advice, &t, &c, err);
    }
    if (st == ST_OK && out_is_json(cli->out))
        out_row(cli->out, js_copy(advice));
    else if (st == ST_OK)
        print_tables(cli->out, advice);
    js_free(advice);
    costs_release(&costs);
    table_release(&t);
    return st;
}

const struct command cmd_advise = {
    .name = "advise",
    .summary = "which synthetic data, which share, and how sure, from a table of runs",
    .usage = "advise [options] RUNS.csv|RUNS.jsonl|STUDY",
    .detail =
        "Every kind and share is compared with natural text at the same seeds, at the largest "
        "measured size and budget. The verdict is one of: use KIND at SHARE; use none (a gain of "
        "--threshold or more is ruled out for all); cannot "
        "tell (with the runs an arm that could); insufficient (fewer than 2 sizes, 3 budgets, "
        "3 shares, 2 seeds, or 500 steps a run). Arms of kind shuffle must come out worse and "
        "arms named aa* must not be told apart from natural, or the verdict is cannot tell.",
    .field = advise_field,
    .n_field = N_OF(advise_field),
    .opts_size = sizeof(struct advise_opts),
    .defaults = &advise_defaults,
    .run = run_advise,
};
