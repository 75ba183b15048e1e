/* tests/emulate/features.c - a processor that has everything, as the emulated kernels run on it. */
#include "backend/cpu/features.h"

bool cpu_has(enum feature f)
{
    return f == FEATURE_NONE || __builtin_cpu_supports("avx2");
}
