/*
 * law/stats.h - Student's t, corrections for many comparisons, order statistics.
 */
#ifndef MIXLAW_LAW_STATS_H
#define MIXLAW_LAW_STATS_H

#include <stddef.h>

#include "base/rng.h"

double student_p(double t, double df);        /* two-sided: P(|T| >= |t|); NAN without df */
double student_quantile(double p, double df); /* t with P(T <= t) = p, .5 <= p < 1 */

/* A standard deviation known from df degrees of freedom, drawn anew: sd sqrt(df / chi2(df)). */
double sd_draw(struct rng *rng, double sd, double df);

/* Smallest difference of two means of n runs each that is found four times in five at the level,
 * when it is one of m comparisons (Bonferroni, as Holm's first step). sd of one run, known from df.
 */
double detectable(double sd, double df, double n, double level, size_t m);

/* Holm 1979: adjusted[i] >= p[i], to be compared with the level. NAN entries do not count. */
void holm(double *adjusted, const double *p, size_t n);

/* Linear interpolation between the order statistics of v, which gets sorted; NAN when empty.
 * Infinities are ordinary values. */
double quantile_sorted(const double *v, size_t n, double q);
void sort_numbers(double *v, size_t n);

#endif
