/*
 * base/attr.h - names for the compiler attributes we use; the only place that spells them out.
 */
#ifndef MIXLAW_BASE_ATTR_H
#define MIXLAW_BASE_ATTR_H

#define MUST_USE __attribute__((warn_unused_result))
#define PRINTF_LIKE(fmt, args) __attribute__((format(printf, fmt, args)))
#define NORETURN __attribute__((noreturn))
#define UNUSED __attribute__((unused))
#define ALWAYS_INLINE inline __attribute__((always_inline))

/* Before a loop with a constant bound: unrolled before the compiler decides which arrays live in
 * registers. */
#if defined(__clang__)
#define UNROLLED _Pragma("unroll")
#else
#define UNROLLED _Pragma("GCC unroll 16")
#endif

/* Before a function with loops that compilers turn into vectors: made twice, and the processor's
 * one is called. */
#if defined(__x86_64__) && defined(__GLIBC__) && !defined(__clang__) /* clang 14 cannot link it */
#define WIDE_TOO __attribute__((target_clones("avx2", "default")))
#else
#define WIDE_TOO
#endif

/* Asks for the cache line at an address that will be read soon. */
#define PREFETCH(address) __builtin_prefetch(address)
#define PREFETCH_L2(address) __builtin_prefetch(address, 0, 2) /* needed a little later */

#define N_OF(array) (sizeof(array) / sizeof *(array))

#endif
