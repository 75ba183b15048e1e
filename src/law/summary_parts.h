/*
 * law/summary_parts.h - the parts of a fit report that summary.c puts together. Private to law/.
 */
#ifndef MIXLAW_LAW_SUMMARY_PARTS_H
#define MIXLAW_LAW_SUMMARY_PARTS_H

#include "base/attr.h"
#include "base/json.h"
#include "law/fit.h"
#include "law/rows.h"

/* law/warnings.c: each pushes sentences. */
void warn(struct js *list, const char *fmt, ...) PRINTF_LIKE(2, 3);
void warn_of_table(struct js *list, const struct rows *r);
void warn_of_rates(struct js *list, const struct rows *r);
void warn_of_fit(struct js *list, const struct fit *f, const struct rows *r);

/* law/judge.c: how a fit stands to its rows and beyond them. */
struct js *judge_input(const struct rows *r);
struct js *judge_residuals(const struct rows *r, const struct fit *f, const struct fit_conf *conf);
struct js *judge_derived(const struct rows *r, const struct fit *f, const struct fit_conf *conf);
struct js *judge_hold_out(const struct rows *r, const struct law *law, const struct fit_conf *conf,
                          struct js *warnings);
struct js *judge_sizes(const struct rows *r, const struct law *law, const struct fit_conf *conf);
struct js *judge_params(const struct fit *f); /* {name:{value,lo,hi}} */

#endif
