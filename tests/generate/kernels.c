/* tests/generate/kernels.c - every family of kernels that runs here against plain loops in double. */
#include <math.h>

#include "backend/cpu/decode.h"
#include "base/half.h"
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

/* What attention over a form of the cache may be off by, from exact keys and values that are normal: scores are sums of
 * d products, so it grows with the root of d. */
static double attention_bound(enum decode_kv kv, int d)
{
    return kv == DECODE_KV_F16 ? 2e-2 : 0.02 * (1 + sqrt((double)d));
}

struct cache { /* one sequence's of one head, by one family of kernels */
    uint8_t **block;
    int n_block;
};

static void fill_cache(struct cache *c, const struct decode_kernels *k, enum decode_kv kv,
                       const float *key, const float *value, int n_pos, int d, int d_pad)
{
    c->n_block = (n_pos + DECODE_BLOCK - 1) / DECODE_BLOCK;
    c->block = NEW_ARRAY(uint8_t *, (size_t)c->n_block);
    for (int b = 0; b < c->n_block; b++)
        c->block[b] = xaligned(decode_kv_bytes(kv, d_pad));
    for (int pos = 0; pos < n_pos; pos++)
        k->kv[kv].put(c->block[pos / DECODE_BLOCK], pos % DECODE_BLOCK,
                      key + (size_t)pos * (size_t)d, value + (size_t)pos * (size_t)d, d, d_pad);
}

static void release_cache(struct cache *c)
{
    for (int b = 0; b < c->n_block; b++)
        free(c->block[b]);
    free(c->block);
}

static void attention(const struct decode_kernels *k, enum decode_kv kv, int d, int n_pos)
{
    int n_row = k->n_attn_rows, d_pad = (d + DECODE_BLOCK - 1) / DECODE_BLOCK * DECODE_BLOCK;
    size_t n = (size_t)n_pos * (size_t)d, n_out = (size_t)d_pad * (size_t)n_row;
    float *key = normals("keys", n), *value = normals("values", n), *q = normals("queries", n_out),
          *out = xaligned(n_out * sizeof *out), *plain_out = xaligned(n_out * sizeof *out),
          *scores = xaligned((size_t)n_row * (size_t)(n_pos + DECODE_BLOCK) * sizeof *scores);
    const struct decode_kernels *plain = decode_kernels_plain();
    struct cache cache, want_cache;
    fill_cache(&cache, k, kv, key, value, n_pos, d, d_pad);
    fill_cache(&want_cache, plain, kv, key, value, n_pos, d, d_pad);
    for (int b = 0; b < cache.n_block; b++)
        CHECK(memcmp(cache.block[b], want_cache.block[b], decode_kv_bytes(kv, d_pad)) == 0,
              "%s kv %d d %d: block %d holds other bytes than plain C's", k->name, (int)kv, d, b);
    float *outs[8];
    const float *qs[8];
    int sees[8];
    double worst = 0, from_plain = 0;
    for (int i = 0; i < n_row; i++) {
        memset(q + i * d_pad + d, 0, (size_t)(d_pad - d) * sizeof *q);
        outs[i] = out + i * d_pad;
        qs[i] = q + i * d_pad;
        sees[i] = n_pos - i > 0 ? n_pos - i : 1;
    }
    k->kv[kv].attend(outs, qs, sees, n_row, cache.block, 0, d_pad, scores);
    for (int i = 0; i < n_row; i++) {
        double sum = 0, want[256] = { 0 };
        for (int p = 0; p < sees[i]; p++) {
            double e = exp(dot(qs[i], key + (size_t)p * (size_t)d, d));
            sum += e;
            for (int c = 0; c < d; c++)
                want[c] += e * (double)value[(size_t)p * (size_t)d + (size_t)c];
        }
        float *by_plain = plain_out + i * d_pad;
        plain->kv[kv].attend(&by_plain, &qs[i], &sees[i], 1, want_cache.block, 0, d_pad, scores);
        for (int c = 0; c < d; c++) {
            worst = fmax(worst, fabs((double)outs[i][c] - want[c] / sum));
            from_plain = fmax(from_plain, fabs((double)outs[i][c] - (double)by_plain[c]));
        }
        float alone[256], *at = alone; /* one query without the others: the same bits */
        k->kv[kv].attend(&at, &qs[i], &sees[i], 1, cache.block, 0, d_pad, scores);
        CHECK(memcmp(alone, outs[i], (size_t)d * sizeof *alone) == 0,
              "%s: query %d of %d differs from the query alone", k->name, i, n_row);
    }
    CHECK(worst < attention_bound(kv, d), "%s kv %d d %d, %d positions: off by %g", k->name,
          (int)kv, d, n_pos, worst);
    CHECK(from_plain < 1e-4, "%s kv %d d %d, %d positions: %g from plain C", k->name, (int)kv, d,
          n_pos, from_plain);
    release_cache(&cache);
    release_cache(&want_cache);
    free(key);
    free(value);
    free(q);
    free(out);
    free(plain_out);
    free(scores);
}

void test_attention(void)
{
    for (size_t f = 0; f < N_OF(family); f++) {
        const struct decode_kernels *k = decode_kernels_find(family[f]);
        for (int n = 1; k && n <= 130; n += n < 40 ? 1 : 11)
            for (int kv = 0; kv < N_DECODE_KV; kv++) {
                attention(k, (enum decode_kv)kv, 12, n);
                attention(k, (enum decode_kv)kv, 32, n);
                attention(k, (enum decode_kv)kv, 64, n);
                attention(k, (enum decode_kv)kv, 80, n);
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
}

void test_row_kernels(void)
{
    for (size_t f = 0; f < N_OF(family); f++)
        if (decode_kernels_find(family[f]))
            row_kernels(decode_kernels_find(family[f]));
}

/* Halves: exact ones stay, the others go to the nearest, far ones to the ends. */
static void kept_halves(const struct decode_kernels *k)
{
    enum { D = 11, PAD = 32 };
    static const float from[D] = { 0,         1,        -2.5f,    65504,       1e9f,
                                   -INFINITY, 0x1p-24f, 0x1p-15f, 1.00048828f, 1.0014648438f,
                                   2049.0f };
    static const uint16_t want[D] = { 0,      0x3c00, 0xc100, 0x7bff, 0x7bff, 0xfbff,
                                      0x0001, 0x0200, 0x3c00, 0x3c02, 0x6800 };
    uint16_t *at = xaligned(decode_kv_bytes(DECODE_KV_F16, PAD));
    k->kv[DECODE_KV_F16].put((uint8_t *)at, 5, from, from, D, PAD);
    for (int i = 0; i < D; i++) {
        uint16_t key = at[i * DECODE_BLOCK + 5], value = at[PAD * (DECODE_BLOCK + 5) + i];
        CHECK(key == want[i] && value == want[i], "%s: half of %g is %04x and %04x, want %04x",
              k->name, (double)from[i], key, value, want[i]);
    }
    free(at);
}

/* Bytes: a value is off by half a step of its group at most, other groups and positions do not matter, and what is not a
 * number is not hidden. */
static void kept_bytes(const struct decode_kernels *k)
{
    enum { D = 80, PAD = 96, POS = 7 };
    uint8_t *at = xaligned(decode_kv_bytes(DECODE_KV_Q8, PAD));
    const uint8_t *values = at + PAD * DECODE_BLOCK;
    const uint16_t *key_scale = (const uint16_t *)(values + PAD * DECODE_BLOCK);
    const uint16_t *value_scale = key_scale + PAD / DECODE_KV_GROUP * DECODE_BLOCK;
    static const float size[3] = { 1e-3f, 1e5f, 1e-7f }; /* of each group; beyond 65504 is cut */
    float *key = normals("keys", D), *value = normals("values", D);
    for (int i = 0; i < D; i++) {
        key[i] *= size[i / DECODE_KV_GROUP];
        value[i] *= size[2 - i / DECODE_KV_GROUP];
    }
    key[3] = 0;
    k->kv[DECODE_KV_Q8].put(at, POS, key, value, D, PAD);
    for (int i = 0; i < PAD; i++) {
        int g = i / DECODE_KV_GROUP * DECODE_BLOCK + POS;
        double by_key = (double)float_from_f16(key_scale[g]),
               by_value = (double)float_from_f16(value_scale[g]);
        double want_key = i < D ? fmax(-65504, fmin(65504, (double)key[i])) : 0;
        double want_value = i < D ? fmax(-65504, fmin(65504, (double)value[i])) : 0;
        double got_key = by_key * (int8_t)at[i * DECODE_BLOCK + POS];
        double got_value = by_value * (int8_t)values[POS * PAD + i];
        /* Below the smallest half a scale is coarse: what is smaller than 4e-6 may lose all. */
        CHECK(fabs(got_key - want_key) <= fmax(by_key * 0.5001, 4e-6), "%s: key %d is %g, want %g",
              k->name, i, got_key, want_key);
        CHECK(fabs(got_value - want_value) <= fmax(by_value * 0.5001, 4e-6),
              "%s: value %d is %g, want %g", k->name, i, got_value, want_value);
    }
    static const float bad[] = { NAN, INFINITY, -INFINITY };
    for (size_t i = 0; i < N_OF(bad); i++) {
        key[40] = bad[i];
        k->kv[DECODE_KV_Q8].put(at, POS, key, value, D, PAD);
        float scale = float_from_f16(key_scale[DECODE_BLOCK + POS]);
        CHECK(i == 0 ? scale != scale : scale > 500, "%s: scale %g of a group with %g", k->name,
              (double)scale, (double)bad[i]);
        CHECK(float_from_f16(key_scale[POS]) < 1, "%s: a neighbour's scale", k->name);
    }
    free(at);
    free(key);
    free(value);
}

void test_kept(void)
{
    for (size_t f = 0; f < N_OF(family); f++)
        if (decode_kernels_find(family[f])) {
            kept_halves(decode_kernels_find(family[f]));
            kept_bytes(decode_kernels_find(family[f]));
        }
}
