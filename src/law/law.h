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

/* What a parameter is. All are positive; the optimiser works on their logarithms (theta). */
enum law_role { LAW_A, LAW_B, LAW_E, LAW_ALPHA, LAW_BETA, LAW_GAMMA };

struct law {
    const char *name, *formula, *source;
    int n_param;
    const char *param[LAW_PARAM_MAX];
    enum law_role role[LAW_PARAM_MAX];
    bool uses_n, uses_d;
    bool tied; /* alpha serves N and D: both are scaled alike */

    /* For law/fit.c: pred[i] is L; jac[k * n + i] is dL/dtheta_k, left out when NULL. */
    void (*eval)(const double *theta, const struct law_points *p, double *pred, double *jac);
};

extern const struct law laws[];
extern const size_t n_laws;

const struct law *law_find(const char *name);             /* NULL when unknown */
int law_index(const struct law *law, enum law_role role); /* of the parameter; -1: has none */

/* Between natural parameters and theta, the logarithms in scaled coordinates. */
void law_natural(const struct law *law, double *param, const double *theta,
                 const struct law_scale *s);
void law_internal(const struct law *law, double *theta, const double *param,
                  const struct law_scale *s);

/* Do so many sizes and budgets determine the law's predictions at others? A sum of a term in N and
 * a term in D has n_size + n_budget - 1 independent values, and three of one kind fix floor, factor
 * and exponent. */
bool law_is_determined(const struct law *law, size_t n_size, size_t n_budget);

/* L at (n, d); what the law does not use may be anything. */
double law_predict(const struct law *law, const double *param, double n, double d);

/* Tokens at which the law reaches the loss at size n; INFINITY when it never does, NAN for a law
 * without D. */
double law_tokens_for(const struct law *law, const double *param, double n, double loss);

#endif
