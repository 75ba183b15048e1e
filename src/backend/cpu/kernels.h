/*
 * backend/cpu/kernels.h - the innermost loops, one table a processor family.
 *
 * Everything above (gemm.c, attn.c, loss.c, ops.c) is written once against this table. An element
 * of a product is one chain of multiply-adds over k in rising order, whatever tile or edge it lies
 * in, so a row of a result has the same bits in any batch.
 */
#ifndef MIXLAW_BACKEND_CPU_KERNELS_H
#define MIXLAW_BACKEND_CPU_KERNELS_H

#include <stddef.h>

/* One tile: c[i][j] = from[i][j] + sum over k < kc of a[i * a_rs + k * a_cs] * b[k * nr_panel + j],
 * for i < mr, j < nr. b is a panel (packed). from NULL: zeros; it may be c. */
struct tile {
    int mr, nr, kc;
    const float *a;
    size_t a_rs, a_cs;
    const float *b;
    float *c;
    size_t ldc;
    const float *from;
    size_t ld_from;
};

struct adam_coef {
    float grad_scale;                      /* of clipping */
    float decay;                           /* 1 - lr * weight_decay */
    float beta1, beta2, rest1, rest2, eps; /* rest: 1 - beta */
    float step_size;                       /* lr / (1 - beta1^t) */
    float inv_sqrt_c2;                     /* 1 / sqrt(1 - beta2^t) */
};

struct kernels {
    const char *name;
    int mr, nr;                              /* a tile's rows and a panel's columns */
    void (*tile_rows)(const struct tile *t); /* a_cs is 1: a row-major */
    void (*tile_cols)(const struct tile *t); /* a_rs is 1: a column-major or packed */

    /* Panels of nr columns from b[k][col] (rows) or from w[col][k] (cols): dst
     * [ceil(n_col/nr)][n_k][nr], zeros beyond n_col. pack_tiles: dst [ceil(n_row/mr)][n_k][mr] from
     * a[k][row]. */
    void (*pack_rows)(float *dst, const float *src, size_t ld, int n_k, int n_col);
    void (*pack_cols)(float *dst, const float *src, size_t ld, int n_k, int n_col);
    void (*pack_tiles)(float *dst, const float *src, size_t ld, int n_k, int n_row);

    /* out = x * g / sqrt(mean(x^2) + eps) */
    void (*rmsnorm)(float *out, const float *x, const float *g, int d, float eps);
    /* dx += gradient, dg += its part */
    void (*rmsnorm_bwd)(float *dx, float *dg, const float *dy, const float *x, const float *g,
                        int d, float eps);
    /* gate and up are gu[0..ff) and gu[ff..2ff): out = silu(gate) * up */
    void (*swiglu)(float *out, const float *gu, int ff);
    /* dgu may be gu; act gets the forward result */
    void (*swiglu_bwd)(float *dgu, float *act, const float *dout, const float *gu, int ff);
    /* rotates pairs (i, i + d/2) of x into out, times scale; sin_sign -1 undoes */
    void (*rope)(float *out, const float *x, const float *cos, const float *sin, int d_head,
                 float sin_sign, float scale);
    /* x[0..n) to e^(x - max) and their sum; the maximum to *max */
    float (*softmax_exp)(float *x, int n, float *max);
    /* x = e^(x - shift) */
    void (*exp_shift)(float *x, int n, float shift);
    /* p becomes p * (dp - delta) */
    void (*softmax_bwd)(float *ds, const float *p, const float *dp, float delta, int n);
    void (*scale)(float *x, float a, int n);
    void (*add)(float *x, const float *y, size_t n);
    float (*dot)(const float *x, const float *y, int n);
    double (*sumsq)(const float *x, size_t n);
    /* About n rounds of multiply-adds that touch no memory; returns their FLOP. *sink keeps them
     * alive. */
    double (*peak_loop)(int n, float *sink);
    /* clears g */
    void (*adamw)(float *p, float *g, float *m, float *v, size_t n, const struct adam_coef *c);
};

extern const struct kernels kernels_plain, kernels_avx2, kernels_avx512;

#endif
