/* tests/generate/quant.c - products with quantised weights against plain loops in double, and codes
 * against rows. */
#include <math.h>

#include "backend/cpu/quant.h"
#include "base/mem.h"
#include "base/rng.h"
#include "generate_tests.h"
#include "model/codes.h"

static const char *const family[] = { "plain", "avx2", "avx512" };

struct fixture { /* a matrix as codes, and rows as floats */
    int n_in, n_block, n_out, n_row, bits, row_bits;
    bool gated;
    int8_t *code;
    float *scale, *min, *x;
    struct quant_packed w;
    struct quant_rows rows;
};

static void make(struct fixture *f, const struct quant_kernels *k)
{
    struct rng rng;
    int n_rows_w = f->gated ? 2 * f->n_out : f->n_out;
    f->n_block = (f->n_in + QUANT_BLOCK - 1) / QUANT_BLOCK;
    size_t n_code = (size_t)n_rows_w * (size_t)f->n_block * QUANT_BLOCK;
    f->code = xcalloc(n_code, 1);
    f->scale = NEW_ARRAY(float, n_code / QUANT_BLOCK);
    f->min = NEW_ARRAY(float, n_code / QUANT_BLOCK);
    f->x = NEW_ARRAY(float, (size_t)(f->n_row * f->n_in));
    rng_init(&rng, 3, "quant", (uint64_t)f->bits);
    for (size_t i = 0; i < n_code; i++)
        if ((int)(i % (size_t)(f->n_block * QUANT_BLOCK)) < f->n_in)
            f->code[i] =
                (int8_t)(f->bits == 4 ? (int)rng_below(&rng, 16) : (int)rng_below(&rng, 255) - 127);
    for (size_t i = 0; i < n_code / QUANT_BLOCK; i++) {
        f->scale[i] = (float)rng_uniform(&rng) / (f->bits == 4 ? 8 : 127);
        f->min[i] = -(float)rng_uniform(&rng);
    }
    for (int i = 0; i < f->n_row * f->n_in; i++)
        f->x[i] = (float)rng_normal(&rng) * (i % 7 == 0 ? 8.0f : 1.0f);
    quant_packed_init(&f->w, k, f->n_in, f->n_out, f->bits, true, f->gated);
    int n_col = f->gated ? k->n_col / 2 : k->n_col;
    for (int p = 0; p < f->w.n_panel; p++) {
        struct quant_column column[64] = { { NULL, NULL, NULL } };
        for (int c = 0; c < k->n_col; c++) {
            int o = p * n_col + c % n_col;
            size_t at = (size_t)(o + (c >= n_col ? f->n_out : 0)) * (size_t)f->n_block;
            if (o < f->n_out)
                column[c] =
                    (struct quant_column){ f->code + at * QUANT_BLOCK, f->scale + at, f->min + at };
        }
        quant_packed_fill(&f->w, k, p, column);
    }
    quant_rows_init(&f->rows, f->n_row, f->n_in, f->row_bits);
    for (int r = 0; r < f->n_row; r++)
        k->round_row(&f->rows, r, f->x + r * f->n_in, f->n_in);
}

static void release(struct fixture *f)
{
    quant_packed_release(&f->w);
    quant_rows_release(&f->rows);
    free(f->code);
    free(f->scale);
    free(f->min);
    free(f->x);
}

/* Activation i of a row as it was rounded: in 16 bits each four lie as 0 2 1 3. */
static double rounded(const struct quant_rows *x, int row, int i)
{
    static const int order[4] = { 0, 2, 1, 3 };
    size_t block = (size_t)row * (size_t)x->n_block + (size_t)(i / QUANT_BLOCK);
    size_t at = block * QUANT_BLOCK + (size_t)(i % QUANT_BLOCK / 4 * 4 + order[i % 4]);
    double scale = (double)x->scale[block];
    return x->bits == 8
               ? ((const int8_t *)x->code)[block * QUANT_BLOCK + (size_t)i % QUANT_BLOCK] * scale
               : ((const int16_t *)x->code)[at] * scale;
}

static double dot(const struct fixture *f, int r, int o, double *size)
{
    double sum = 0;
    *size = 1e-3;
    for (int i = 0; i < f->n_in; i++) {
        size_t block = (size_t)o * (size_t)f->n_block + (size_t)(i / QUANT_BLOCK);
        double w =
            f->code[block * QUANT_BLOCK + (size_t)(i % QUANT_BLOCK)] * (double)f->scale[block] +
            (double)f->min[block];
        sum += w * rounded(&f->rows, r, i);
        *size += fabs(w * rounded(&f->rows, r, i));
    }
    return sum;
}

static void check_rounding(const struct quant_kernels *k, const struct fixture *f)
{
    double worst = 0, most = f->row_bits == 8 ? 127 : 32767;
    for (int r = 0; r < f->n_row; r++)
        for (int b = 0; b < f->n_block; b++) {
            double max = 0, sum = 0;
            int first = b * QUANT_BLOCK,
                end = first + QUANT_BLOCK < f->n_in ? first + QUANT_BLOCK : f->n_in;
            for (int i = first; i < end; i++)
                max = fmax(max, fabs((double)f->x[r * f->n_in + i]));
            for (int i = first; i < end; i++) {
                double x = rounded(&f->rows, r, i);
                sum += x;
                worst = fmax(worst, fabs(x - (double)f->x[r * f->n_in + i]) / (max / most));
            }
            double got = (double)f->rows.sum[r * f->n_block + b];
            CHECK(fabs(got - sum) < 1e-5 * (1 + fabs(sum)), "%s: sum %g, want %g", k->name, got,
                  sum);
        }
    CHECK(worst < 0.51, "%s: activations of %d bits are off by %g steps", k->name, f->row_bits,
          worst);
}

static void check_product(const struct quant_kernels *k, struct fixture *f, enum decode_end end)
{
    make(f, k);
    check_rounding(k, f);
    size_t n_y = (size_t)f->n_row * (size_t)f->n_out;
    float *y = xaligned((n_y + 16) * sizeof *y), *one = xaligned((size_t)f->n_out * sizeof *one);
    for (size_t i = 0; i < n_y + 16; i++)
        y[i] = 7;
    k->product(&f->w, 0, f->w.n_panel, &f->rows, f->n_row, y, (size_t)f->n_out, end);
    double worst = 0, size, size_up;
    for (int r = 0; r < f->n_row; r++)
        for (int o = 0; o < f->n_out; o++) {
            double want = dot(f, r, o, &size);
            if (end == DECODE_ADD)
                want += 7;
            if (end == DECODE_SWIGLU) {
                double up = dot(f, r, o + f->n_out, &size_up);
                size = (size + fabs(want)) * (size_up + fabs(up)); /* silu' is below 1.1 */
                want = want / (1 + exp(-want)) * up;
            }
            worst = fmax(worst, fabs((double)y[r * f->n_out + o] - want) / size);
        }
    CHECK(worst < 2e-6,
          "%s %dx%d, weights %d bits, rows %d bits, end %d: off by %g of the sum of sizes", k->name,
          f->n_in, f->n_out, f->bits, f->row_bits, (int)end, worst);
    CHECK(y[n_y] == 7 && y[n_y + 15] == 7, "%s: wrote past the end", k->name);
    /* A row alone, panel by panel, has the same bits. */
    for (int r = 0; r<f->n_row; r += f->n_row> 20 ? 9 : 1) {
        struct quant_rows alone;
        quant_rows_init(&alone, 1, f->n_in, f->row_bits);
        k->round_row(&alone, 0, f->x + r * f->n_in, f->n_in);
        for (int o = 0; o < f->n_out; o++)
            one[o] = 7;
        for (int p = f->w.n_panel - 1; p >= 0; p--)
            k->product(&f->w, p, 1, &alone, 1, one, (size_t)f->n_out, end);
        CHECK(memcmp(one, y + (size_t)r * (size_t)f->n_out, (size_t)f->n_out * sizeof *one) == 0,
              "%s: row %d of %d differs from the row alone", k->name, r, f->n_row);
        quant_rows_release(&alone);
    }
    release(f);
    free(y);
    free(one);
}

void test_quant_products(void)
{
    static const int bits[3][2] = { { 4, 8 }, { 4, 16 }, { 8, 16 } };
    for (size_t i = 0; i < N_OF(family); i++) {
        const struct quant_kernels *k = quant_kernels_find(family[i]);
        for (size_t b = 0; k && b < N_OF(bits); b++)
            for (int n = 1; n < 140; n += n < 18 ? 1 : 61) {
                struct fixture f = {
                    .n_in = 64, .n_out = 64, .n_row = n, .bits = bits[b][0], .row_bits = bits[b][1]
                };
                check_product(k, &f, DECODE_STORE);
                f.n_in = 37 + 32 * 17, f.n_out = 75; /* more blocks than are unpacked at a time */
                check_product(k, &f, DECODE_ADD);
                f.n_in = 96, f.n_out = 45, f.gated = true;
                check_product(k, &f, DECODE_SWIGLU);
            }
    }
}

/* The largest codes of all kinds: no sum may run over. */
void test_quant_extremes(void)
{
    static const int bits[3][2] = { { 4, 8 }, { 4, 16 }, { 8, 16 } };
    enum { IN = 64 };
    for (size_t i = 0; i < N_OF(family); i++) {
        const struct quant_kernels *k = quant_kernels_find(family[i]);
        for (size_t b = 0; k && b < N_OF(bits); b++)
            for (int sign = -1; sign <= 1; sign += 2) {
                int8_t code[IN];
                float scale[2] = { 1, 1 }, min[2] = { 0, 0 }, x[IN], y;
                struct quant_packed w;
                struct quant_rows rows;
                memset(code, bits[b][0] == 4 ? 15 : 127, sizeof code);
                struct quant_column column[64] = { { code, scale, min } };
                for (int n = 0; n < IN; n++)
                    x[n] = (float)sign;
                quant_packed_init(&w, k, IN, 1, bits[b][0], false, false);
                quant_packed_fill(&w, k, 0, column);
                quant_rows_init(&rows, 1, IN, bits[b][1]);
                k->round_row(&rows, 0, x, IN);
                k->product(&w, 0, 1, &rows, 1, &y, 1, DECODE_STORE);
                float want = (float)(sign * IN * code[0]);
                CHECK(fabsf(y - want) < 1e-5f * fabsf(want), "%s %d/%d bits: %g, want %g", k->name,
                      bits[b][0], bits[b][1], (double)y, (double)want);
                for (int bad = 0; bad < 3; bad++) { /* a number that is none comes out as such */
                    x[40] = bad == 0 ? NAN : bad == 1 ? INFINITY : -INFINITY;
                    k->round_row(&rows, 0, x, IN);
                    k->product(&w, 0, 1, &rows, 1, &y, 1, DECODE_STORE);
                    CHECK(isnan(y), "%s: %g from %g", k->name, (double)y, (double)x[40]);
                }
                memset(x, 0, sizeof x);
                k->round_row(&rows, 0, x, IN);
                k->product(&w, 0, 1, &rows, 1, &y, 1, DECODE_STORE);
                CHECK(y == 0, "%s: %g from zeros", k->name, (double)y);
                quant_rows_release(&rows);
                quant_packed_release(&w);
            }
    }
}

/* Codes, scales and minima say what the row of floats says, for each type that is taken as it lies.
 */
void test_codes(void)
{
    struct weights *w;
    struct err err = { "" };
    NEED(weights_open(&w, TINY, &err) == ST_OK, "%s", err.msg);
    const struct weights_layer *l = &w->layer[0];
    const struct {
        const struct weight *w;
        int bits;
        bool exact, min;
    } t[] = { { &l->q, 4, true, true },      { &l->k, 8, true, false },
              { &l->v, 8, true, true },      { &l->o, 8, true, true },
              { &l->gate, 4, true, true },   { &l->up, 8, false, false },
              { &l->down, 8, false, false }, { &w->embed, 8, true, false } };
    for (size_t i = 0; i < N_OF(t); i++) {
        int8_t code[96];
        float scale[3], min[3], row[96];
        const char *type = gguf_type_name(t[i].w->tensor->type);
        NEED(t[i].w->n_col <= 96, "%d columns", t[i].w->n_col);
        CHECK(codes_bits(t[i].w) == t[i].bits && codes_has(t[i].w) == t[i].exact &&
                  codes_have_min(t[i].w) == t[i].min,
              "%s", type);
        for (int r = 0; t[i].exact && r < t[i].w->n_row; r++) {
            codes_row(code, scale, min, t[i].w, r);
            weight_row(row, t[i].w, r);
            for (int c = 0; c < t[i].w->n_col; c++) {
                double got = code[c] * (double)scale[c / 32] + (double)min[c / 32];
                double off = fabs(got - (double)row[c]) / (double)fabsf(scale[c / 32]);
                CHECK(off < 1e-4, "%s row %d, %d: %g, want %g", type, r, c, got, (double)row[c]);
                CHECK(t[i].bits == 8 || (code[c] >= 0 && code[c] < 16), "%s: code %d", type,
                      code[c]);
            }
        }
    }
    weights_close(w);
}
