/* law/optimize.c - see optimize.h. */
#include "law/optimize.h"

#include <assert.h>
#include <math.h>
#include <string.h>

static double dot(const double *a, const double *b, int n)
{
    double s = 0;
    for (int i = 0; i < n; i++)
        s += a[i] * b[i];
    return s;
}

static void identity(double *h, int n, double scale)
{
    memset(h, 0, (size_t)n * (size_t)n * sizeof *h);
    for (int i = 0; i < n; i++)
        h[i * n + i] = scale;
}

/* The inverse update: h becomes (I - r s y') h (I - r y s') + r s s', r = 1/y's. */
static void update(double *h, const double *s, const double *y, double ys, int n)
{
    double hy[OPTIMIZE_MAX];
    for (int i = 0; i < n; i++)
        hy[i] = dot(h + i * n, y, n);
    double k = (1 + dot(y, hy, n) / ys) / ys;
    for (int i = 0; i < n; i++)
        for (int j = 0; j < n; j++)
            h[i * n + j] += k * s[i] * s[j] - (hy[i] * s[j] + s[i] * hy[j]) / ys;
}

struct search {
    double x[OPTIMIZE_MAX], grad[OPTIMIZE_MAX], value;
};

/* A point along d that meets the weak Wolfe conditions; 0 when only a decrease was found, -1 none.
 */
static int line_search(optimize_fn *fn, void *job, const double *x, double value, double slope,
                       const double *d, int n, struct search *to, int *n_call)
{
    double lo = 0, hi = INFINITY, t = 1;
    struct search best = { .value = value };
    for (int i = 0; i < 60; i++) {
        for (int k = 0; k < n; k++)
            to->x[k] = x[k] + t * d[k];
        to->value = fn(job, to->x, to->grad);
        ++*n_call;
        if (!(to->value <= value + 1e-4 * t * slope)) { /* also NaN */
            hi = t;
        } else {
            if (to->value < best.value)
                best = *to;
            if (!(dot(to->grad, d, n) < 0.9 * slope))
                return 1;
            lo = t;
        }
        t = hi < INFINITY ? 0.5 * (lo + hi) : 2 * t;
        if (hi < INFINITY && hi - lo < 1e-14 * hi)
            break;
    }
    *to = best;
    return best.value < value ? 0 : -1;
}

struct optimum optimize(optimize_fn *fn, void *job, double *x, int n, double *inverse, int warm,
                        double tolerance, int max_step)
{
    assert(n <= OPTIMIZE_MAX);
    double own[OPTIMIZE_MAX * OPTIMIZE_MAX], grad[OPTIMIZE_MAX], d[OPTIMIZE_MAX];
    double *h = inverse ? inverse : own;
    struct optimum o = { .n_call = 1 };
    struct search next;
    o.value = fn(job, x, grad);
    int fresh = !warm; /* steepest descent until curvature is known */
    int n_small = 0;
    if (fresh)
        identity(h, n, 1 / fmax(1, sqrt(dot(grad, grad, n))));
    for (; o.n_step < max_step && n_small < 3; o.n_step++) {
        for (int i = 0; i < n; i++)
            d[i] = -dot(h + i * n, grad, n);
        double slope = dot(grad, d, n);
        if (-slope < 1e-2 * tolerance * fabs(o.value))
            break; /* the quadratic model promises nothing more */
        int found =
            slope < 0 ? line_search(fn, job, x, o.value, slope, d, n, &next, &o.n_call) : -1;
        if (found < 0) {
            if (fresh || !(dot(grad, grad, n) > 1e-20))
                break;
            fresh = 1; /* the curvature was wrong: once more along the gradient */
            identity(h, n, 1 / fmax(1, sqrt(dot(grad, grad, n))));
            continue;
        }
        double s[OPTIMIZE_MAX], y[OPTIMIZE_MAX];
        for (int i = 0; i < n; i++) {
            s[i] = next.x[i] - x[i];
            y[i] = next.grad[i] - grad[i];
        }
        double ys = dot(y, s, n), yy = dot(y, y, n);
        if (fresh && ys > 0 && yy > 0)
            identity(h, n, ys / yy);
        if (ys > 1e-14 * sqrt(yy * dot(s, s, n)) && ys > 0) {
            update(h, s, y, ys, n);
            fresh = 0;
        }
        n_small = o.value - next.value < tolerance * fabs(o.value) ? n_small + 1 : 0;
        memcpy(x, next.x, (size_t)n * sizeof *x);
        memcpy(grad, next.grad, (size_t)n * sizeof *grad);
        o.value = next.value;
    }
    o.grad_norm = sqrt(dot(grad, grad, n));
    return o;
}
