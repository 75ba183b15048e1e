/* law/stats.c - see stats.h. */
#include "law/stats.h"

#include <math.h>
#include <stdlib.h>

#include "base/mem.h"

/* Regularised incomplete beta function by its continued fraction (modified Lentz). */
static double beta_fraction(double a, double b, double x)
{
    const double tiny = 1e-300;
    double c = 1, d = 1 - (a + b) * x / (a + 1);
    d = 1 / (fabs(d) < tiny ? tiny : d);
    double h = d;
    for (int m = 1; m < 500; m++) {
        double even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
        d = 1 + even * d;
        c = 1 + even / c;
        d = 1 / (fabs(d) < tiny ? tiny : d);
        c = fabs(c) < tiny ? tiny : c;
        h *= d * c;
        double odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1));
        d = 1 + odd * d;
        c = 1 + odd / c;
        d = 1 / (fabs(d) < tiny ? tiny : d);
        c = fabs(c) < tiny ? tiny : c;
        h *= d * c;
        if (fabs(d * c - 1) < 1e-15)
            break;
    }
    return h;
}

static double incomplete_beta(double a, double b, double x)
{
    if (x <= 0 || x >= 1)
        return x > 0;
    double front = exp(lgamma(a + b) - lgamma(a) - lgamma(b) + a * log(x) + b * log1p(-x));
    if (x < (a + 1) / (a + b + 2))
        return front * beta_fraction(a, b, x) / a;
    return 1 - front * beta_fraction(b, a, 1 - x) / b;
}

double student_p(double t, double df)
{
    if (!(df > 0) || isnan(t))
        return NAN;
    return isinf(t) ? 0 : incomplete_beta(df / 2, 0.5, df / (df + t * t));
}

double student_quantile(double p, double df)
{
    if (!(df > 0) || !(p >= 0.5 && p < 1))
        return NAN;
    double lo = 0, hi = 1;
    while (student_p(hi, df) > 2 * (1 - p) && hi < 1e12)
        hi *= 2;
    for (int i = 0; i < 200 && hi - lo > 1e-14 * hi; i++) {
        double mid = 0.5 * (lo + hi);
        if (student_p(mid, df) > 2 * (1 - p))
            lo = mid;
        else
            hi = mid;
    }
    return 0.5 * (lo + hi);
}

double sd_draw(struct rng *rng, double sd, double df)
{
    double chi2 = 0;
    int n = df >= 1 ? (int)df : 1;
    for (int i = 0; i < n; i++)
        chi2 += pow(rng_normal(rng), 2);
    return sd * sqrt(n / fmax(chi2, 1e-9));
}

double detectable(double sd, double df, double n, double level, size_t m)
{
    double tail = (1 - level) / (2 * (double)(m > 0 ? m : 1));
    return sd * sqrt(2 / n) * (student_quantile(1 - tail, df) + student_quantile(0.8, df));
}

void holm(double *adjusted, const double *p, size_t n)
{
    size_t m = 0;
    for (size_t i = 0; i < n; i++)
        m += !isnan(p[i]);
    /* Few comparisons: for each, the largest (m - rank) * p among those not above it. */
    for (size_t i = 0; i < n; i++) {
        adjusted[i] = p[i];
        for (size_t j = 0; j < n && !isnan(p[i]); j++) {
            if (isnan(p[j]) || p[j] > p[i])
                continue;
            size_t rank = 0; /* how many come before j */
            for (size_t k = 0; k < n; k++)
                rank += p[k] < p[j] || (p[k] == p[j] && k < j);
            adjusted[i] = fmax(adjusted[i], fmin(1, (double)(m - rank) * p[j]));
        }
    }
}

double quantile_sorted(const double *v, size_t n, double q)
{
    if (n == 0)
        return NAN;
    double at = q * (double)(n - 1);
    size_t i = (size_t)at;
    double part = at - (double)i;
    if (i + 1 >= n || part == 0 || v[i] == v[i + 1])
        return v[i < n ? i : n - 1];
    return v[i] + part * (v[i + 1] - v[i]);
}

static int by_number(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

void sort_numbers(double *v, size_t n)
{
    qsort(v, n, sizeof *v, by_number);
}
