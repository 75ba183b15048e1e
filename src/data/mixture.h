/*
 * data/mixture.h - what a run trains on: token windows from several sources at stated shares.
 *
 * The stream is cut into slots of seq_len tokens. Slot i belongs to a source by a low-discrepancy
 * sequence, so that every prefix of the stream has the asked shares to within a few windows, and
 * the slots of the first (natural) source at a larger synthetic share are a subset of those at a
 * smaller one: slot i always holds natural window i, in every arm, unless the share replaces it.
 * Arms of one seed can therefore be compared paired, and budgets share prefixes (a run to D tokens
 * sees exactly the first D tokens of a longer one).
 *
 * A source's documents are shuffled by seed and packed back to back with their end-of-document
 * tokens; the windows that this gives are shuffled again, so that a long document does not fill a
 * row of steps. All of it is used once before any is used again (an epoch), then shuffled anew and
 * appended, so that no tail is lost and counts of unique tokens are exact. Natural slots beyond the
 * natural pool's windows first take the windows whose slots were synthetic.
 *
 * Threads: read-only after mixture_open; mixture_window may be called from any thread.
 */
#ifndef MIXLAW_DATA_MIXTURE_H
#define MIXLAW_DATA_MIXTURE_H

#include <stdint.h>

#include "base/err.h"
#include "data/shard.h"

struct mixture_source {
    const char *name;   /* provenance id: "natural", "hq" */
    const char *prefix; /* token files */
    double share; /* of the training tokens, 0..1; shares sum to 1; the first source is the natural
                     one */
    uint64_t max_tok; /* use only the first max_tok tokens of the seeded pool, 0: all; for matched
                         repetition */
};

struct mixture;
MUST_USE enum st mixture_open(struct mixture **out, const struct mixture_source *source,
                              size_t n_source, int seq_len, uint64_t seed, struct err *err);
void mixture_close(struct mixture *m); /* NULL is fine */
int mixture_vocab_size(const struct mixture *m);

/* The window of slot i: seq_len + 1 tokens, the last being the target of the one before it.
 * ST_FORMAT: an id in a damaged file is not below the vocabulary's size. */
MUST_USE enum st mixture_window(const struct mixture *m, uint64_t slot, uint32_t *tok,
                                struct err *err);
size_t mixture_slot_source(const struct mixture *m, uint64_t slot);

struct mixture_use { /* after n_slot slots, per source */
    const char *name;
    uint64_t n_tok;        /* tokens drawn */
    uint64_t n_tok_unique; /* different tokens among them */
    double share;          /* as got */
    double n_epoch;        /* n_tok / tokens of the pool */
};
void mixture_use(const struct mixture *m, uint64_t n_slot,
                 struct mixture_use *use); /* n_source entries */

#endif
