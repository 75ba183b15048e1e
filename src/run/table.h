/*
 * run/table.h - the table of runs as CSV, one row a run.
 *
 * Columns in the order of the command line's contract: run_id ... loss bpb, then loss_<domain> and
 * bpb_<domain> with the domains of all runs sorted by name, then diverged wall_s tok_per_s backend.
 * Numbers are the shortest decimals that read back as the same value; `nan` where a run has none
 * (diverged, or a domain it was not scored on); diverged is 0 or 1. Texts are quoted where needed
 * (RFC 4180). The same records give the same bytes, in the order in which they are passed.
 */
#ifndef MIXLAW_RUN_TABLE_H
#define MIXLAW_RUN_TABLE_H

#include "base/str.h"
#include "run/run.h"

void run_table_csv(struct strbuf *out, const struct run_record *const *run, size_t n);
MUST_USE enum st run_table_write(const char *path, const struct run_record *const *run, size_t n,
                                 struct err *err);

#endif
