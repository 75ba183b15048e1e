/*
 * run/index.h - study.db, an SQLite index over run folders. The only file that knows SQLite is
 * index.c.
 *
 * The folders are the truth: the index can be deleted and rebuilt from them, and a damaged one is.
 * Tables: run (a row a folder: dir, state, why and the columns of the table of runs) and domain
 * (dir, domain, loss, bpb, n_tok, n_bytes).
 *
 *     st = run_index_open(&ix, "study.db", err);
 *     st = run_index_rebuild(ix, "runs", err);
 *     st = run_index_list(ix, &list, err);         in the order of dir
 *
 * Threads and processes: writers wait for each other up to ten seconds.
 */
#ifndef MIXLAW_RUN_INDEX_H
#define MIXLAW_RUN_INDEX_H

#include "run/folder.h"

struct run_index;
/* Creates the file when absent; one that is no database or damaged is replaced, with a warning. */
MUST_USE enum st run_index_open(struct run_index **out, const char *path, struct err *err);
void run_index_close(struct run_index *ix); /* NULL is fine */

/* Puts one run's entry, replacing what stood under its dir. */
MUST_USE enum st run_index_put(struct run_index *ix, const struct run_entry *e, struct err *err);

/* Looks at all run folders at or below runs_dir and makes the index hold exactly these, at once or
 * not at all. */
MUST_USE enum st run_index_rebuild(struct run_index *ix, const char *runs_dir, struct err *err);

/* All entries by dir; release with run_list_release. */
MUST_USE enum st run_index_list(struct run_index *ix, struct run_list *l, struct err *err);

#endif
