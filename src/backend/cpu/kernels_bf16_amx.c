/*
 * backend/cpu/kernels_bf16_amx.c - bfloat16 products by AMX: 2 x 2 tiles of 16 x 16 sums (tile
 * registers 0-3), two tiles of a (4, 5) and two of b (6, 7) a step of 32 elements of k.
 *
 * A block that is not whole goes through one beside it, so every tile is configured whole; what
 * lies beyond in a's rows is multiplied and dropped. Packing is AVX512-BF16's, which all such
 * processors have.
 */
#if defined(__x86_64__)
#include "backend/cpu/kernels_bf16_pack.h"
#include "backend/cpu/tiles.h"

enum { SIDE = 16, MR = 2 * SIDE, STEP = SIDE }; /* STEP: pairs */

static void begin(void)
{
    struct tile_config c = { .palette = 1 };
    for (int i = 0; i < 8; i++) {
        c.row_bytes[i] = 64;
        c.rows[i] = SIDE;
    }
    tiles_configure(&c);
}

static void end(void)
{
    tiles_release();
}

/* Blocks of one or two tiles by one or two: the compiler drops what a constant leaves out. */
static ALWAYS_INLINE void block(const int two_rows, const int two_cols, const struct bf16_tile *t)
{
    const size_t lda = t->ld_a * sizeof *t->a, ldb = BF16_NR * sizeof *t->b,
                 ldc = t->ldc * sizeof *t->c, ldf = t->ld_from * sizeof *t->from;
    const uint32_t *a0 = t->a, *a1 = t->a + SIDE * t->ld_a, *b = t->b;
    if (t->from) {
        const float *low = t->from + SIDE * t->ld_from;
        TILE_LOAD(0, t->from, ldf);
        if (two_cols)
            TILE_LOAD(1, t->from + SIDE, ldf);
        if (two_rows)
            TILE_LOAD(2, low, ldf);
        if (two_rows && two_cols)
            TILE_LOAD(3, low + SIDE, ldf);
    } else {
        TILE_ZERO(0);
        TILE_ZERO(1);
        TILE_ZERO(2);
        TILE_ZERO(3);
    }
    for (int k = 0; k < t->n_pair; k += STEP, a0 += STEP, a1 += STEP, b += STEP * BF16_NR) {
        TILE_LOAD(4, a0, lda);
        TILE_LOAD(6, b, ldb);
        TILE_DOT(0, 4, 6);
        if (two_cols) {
            TILE_LOAD(7, b + SIDE, ldb);
            TILE_DOT(1, 4, 7);
        }
        if (two_rows) {
            TILE_LOAD(5, a1, lda);
            TILE_DOT(2, 5, 6);
        }
        if (two_rows && two_cols)
            TILE_DOT(3, 5, 7);
    }
    float *low = t->c + SIDE * t->ldc;
    TILE_STORE(0, t->c, ldc);
    if (two_cols)
        TILE_STORE(1, t->c + SIDE, ldc);
    if (two_rows)
        TILE_STORE(2, low, ldc);
    if (two_rows && two_cols)
        TILE_STORE(3, low + SIDE, ldc);
}

static void whole_tiles(const struct bf16_tile *t)
{
    if (t->mr > SIDE && t->nr > SIDE)
        block(1, 1, t);
    else if (t->mr > SIDE)
        block(1, 0, t);
    else if (t->nr > SIDE)
        block(0, 1, t);
    else
        block(0, 0, t);
}

static void tile(const struct bf16_tile *t)
{
    if (t->mr % SIDE == 0 && t->nr % SIDE == 0) {
        whole_tiles(t);
        return;
    }
    float whole[MR * BF16_NR] = { 0 };
    struct bf16_tile w = *t;
    w.c = whole;
    w.ldc = BF16_NR;
    if (t->from) {
        for (int i = 0; i < t->mr; i++)
            memcpy(whole + i * BF16_NR, t->from + (size_t)i * t->ld_from,
                   (size_t)t->nr * sizeof *whole);
        w.from = whole;
        w.ld_from = BF16_NR;
    }
    whole_tiles(&w);
    for (int i = 0; i < t->mr; i++)
        memcpy(t->c + (size_t)i * t->ldc, whole + i * BF16_NR, (size_t)t->nr * sizeof *whole);
}

static double peak_loop(int n, float *sink)
{
    float c[SIDE * SIDE];
    TILE_ZERO(0);
    TILE_ZERO(1);
    TILE_ZERO(2);
    TILE_ZERO(3);
    TILE_ZERO(4);
    TILE_ZERO(5);
    TILE_ZERO(6);
    TILE_ZERO(7);
    for (int k = 0; k < n; k++) {
        TILE_DOT(0, 4, 6);
        TILE_DOT(1, 4, 7);
        TILE_DOT(2, 5, 6);
        TILE_DOT(3, 5, 7);
    }
    TILE_STORE(0, c, SIDE * sizeof *c);
    *sink += c[0];
    return 4.0 * 2 * SIDE * SIDE * 2 * STEP * n;
}

const struct bf16_kernels bf16_amx = {
    .name = "amx",
    .mr = MR,
    .nr = BF16_NR,
    .k_unit = 2 * STEP,
    .k_part = 256,
    .n_row = 4 * MR,
    .begin = begin,
    .end = end,
    .tile = tile,
    .peak_loop = peak_loop,
    .pack_a = pack_a,
    .pack_a_t = pack_a_t,
    .pack_b = pack_b,
    .pack_b_t = pack_b_t,
};
#endif
