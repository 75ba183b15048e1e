/*
 * corpus/seen.h - a set of 128-bit digests: which texts or ids were met before.
 *
 *     if (!seen_add(&s, digest_of(text, n))) ...      it was there already
 */
#ifndef MIXLAW_CORPUS_SEEN_H
#define MIXLAW_CORPUS_SEEN_H

#include <stdbool.h>

#include "base/hash.h"
#include "base/str.h"

struct seen { /* all zero is an empty set */
    struct digest *slot;
    size_t n_slots, n;
};
bool seen_add(struct seen *s, struct digest d); /* true when it is new */
void seen_release(struct seen *s);

/* Digest of a text by its words: runs of white space count as one space, none at the ends. */
struct digest text_digest(const char *text, size_t n_bytes, struct strbuf *scratch);

#endif
