/*
 * corpus/layout.h - a page's words put down as text: white space is owed until the next word
 * decides what is needed, so that neither leading, trailing nor doubled blanks are written.
 *
 *     struct layout l = { .out = &text, .start = text.n };
 *     layout_words(&l, "  one\ntwo");
 *     layout_lines(&l, 2);
 *     layout_words(&l, "three");                 "one two\n\nthree"
 *     layout_trim(&l);
 */
#ifndef MIXLAW_CORPUS_LAYOUT_H
#define MIXLAW_CORPUS_LAYOUT_H

#include <stdbool.h>

#include "base/str.h"

struct layout {
    struct strbuf *out;
    size_t start;     /* what stands before belongs to somebody else */
    int lines;        /* line ends owed: 0, 1, 2 */
    bool space, cell; /* a space, a cell's separator owed */
    int indent;       /* depth of lists */
    bool marker;      /* a list marker owed */
    int number;       /* of it; 0: a dash */
};

void layout_lines(struct layout *l, int n);         /* at least n line ends before the next word */
void layout_words(struct layout *l, const char *s); /* any white space between them is a space */
void layout_pre(struct layout *l, const char *s);   /* white space stays as it is */
void layout_trim(struct layout *l);                 /* takes blanks at the end away */

#endif
