/*
 * report/curves.h - the fitted law of each arm, for the curves, their bands and the hold-out test.
 *
 * Every arm that may be advised, and natural, gets the joint law where its runs have at least two
 * sizes and two budgets, the data law where they have one size and three budgets; other arms get
 * none. The same rows and seed give the same curves.
 */
#ifndef MIXLAW_REPORT_CURVES_H
#define MIXLAW_REPORT_CURVES_H

#include "law/fit.h"
#include "report/input.h"

struct curve {
    const struct input_cell *arm; /* some cell of the arm; its name, kind and share */
    struct fit fit, early;        /* on all runs; on all but those held out */
    bool has_fit, has_early;
};

struct curves {
    struct curve *curve;
    size_t n;
    bool *held_out; /* [in->n_run]: the runs that `early` never saw */
    size_t n_held_out;
    char problem[256]; /* the first arm that could not be fitted, and why; "" when all could */
};

void curves_make(struct curves *c, const struct input *in);
void curves_release(struct curves *c);

/* The curve of this cell's mixture, or NULL. */
const struct curve *curves_find(const struct curves *c, const struct input_cell *cell);

#endif
