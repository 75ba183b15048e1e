/* train/schedule.c - see schedule.h. */
#include "train/schedule.h"

#include <math.h>

static const double pi = 3.14159265358979323846;
static const double cosine_floor = 0.1;

uint64_t schedule_branch(const struct schedule *s, uint64_t n_step)
{
    uint64_t cool = (uint64_t)ceil(s->cooldown * (double)n_step);
    return cool < n_step ? n_step - cool : 0;
}

double schedule_lr(const struct schedule *s, uint64_t step, uint64_t n_step)
{
    double factor = 1;
    if (s->kind == SCHEDULE_COSINE && step > s->warmup) {
        double progress =
            (double)(step - s->warmup) / (double)(n_step > s->warmup ? n_step - s->warmup : 1);
        factor = cosine_floor + (1 - cosine_floor) * 0.5 * (1 + cos(pi * progress));
    }
    if (s->kind == SCHEDULE_LINEAR && step > s->warmup)
        factor =
            (double)(n_step + 1 - step) / (double)(n_step > s->warmup ? n_step - s->warmup : 1);
    uint64_t branch = schedule_branch(s, n_step);
    if (s->kind == SCHEDULE_WSD && step > branch) {
        /* The first cooling step still has the full rate, the last one a little more than 0. */
        double progress = (double)(step - 1 - branch) / (double)(n_step - branch);
        factor = s->decay == DECAY_LINEAR ? 1 - progress : 1 - sqrt(progress);
    }
    if (step < s->warmup)
        factor *= (double)step / (double)s->warmup;
    return s->lr * factor;
}
