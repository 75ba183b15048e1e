/*
 * tok/bpe.h - the merging of one word: always the pair of lowest rank, the leftmost of equals.
 *
 * Short words look through all their pairs each time; long ones keep a heap, so that a word of n
 * bytes costs n log n whatever it holds. An encoder remembers the words it has seen.
 */
#ifndef MIXLAW_TOK_BPE_H
#define MIXLAW_TOK_BPE_H

#include <stddef.h>
#include <stdint.h>

#define NO_TOKEN UINT32_MAX

struct merge {
    uint32_t left, right, id; /* id: what they become */
};

struct merge_slot { /* rank NO_TOKEN: free */
    uint64_t pair;
    uint32_t rank, id;
};

struct merges {
    uint32_t byte_id[256];
    struct merge *merge; /* by rank */
    size_t n, cap;
    struct merge_slot *slot;
    uint64_t mask;
};

/* A pair that is there already gets the new rank, as in Hugging Face's loader. */
void merges_add(struct merges *m, uint32_t left, uint32_t right, uint32_t id);
void merges_release(struct merges *m);

struct bpe_scratch { /* for long words; grows */
    uint32_t *sym, *prev, *next;
    uint64_t *heap;
    size_t cap, heap_cap;
};
void bpe_scratch_release(struct bpe_scratch *s);

/* Writes the ids of a word to ids (room for n_bytes), returns how many. n_bytes <= BPE_MAX_WORD. */
size_t bpe_word(const struct merges *m, struct bpe_scratch *s, const uint8_t *word, size_t n_bytes,
                uint32_t *ids);
#define BPE_MAX_WORD ((size_t)1 << 30) /* longer words are cut there */

#endif
