/*
 * corpus/dedup.h - which earlier document a document repeats: word for word, or nearly.
 *
 *     none       nothing is looked for
 *     exact      the same words: equal but for white space
 *     minhash    that, and more similar than max_similar by runs of 5 words (corpus/minhash.h)
 *
 * The first wins, and only what was kept can be repeated: a document like one that was dropped for
 * another reason is no repetition.
 *
 *     dedup_look(d, &look, text, n_bytes, &scratch);        any thread, any order
 *     if (dedup_find(d, &look, &of) == DEDUP_NEW)           one thread, in the documents' order
 *         dedup_keep(d, &look, id);
 *
 * Memory: a kept document takes 40 to 80 bytes and its id; with minhash about 500 more.
 */
#ifndef MIXLAW_CORPUS_DEDUP_H
#define MIXLAW_CORPUS_DEDUP_H

#include "base/hash.h"
#include "base/str.h"
#include "corpus/minhash.h"

#define DEDUP_SIMILAR 0.75 /* as FineWeb aims at, arXiv:2406.17557 */

enum dedup_kind { DEDUP_NONE, DEDUP_EXACT, DEDUP_MINHASH };
enum dedup_verdict { DEDUP_NEW, DEDUP_SAME, DEDUP_NEAR };

struct dedup_look { /* all that must be known of a document */
    struct digest words;
    struct minhash runs;
    bool has_runs;
};

struct dedup;
struct dedup *dedup_new(enum dedup_kind kind, double max_similar);
void dedup_free(struct dedup *d); /* NULL is fine */
void dedup_look(const struct dedup *d, struct dedup_look *out, const char *text, size_t n_bytes,
                struct strbuf *scratch);
/* *of: id of the document that is repeated, valid until the next dedup_keep; NULL for a new one. */
enum dedup_verdict dedup_find(const struct dedup *d, const struct dedup_look *look,
                              const char **of);
void dedup_keep(struct dedup *d, const struct dedup_look *look, const char *id);

#endif
