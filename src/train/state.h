/*
 * train/state.h - saved states of a run in progress, from which it goes on exactly.
 *
 * DIR/state-STEP.bin holds parameters and moments (model_save_state, checksummed),
 * DIR/state-STEP.json, written after it, what the loop itself remembers. The two newest stay: when
 * the newest cannot be read, the one before it is used. What is drawn from the mixture follows from
 * the step alone.
 */
#ifndef MIXLAW_TRAIN_STATE_H
#define MIXLAW_TRAIN_STATE_H

#include "base/err.h"
#include "model/model.h"

struct train_state {
    uint64_t step;  /* done */
    double log_sum; /* losses since the last logged line */
    uint64_t log_n;
    double tail_sum; /* losses of the run's last tenth so far */
    uint64_t tail_n;
    double train_s; /* time spent in steps; not part of the result */
};

/* key: the run's; backend: for a warning when another one goes on. A full disk leaves older states
 * as they were. */
MUST_USE enum st state_save(const char *dir, const char *key, const struct train_state *s,
                            struct model *m, const char *backend, struct err *err);

/* The newest state of this key up to max_step that can be read. ST_END: none. *as_made becomes
 * false when the model was written to, also by a state that proved damaged: it may hold anything
 * then. */
MUST_USE enum st state_load(const char *dir, const char *key, uint64_t max_step,
                            struct train_state *s, struct model *m, bool *as_made,
                            const char *backend, struct err *err);

#endif
