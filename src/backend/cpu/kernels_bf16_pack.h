/*
 * backend/cpu/kernels_bf16_pack.h - rounding and packing for kernels_bf16.h, compiled once a
 * family.
 *
 * All four layouts come from two steps: a vector of pairs, of neighbours in a line (vp_line) or of
 * two lines (vp_join), and, where k lies the other way, a transposition of words in a block that
 * stays in L1.
 */
#include "backend/cpu/kernels_bf16.h"
#include "backend/cpu/vec_bf16.h"

#include "base/attr.h"

enum { BF16_NR = 2 * VW, LINES = 16 }; /* LINES: a panel or rows of a, transposed at once */

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
            for (int i = 0; i < LINES; i += BLOCK)
                for (int c = 0; c < LINES; c += BLOCK)
                    transpose_block(out + c * LINES + i, LINES, in + i * LINES + c, LINES);
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
            for (int q = 0; q < LINES && p + q < n_pair; q += BLOCK)
                for (int i = 0; i < BF16_NR; i += BLOCK) {
                    uint32_t t[BLOCK * BLOCK], *to = dst + (size_t)(p + q) * BF16_NR + i;
                    if (p + q + BLOCK <= n_pair) {
                        transpose_block(to, BF16_NR, in + i * LINES + q, LINES);
                        continue;
                    }
                    transpose_block(t, BLOCK, in + i * LINES + q, LINES);
                    for (int k = 0; p + q + k < n_pair; k++)
                        memcpy(to + (size_t)k * BF16_NR, t + BLOCK * k, BLOCK * sizeof *t);
                }
        }
}
