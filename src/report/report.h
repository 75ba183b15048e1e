/*
 * report/report.h - one self-contained HTML page about a study.
 *
 * The page needs no network and makes no request: style, script, Vega, every figure's specification
 * and data stand inside it, and its content security policy allows nothing else. Whatever text the
 * study's files hold is shown, never interpreted. Pieces that are not there yet are named on the
 * page.
 *
 *     struct report_counts n;
 *     st = report_write("study", "study/report.html", &n, err);
 */
#ifndef MIXLAW_REPORT_REPORT_H
#define MIXLAW_REPORT_REPORT_H

#include <stddef.h>

#include "base/err.h"

struct report_counts {
    size_t n_run, n_figure, n_missing, n_bytes;
};

/* ST_IO: study_dir is no folder, or the page could not be written (then the old one stays). */
MUST_USE enum st report_write(const char *study_dir, const char *out_path,
                              struct report_counts *counts, struct err *err);

#endif
