/*
 * backend/cpu/decode_body.h - the kernels of decode.h on vec.h's vectors; included by
 * decode_plain.c, decode_avx2.c and decode_avx512.c, which name their table DECODE_TABLE.
 *
 * Every element of a product is one chain of multiply-adds in the order of the inputs, whatever
 * tile it lies in: that is what makes rows independent of their neighbours.
 */
#include "backend/cpu/decode.h"

#include "backend/cpu/decode_attn.h"
#include "backend/cpu/decode_end.h"
#include "backend/cpu/vec.h"
#include "base/attr.h"

enum {
    N_COL = 2 * VW,
    MAX_ROWS = VW == 16 ? 12 : 6, /* accumulators fill the registers */
};

struct ahead { /* memory that will be needed next, fetched while this tile is computed */
    const float *at;
    int lines; /* per 8 inputs */
};

/* One tile: n_row rows (known to the compiler) by one panel. */
static ALWAYS_INLINE void tile(int n_row, int n_in, const float *x, size_t ldx, const float *w,
                               float *y, size_t ldy, int n_out, enum decode_end end,
                               struct ahead ahead)
{
    vf acc[MAX_ROWS][2];
    for (int i = 0; i < n_row; i++)
        acc[i][0] = acc[i][1] = v_set1(0);
    for (int k = 0; k < n_in;) {
        int end_k = k + 8 < n_in ? k + 8 : n_in;
        for (int l = 0; l < ahead.lines; l++, ahead.at += 16)
            PREFETCH_L2(ahead.at);
#pragma GCC unroll 1
        for (; k < end_k; k++, w += N_COL) { /* not unrolled: gcc would run out of registers */
            vf w0 = v_load(w), w1 = v_load(w + VW);
#pragma GCC unroll 12
            for (int i = 0; i < n_row; i++) {
                vf a = v_set1(x[(size_t)i * ldx + (size_t)k]);
                acc[i][0] = v_fma(a, w0, acc[i][0]);
                acc[i][1] = v_fma(a, w1, acc[i][1]);
            }
        }
    }
    for (int i = 0; i < n_row; i++)
        store_end(y + (size_t)i * ldy, acc[i][0], acc[i][1], n_out, end);
}

static void any_tile(int n_row, int n_in, const float *x, size_t ldx, const float *w, float *y,
                     size_t ldy, int n_out, enum decode_end end, struct ahead ahead)
{
    switch (n_row) {
#define CASE(n)                                                                                    \
    case n:                                                                                        \
        tile(n, n_in, x, ldx, w, y, ldy, n_out, end, ahead);                                       \
        break;
        CASE(1)
        CASE(2)
        CASE(3)
        CASE(4)
        CASE(5)
        CASE(6)
#if defined(__AVX512F__)
        CASE(7)
        CASE(8)
        CASE(9)
        CASE(10)
        CASE(11)
        CASE(12)
#endif
#undef CASE
    }
}

/* Panel by panel; each panel meets all rows while it is in the second-level cache, and the next
 * panel is fetched meanwhile in equal parts. Rows are divided evenly: 32 are 6 6 5 5 5 5, never 6 6
 * 6 6 6 2. */
static void product(const struct decode_packed *w, int first, int n, const float *x, size_t ldx,
                    int n_row, float *y, size_t ldy, enum decode_end end)
{
    size_t panel_size = (size_t)w->n_in * N_COL;
    int n_out_panel = w->gated ? VW : N_COL;
    int n_block = (n_row + MAX_ROWS - 1) / MAX_ROWS;
    for (int p = first; p < first + n; p++) {
        const float *panel = w->panel + (size_t)p * panel_size;
        int left = w->n_out - p * n_out_panel;
        float *y_panel = y + (size_t)p * (size_t)n_out_panel;
        struct ahead ahead = { panel + panel_size, 0 };
        if (p + 1 < w->n_panel && n_block <= 16)
            ahead.lines = (8 * (N_COL / 16) + n_block - 1) / n_block;
        for (int b = 0, row = 0; b < n_block; b++) {
            int rows = n_row / n_block + (b < n_row % n_block);
            struct ahead part = ahead;
            part.at += (size_t)b * (size_t)(w->n_in / 8) * (size_t)ahead.lines * 16;
            if (part.at + (size_t)(w->n_in / 8) * (size_t)ahead.lines * 16 >
                panel + 2 * panel_size + 16 * 8)
                part.lines = 0;
            any_tile(rows, w->n_in, x + (size_t)row * ldx, ldx, panel, y_panel + (size_t)row * ldy,
                     ldy, left < n_out_panel ? left : n_out_panel, end, part);
            row += rows;
        }
    }
}

static void rmsnorm(float *y, const float *x, const float *w, int n, float eps)
{
    vf sum = v_set1(0);
    int i = 0;
    for (; i + VW <= n; i += VW) {
        vf a = v_load(x + i);
        sum = v_fma(a, a, sum);
    }
    if (i < n) {
        vf a = v_load_n(x + i, n - i);
        sum = v_fma(a, a, sum);
    }
    vf scale = v_set1(1.0f / sqrtf(v_sum(sum) / (float)n + eps));
    for (i = 0; i + VW <= n; i += VW)
        v_store(y + i, v_mul(v_mul(v_load(x + i), scale), v_load(w + i)));
    if (i < n)
        v_store_n(y + i, v_mul(v_mul(v_load_n(x + i, n - i), scale), v_load_n(w + i, n - i)),
                  n - i);
}

static float max_of(const float *x, int n)
{
    vf m = v_set1(-INFINITY);
    int i = 0;
    for (; i + VW <= n; i += VW)
        m = v_max(m, v_load(x + i));
    float best = v_hmax(m);
    for (; i < n; i++)
        best = x[i] > best ? x[i] : best;
    return best;
}

static double exp_sum(float *y, const float *x, int n, float max, float scale)
{
    enum { CHUNK = 64 }; /* floats are summed over this many vectors, then doubles */
    double total = 0;
    vf m = v_set1(max), s = v_set1(scale);
    int i = 0;
    while (i + VW <= n) {
        vf sum = v_set1(0);
        for (int c = 0; c < CHUNK && i + VW <= n; c++, i += VW) {
            vf e = v_exp(v_mul(v_sub(v_load(x + i), m), s));
            v_store(y + i, e);
            sum = v_add(sum, e);
        }
        total += (double)v_sum(sum);
    }
    for (; i < n; i++) {
        y[i] = expf((x[i] - max) * scale);
        total += (double)y[i];
    }
    return total;
}

static int at_least(const float *x, int n, float least, uint32_t *index, int cap)
{
    int n_found = 0, i = 0;
    vf limit = v_set1(least);
    for (; i + 4 * VW <= n; i += 4 * VW) {
        vf m = v_max(v_max(v_load(x + i), v_load(x + i + VW)),
                     v_max(v_load(x + i + 2 * VW), v_load(x + i + 3 * VW)));
        if (v_hmax(v_sub(m, limit)) < 0)
            continue;
        for (int k = i; k < i + 4 * VW; k++)
            if (x[k] >= least) {
                if (n_found < cap)
                    index[n_found] = (uint32_t)k;
                n_found++;
            }
    }
    for (; i < n; i++)
        if (x[i] >= least) {
            if (n_found < cap)
                index[n_found] = (uint32_t)i;
            n_found++;
        }
    return n_found;
}

static const struct decode_kernels DECODE_TABLE = {
    .name = DECODE_NAME,
    .n_col = N_COL,
    .n_attn_rows = ATTN_ROWS,
    .product = product,
    .rmsnorm = rmsnorm,
    .kv = { [DECODE_KV_F16] = { put_f16, attend_f16 }, [DECODE_KV_Q8] = { put_q8, attend_q8 } },
    .max = max_of,
    .exp_sum = exp_sum,
    .at_least = at_least,
};
