/*
 * report/verdict.h - the advice in words: one headline and a few labelled lines, the same on the
 * page and in the terminal.
 *
 *     struct verdict v;
 *     verdict_make(&v, &in);
 *     puts(v.headline.s);
 *     verdict_release(&v);
 *
 * Texts are plain; whoever shows them escapes them.
 */
#ifndef MIXLAW_REPORT_VERDICT_H
#define MIXLAW_REPORT_VERDICT_H

#include "report/input.h"

enum verdict_mood { MOOD_YES, MOOD_NO, MOOD_OPEN }; /* use it, leave it, not known */

struct verdict_line {
    const char *label; /* "Interval" */
    struct strbuf text;
};

enum { VERDICT_MAX_LINES = 12 };

struct verdict {
    enum verdict_mood mood;
    struct strbuf headline, point; /* the sentence; where it holds */
    struct verdict_line line[VERDICT_MAX_LINES];
    size_t n_line;
};

void verdict_make(struct verdict *v, const struct input *in);
void verdict_release(struct verdict *v);

#endif
