/* backend/cpu/features.c - see features.h. Leaves and bits: Intel SDM volume 2, CPUID; volume
 * 1, 18.3. */
#define _GNU_SOURCE /* syscall */
#include "backend/cpu/features.h"

#if defined(__x86_64__)
#include <cpuid.h>
#include <stdint.h>
#if defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif

struct leaf {
    unsigned a, b, c, d;
};

static struct leaf leaf(unsigned n, unsigned sub)
{
    struct leaf l = { 0, 0, 0, 0 };
    if (__get_cpuid_count(n, sub, &l.a, &l.b, &l.c, &l.d) == 0)
        return (struct leaf){ 0, 0, 0, 0 };
    return l;
}

static bool has_avx2(void)
{
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}

static bool has_avx512(void)
{
    return has_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
}

static bool has_avx512bf16(void)
{
    return has_avx512() && (leaf(7, 1).a >> 5 & 1) != 0;
}

/* The system switches tile registers with the process: XCR0 bits 17 and 18. */
static bool tiles_saved(void)
{
    uint32_t lo, hi;
    if ((leaf(1, 0).c >> 27 & 1) == 0) /* OSXSAVE: xgetbv may be used */
        return false;
    __asm__ volatile("xgetbv" : "=a"(lo), "=d"(hi) : "c"(0));
    return (lo >> 17 & 3) == 3;
}

static bool tiles_permitted(void)
{
#if defined(__linux__)
    enum { ARCH_REQ_XCOMP_PERM = 0x1023, XFEATURE_XTILEDATA = 18 };
    return syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA) == 0;
#else
    return false;
#endif
}

static bool has_amx(void)
{
    unsigned d = leaf(7, 0).d;
    bool bf16 = (d >> 22 & 1) != 0, tile = (d >> 24 & 1) != 0;
    return bf16 && tile && has_avx512bf16() && tiles_saved() && tiles_permitted();
}

bool cpu_has(enum feature f)
{
    switch (f) {
    case FEATURE_NONE:
        return true;
    case FEATURE_AVX2:
        return has_avx2();
    case FEATURE_F16C: /* asked by number: clang 14 has no name for it */
        return has_avx2() && (leaf(1, 0).c >> 29 & 1) != 0;
    case FEATURE_AVX512:
        return has_avx512();
    case FEATURE_AVX512BF16:
        return has_avx512bf16();
    case FEATURE_AMX:
        return has_amx();
    }
    return false;
}
#else
bool cpu_has(enum feature f)
{
    return f == FEATURE_NONE;
}
#endif
