/*
 * backend/cpu/kernels_bf16.h - the innermost loops of products in bfloat16, one table a processor
 * family.
 *
 * Operands are rounded to bfloat16 (nearest, ties to even; NaN stays NaN) while they are packed,
 * sums are fp32. Two neighbours in k share a 32-bit word, the even one below: a pair, as VDPBF16PS
 * and TDPBF16PS want it. Pairs go up to a multiple of k_unit elements, zeros beyond the matrix.
 *
 *     a   [rows][ld_a] pairs, row-major
 *     b   panels of nr columns, [n_pair][nr]
 *
 * An element of a product is one chain over k in rising order, whatever tile or edge it lies in.
 * Within a pair, and in AMX within 16 pairs, the order is the instruction's.
 */
#ifndef MIXLAW_BACKEND_CPU_KERNELS_BF16_H
#define MIXLAW_BACKEND_CPU_KERNELS_BF16_H

#include <stddef.h>
#include <stdint.h>

/* c[i][j] = from[i][j] + sum of a[i] b[.][j] for i < mr, j < nr. from NULL: zeros; it may be c. */
struct bf16_tile {
    int mr, nr, n_pair;
    const uint32_t *a; /* readable for whole tiles of rows, whatever mr is */
    size_t ld_a;
    const uint32_t *b;
    float *c;
    size_t ldc;
    const float *from;
    size_t ld_from;
};

struct bf16_kernels {
    const char *name;
    int mr, nr; /* a tile's rows and a panel's columns */
    int k_unit; /* elements */
    int k_part; /* elements of k that are passed over at once: a panel's part stays in L1 */
    int n_row;  /* rows of an item of work, a multiple of mr */
    void (*begin)(void); /* before and after a thread's tiles; NULL: nothing to do */
    void (*end)(void);
    void (*tile)(const struct bf16_tile *t);
    double (*peak_loop)(int n, float *sink); /* as in kernels.h; NULL: no instruction for it */

    /* All write pairs up to n_pair, zeros beyond n_k. _t: from the transposed matrix.
     * a from src[row][k] or src[k][row]; b from src[k][col] or src[col][k], zeros beyond n_col too.
     */
    void (*pack_a)(uint32_t *dst, size_t ld_dst, const float *src, size_t ld, int n_row, int n_k,
                   int n_pair);
    void (*pack_a_t)(uint32_t *dst, size_t ld_dst, const float *src, size_t ld, int n_row, int n_k,
                     int n_pair);
    void (*pack_b)(uint32_t *dst, const float *src, size_t ld, int n_col, int n_k, int n_pair);
    void (*pack_b_t)(uint32_t *dst, const float *src, size_t ld, int n_col, int n_k, int n_pair);
};

/* plain and avx2 have no such instruction: they multiply the rounded operands as fp32, slower than
 * fp32 products. They serve where bf16 is asked for, and the tests of everything around the tiles.
 */
extern const struct bf16_kernels bf16_plain, bf16_avx2, bf16_avx512, bf16_amx;

#endif
