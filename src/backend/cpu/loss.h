/* backend/cpu/loss.h - the head and its loss, in chunks of rows: logits are never stored whole. */
#ifndef MIXLAW_BACKEND_CPU_LOSS_H
#define MIXLAW_BACKEND_CPU_LOSS_H

#include <stdint.h>

#include "backend/cpu/gemm.h"

/* head: panels of w [vocab, d]; head_t: of its transpose, with dh [n, d] and dw [vocab, d] for
 * gradients of scale * sum of (losses + z_loss * lse^2), or all three NULL. */
void head_loss(struct cpu *c, float *losses, float *dh, float *dw, const float *h, int n,
               const struct packed *head, const struct packed *head_t, const uint32_t *target,
               float scale, float z_loss);

#endif
