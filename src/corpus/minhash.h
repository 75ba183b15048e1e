/*
 * corpus/minhash.h - how alike two texts are, and which earlier text a text nearly is.
 *
 * A text is the set of its runs of 5 words (corpus/ngram.h says what a word is). The similarity of
 * two texts is Jaccard's: shared runs over all runs of either. A signature keeps the least value of
 * the set under each of 112 permutations; the share of equal values estimates the similarity J with
 * a standard deviation of sqrt(J (1 - J) / 112), at most 0.047.
 *
 *     struct minhash m;
 *     if (minhash_of(&m, text, n_bytes))                false: under 5 words, nothing to compare
 *         similarity = minhash_similarity(&m, &other);
 *
 * An index finds an earlier text beyond a similarity without comparing with all: signatures are cut
 * into 14 bands of 8 values, and only texts that agree in a whole band are compared. Two texts do
 * with probability 1 - (1 - J^8)^14:
 *
 *     J      0.5   0.6   0.7   0.75  0.8   0.85  0.9   0.95
 *     found  5 %  21 %  56 %  77 %  92 %  98.8 %  99.9 %  100 %
 *
 * What was found is then compared by its whole signature, so that texts below the limit that agree
 * in a band by chance are not taken for alike.
 *
 * A band's value belongs to the first text that had it: a text is compared with 14 others at most,
 * whatever the input. Many texts that are equal cost no more than others, nor do many that share
 * one band; the price is that, of texts alike which were all added, only the first is found by that
 * band. Memory: a text that was added takes 224 to 448 bytes of signature (the array doubles) and
 * 112 to 224 of tables.
 *
 * Order decides, threads do not: signatures may be made by any thread, the index belongs to one and
 * gives the same answers for the same order of calls.
 *
 * Sources: Broder 1997, On the resemblance and containment of documents; the numbers are those of
 * FineWeb (arXiv:2406.17557, appendix on deduplication) and the defaults of datatrove; 16 bits of
 * each value after Li and König 2010, b-bit minwise hashing (WWW 2010).
 */
#ifndef MIXLAW_CORPUS_MINHASH_H
#define MIXLAW_CORPUS_MINHASH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    MINHASH_WORDS = 5,
    MINHASH_BANDS = 14,
    MINHASH_ROWS = 8,
    MINHASH_N = MINHASH_BANDS * MINHASH_ROWS
};

struct minhash {
    uint16_t v[MINHASH_N]; /* low bits of the least values: equal by chance once in 65,536 */
};

bool minhash_of(struct minhash *m, const char *text, size_t n_bytes);
double minhash_similarity(const struct minhash *a, const struct minhash *b); /* 0..1 */

struct minhash_index;
/* max_similar, 0..1: two texts may be that similar and are still two. */
struct minhash_index *minhash_index_new(double max_similar);
void minhash_index_free(struct minhash_index *ix); /* NULL is fine */

/* Whether an earlier text is more similar than that; *which is its number, in the order of adding,
 * of the most similar one (of equals the first). */
bool minhash_index_find(const struct minhash_index *ix, const struct minhash *m, uint32_t *which);
uint32_t minhash_index_add(struct minhash_index *ix, const struct minhash *m); /* its number */

#endif
