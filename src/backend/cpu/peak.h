/*
 * backend/cpu/peak.h - how fast this processor multiplies: what a share of the peak is a share of,
 * and whether bf16 is worth its digits.
 *
 * The peak of a precision is the rate of multiply-adds whose operands stay in registers, the best
 * of several slices of time on each thread, summed over threads. A multiply-add counts two FLOP.
 */
#ifndef MIXLAW_BACKEND_CPU_PEAK_H
#define MIXLAW_BACKEND_CPU_PEAK_H

#include "backend/cpu/gemm.h"
#include "backend/cpu/isa.h"

/* Measured now, in about 5 ms a precision. Threads beyond the processors that the process may use
 * add nothing. */
void peak_measure(struct cpu *c, struct backend_peak *out);

/* Rate of the row's bf16 tiles over that of its fp32 tiles, operands in the first-level cache, one
 * thread; about 2 ms. */
double peak_bf16_gain(const struct isa *isa);

#endif
