/*
 * report/input.h - everything the report shows, read from a study's folder; what is missing or
 * damaged becomes a sentence for the page, not an error.
 *
 *     struct input in;
 *     st = input_read(&in, "study", err);      ST_IO only when the folder itself is not there
 *     ... in.advice may be NULL ...
 *     input_release(&in);
 *
 * A cell is one arm at one model size and budget: its runs over seeds.
 */
#ifndef MIXLAW_REPORT_INPUT_H
#define MIXLAW_REPORT_INPUT_H

#include "base/err.h"
#include "base/json.h"
#include "law/table.h"

enum { INPUT_MAX_KINDS = 64, INPUT_MAX_CELLS = 100000 };

struct input_kind {
    char *name;
    struct js *manifest, *samples; /* NULL when absent */
    bool control;                  /* copy, shuffle: made without a generator, never advised */
};

struct input_stage {
    char *path; /* the folder, below the study's */
    struct js *manifest;
};

/* One row of the table of runs; texts are borrowed from the table. */
struct input_run {
    const char *run_id, *arm, *kind;
    double share, n, d, loss, bpb, wall_s; /* NAN where missing; n without embeddings if known */
    double own_s; /* wall_s without what a longer run of its trunk pays for */
    double seed;
    bool diverged;
    size_t cell;
};

struct input_cell {
    const char *arm, *kind;
    double share, n, d;
    size_t n_run;    /* with a loss */
    double mean, sd; /* of loss; sd NAN with one run */
    double half;     /* half width of the 95 % interval, from the seed noise of all cells */
    bool control;    /* shuffle, copy, A/A: shown, never advised */
};

struct input {
    const char *dir;                 /* borrowed */
    struct js *plan, *fits, *advice; /* NULL when absent */
    struct input_kind *kind;
    size_t n_kind;
    struct input_stage *stage;
    size_t n_stage;
    struct table table; /* n_row 0 when absent */
    struct input_run *run;
    size_t n_run, n_diverged;
    struct input_cell *cell; /* sorted by n, d, then controls last, kind, share */
    size_t n_cell;
    double noise_sd, noise_df; /* of the loss between seeds, pooled; NAN unknown */
    double n_max, d_max;       /* the decision point: advice's, or the largest with a natural arm */
    bool is_largest;           /* no larger point has a natural arm */
    struct strlist domain;     /* names of the columns loss_NAME */
    struct strlist missing;
};

MUST_USE enum st input_read(struct input *in, const char *dir, struct err *err);
void input_release(struct input *in);

/* The natural arm at (n, d), or NULL. */
const struct input_cell *input_natural(const struct input *in, double n, double d);

/* Mean of a numeric column over a cell's runs, NAN when there is none. *half (may be NULL): half
 * its 95 % interval, by t from that column's own noise between seeds, pooled over cells. */
double input_mean(const struct input *in, size_t cell, const char *column, double *half);

/* What generation of a kind counted: requests, tokens_out, kept, dropped{verdict:n}; NULL unknown.
 */
const struct js *input_counts(const struct input_kind *k);
/* Seconds that making it took, of all goes of the command and not of the last alone; NaN: unknown.
 */
double input_generate_s(const struct input_kind *k);

#endif
