/*
 * law/share.h - the best share of one kind from losses at several shares. For advise.c.
 *
 * With at least four shares a parabola through the points around the lowest one gives the vertex,
 * kept inside those points; the bottom is flat, so the interval matters more than the vertex. It
 * comes from redrawing every point with the seed noise (itself redrawn from its degrees of
 * freedom), or with what the parabola misses the points by if that is more, and repeating the whole
 * choice. With fewer shares, or where the parabola lies above the best of them: the lowest measured
 * point.
 */
#ifndef MIXLAW_LAW_SHARE_H
#define MIXLAW_LAW_SHARE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SHARE_MIN_POINTS = 4, SHARE_MAX_POINTS = 64 };

struct share_point {
    double share, loss;
    size_t n; /* runs behind it */
};

struct share_best {
    double share, lo, hi;
    double loss;
    bool curve; /* false: a measured point, without interval */
};

/* p: by rising share, distinct, 1..SHARE_MAX_POINTS. sd with df degrees of freedom: of one run. */
struct share_best share_find(const struct share_point *p, size_t n, double sd, double df,
                             double level, size_t n_boot, uint64_t seed);

#endif
