/*
 * synth/diversity.h - how much texts differ from one another, over a sliding window of them.
 *
 * What a generator that collapses does: every text begins alike, the same words come again, the
 * whole packs into little, texts are variants of each other. Measures depend on how much text they
 * see (the more, the fewer new words), so each is taken over the same amount: of each text of the
 * window the first 64 words, or 1,024 bytes for compression. White space counts as one space: that
 * a table is padded says nothing.
 *
 *     same_opening     share of the texts in the largest group that begins with the same 6 words
 *     distinct_n       different n-grams over all n-grams, n = 1, 2, 3 (Li et al. 2016,
 *                      arXiv:1510.03055)
 *     compression      bytes over bytes after deflate (Shaib et al. 2024, arXiv:2403.00553), of the
 *                      newest half
 *     self_similar     mean over texts of the highest similarity to another (corpus/minhash.h)
 *
 *     look_at(&look, text, n_bytes, &scratch);      once a text, for all windows it belongs to
 *     window_add(w, &look);
 *     window_measure(w, &d, &scratch);
 *
 * Which language a text is in is not measured: no detector is built in. Memory: 3 kB a text of the
 * window. Threads: none.
 */
#ifndef MIXLAW_SYNTH_DIVERSITY_H
#define MIXLAW_SYNTH_DIVERSITY_H

#include "base/json.h"
#include "base/mem.h"
#include "corpus/minhash.h"

enum { OPENING_WORDS = 6, DISTINCT_MAX = 3, LOOK_WORDS = 64, LOOK_BYTES = 1024 };

struct look {         /* what a window keeps of a text */
    uint64_t opening; /* hash of the first words; of all, when there are fewer */
    uint64_t gram[DISTINCT_MAX][LOOK_WORDS];
    size_t n_gram[DISTINCT_MAX];
    struct minhash runs;
    bool has_runs;
    char head[LOOK_BYTES];
    size_t n_head;
};
void look_at(struct look *l, const char *text, size_t n_bytes, struct arena *scratch);

struct diversity { /* NaN where there was too little text */
    double same_opening, distinct[DISTINCT_MAX], compression, self_similar;
};
struct js *diversity_json(const struct diversity *d);

struct window;
struct window *window_new(size_t size); /* texts */
void window_free(struct window *w);     /* NULL is fine */
void window_add(struct window *w, const struct look *l);
bool window_full(const struct window *w);
void window_measure(const struct window *w, struct diversity *out, struct arena *scratch);

#endif
