/*
 * law/optimize.h - dense BFGS for a few dozen parameters, with a Wolfe line search by bisection.
 *
 * The line search accepts functions with kinks (Huber's objective nearly has them) and takes NaN
 * for plus infinity. Stops after three steps below `tolerance` relative, or when the quadratic
 * model promises a hundredth of that; 1e-13 reaches the last digits of an objective of size 1 or
 * more.
 *
 * Source: Lewis and Overton 2013, Nonsmooth optimization via quasi-Newton methods, algorithm 2.6.
 */
#ifndef MIXLAW_LAW_OPTIMIZE_H
#define MIXLAW_LAW_OPTIMIZE_H

enum { OPTIMIZE_MAX = 16 };

/* Value at x, gradient to grad. */
typedef double optimize_fn(void *job, const double *x, double *grad);

struct optimum {
    double value, grad_norm;
    int n_step, n_call;
};

/* Minimises from x (in: start, out: minimum). inverse: [n*n] inverse Hessian to start with when
 * warm is set, the last one on return; may be NULL. */
struct optimum optimize(optimize_fn *fn, void *job, double *x, int n, double *inverse, int warm,
                        double tolerance, int max_step);

#endif
