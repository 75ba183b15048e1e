/*
 * backend/cpu/kernels_bf16_tile.h - tiles by dot products of pairs, compiled once a family: the
 * including file names the table (BF16_KERNELS, BF16_NAME) and the tile's rows (MR, 4 or 14), and
 * says whether the dot product is one instruction (BF16_INSTRUCTION).
 */
#include "backend/cpu/kernels_bf16_pack.h"

/* The sums live in registers from the first instruction to the last, as in kernels_body.h. */
#define FOR_TILE_ROWS UNROLLED for (int i = 0; i < mr; i++)

static ALWAYS_INLINE void tile_full(const int mr, const struct bf16_tile *t)
{
    vf acc[MR][2];
    const uint32_t *a = t->a, *b = t->b;
    const size_t ld_a = t->ld_a;
    const float *from = t->from;
    float *c = t->c;
    FOR_TILE_ROWS
    acc[i][0] = acc[i][1] = v_set1(0);
    for (int k = 0; k < t->n_pair; k++, a++, b += BF16_NR) {
        vp b0 = vp_load(b), b1 = vp_load(b + VW);
        FOR_TILE_ROWS
        {
            vp x = vp_set1(a[(size_t)i * ld_a]);
            acc[i][0] = v_dot(acc[i][0], x, b0);
            acc[i][1] = v_dot(acc[i][1], x, b1);
        }
    }
    if (from)
        FOR_TILE_ROWS
        {
            acc[i][0] = v_add(v_load(from + (size_t)i * t->ld_from), acc[i][0]);
            acc[i][1] = v_add(v_load(from + (size_t)i * t->ld_from + VW), acc[i][1]);
        }
    FOR_TILE_ROWS
    {
        v_store(c + (size_t)i * t->ldc, acc[i][0]);
        v_store(c + (size_t)i * t->ldc + VW, acc[i][1]);
    }
}

/* A tile with fewer columns goes through a whole one beside it: the same chain for each element. */
static ALWAYS_INLINE void tile_any(const int mr, const struct bf16_tile *t)
{
    if (t->nr == BF16_NR) {
        tile_full(mr, t);
        return;
    }
    float whole[MR * BF16_NR] = { 0 };
    struct bf16_tile w = *t;
    w.c = whole;
    w.ldc = BF16_NR;
    if (t->from) {
        for (int i = 0; i < mr; i++)
            memcpy(whole + i * BF16_NR, t->from + (size_t)i * t->ld_from,
                   (size_t)t->nr * sizeof *whole);
        w.from = whole;
        w.ld_from = BF16_NR;
    }
    tile_full(mr, &w);
    for (int i = 0; i < mr; i++)
        memcpy(t->c + (size_t)i * t->ldc, whole + i * BF16_NR, (size_t)t->nr * sizeof *whole);
}

/* One function a number of rows, so that each keeps its sums in registers. */
#define TILE_FN(m)                                                                                 \
    static void tile_##m(const struct bf16_tile *t)                                                \
    {                                                                                              \
        tile_any(m, t);                                                                            \
    }
TILE_FN(1)
TILE_FN(2)
TILE_FN(3)
TILE_FN(4)
#if MR > 4
TILE_FN(5)
TILE_FN(6)
TILE_FN(7)
TILE_FN(8)
TILE_FN(9)
TILE_FN(10)
TILE_FN(11)
TILE_FN(12)
TILE_FN(13)
TILE_FN(14)
#endif

static void tile(const struct bf16_tile *t)
{
    static void (*const fn[MR])(const struct bf16_tile *t) = {
        tile_1,
        tile_2,
        tile_3,
        tile_4,
#if MR > 4
        tile_5,
        tile_6,
        tile_7,
        tile_8,
        tile_9,
        tile_10,
        tile_11,
        tile_12,
        tile_13,
        tile_14
#endif
    };
    fn[t->mr - 1](t);
}

#if defined(BF16_INSTRUCTION)
static double peak_loop(int n, float *sink)
{
    enum { CHAINS = 14 };
    vf acc[CHAINS];
    vp x = vp_join(v_set1(0.5f), v_set1(0.25f)), y = vp_join(v_set1(0.5f), v_set1(0.5f));
    for (int i = 0; i < CHAINS; i++)
        acc[i] = v_set1((float)i);
    for (int k = 0; k < n; k++)
        for (int i = 0; i < CHAINS; i++)
            acc[i] = v_dot(acc[i], x, y);
    for (int i = 1; i < CHAINS; i++)
        acc[0] = v_add(acc[0], acc[i]);
    *sink += v_sum(acc[0]);
    return 4.0 * CHAINS * VW * n;
}
#endif

const struct bf16_kernels BF16_KERNELS = {
    .name = BF16_NAME,
    .mr = MR,
    .nr = BF16_NR,
    .k_unit = 2,
    .k_part = 384,
    .n_row = 8 * MR,
    .tile = tile,
#if defined(BF16_INSTRUCTION)
    .peak_loop = peak_loop,
#endif
    .pack_a = pack_a,
    .pack_a_t = pack_a_t,
    .pack_b = pack_b,
    .pack_b_t = pack_b_t,
};
