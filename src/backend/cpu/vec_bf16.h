/*
 * backend/cpu/vec_bf16.h - vectors of bfloat16 pairs beside vec.h's vectors of floats.
 *
 * A vp has VW pairs. Only kernels_bf16_*.c include it, through their bodies.
 */
#ifndef MIXLAW_BACKEND_CPU_VEC_BF16_H
#define MIXLAW_BACKEND_CPU_VEC_BF16_H

#include "backend/cpu/vec.h"

#if defined(__AVX512BF16__) && defined(__AVX512F__)

typedef __m512i vp;

static inline vp vp_load(const uint32_t *p)
{
    return _mm512_loadu_si512(p);
}
static inline void vp_store(uint32_t *p, vp a)
{
    _mm512_storeu_si512(p, a);
}
static inline vp vp_set1(uint32_t pair)
{
    return _mm512_set1_epi32((int)pair);
}
static inline vf v_dot(vf sum, vp a, vp b) /* sum + a's odd * b's odd + a's even * b's even */
{
    return _mm512_dpbf16_ps(sum, (__m512bh)a, (__m512bh)b);
}
static inline vp vp_join(vf even, vf odd) /* pair i of even[i], odd[i] */
{
    const __m512i order =
        _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8, 23, 7, 22, 6,
                         21, 5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
    return _mm512_permutexvar_epi16(order, (__m512i)_mm512_cvtne2ps_pbh(odd, even));
}
static inline vp vp_line(const float *p) /* pair i of p[2 i], p[2 i + 1] */
{
    return (__m512i)_mm512_cvtne2ps_pbh(v_load(p + VW), v_load(p));
}

#elif defined(__AVX2__) && defined(__FMA__)

typedef __m256i vp;

static inline vp vp_load(const uint32_t *p)
{
    return _mm256_loadu_si256((const __m256i *)p);
}
static inline void vp_store(uint32_t *p, vp a)
{
    _mm256_storeu_si256((__m256i *)p, a);
}
static inline vp vp_set1(uint32_t pair)
{
    return _mm256_set1_epi32((int)pair);
}
static inline vf vp_even(vp a)
{
    return _mm256_castsi256_ps(_mm256_slli_epi32(a, 16));
}
static inline vf vp_odd(vp a)
{
    return _mm256_castsi256_ps(_mm256_and_si256(a, _mm256_set1_epi32((int)0xffff0000u)));
}
static inline vf v_dot(vf sum, vp a, vp b)
{
    return v_fma(vp_even(a), vp_even(b), v_fma(vp_odd(a), vp_odd(b), sum));
}
/* The upper half of each lane is the nearest bfloat16; NaN becomes quiet, as its lower bits get
 * lost. */
static inline __m256i round_lanes(vf a)
{
    __m256i i = _mm256_castps_si256(a);
    __m256i odd = _mm256_and_si256(_mm256_srli_epi32(i, 16), _mm256_set1_epi32(1));
    __m256i r = _mm256_add_epi32(i, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7fff)));
    __m256i quiet = _mm256_or_si256(i, _mm256_set1_epi32(0x400000));
    __m256 nan = _mm256_cmp_ps(a, a, _CMP_UNORD_Q);
    return _mm256_castps_si256(
        _mm256_blendv_ps(_mm256_castsi256_ps(r), _mm256_castsi256_ps(quiet), nan));
}
static inline vp vp_join(vf even, vf odd)
{
    __m256i high = _mm256_and_si256(round_lanes(odd), _mm256_set1_epi32((int)0xffff0000u));
    return _mm256_or_si256(_mm256_srli_epi32(round_lanes(even), 16), high);
}
static inline vp vp_line(const float *p)
{
    vf a = v_load(p), b = v_load(p + VW); /* shuffles work within halves: put them in order after */
    vp r = vp_join(_mm256_shuffle_ps(a, b, 0x88), _mm256_shuffle_ps(a, b, 0xdd));
    return _mm256_permute4x64_epi64(r, 0xd8);
}

#else

typedef struct {
    uint32_t u[VW];
} vp;

static inline vp vp_load(const uint32_t *p)
{
    vp r;
    memcpy(r.u, p, sizeof r.u);
    return r;
}
static inline void vp_store(uint32_t *p, vp a)
{
    memcpy(p, a.u, sizeof a.u);
}
static inline vp vp_set1(uint32_t pair)
{
    vp r;
    for (int i = 0; i < VW; i++)
        r.u[i] = pair;
    return r;
}
static inline vf vp_even(vp a)
{
    vf r;
    for (int i = 0; i < VW; i++)
        a.u[i] <<= 16;
    memcpy(r.f, a.u, sizeof r.f);
    return r;
}
static inline vf vp_odd(vp a)
{
    vf r;
    for (int i = 0; i < VW; i++)
        a.u[i] &= 0xffff0000u;
    memcpy(r.f, a.u, sizeof r.f);
    return r;
}
static inline vf v_dot(vf sum, vp a, vp b)
{
    return v_fma(vp_even(a), vp_even(b), v_fma(vp_odd(a), vp_odd(b), sum));
}
static inline uint32_t round_bits(float x)
{
    uint32_t u;
    memcpy(&u, &x, sizeof u);
    return x != x ? u | 0x400000 : u + 0x7fff + (u >> 16 & 1);
}
static inline vp vp_join(vf even, vf odd)
{
    vp r;
    for (int i = 0; i < VW; i++)
        r.u[i] = round_bits(even.f[i]) >> 16 | (round_bits(odd.f[i]) & 0xffff0000u);
    return r;
}
static inline vp vp_line(const float *p)
{
    vf even, odd;
    for (int i = 0; i < VW; i++) {
        even.f[i] = p[2 * i];
        odd.f[i] = p[2 * i + 1];
    }
    return vp_join(even, odd);
}

#endif
#endif
