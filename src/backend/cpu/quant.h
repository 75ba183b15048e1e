/*
 * backend/cpu/quant.h - products with weights held as small integers, as quantised model files hold
 * them.
 *
 * Inputs are taken in blocks of 32. A weight is code * scale + min with a scale and a min a block
 * and output, an activation is code * scale with a scale a block and row, so
 *
 *     y = sum over blocks of  scale_w scale_x (sum of code_w code_x) + min_w scale_x (sum of
 * code_x)
 *
 * where both inner sums are exact integers. Weights have codes of 4 bits (0..15) or of 8
 * (-127..127). Activations are rounded to 8 bits (what llama.cpp does; for 4-bit weights only) or
 * to 16 (4 digits: as good as floats). Blocks are added in rising order with one multiply-add each,
 * so a row of a result depends on that row of the input alone, to the bit, as with the kernels of
 * decode.h.
 *
 * Threads: kernels have no state; what they are given must not overlap between threads.
 */
#ifndef MIXLAW_BACKEND_CPU_QUANT_H
#define MIXLAW_BACKEND_CPU_QUANT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "backend/cpu/decode.h"

enum { QUANT_BLOCK = 32 };

struct quant_kernels;

/* Panels of n_col outputs; when gated n_col/2 of gate, then the same n_col/2 of up. */
struct quant_packed {
    uint8_t *
        code; /* [n_panel][n_block][8][n_col * 4 * bits / 8]: four inputs of all columns together */
    float *scale;      /* [n_panel][n_block][n_col] */
    float *min;        /* likewise, or NULL: all 0 */
    int n_in, n_block; /* n_in is filled up with zeros to whole blocks */
    int n_out, n_panel;
    int bits; /* 4 or 8 */
    bool gated;
};

/* An output's weights, for filling a panel: codes [n_block * 32], scales and mins [n_block]. */
struct quant_column {
    const int8_t *code; /* NULL: no such output */
    const float *scale, *min;
};

/* Rows of activations. */
struct quant_rows {
    int bits; /* 8 or 16 */
    int n_block;
    void *code;   /* [n_row][n_block * 32] of int8_t, or of int16_t with each four as 0 2 1 3 */
    float *scale; /* [n_row][n_block] */
    float *sum;   /* likewise: scale times the sum of codes */
};

struct quant_kernels {
    const char *name;
    int n_col;
    bool quick; /* faster than the products of floats */

    /* Rounds x [n] into row `row`. What is not finite makes its whole block NaN. */
    void (*round_row)(const struct quant_rows *to, int row, const float *x, int n);
    /* Panels [first, first + n) of the product of x's first n_row rows into y [n_row, n_out]. */
    void (*product)(const struct quant_packed *w, int first, int n, const struct quant_rows *x,
                    int n_row, float *y, size_t ldy, enum decode_end end);
};

/* Those that belong to the generator's kernels of that name, once they passed a self-test; else
 * plain C's. */
const struct quant_kernels *quant_kernels_for(const struct decode_kernels *k);
const struct quant_kernels *quant_kernels_find(const char *name); /* NULL: cannot run here */
const struct quant_kernels *quant_kernels_plain(void);            /* C, the tests' oracle */
const struct quant_kernels *quant_kernels_avx2(void);             /* NULL where not built */
const struct quant_kernels *quant_kernels_avx512(void);

void quant_packed_init(struct quant_packed *w, const struct quant_kernels *k, int n_in, int n_out,
                       int bits, bool has_min, bool gated);
void quant_packed_fill(struct quant_packed *w, const struct quant_kernels *k, int p,
                       const struct quant_column *column);
void quant_packed_release(struct quant_packed *w);

/* Room for n_row rows of n_in values. */
void quant_rows_init(struct quant_rows *r, int n_row, int n_in, int bits);
void quant_rows_release(struct quant_rows *r);

#endif
