/* cli/cmd_study.c - `study plan|run|status|export|next`: whole studies. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "cli/commands.h"
#include "report/summary.h"
#include "study/study.h"

struct opts {
    const char *out;
};

static const struct field field[] = {
    { .name = "out",
      .kind = FIELD_TEXT,
      .unit = "DIR",
      .help = "the study's folder (default: NAME-study in the current folder)",
      .offset = offsetof(struct opts, out) },
};

static enum st open_study(struct study **s, struct opts *o, struct cli *cli, int argc, char **argv,
                          struct err *err)
{
    *s = NULL;
    if (argc != 1)
        return err_set(err, ST_USAGE, "want one study file, such as examples/quickstart.yaml");
    struct study_where where = { .self = cli->self,
                                 .dir = o->out,
                                 .backend = cli->backend,
                                 .threads = cli->threads,
                                 .seed = cli->seed,
                                 .quiet = cli->quiet,
                                 .strict = cli->strict };
    return study_open(s, argv[0], &where, err);
}

static enum st run_plan(void *opts, struct cli *cli, int argc, char **argv, struct err *err)
{
    struct study *s;
    struct js *plan;
    enum st st = open_study(&s, opts, cli, argc, argv, err);
    if (st == ST_OK)
        st = study_plan(s, &plan, err);
    if (st == ST_OK)
        out_row(cli->out, plan);
    study_close(s);
    return st;
}

static enum st run_run(void *opts, struct cli *cli, int argc, char **argv, struct err *err)
{
    struct study *s;
    struct strbuf text = { 0 };
    enum st st = open_study(&s, opts, cli, argc, argv, err);
    if (st == ST_OK)
        st = study_run(s, err);
    if (st == ST_OK) {
        char *report = path_join(study_dir(s), "report.html");
        st = report_summary(&text, study_dir(s), report, err);
        free(report);
    }
    if (st == ST_OK && out_is_json(cli->out)) { /* people who pipe the answer still read it */
        char *path = path_join(study_dir(s), "advice.json");
        struct js *advice;
        log_info("\n%s", text.s);
        st = js_read_file(&advice, path, err);
        if (st == ST_OK)
            out_row(cli->out, advice);
        free(path);
    } else if (st == ST_OK) {
        fputs(text.s, stdout);
    }
    str_release(&text);
    study_close(s);
    return st;
}

static enum st run_status(void *opts, struct cli *cli, int argc, char **argv, struct err *err)
{
    struct study *s;
    struct js *row;
    enum st st = open_study(&s, opts, cli, argc, argv, err);
    if (st == ST_OK)
        st = study_status(s, &row, err);
    if (st == ST_OK)
        out_row(cli->out, row);
    study_close(s);
    return st;
}

static enum st run_export(void *opts, struct cli *cli, int argc, char **argv, struct err *err)
{
    struct study *s;
    struct strbuf text = { 0 };
    enum st st = open_study(&s, opts, cli, argc, argv, err);
    if (st == ST_OK)
        st = study_collect(s, err);
    if (st == ST_OK) {
        char *path = path_join(study_dir(s), "runs.csv");
        st = file_read(path, 1 << 30, &text, err);
        if (st == ST_OK)
            fwrite(text.s, 1, text.n, stdout);
        free(path);
    }
    str_release(&text);
    study_close(s);
    return st;
}

static enum st run_next(void *opts, struct cli *cli, int argc, char **argv, struct err *err)
{
    (void)opts, (void)cli, (void)argc, (void)argv;
    return err_set(err, ST_UNSUPPORTED,
                   "choosing the next best run is not built yet; 'study run' says how many more "
                   "seeds would decide");
}

#define COMMON .field = field, .n_field = N_OF(field), .opts_size = sizeof(struct opts)

const struct command cmd_study_plan = {
    .name = "study plan",
    .summary = "what a study would run, take and cost, before anything is trained",
    .usage = "study plan [--out DIR] STUDY.yaml",
    .detail = "Reads the text, trains the tokenizer, times training and generation on this machine "
              "for some\n"
              "seconds, and freezes the plan in DIR/plan.json. 'study run' obeys it.",
    COMMON,
    .run = run_plan,
};
const struct command cmd_study_run = {
    .name = "study run",
    .summary = "run a study, or go on with it, to its recommendation",
    .usage = "study run [--out DIR] STUDY.yaml",
    .detail = "Run it again after any interruption: what is finished is kept, nothing is paid for "
              "twice.\n"
              "Ends with the recommendation and DIR/report.html.",
    COMMON,
    .run = run_run,
};
const struct command cmd_study_status = {
    .name = "study status",
    .summary = "how far a study is",
    .usage = "study status [--out DIR] STUDY.yaml",
    COMMON,
    .run = run_status,
};
const struct command cmd_study_export = {
    .name = "study export",
    .summary = "the table of runs as CSV",
    .usage = "study export [--out DIR] STUDY.yaml",
    COMMON,
    .run = run_export,
};
const struct command cmd_study_next = {
    .name = "study next",
    .summary = "propose the next best run; not built yet",
    .usage = "study next STUDY.yaml",
    COMMON,
    .run = run_next,
};
