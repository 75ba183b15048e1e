/*
 * law/table.h - a table of runs (or anybody's table) by columns, from CSV or JSON lines.
 *
 * CSV: RFC 4180 quotes, CRLF or LF, comma, semicolon or tab by what the header uses, byte order
 * mark, empty cells and NA/NaN/null/none as missing; with semicolons also decimal commas. JSON
 * lines: one object a line, the union of their keys. A column is numeric when every cell that is
 * there is a number (true and false are 1 and 0); infinities count as missing.
 *
 *     struct table t;
 *     st = table_read(&t, "runs.csv", err);
 *     const double *loss = table_num(&t, "loss");    NULL when absent; NAN where missing
 *     table_release(&t);
 */
#ifndef MIXLAW_LAW_TABLE_H
#define MIXLAW_LAW_TABLE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

enum { TABLE_MAX_COLS = 4096, TABLE_MAX_ROWS = 10 * 1000 * 1000, TABLE_MAX_BYTES = 1 << 30 };

struct table_col {
    char *name;
    char **text; /* [n_row], "" where missing */
    double *num; /* [n_row], NAN where missing; NULL for a text column */
    size_t bad;  /* text column: its first row that is no number */
};

struct table {
    char *path;
    size_t n_row, n_col;
    struct table_col *col;
    size_t *line; /* [n_row] of the file, from 1 */
};

/* "-" reads standard input; a folder means its runs.csv. ST_FORMAT names line and column. */
MUST_USE enum st table_read(struct table *t, const char *path, struct err *err);
MUST_USE enum st table_parse(struct table *t, const char *name, const char *bytes, size_t n_bytes,
                             struct err *err);
void table_release(struct table *t);

const struct table_col *table_find(const struct table *t, const char *name); /* or NULL */
const double *table_num(const struct table *t, const char *name);            /* or NULL */

/* As table_num, but says what is wrong: ST_USAGE no such column (and which there are), ST_FORMAT
 * line and text of the cell that is no number. */
MUST_USE enum st table_need(const struct table *t, const char *name, const double **num,
                            struct err *err);
char *const *table_text(const struct table *t, const char *name); /* or NULL */

/* Marks the rows for which the expression holds: COL OP VALUE joined by && || ! ( ), with OP one of
 * == != < <= > >= and VALUE a number (5M reads as in units.h), a "text", max or min (of the column,
 * over all rows with a number). A missing cell fulfils only !=. ST_USAGE names the place and an
 * unknown column with those that exist. keep: [n_row]. */
MUST_USE enum st table_where(const struct table *t, const char *expr, bool *keep, struct err *err);

#endif
