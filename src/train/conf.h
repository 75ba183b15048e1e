/*
 * train/conf.h - what a person asks of `train`, as a table of settings. See train/plan.h for what
 * becomes of it.
 */
#ifndef MIXLAW_TRAIN_CONF_H
#define MIXLAW_TRAIN_CONF_H

#include <stdbool.h>
#include <stdint.h>

#include "backend/backend.h"
#include "base/field.h"

struct train_conf {
    uint64_t params; /* without embeddings */
    const char *shape, *init;
    struct textlist data, tokens, eval;
    const char *out, *tokenizer;
    uint64_t seq_len, batch_tokens, warmup, log_every, eval_bytes, vocab_size; /* 0: chosen */
    double lr;                                                                 /* 0: chosen */
    const char *schedule, *decay, *precision, *optimizer;
    double muon_momentum, z_loss, ema;
    uint64_t mup; /* width that lr and initialisation are of; 0: this model's */
    bool document_mask;
    double cooldown, weight_decay, beta1, beta2, grad_clip;
    double checkpoint_every;
    const char *arm, *kind, *run_id;
    bool dry_run, pilot, profile;
};
extern const struct train_conf train_defaults;
enum { N_TRAIN_FIELD = 36 };
extern const struct field train_field[N_TRAIN_FIELD];

/* Where and with what a run computes; may differ between two goes of one run. */
struct train_env {
    uint64_t seed; /* this one may not */
    const char *backend;
    int n_threads;
};

enum precision train_precision(const struct train_conf *c);
double train_muon(const struct train_conf *c); /* its momentum, 0 without */

#endif
