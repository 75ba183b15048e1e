/* law/share.c - see share.h. */
#include "law/share.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/rng.h"
#include "law/stats.h"

/* A parabola whose least loss is so many s.d. above one that was measured does not describe the
 * losses. */
static const double MAX_ABOVE = 3;

/* Least squares of c0 + c1 x + c2 x^2 with weights n, x from `origin`. False when singular. */
static bool parabola(const struct share_point *p, size_t n, double origin, double *c)
{
    double m[3][4] = { { 0 } };
    for (size_t i = 0; i < n; i++) {
        double x = p[i].share - origin, power[3] = { 1, x, x * x };
        for (int r = 0; r < 3; r++) {
            for (int k = 0; k < 3; k++)
                m[r][k] += (double)p[i].n * power[r] * power[k];
            m[r][3] += (double)p[i].n * power[r] * p[i].loss;
        }
    }
    for (int i = 0; i < 3; i++) {
        if (!(m[i][i] > 1e-12 * m[0][0] * 1e-6))
            return false;
        for (int r = 0; r < 3; r++) {
            double f = r == i ? 0 : m[r][i] / m[i][i];
            for (int k = i; k < 4 && r != i; k++)
                m[r][k] -= f * m[i][k];
        }
    }
    for (int i = 0; i < 3; i++)
        c[i] = m[i][3] / m[i][i];
    return true;
}

static size_t lowest(const struct share_point *p, size_t n)
{
    size_t best = 0;
    for (size_t i = 1; i < n; i++)
        if (p[i].loss < p[best].loss)
            best = i;
    return best;
}

/* Lowest point, two neighbours to each side, vertex of their parabola. Returns the s.d. of one run
 * that would explain how far the points lie from it; 0 without a parabola. */
static double find(const struct share_point *p, size_t n, double *share, double *loss)
{
    size_t best = lowest(p, n);
    *share = p[best].share;
    *loss = p[best].loss;
    if (n < SHARE_MIN_POINTS)
        return 0;
    size_t lo = best > 2 ? best - 2 : 0, hi = best + 2 < n ? best + 2 : n - 1;
    while (hi - lo + 1 < SHARE_MIN_POINTS) {
        if (hi + 1 < n)
            hi++;
        else
            lo--;
    }
    double c[3], origin = p[best].share, squares = 0;
    if (!parabola(p + lo, hi - lo + 1, origin, c) || c[2] <= 0)
        return 0;
    for (size_t i = lo; i <= hi; i++) {
        double x = p[i].share - origin, e = p[i].loss - c[0] - c[1] * x - c[2] * x * x;
        squares += (double)p[i].n * e * e;
    }
    double x = -c[1] / (2 * c[2]);
    x = fmax(p[lo].share - origin, fmin(p[hi].share - origin, x));
    *share = origin + x;
    *loss = c[0] + c[1] * x + c[2] * x * x;
    return sqrt(squares / (double)(hi - lo - 2));
}

struct share_best share_find(const struct share_point *p, size_t n, double sd, double df,
                             double level, size_t n_boot, uint64_t seed)
{
    assert(n >= 1 && n <= SHARE_MAX_POINTS);
    struct share_best b = { .curve = n >= SHARE_MIN_POINTS, .lo = NAN, .hi = NAN };
    double misfit = find(p, n, &b.share, &b.loss);
    const struct share_point *best = &p[lowest(p, n)];
    if (b.loss - best->loss > MAX_ABOVE * sd / sqrt((double)best->n)) {
        b.curve = false;
        b.share = best->share;
        b.loss = best->loss;
    }
    sd = fmax(sd, misfit);
    if (!b.curve || !(df > 0) || n_boot == 0)
        return b;
    double *share = NEW_ARRAY(double, n_boot), loss;
    for (size_t k = 0; k < n_boot; k++) {
        struct share_point q[SHARE_MAX_POINTS];
        struct rng rng;
        rng_init(&rng, seed, "best share", k);
        double drawn = sd_draw(&rng, sd, df);
        for (size_t i = 0; i < n; i++) {
            q[i] = p[i];
            q[i].loss += drawn * rng_normal(&rng) / sqrt((double)p[i].n);
        }
        (void)find(q, n, &share[k], &loss);
    }
    sort_numbers(share, n_boot);
    b.lo = quantile_sorted(share, n_boot, (1 - level) / 2);
    b.hi = quantile_sorted(share, n_boot, (1 + level) / 2);
    free(share);
    return b;
}
