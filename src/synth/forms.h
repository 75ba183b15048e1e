/*
 * synth/forms.h - answers that must have a form: pairs of tagged lines, lines of one start, a
 * table. For answer.c only.
 *
 * Each reader takes the parts that are whole, new and no talk about the passage, writes them in one
 * spelling and leaves the rest out: a weak generator's answer is often good for some lines. A part
 * that the token limit cut is none, unless whole sentences of it are left.
 *
 *     qa      Question: ... / Answer: ..., or the recipe's own two tags; untagged lines go on
 *     lines   - ...   any mark of a list counts as "- "; a line without a start goes on, until a
 *             blank one. '#' in a start stands for a number, written anew from 1
 *     table   | a | b |   rows as wide as the head; the rule below it is put in when it is missing
 */
#ifndef MIXLAW_SYNTH_FORMS_H
#define MIXLAW_SYNTH_FORMS_H

#include "synth/verdict.h"

void form_pairs(struct answer *a, const struct recipe *r, const char *s, size_t n_bytes,
                struct arena *scratch);
void form_lines(struct answer *a, const struct recipe *r, const char *s, size_t n_bytes,
                struct arena *scratch);
void form_table(struct answer *a, const struct recipe *r, const char *s, size_t n_bytes,
                struct arena *scratch);

/* Bytes up to behind a line's start such as "- " or "Step #:", marks of Markdown passed over; 0
 * when the line does not begin so. */
size_t line_start_len(const char *line, size_t n_bytes, const char *start);

#endif
