/* backend/cpu/attn.h - rotation and causal attention, forward and backward. Shapes as in backend.h.
 */
#ifndef MIXLAW_BACKEND_CPU_ATTN_H
#define MIXLAW_BACKEND_CPU_ATTN_H

#include "backend/cpu/gemm.h"

void attn_fwd(struct cpu *c, float *out, float *lse, const float *qkv, const float *cos,
              const float *sin, struct attn_shape s);
void attn_bwd(struct cpu *c, float *dqkv, const float *dout, const float *qkv, const float *out,
              const float *lse, const float *cos, const float *sin, struct attn_shape s);

#endif
