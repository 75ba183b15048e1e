/* cli/cmd_train.c - `train`: a model on a mixture of token files; one row a budget at the end. */
#include <math.h>

#include "base/log.h"
#include "cli/commands.h"
#include "run/folder.h"
#include "train/train.h"

static void profile_row(const struct pilot *p, const char *part, double s, double flop,
                        struct cli *cli)
{
    struct js *row = js_object();
    js_put_text(row, "part", part);
    js_put_real(row, "s", s);
    js_put_real(row, "share", s / p->profile.s);
    js_put_real(row, "gflop_per_s", flop > 0 ? flop / s * 1e-9 : NAN);
    js_put_real(row, "share_of_peak", flop > 0 && p->peak > 0 ? flop / s / p->peak : NAN);
    out_row(cli->out, row);
}

static void print_profile(const struct pilot *p, struct cli *cli)
{
    double flop = 0;
    for (int i = 0; i < N_PROFILE; i++) {
        const struct profile_part *part = &p->profile.part[i];
        profile_row(p, part->name, part->s, part->flop, cli);
        flop += part->flop;
    }
    profile_row(p, "all", p->profile.s, flop, cli);
}

static enum st pilot(const struct train_conf *c, const struct train_env *env, struct cli *cli,
                     struct err *err)
{
    struct pilot p;
    enum st st = train_pilot(&p, c, env, err);
    if (st < 0)
        return st;
    struct js *row = js_object();
    js_put_whole(row, "n_param", (int64_t)p.n_param);
    js_put_whole(row, "n_param_nonemb", (int64_t)p.n_param_nonemb);
    if (!c->dry_run) {
        js_put_real(row, "tok_per_s", p.tok_per_s);
        js_put_real(row, "step_s", p.step_s);
        js_put_whole(row, "n_step", (int64_t)p.n_step);
    }
    js_put_real(row, "flop_per_tok", p.flop_per_tok);
    js_put(row, "memory_bytes", train_memory_json(&p.memory));
    js_put_text(row, "backend", p.backend);
    out_row(cli->out, row);
    if (c->profile)
        print_profile(&p, cli);
    return ST_OK;
}

/* The row of a finished budget, from its own folder: the same whether trained now or before. */
static enum st print_result(const struct train_budget *b, struct cli *cli, struct err *err)
{
    struct arena a = { 0 };
    struct run_entry e;
    enum st st = ST_OK;
    run_look(&e, b->dir, &a);
    if (e.state == RUN_FINISHED) {
        const struct run_record *r = &e.rec;
        struct js *row = js_object();
        js_put_text(row, "run_id", r->run_id);
        js_put_whole(row, "n_param", (int64_t)r->n_param);
        js_put_whole(row, "n_param_nonemb", (int64_t)r->n_param_nonemb);
        js_put_whole(row, "n_tok", (int64_t)r->n_tok);
        js_put_real(row, "loss_train", r->loss_train);
        js_put_real(row, "loss", r->loss);
        js_put_real(row, "bpb", r->bpb);
        js_put_real(row, "wall_s", r->wall_s);
        js_put_real(row, "tok_per_s", r->tok_per_s);
        js_put_real(row, "mfu", r->mfu);
        js_put_bool(row, "diverged", r->diverged);
        js_put_text(row, "dir", b->dir);
        out_row(cli->out, row);
    } else {
        st = err_set(err, ST_FORMAT, "%s", e.why ? e.why : "the run has no result");
    }
    arena_release(&a);
    return st;
}

static bool all_finished(const struct train_plan *p)
{
    bool all = true;
    for (size_t i = 0; i < p->n_budget && all; i++) {
        struct arena a = { 0 };
        struct run_entry e;
        run_look(&e, p->budget[i].dir, &a);
        all = e.state == RUN_FINISHED;
        arena_release(&a);
    }
    return all;
}

static enum st run(void *opts, struct cli *cli, int argc, char **argv, struct err *err)
{
    const struct train_conf *c = opts;
    struct train_env env = { .seed = cli->seed,
                             .backend = cli->backend,
                             .n_threads = (int)cli->threads };
    struct train_plan *p;
    if (argc > 0)
        return err_set(err, ST_USAGE, "'%s' belongs to no option", argv[0]);
    if (c->profile && c->dry_run)
        return err_set(err, ST_USAGE, "--profile measures and --dry-run does not: take one");
    if (c->pilot || c->profile)
        return pilot(c, &env, cli, err);
    if (!c->out && !c->dry_run)
        return err_set(err, ST_USAGE, "--out is missing");
    enum st st = train_plan_open(&p, c, &env, err);
    if (st < 0)
        return st;
    if (c->dry_run) {
        struct backend *b;
        st = backend_open(&b, env.backend, env.n_threads, train_precision(c), err);
        for (size_t i = 0; i < p->n_budget && st == ST_OK; i++)
            out_row(cli->out, train_plan_json(p, &p->budget[i], b));
        backend_close(b);
    } else {
        bool before = all_finished(p);
        st = train_run(p, err);
        if (st == ST_OK && before)
            log_info("'%s' is up to date", c->out);
        for (size_t i = 0; i < p->n_budget && st == ST_OK; i++)
            st = print_result(&p->budget[i], cli, err);
    }
    train_plan_close(p);
    return st;
}

static const char detail[] =
    "Trains a Llama model with AdamW or Muon. The same command again goes on where the last one "
    "stopped, "
    "or says that the run is up to date; other settings want another --out. Shares are shares of "
    "training tokens. The last lines on stdout are the results, one a budget.\n\n"
    "--dry-run prints steps, tokens, FLOP, memory part by part and repetition without training. "
    "--pilot needs "
    "no data and prints the speed of some steps: train --pilot --params SIZE --vocab-size V "
    "[--seq-len L --batch-tokens B]. --profile does the same and then prints where the time of a "
    "step went, part by part; gflop_per_s counts the multiplications that the shapes ask for, "
    "share_of_peak "
    "is to what the processor can do at most, measured then. Seconds are those of all threads at "
    "work, divided by their number; what they were not is the part `waiting`.\n\n"
    "RUN holds run.json (what was asked and all settings), metrics.jsonl, a TensorBoard event "
    "file, checkpoint/ (a Hugging Face folder) and, last, result.json. With several --tokens there "
    "is such a folder for each of them, RUN/TOKENS; a folder never holds both. What was left open "
    "is chosen once: a begun RUN keeps it, also under a newer program.";

const struct command cmd_train = {
    .name = "train",
    .summary = "train a model on a mixture of token files",
    .usage = "train --params SIZE|--shape FILE|--init MODEL --data SOURCE=PREFIX@SHARE... --tokens "
             "D... --out RUN [options]",
    .detail = detail,
    .field = train_field,
    .n_field = N_TRAIN_FIELD,
    .opts_size = sizeof(struct train_conf),
    .defaults = &train_defaults,
    .run = run,
};
