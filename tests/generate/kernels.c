/* tests/generate/kernels.c - every family of kernels that runs here against plain loops in double. */
#include <math.h>

#include "backend/cpu/decode.h"
#include "base/mem.h"
#include "base/rng.h"
#include "generate_tests.h"

static const char *const family[] = { "plain", "avx2", "avx512" };

static float *normals(const char *what, size_t n)
{
    struct rng rng;
    float *x = xaligned(n * sizeof *x);
    rng_init(&rng, 1, what, 0);
    for (size_t i = 0; i < n; i++)
        x[i] = (float)rng_normal(&rng);
    return x;
}

static void pack(struct decode_packed *w, const struct decode_kernels *k, const float *rows,
                 int n_in, int n_out, int gated)
{
    decode_packed_init(w, k, n_in, n_out, gated);
    int n_col = gated ? k->n_col / 2 : k->n_col;
    for (int p = 0; p < w->n_panel; p++) {
        const float *at[64] = { NULL };
        for (int c = 0; c < k->n_col; c++) {
            int i = p * n_col + c % n_col;
            if (i < n_out)
                at[c] = rows + (size_t)(i + (c >= n_col ? n_out : 0)) * (size_t)n_in;
        }
        decode_packed_fill(w, k, p, at);
    }
}

/* x [row] weight' [out] in double. */
static double dot(const float *x, const float *w, int n)
{
    double sum = 0;
    for (int i = 0; i < n; i++)
        sum += (double)x[i] * (double)w[i];
    return sum;
}

static void products(const struct decode_kernels *k, int n_in, int n_out, enum decode_end end)
{
    enum { ROWS = 27 };
    int gated = end == DECODE_SWIGLU;
    float *rows = normals("weights", (size_t)n_in * (size_t)n_out * 2);
    float *x = normals("inputs", (size_t)n_in * ROWS), *start = normals("y", (size_t)n_out * ROWS);
    float *y = xaligned((size_t)n_out * ROWS * sizeof *y), *one = xaligned((size_t)n_out * 4);
    struct decode_packed w;
    pack(&w, k, rows, n_in, n_out, gated);
    for (int n = 1; n <= ROWS; n++) {
        double worst = 0;
        memcpy(y, start, (size_t)n_out * ROWS * sizeof *y);
        k->product(&w, 0, w.n_panel, x, (size_t)n_in, n, y, (size_t)n_out, end);
        for (int r = 0; r < n; r++)
            for (int o = 0; o < n_out; o++) {
                const float *xr = x + (size_t)r * (size_t)n_in;
                double want = dot(xr, rows + (size_t)o * (size_t)n_in, n_in);
                if (end == DECODE_ADD)
                    want += (double)start[r * n_out + o];
                if (gated)
                    want = want / (1 + exp(-want)) *
                           dot(xr, rows + (size_t)(o + n_out) * (size_t)n_in, n_in);
                worst = fmax(worst, fabs((double)y[r * n_out + o] - want) / (1 + fabs(want)));
            }
        CHECK(worst < 1e-4, "%s %dx%d, %d rows, end %d: off by %g", k->name, n_in, n_out, n, end,
              worst);
        /* A row alone has the same bits. */
        int r = n - 1;
        memcpy(one, start + (size_t)r * (size_t)n_out, (size_t)n_out * sizeof *one);
        for (int p = 0; p < w.n_panel; p++)
            k->product(&w, p, 1, x + (size_t)r * (size_t)n_in, (size_t)n_in, 1, one, (size_t)n_out,
                       end);
        CHECK(memcmp(one, y + (size_t)r * (size_t)n_out, (size_t)n_out * sizeof *one) == 0,
              "%s: row %d of %d differs from the row alone", k->name, r, n);
        CHECK(n == ROWS || memcmp(y + (size_t)n * (size_t)n_out, start + (size_t)n * (size_t)n_out,
                                  (size_t)n_out * sizeof *y) == 0,
              "%s: wrote past row %d", k->name, n);
    }
    decode_packed_release(&w);
    free(rows);
    free(x);
    free(start);
    free(y);
    free(one);
}

void test_products(void)
{
    for (size_t f = 0; f < N_OF(family); f++) {
        const struct decode_kernels *k = decode_kernels_find(family[f]);
        if (!k) {
            printf("%s kernels: not on this processor\n", family[f]);
            continue;
        }
        products(k, 64, 64, DECODE_STORE);
        products(k, 37, 75, DECODE_STORE);
        products(k, 96, 61, DECODE_ADD);
        products(k, 41, 45, DECODE_SWIGLU);
    }
}

static void attention(const struct decode_kernels *k, int d, int n_pos)
{
    int n_block = (n_pos + DECODE_BLOCK - 1) / DECODE_BLOCK, n_row = k->n_attn_rows;
    size_t half = (size_t)d * DECODE_BLOCK, n = (size_t)n_block * half;
    float *key = normals("keys", n), *value = normals("values", n),
          *q = normals("queries", (size_t)d * (size_t)n_row);
    float *out = xaligned((size_t)d * (size_t)n_row * sizeof *out),
          *scores = xaligned((size_t)n_row * (size_t)(n_pos + DECODE_BLOCK) * sizeof *scores);
    uint16_t **block = NEW_ARRAY(uint16_t *, (size_t)n_block), tmp[256];
    for (int b = 0; b < n_block; b++) {
        block[b] = xaligned(2 * half * sizeof **block);
        for (int i = 0; i < DECODE_BLOCK; i++) { /* as the cache is laid out */
            size_t pos = (size_t)(b * DECODE_BLOCK + i) * (size_t)d;
            k->to_f16(tmp, key + pos, d);
            for (int c = 0; c < d; c++)
                block[b][c * DECODE_BLOCK + i] = tmp[c];
            k->to_f16(block[b] + half + (size_t)i * (size_t)d, value + pos, d);
        }
    }
    float *outs[8];
    const float *qs[8];
    int sees[8];
    double worst = 0;
    for (int i = 0; i < n_row; i++) {
        outs[i] = out + i * d;
        qs[i] = q + i * d;
        sees[i] = n_pos - i > 0 ? n_pos - i : 1;
    }
    k->attend(outs, qs, sees, n_row, block, 0, d, scores);
    for (int i = 0; i < n_row; i++) {
        double sum = 0, want[256] = { 0 };
        for (int p = 0; p < sees[i]; p++) {
            double e = exp(dot(qs[i], key + (size_t)p * (size_t)d, d));
            sum += e;
            for (int c = 0; c < d; c++)
                want[c] += e * (double)value[(size_t)p * (size_t)d + (size_t)c];
        }
        for (int c = 0; c < d; c++)
            worst = fmax(worst, fabs((double)outs[i][c] - want[c] / sum));
        float alone[256], *at = alone; /* one query without the others: the same bits */
        k->attend(&at, &qs[i], &sees[i], 1, block, 0, d, scores);
        CHECK(memcmp(alone, outs[i], (size_t)d * sizeof *alone) == 0,
              "%s: query %d of %d differs from the query alone", k->name, i, n_row);
    }
    CHECK(worst < 2e-2, "%s d %d, %d positions: off by %g", k->name, d, n_pos, worst);
    for (int b = 0; b < n_block; b++)
        free(block[b]);
    free(block);
    free(key);
    free(value);
    free(q);
    free(out);
    free(scores);
}

void test_attention(void)
{
    for (size_t f = 0; f < N_OF(family); f++) {
        const struct decode_kernels *k = decode_kernels_find(family[f]);
        for (int n = 1; k && n <= 130; n += n < 40 ? 1 : 11) {
            attention(k, 32, n);
            attention(k, 64, n);
        }
    }
}

static void row_kernels(const struct decode_kernels *k)
{
    for (int n = 1; n < 700; n += n < 40 ? 1 : 97) {
        float *x = normals("row", (size_t)n), *w = normals("gain", (size_t)n),
              *y = xaligned((size_t)n * sizeof *y);
        double sum = 0, worst = 0, max = -INFINITY;
        for (int i = 0; i < n; i++) {
            sum += (double)x[i] * (double)x[i];
            max = fmax(max, (double)x[i]);
        }
        k->rmsnorm(y, x, w, n, 1e-5f);
        for (int i = 0; i < n; i++)
            worst = fmax(worst,
                         fabs((double)y[i] - (double)x[i] / sqrt(sum / n + 1e-5) * (double)w[i]));
        CHECK(worst < 1e-5, "%s rmsnorm of %d: off by %g", k->name, n, worst);
        CHECK((double)k->max(x, n) == max, "%s max of %d", k->name, n);
        double got = k->exp_sum(y, x, n, (float)max, 0.7f), want = 0;
        for (int i = 0; i < n; i++)
            want += exp(((double)x[i] - max) * (double)0.7f);
        CHECK(fabs(got - want) < 1e-5 * want, "%s exp_sum of %d: %g, want %g", k->name, n, got,
              want);
        uint32_t index[700];
        int n_found = k->at_least(x, n, 0.5f, index, 700), n_want = 0;
        for (int i = 0; i < n; i++)
            if (x[i] >= 0.5f) {
                CHECK(n_want < n_found && index[n_want] == (uint32_t)i, "%s at_least", k->name);
                n_want++;
            }
        CHECK(n_found == n_want, "%s at_least finds %d of %d", k->name, n_found, n_want);
        free(x);
        free(w);
        free(y);
    }
    /* Halves: exact ones stay, the others go to the nearest, far ones to the ends. */
    static const float from[] = { 0,        1,        -2.5f,       65504,         1e9f,   -INFINITY,
                                  0x1p-24f, 0x1p-15f, 1.00048828f, 1.0014648438f, 2049.0f };
    static const uint16_t want[] = { 0,      0x3c00, 0xc100, 0x7bff, 0x7bff, 0xfbff,
                                     0x0001, 0x0200, 0x3c00, 0x3c02, 0x6800 };
    uint16_t got[N_OF(from)];
    k->to_f16(got, from, N_OF(from));
    for (size_t i = 0; i < N_OF(from); i++)
        CHECK(got[i] == want[i], "%s: half of %g is %04x, want %04x", k->name, (double)from[i],
              got[i], want[i]);
}

void test_row_kernels(void)
{
    for (size_t f = 0; f < N_OF(family); f++)
        if (decode_kernels_find(family[f]))
            row_kernels(decode_kernels_find(family[f]));
}
