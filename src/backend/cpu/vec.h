/*
 * backend/cpu/vec.h - one vocabulary for vectors of floats: AVX-512, AVX2 or plain C.
 *
 * Which one follows from the flags the including file is compiled with. Only kernels_*.c,
 * decode_*.c and quant_*.c include it, through their bodies, and only after the processor was asked
 * (features.h) may they be called. The sum of a vector's lanes is taken in a fixed order, so each
 * variant is deterministic by itself.
 */
#ifndef MIXLAW_BACKEND_CPU_VEC_H
#define MIXLAW_BACKEND_CPU_VEC_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__AVX512F__) && defined(__AVX2__)

#include <immintrin.h>
enum { VW = 16 };
typedef __m512 vf;

static inline vf v_load(const float *p)
{
    return _mm512_loadu_ps(p);
}
static inline void v_store(float *p, vf a)
{
    _mm512_storeu_ps(p, a);
}
static inline vf v_load_n(const float *p, int n) /* n of 0..VW lanes, the rest 0 */
{
    return _mm512_maskz_loadu_ps((__mmask16)((1u << n) - 1), p);
}
static inline void v_store_n(float *p, vf a, int n)
{
    _mm512_mask_storeu_ps(p, (__mmask16)((1u << n) - 1), a);
}
static inline vf v_set1(float x)
{
    return _mm512_set1_ps(x);
}
static inline vf v_add(vf a, vf b)
{
    return _mm512_add_ps(a, b);
}
static inline vf v_sub(vf a, vf b)
{
    return _mm512_sub_ps(a, b);
}
static inline vf v_mul(vf a, vf b)
{
    return _mm512_mul_ps(a, b);
}
static inline vf v_div(vf a, vf b)
{
    return _mm512_div_ps(a, b);
}
static inline vf v_fma(vf a, vf b, vf c) /* a * b + c */
{
    return _mm512_fmadd_ps(a, b, c);
}
static inline vf v_sqrt(vf a)
{
    return _mm512_sqrt_ps(a);
}
static inline vf v_max(vf a, vf b) /* b where either is NaN */
{
    return _mm512_max_ps(a, b);
}
static inline vf v_min(vf a, vf b)
{
    return _mm512_min_ps(a, b);
}
static inline vf v_round(vf a)
{
    return _mm512_roundscale_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
static inline vf v_pow2(vf n) /* 2^n for whole n in -126..127 */
{
    __m512i i = _mm512_add_epi32(_mm512_cvtps_epi32(n), _mm512_set1_epi32(127));
    return _mm512_castsi512_ps(_mm512_slli_epi32(i, 23));
}

#elif defined(__AVX2__) && defined(__FMA__)

#include <immintrin.h>
enum { VW = 8 };
typedef __m256 vf;

static inline vf v_load(const float *p)
{
    return _mm256_loadu_ps(p);
}
static inline void v_store(float *p, vf a)
{
    _mm256_storeu_ps(p, a);
}
static inline __m256i v_mask(int n)
{
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
static inline vf v_load_n(const float *p, int n)
{
    return _mm256_maskload_ps(p, v_mask(n));
}
static inline void v_store_n(float *p, vf a, int n)
{
    _mm256_maskstore_ps(p, v_mask(n), a);
}
static inline vf v_set1(float x)
{
    return _mm256_set1_ps(x);
}
static inline vf v_add(vf a, vf b)
{
    return _mm256_add_ps(a, b);
}
static inline vf v_sub(vf a, vf b)
{
    return _mm256_sub_ps(a, b);
}
static inline vf v_mul(vf a, vf b)
{
    return _mm256_mul_ps(a, b);
}
static inline vf v_div(vf a, vf b)
{
    return _mm256_div_ps(a, b);
}
static inline vf v_fma(vf a, vf b, vf c)
{
    return _mm256_fmadd_ps(a, b, c);
}
static inline vf v_sqrt(vf a)
{
    return _mm256_sqrt_ps(a);
}
static inline vf v_max(vf a, vf b)
{
    return _mm256_max_ps(a, b);
}
static inline vf v_min(vf a, vf b)
{
    return _mm256_min_ps(a, b);
}
static inline vf v_round(vf a)
{
    return _mm256_round_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
static inline vf v_pow2(vf n)
{
    __m256i i = _mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127));
    return _mm256_castsi256_ps(_mm256_slli_epi32(i, 23));
}

#else

enum { VW = 4 };
typedef struct {
    float f[VW];
} vf;

#define V_EACH(expr)                                                                               \
    vf r;                                                                                          \
    for (int i = 0; i < VW; i++)                                                                   \
        r.f[i] = (expr);                                                                           \
    return r

static inline vf v_load(const float *p)
{
    V_EACH(p[i]);
}
static inline void v_store(float *p, vf a)
{
    for (int i = 0; i < VW; i++)
        p[i] = a.f[i];
}
static inline vf v_load_n(const float *p, int n)
{
    V_EACH(i < n ? p[i] : 0);
}
static inline void v_store_n(float *p, vf a, int n)
{
    for (int i = 0; i < n; i++)
        p[i] = a.f[i];
}
static inline vf v_set1(float x)
{
    V_EACH(x);
}
static inline vf v_add(vf a, vf b)
{
    V_EACH(a.f[i] + b.f[i]);
}
static inline vf v_sub(vf a, vf b)
{
    V_EACH(a.f[i] - b.f[i]);
}
static inline vf v_mul(vf a, vf b)
{
    V_EACH(a.f[i] * b.f[i]);
}
static inline vf v_div(vf a, vf b)
{
    V_EACH(a.f[i] / b.f[i]);
}
static inline vf v_fma(vf a, vf b, vf c) /* two roundings: fmaf is a slow call on old processors */
{
    V_EACH(a.f[i] * b.f[i] + c.f[i]);
}
static inline vf v_sqrt(vf a)
{
    V_EACH(sqrtf(a.f[i]));
}
static inline vf v_max(vf a, vf b)
{
    V_EACH(a.f[i] > b.f[i] ? a.f[i] : b.f[i]);
}
static inline vf v_min(vf a, vf b)
{
    V_EACH(a.f[i] < b.f[i] ? a.f[i] : b.f[i]);
}
static inline vf v_round(vf a)
{
    V_EACH(rintf(a.f[i]));
}
static inline float f_pow2(float n)
{
    if (!(n >= -126 && n <= 127))
        return n; /* NaN; others cannot come */
    uint32_t u = (uint32_t)((int)n + 127) << 23;
    float f;
    memcpy(&f, &u, sizeof f);
    return f;
}
static inline vf v_pow2(vf n)
{
    V_EACH(f_pow2(n.f[i]));
}

#endif

/* dst[j * ld_dst + i] = src[i * ld + j] for BLOCK x BLOCK words of four bytes, floats or not. */
enum { BLOCK = 8 };
#if defined(__AVX2__)
static inline void transpose_block(void *dst, size_t ld_dst, const void *src, size_t ld)
{
    float *to = dst;
    const float *from = src;
    __m256 r[8], t[8];
    for (int i = 0; i < 8; i++)
        r[i] = _mm256_loadu_ps(from + (size_t)i * ld);
    for (int i = 0; i < 8; i += 2) {
        t[i] = _mm256_unpacklo_ps(r[i], r[i + 1]);
        t[i + 1] = _mm256_unpackhi_ps(r[i], r[i + 1]);
    }
    for (int i = 0; i < 8; i += 4) {
        r[i] = _mm256_shuffle_ps(t[i], t[i + 2], 0x44);
        r[i + 1] = _mm256_shuffle_ps(t[i], t[i + 2], 0xee);
        r[i + 2] = _mm256_shuffle_ps(t[i + 1], t[i + 3], 0x44);
        r[i + 3] = _mm256_shuffle_ps(t[i + 1], t[i + 3], 0xee);
    }
    for (int i = 0; i < 4; i++) {
        _mm256_storeu_ps(to + (size_t)i * ld_dst, _mm256_permute2f128_ps(r[i], r[i + 4], 0x20));
        _mm256_storeu_ps(to + (size_t)(i + 4) * ld_dst,
                         _mm256_permute2f128_ps(r[i], r[i + 4], 0x31));
    }
}
#else
static inline void transpose_block(void *dst, size_t ld_dst, const void *src, size_t ld)
{
    char *to = dst;
    const char *from = src;
    for (size_t i = 0; i < BLOCK; i++)
        for (size_t j = 0; j < BLOCK; j++)
            memcpy(to + 4 * (j * ld_dst + i), from + 4 * (i * ld + j), 4);
}
#endif

/* Lanes are added as a tree: halves first. */
static inline float v_sum(vf a)
{
    float t[VW];
    v_store(t, a);
    for (int w = VW / 2; w > 0; w /= 2)
        for (int i = 0; i < w; i++)
            t[i] += t[i + w];
    return t[0];
}

static inline float v_hmax(vf a)
{
    float t[VW];
    v_store(t, a);
    float m = t[0];
    for (int i = 1; i < VW; i++)
        m = t[i] > m ? t[i] : m;
    return m;
}

/*
 * e^x to about 1 ulp for -87.3 <= x <= 88; below and above it stays at the ends, NaN stays NaN.
 * x = n ln 2 + r with |r| <= ln 2 / 2, the polynomial is the Taylor series to r^7.
 */
static inline vf v_exp(vf x)
{
    x = v_max(v_set1(-87.3f), v_min(v_set1(88.0f), x)); /* NaN is kept: it is the second operand */
    vf n = v_round(v_mul(x, v_set1(1.44269504f)));
    vf r = v_fma(n, v_set1(-0.693359375f), x);
    r = v_fma(n, v_set1(2.12194440e-4f), r);
    vf p = v_set1(1.0f / 5040);
    p = v_fma(p, r, v_set1(1.0f / 720));
    p = v_fma(p, r, v_set1(1.0f / 120));
    p = v_fma(p, r, v_set1(1.0f / 24));
    p = v_fma(p, r, v_set1(1.0f / 6));
    p = v_fma(p, r, v_set1(0.5f));
    p = v_fma(p, v_mul(r, r), v_add(r, v_set1(1.0f)));
    return v_mul(p, v_pow2(n));
}

#endif
