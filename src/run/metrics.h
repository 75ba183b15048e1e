/*
 * run/metrics.h - what a run logs while it trains: metrics.jsonl and a TensorBoard event file.
 *
 * metrics.jsonl has a line per logged step: step, n_tok, loss (mean since the line before, nats per
 * token), lr, grad_norm, tok_per_s, wall_s and time (seconds since 1970). It is the truth; the
 * event file is written beside it and made anew from it when a run goes on after a stop, so that
 * steps after the checkpoint stand in neither twice.
 *
 *     st = run_log_open(&l, dir, checkpoint_step, err);
 *     st = run_log_add(l, &metric, err);
 *     st = run_log_close(l, err);
 */
#ifndef MIXLAW_RUN_METRICS_H
#define MIXLAW_RUN_METRICS_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct run_metric {
    uint64_t step, n_tok;
    double loss, lr, grad_norm, tok_per_s, wall_s, time;
};

struct run_log;
/* Lines up to keep_step stay, later ones (and a line cut by a crash) go. */
MUST_USE enum st run_log_open(struct run_log **out, const char *dir, uint64_t keep_step,
                              struct err *err);
MUST_USE enum st run_log_add(struct run_log *l, const struct run_metric *m, struct err *err);
/* One more number for the event file only: "bpb/books" at the end of a run. */
MUST_USE enum st run_log_scalar(struct run_log *l, const char *tag, uint64_t step, double time,
                                double value, struct err *err);
MUST_USE enum st run_log_close(struct run_log *l, struct err *err); /* NULL is fine */

/* Reads metrics.jsonl; *out is the caller's to free. A cut last line is left out, lines from a
 * damaged one on too, with a warning; an absent file has none. */
MUST_USE enum st run_metrics_read(const char *dir, struct run_metric **out, size_t *n,
                                  struct err *err);

/* The same metrics, up to a step, as another folder's: a branch begins with its trunk's. */
MUST_USE enum st run_metrics_copy(const char *from_dir, const char *to_dir, uint64_t keep_step,
                                  struct err *err);

#endif
