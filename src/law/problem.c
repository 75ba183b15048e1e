/*
 * law/problem.c - objective, gradient, and starts by variable projection.
 *
 * For given exponents every law here is linear in (E, A, B). The grid over the exponents needs only
 * inner products of columns, made once, and a 3 x 3 non-negative least squares solved exactly by
 * trying the active sets.
 */
#include "law/problem.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

double problem_scale(const struct problem *p)
{
    return p->delta < INFINITY ? p->delta : 1;
}

double problem_value(void *problem, const double *theta, double *grad)
{
    struct problem *p = problem;
    size_t n = p->p.n;
    int n_param = p->law->n_param;
    double delta = p->delta, scale = problem_scale(p), sum = 0;
    double part = delta < INFINITY ? 0.5 : 1; /* squares are summed whole, Huber's have a half */
    p->law->eval(theta, &p->p, p->pred, p->jac);
    for (size_t i = 0; i < n; i++) {
        double r = log(p->pred[i]) - p->ln_loss[i], a = fabs(r), slope;
        if (a <= delta) {
            sum += p->weight[i] * part * r * r;
            slope = 2 * part * r;
        } else {
            sum += p->weight[i] * delta * (a - 0.5 * delta);
            slope = r > 0 ? delta : -delta;
        }
        p->pred[i] = p->weight[i] * slope / p->pred[i]; /* d objective / d prediction */
    }
    for (int k = 0; k < n_param; k++) {
        double g = 0;
        const double *column = p->jac + (size_t)k * n;
        for (size_t i = 0; i < n; i++)
            g += column[i] * p->pred[i];
        grad[k] = p->fixed >> k & 1 ? 0 : g / scale;
    }
    return isnan(sum) ? INFINITY : sum / scale;
}

enum { N_GRID = 24, N_GRID_ONE = 96, N_RANKED = 144, N_LINEAR = 3 };

/* Non-negative least squares with up to 3 columns from their inner products: gram g, right side b.
 * x gets the minimiser; returns -b'x, which orders candidates as the residual does. */
static double nnls(double g[N_LINEAR][N_LINEAR], const double *b, int n, double *x)
{
    double best = 0;
    memset(x, 0, N_LINEAR * sizeof *x);
    for (unsigned set = 1; set < 1u << n; set++) {
        double m[N_LINEAR][N_LINEAR + 1];
        int of[N_LINEAR], k = 0;
        for (int i = 0; i < n; i++)
            if (set >> i & 1)
                of[k++] = i;
        for (int i = 0; i < k; i++) {
            for (int j = 0; j < k; j++)
                m[i][j] = g[of[i]][of[j]];
            m[i][k] = b[of[i]];
        }
        int ok = 1;
        for (int i = 0; i < k && ok;
             i++) { /* the matrix is positive definite, or we skip the set */
            ok = m[i][i] > 1e-13 * g[of[i]][of[i]];
            for (int r = 0; r < k && ok; r++) {
                double f = r == i ? 0 : m[r][i] / m[i][i];
                for (int c = i; c <= k && r != i; c++)
                    m[r][c] -= f * m[i][c];
            }
        }
        double gain = 0, sol[N_LINEAR];
        for (int i = 0; i < k && ok; i++) {
            sol[i] = m[i][k] / m[i][i];
            ok = sol[i] >= 0;
            gain += sol[i] * b[of[i]];
        }
        if (ok && -gain < best) {
            best = -gain;
            memset(x, 0, N_LINEAR * sizeof *x);
            for (int i = 0; i < k; i++)
                x[of[i]] = sol[i];
        }
    }
    return best;
}

struct candidate {
    double value;
    int gn, gd; /* place on the grid */
    double theta[LAW_PARAM_MAX];
};

static int by_value(const void *a, const void *b)
{
    const struct candidate *x = a, *y = b;
    if (x->value != y->value)
        return x->value < y->value ? -1 : 1;
    return x->gn != y->gn ? x->gn - y->gn : x->gd - y->gd;
}

/* Exponents of the grid in scaled coordinates: raw exponents .02 to 3 times a spread of about 2. */
static double grid_exponent(int i, int n)
{
    return exp(log(0.02) + (log(5.0) - log(0.02)) * i / (n - 1));
}

struct grid {
    int n_n, n_d;    /* grid points of alpha and beta; 1 when unused or tied */
    double *cn, *cd; /* columns exp(-exponent z) / L, [grid][n]; NULL when unused */
    double *one;     /* column 1 / L */
    double one_one,
        one_rhs; /* inner products: columns with themselves, with `one`, with the target */
    struct products {
        double self, one, rhs;
    } * pn, *pd;
};

static double *grid_columns(const struct problem *p, const double *z, const double *one, int n)
{
    double *c = NEW_ARRAY(double, (size_t)n * p->p.n);
    for (int g = 0; g < n; g++)
        for (size_t i = 0; i < p->p.n; i++)
            c[(size_t)g * p->p.n + i] = exp(-grid_exponent(g, n) * z[i]) * one[i];
    return c;
}

static double inner(const struct problem *p, const double *a, const double *b)
{
    double s = 0;
    for (size_t i = 0; i < p->p.n; i++)
        s += p->weight[i] * a[i] * (b ? b[i] : 1);
    return s;
}

static struct products *grid_products(const struct problem *p, const double *column,
                                      const double *one, int n)
{
    struct products *r = NEW_ARRAY(struct products, (size_t)n);
    for (int g = 0; g < n; g++) {
        const double *c = column + (size_t)g * p->p.n;
        r[g] = (struct products){ inner(p, c, c), inner(p, c, one), inner(p, c, NULL) };
    }
    return r;
}

/* The linear part at one grid point, as logarithms in the law's order. Returns what orders the
 * points as the squared residual does. */
static double grid_point(const struct problem *p, const struct grid *g, int gn, int gd,
                         double *theta)
{
    enum law_role role[N_LINEAR] = { LAW_E };
    double gram[N_LINEAR][N_LINEAR] = { { g->one_one } }, rhs[N_LINEAR] = { g->one_rhs },
           x[N_LINEAR];
    int n = 1;
    for (int side = 0; side < 2; side++) {
        const struct products *of = side == 0 ? g->pn : g->pd;
        if (!of)
            continue;
        of += side == 0 ? gn : gd;
        gram[n][n] = of->self;
        gram[0][n] = gram[n][0] = of->one;
        rhs[n] = of->rhs;
        role[n++] = side == 0 ? LAW_A : LAW_B;
    }
    if (n == 3)
        gram[1][2] = gram[2][1] =
            inner(p, g->cn + (size_t)gn * p->p.n, g->cd + (size_t)gd * p->p.n);
    double value = nnls(gram, rhs, n, x);
    /* A zero has no logarithm: start such a term at a ten thousandth of the loss. */
    double least = 1e-4 * exp(p->ln_loss[0]);
    for (int k = 0; k < p->law->n_param; k++) {
        for (int i = 0; i < n; i++)
            if (role[i] == p->law->role[k])
                theta[k] = log(fmax(x[i], least));
        if (p->law->role[k] == LAW_ALPHA)
            theta[k] = log(grid_exponent(gn, g->cd ? N_GRID : N_GRID_ONE));
        if (p->law->role[k] == LAW_BETA)
            theta[k] = log(grid_exponent(gd, g->cn ? N_GRID : N_GRID_ONE));
        if (p->law->role[k] == LAW_GAMMA)
            theta[k] = 0;
    }
    if (p->law->tied)
        theta[law_index(p->law, LAW_ALPHA)] = log(grid_exponent(gn, N_GRID));
    return value;
}

/* Takes candidates in order, first those that are no neighbours of a taken one, then the rest. */
static int take(const struct candidate *c, int n, double (*theta)[LAW_PARAM_MAX], int n_max)
{
    int n_taken = 0;
    bool *used = NEW_ARRAY(bool, (size_t)n);
    for (int pass = 0; pass < 2; pass++)
        for (int i = 0; i < n && n_taken < n_max; i++) {
            bool near = used[i];
            for (int j = 0; j < i && pass == 0 && !near; j++)
                near = used[j] && abs(c[i].gn - c[j].gn) <= 1 && abs(c[i].gd - c[j].gd) <= 1;
            if (near || !(c[i].value < INFINITY))
                continue;
            used[i] = true;
            memcpy(theta[n_taken++], c[i].theta, sizeof c[i].theta);
        }
    free(used);
    return n_taken;
}

/* The law with an outer exponent g: a start of the additive law is carried over by giving each
 * term the g-th root, which leaves it unchanged where one term rules. */
static int spread_gamma(const struct law *law, double (*theta)[LAW_PARAM_MAX], int n, int n_max)
{
    static const double gamma[] = { 1, 0.5, 2, 0.25 };
    int n_base = n_max / (int)(sizeof gamma / sizeof *gamma), n_out = 0;
    if (n_base < 1)
        n_base = 1;
    if (n < n_base)
        n_base = n;
    double(*base)[LAW_PARAM_MAX] = xcalloc((size_t)n_base, sizeof *base);
    memcpy(base, theta, (size_t)n_base * sizeof *base);
    for (int i = 0; i < n_base; i++)
        for (size_t j = 0; j < sizeof gamma / sizeof *gamma && n_out < n_max; j++, n_out++)
            for (int k = 0; k < law->n_param; k++) {
                double v = base[i][k], g = gamma[j];
                if (law->role[k] == LAW_A || law->role[k] == LAW_B)
                    v /= g;
                else if (law->role[k] == LAW_ALPHA || law->role[k] == LAW_BETA)
                    v -= log(g);
                else if (law->role[k] == LAW_GAMMA)
                    v = log(g);
                theta[n_out][k] = v;
            }
    free(base);
    return n_out;
}

int problem_starts(struct problem *p, double (*theta)[LAW_PARAM_MAX], int n_max)
{
    const struct law *law = p->law;
    bool both = law->uses_n && law->uses_d;
    int n_grid = both && !law->tied ? N_GRID : both ? N_GRID : N_GRID_ONE;
    struct grid g = { .n_n = law->uses_n ? n_grid : 1,
                      .n_d = law->uses_d && !law->tied ? n_grid : 1 };
    g.one = NEW_ARRAY(double, p->p.n);
    for (size_t i = 0; i < p->p.n; i++)
        g.one[i] = exp(-p->ln_loss[i]);
    g.one_one = inner(p, g.one, g.one);
    g.one_rhs = inner(p, g.one, NULL);
    if (law->uses_n) {
        g.cn = grid_columns(p, p->p.zn, g.one, n_grid);
        g.pn = grid_products(p, g.cn, g.one, n_grid);
    }
    if (law->uses_d) {
        g.cd = grid_columns(p, p->p.zd, g.one, n_grid);
        g.pd = grid_products(p, g.cd, g.one, n_grid);
    }
    struct candidate *c = NEW_ARRAY(struct candidate, (size_t)(g.n_n * g.n_d));
    int n = 0;
    double grad[LAW_PARAM_MAX];
    for (int i = 0; i < g.n_n; i++)
        for (int j = 0; j < g.n_d; j++, n++) {
            c[n].gn = i;
            c[n].gd = j;
            c[n].value = grid_point(p, &g, i, law->tied ? i : j, c[n].theta);
        }
    qsort(c, (size_t)n, sizeof *c, by_value);
    if (n > N_RANKED) /* the rest cannot be told by squares alone: outliers count less in the
                         objective */
        n = N_RANKED;
    for (int i = 0; i < n; i++)
        c[i].value = problem_value(p, c[i].theta, grad);
    qsort(c, (size_t)n, sizeof *c, by_value);
    n = take(c, n, theta, n_max);
    if (law_index(law, LAW_GAMMA) >= 0)
        n = spread_gamma(law, theta, n, n_max);
    free(c);
    free(g.one);
    free(g.cn);
    free(g.cd);
    free(g.pn);
    free(g.pd);
    return n;
}
