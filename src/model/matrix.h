/*
 * model/matrix.h - a weight matrix as the generator's kernels want it, and its product with rows of
 * floats.
 *
 * Several weights may stand one above the other (queries, keys and values are one product).
 * Products are made of floats, or of the small integers that a quantised file holds, with
 * activations rounded to 16 or 8 bits.
 *
 * Threads: read-only after loading; a product uses the pool inside, one at a time.
 */
#ifndef MIXLAW_MODEL_MATRIX_H
#define MIXLAW_MODEL_MATRIX_H

#include "backend/cpu/decode.h"
#include "backend/cpu/quant.h"
#include "base/pool.h"
#include "model/generate.h"
#include "model/weights.h"

struct matrix_source {
    const struct weight *from[3]; /* one above the other; gate and up when gated */
    int n_in, n_out;              /* n_out counts columns after gating */
    bool gated;
    int pad_from, pad_to; /* inputs come in heads of pad_from, each padded to pad_to; 0: not */
};

struct matrix {
    int row_bits; /* 0: floats, in `packed`; else of activations, weights in `quant` */
    struct decode_packed packed;
    struct quant_packed quant;
};

/* What products are made with, the same for all matrices of a model. */
struct matrix_tools {
    const struct decode_kernels *k;
    const struct quant_kernels *q;
    struct pool *pool;
    enum gen_precision precision;
    struct quant_rows rows8, rows16; /* activations of the product under way */
};
/* max_row rows of at most max_in inputs. */
void matrix_tools_init(struct matrix_tools *t, const struct decode_kernels *k, struct pool *pool,
                       enum gen_precision precision, int max_row, int max_in);
void matrix_tools_release(struct matrix_tools *t);

void matrix_load(struct matrix *m, struct matrix_tools *t, const struct matrix_source *from);
void matrix_release(struct matrix *m);

/* y [n_row, n_out] = or += x [n_row, n_in] W, or SwiGLU of a gated one. */
void matrix_product(struct matrix_tools *t, const struct matrix *m, const float *x, int n_row,
                    float *y, enum decode_end end);

#endif
