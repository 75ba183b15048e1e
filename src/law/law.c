/* law/law.c - the table of laws and their evaluation. */
#include "law/law.h"

#include <math.h>
#include <string.h>

/* One term exp(theta_c - exp(theta_x) z) added to pred; its derivatives to jac, which the callers
 * fill row by row. The exponent is positive by construction; an overflow gives infinity, which the
 * line search refuses. */
static void term(double c, double x, const double *z, size_t n, double *pred, double *jac_c,
                 double *jac_x)
{
    double e = exp(x);
    for (size_t i = 0; i < n; i++) {
        double v = exp(c - e * z[i]);
        pred[i] += v;
        if (jac_c) {
            jac_c[i] = v;
            jac_x[i] = -v * e * z[i];
        }
    }
}

static void constant(double e, size_t n, double *pred, double *jac_e)
{
    double v = exp(e);
    for (size_t i = 0; i < n; i++) {
        pred[i] = v;
        if (jac_e)
            jac_e[i] = v;
    }
}

static double *column(double *jac, size_t n, int k)
{
    return jac ? jac + (size_t)k * n : NULL;
}

/* B beta E */
static void eval_data(const double *t, const struct law_points *p, double *pred, double *jac)
{
    constant(t[2], p->n, pred, column(jac, p->n, 2));
    term(t[0], t[1], p->zd, p->n, pred, column(jac, p->n, 0), column(jac, p->n, 1));
}

/* A alpha E */
static void eval_model(const double *t, const struct law_points *p, double *pred, double *jac)
{
    constant(t[2], p->n, pred, column(jac, p->n, 2));
    term(t[0], t[1], p->zn, p->n, pred, column(jac, p->n, 0), column(jac, p->n, 1));
}

/* A B E alpha beta */
static void eval_joint(const double *t, const struct law_points *p, double *pred, double *jac)
{
    constant(t[2], p->n, pred, column(jac, p->n, 2));
    term(t[0], t[3], p->zn, p->n, pred, column(jac, p->n, 0), column(jac, p->n, 3));
    term(t[1], t[4], p->zd, p->n, pred, column(jac, p->n, 1), column(jac, p->n, 4));
}

/* A B E alpha */
static void eval_tied(const double *t, const struct law_points *p, double *pred, double *jac)
{
    double e = exp(t[3]), floor_loss = exp(t[2]);
    for (size_t i = 0; i < p->n; i++) {
        double va = exp(t[0] - e * p->zn[i]), vb = exp(t[1] - e * p->zd[i]);
        pred[i] = floor_loss + va + vb;
        if (!jac)
            continue;
        jac[i] = va;
        jac[p->n + i] = vb;
        jac[2 * p->n + i] = floor_loss;
        jac[3 * p->n + i] = -e * (va * p->zn[i] + vb * p->zd[i]);
    }
}

/* A B E alpha beta gamma */
static void eval_gamma(const double *t, const struct law_points *p, double *pred, double *jac)
{
    double ea = exp(t[3]), eb = exp(t[4]), g = exp(t[5]), floor_loss = exp(t[2]);
    size_t n = p->n;
    for (size_t i = 0; i < n; i++) {
        double va = exp(t[0] - ea * p->zn[i]), vb = exp(t[1] - eb * p->zd[i]);
        double sum = va + vb, ln_sum = log(sum), power = exp(g * ln_sum);
        pred[i] = floor_loss + power;
        if (!jac)
            continue;
        double slope = g * power / sum;
        jac[i] = slope * va;
        jac[n + i] = slope * vb;
        jac[2 * n + i] = floor_loss;
        jac[3 * n + i] = -slope * va * ea * p->zn[i];
        jac[4 * n + i] = -slope * vb * eb * p->zd[i];
        jac[5 * n + i] = g * power * ln_sum;
    }
}

const struct law laws[] = {
    { .name = "data",
      .formula = "L = E + B/D^beta",
      .source = "Hestness et al. 2017 (arXiv:1712.00409); one size",
      .n_param = 3,
      .param = { "B", "beta", "E" },
      .role = { LAW_B, LAW_BETA, LAW_E },
      .uses_d = true,
      .eval = eval_data },
    { .name = "model",
      .formula = "L = E + A/N^alpha",
      .source = "Kaplan et al. 2020 (arXiv:2001.08361) with a floor; one budget",
      .n_param = 3,
      .param = { "A", "alpha", "E" },
      .role = { LAW_A, LAW_ALPHA, LAW_E },
      .uses_n = true,
      .eval = eval_model },
    { .name = "joint",
      .formula = "L = E + A/N^alpha + B/D^beta",
      .source = "Hoffmann et al. 2022 (arXiv:2203.15556)",
      .n_param = 5,
      .param = { "A", "B", "E", "alpha", "beta" },
      .role = { LAW_A, LAW_B, LAW_E, LAW_ALPHA, LAW_BETA },
      .uses_n = true,
      .uses_d = true,
      .eval = eval_joint },
    { .name = "joint_tied",
      .formula = "L = E + A/N^alpha + B/D^alpha",
      .source = "Muennighoff et al. 2023 (arXiv:2305.16264), without repetition",
      .n_param = 4,
      .param = { "A", "B", "E", "alpha" },
      .role = { LAW_A, LAW_B, LAW_E, LAW_ALPHA },
      .uses_n = true,
      .uses_d = true,
      .tied = true,
      .eval = eval_tied },
    { .name = "joint_gamma",
      .formula = "L = E + (A/N^alpha + B/D^beta)^gamma",
      .source = "after Kaplan et al. 2020 (arXiv:2001.08361), eq. 1.5, with a floor",
      .n_param = 6,
      .param = { "A", "B", "E", "alpha", "beta", "gamma" },
      .role = { LAW_A, LAW_B, LAW_E, LAW_ALPHA, LAW_BETA, LAW_GAMMA },
      .uses_n = true,
      .uses_d = true,
      .eval = eval_gamma },
};
const size_t n_laws = sizeof laws / sizeof *laws;

const struct law *law_find(const char *name)
{
    for (size_t i = 0; i < n_laws; i++)
        if (strcmp(laws[i].name, name) == 0)
            return &laws[i];
    return NULL;
}

int law_index(const struct law *law, enum law_role role)
{
    for (int k = 0; k < law->n_param; k++)
        if (law->role[k] == role)
            return k;
    return -1;
}

/* The exponents that belong to N and to D, as parameter indices; -1: the law has none. */
static void exponent_of(const struct law *law, int *of_n, int *of_d)
{
    *of_n = law_index(law, LAW_ALPHA);
    *of_d = law->tied ? *of_n : law_index(law, LAW_BETA);
}

void law_natural(const struct law *law, double *param, const double *theta,
                 const struct law_scale *s)
{
    int of_n, of_d;
    exponent_of(law, &of_n, &of_d);
    for (int k = 0; k < law->n_param; k++) {
        switch (law->role[k]) {
        case LAW_A:
            param[k] = exp(theta[k] + exp(theta[of_n]) / s->sd_n * s->mean_n);
            break;
        case LAW_B:
            param[k] = exp(theta[k] + exp(theta[of_d]) / s->sd_d * s->mean_d);
            break;
        case LAW_ALPHA:
            param[k] = exp(theta[k]) / s->sd_n;
            break;
        case LAW_BETA:
            param[k] = exp(theta[k]) / s->sd_d;
            break;
        case LAW_E:
        case LAW_GAMMA:
            param[k] = exp(theta[k]);
        }
    }
}

void law_internal(const struct law *law, double *theta, const double *param,
                  const struct law_scale *s)
{
    int of_n, of_d;
    exponent_of(law, &of_n, &of_d);
    for (int k = 0; k < law->n_param; k++) {
        switch (law->role[k]) {
        case LAW_A:
            theta[k] = log(param[k]) - param[of_n] * s->mean_n;
            break;
        case LAW_B:
            theta[k] = log(param[k]) - param[of_d] * s->mean_d;
            break;
        case LAW_ALPHA:
            theta[k] = log(param[k] * s->sd_n);
            break;
        case LAW_BETA:
            theta[k] = log(param[k] * s->sd_d);
            break;
        case LAW_E:
        case LAW_GAMMA:
            theta[k] = log(param[k]);
        }
    }
}

bool law_is_determined(const struct law *law, size_t n_size, size_t n_budget)
{
    if (law->tied)
        return n_size + n_budget - 1 >= (size_t)law->n_param;
    return (!law->uses_n || n_size >= 3) && (!law->uses_d || n_budget >= 3);
}

double law_predict(const struct law *law, const double *param, double n, double d)
{
    const struct law_scale raw = { .sd_n = 1, .sd_d = 1 };
    double theta[LAW_PARAM_MAX], zn = law->uses_n ? log(n) : 0, zd = law->uses_d ? log(d) : 0, loss;
    const struct law_points one = { .n = 1, .zn = &zn, .zd = &zd };
    law_internal(law, theta, param, &raw);
    law->eval(theta, &one, &loss, NULL);
    return loss;
}

double law_tokens_for(const struct law *law, const double *param, double n, double loss)
{
    int a = law_index(law, LAW_A), b = law_index(law, LAW_B), g = law_index(law, LAW_GAMMA), of_n,
        of_d;
    exponent_of(law, &of_n, &of_d);
    if (b < 0)
        return NAN;
    double rest = loss - param[law_index(law, LAW_E)];
    if (rest > 0 && g >= 0)
        rest = pow(rest, 1 / param[g]);
    if (a >= 0)
        rest -= param[a] * pow(n, -param[of_n]);
    return rest > 0 ? pow(param[b] / rest, 1 / param[of_d]) : INFINITY;
}
