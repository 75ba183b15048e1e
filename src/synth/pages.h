/*
 * synth/pages.h - which pages are used, in which order, and which pieces of them.
 *
 * A page that has at least one usable piece gets a rank: a hash of its text and the seed.
 * --max-docs N takes the N smallest ranks, so that a smaller sample is always part of a larger one,
 * a pilot's answers are used by the run, and no input file is favoured. Pages come in waves of
 * growing rank (64, 128, 256, ... pages), inside a wave in the order of the input: whatever budget
 * ends a run, what was made is a fair sample. The input is read once for the ranks and once a wave;
 * texts are not kept.
 */
#ifndef MIXLAW_SYNTH_PAGES_H
#define MIXLAW_SYNTH_PAGES_H

#include "corpus/doc.h"
#include "synth/keywords.h"
#include "synth/recipe.h"
#include "synth/text.h"

struct pages_conf {
    char *const *path;
    size_t n_path;
    const struct recipe_input *input;
    uint64_t seed, max_docs; /* max_docs 0: all */
    bool strict, keywords;   /* keywords: learn them on the way */
    bool distinct;           /* pages_n_distinct will be asked for: 8 bytes a piece */
    const char *only;        /* id of the one document to use; NULL: all */
};

struct page {
    const struct doc *doc;     /* borrowed until the next call */
    const struct piece *piece; /* those to use, in the page's order */
    size_t n_piece;
};

struct pages;
/* ST_FORMAT: no page is left to be used; the message says of how many. */
MUST_USE enum st pages_open(struct pages **out, const struct pages_conf *conf, struct err *err);
void pages_close(struct pages *p);                                                /* NULL is fine */
MUST_USE enum st pages_next(struct pages *p, struct page *page, struct err *err); /* ST_END */
void pages_rewind(struct pages *p);
/* From the next rewind on only the n pages of smallest rank; 0: --max-docs again. */
void pages_limit(struct pages *p, uint64_t n);
uint64_t pages_n_usable(const struct pages *p);   /* before --max-docs */
uint64_t pages_n_docs(const struct pages *p);     /* documents in the input */
uint64_t pages_n_used(const struct pages *p);     /* pages that will come */
uint64_t pages_n_pieces(const struct pages *p);   /* of the pages that will come */
uint64_t pages_n_distinct(const struct pages *p); /* the same, equal texts counted once */
const struct keywords *pages_keywords(const struct pages *p);

#endif
