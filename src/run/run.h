/*
 * run/run.h - one run's record: the names of a table of runs, and its JSON.
 *
 * A run folder holds run.json (all settings, resolved, written first), metrics.jsonl, a TensorBoard
 * event file, checkpoint/ and, written last, result.json: this record. See run/folder.h for
 * folders, run/table.h for the CSV table, run/index.h for the SQLite index.
 *
 * What depends on the clock or the machine's load stands in result.json under "timing", which comes
 * last, so that two results can be compared without it.
 */
#ifndef MIXLAW_RUN_RUN_H
#define MIXLAW_RUN_RUN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/json.h"
#include "base/mem.h"

enum { RUN_SCHEMA = 1, RUN_MAX_DOMAINS = 4096 };

struct run_domain {
    const char *name;
    double loss, bpb; /* nats per token, bits per byte; NaN when diverged */
    uint64_t n_tok, n_bytes;
};

struct run_record {
    const char *run_id, *arm, *kind, *schedule, *backend;
    double frac_synth; /* as asked; what was drawn stands in result.json's "sources" */
    uint64_t n_param, n_param_nonemb, n_tok;
    uint64_t n_tok_unique_natural, n_tok_unique_synth;
    double n_epoch_natural, n_epoch_synth;
    double flop, lr;
    uint64_t seed, batch_tokens, seq_len, vocab_size;
    double loss, bpb; /* unweighted means over domains; NaN when diverged or not evaluated */
    bool diverged;
    double
        wall_s; /* training and evaluation; a branch's includes its trunk's up to where it left */
    double tok_per_s;
    struct run_domain *domain; /* sorted by name */
    size_t n_domain;

    /* Not columns of the table. */
    uint64_t n_step;
    double loss_train; /* mean over the last tenth of the steps; NaN when diverged */
    double mfu;        /* share of the measured peak; NaN when unknown */
};

/* result.json. extra: more members (may be NULL, borrowed), put before "timing". */
struct js *run_record_json(const struct run_record *r, const struct js *extra);

/* Reads it back; texts and domains are kept in a. ST_FORMAT names the member and what was expected.
 */
MUST_USE enum st run_record_parse(struct run_record *r, const struct js *v, struct arena *a,
                                  struct err *err);

void run_domains_sort(struct run_domain *domain, size_t n);

/* The shortest decimal that reads back as the same double; "nan" and "inf" as C writes them. */
enum { RUN_NUMBER = 32 };
const char *run_number(char buf[RUN_NUMBER], double v);

#endif
