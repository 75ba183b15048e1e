/*
 * model/infer.h - the forward pass of generation: any rows of any sequences through the network at
 * once.
 *
 * A row is one token of one sequence at its position. Rows of one sequence stand together,
 * ascending; the positions before the first have been through an earlier call or come from a shared
 * block. Each layer writes all keys and values before it attends, so a row may rely on blocks that
 * other rows of the same call fill. What comes out of a row depends on its own sequence alone, to
 * the bit.
 *
 * Threads: one call at a time; it uses the pool inside.
 */
#ifndef MIXLAW_MODEL_INFER_H
#define MIXLAW_MODEL_INFER_H

#include "backend/cpu/decode.h"
#include "base/pool.h"
#include "model/matrix.h"
#include "model/weights.h"

struct infer_row {
    uint32_t tok;
    int pos;
    uint8_t *const *block; /* of its sequence */
    bool logits;           /* wanted: for the last tokens of prompts and all new ones */
};

struct infer;

/* Keeps w (for embedding rows), k and pool. max_rows: rows a call; max_logits: of them with logits.
 */
struct infer *infer_new(const struct weights *w, const struct decode_kernels *k, struct pool *pool,
                        enum gen_precision precision, enum gen_kv kv, int max_seq_len, int max_rows,
                        int max_logits);
/* Two models over the same tokens share one cache: this one's keys and values stand in each block
 * behind the first n_bytes, which are the other's. */
void infer_share_blocks(struct infer *f, size_t n_bytes);
void infer_free(struct infer *f);                /* NULL is fine */
int infer_row_bits(const struct infer *f);       /* of activations in the first layer; 0: floats */
size_t infer_block_bytes(const struct infer *f); /* of the cache */

/* All layers and the last norm; returns how many rows want logits. Then their logits in parts,
 * [n][vocab_size] valid until the next call: of the wanted rows [first, first + n), n <=
 * max_logits. */
int infer_layers(struct infer *f, const struct infer_row *row, int n_row);
float *infer_logits(struct infer *f, int first, int n);

/* Both at once, for at most max_logits wanted rows. Returns logits [number of rows that want
 * them][vocab_size], in row order, valid until the next call. */
float *infer_forward(struct infer *f, const struct infer_row *row, int n_row);

#endif
