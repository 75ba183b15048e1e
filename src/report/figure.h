/*
 * report/figure.h - the figures: Vega specifications with their data inside.
 *
 * A figure is a row of figures[] (figures.c): an identifier, what it shows, how to read it, the
 * embedded file figures/ASSET.json without data, and a function that fills in the data. To add one:
 * a row, a function, and a file unless an existing one fits.
 *
 * Texts that came from files enter the specification as JSON values only, never as expressions.
 */
#ifndef MIXLAW_REPORT_FIGURE_H
#define MIXLAW_REPORT_FIGURE_H

#include "report/curves.h"
#include "report/input.h"

struct figure {
    const char *id;      /* also the anchor: #fig-ID */
    const char *section; /* where on the page */
    const char *title, *how_to_read;
    const char *asset;
    /* Puts data into spec; false with a sentence in why when there is nothing to draw. */
    bool (*fill)(const struct input *in, const struct curves *c, struct js *spec,
                 struct strbuf *why);
};
extern const struct figure figures[];
extern const size_t n_figures;

/* The complete specification, or NULL with a sentence in why. The caller frees it. */
struct js *figure_spec(const struct figure *f, const struct input *in, const struct curves *c,
                       struct strbuf *why);

/* "hq 33 %", "natural", "natural, other seeds", "shuffle 33 %". */
void arm_label(struct strbuf *b, const struct input_cell *c);

#endif
