/*
 * backend/cpu/kernels_body.h - the kernels' code, compiled once a processor family: the including
 * file names the table (KERNELS, KERNELS_NAME) and the tile's rows (MR).
 */
#include "backend/cpu/kernels.h"
#include "backend/cpu/vec.h"

#include "base/attr.h"

enum { NV = 2, NR = NV * VW };

/* The sums live in registers from the first instruction to the last; rolled loops would make them
 * pass through memory before and after the products. */
#define FOR_TILE_ROWS UNROLLED for (int i = 0; i < mr; i++)

static ALWAYS_INLINE void tile_full(const int mr, const int unit_cs, const struct tile *t)
{
    vf acc[MR][NV];
    const float *a = t->a, *b = t->b, *from = t->from;
    const size_t rs = unit_cs ? t->a_rs : 1, cs = unit_cs ? 1 : t->a_cs;
    float *c = t->c;
    FOR_TILE_ROWS
    {
        acc[i][0] = acc[i][1] = v_set1(0);
        PREFETCH((from ? from + (size_t)i * t->ld_from : c + (size_t)i * t->ldc)); /* at the end */
    }
    for (int k = 0; k < t->kc; k++) {
        vf b0 = v_load(b), b1 = v_load(b + VW);
        FOR_TILE_ROWS
        {
            vf x = v_set1(a[(size_t)i * rs]);
            acc[i][0] = v_fma(x, b0, acc[i][0]);
            acc[i][1] = v_fma(x, b1, acc[i][1]);
        }
        a += cs;
        b += NR;
    }
    if (from)
        FOR_TILE_ROWS
        {
            acc[i][0] = v_add(v_load(from + (size_t)i * t->ld_from), acc[i][0]);
            acc[i][1] = v_add(v_load(from + (size_t)i * t->ld_from + VW), acc[i][1]);
        }
    FOR_TILE_ROWS
    {
        v_store(c + (size_t)i * t->ldc, acc[i][0]);
        v_store(c + (size_t)i * t->ldc + VW, acc[i][1]);
    }
}

/* A tile with fewer columns goes through a whole one beside it: the same chain for each element. */
static ALWAYS_INLINE void tile_any(const int mr, const int unit_cs, const struct tile *t)
{
    if (t->nr == NR) {
        tile_full(mr, unit_cs, t);
        return;
    }
    float whole[MR * NR];
    struct tile w = *t;
    w.c = whole;
    w.ldc = NR;
    if (t->from) {
        memset(whole, 0, sizeof whole);
        for (int i = 0; i < mr; i++)
            memcpy(whole + i * NR, t->from + (size_t)i * t->ld_from, (size_t)t->nr * sizeof *whole);
        w.from = whole;
        w.ld_from = NR;
    }
    tile_full(mr, unit_cs, &w);
    for (int i = 0; i < mr; i++)
        memcpy(t->c + (size_t)i * t->ldc, whole + i * NR, (size_t)t->nr * sizeof *whole);
}

/* One function a number of rows, so that each keeps its sums in registers. */
#define TILE_FN(m)                                                                                 \
    static void tile_rows_##m(const struct tile *t)                                                \
    {                                                                                              \
        tile_any(m, 1, t);                                                                         \
    }                                                                                              \
    static void tile_cols_##m(const struct tile *t)                                                \
    {                                                                                              \
        tile_any(m, 0, t);                                                                         \
    }
TILE_FN(1)
TILE_FN(2)
TILE_FN(3)
TILE_FN(4)
#if MR > 4
TILE_FN(5)
TILE_FN(6)
#endif
#if MR > 6
TILE_FN(7)
TILE_FN(8)
TILE_FN(9)
TILE_FN(10)
TILE_FN(11)
TILE_FN(12)
TILE_FN(13)
TILE_FN(14)
#endif

typedef void tile_fn(const struct tile *t);

static void tile_rows(const struct tile *t)
{
    static tile_fn *const fn[MR] = {
        tile_rows_1,
        tile_rows_2,
        tile_rows_3,
        tile_rows_4,
#if MR > 4
        tile_rows_5,
        tile_rows_6,
#endif
#if MR > 6
        tile_rows_7,
        tile_rows_8,
        tile_rows_9,
        tile_rows_10,
        tile_rows_11,
        tile_rows_12,
        tile_rows_13,
        tile_rows_14
#endif
    };
    fn[t->mr - 1](t);
}

static void tile_cols(const struct tile *t)
{
    static tile_fn *const fn[MR] = {
        tile_cols_1,
        tile_cols_2,
        tile_cols_3,
        tile_cols_4,
#if MR > 4
        tile_cols_5,
        tile_cols_6,
#endif
#if MR > 6
        tile_cols_7,
        tile_cols_8,
        tile_cols_9,
        tile_cols_10,
        tile_cols_11,
        tile_cols_12,
        tile_cols_13,
        tile_cols_14
#endif
    };
    fn[t->mr - 1](t);
}

/* Strips of long rows are no pattern that a processor foresees. */
enum { AHEAD = 8 };
static inline void prefetch_row(const float *row, int n)
{
    for (int i = 0; i < n; i += 16)
        PREFETCH(row + i);
}

static void pack_rows(float *dst, const float *src, size_t ld, int n_k, int n_col)
{
    size_t panel = (size_t)n_k * NR;
    int whole = n_col / NR, rest = n_col % NR;
    for (int k = 0; k < n_k; k++, dst += NR, src += ld) {
        float *d = dst;
        const float *s = src;
        for (int p = 0; p < whole; p++, d += panel, s += NR) {
            v_store(d, v_load(s));
            v_store(d + VW, v_load(s + VW));
        }
        for (int j = 0; rest && j < NR; j++)
            d[j] = j < rest ? s[j] : 0;
    }
}

static void pack_cols(float *dst, const float *src, size_t ld, int n_k, int n_col)
{
    for (int c = 0; c < n_col; c += NR, dst += (size_t)n_k * NR) {
        int n = n_col - c < NR ? n_col - c : NR, k = 0;
        if (n < NR)
            memset(dst, 0, (size_t)n_k * NR * sizeof *dst);
        for (; k + BLOCK <= n_k; k += BLOCK) {
            int j = 0;
            for (; j + BLOCK <= n; j += BLOCK)
                transpose_block(dst + (size_t)k * NR + j, NR, src + (size_t)(c + j) * ld + k, ld);
            for (; j < n; j++)
                for (int i = k; i < k + BLOCK; i++)
                    dst[(size_t)i * NR + (size_t)j] = src[(size_t)(c + j) * ld + (size_t)i];
        }
        for (; k < n_k; k++)
            for (int j = 0; j < n; j++)
                dst[(size_t)k * NR + (size_t)j] = src[(size_t)(c + j) * ld + (size_t)k];
    }
}

/* Rows of the source go by once, each read in one piece: its stride is often a power of two, so
 * that a column's lines would all fall into one cache set. */
static void pack_tiles(float *dst, const float *src, size_t ld, int n_k, int n_row)
{
    enum { WHOLE = MR / 4 * 4 };
    size_t tile = (size_t)n_k * MR;
    int whole = n_row / MR, rest = n_row % MR;
    for (int k = 0; k < n_k; k++, dst += MR, src += ld) {
        float *d = dst;
        const float *s = src;
        prefetch_row(src + (size_t)(n_k - k > AHEAD ? AHEAD : 0) * ld, n_row);
        for (int r = 0; r < whole; r++, d += tile, s += MR) {
            memcpy(d, s, WHOLE * sizeof *d); /* fixed sizes: vector moves */
            memcpy(d + WHOLE, s + WHOLE, (MR - WHOLE) * sizeof *d);
        }
        for (int i = 0; rest && i < MR; i++)
            d[i] = i < rest ? s[i] : 0;
    }
}

/* Runs body for whole vectors, then once for the rest: LOAD and STORE know the tail. */
#define LOAD(p) (tail ? v_load_n((p) + i, tail) : v_load((p) + i))
#define STORE(p, v)                                                                                \
    do {                                                                                           \
        if (tail)                                                                                  \
            v_store_n((p) + i, (v), tail);                                                         \
        else                                                                                       \
            v_store((p) + i, (v));                                                                 \
    } while (0)
#define FOR_VECTORS(n_elem, body)                                                                  \
    do {                                                                                           \
        int i = 0, tail = 0;                                                                       \
        for (; i + VW <= (n_elem); i += VW)                                                        \
            body;                                                                                  \
        tail = (n_elem)-i;                                                                         \
        if (tail)                                                                                  \
            body;                                                                                  \
    } while (0)

static float dot(const float *x, const float *y, int n)
{
    vf s = v_set1(0);
    FOR_VECTORS(n, s = v_fma(LOAD(x), LOAD(y), s));
    return v_sum(s);
}

static float inv_rms(const float *x, int d, float eps)
{
    return 1.0f / sqrtf(dot(x, x, d) / (float)d + eps);
}

static void rmsnorm(float *out, const float *x, const float *g, int d, float eps)
{
    vf r = v_set1(inv_rms(x, d, eps));
    FOR_VECTORS(d, STORE(out, v_mul(v_mul(LOAD(x), r), LOAD(g))));
}

/* With y = x r g, r = 1/rms: dx = r (dy g - x r^2 mean(dy g x)). */
static void rmsnorm_bwd(float *dx, float *dg, const float *dy, const float *x, const float *g,
                        int d, float eps)
{
    float r = inv_rms(x, d, eps);
    vf s = v_set1(0), vr = v_set1(r);
    FOR_VECTORS(d, {
        vf h = v_mul(LOAD(dy), LOAD(x));
        s = v_fma(h, LOAD(g), s);
        STORE(dg, v_fma(h, vr, LOAD(dg)));
    });
    vf mean = v_set1(-r * r * r * (v_sum(s) / (float)d));
    FOR_VECTORS(d, {
        vf t = v_mul(v_mul(LOAD(dy), LOAD(g)), vr);
        STORE(dx, v_add(LOAD(dx), v_fma(LOAD(x), mean, t)));
    });
}

static inline vf sigmoid(vf x)
{
    vf one = v_set1(1);
    return v_div(one, v_add(one, v_exp(v_sub(v_set1(0), x))));
}

static void swiglu(float *out, const float *gu, int ff)
{
    const float *up = gu + ff;
    FOR_VECTORS(ff, {
        vf g = LOAD(gu);
        STORE(out, v_mul(v_mul(g, sigmoid(g)), LOAD(up)));
    });
}

static void swiglu_bwd(float *dgu, float *act, const float *dout, const float *gu, int ff)
{
    const float *up = gu + ff;
    float *dup = dgu + ff;
    FOR_VECTORS(ff, {
        vf g = LOAD(gu);
        vf u = LOAD(up);
        vf d = LOAD(dout);
        vf s = sigmoid(g);
        vf a = v_mul(g, s);
        STORE(act, v_mul(a, u));
        STORE(dup, v_mul(d, a));
        STORE(dgu, v_mul(v_mul(d, u), v_fma(a, v_sub(v_set1(1), s), s)));
    });
}

static void rope(float *out, const float *x, const float *cos, const float *sin, int d_head,
                 float sin_sign, float scale)
{
    int half = d_head / 2;
    const float *x2 = x + half;
    float *out2 = out + half;
    vf sc = v_set1(scale), ss = v_set1(scale * sin_sign);
    FOR_VECTORS(half, {
        vf a = LOAD(x);
        vf b = LOAD(x2);
        vf c = v_mul(LOAD(cos), sc);
        vf s = v_mul(LOAD(sin), ss);
        STORE(out, v_sub(v_mul(a, c), v_mul(b, s)));
        STORE(out2, v_add(v_mul(b, c), v_mul(a, s)));
    });
}

static float softmax_exp(float *x, int n, float *max)
{
    int i = 0;
    float m = x[0];
    vf vm = v_set1(m), s = v_set1(0);
    for (; i + VW <= n; i += VW)
        vm = v_max(vm, v_load(x + i));
    for (m = v_hmax(vm); i < n; i++)
        m = x[i] > m ? x[i] : m;
    vf shift = v_set1(m);
    for (i = 0; i + VW <= n; i += VW) {
        vf e = v_exp(v_sub(v_load(x + i), shift));
        s = v_add(s, e);
        v_store(x + i, e);
    }
    float sum = v_sum(s);
    if (i < n) {
        float t[VW] = { 0 };
        v_store(t, v_exp(v_sub(v_load_n(x + i, n - i), shift)));
        for (int j = 0; i < n; i++, j++) {
            x[i] = t[j];
            sum += t[j];
        }
    }
    *max = m;
    return sum;
}

static void exp_shift(float *x, int n, float shift)
{
    vf s = v_set1(shift);
    FOR_VECTORS(n, STORE(x, v_exp(v_sub(LOAD(x), s))));
}

static void softmax_bwd(float *ds, const float *p, const float *dp, float delta, int n)
{
    vf d = v_set1(delta);
    FOR_VECTORS(n, STORE(ds, v_mul(LOAD(p), v_sub(LOAD(dp), d))));
}

static void scale(float *x, float a, int n)
{
    vf s = v_set1(a);
    FOR_VECTORS(n, STORE(x, v_mul(LOAD(x), s)));
}

static void add(float *x, const float *y, size_t n)
{
    size_t i = 0;
    for (; i + VW <= n; i += VW)
        v_store(x + i, v_add(v_load(x + i), v_load(y + i)));
    for (; i < n; i++)
        x[i] += y[i];
}

static double sumsq(const float *x, size_t n)
{
    double sum = 0;
    while (n > 0) {
        int part = n < 1024 ? (int)n : 1024;
        sum += (double)dot(x, x, part);
        x += part;
        n -= (size_t)part;
    }
    return sum;
}

static void adamw(float *p, float *g, float *m, float *v, size_t n, const struct adam_coef *c)
{
    vf gs = v_set1(c->grad_scale), decay = v_set1(c->decay), b1 = v_set1(c->beta1),
       b2 = v_set1(c->beta2), a1 = v_set1(c->rest1), a2 = v_set1(c->rest2), eps = v_set1(c->eps),
       step = v_set1(c->step_size), ic2 = v_set1(c->inv_sqrt_c2), zero = v_set1(0);
    while (n > 0) {
        int part = n < 65536 ? (int)n : 65536;
        FOR_VECTORS(part, {
            vf x = v_mul(LOAD(g), gs);
            vf m1 = v_fma(b1, LOAD(m), v_mul(a1, x));
            vf v1 = v_fma(b2, LOAD(v), v_mul(a2, v_mul(x, x)));
            STORE(m, m1);
            STORE(v, v1);
            STORE(g, zero);
            vf down = v_add(v_mul(v_sqrt(v1), ic2), eps);
            STORE(p, v_sub(v_mul(LOAD(p), decay), v_div(v_mul(step, m1), down)));
        });
        p += part, g += part, m += part, v += part;
        n -= (size_t)part;
    }
}

static double peak_loop(int n, float *sink)
{
    enum {
        CHAINS = 12
    }; /* more than a multiply-add's latency times the units; they fit the registers */
    vf acc[CHAINS], x = v_set1(0.5f), y = v_set1(1);
    for (int i = 0; i < CHAINS; i++)
        acc[i] = v_set1((float)i);
    for (int k = 0; k < n; k++)
        for (int i = 0; i < CHAINS; i++)
            acc[i] = v_fma(acc[i], x, y);
    for (int i = 1; i < CHAINS; i++)
        acc[0] = v_add(acc[0], acc[i]);
    *sink += v_sum(acc[0]);
    return 2.0 * CHAINS * VW * n;
}

const struct kernels KERNELS = {
    .name = KERNELS_NAME,
    .mr = MR,
    .nr = NR,
    .tile_rows = tile_rows,
    .tile_cols = tile_cols,
    .pack_rows = pack_rows,
    .pack_cols = pack_cols,
    .pack_tiles = pack_tiles,
    .rmsnorm = rmsnorm,
    .rmsnorm_bwd = rmsnorm_bwd,
    .swiglu = swiglu,
    .swiglu_bwd = swiglu_bwd,
    .rope = rope,
    .softmax_exp = softmax_exp,
    .exp_shift = exp_shift,
    .softmax_bwd = softmax_bwd,
    .scale = scale,
    .add = add,
    .dot = dot,
    .sumsq = sumsq,
    .adamw = adamw,
    .peak_loop = peak_loop,
};
