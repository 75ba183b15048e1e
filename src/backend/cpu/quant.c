/* backend/cpu/quant.c - see quant.h: the choice of kernels, and packing. */
#include "backend/cpu/quant.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"

enum { GROUP = 4 }; /* inputs that lie together */

const struct quant_kernels *quant_kernels_find(const char *name)
{
    if (!decode_kernels_find(name)) /* they need what the generator's other kernels need */
        return NULL;
    if (strcmp(name, "plain") == 0)
        return quant_kernels_plain();
    if (strcmp(name, "avx2") == 0)
        return quant_kernels_avx2();
    if (strcmp(name, "avx512") == 0)
        return quant_kernels_avx512();
    return NULL;
}

enum { IN = 70, BLOCKS = 3, OUT = 37, ROWS = 13 }; /* of the self-test */

/* y = x w with codes made up here, by kernels k. */
static void try_product(float *y, const struct quant_kernels *k, int bits, int row_bits)
{
    int8_t code[OUT][BLOCKS * QUANT_BLOCK];
    float scale[OUT][BLOCKS], min[OUT][BLOCKS], x[IN];
    struct quant_packed w;
    struct quant_rows rows;
    for (int o = 0; o < OUT; o++) {
        for (int i = 0; i < BLOCKS * QUANT_BLOCK; i++)
            code[o][i] = (int8_t)(i >= IN     ? 0
                                  : bits == 4 ? (o * 31 + i * 7) % 16
                                              : (o * 89 + i * 101) % 255 - 127);
        for (int b = 0; b < BLOCKS; b++) {
            scale[o][b] = (float)(1 + (o + b) % 5) / 256;
            min[o][b] = (float)(o % 7 - b) / 8;
        }
    }
    quant_packed_init(&w, k, IN, OUT, bits, true, false);
    for (int p = 0; p < w.n_panel; p++) {
        struct quant_column column[64] = { { NULL, NULL, NULL } };
        for (int c = 0; c < k->n_col && p * k->n_col + c < OUT; c++) {
            int o = p * k->n_col + c;
            column[c] = (struct quant_column){ code[o], scale[o], min[o] };
        }
        quant_packed_fill(&w, k, p, column);
    }
    quant_rows_init(&rows, ROWS, IN, row_bits);
    for (int r = 0; r < ROWS; r++) {
        for (int i = 0; i < IN; i++)
            x[i] = (float)((r * 6007 + i * 7919) % 997) / 997 - 0.5f;
        k->round_row(&rows, r, x, IN);
    }
    k->product(&w, 0, w.n_panel, &rows, ROWS, y, OUT, DECODE_STORE);
    quant_rows_release(&rows);
    quant_packed_release(&w);
}

static bool agrees(const struct quant_kernels *k)
{
    static const int bits[3][2] = { { 4, 8 }, { 4, 16 }, { 8, 16 } };
    float want[ROWS * OUT], got[ROWS * OUT];
    bool same = true;
    for (int c = 0; c < 3; c++) {
        try_product(want, quant_kernels_plain(), bits[c][0], bits[c][1]);
        try_product(got, k, bits[c][0], bits[c][1]);
        for (int i = 0; i < ROWS * OUT; i++)
            same = same && fabsf(got[i] - want[i]) < 1e-3f;
    }
    return same;
}

const struct quant_kernels *quant_kernels_for(const struct decode_kernels *k)
{
    const struct quant_kernels *q = quant_kernels_find(k->name);
    if (q && !agrees(q)) {
        log_warn("the %s kernels for quantised weights fail their self-test here; plain C instead",
                 q->name);
        q = NULL;
    }
    return q ? q : quant_kernels_plain();
}

void quant_packed_init(struct quant_packed *w, const struct quant_kernels *k, int n_in, int n_out,
                       int bits, bool has_min, bool gated)
{
    int n_col = gated ? k->n_col / 2 : k->n_col;
    *w = (struct quant_packed){ .n_in = n_in,
                                .n_block = (n_in + QUANT_BLOCK - 1) / QUANT_BLOCK,
                                .n_out = n_out,
                                .n_panel = (n_out + n_col - 1) / n_col,
                                .bits = bits,
                                .gated = gated };
    size_t n_scale = (size_t)w->n_panel * (size_t)w->n_block * (size_t)k->n_col;
    w->code = xaligned(n_scale * (size_t)(QUANT_BLOCK * bits / 8));
    w->scale = xaligned(n_scale * sizeof *w->scale);
    w->min = has_min ? xaligned(n_scale * sizeof *w->min) : NULL;
}

/* Four inputs of each column lie together; of 4-bit codes, the panel's second half is in the high
 * bits. */
void quant_packed_fill(struct quant_packed *w, const struct quant_kernels *k, int p,
                       const struct quant_column *column)
{
    int half = k->n_col / 2;
    for (int b = 0; b < w->n_block; b++) {
        size_t at = (size_t)p * (size_t)w->n_block + (size_t)b;
        uint8_t *code = w->code + at * (size_t)(QUANT_BLOCK * k->n_col * w->bits / 8);
        memset(code, 0, (size_t)(QUANT_BLOCK * k->n_col * w->bits / 8));
        for (int c = 0; c < k->n_col; c++) {
            bool there = column[c].code != NULL;
            w->scale[at * (size_t)k->n_col + (size_t)c] = there ? column[c].scale[b] : 0;
            if (w->min)
                w->min[at * (size_t)k->n_col + (size_t)c] = there ? column[c].min[b] : 0;
            for (int i = 0; there && i < QUANT_BLOCK; i++) {
                uint8_t x = (uint8_t)column[c].code[b * QUANT_BLOCK + i];
                int step = i / GROUP;
                if (w->bits == 8)
                    code[(step * k->n_col + c) * GROUP + i % GROUP] = x;
                else
                    code[(step * half + c % half) * GROUP + i % GROUP] |=
                        (uint8_t)(c < half ? x : x << 4);
            }
        }
    }
}

void quant_packed_release(struct quant_packed *w)
{
    free(w->code);
    free(w->scale);
    free(w->min);
    *w = (struct quant_packed){ 0 };
}

void quant_rows_init(struct quant_rows *r, int n_row, int n_in, int bits)
{
    int n_block = (n_in + QUANT_BLOCK - 1) / QUANT_BLOCK;
    size_t n = (size_t)n_row * (size_t)n_block;
    *r = (struct quant_rows){ .bits = bits, .n_block = n_block };
    r->code = xaligned(n * (size_t)(QUANT_BLOCK * bits / 8));
    r->scale = xaligned(n * sizeof *r->scale);
    r->sum = xaligned(n * sizeof *r->sum);
}

void quant_rows_release(struct quant_rows *r)
{
    free(r->code);
    free(r->scale);
    free(r->sum);
    *r = (struct quant_rows){ 0 };
}
