/*
 * train/schedule.h - the learning rate of a step, a pure function.
 *
 *     cosine    warm-up from 0, then half a cosine to a tenth of the rate at the last step
 *     linear    warm-up from 0, then straight down; the first step after it still has the full
 *               rate, the one behind the last would have none
 *     wsd       warm-up, constant, then over the last part (cooldown, a fifth) down to 0
 *     constant  warm-up, constant: a trunk without its branches
 *
 * The cool-down's shape is linear, or 1 - sqrt(progress), which ends lower on most models (Hägele
 * et al. 2024, arXiv:2405.18392, section 4). Before the cool-down a wsd schedule does not depend on
 * its end: budgets share a trunk, and the branch of n_step steps departs after schedule_branch
 * steps.
 */
#ifndef MIXLAW_TRAIN_SCHEDULE_H
#define MIXLAW_TRAIN_SCHEDULE_H

#include <stdint.h>

enum schedule_kind { SCHEDULE_COSINE, SCHEDULE_LINEAR, SCHEDULE_WSD };
enum decay_kind { DECAY_SQRT, DECAY_LINEAR };

struct schedule {
    enum schedule_kind kind;
    enum decay_kind decay;
    double lr, cooldown; /* peak rate; share of the steps that cool down */
    uint64_t warmup;     /* steps */
};

/* Steps before the cool-down of a run of n_step steps. */
uint64_t schedule_branch(const struct schedule *s, uint64_t n_step);

/* The rate of a step, 1..n_step, of a run that ends after n_step. */
double schedule_lr(const struct schedule *s, uint64_t step, uint64_t n_step);

#endif
