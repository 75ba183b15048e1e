/*
 * backend/cpu/vec_int.h - vectors of whole numbers of 8, 16 and 32 bits beside vec.h's vectors of
 * floats.
 *
 * A vi has 4 * VW bytes; what they are looked at as stands in each function's name. Only quant_*.c
 * and decode_*.c include it, through their bodies.
 */
#ifndef MIXLAW_BACKEND_CPU_VEC_INT_H
#define MIXLAW_BACKEND_CPU_VEC_INT_H

#include "backend/cpu/vec.h"
#include "base/attr.h"

#if defined(__AVX512F__) && defined(__AVX512BW__)
typedef __m512i vi;
static inline vi vi_load(const void *p)
{
    return _mm512_loadu_si512(p);
}
static inline void vi_store(void *p, vi a)
{
    _mm512_storeu_si512(p, a);
}
static inline vi vi_zero(void)
{
    return _mm512_setzero_si512();
}
static inline vi vi_four(const void *p) /* the same four bytes in every lane */
{
    int32_t x;
    memcpy(&x, p, sizeof x);
    return _mm512_set1_epi32(x);
}
static inline vi vi_low4(vi a)
{
    return _mm512_and_si512(a, _mm512_set1_epi8(15));
}
static inline vi vi_high4(vi a)
{
    return _mm512_and_si512(_mm512_srli_epi16(a, 4), _mm512_set1_epi8(15));
}
static inline vi vi_even(vi a) /* bytes 0, 2, 4 ... as 16-bit numbers */
{
    return _mm512_srai_epi16(_mm512_slli_epi16(a, 8), 8);
}
static inline vi vi_odd(vi a)
{
    return _mm512_srai_epi16(a, 8);
}
static inline vi vi_mul_pairs8(vi a, vi b) /* 16 bits: a0 b0 + a1 b1, a without and b with sign */
{
    return _mm512_maddubs_epi16(a, b);
}
static inline vi vi_mul_pairs16(vi a, vi b) /* 32 bits: a0 b0 + a1 b1 */
{
    return _mm512_madd_epi16(a, b);
}
static inline vi vi_add16(vi a, vi b)
{
    return _mm512_add_epi16(a, b);
}
static inline vi vi_add32(vi a, vi b)
{
    return _mm512_add_epi32(a, b);
}
static inline vi vi_pairs16(vi a) /* 32 bits: a0 + a1 */
{
    return _mm512_madd_epi16(a, _mm512_set1_epi16(1));
}
static inline vf vi_to_float(vi a)
{
    return _mm512_cvtepi32_ps(a);
}
static inline float v_top(vf a) /* the largest lane */
{
    return v_hmax(a);
}
static inline float v_total(vf a) /* the sum of lanes, exact for whole numbers */
{
    return v_sum(a);
}
static inline void vi_pin(vi *a, vi *b) /* 32 registers are enough for any order */
{
    (void)a, (void)b;
}
static inline void v_store_8(int8_t *p, vf a) /* whole numbers of that size */
{
    _mm_storeu_si128((__m128i *)p, _mm512_cvtsepi32_epi8(_mm512_cvtps_epi32(a)));
}
static inline void v_store_16(int16_t *p, vf a) /* each four as 0 2 1 3 */
{
    __m512i order = _mm512_setr_epi32(0, 2, 1, 3, 4, 6, 5, 7, 8, 10, 9, 11, 12, 14, 13, 15);
    __m512i i = _mm512_permutexvar_epi32(order, _mm512_cvtps_epi32(a));
    _mm256_storeu_si256((__m256i *)p, _mm512_cvtsepi32_epi16(i));
}

#elif defined(__AVX2__)
typedef __m256i vi;
static inline vi vi_load(const void *p)
{
    return _mm256_loadu_si256((const __m256i *)p);
}
static inline void vi_store(void *p, vi a)
{
    _mm256_storeu_si256((__m256i *)p, a);
}
static inline vi vi_zero(void)
{
    return _mm256_setzero_si256();
}
static inline vi vi_four(const void *p)
{
    int32_t x;
    memcpy(&x, p, sizeof x);
    return _mm256_set1_epi32(x);
}
static inline vi vi_low4(vi a)
{
    return _mm256_and_si256(a, _mm256_set1_epi8(15));
}
static inline vi vi_high4(vi a)
{
    return _mm256_and_si256(_mm256_srli_epi16(a, 4), _mm256_set1_epi8(15));
}
static inline vi vi_even(vi a)
{
    return _mm256_srai_epi16(_mm256_slli_epi16(a, 8), 8);
}
static inline vi vi_odd(vi a)
{
    return _mm256_srai_epi16(a, 8);
}
static inline vi vi_mul_pairs8(vi a, vi b)
{
    return _mm256_maddubs_epi16(a, b);
}
static inline vi vi_mul_pairs16(vi a, vi b)
{
    return _mm256_madd_epi16(a, b);
}
static inline vi vi_add16(vi a, vi b)
{
    return _mm256_add_epi16(a, b);
}
static inline vi vi_add32(vi a, vi b)
{
    return _mm256_add_epi32(a, b);
}
static inline vi vi_pairs16(vi a)
{
    return _mm256_madd_epi16(a, _mm256_set1_epi16(1));
}
static inline vf vi_to_float(vi a)
{
    return _mm256_cvtepi32_ps(a);
}
static inline float v_top(vf a)
{
    __m128 m = _mm_max_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    m = _mm_max_ps(m, _mm_movehl_ps(m, m));
    return _mm_cvtss_f32(_mm_max_ss(m, _mm_movehdup_ps(m)));
}
static inline float v_total(vf a) /* of whole numbers: any order */
{
    __m128 m = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    m = _mm_add_ps(m, _mm_movehl_ps(m, m));
    return _mm_cvtss_f32(_mm_add_ss(m, _mm_movehdup_ps(m)));
}
static ALWAYS_INLINE void vi_pin(vi *a, vi *b) /* row after row: or gcc runs out of registers */
{
    __asm__ volatile("" : "+x"(*a), "+x"(*b));
}
static inline __m128i narrow(vf a)
{
    __m256i i = _mm256_cvtps_epi32(a);
    return _mm_packs_epi32(_mm256_castsi256_si128(i), _mm256_extracti128_si256(i, 1));
}
static inline void v_store_8(int8_t *p, vf a)
{
    __m128i i = narrow(a);
    _mm_storel_epi64((__m128i *)p, _mm_packs_epi16(i, i));
}
static inline void v_store_16(int16_t *p, vf a)
{
    __m128i order = _mm_setr_epi8(0, 1, 4, 5, 2, 3, 6, 7, 8, 9, 12, 13, 10, 11, 14, 15);
    _mm_storeu_si128((__m128i *)p, _mm_shuffle_epi8(narrow(a), order));
}

#else
typedef struct {
    int8_t b[4 * VW];
} vi; /* looked at as bytes, pairs of bytes or fours: through memcpy */
struct halves {
    int16_t h[2 * VW];
};
struct words {
    int32_t w[VW];
};
static inline struct halves as_halves(vi a)
{
    struct halves r;
    memcpy(&r, &a, sizeof r);
    return r;
}
static inline struct words as_words(vi a)
{
    struct words r;
    memcpy(&r, &a, sizeof r);
    return r;
}
static inline vi from(const void *p)
{
    vi r;
    memcpy(&r, p, sizeof r);
    return r;
}
static inline vi vi_load(const void *p)
{
    return from(p);
}
static inline void vi_store(void *p, vi a)
{
    memcpy(p, &a, sizeof a);
}
static inline vi vi_zero(void)
{
    return (vi){ { 0 } };
}
static inline vi vi_four(const void *p)
{
    vi r;
    for (int i = 0; i < VW; i++)
        memcpy(r.b + 4 * i, p, 4);
    return r;
}
static inline vi vi_low4(vi a)
{
    for (int i = 0; i < 4 * VW; i++)
        a.b[i] &= 15;
    return a;
}
static inline vi vi_high4(vi a)
{
    for (int i = 0; i < 4 * VW; i++)
        a.b[i] = (int8_t)((uint8_t)a.b[i] >> 4);
    return a;
}
static inline vi vi_even(vi a)
{
    struct halves r;
    for (int i = 0; i < 2 * VW; i++)
        r.h[i] = a.b[2 * i];
    return from(&r);
}
static inline vi vi_odd(vi a)
{
    struct halves r;
    for (int i = 0; i < 2 * VW; i++)
        r.h[i] = a.b[2 * i + 1];
    return from(&r);
}
static inline vi vi_mul_pairs8(vi a, vi b)
{
    struct halves r;
    for (int i = 0; i < 2 * VW; i++)
        r.h[i] =
            (int16_t)((uint8_t)a.b[2 * i] * b.b[2 * i] + (uint8_t)a.b[2 * i + 1] * b.b[2 * i + 1]);
    return from(&r);
}
static inline vi vi_mul_pairs16(vi a, vi b)
{
    struct halves x = as_halves(a), y = as_halves(b);
    struct words r;
    for (int i = 0; i < VW; i++)
        r.w[i] = x.h[2 * i] * y.h[2 * i] + x.h[2 * i + 1] * y.h[2 * i + 1];
    return from(&r);
}
static inline vi vi_add16(vi a, vi b)
{
    struct halves x = as_halves(a), y = as_halves(b);
    for (int i = 0; i < 2 * VW; i++)
        x.h[i] = (int16_t)(x.h[i] + y.h[i]);
    return from(&x);
}
static inline vi vi_add32(vi a, vi b)
{
    struct words x = as_words(a), y = as_words(b);
    for (int i = 0; i < VW; i++)
        x.w[i] += y.w[i];
    return from(&x);
}
static inline vi vi_pairs16(vi a)
{
    struct halves x = as_halves(a);
    struct words r;
    for (int i = 0; i < VW; i++)
        r.w[i] = x.h[2 * i] + x.h[2 * i + 1];
    return from(&r);
}
static inline vf vi_to_float(vi a)
{
    struct words x = as_words(a);
    V_EACH((float)x.w[i]);
}
static inline float v_top(vf a)
{
    return v_hmax(a);
}
static inline float v_total(vf a)
{
    return v_sum(a);
}
static inline void vi_pin(vi *a, vi *b)
{
    (void)a, (void)b;
}
static inline void v_store_8(int8_t *p, vf a)
{
    for (int i = 0; i < VW; i++)
        p[i] = (int8_t)(a.f[i] == a.f[i] ? a.f[i] : 0);
}
static inline void v_store_16(int16_t *p, vf a)
{
    static const int order[VW] = { 0, 2, 1, 3 };
    for (int i = 0; i < VW; i++) {
        float x = a.f[order[i]];
        p[i] = (int16_t)(x == x ? x : 0);
    }
}
#endif

#endif
