/* model/matrix.c - see matrix.h. */
#include "model/matrix.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "model/codes.h"

enum {
    PANELS_AN_ITEM = 4, /* of a product */
    ROWS_AN_ITEM = 8,   /* of rounding */
    MAX_COL = 64        /* columns a panel, whatever the kernels */
};

void matrix_tools_init(struct matrix_tools *t, const struct decode_kernels *k, struct pool *pool,
                       enum gen_precision precision, int max_row, int max_in)
{
    *t = (struct matrix_tools){
        .k = k, .q = quant_kernels_for(k), .pool = pool, .precision = precision
    };
    assert(k->n_col <= MAX_COL && t->q->n_col <= MAX_COL);
    if (precision != GEN_FP32) {
        quant_rows_init(&t->rows8, max_row, max_in, 8);
        quant_rows_init(&t->rows16, max_row, max_in, 16);
    }
}

void matrix_tools_release(struct matrix_tools *t)
{
    quant_rows_release(&t->rows8);
    quant_rows_release(&t->rows16);
}

/* ---- Loading: rows of weights into panels. ---- */

/* Bits of activations for a matrix; 0: floats. Heads that are padded do not keep their blocks of
 * codes. */
static int choose_bits(const struct matrix_tools *t, const struct matrix_source *s)
{
    int bits = 4;
    if (t->precision == GEN_FP32 || (t->precision == GEN_AUTO && !t->q->quick) ||
        s->pad_from != s->pad_to)
        return 0;
    for (int i = 0; i < 3 && s->from[i]; i++) {
        if (!codes_has(s->from[i]))
            return 0;
        bits = codes_bits(s->from[i]) > bits ? codes_bits(s->from[i]) : bits;
    }
    return bits == 4 && t->precision != GEN_INT16 ? 8 : 16;
}

struct pack_job {
    struct matrix *m;
    const struct matrix_tools *t;
    const struct matrix_source *s;
};

/* Which weight and which of its rows are column c of panel p; NULL: beyond the matrix. */
static const struct weight *row_of(const struct matrix_source *s, int n_col, int p, int c, int *row)
{
    if (s->gated) {
        *row = p * (n_col / 2) + c % (n_col / 2);
        return *row < s->n_out ? s->from[c >= n_col / 2] : NULL;
    }
    int i = 0;
    *row = p * n_col + c;
    if (*row >= s->n_out)
        return NULL;
    while (*row >= s->from[i]->n_row)
        *row -= s->from[i++]->n_row;
    return s->from[i];
}

static void padded_row(const struct matrix_source *s, const struct weight *w, int row, float *out)
{
    weight_row(out, w, row);
    if (s->pad_from == s->pad_to)
        return;
    for (int head = w->n_col / s->pad_from - 1; head >= 0; head--) {
        memmove(out + head * s->pad_to, out + head * s->pad_from,
                (size_t)s->pad_from * sizeof *out);
        memset(out + head * s->pad_to + s->pad_from, 0,
               (size_t)(s->pad_to - s->pad_from) * sizeof *out);
    }
}

static void pack_floats(void *job, size_t item, int thread)
{
    const struct pack_job *j = job;
    const struct matrix_source *s = j->s;
    (void)thread;
    int n_col = j->t->k->n_col, row;
    float *buf = xcalloc((size_t)n_col * (size_t)s->n_in, sizeof *buf);
    const float *rows[MAX_COL] = { NULL };
    for (int c = 0; c < n_col; c++) {
        const struct weight *w = row_of(s, n_col, (int)item, c, &row);
        if (!w)
            continue;
        padded_row(s, w, row, buf + (size_t)c * (size_t)s->n_in);
        rows[c] = buf + (size_t)c * (size_t)s->n_in;
    }
    decode_packed_fill(&j->m->packed, j->t->k, (int)item, rows);
    free(buf);
}

static void pack_codes(void *job, size_t item, int thread)
{
    const struct pack_job *j = job;
    const struct matrix_source *s = j->s;
    (void)thread;
    int n_col = j->t->q->n_col, row;
    size_t n_block = (size_t)j->m->quant.n_block, n = n_block * QUANT_BLOCK;
    int8_t *code = xcalloc((size_t)n_col, n);
    float *scale = xcalloc((size_t)n_col * n_block * 2, sizeof *scale),
          *min = scale + (size_t)n_col * n_block;
    struct quant_column column[MAX_COL] = { { NULL, NULL, NULL } };
    for (int c = 0; c < n_col; c++) {
        const struct weight *w = row_of(s, n_col, (int)item, c, &row);
        int8_t *code_c = code + (size_t)c * n;
        float *scale_c = scale + (size_t)c * n_block, *min_c = min + (size_t)c * n_block;
        if (!w)
            continue;
        codes_row(code_c, scale_c, min_c, w, row);
        column[c] = (struct quant_column){ code_c, scale_c, min_c };
    }
    quant_packed_fill(&j->m->quant, j->t->q, (int)item, column);
    free(code);
    free(scale);
}

void matrix_load(struct matrix *m, struct matrix_tools *t, const struct matrix_source *s)
{
    struct pack_job j = { m, t, s };
    *m = (struct matrix){ .row_bits = choose_bits(t, s) };
    if (m->row_bits == 0) {
        decode_packed_init(&m->packed, t->k, s->n_in, s->n_out, s->gated);
        pool_run(t->pool, (size_t)m->packed.n_panel, pack_floats, &j);
        return;
    }
    int bits = 4;
    bool has_min = false;
    for (int i = 0; i < 3 && s->from[i]; i++) {
        bits = codes_bits(s->from[i]) > bits ? 8 : bits;
        has_min = has_min || codes_have_min(s->from[i]);
    }
    quant_packed_init(&m->quant, t->q, s->n_in, s->n_out, bits, has_min, s->gated);
    pool_run(t->pool, (size_t)m->quant.n_panel, pack_codes, &j);
}

void matrix_release(struct matrix *m)
{
    decode_packed_release(&m->packed);
    quant_packed_release(&m->quant);
}

/* ---- Products. ---- */

struct product_job {
    struct matrix_tools *t;
    const struct matrix *m;
    struct quant_rows rows;
    const float *x;
    float *y;
    int n_row, n_panel, n_in;
    size_t ldy;
    enum decode_end end;
};

static void round_item(void *job, size_t item, int thread)
{
    const struct product_job *j = job;
    (void)thread;
    for (int r = (int)item * ROWS_AN_ITEM; r < j->n_row && r < ((int)item + 1) * ROWS_AN_ITEM; r++)
        j->t->q->round_row(&j->rows, r, j->x + (size_t)r * (size_t)j->n_in, j->n_in);
}

static void product_item(void *job, size_t item, int thread)
{
    const struct product_job *j = job;
    (void)thread;
    int first = (int)item * PANELS_AN_ITEM;
    int n = j->n_panel - first < PANELS_AN_ITEM ? j->n_panel - first : PANELS_AN_ITEM;
    if (j->m->row_bits)
        j->t->q->product(&j->m->quant, first, n, &j->rows, j->n_row, j->y, j->ldy, j->end);
    else
        j->t->k->product(&j->m->packed, first, n, j->x, (size_t)j->n_in, j->n_row, j->y, j->ldy,
                         j->end);
}

void matrix_product(struct matrix_tools *t, const struct matrix *m, const float *x, int n_row,
                    float *y, enum decode_end end)
{
    struct product_job j = { .t = t, .m = m, .x = x, .y = y, .n_row = n_row, .end = end };
    if (m->row_bits) {
        j.n_in = m->quant.n_in;
        j.n_panel = m->quant.n_panel;
        j.ldy = (size_t)m->quant.n_out;
        j.rows = m->row_bits == 8 ? t->rows8 : t->rows16;
        j.rows.n_block = m->quant.n_block;
        pool_run(t->pool, (size_t)(n_row + ROWS_AN_ITEM - 1) / ROWS_AN_ITEM, round_item, &j);
    } else {
        j.n_in = m->packed.n_in;
        j.n_panel = m->packed.n_panel;
        j.ldy = (size_t)m->packed.n_out;
    }
    pool_run(t->pool, (size_t)(j.n_panel + PANELS_AN_ITEM - 1) / PANELS_AN_ITEM, product_item, &j);
}
