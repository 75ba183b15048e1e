/*
 * backend/cpu/quant_body.h - the kernels of quant.h; included by quant_plain.c, quant_avx2.c and
 * quant_avx512.c, which name their table QUANT_TABLE.
 *
 * A panel's codes are unpacked a few blocks at a time into a buffer of the first-level cache, and
 * every tile of rows is computed from there. Four-bit codes times bytes are summed in 16 bits over
 * a whole block: 8 steps of two products of at most 15 * 127 stay below 2^15.
 */
#include "backend/cpu/quant.h"

#include "backend/cpu/decode_end.h"
#include "backend/cpu/vec_int.h"
#include "base/attr.h"

enum {
    N_COL = 2 * VW,
    STEPS = QUANT_BLOCK / 4,      /* of four inputs */
    STEP_BYTES = 4 * VW,          /* of a vector: four inputs of VW columns */
    TILE_ROWS = VW == 16 ? 8 : 4, /* accumulators fill the registers */
    GROUP_ROWS = 64,              /* whose accumulators are kept meanwhile */
    CHUNK = 18                    /* blocks unpacked at a time */
};

/* ---- Rounding of activations. ---- */

static void round_row(const struct quant_rows *to, int row, const float *x, int n)
{
    enum { VECS = QUANT_BLOCK / VW };
    float most = to->bits == 8 ? 127 : 32767;
    for (int b = 0; b < to->n_block; b++) {
        size_t at = (size_t)row * (size_t)to->n_block + (size_t)b;
        vf v[VECS], top = v_set1(0), sum = v_set1(0);
        for (int i = 0; i < VECS; i++) {
            int left = n - b * QUANT_BLOCK - i * VW;
            v[i] = left >= VW ? v_load(x + b * QUANT_BLOCK + i * VW)
                   : left > 0 ? v_load_n(x + b * QUANT_BLOCK + i * VW, left)
                              : v_set1(0);
            top = v_max(v_max(v[i], v_sub(v_set1(0), v[i])), top);
        }
        float max = v_top(top);
        vf inv = v_set1(max > 1e-30f ? most / max : 0);
        for (int i = 0; i < VECS; i++) {
            vf code = v_round(v_mul(v[i], inv));
            sum = v_add(sum, code);
            size_t first = at * QUANT_BLOCK + (size_t)(i * VW);
            if (to->bits == 8)
                v_store_8((int8_t *)to->code + first, code);
            else
                v_store_16((int16_t *)to->code + first, code);
        }
        float total = v_total(sum); /* exact; NaN when anything was not finite */
        to->scale[at] = total == total ? max / most : total;
        to->sum[at] = total * (max / most);
    }
}

/* ---- Products. ---- */

/* n_block blocks of a panel as the tiles want them: bytes, or 16 bits with inputs 0 2 and 1 3
 * together. */
static void unpack(uint8_t *out, const uint8_t *code, int n_block, int weight_bits, int row_bits)
{
    for (int s = 0; s < n_block * STEPS; s++) {
        vi a, b;
        if (weight_bits == 4) {
            vi both = vi_load(code);
            a = vi_low4(both);
            b = vi_high4(both);
            code += STEP_BYTES;
        } else {
            a = vi_load(code);
            b = vi_load(code + STEP_BYTES);
            code += 2 * STEP_BYTES;
        }
        if (row_bits == 8) {
            vi_store(out, a);
            vi_store(out + STEP_BYTES, b);
            out += 2 * STEP_BYTES;
        } else {
            vi_store(out, vi_even(a));
            vi_store(out + STEP_BYTES, vi_even(b));
            vi_store(out + 2 * STEP_BYTES, vi_odd(a));
            vi_store(out + 3 * STEP_BYTES, vi_odd(b));
            out += 4 * STEP_BYTES;
        }
    }
}

struct tile {
    const uint8_t *w; /* unpacked */
    const float *scale, *min;
    int n_block, bits; /* bits of the rows */
    const uint8_t *x;  /* the first row's codes, ld_x bytes from row to row */
    size_t ld_x;
    const float *x_scale, *x_sum; /* ld_scale from row to row */
    size_t ld_scale;
    float *acc; /* [n_row][N_COL] */
};

/* acc += the blocks of one tile, n_row and bits known to the compiler. */
static ALWAYS_INLINE void tile(const struct tile *t, int n_row, int bits)
{
    const uint8_t *w = t->w, *x = t->x;
    vf y[TILE_ROWS][2];
    for (int i = 0; i < n_row; i++)
        for (int c = 0; c < 2; c++)
            y[i][c] = v_load(t->acc + i * N_COL + c * VW);
    for (int b = 0; b < t->n_block; b++) {
        vi sum[TILE_ROWS][2];
        for (int i = 0; i < n_row; i++)
            sum[i][0] = sum[i][1] = vi_zero();
#pragma GCC unroll 8
        for (int s = 0; s < STEPS * bits / 8; s++, w += 2 * STEP_BYTES, x += 4) {
            vi w0 = vi_load(w), w1 = vi_load(w + STEP_BYTES);
#pragma GCC unroll 8
            for (int i = 0; i < n_row; i++) {
                vi a = vi_four(x + (size_t)i * t->ld_x);
                if (bits == 8) {
                    sum[i][0] = vi_add16(sum[i][0], vi_mul_pairs8(w0, a));
                    sum[i][1] = vi_add16(sum[i][1], vi_mul_pairs8(w1, a));
                } else {
                    sum[i][0] = vi_add32(sum[i][0], vi_mul_pairs16(w0, a));
                    sum[i][1] = vi_add32(sum[i][1], vi_mul_pairs16(w1, a));
                }
                vi_pin(&sum[i][0], &sum[i][1]);
            }
        }
#pragma GCC unroll 8
        for (int i = 0; i < n_row; i++) {
            size_t at = (size_t)i * t->ld_scale + (size_t)b;
#pragma GCC unroll 2
            for (int c = 0; c < 2; c++) {
                vf s = vi_to_float(bits == 8 ? vi_pairs16(sum[i][c]) : sum[i][c]);
                vf scale = v_mul(v_set1(t->x_scale[at]), v_load(t->scale + b * N_COL + c * VW));
                y[i][c] = v_fma(s, scale, y[i][c]);
                if (t->min)
                    y[i][c] =
                        v_fma(v_set1(t->x_sum[at]), v_load(t->min + b * N_COL + c * VW), y[i][c]);
            }
        }
    }
    for (int i = 0; i < n_row; i++)
        for (int c = 0; c < 2; c++)
            v_store(t->acc + i * N_COL + c * VW, y[i][c]);
}

static void any_tile(const struct tile *t, int n_row)
{
    switch (n_row) {
#define CASE(n)                                                                                    \
    case n:                                                                                        \
        if (t->bits == 8)                                                                          \
            tile(t, n, 8);                                                                         \
        else                                                                                       \
            tile(t, n, 16);                                                                        \
        break;
        CASE(1)
        CASE(2)
        CASE(3)
        CASE(4)
#if defined(__AVX512F__)
        CASE(5)
        CASE(6)
        CASE(7)
        CASE(8)
#endif
#undef CASE
    }
}

/* acc [n_row][N_COL] = panel p for n_row <= GROUP_ROWS rows from `row` on. */
static void panel(const struct quant_packed *w, int p, const struct quant_rows *x, int row,
                  int n_row, float *acc)
{
    _Alignas(64) uint8_t codes[CHUNK * STEPS * 4 * STEP_BYTES];
    size_t block_bytes = (size_t)(QUANT_BLOCK * N_COL * w->bits / 8);
    size_t first = (size_t)p * (size_t)w->n_block, x_bytes = (size_t)(x->bits / 8);
    int n_tile = (n_row + TILE_ROWS - 1) / TILE_ROWS;
    memset(acc, 0, (size_t)n_row * N_COL * sizeof *acc);
    int n_chunk = (w->n_block + CHUNK - 1) / CHUNK;
    for (int chunk = 0, b = 0, n; chunk < n_chunk; chunk++, b += n) {
        n = w->n_block / n_chunk + (chunk < w->n_block % n_chunk);
        size_t at = first + (size_t)b;
        const uint8_t *ahead = w->code + (at + (size_t)n) * block_bytes;
        size_t n_ahead = (size_t)n * block_bytes / (size_t)n_tile;
        unpack(codes, w->code + at * block_bytes, n, w->bits, x->bits);
        for (int k = 0, r = 0; k < n_tile; k++) {
            int rows = n_row / n_tile + (k < n_row % n_tile);
            size_t from = (size_t)(row + r) * (size_t)x->n_block + (size_t)b;
            struct tile t = { .w = codes,
                              .scale = w->scale + at * N_COL,
                              .min = w->min ? w->min + at * N_COL : NULL,
                              .n_block = n,
                              .bits = x->bits,
                              .x = (const uint8_t *)x->code + from * QUANT_BLOCK * x_bytes,
                              .ld_x = (size_t)x->n_block * QUANT_BLOCK * x_bytes,
                              .x_scale = x->scale + from,
                              .x_sum = x->sum + from,
                              .ld_scale = (size_t)x->n_block,
                              .acc = acc + r * N_COL };
            for (size_t i = 0; i < n_ahead; i += 64) /* the codes that are unpacked next */
                PREFETCH_L2(ahead + (size_t)k * n_ahead + i);
            any_tile(&t, rows);
            r += rows;
        }
    }
}

static void product(const struct quant_packed *w, int first, int n, const struct quant_rows *x,
                    int n_row, float *y, size_t ldy, enum decode_end end)
{
    _Alignas(64) float acc[GROUP_ROWS * N_COL];
    int n_out_panel = w->gated ? VW : N_COL;
    for (int p = first; p < first + n; p++) {
        int left = w->n_out - p * n_out_panel;
        for (int row = 0; row < n_row; row += GROUP_ROWS) {
            int rows = n_row - row < GROUP_ROWS ? n_row - row : GROUP_ROWS;
            panel(w, p, x, row, rows, acc);
            for (int i = 0; i < rows; i++)
                store_end(y + (size_t)(row + i) * ldy + (size_t)p * (size_t)n_out_panel,
                          v_load(acc + i * N_COL), v_load(acc + i * N_COL + VW),
                          left < n_out_panel ? left : n_out_panel, end);
        }
    }
}

static const struct quant_kernels QUANT_TABLE = {
    .name = QUANT_NAME,
    .n_col = N_COL,
    .quick = VW > 4,
    .round_row = round_row,
    .product = product,
};
