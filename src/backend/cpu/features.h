/*
 * backend/cpu/features.h - what this processor has, asked of the processor itself.
 *
 * A feature counts when the operating system saves its registers too, and AMX when the kernel gave
 * this process permission: Linux wants to be asked (arch_prctl) before tile registers are touched.
 * All threads of the process share the answer.
 */
#ifndef MIXLAW_BACKEND_CPU_FEATURES_H
#define MIXLAW_BACKEND_CPU_FEATURES_H

#include <stdbool.h>

enum feature {
    FEATURE_NONE,       /* plain C: always there */
    FEATURE_AVX2,       /* with FMA */
    FEATURE_F16C,       /* conversion of half-precision floats */
    FEATURE_AVX512,     /* F, BW, DQ, VL */
    FEATURE_AVX512BF16, /* and AVX-512's dot products of bfloat16 pairs */
    FEATURE_AMX         /* and tiles with bfloat16 products; asks the kernel for permission */
};

bool cpu_has(enum feature f);

#endif
