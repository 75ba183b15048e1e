/*
 * tests/emulate/avx512.h - AVX-512 and AVX512-BF16 on processors that have AVX2 only, for tests.
 *
 * Included by the compiler before a kernel source (-include), so that the very lines that run on
 * such a processor run here: SIMDe gives each intrinsic by AVX2 or plain C, and what it lacks
 * stands below, from Intel's pseudo-code. After it the source sees the macros of a compiler that
 * targets AVX-512.
 */
#ifndef MIXLAW_TESTS_EMULATE_AVX512_H
#define MIXLAW_TESTS_EMULATE_AVX512_H

#include <immintrin.h>
#include <stdint.h>
#include <string.h>

#define SIMDE_ENABLE_NATIVE_ALIASES
#include <simde/x86/avx512.h>

#define __AVX512F__ 1
#define __AVX512BW__ 1
#define __AVX512BF16__ 1

static inline simde__m512 emulate_maskz_loadu_ps(uint16_t k, const void *p)
{
    float f[16];
    for (int i = 0; i < 16; i++) /* lanes masked out are not read */
        if (k >> i & 1)
            memcpy(&f[i], (const char *)p + 4 * i, sizeof f[i]);
        else
            f[i] = 0;
    return simde_mm512_loadu_ps(f);
}

static inline void emulate_mask_storeu_ps(void *p, uint16_t k, simde__m512 a)
{
    float f[16];
    simde_mm512_storeu_ps(f, a);
    for (int i = 0; i < 16; i++)
        if (k >> i & 1)
            memcpy((char *)p + 4 * i, &f[i], sizeof f[i]);
}

static inline simde__m512 emulate_cvtph_ps(__m256i a)
{
    float f[16];
    _mm256_storeu_ps(f, _mm256_cvtph_ps(_mm256_castsi256_si128(a)));
    _mm256_storeu_ps(f + 8, _mm256_cvtph_ps(_mm256_extracti128_si256(a, 1)));
    return simde_mm512_loadu_ps(f);
}

#define emulate_cvtps_ph(a, rounding) emulate_cvtps_ph_nearest(a)
static inline __m256i emulate_cvtps_ph_nearest(simde__m512 a)
{
    float f[16];
    simde_mm512_storeu_ps(f, a);
    __m128i lo = _mm256_cvtps_ph(_mm256_loadu_ps(f), _MM_FROUND_TO_NEAREST_INT);
    __m128i hi = _mm256_cvtps_ph(_mm256_loadu_ps(f + 8), _MM_FROUND_TO_NEAREST_INT);
    return _mm256_inserti128_si256(_mm256_castsi128_si256(lo), hi, 1);
}

static inline simde__m512i emulate_cvtps_epi32(simde__m512 a)
{
    float f[16];
    int32_t n[16];
    simde_mm512_storeu_ps(f, a);
    for (int i = 0; i < 16; i += 8)
        _mm256_storeu_si256((__m256i *)(n + i), _mm256_cvtps_epi32(_mm256_loadu_ps(f + i)));
    return simde_mm512_loadu_si512(n);
}

static inline simde__m512 emulate_cvtepi32_ps(simde__m512i a)
{
    float f[16];
    int32_t n[16];
    simde_mm512_storeu_si512(n, a);
    for (int i = 0; i < 16; i++)
        f[i] = (float)n[i];
    return simde_mm512_loadu_ps(f);
}

static inline simde__m512i emulate_cvtepi8_epi32(__m128i a)
{
    int8_t from[16];
    int32_t to[16];
    _mm_storeu_si128((__m128i *)from, a);
    for (int i = 0; i < 16; i++)
        to[i] = from[i];
    return simde_mm512_loadu_si512(to);
}

#define _mm512_cvtepi8_epi32(a) emulate_cvtepi8_epi32(a)
#undef _mm512_cvtepi32_ps
#define _mm512_cvtepi32_ps(a) emulate_cvtepi32_ps(a)
#undef _mm512_maskz_loadu_ps
#undef _mm512_mask_storeu_ps
/* VCVTNE2PS2BF16: b's elements below, a's above; nearest even, NaN quiet, denormals are zero. */
static inline uint16_t emulate_bf16(float x)
{
    uint32_t u;
    memcpy(&u, &x, sizeof u);
    if ((u & 0x7f800000) == 0)
        return (uint16_t)(u >> 16 & 0x8000);
    if (x != x)
        return (uint16_t)(u >> 16 | 0x40);
    return (uint16_t)((u + 0x7fff + (u >> 16 & 1)) >> 16);
}

static inline simde__m512bh emulate_cvtne2ps_pbh(simde__m512 a, simde__m512 b)
{
    float f[32];
    uint16_t h[32];
    simde__m512bh r;
    simde_mm512_storeu_ps(f, b);
    simde_mm512_storeu_ps(f + 16, a);
    for (int i = 0; i < 32; i++)
        h[i] = emulate_bf16(f[i]);
    memcpy(&r, h, sizeof r);
    return r;
}

#undef _mm512_cvtne2ps_pbh
#define _mm512_cvtne2ps_pbh(a, b) emulate_cvtne2ps_pbh(a, b)
#undef _mm512_cvtps_epi32
#undef _mm512_cvtph_ps
#undef _mm512_cvtps_ph
#undef _mm512_madd_epi16 /* SIMDe's alias has the arguments of its masked sister */
#define _mm512_madd_epi16(a, b) simde_mm512_madd_epi16(a, b)
#define _mm512_maskz_loadu_ps(k, p) emulate_maskz_loadu_ps(k, p)
#define _mm512_mask_storeu_ps(p, k, a) emulate_mask_storeu_ps(p, k, a)
#define _mm512_cvtps_epi32(a) emulate_cvtps_epi32(a)
#define _mm512_cvtph_ps(a) emulate_cvtph_ps(a)
#define _mm512_cvtps_ph(a, rounding) emulate_cvtps_ph(a, rounding)

#endif
