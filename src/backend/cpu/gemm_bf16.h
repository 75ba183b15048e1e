/*
 * backend/cpu/gemm_bf16.h - the products of gemm.h with operands in bfloat16; gemm.c calls these
 * where the context has such kernels (struct cpu, b).
 *
 * A row of a product has the same bits in any batch and with any number of threads, as in gemm.h.
 */
#ifndef MIXLAW_BACKEND_CPU_GEMM_BF16_H
#define MIXLAW_BACKEND_CPU_GEMM_BF16_H

#include "backend/cpu/gemm.h"

size_t bf16_panel_pairs(const struct bf16_kernels *b, int n_col,
                        int n_k); /* of a weight so packed */

/* weight [n_out, n_in], or [n_in, n_out] when transposed. */
void bf16_pack_weight(struct cpu *c, struct packed *w, const float *weight, int n_out, int n_in,
                      bool transposed);
void bf16_product(struct cpu *c, float *out, size_t ld_out, const float *x, size_t ld_x, int n,
                  const struct packed *w, const float *from, size_t ld_from);
void bf16_product_wgrad(struct cpu *c, float *dw, const float *dy, size_t ld_dy, const float *x,
                        size_t ld_x, int n, int n_out, int n_in);

#endif
