/*
 * law/fit.h - fits a law to rows: global optimum, bootstrap, identifiability.
 *
 * Objective: sum over rows of weight * Huber_delta(ln L_pred - ln L_obs), delta 1e-3 unless asked
 * otherwise; delta = INFINITY is the squared log residual. Starts come from a grid over the
 * exponents with exact non-negative least squares for the linear part; the best are polished by
 * BFGS with analytic gradients. Bootstraps start warm from the optimum.
 *
 *     struct fit_data data = { .n = n, .n_param = N, .n_tok = D, .loss = L };
 *     struct fit_conf conf = fit_conf_default();
 *     struct fit fit;
 *     st = fit_law(&fit, law_find("joint"), &data, &conf, err);
 *     printf("%g\n", fit.param[0]);
 *     fit_release(&fit);
 *
 * Threads: no shared state. The same rows, conf and seed give the same bytes.
 * Source: Hoffmann et al. 2022 (arXiv:2203.15556); Besiroglu et al. 2024 (arXiv:2404.10102).
 */
#ifndef MIXLAW_LAW_FIT_H
#define MIXLAW_LAW_FIT_H

#include <stdint.h>

#include "base/err.h"
#include "law/law.h"

struct fit_data {
    size_t n;
    const double *n_param, *n_tok; /* > 0; NULL when the law does not use it */
    const double *loss;            /* > 0, nats per token */
    const double *weight;          /* NULL: all 1 */
    const uint32_t *group;         /* rows of one run share a number; NULL: every row its own */
};

struct fit_conf {
    double delta;    /* Huber's, on the log residual */
    size_t n_boot;   /* 0: no intervals */
    int n_start;     /* candidates of the grid that are polished */
    double level;    /* of the intervals */
    uint64_t seed;   /* of the bootstrap */
    bool no_profile; /* leave the profile of E out */

    /* When set, the bootstrap does not draw rows but noise about the fitted losses: s.d. of one row
     * in nats, known from df degrees of freedom. For rows too few to be drawn again. */
    double noise_sd, noise_df;
};
struct fit_conf fit_conf_default(void);

enum { FIT_PROFILE_MAX = 9 };

struct fit {
    const struct law *law;
    size_t n_row, n_group;
    double param[LAW_PARAM_MAX];
    double lo[LAW_PARAM_MAX], hi[LAW_PARAM_MAX]; /* percentile bootstrap; NAN without */
    double objective, grad_norm; /* gradient of objective/delta, internal parameters */
    int n_start, n_start_agree;  /* polished; within 1e-5 of the best objective */
    double runner_up;            /* best objective of the starts that do not agree; NAN: none */
    int n_param_at_start;        /* parameters that did not move from their start: suspect */
    double mrae, bias;           /* mean |pred/obs - 1| and mean pred/obs - 1, in percent */
    double rmse_log;

    /* Identifiability, from the Gauss-Newton matrix at the optimum in logarithms of the parameters.
     */
    double corr[LAW_PARAM_MAX][LAW_PARAM_MAX];
    double condition;
    unsigned unbounded; /* bit k: the interval of param k touches a limit or spans > 10^6 */
    int n_profile;      /* E held at profile_e, all else fitted again */
    double profile_e[FIT_PROFILE_MAX], profile_objective[FIT_PROFILE_MAX];

    size_t n_boot, n_boot_failed;
    double *boot; /* [n_boot][law->n_param], natural parameters; owned */
};

/* ST_USAGE: fewer rows than parameters, one size or one budget only, values not positive, losses
 * that fall faster than any power. */
MUST_USE enum st fit_law(struct fit *out, const struct law *law, const struct fit_data *data,
                         const struct fit_conf *conf, struct err *err);
void fit_release(struct fit *f);

/* Predicted loss at (n, d) with its bootstrap interval (NAN without bootstrap). */
void fit_predict(const struct fit *f, double n, double d, double level, double *loss, double *lo,
                 double *hi);

/* Errors of predictions against rows, in percent. */
struct fit_error {
    double mrae, bias;
    size_t n;
};
void fit_error(struct fit_error *e, const struct law *law, const double *param,
               const struct fit_data *data);

#endif
