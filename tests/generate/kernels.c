/* tests/generate/kernels.c - every family of kernels that runs here against plain loops in double.
 */
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

struct cache { /* one sequence's of one head, written by one family of kernels */
    enum decode_kv kv;
    int d, d_pad, n_pos, n_block;
    uint8_t **block;
};

static void cache_init(struct cache *c, const struct decode_kernels *k, enum decode_kv kv, int d,
                       int n_pos, const float *key, const float *value)
{
    *c = (struct cache){ .kv = kv,
                         .d = d,
                         .d_pad = (d + DECODE_BLOCK - 1) / DECODE_BLOCK * DECODE_BLOCK,
                         .n_pos = n_pos,
                         .n_block = (n_pos + DECODE_BLOCK - 1) / DECODE_BLOCK };
    c->block = NEW_ARRAY(uint8_t *, (size_t)c->n_block);
    for (int b = 0; b < c->n_block; b++)
        c->block[b] = xaligned(decode_kv_bytes(kv, c->d_pad));
    for (int pos = 0; pos < n_pos; pos++)
        k->kv[kv].put(c->block[pos / DECODE_BLOCK], pos % DECODE_BLOCK, key + pos * d,
                      value + pos * d, d, c->d_pad);
}

static void cache_release(struct cache *c)
{
    for (int b = 0; b < c->n_block; b++)
        free(c->block[b]);
    free(c->block);
}

/* Dimension i of what the cache holds of a key or a value, as decode.h lays it out. */
static float cache_at(const struct cache *c, int pos, int i, bool value)
{
    const uint8_t *at = c->block[pos / DECODE_BLOCK];
    int n = c->d_pad * DECODE_BLOCK, p = pos % DECODE_BLOCK;
    int k = value ? n + p * c->d_pad + i : i * DECODE_BLOCK + p;
    if (c->kv == DECODE_KV_F16)
        return float_from_f16(((const uint16_t *)at)[k]);
    const uint16_t *scale = (const uint16_t *)(at + 2 * n) + (value ? c->d_pad : 0);
    return float_from_f16(scale[i / DECODE_KV_GROUP * DECODE_BLOCK + p]) * (float)(int8_t)at[k];
}

/* Attention by the formula, in double; the largest difference to it. */
static double off_by(const float *out, const float *q, const float *key, const float *value,
                     int n_pos, int d)
{
    double sum = 0, want[256] = { 0 }, worst = 0;
    for (int p = 0; p < n_pos; p++) {
        double e = exp(dot(q, key + p * d, d));
        sum += e;
        for (int i = 0; i < d; i++)
            want[i] += e * (double)value[p * d + i];
    }
    for (int i = 0; i < d; i++)
        worst = fmax(worst, fabs((double)out[i] - want[i] / sum));
    return worst;
}

/* Against the formula over what the cache holds attention is as good as floats are. Over the keys
 * and values that were put there it is off by what the form costs: normal ones in bytes change a
 * score by about 0.006 sqrt(d), a few times that at worst. Plain C writes the same bytes and reads
 * the same from them. */
static void attention(const struct decode_kernels *k, enum decode_kv kv, int d, int n_pos)
{
    const struct decode_kernels *plain = decode_kernels_plain();
    float *key = normals("keys", (size_t)(n_pos * d)),
          *value = normals("values", (size_t)(n_pos * d)),
          *kept_key = xaligned((size_t)(n_pos * d) * sizeof *kept_key),
          *kept_value = xaligned((size_t)(n_pos * d) * sizeof *kept_value);
    struct cache cache, by_plain;
    cache_init(&cache, k, kv, d, n_pos, key, value);
    cache_init(&by_plain, plain, kv, d, n_pos, key, value);
    for (int b = 0; b < cache.n_block; b++)
        CHECK(memcmp(cache.block[b], by_plain.block[b], decode_kv_bytes(kv, cache.d_pad)) == 0,
              "%s kv %d d %d: block %d holds other bytes than plain C's", k->name, (int)kv, d, b);
    for (int i = 0; i < n_pos * d; i++) {
        kept_key[i] = cache_at(&cache, i / d, i % d, false);
        kept_value[i] = cache_at(&cache, i / d, i % d, true);
    }
    int n_row = k->n_attn_rows, d_pad = cache.d_pad, sees[8];
    float *q = normals("queries", (size_t)(n_row * d_pad)),
          *out = xaligned((size_t)(n_row * d_pad) * sizeof *out),
          *scores = xaligned((size_t)(n_row * (n_pos + DECODE_BLOCK)) * sizeof *scores), *outs[8];
    const float *qs[8];
    for (int i = 0; i < n_row; i++) {
        memset(q + i * d_pad + d, 0, (size_t)(d_pad - d) * sizeof *q);
        outs[i] = out + i * d_pad;
        qs[i] = q + i * d_pad;
        sees[i] = n_pos - i > 0 ? n_pos - i : 1;
    }
    k->kv[kv].attend(outs, qs, sees, n_row, cache.block, 0, d_pad, scores);
    double limit = kv == DECODE_KV_F16 ? 2e-2 : 0.02 * (1 + sqrt((double)d));
    for (int i = 0; i < n_row; i++) {
        double wrong = off_by(outs[i], qs[i], kept_key, kept_value, sees[i], d);
        double lost = off_by(outs[i], qs[i], key, value, sees[i], d), from_plain = 0;
        CHECK(wrong < 1e-4, "%s kv %d d %d, %d positions: off by %g", k->name, (int)kv, d, n_pos,
              wrong);
        CHECK(lost < limit, "%s kv %d d %d, %d positions: %g lost", k->name, (int)kv, d, n_pos,
              lost);
        float alone[256], *at = alone; /* one query without the others: the same bits */
        k->kv[kv].attend(&at, &qs[i], &sees[i], 1, cache.block, 0, d_pad, scores);
        CHECK(memcmp(alone, outs[i], (size_t)d * sizeof *alone) == 0,
              "%s: query %d of %d differs from the query alone", k->name, i, n_row);
        plain->kv[kv].attend(&at, &qs[i], &sees[i], 1, by_plain.block, 0, d_pad, scores);
        for (int c = 0; c < d; c++)
            from_plain = fmax(from_plain, fabs((double)outs[i][c] - (double)alone[c]));
        CHECK(from_plain < 1e-4, "%s kv %d d %d, %d positions: %g from plain C", k->name, (int)kv,
              d, n_pos, from_plain);
    }
    cache_release(&cache);
    cache_release(&by_plain);
    free(key);
    free(value);
    free(kept_key);
    free(kept_value);
    free(q);
    free(out);
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

/* Bytes: a value is off by half a step of its group at most, other groups do not matter, and what
 * is not a number is not hidden. Below the smallest half a scale is coarse: what is smaller than
 * 4e-6 may be lost. */
static void kept_bytes(const struct decode_kernels *k)
{
    enum { D = 80, N_GROUP = 3 };
    static const float size[N_GROUP] = { 1e-3f, 1e5f, 1e-7f }; /* beyond 65504 is cut */
    static const float bad[] = { NAN, INFINITY, -INFINITY };
    float *x[2] = { normals("keys", D), normals("values", D) };
    double most[2][N_GROUP] = { { 0 } };
    for (int i = 0; i < D; i++)
        for (int v = 0; v < 2; v++) {
            int g = i / DECODE_KV_GROUP;
            x[v][i] *= size[v ? N_GROUP - 1 - g : g];
            most[v][g] = fmax(most[v][g], fmin(65504, fabs((double)x[v][i])));
        }
    x[0][3] = 0;
    struct cache c;
    cache_init(&c, k, DECODE_KV_Q8, D, 1, x[0], x[1]);
    for (int i = 0; i < D; i++)
        for (int v = 0; v < 2; v++) {
            double want = fmax(-65504, fmin(65504, (double)x[v][i]));
            double got = (double)cache_at(&c, 0, i, v), step = most[v][i / DECODE_KV_GROUP] / 127;
            CHECK(fabs(got - want) <= fmax(step * 0.501, 4e-6), "%s: %s %d is %g, want %g", k->name,
                  v ? "value" : "key", i, got, want);
        }
    for (int i = D; i < c.d_pad; i++)
        CHECK(cache_at(&c, 0, i, false) == 0 && cache_at(&c, 0, i, true) == 0,
              "%s: dimension %d is none", k->name, i);
    float whole = cache_at(&c, 0, 0, false);
    for (size_t b = 0; b < N_OF(bad); b++) {
        x[0][40] = bad[b];
        k->kv[DECODE_KV_Q8].put(c.block[0], 0, x[0], x[1], D, c.d_pad);
        float got = cache_at(&c, 0, 40, false);
        CHECK(b == 0 ? got != got : fabsf(got - copysignf(65504, bad[b])) < 32, "%s: %g became %g",
              k->name, (double)bad[b], (double)got);
        CHECK(cache_at(&c, 0, 0, false) == whole, "%s: a neighbour of %g changed", k->name,
              (double)bad[b]);
    }
    cache_release(&c);
    free(x[0]);
    free(x[1]);
}

void test_kept(void)
{
    for (size_t f = 0; f < N_OF(family); f++)
        if (decode_kernels_find(family[f])) {
            kept_halves(decode_kernels_find(family[f]));
            kept_bytes(decode_kernels_find(family[f]));
        }
}
