/*
 * law/rows.h - the rows and columns of a table that a fit uses. For summary.c.
 *
 * Rows that pass --where, did not diverge and have every number. What is resampled together: the
 * runs of a column, by default run_id where it repeats; budgets of one trunk (run_id TRUNK/TOKENS)
 * are not independent and count as one run.
 */
#ifndef MIXLAW_LAW_ROWS_H
#define MIXLAW_LAW_ROWS_H

#include "law/fit.h"
#include "law/table.h"

/* The columns in use and the rows that survived, of one mixture or of the whole table. */
struct rows {
    const struct table *t;
    const char *name_n, *name_d, *name_loss; /* NULL: the table has none */
    const double *col_n, *col_d, *col_loss;
    size_t *row; /* [n] of the table */
    size_t n, n_where, n_diverged, n_missing;
    bool *held;      /* [n_row of the table]; NULL: no hold-out */
    uint32_t *group; /* [n_row of the table]; NULL: every row its own */
    const char *group_name;
    bool has_trunks;  /* some budgets were counted as one run */
    const char *kind; /* of the mixture; NULL: no mixtures told apart */
    double share;
};

/* Columns by --map or usual names, groups by --group, rows by --where and --hold-out, any of them
 * NULL. ST_USAGE, ST_FORMAT: names the column, the line, or that no row is left. Release in every
 * case. */
MUST_USE enum st rows_take(struct rows *r, const struct table *t, const char *map,
                           const char *group, const char *where, const char *hold_out,
                           struct err *err);
void rows_release(struct rows *r);

/* Bytes of TRUNK in a run_id TRUNK/TOKENS, of the whole run_id otherwise. */
size_t rows_trunk_len(const char *run_id);

/* How many values differ by more than a thousandth; 100 means many. */
size_t rows_n_values(const double *v, size_t n);
size_t rows_distinct(const struct rows *r,
                     const double *col); /* of a column of the table; NULL: 0 */
size_t rows_n_groups(const struct rows *r);

/* The rows of one part as plain arrays: held < 0 all, 0 those not held out, 1 those held out; with
 * skip_n > 0 the rows of that size count as held out. */
void rows_part(struct fit_data *d, const struct rows *r, int held, double skip_n);
void rows_part_release(struct fit_data *d);

#endif
