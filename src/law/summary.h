/*
 * law/summary.h - from a table of runs to fit reports: which rows, which laws, what to warn of.
 *
 * One JSON object a law (and a mixture, when the table has several):
 *     law formula kind share params{name:{value,lo,hi}} objective n_rows n_starts n_starts_agree
 *     mrae bias rmse_log hold_out{mrae,bias,n} leave_one_size_out{mrae,bias,n}
 *     identifiability{correlation,condition,profile_e,unbounded} residuals{worst,trends,noise_log,
 *     rmse_per_noise,influence_percent} derived{N,D,loss,best_N_exponent} method{..} input{..}
 *     rows{..} with_embeddings{..} warnings[]
 *
 * `rows` says what was used, left out and why, and which column was N, D, loss.
 */
#ifndef MIXLAW_LAW_SUMMARY_H
#define MIXLAW_LAW_SUMMARY_H

#include "base/json.h"
#include "law/fit.h"
#include "law/table.h"

struct summary_conf {
    const char *laws;     /* "joint,data"; NULL: those that the rows allow */
    const char *where;    /* rows to use; NULL: all */
    const char *hold_out; /* rows to predict, left out of the fit that is judged; NULL: none */
    const char *group;    /* column of runs for the bootstrap; NULL: run_id, see rows.h */
    const char *map;      /* "N=COL,D=COL,loss=COL"; NULL: usual names */
    bool pooled;          /* one fit for all mixtures of the table */
    struct fit_conf fit;
};

/* Pushes one object a fit to the array `rows`. A law or mixture with too few rows gives an object
 * with `error` in place of numbers; ST_USAGE only when nothing could be fitted. */
MUST_USE enum st summary_fit(struct js *rows, const struct table *t, const struct summary_conf *c,
                             struct err *err);

#endif
