/* backend/cpu/isa.c - see isa.h. */
#include "backend/cpu/isa.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "backend/cpu/features.h"
#include "base/attr.h"
#include "base/log.h"

/* Fastest first. */
static const struct family {
    const struct kernels *k;
    enum feature needs;
} family[] = {
#if defined(__x86_64__)
    { &kernels_avx512, FEATURE_AVX512 },
    { &kernels_avx2, FEATURE_AVX2 },
#endif
    { &kernels_plain, FEATURE_NONE },
};

enum { K = 37, ROWS = 14, COLS = 32 }; /* no family has larger tiles */

static float pseudo(unsigned i) /* reproducible values in (-1, 1) */
{
    return (float)((i * 2654435761u) >> 8) / 8388608.0f - 1.0f;
}

static bool near(double got, double want)
{
    return fabs(got - want) <= 1e-4 * (1 + fabs(want)); /* false for NaN */
}

static bool tiles_right(const struct kernels *k)
{
    float a[K * ROWS], b[K * COLS], panel[K * COLS], packed[K * ROWS], c[ROWS * COLS];
    for (unsigned i = 0; i < N_OF(a); i++)
        a[i] = pseudo(i + 1);
    for (unsigned i = 0; i < N_OF(b); i++)
        b[i] = pseudo(i + 1000);
    for (int mr = 1; mr <= k->mr; mr++)
        for (int nr = 1; nr <= k->nr; nr++) {
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

enum st isa_check(const struct kernels *k, struct err *err)
{
    if (!tiles_right(k) || !elements_right(k))
        return err_set(err, ST_UNSUPPORTED,
                       "the %s kernels give wrong results on this processor; use MIXLAW_ISA=plain",
                       k->name);
    return ST_OK;
}

const struct kernels *isa_find(const char *name)
{
    for (size_t i = 0; i < N_OF(family); i++)
        if (strcmp(family[i].k->name, name) == 0)
            return cpu_has(family[i].needs) ? family[i].k : NULL;
    return NULL;
}

enum st isa_choose(const struct kernels **out, struct err *err)
{
    const char *want = getenv("MIXLAW_ISA");
    bool known = !want || !*want;
    for (size_t i = 0; i < N_OF(family); i++) {
        const struct kernels *k = family[i].k;
        bool forced = want && *want;
        if (forced && strcmp(k->name, want) != 0)
            continue;
        known = true;
        if (!cpu_has(family[i].needs)) {
            if (forced)
                return err_set(err, ST_UNSUPPORTED, "MIXLAW_ISA=%s: this processor lacks it", want);
            continue;
        }
        struct err why = { "" };
        if (isa_check(k, &why) == ST_OK) {
            *out = k;
            return ST_OK;
        }
        if (forced)
            return err_set(err, ST_UNSUPPORTED, "%s", why.msg);
        log_warn("%s", why.msg);
    }
    if (!known)
        return err_set(err, ST_USAGE, "MIXLAW_ISA is '%s', want plain, avx2 or avx512", want);
    return err_set(err, ST_UNSUPPORTED, "no kernels pass their self-test on this processor");
}
