/*
 * report/cells.h - from the table's rows to runs and cells, for input.c.
 */
#ifndef MIXLAW_REPORT_CELLS_H
#define MIXLAW_REPORT_CELLS_H

#include "report/input.h"

/* Fills run, cell, noise_sd, n_max and d_max from table and advice. */
void cells_make(struct input *in);

#endif
