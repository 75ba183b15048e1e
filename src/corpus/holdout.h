/*
 * corpus/holdout.h - which documents are kept apart for evaluation, and disjoint from the others.
 *
 * Candidates are chosen by a hash of the id. A candidate that shares a run of 13 words with another
 * candidate, or with more than HOLDOUT_NEAR training documents (it holds boilerplate), is dropped;
 * training documents that share one with the rest are dropped. So no run of 13 words stands on
 * both sides, and little is lost for it. The decision needs all documents: they pass through a
 * temporary file in the output folder.
 *
 *     holdout_add each document; holdout_decide; holdout_next until ST_END
 */
#ifndef MIXLAW_CORPUS_HOLDOUT_H
#define MIXLAW_CORPUS_HOLDOUT_H

#include "corpus/doc.h"

enum { HOLDOUT_NEAR = 2 };
enum held {
    HELD_NO,        /* trains */
    HELD_YES,       /* evaluates */
    HELD_NEAR_HELD, /* would train, but is too near an evaluation document */
    HELD_NEAR_TRAIN /* would evaluate, but is too near the rest */
};

struct holdout;
MUST_USE enum st holdout_open(struct holdout **out, const char *dir, double share, struct err *err);
MUST_USE enum st holdout_add(struct holdout *h, const struct doc *d, struct err *err);
MUST_USE enum st holdout_decide(struct holdout *h, struct err *err);
MUST_USE enum st holdout_next(struct holdout *h, struct doc *d, enum held *where, struct err *err);
void holdout_close(struct holdout *h); /* NULL is fine; the temporary file goes */

#endif
