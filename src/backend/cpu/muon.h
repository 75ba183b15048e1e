/* backend/cpu/muon.h - Muon's step on one matrix: momentum, Newton-Schulz, update. See backend.h.
 */
#ifndef MIXLAW_BACKEND_CPU_MUON_H
#define MIXLAW_BACKEND_CPU_MUON_H

#include "backend/cpu/gemm.h"

/* p, g, m [rows, cols]; norm: of all gradients, for clipping. */
void muon_update(struct cpu *c, float *p, float *g, float *m, size_t rows, size_t cols, double norm,
                 const struct muon_step *s);

#endif
