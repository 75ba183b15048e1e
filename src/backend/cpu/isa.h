/*
 * backend/cpu/isa.h - which kernels this processor runs; nothing is used before it passed a
 * self-test.
 *
 *     name         fp32 kernels   products in bf16
 *     plain        plain C        plain C, for tests
 *     avx2         AVX2           by fp32 multiply-adds
 *     avx512       AVX-512        by fp32 multiply-adds
 *     avx512bf16   AVX-512        VDPBF16PS
 *     amx          AVX-512        AMX tiles
 *
 * The same processor chooses the same kernels in every run: a choice by measurement is only made
 * between alternatives that are far apart (GAIN_MIN in isa.c).
 */
#ifndef MIXLAW_BACKEND_CPU_ISA_H
#define MIXLAW_BACKEND_CPU_ISA_H

#include <stdbool.h>

#include "backend/backend.h"
#include "backend/cpu/kernels.h"
#include "backend/cpu/kernels_bf16.h"
#include "base/err.h"

struct isa {
    const char *name;
    const struct kernels *k;
    const struct bf16_kernels *b;
    bool bf16_instruction; /* b has one: it may be faster than fp32 */
};

/* Kernels and precision for what is asked in *p. Of fp32 kernels the fastest that the processor has
 * and that agree with plain C. For PRECISION_AUTO bf16 where its tiles, timed for about 2 ms, beat
 * fp32's by GAIN_MIN: so on Zen 4 and with AMX, not on Intel's AVX512-BF16; *p becomes fp32 or
 * bf16. MIXLAW_ISA in the environment forces a row, and with PRECISION_AUTO bf16 where the row has
 * an instruction for it: ST_UNSUPPORTED when the row cannot run here, ST_USAGE for another word. */
MUST_USE enum st isa_choose(const struct isa **out, enum precision *p, struct err *err);

/* Compares small products of a precision, and element-wise kernels, with plain loops. */
MUST_USE enum st isa_check(const struct isa *isa, enum precision p, struct err *err);

/* The row by name when it can run here, or NULL. For tests. */
const struct isa *isa_find(const char *name);

#endif
