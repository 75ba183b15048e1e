/* synth/forecast.c - see forecast.h. */
#include "synth/forecast.h"

#include <math.h>
#include <stdlib.h>

#include "base/mem.h"

enum {
    BLOCKS = 8,         /* of time, whose rates tell how much the pace varies */
    MARKS_MIN = 32,     /* answers before a pace is stated */
    MARKS_MAX = 1 << 16 /* a pilot has fewer; what comes later is not looked at */
};

#define Z90 1.6448536 /* of the normal distribution, two-sided */

/* Student's t for 90 % two-sided, by degrees of freedom: Cornish-Fisher expansion about the normal.
 */
static double student90(double df)
{
    const double z = Z90;
    return z + (z * z * z + z) / (4 * df) +
           (5 * pow(z, 5) + 16 * pow(z, 3) + 3 * z) / (96 * df * df);
}

double interval_half(struct interval v)
{
    if (isnan(v.lo))
        return INFINITY;
    return v.hi > v.lo ? (v.hi - v.lo) / (2 * v.value) : 0;
}

struct js *interval_json(struct interval v)
{
    struct js *out = js_object();
    js_put_real(out, "value", v.value);
    js_put_real(out, "lo", v.lo);
    js_put_real(out, "hi", v.hi);
    return out;
}

void ratio_add(struct ratio *s, double x, double y)
{
    s->n++;
    s->x += x;
    s->y += y;
    s->xx += x * x;
    s->xy += x * y;
    s->yy += y * y;
}

double ratio_value(const struct ratio *s)
{
    return s->x > 0 ? s->y / s->x : NAN;
}

/* Variance of y - r x over pages. */
static double residual_var(const struct ratio *s)
{
    double r = ratio_value(s), ss = s->yy - 2 * r * s->xy + r * r * s->xx;
    return s->n >= 2 ? fmax(0, ss) / (double)(s->n - 1) : NAN;
}

/* Standard error of r in a sample of n. */
static double ratio_error(const struct ratio *s, uint64_t n_all)
{
    double n = (double)s->n, mean_x = s->x / n;
    if (s->n >= n_all)
        return 0;
    return sqrt(residual_var(s) * (1 - n / (double)n_all) / n) / mean_x;
}

struct interval ratio_total(const struct ratio *s, double x_all, uint64_t n_all)
{
    if (!s->n || s->x <= 0)
        return (struct interval){ NAN, NAN, NAN };
    if (s->n < 2 && s->n < n_all)
        return (struct interval){ x_all * ratio_value(s), NAN, NAN };
    double mid = x_all * ratio_value(s);
    double half = s->n < n_all ? x_all * ratio_error(s, n_all) * student90((double)(s->n - 1)) : 0;
    return (struct interval){ mid, fmax(s->y, mid - half), mid + half }; /* y is made already */
}

struct interval ratio_rate(const struct ratio *s, uint64_t n_all)
{
    const double z = Z90;
    if (s->x <= 0)
        return (struct interval){ NAN, 0, 1 };
    double p = ratio_value(s), n = s->x, var = pow(ratio_error(s, n_all), 2);
    if (var > 0) /* NaN, or 0 when all pages are alike: as if all cases were independent */
        n = fmin(n, p * (1 - p) / var);
    double z2 = z * z / n, mid = (p + z2 / 2) / (1 + z2);
    double half = z / (1 + z2) * sqrt(p * (1 - p) / n + z2 / (4 * n));
    return (struct interval){ p, fmax(0, mid - half), fmin(1, mid + half) };
}

uint64_t ratio_pages(const struct ratio *s, uint64_t n_all, double within)
{
    if (s->n < 2 || s->y <= 0)
        return n_all;
    double t = student90((double)(s->n - 1));
    double w = within * s->y / (double)s->n, var = residual_var(s); /* of a page's mean */
    return var > 0 ? (uint64_t)ceil(1 / (w * w / (t * t * var) + 1 / (double)n_all)) : 1;
}

void pace_add(struct pace *p, double at_s, uint64_t n_tok, size_t n_out)
{
    if (p->n == MARKS_MAX)
        return;
    GROW(p->mark, p->n, p->cap);
    p->mark[p->n++] = (struct pace_mark){ at_s, n_tok, n_out };
}

/* Answers up to the last one at which three quarters of the most requests were out. */
static size_t busy_marks(const struct pace *p)
{
    size_t most = 0, n = p->n;
    for (size_t i = 0; i < p->n; i++)
        most = p->mark[i].n_out > most ? p->mark[i].n_out : most;
    while (n && 4 * p->mark[n - 1].n_out < 3 * most)
        n--;
    return n;
}

struct interval pace_rate(const struct pace *p)
{
    size_t n = busy_marks(p);
    double tok[BLOCKS] = { 0 }, sum = 0, ss = 0;
    double span = n ? p->mark[n - 1].at_s - p->mark[0].at_s : 0;
    if (n < MARKS_MIN || span <= 0)
        return (struct interval){ NAN, NAN, NAN };
    for (size_t i = 1; i < n; i++) { /* the first answer's tokens were made before it */
        int block = (int)(BLOCKS * (p->mark[i].at_s - p->mark[0].at_s) / span);
        tok[block < BLOCKS ? block : BLOCKS - 1] += (double)p->mark[i].n_tok;
        sum += (double)p->mark[i].n_tok;
    }
    for (int b = 0; b < BLOCKS; b++)
        ss += pow(tok[b] - sum / BLOCKS, 2);
    double rate = sum / span;
    double half = student90(BLOCKS - 1) * sqrt(ss / (BLOCKS - 1) / BLOCKS) * BLOCKS / span;
    return (struct interval){ rate, fmax(rate / 4, rate - half), rate + half };
}

void pace_release(struct pace *p)
{
    free(p->mark);
    *p = (struct pace){ 0 };
}
