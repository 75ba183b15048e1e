/*
 * backend/cpu/decode_attn.h - the cache's two forms, halves and bytes, and attention over them; the
 * part of decode_body.h that knows how a block is laid out (decode.h).
 *
 * Bytes become floats as they are read. A group's scale is not applied to them: it multiplies the
 * finished sums over the group's 32 dimensions (keys), or the weight of its position (values), once
 * for 32 multiply-adds.
 */
#ifndef MIXLAW_BACKEND_CPU_DECODE_ATTN_H
#define MIXLAW_BACKEND_CPU_DECODE_ATTN_H

#include "backend/cpu/decode.h"
#include "backend/cpu/vec_int.h"
#include "base/attr.h"
#include "base/half.h"

enum {
    ATTN_VECS = DECODE_BLOCK / VW, /* vectors a row of an attention tile */
    ATTN_ROWS = VW == 16 ? 6 : 3,
};

#if defined(__AVX512F__)
static inline vf v_load_f16(const uint16_t *p)
{
    return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)p));
}
static inline void v_store_f16(uint16_t *p, vf a)
{
    _mm256_storeu_si256((__m256i *)p, _mm512_cvtps_ph(a, _MM_FROUND_TO_NEAREST_INT));
}
static inline vf v_load_8(const uint8_t *p) /* bytes with sign */
{
    return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i *)p)));
}
#elif defined(__F16C__)
static inline vf v_load_f16(const uint16_t *p)
{
    return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)p));
}
static inline void v_store_f16(uint16_t *p, vf a)
{
    _mm_storeu_si128((__m128i *)p, _mm256_cvtps_ph(a, _MM_FROUND_TO_NEAREST_INT));
}
static inline vf v_load_8(const uint8_t *p)
{
    return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i *)p)));
}
#else
static inline vf v_load_f16(const uint16_t *p)
{
    V_EACH(float_from_f16(p[i]));
}
static inline void v_store_f16(uint16_t *p, vf a)
{
    for (int i = 0; i < VW; i++)
        p[i] = float_to_f16(a.f[i]);
}
static inline vf v_load_8(const uint8_t *p)
{
    V_EACH((float)(int8_t)p[i]);
}
#endif

/* ---- Writing. ---- */

static inline vf v_clamp(vf a, float most) /* NaN stays NaN */
{
    return v_min(v_set1(most), v_max(v_set1(-most), a));
}

static void to_f16(uint16_t *out, const float *x, int n)
{
    int i = 0;
    for (; i + VW <= n; i += VW)
        v_store_f16(out + i, v_clamp(v_load(x + i), 65504.0f));
    if (i < n) {
        uint16_t last[VW];
        v_store_f16(last, v_clamp(v_load_n(x + i, n - i), 65504.0f));
        memcpy(out + i, last, (size_t)(n - i) * sizeof *last);
    }
}

static void put_f16(uint8_t *at, int in_block, const float *key, const float *value, int d,
                    int d_pad)
{
    uint16_t *keys = (uint16_t *)at, *values = keys + (size_t)d_pad * DECODE_BLOCK;
    uint16_t half[DECODE_KV_GROUP];
    for (int g = 0; g < d; g += DECODE_KV_GROUP) {
        int n = d - g < DECODE_KV_GROUP ? d - g : DECODE_KV_GROUP;
        to_f16(half, key + g, n);
        for (int i = 0; i < n; i++)
            keys[(g + i) * DECODE_BLOCK + in_block] = half[i];
    }
    to_f16(values + (size_t)in_block * (size_t)d_pad, value, d);
}

/* A group as codes, with zeros after the n values there are; returns its scale, a half. It is
 * rounded before the codes are made from it, so that its rounding costs nothing. What is not a
 * number makes the scale none. */
static uint16_t round_group(int8_t *code, const float *x, int n)
{
    enum { VECS = DECODE_KV_GROUP / VW };
    vf v[VECS], top = v_set1(0), sum = v_set1(0);
    for (int i = 0; i < VECS; i++) {
        int left = n - i * VW;
        v[i] = left >= VW ? v_load(x + i * VW) : left > 0 ? v_load_n(x + i * VW, left) : v_set1(0);
        v[i] = v_clamp(v[i], 65504.0f);
        top = v_max(v_max(v[i], v_sub(v_set1(0), v[i])), top);
    }
    uint16_t half = float_to_f16(v_hmax(top) / 127);
    float scale = float_from_f16(half);
    vf inv = v_set1(scale > 0 ? 1 / scale : 0);
    for (int i = 0; i < VECS; i++) {
        vf rounded = v_clamp(v_round(v_mul(v[i], inv)), 127);
        sum = v_add(sum, rounded);
        v_store_8(code + i * VW, rounded);
    }
    float total = v_sum(sum); /* exact, or not a number */
    return total == total ? half : float_to_f16(total);
}

static void put_q8(uint8_t *at, int in_block, const float *key, const float *value, int d,
                   int d_pad)
{
    uint8_t *values = at + (size_t)d_pad * DECODE_BLOCK;
    uint16_t *key_scale = (uint16_t *)(values + (size_t)d_pad * DECODE_BLOCK);
    uint16_t *value_scale = key_scale + d_pad / DECODE_KV_GROUP * DECODE_BLOCK;
    for (int g = 0; g < d; g += DECODE_KV_GROUP) {
        int n = d - g < DECODE_KV_GROUP ? d - g : DECODE_KV_GROUP;
        int8_t code[DECODE_KV_GROUP];
        key_scale[g + in_block] = round_group(code, key + g, n);
        for (int i = 0; i < DECODE_KV_GROUP; i++)
            at[(g + i) * DECODE_BLOCK + in_block] = (uint8_t)code[i];
        value_scale[g + in_block] = round_group(code, value + g, n);
        memcpy(values + (size_t)in_block * (size_t)d_pad + g, code, sizeof code);
    }
}

/* ---- Reading. ---- */

struct attn {                  /* one call of attend() */
    int n_max, n_block, d_pad; /* n_max: positions that some query sees */
    const float *const *q;
    uint8_t *const *block;
    size_t offset;
    float *scores; /* [n_row][n_block * DECODE_BLOCK] */
};

/* Bytes from block b to the next, wherever it lies (modulo the size of memory); 0: none. */
static ALWAYS_INLINE uintptr_t attn_ahead(const struct attn *a, int b)
{
    return b + 1 < a->n_block ? (uintptr_t)a->block[b + 1] - (uintptr_t)a->block[b] : 0;
}

static ALWAYS_INLINE size_t attn_ld(const struct attn *a)
{
    return (size_t)a->n_block * DECODE_BLOCK;
}

static ALWAYS_INLINE void attn_zero(int n_row, vf acc[ATTN_ROWS][ATTN_VECS])
{
    for (int i = 0; i < n_row; i++)
        for (int j = 0; j < ATTN_VECS; j++)
            acc[i][j] = v_set1(0);
}

/* acc [n_row, 32] += a [n_row][n] b [n, 32], b in the cache with rows of ldb elements. The same
 * rows `ahead` bytes on, of the next block, are fetched meanwhile: blocks lie anywhere, and a
 * head's part of one is too short for the processor to guess what comes. */
static ALWAYS_INLINE void attn_tile(enum decode_kv kv, int n_row, int n, const float *const *a,
                                    const uint8_t *b, size_t ldb, uintptr_t ahead,
                                    vf acc[ATTN_ROWS][ATTN_VECS])
{
    size_t n_byte = kv == DECODE_KV_F16 ? 2 : 1;
    for (int k = 0; k < n; k++) {
        vf by[ATTN_ROWS]; /* before the vectors, which come one by one: else registers run out */
        PREFETCH((const void *)((uintptr_t)b + (size_t)k * ldb * n_byte + ahead));
#pragma GCC unroll 8
        for (int i = 0; i < n_row; i++)
            by[i] = v_set1(a[i][k]);
#pragma GCC unroll 8
        for (int j = 0; j < ATTN_VECS; j++) {
            size_t at = (size_t)k * ldb + (size_t)(j * VW);
            vf v = kv == DECODE_KV_F16 ? v_load_f16((const uint16_t *)b + at) : v_load_8(b + at);
#pragma GCC unroll 8
            for (int i = 0; i < n_row; i++)
                acc[i][j] = v_fma(by[i], v, acc[i][j]);
        }
    }
}

/* The scores of one block's positions. */
static ALWAYS_INLINE void scores_f16(const struct attn *a, int n_row, int b)
{
    vf acc[ATTN_ROWS][ATTN_VECS];
    attn_zero(n_row, acc);
    attn_tile(DECODE_KV_F16, n_row, a->d_pad, a->q, a->block[b] + a->offset, DECODE_BLOCK,
              attn_ahead(a, b), acc);
    for (int i = 0; i < n_row; i++)
        for (int j = 0; j < ATTN_VECS; j++)
            v_store(a->scores + (size_t)i * attn_ld(a) + (size_t)(b * DECODE_BLOCK + j * VW),
                    acc[i][j]);
}

static ALWAYS_INLINE void scores_q8(const struct attn *a, int n_row, int b)
{
    const uint8_t *keys = a->block[b] + a->offset;
    const uint16_t *scale = (const uint16_t *)(keys + (size_t)(2 * a->d_pad) * DECODE_BLOCK);
    for (int g = 0; g < a->d_pad; g += DECODE_KV_GROUP) {
        vf acc[ATTN_ROWS][ATTN_VECS];
        const float *q[ATTN_ROWS];
        for (int i = 0; i < n_row; i++)
            q[i] = a->q[i] + g;
        attn_zero(n_row, acc);
        attn_tile(DECODE_KV_Q8, n_row, DECODE_KV_GROUP, q, keys + (size_t)g * DECODE_BLOCK,
                  DECODE_BLOCK, attn_ahead(a, b), acc);
        for (int j = 0; j < ATTN_VECS; j++) {
            vf by = v_load_f16(scale + g + j * VW);
            for (int i = 0; i < n_row; i++) {
                float *s = a->scores + (size_t)i * attn_ld(a) + (size_t)(b * DECODE_BLOCK + j * VW);
                v_store(s, v_fma(acc[i][j], by, g == 0 ? v_set1(0) : v_load(s)));
            }
        }
    }
}

/* Turns one row of scores into weights, not yet divided by their sum, which it returns. */
static float softmax_row(float *s, int n, int n_padded)
{
    for (int i = n; i < n_padded; i++)
        s[i] = s[0]; /* any score of the row: the maximum stays */
    vf m = v_load(s);
    for (int i = VW; i < n_padded; i += VW)
        m = v_max(m, v_load(s + i));
    vf max = v_set1(v_hmax(m));
    for (int i = 0; i < n_padded; i += VW)
        v_store(s + i, v_exp(v_sub(v_load(s + i), max)));
    for (int i = n; i < n_padded; i++)
        s[i] = 0;
    vf sum = v_set1(0);
    for (int i = 0; i < n_padded; i += VW)
        sum = v_add(sum, v_load(s + i));
    return v_sum(sum);
}

/* acc += the values of n positions of one block, in dimensions [g, g + 32), each times its
 * position's weight. */
static ALWAYS_INLINE void values_f16(const struct attn *a, int n_row, int b, int n, int g,
                                     vf acc[ATTN_ROWS][ATTN_VECS])
{
    const uint8_t *values = a->block[b] + a->offset + (size_t)(2 * a->d_pad) * DECODE_BLOCK;
    const float *s[ATTN_ROWS];
    for (int i = 0; i < n_row; i++)
        s[i] = a->scores + (size_t)i * attn_ld(a) + (size_t)(b * DECODE_BLOCK);
    attn_tile(DECODE_KV_F16, n_row, n, s, values + 2 * g, (size_t)a->d_pad, attn_ahead(a, b), acc);
}

static ALWAYS_INLINE void values_q8(const struct attn *a, int n_row, int b, int n, int g,
                                    vf acc[ATTN_ROWS][ATTN_VECS])
{
    const uint8_t *values = a->block[b] + a->offset + (size_t)a->d_pad * DECODE_BLOCK;
    const uint16_t *scale =
        (const uint16_t *)(values + (size_t)a->d_pad * DECODE_BLOCK) + a->d_pad + g;
    float scaled[ATTN_ROWS][DECODE_BLOCK];
    const float *s[ATTN_ROWS];
    for (int j = 0; j < DECODE_BLOCK; j += VW) {
        vf by = v_load_f16(scale + j);
        for (int i = 0; i < n_row; i++)
            v_store(scaled[i] + j, v_mul(by, v_load(a->scores + (size_t)i * attn_ld(a) +
                                                    (size_t)(b * DECODE_BLOCK + j))));
    }
    for (int i = 0; i < n_row; i++)
        s[i] = scaled[i];
    attn_tile(DECODE_KV_Q8, n_row, n, s, values + g, (size_t)a->d_pad, attn_ahead(a, b), acc);
}

static ALWAYS_INLINE void attend_rows(enum decode_kv kv, int n_row, const struct attn *a,
                                      float *const *out, const int *n_pos)
{
    float inv[ATTN_ROWS];
    for (int b = 0; b < a->n_block; b++) {
        if (kv == DECODE_KV_F16)
            scores_f16(a, n_row, b);
        else
            scores_q8(a, n_row, b);
    }
    for (int i = 0; i < n_row; i++)
        inv[i] = 1.0f / softmax_row(a->scores + (size_t)i * attn_ld(a), n_pos[i], (int)attn_ld(a));
    for (int g = 0; g < a->d_pad; g += DECODE_KV_GROUP) {
        vf acc[ATTN_ROWS][ATTN_VECS];
        attn_zero(n_row, acc);
        for (int b = 0; b < a->n_block; b++) {
            int n = a->n_max - b * DECODE_BLOCK;
            n = n < DECODE_BLOCK ? n : DECODE_BLOCK;
            if (kv == DECODE_KV_F16)
                values_f16(a, n_row, b, n, g, acc);
            else
                values_q8(a, n_row, b, n, g, acc);
        }
        for (int i = 0; i < n_row; i++)
            for (int j = 0; j < ATTN_VECS; j++)
                v_store(out[i] + g + j * VW, v_mul(acc[i][j], v_set1(inv[i])));
    }
}

/* The number of rows becomes known to the compiler. */
static ALWAYS_INLINE void attend(enum decode_kv kv, float *const *out, const float *const *q,
                                 const int *n_pos, int n_row, uint8_t *const *block, size_t offset,
                                 int d_pad, float *scores)
{
    struct attn a = { .q = q, .block = block, .offset = offset, .d_pad = d_pad, .scores = scores };
    for (int i = 0; i < n_row; i++)
        a.n_max = n_pos[i] > a.n_max ? n_pos[i] : a.n_max;
    a.n_block = (a.n_max + DECODE_BLOCK - 1) / DECODE_BLOCK;
    switch (n_row) {
#define CASE(n)                                                                                    \
    case n:                                                                                        \
        attend_rows(kv, n, &a, out, n_pos);                                                        \
        break;
        CASE(1)
        CASE(2)
        CASE(3)
#if defined(__AVX512F__)
        CASE(4)
        CASE(5)
        CASE(6)
#endif
#undef CASE
    }
}

static void attend_f16(float *const *out, const float *const *q, const int *n_pos, int n_row,
                       uint8_t *const *block, size_t offset, int d_pad, float *scores)
{
    attend(DECODE_KV_F16, out, q, n_pos, n_row, block, offset, d_pad, scores);
}

static void attend_q8(float *const *out, const float *const *q, const int *n_pos, int n_row,
                      uint8_t *const *block, size_t offset, int d_pad, float *scores)
{
    attend(DECODE_KV_Q8, out, q, n_pos, n_row, block, offset, d_pad, scores);
}

#endif
