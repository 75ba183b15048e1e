/* backend/cpu/isa.c - see isa.h. */
#include "backend/cpu/isa.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "backend/cpu/features.h"
#include "backend/cpu/peak.h"
#include "base/attr.h"
#include "base/log.h"

/* Fastest fp32 first, and with the instruction the fastest bf16 first. */
static const struct row {
    struct isa isa;
    enum feature needs;
} row[] = {
#if defined(__x86_64__)
    { { "amx", &kernels_avx512, &bf16_amx, true }, FEATURE_AMX },
    { { "avx512bf16", &kernels_avx512, &bf16_avx512, true }, FEATURE_AVX512BF16 },
    { { "avx512", &kernels_avx512, &bf16_avx2, false }, FEATURE_AVX512 },
    { { "avx2", &kernels_avx2, &bf16_avx2, false }, FEATURE_AVX2 },
#endif
    { { "plain", &kernels_plain, &bf16_plain, false }, FEATURE_NONE },
};

/* bf16 costs digits: it must be worth them. Measured ratios are about 0.5 (Intel's AVX512-BF16), 2
 * (Zen 4) and 16 (AMX), so that no disturbance of a measurement carries one across. */
#define GAIN_MIN 1.3

enum {
    K = 37,
    ROWS = 32,
    COLS = 32,
    PAIRS = 32
}; /* no family has larger tiles, nor more pairs for K */

static float pseudo(unsigned i) /* reproducible values in (-1, 1) */
{
    return (float)((i * 2654435761u) >> 8) / 8388608.0f - 1.0f;
}

static bool near(double got, double want)
{
    return fabs(got - want) <= 1e-4 * (1 + fabs(want)); /* false for NaN */
}

static void fill(float *x, size_t n, unsigned first)
{
    for (size_t i = 0; i < n; i++)
        x[i] = pseudo((unsigned)i + first);
}

/* Whole tiles, and each number of rows and columns beside them. */
static bool worth_trying(int mr, int nr, int max_mr, int max_nr)
{
    return mr == max_mr || nr == max_nr || (mr < 3 && nr < 3);
}

static bool tiles_right(const struct kernels *k)
{
    float a[K * ROWS], b[K * COLS], panel[K * COLS], packed[K * ROWS], c[ROWS * COLS];
    fill(a, N_OF(a), 1);
    fill(b, N_OF(b), 5000);
    for (int mr = 1; mr <= k->mr; mr++)
        for (int nr = 1; nr <= k->nr; nr++) {
            if (!worth_trying(mr, nr, k->mr, k->nr))
                continue;
            struct tile t = { .mr = mr, .nr = nr, .kc = K, .b = panel, .c = c, .ldc = COLS };
            k->pack_rows(panel, b, COLS, K, nr);
            k->pack_tiles(packed, a, ROWS, K, mr);
            t.a = packed, t.a_rs = 1, t.a_cs = (size_t)k->mr;
            k->tile_cols(&t);
            for (int i = 0; i < mr * nr; i++) {
                double sum = 0;
                for (int n = 0; n < K; n++)
                    sum += (double)a[n * ROWS + i / nr] * (double)b[n * COLS + i % nr];
                if (!near((double)c[i / nr * COLS + i % nr], sum))
                    return false;
            }
            k->pack_cols(panel, b, K, K, nr);
            t.a = a, t.a_rs = K, t.a_cs = 1;
            t.from = c, t.ld_from = COLS;
            memset(c, 0, sizeof c);
            k->tile_rows(&t);
            for (int i = 0; i < mr * nr; i++) {
                double sum = 0;
                for (int n = 0; n < K; n++)
                    sum += (double)a[i / nr * K + n] * (double)b[i % nr * K + n];
                if (!near((double)c[i / nr * COLS + i % nr], sum))
                    return false;
            }
        }
    return true;
}

static bool elements_right(const struct kernels *k)
{
    float x[K], y[K], want[K], max;
    double sum = 0, top = -2;
    for (unsigned i = 0; i < K; i++) {
        x[i] = 3 * pseudo(i + 7);
        top = (double)x[i] > top ? (double)x[i] : top;
    }
    for (int i = 0; i < K; i++) {
        want[i] = expf(x[i] - (float)top);
        sum += (double)want[i];
    }
    memcpy(y, x, sizeof y);
    if (!near((double)k->softmax_exp(y, K, &max), sum) || (double)max != top)
        return false;
    for (int i = 0; i < K; i++)
        if (!near((double)y[i], (double)want[i]))
            return false;
    sum = 0;
    for (int i = 0; i < K; i++)
        sum += (double)x[i] * (double)x[i];
    for (int i = 0; i < K; i++)
        want[i] = 1;
    k->rmsnorm(y, x, want, K, 1e-5f);
    for (int i = 0; i < K; i++)
        if (!near((double)y[i], (double)x[i] / sqrt(sum / K + 1e-5)))
            return false;
    return near(k->sumsq(x, K), sum);
}

static float rounded(float x) /* the nearest bfloat16 */
{
    uint32_t u;
    memcpy(&u, &x, sizeof u);
    u = (u + 0x7fff + (u >> 16 & 1)) & 0xffff0000u;
    memcpy(&x, &u, sizeof x);
    return x;
}

/* What tiles are made from, and what they may keep of it. */
struct bf16_samples {
    float x[ROWS * K], y[K * COLS], x_rounded[ROWS * K], y_rounded[K * COLS];
};

/* Twice the sum that a tile has at [i][j]: it was added to itself. */
static double bf16_want(const struct bf16_samples *s, int i, int j, bool transposed)
{
    double sum = 0;
    for (int k = 0; k < K; k++)
        sum += (double)s->x_rounded[transposed ? k * ROWS + i : i * K + k] *
               (double)s->y_rounded[transposed ? j * K + k : k * COLS + j];
    return 2 * sum;
}

/* A tile of a [mr][K] and b [K][nr], lying so or transposed: once by itself, once added to that. */
static bool bf16_tile_right(const struct bf16_kernels *b, const struct bf16_samples *s, int mr,
                            int nr, bool transposed)
{
    static const float untouched = 7;
    uint32_t a[ROWS * PAIRS], panel[COLS * PAIRS];
    float c[ROWS * COLS];
    int n_pair = (K + b->k_unit - 1) / b->k_unit * b->k_unit / 2;
    struct bf16_tile t = { mr, nr, n_pair, a, PAIRS, panel, c, COLS, NULL, 0 };
    memset(a, 0, sizeof a);
    for (size_t i = 0; i < N_OF(c); i++)
        c[i] = untouched;
    if (transposed) {
        b->pack_a_t(a, PAIRS, s->x, ROWS, mr, K, n_pair);
        b->pack_b_t(panel, s->y, K, nr, K, n_pair);
    } else {
        b->pack_a(a, PAIRS, s->x, K, mr, K, n_pair);
        b->pack_b(panel, s->y, COLS, nr, K, n_pair);
    }
    if (b->begin)
        b->begin();
    b->tile(&t);
    t.from = c;
    t.ld_from = COLS;
    b->tile(&t);
    if (b->end)
        b->end();
    for (int i = 0; i < ROWS; i++)
        for (int j = 0; j < COLS; j++) {
            bool inside = i < mr && j < nr;
            double want = inside ? bf16_want(s, i, j, transposed) : (double)untouched;
            if (!near((double)c[i * COLS + j], want))
                return false;
        }
    return true;
}

static bool bf16_right(const struct bf16_kernels *b)
{
    struct bf16_samples s;
    fill(s.x, N_OF(s.x), 1);
    fill(s.y, N_OF(s.y), 5000);
    for (size_t i = 0; i < N_OF(s.x); i++)
        s.x_rounded[i] = rounded(s.x[i]);
    for (size_t i = 0; i < N_OF(s.y); i++)
        s.y_rounded[i] = rounded(s.y[i]);
    for (int mr = 1; mr <= b->mr; mr++)
        for (int nr = 1; nr <= b->nr; nr++)
            for (int t = 0; worth_trying(mr, nr, b->mr, b->nr) && t < 2; t++)
                if (!bf16_tile_right(b, &s, mr, nr, t != 0))
                    return false;
    return true;
}

enum st isa_check(const struct isa *isa, enum precision p, struct err *err)
{
    bool right = tiles_right(isa->k) && elements_right(isa->k);
    if (right && p == PRECISION_BF16)
        right = bf16_right(isa->b);
    return right ? ST_OK
                 : err_set(err, ST_UNSUPPORTED,
                           "the %s kernels give wrong results on this processor; use "
                           "MIXLAW_ISA=plain",
                           isa->name);
}

const struct isa *isa_find(const char *name)
{
    for (size_t i = 0; i < N_OF(row); i++)
        if (strcmp(row[i].isa.name, name) == 0)
            return cpu_has(row[i].needs) ? &row[i].isa : NULL;
    return NULL;
}

static enum st forced(const char *name, const struct isa **out, enum precision *p, struct err *err)
{
    for (size_t i = 0; i < N_OF(row); i++) {
        const struct isa *isa = &row[i].isa;
        if (strcmp(isa->name, name) != 0)
            continue;
        if (!cpu_has(row[i].needs))
            return err_set(err, ST_UNSUPPORTED, "MIXLAW_ISA=%s: this processor lacks it", name);
        if (*p == PRECISION_AUTO)
            *p = isa->bf16_instruction ? PRECISION_BF16 : PRECISION_FP32;
        *out = isa;
        return isa_check(isa, *p, err);
    }
    return err_set(err, ST_USAGE, "MIXLAW_ISA is '%s', want plain, avx2, avx512, avx512bf16 or amx",
                   name);
}

/* The first row for the precision that the processor has and that agrees with plain C; NULL: none.
 */
static const struct isa *first_right(bool bf16_instruction, enum precision p)
{
    for (size_t i = 0; i < N_OF(row); i++) {
        struct err why = { "" };
        if (row[i].isa.bf16_instruction != bf16_instruction || !cpu_has(row[i].needs))
            continue;
        if (isa_check(&row[i].isa, p, &why) == ST_OK)
            return &row[i].isa;
        log_warn("%s", why.msg);
    }
    return NULL;
}

enum st isa_choose(const struct isa **out, enum precision *p, struct err *err)
{
    const char *name = getenv("MIXLAW_ISA");
    if (name && *name)
        return forced(name, out, p, err);
    if (*p != PRECISION_FP32) {
        const struct isa *b = first_right(true, PRECISION_BF16);
        if (b && (*p == PRECISION_BF16 || peak_bf16_gain(b) >= GAIN_MIN)) {
            *p = PRECISION_BF16;
            *out = b;
            return ST_OK;
        }
    }
    if (*p == PRECISION_AUTO)
        *p = PRECISION_FP32;
    *out = first_right(false, *p);
    if (!*out)
        return err_set(err, ST_UNSUPPORTED, "no kernels pass their self-test on this processor");
    return ST_OK;
}
