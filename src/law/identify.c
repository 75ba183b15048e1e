/* law/identify.c - correlations, condition number, profile of E, parameters without bounds. */
#include "law/identify.h"

#include <math.h>
#include <string.h>

#include "law/optimize.h"

/* Jacobian of ln L by the logarithms of the natural parameters, from that by theta: theta depends
 * on them through the centring only, so the chain rule needs d theta_j / d ln param_k. */
static void natural_gram(const struct problem *p, const struct law_scale *scale,
                         const double *theta, const double *param, double *gram)
{
    size_t n = p->p.n;
    int m = p->law->n_param;
    double chain[LAW_PARAM_MAX][LAW_PARAM_MAX]; /* [j][k] */
    for (int k = 0; k < m; k++) {
        double up[LAW_PARAM_MAX], down[LAW_PARAM_MAX], tu[LAW_PARAM_MAX], td[LAW_PARAM_MAX];
        const double h = 1e-5;
        memcpy(up, param, sizeof up);
        memcpy(down, param, sizeof down);
        up[k] *= exp(h);
        down[k] *= exp(-h);
        law_internal(p->law, tu, up, scale);
        law_internal(p->law, td, down, scale);
        for (int j = 0; j < m; j++)
            chain[j][k] = (tu[j] - td[j]) / (2 * h);
    }
    p->law->eval(theta, &p->p, p->pred, p->jac);
    memset(gram, 0, (size_t)(m * m) * sizeof *gram);
    for (size_t i = 0; i < n; i++) {
        double row[LAW_PARAM_MAX];
        for (int k = 0; k < m; k++) {
            row[k] = 0;
            for (int j = 0; j < m; j++)
                row[k] += p->jac[(size_t)j * n + i] / p->pred[i] * chain[j][k];
        }
        for (int k = 0; k < m; k++)
            for (int j = 0; j < m; j++)
                gram[k * m + j] += p->weight[i] * row[k] * row[j];
    }
}

/* Eigenvalues w and vectors v (columns) of symmetric a, by cyclic Jacobi rotations; a is used up.
 */
static void eigen(double *a, int m, double *w, double *v)
{
    for (int i = 0; i < m * m; i++)
        v[i] = i % (m + 1) == 0;
    for (int sweep = 0; sweep < 60; sweep++) {
        double off = 0;
        for (int p = 0; p < m; p++)
            for (int q = p + 1; q < m; q++) {
                double apq = a[p * m + q];
                off += apq * apq;
                if (apq == 0)
                    continue;
                double t = (a[q * m + q] - a[p * m + p]) / (2 * apq);
                t = (t >= 0 ? 1 : -1) / (fabs(t) + sqrt(1 + t * t));
                double c = 1 / sqrt(1 + t * t), s = t * c;
                for (int k = 0; k < m; k++) {
                    double x = a[k * m + p], y = a[k * m + q];
                    a[k * m + p] = c * x - s * y;
                    a[k * m + q] = s * x + c * y;
                }
                for (int k = 0; k < m; k++) {
                    double x = a[p * m + k], y = a[q * m + k];
                    a[p * m + k] = c * x - s * y;
                    a[q * m + k] = s * x + c * y;
                    x = v[k * m + p], y = v[k * m + q];
                    v[k * m + p] = c * x - s * y;
                    v[k * m + q] = s * x + c * y;
                }
            }
        if (off < 1e-30)
            break;
    }
    for (int i = 0; i < m; i++)
        w[i] = a[i * m + i];
}

/* The scaled Gram matrix (unit diagonal) has condition `condition`; its inverse gives correlations.
 */
static void correlate(struct fit *f, const double *gram)
{
    int m = f->law->n_param;
    double a[LAW_PARAM_MAX * LAW_PARAM_MAX], v[LAW_PARAM_MAX * LAW_PARAM_MAX], w[LAW_PARAM_MAX];
    double least = INFINITY, most = 0, cov[LAW_PARAM_MAX][LAW_PARAM_MAX];
    for (int i = 0; i < m; i++)
        for (int j = 0; j < m; j++) {
            double d = sqrt(gram[i * m + i] * gram[j * m + j]);
            a[i * m + j] = d > 0 ? gram[i * m + j] / d : i == j;
        }
    eigen(a, m, w, v);
    for (int i = 0; i < m; i++) {
        least = fmin(least, w[i]);
        most = fmax(most, w[i]);
    }
    f->condition = least > 0 ? most / least : INFINITY;
    for (int i = 0; i < m; i++)
        for (int j = 0; j < m; j++) {
            cov[i][j] = 0;
            for (int k = 0; k < m; k++)
                cov[i][j] += v[i * m + k] * v[j * m + k] / fmax(w[k], 1e-16 * most);
        }
    for (int i = 0; i < m; i++)
        for (int j = 0; j < m; j++)
            f->corr[i][j] = cov[i][j] / sqrt(cov[i][i] * cov[j][j]);
}

/* E held at some values around its optimum, the others fitted again, each from its neighbour. */
static void profile_e(struct fit *f, struct problem *p, const double *theta)
{
    static const double factor[FIT_PROFILE_MAX] = { 1e-6, 0.5, 0.8, 0.9, 0.95, 1, 1.05, 1.1, 1.2 };
    int e = law_index(f->law, LAW_E), top = FIT_PROFILE_MAX - 1, at = 5;
    double least = INFINITY, value[FIT_PROFILE_MAX];
    for (size_t i = 0; i < p->p.n; i++)
        least = fmin(least, exp(p->ln_loss[i]));
    while (top > at && factor[top] * f->param[e] >= 0.999 * least)
        top--;
    value[at] = f->objective;
    for (int side = -1; side <= 1; side += 2) {
        double x[LAW_PARAM_MAX];
        memcpy(x, theta, sizeof x);
        for (int i = at + side; i >= 0 && i <= top; i += side) {
            x[e] = log(factor[i] * f->param[e]);
            p->fixed = 1u << e;
            value[i] = optimize(problem_value, p, x, f->law->n_param, NULL, 0, 1e-12, 2000).value *
                       problem_scale(p);
        }
    }
    p->fixed = 0;
    f->n_profile = top + 1;
    for (int i = 0; i <= top; i++) {
        f->profile_e[i] = factor[i] * f->param[e];
        f->profile_objective[i] = value[i];
    }
}

void identify(struct fit *f, struct problem *p, const struct law_scale *scale, const double *theta,
              bool profile)
{
    double gram[LAW_PARAM_MAX * LAW_PARAM_MAX], least = INFINITY;
    natural_gram(p, scale, theta, f->param, gram);
    correlate(f, gram);
    if (profile)
        profile_e(f, p, theta);
    for (size_t i = 0; i < p->p.n; i++)
        least = fmin(least, exp(p->ln_loss[i]));
    for (int k = 0; k < f->law->n_param; k++) {
        double lo = isnan(f->lo[k]) ? f->param[k] : f->lo[k];
        double hi = isnan(f->hi[k]) ? f->param[k] : f->hi[k];
        bool loose = hi > 1e6 * lo; /* six orders of magnitude say nothing */
        switch (f->law->role[k]) {
        case LAW_E:
            loose = lo < 1e-3 * least;
            break;
        case LAW_ALPHA:
        case LAW_BETA:
            loose = lo < 0.005 || hi > 3;
            break;
        case LAW_GAMMA:
            loose = lo < 0.02 || hi > 20;
            break;
        case LAW_A:
        case LAW_B:
            break;
        }
        f->unbounded |= (unsigned)loose << k;
    }
    /* When losing E altogether costs little (a likelihood ratio below 3.84), E has no lower bound.
     */
    double free_rows = fmax(1, (double)p->p.n - f->law->n_param);
    if (f->n_profile > 0 && f->profile_objective[0] < f->objective * (1 + 3.84 / free_rows))
        f->unbounded |= 1u << law_index(f->law, LAW_E);
}
