/* cli/cmd_report.c - `report`: the page about a study. */
#include <stdlib.h>
#include <string.h>

#include "base/attr.h"
#include "base/file.h"
#include "base/log.h"
#include "cli/commands.h"
#include "report/report.h"

struct report_opts {
    const char *out, *format;
};

static const struct field report_field[] = {
    { .name = "out",
      .kind = FIELD_TEXT,
      .unit = "FILE",
      .help = "where the page goes; report.html in the study's folder unless given",
      .offset = offsetof(struct report_opts, out) },
    { .name = "format",
      .kind = FIELD_CHOICE,
      .choices = "html|md|json",
      .help = "html is the page; md and json are not built yet",
      .offset = offsetof(struct report_opts, format) },
};

static const struct report_opts report_defaults = { .format = "html" };

static enum st run_report(void *opts, struct cli *cli, int argc, char **argv, struct err *err)
{
    struct report_opts *o = opts;
    struct report_counts n = { 0 };
    if (argc != 1)
        return err_set(err, ST_USAGE, "want one study's folder, got %d", argc);
    if (strcmp(o->format, "html") != 0)
        return err_set(err, ST_UNSUPPORTED, "--format %s; html is what there is", o->format);
    double start = clock_s();
    char *in_study = path_join(argv[0], "report.html");
    const char *path = o->out ? o->out : in_study;
    enum st st = report_write(argv[0], path, &n, err);
    if (st == ST_OK) {
        struct js *row = js_object();
        js_put_text(row, "report", path);
        js_put_whole(row, "runs", (int64_t)n.n_run);
        js_put_whole(row, "figures", (int64_t)n.n_figure);
        js_put_whole(row, "missing", (int64_t)n.n_missing);
        js_put_whole(row, "bytes", (int64_t)n.n_bytes);
        js_put_real(row, "wall_s", clock_s() - start);
        out_row(cli->out, row);
    }
    free(in_study);
    return st;
}

const struct command cmd_report = {
    .name = "report",
    .summary = "one self-contained page: verdict, figures, samples, every setting and run",
    .usage = "report STUDY [--out report.html]",
    .detail = "STUDY is the folder that 'study run' makes. The page needs no network and can be "
              "mailed; what "
              "is not there yet (no fits, no advice) is named on it. Prints the page's path, the "
              "runs and "
              "figures on it and how many pieces were missing.",
    .field = report_field,
    .n_field = N_OF(report_field),
    .opts_size = sizeof(struct report_opts),
    .defaults = &report_defaults,
    .run = run_report,
};
