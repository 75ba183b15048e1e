/*
 * law/arms.h - the runs of a table as arms at one (N, D), their seed noise and comparisons. For
 * advise.c.
 *
 * Model: loss = arm + seed + noise. Arms that share at least two seeds are compared paired (the
 * seed's part cancels, the noise is the residual of the two-way table), others unpaired (the noise
 * is the spread within arms). With few degrees of freedom the noise is pooled over sizes, each at
 * its largest budget: runs of other sizes are independent, budgets of one trunk are not.
 */
#ifndef MIXLAW_LAW_ARMS_H
#define MIXLAW_LAW_ARMS_H

#include <stdbool.h>

#include "base/mem.h"
#include "law/table.h"

struct runs_run {
    size_t row; /* of the table */
    int arm;
    double n, d, seed, loss, steps; /* steps: NAN when unknown */
    double n_nonemb;                /* n without embeddings; NAN when the table does not say */
};

enum arm_role { ARM_NATURAL, ARM_SYNTH, ARM_AA, ARM_SHUFFLE, ARM_COPY };

struct arm {
    const char *name, *kind; /* borrowed from the table */
    double share;
    enum arm_role role;
};

/* All usable runs of a table. */
struct runs {
    const struct table *t;
    struct runs_run *run;
    size_t n;
    struct arm *arm;
    int n_arm, natural; /* natural: index of the reference arm */
    size_t n_diverged, n_missing;
    const char
        *merged[2]; /* names of two arms taken as one, because kind and share agree; or NULL */
};

MUST_USE enum st runs_load(struct runs *r, const struct table *t, struct err *err);
void runs_release(struct runs *r);

/* The same size, budget or share, up to the rounding of budgets to whole batches and of shares as
 * got to whole windows. */
bool same_size(double a, double b);
bool same_budget(double a, double b);
bool same_share(double a, double b);

/* One (N, D): each arm's losses by seed; seeds of an arm are distinct (repeats are averaged). */
struct cell {
    double seed, loss; /* loss: mean of n_run */
    size_t n_run;
};
struct point_arm {
    struct cell *cell;
    size_t n;
    double mean; /* NAN without runs */
};
struct noise {
    double sd_seed, df_seed; /* one run of an arm against its mean */
    double sd_pair, df_pair; /* what is left when the seed's part is removed */
    bool pooled;             /* over sizes */
};
struct point {
    double n, d;
    struct point_arm *arm; /* [runs.n_arm] */
    int n_arm;
    size_t n_repeat; /* runs averaged away because arm and seed repeat */
    struct noise noise;
};
void point_load(struct point *p, const struct runs *r, double n, double d);
void point_release(struct point *p);
bool run_is_at(const struct runs_run *run, const struct point *p);

/* Mean difference a - b with its t interval. */
struct difference {
    double value, lo, hi, se, df, p;
    size_t n; /* pairs, or the smaller number of runs */
    bool paired;
};
struct difference point_compare(const struct point *p, int a, int b, double level);

#endif
