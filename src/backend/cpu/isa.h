/* backend/cpu/isa.h - which kernels this processor runs; nothing is used before it passed a self-test. */
#ifndef MIXLAW_BACKEND_CPU_ISA_H
#define MIXLAW_BACKEND_CPU_ISA_H

#include "backend/cpu/kernels.h"
#include "base/err.h"

/* The fastest family that the processor has and whose self-test agrees with plain C. MIXLAW_ISA=plain, avx2
 * or avx512 in the environment forces one: ST_UNSUPPORTED when it cannot run, ST_USAGE for another word. */
MUST_USE enum st isa_choose(const struct kernels **out, struct err *err);

/* Compares small products and element-wise kernels with plain loops. */
MUST_USE enum st isa_check(const struct kernels *k, struct err *err);

/* The family by name when it can run here, or NULL. For tests. */
const struct kernels *isa_find(const char *name);

#endif
