/*
 * law/problem.h - the fitting problem as the optimiser sees it, and where to start. For fit.c.
 */
#ifndef MIXLAW_LAW_PROBLEM_H
#define MIXLAW_LAW_PROBLEM_H

#include "base/mem.h"
#include "law/law.h"

struct problem {
    const struct law *law;
    struct law_points p;
    const double *ln_loss, *weight;
    double delta;       /* INFINITY: squares */
    unsigned fixed;     /* bit k: theta_k stays */
    double *pred, *jac; /* scratch, [p.n] and [n_param * p.n] */
};

/* An optimize_fn: the objective, divided by delta so that it has size 1 and more. */
double problem_value(void *problem, const double *theta, double *grad);
double problem_scale(const struct problem *p); /* objective = value * scale */

/* Up to n_max starts, best first, into theta[][]: exponents on a grid, the linear part (A, B, E) by
 * exact non-negative least squares of the relative residual. Returns how many. */
int problem_starts(struct problem *p, double (*theta)[LAW_PARAM_MAX], int n_max);

#endif
