/*
 * corpus/seen.h - a set of 128-bit digests: which texts or ids were met before.
 *
 *     if (!seen_add(&s, digest_of(text, n))) ...      it was there already
 *
 * A set that is filled by seen_put keeps a number with each digest.
 */
#ifndef MIXLAW_CORPUS_SEEN_H
#define MIXLAW_CORPUS_SEEN_H

#include <stdbool.h>

#include "base/hash.h"
#include "base/str.h"

struct seen { /* all zero is an empty set */
    struct digest *slot;
    uint32_t *number; /* of each slot, or NULL */
    size_t n_slots, n;
};
bool seen_add(struct seen *s, struct digest d); /* true when it is new */
void seen_release(struct seen *s);

/* The same with a number; a digest that is there keeps its own. Not to be mixed with seen_add. */
bool seen_put(struct seen *s, struct digest d, uint32_t number);
bool seen_number(const struct seen *s, struct digest d, uint32_t *number); /* false: not there */

/* Digest of a text by its words: runs of white space count as one space, none at the ends. */
struct digest text_digest(const char *text, size_t n_bytes, struct strbuf *scratch);

#endif
