/*
 * synth/survival.h - what of a source stands in an answer: its words, names and numbers.
 *
 *   words     of six letters or more, which agree by their first six, so that "compiler" survives
 *             as "compilers"; and numbers of two digits or more
 *   names     words with a capital that begin no sentence and are never written small in the
 *             source; sentences that are mostly capitals (headings) are left out
 *   numbers   of two digits or more, "1,250" as 1250, "1990s" as 1990
 *
 * Each different one counts once, case does not. Capitals are ASCII's and Latin-1's: other scripts
 * have no names here. A generator that loses words rewrites loosely; one that loses names and
 * numbers loses the facts.
 */
#ifndef MIXLAW_SYNTH_SURVIVAL_H
#define MIXLAW_SYNTH_SURVIVAL_H

#include <stddef.h>
#include <stdint.h>

#include "base/mem.h"

enum survivor { SURVIVE_WORDS, SURVIVE_NAMES, SURVIVE_NUMBERS, SURVIVE_N };
/* "source_kept" "names_kept" "numbers_kept": in verdicts, rates and recipes' limits. */
const char *survivor_name(enum survivor k);
const char *survivor_text(enum survivor k); /* "longer words and numbers": for people */

struct survival {
    uint64_t n[SURVIVE_N], kept[SURVIVE_N]; /* in the source; of these in the answer too */
};
struct survival survival_of(struct arena *scratch, const char *answer, size_t n_bytes,
                            const char *source);
void survival_add(struct survival *sum, const struct survival *s);
double survival_share(const struct survival *s, enum survivor k); /* NaN: there are none */

#endif
