/*
 * run/run.h - one run's record: the names of a table of runs, the run folder, CSV.
 *
 * A run folder holds run.json (all settings, resolved), metrics.jsonl, a TensorBoard event file,
 * checkpoint/ and, written last, result.json. The table's columns are those of the command line's
 * contract: run_id arm kind frac_synth n_param ... loss_<domain>... bpb_<domain>...
 */
#ifndef MIXLAW_RUN_RUN_H
#define MIXLAW_RUN_RUN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/json.h"

struct run_domain {
    const char *name;
    double loss, bpb; /* nats per token, bits per byte */
    uint64_t n_tok, n_bytes;
};

struct run_record {
    const char *run_id, *arm, *kind, *schedule, *backend;
    double frac_synth;
    uint64_t n_param, n_param_nonemb, n_tok;
    uint64_t n_tok_unique_natural, n_tok_unique_synth;
    double n_epoch_natural, n_epoch_synth;
    double flop, lr;
    uint64_t seed, batch_tokens, seq_len, vocab_size;
    double loss, bpb; /* unweighted means over domains; NaN when diverged */
    bool diverged;
    double wall_s, tok_per_s;
    struct run_domain *domain;
    size_t n_domain;
};

#endif
