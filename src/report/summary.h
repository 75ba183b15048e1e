/*
 * report/summary.h - the end of a study in about ten lines for a terminal.
 */
#ifndef MIXLAW_REPORT_SUMMARY_H
#define MIXLAW_REPORT_SUMMARY_H

#include "base/err.h"
#include "base/str.h"

/* Appends recommendation, interval, cost, what cannot be told yet, how many runs would, and the
 * path of the report (NULL: left out) to out. ST_IO when study_dir is no folder. */
MUST_USE enum st report_summary(struct strbuf *out, const char *study_dir, const char *report_path,
                                struct err *err);

#endif
