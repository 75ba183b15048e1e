/*
 * backend/cpu/kernels_bf16_pack.h - rounding and packing for kernels_bf16.h, compiled once a family.
 *
 * All four layouts come from two steps: a vector of pairs, of neighbours in a line (vp_line) or of two
 * lines (vp_join), and, where k lies the other way, a transposition of words in a block that stays in L1.
 */
#include "backend/cpu/kernels_bf16.h"
#include "backend/cpu/vec_bf16.h"

#include "base/attr.h"

enum { BF16_NR = 2 * VW, LINES = 16 }; /* LINES: a panel or rows of a, transposed at once */

#if defined(__AVX2__)
/* dst[j * ld_dst + i] = src[i * ld + j] for an 8 x 8 block of words. */
static inline void transpose_words(uint32_t *dst, size_t ld_dst, const uint32_t *src, size_t ld)
{
    __m256 r[8], t[8];
    for (int i = 0; i < 8; i++)
        r[i] = _mm256_loadu_ps((const float *)(src + (size_t)i * ld));
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
        _mm256_storeu_ps((float *)(dst + (size_t)i * ld_dst),
                         _mm256_permute2f128_ps(r[i], r[i + 4], 0x20));
        _mm256_storeu_ps((float *)(dst + (size_t)(i + 4) * ld_dst),
                         _mm256_permute2f128_ps(r[i], r[i + 4], 0x31));
    }
}
#else
static inline void transpose_words(uint32_t *dst, size_t ld_dst, const uint32_t *src, size_t ld)
{
    for (int i = 0; i < 8; i++)
        for (int j = 0; j < 8; j++)
            dst[(size_t)j * ld_dst + (size_t)i] = src[(size_t)i * ld + (size_t)j];
}
#endif

/* Up to VW pairs of a line of n floats, zeros beyond. */
static ALWAYS_INLINE vp line_pairs(const float *p, int n)
{
    if (n >= 2 * VW)
        return vp_line(p);
    float t[2 * VW] = { 0 };
    if (n > 0)
        memcpy(t, p, (size_t)n * sizeof *t);
    return vp_line(t);
}

/* Pairs of lines k and k + 1 at up to VW places. */
static ALWAYS_INLINE vp join_pairs(const float *p, size_t ld, int k, int n_k, int n)
{
    const float *even = p + (size_t)k * ld, *odd = even + ld;
    vf zero = v_set1(0);
    if (k >= n_k || n <= 0)
        return vp_set1(0);
    if (n >= VW)
        return vp_join(v_load(even), k + 1 < n_k ? v_load(odd) : zero);
    return vp_join(v_load_n(even, n), k + 1 < n_k ? v_load_n(odd, n) : zero);
}

static inline void store_some(uint32_t *dst, vp a, int n)
{
    uint32_t t[VW];
    if (n >= VW) {
        vp_store(dst, a);
        return;
    }
    vp_store(t, a);
    memcpy(dst, t, (size_t)n * sizeof *t);
}

static void pack_a(uint32_t *dst, size_t ld_dst, const float *src, size_t ld, int n_row, int n_k,
                   int n_pair)
{
    for (int r = 0; r < n_row; r++, dst += ld_dst, src += ld)
        for (int p = 0; p < n_pair; p += VW)
            store_some(dst + p, line_pairs(src + 2 * p, n_k - 2 * p), n_pair - p);
}

static void pack_b(uint32_t *dst, const float *src, size_t ld, int n_col, int n_k, int n_pair)
{
    size_t panel = (size_t)n_pair * BF16_NR;
    for (int p = 0; p < n_pair; p++, dst += BF16_NR) {
        uint32_t *d = dst;
        for (int c = 0; c < n_col; c += BF16_NR, d += panel) {
            vp_store(d, join_pairs(src + c, ld, 2 * p, n_k, n_col - c));
            vp_store(d + VW, join_pairs(src + c + VW, ld, 2 * p, n_k, n_col - c - VW));
        }
    }
}

static void pack_a_t(uint32_t *dst, size_t ld_dst, const float *src, size_t ld, int n_row, int n_k,
                     int n_pair)
{
    uint32_t in[LINES * LINES], out[LINES * LINES]; /* [pair][row], [row][pair] */
    for (int r = 0; r < n_row; r += LINES)
        for (int p = 0; p < n_pair; p += LINES) {
            for (int i = 0; i < LINES; i++)
                for (int c = 0; c < LINES; c += VW)
                    vp_store(in + i * LINES + c,
                             join_pairs(src + r + c, ld, 2 * (p + i), n_k, n_row - r - c));
            for (int i = 0; i < LINES; i += 8)
                for (int c = 0; c < LINES; c += 8)
                    transpose_words(out + c * LINES + i, LINES, in + i * LINES + c, LINES);
            size_t n = (size_t)(n_pair - p < LINES ? n_pair - p : LINES);
            for (int i = 0; i < LINES && r + i < n_row; i++)
                memcpy(dst + (size_t)(r + i) * ld_dst + p, out + i * LINES,
                       n == LINES ? LINES * sizeof *out : n * sizeof *out);
        }
}

static void pack_b_t(uint32_t *dst, const float *src, size_t ld, int n_col, int n_k, int n_pair)
{
    uint32_t in[BF16_NR * LINES]; /* [col][pair] */
    for (int c = 0; c < n_col; c += BF16_NR, dst += (size_t)n_pair * BF16_NR)
        for (int p = 0; p < n_pair; p += LINES) {
            for (int i = 0; i < BF16_NR; i++)
                for (int q = 0; q < LINES; q += VW) {
                    const float *line = src + (size_t)(c + i) * ld;
                    int at = 2 * (p + q), left = c + i < n_col ? n_k - at : 0;
                    vp_store(in + i * LINES + q, line_pairs(left > 0 ? line + at : src, left));
                }
            for (int q = 0; q < LINES && p + q < n_pair; q += 8)
                for (int i = 0; i < BF16_NR; i += 8) {
                    uint32_t t[8 * 8], *to = dst + (size_t)(p + q) * BF16_NR + i;
                    if (p + q + 8 <= n_pair) {
                        transpose_words(to, BF16_NR, in + i * LINES + q, LINES);
                        continue;
                    }
                    transpose_words(t, 8, in + i * LINES + q, LINES);
                    for (int k = 0; p + q + k < n_pair; k++)
                        memcpy(to + (size_t)k * BF16_NR, t + 8 * k, 8 * sizeof *t);
                }
        }
}
