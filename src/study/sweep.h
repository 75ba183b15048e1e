/*
 * study/sweep.h - the learning rate of each size, found before any arm is compared.
 *
 * A badly trained grid reverses the answer (docs/ARCHITECTURE.md, rule 2), so rates are swept at
 * both ends of the shares: natural text alone and the largest share of the first kind, at the
 * smallest and the largest size, each for the smallest budget, with a seed that no compared run
 * has. They are judged by the loss on a development split of the natural text that is neither
 * trained on nor reported.
 *
 * Rates are spaced by two around train's own law; a side is extended while the best rate is the
 * last one there, up to 16 times; a best rate that still is the last is taken, and the plan warns
 * of it. The rate is where a parabola through the best three, in log rate, has its least loss; a
 * size in between takes the power law between the two. Every arm then trains with the rate of its
 * size.
 */
#ifndef MIXLAW_STUDY_SWEEP_H
#define MIXLAW_STUDY_SWEEP_H

#include <stddef.h>

enum { SWEEP_MAX_STEPS = 4 }; /* rates are tried from 1/16 to 16 times train's law, no further */

/* loss[0..n): mean losses at rates lr[0] 2^i, NaN or infinite where a run diverged.
 * Returns 0 with *best (rounded to two digits), or -1 or 1: the side on which a rate is missing. */
int sweep_best(double lr0, const double *loss, size_t n, double *best);

/* The rate at n on the power law through (n0, lr0) and (n1, lr1), rounded to two digits. */
double sweep_between(double n0, double lr0, double n1, double lr1, double n);

#endif
