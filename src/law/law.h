/*
 * law/law.h - the table of scaling laws: forms, names, prediction. Plain arrays in and out.
 *
 *     data         L = E + B/D^beta
 *     model        L = E + A/N^alpha
 *     joint        L = E + A/N^alpha + B/D^beta
 *     joint_tied   L = E + A/N^alpha + B/D^alpha
 *     joint_gamma  L = E + (A/N^alpha + B/D^beta)^gamma
 *
 * N parameters, D training tokens, L loss in nats per token. Parameters are natural (A, not ln A)
 * and stand in the order of law->param.
 *
 *     const struct law *law = law_find("joint");
 *     double loss = law_predict(law, param, 1e9, 2e10);
 *
 * A fit is law/fit.h; a table of runs law/table.h; from a table to reports law/summary.h and
 * law/advise.h. To add a law: one row in laws[] (law.c) with its evaluation and its starts.
 */
#ifndef MIXLAW_LAW_LAW_H
#define MIXLAW_LAW_LAW_H

#include <stdbool.h>
#include <stddef.h>

enum { LAW_PARAM_MAX = 8 };

/* Rows for the optimiser: z are ln N and ln D, centred and scaled (see fit.c). */
struct law_points {
    size_t n;
    const double *zn, *zd;
};

/* How z was made: zn = (ln N - mean_n) / sd_n. */
struct law_scale {
    double mean_n, sd_n, mean_d, sd_d;
};

struct law {
    const char *name, *formula, *source;
    int n_param;
    const char *param[LAW_PARAM_MAX]; /* natural parameters */
    bool uses_n, uses_d;

    /* For law/fit.c: theta are n_param unconstrained numbers (logs of what must be positive).
     * pred[i] is L; jac[k*n + i] is dL/dtheta_k, not wanted when NULL. */
    void (*eval)(const double *theta, const struct law_points *p, double *pred, double *jac);
    void (*natural)(double *param, const double *theta, const struct law_scale *s);
    void (*internal)(double *theta, const double *param, const struct law_scale *s);
    int index_e;            /* which parameter is E */
    unsigned exponent_mask; /* bit k: theta_k is an exponent, kept within limits */
};

extern const struct law laws[];
extern const size_t n_laws;

const struct law *law_find(const char *name); /* NULL when unknown */

/* L at (n, d); what the law does not use may be anything. */
double law_predict(const struct law *law, const double *param, double n, double d);

#endif
