/*
 * report/part.h - the parts of the page that page.c puts in order. Each appends HTML to b.
 */
#ifndef MIXLAW_REPORT_PART_H
#define MIXLAW_REPORT_PART_H

#include "report/input.h"
#include "report/verdict.h"

void part_verdict(struct strbuf *b, const struct verdict *v);
void part_laws(struct strbuf *b, const struct input *in);  /* table of fits */
void part_kinds(struct strbuf *b, const struct input *in); /* table of what generation took */
void part_raw(struct strbuf *b, const struct input *in);   /* table of what answers were like */
/* Table of how much answers differ from one another, and what collapsed. */
void part_diversity(struct strbuf *b, const struct input *in);
void part_samples(struct strbuf *b, const struct input *in); /* source and synthetic side by side */
void part_settings(struct strbuf *b, const struct input *in);

/* The table of runs with an anchor each; linked: the page lies in the study's folder. */
void part_runs(struct strbuf *b, const struct input *in, bool linked);

/* Any JSON value as nested tables, long lists cut with their number given. */
void json_html(struct strbuf *b, const struct js *v, int depth);

void number_html(struct strbuf *b, double v); /* "3.412", "1.2e+07"; a dash for NAN */

#endif
