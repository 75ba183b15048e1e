/*
 * backend/cpu/gemm.h - products with packed weights on the CPU, for the layers and the generator.
 *
 *     struct cpu *c;
 *     st = cpu_open(&c, n_threads, PRECISION_FP32, err);
 *     struct packed w = { 0 };
 *     pack_weight(c, &w, weight, n_out, n_in);                 weight [n_out, n_in], row-major
 *     product(c, out, n_out, x, n_in, n, &w, NULL, 0);         out[n, n_out] = x[n, n_in] weight'
 *     packed_release(&w);
 *
 * A row of the result is one fixed chain of operations: it has the same bits whatever n is,
 * whatever other rows are in the batch, however many threads share the work. Blocks of work follow
 * from shapes alone.
 *
 * Threads: a struct cpu runs one call at a time and spreads it over its own pool.
 */
#ifndef MIXLAW_BACKEND_CPU_GEMM_H
#define MIXLAW_BACKEND_CPU_GEMM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "backend/backend.h"
#include "backend/cpu/kernels.h"
#include "backend/cpu/kernels_bf16.h"
#include "base/pool.h"

struct isa;
struct cpu {
    const struct isa *isa;
    const struct kernels *k; /* the row's */
    struct pool *pool;
    /* Of all products but attention's and Muon's; NULL: they are fp32 too. */
    const struct bf16_kernels *b;
    struct cpu_scratch {
        float *p;
        size_t n;
    } * own,       /* one a thread */
        shared[4]; /* for a call; which one serves what stands in the callers */
};

MUST_USE enum st cpu_open(struct cpu **out, int n_threads, enum precision p, struct err *err);
void cpu_close(struct cpu *c); /* NULL is fine */

/* At least n floats, 64-byte aligned, contents undefined; valid until a larger request for the same
 * place. */
float *cpu_scratch(struct cpu *c, int thread, size_t n); /* inside pool items */
enum { SHARED_A, SHARED_B, SHARED_X, SHARED_LAYER };
float *cpu_shared(struct cpu *c, int which, size_t n); /* outside of them */

struct packed {
    int n_out, n_in;
    float *panels;   /* [ceil(n_out / nr)][n_in][nr], or, for products in bf16, */
    uint32_t *pairs; /* b of kernels_bf16.h */
    size_t n;        /* elements there is room for in the one that is there */
};

void pack_weight(struct cpu *c, struct packed *w, const float *weight, int n_out, int n_in);
/* For out = x weight (the gradient of a layer's input): weight [n_in, n_out] row-major. */
void pack_weight_t(struct cpu *c, struct packed *w, const float *weight, int n_out, int n_in);
void packed_release(struct packed *w);
size_t packed_bytes(const struct cpu *c, int n_out, int n_in); /* of panels or pairs */

/* out[n, n_out] = from[n, n_out] + x[n, n_in] w; from NULL: zeros; from may be out. */
void product(struct cpu *c, float *out, size_t ld_out, const float *x, size_t ld_x, int n,
             const struct packed *w, const float *from, size_t ld_from);

/* dw[n_out, n_in] += dy[n, n_out]' x[n, n_in]; rows are added in order. */
void product_wgrad(struct cpu *c, float *dw, const float *dy, size_t ld_dy, const float *x,
                   size_t ld_x, int n, int n_out, int n_in);

/* Tiles of one product inside a pool item (attention). b: panels whose k-th row is at b + k * nr,
 * panel p at b + p * b_panel. a row-major (rows true) or column-major. Columns [0, n_col) of c. */
struct block {
    int n_row, n_col, n_k;
    const float *a;
    size_t ld_a;
    bool rows;
    const float *b;
    size_t b_panel;
    float *c;
    size_t ldc;
    const float *from;
    size_t ld_from;
};
void block_product(const struct kernels *k, const struct block *b);

#endif
