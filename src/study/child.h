/*
 * study/child.h - other mixlaw commands as child processes, one after the other or side by side.
 *
 * A study runs every stage as its own command: a crash or a full device costs one point, and each
 * stage can be repeated by hand. Children die with us (PR_SET_PDEATHSIG), so that a killed study
 * leaves no process behind that would hold its locks. On a request to stop, children get SIGTERM
 * and are waited for; what they had finished is kept.
 */
#ifndef MIXLAW_STUDY_CHILD_H
#define MIXLAW_STUDY_CHILD_H

#include <stdbool.h>

#include "base/err.h"
#include "base/json.h"
#include "base/str.h"

/* Runs argv[0..n) with stderr as ours. *out (may be NULL) gets its stdout. A failure repeats the
 * child's own message: its last line on stderr is shown to the person already. */
MUST_USE enum st child_run(const struct strlist *argv, struct strbuf *out, struct err *err);

/* The same, and parses the last line of its stdout as JSON; the caller frees *row. */
MUST_USE enum st child_json(const struct strlist *argv, struct js **row, struct err *err);

struct child_job {
    struct strlist argv;
    int n_threads;     /* that it takes, told to it by --threads */
    const char *log;   /* file for its stdout and stderr */
    bool done, failed; /* after child_run_all */
    char why[256];     /* the log's last line, when it failed */
};

/* Runs jobs in order, each once and with --threads added to its arguments, as many side by side as
 * n_threads allow; the last ones share what would be idle. `finished` (may be NULL) is called in
 * this thread after each and about ten times a second, for progress. A failed job does not end the
 * others. */
MUST_USE enum st child_run_all(struct child_job *job, size_t n_job, int n_threads,
                               void (*finished)(void *ctx), void *ctx, struct err *err);

#endif
