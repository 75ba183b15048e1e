/*
 * train/train.h - trains what a plan says: run folders with checkpoints and results.
 *
 *     st = train_plan_open(&p, &conf, &env, err);
 *     st = train_run(p, err);                       every budget's result.json stands now
 *
 * One budget trains in its folder. Several share a trunk (OUT/trunk) with a constant rate: at each
 * budget's branch point the trunk's state is saved, the branch cools down in OUT/TOKENS, and the
 * trunk goes on from the saved state. A budget sees exactly the first tokens of a larger one.
 *
 * Killed at any moment, the same call goes on from the newest good state and ends with the same
 * result, timing aside: everything random follows from seed and step, sums are taken in step order,
 * and what the loop remembers is saved with the state. ST_INTERRUPTED after a signal: state is
 * saved. A loss that is not finite ends a run as diverged, which is a result, not an error.
 */
#ifndef MIXLAW_TRAIN_TRAIN_H
#define MIXLAW_TRAIN_TRAIN_H

#include "backend/profile.h"
#include "train/plan.h"

MUST_USE enum st train_run(struct train_plan *p, struct err *err);

/* Speed of steps on random tokens: about two seconds, no data. With conf->profile also where the
 * time of the timed steps went, and the peak, measured before and after them; the clock is looked
 * at so rarely that they are no slower for it. */
struct pilot {
    uint64_t n_param, n_param_nonemb, n_step;
    double step_s; /* median */
    double tok_per_s, flop_per_tok;
    char backend[64];
    struct model_memory memory;
    struct profile profile; /* zeros without conf->profile, as is peak */
    double peak;            /* FLOP/s of the precision that products are made in; 0: unknown */
};
/* With conf->dry_run nothing is timed and the memory, said here, is not compared with the
 * machine's. */
MUST_USE enum st train_pilot(struct pilot *out, const struct train_conf *conf,
                             const struct train_env *env, struct err *err);

#endif
