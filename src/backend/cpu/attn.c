/*
 * backend/cpu/attn.c - see attn.h.
 *
 * One item of work is a sequence and a key-value head with all query heads of its group. Its keys
 * and values are rotated and packed once; query rows go by in blocks of 16 tiles whose scores stay
 * in the second-level cache, so that the probabilities are never stored: backward makes them again
 * from the log-sums. All products are the tiles of gemm.c, and tiles above the diagonal are left
 * out.
 */
#include "backend/cpu/attn.h"

#include <math.h>
#include <string.h>

#include "base/attr.h"

#include "backend/cpu/host.h"

enum {
    TILES = 16,
    AHEAD = 8
}; /* rows of a head lie far apart: asked for some rows before their use */

struct attn_job {
    const struct kernels *k;
    struct cpu *cpu;
    struct attn_shape s;
    const float *qkv, *cos, *sin;
    float *out, *lse; /* forward writes, backward reads */
    float *dqkv;
    const float *dout;
    const uint32_t *first; /* a token's first visible key; NULL: 0 */
};

static size_t round_up(size_t n, size_t to)
{
    return (n + to - 1) / to * to;
}

/* Where an item's pieces lie in its thread's scratch. */
struct work {
    int batch, kv, T, d, block; /* block: query rows at once */
    size_t ld_qkv, ld_out, lds; /* lds: a row of scores; odd in cache lines */
    float *k_cols, *v_rows;     /* panels: k' [d][T], v [T][d] */
    float *k_rows, *v_cols;     /* backward: k [T][d], v' [d][T] */
    float *rows;                /* T rows of a head, before packing */
    float *q, *p, *dp; /* a block's rotated queries; scores, then probabilities; their gradient */
    float *q_panel, *do_panel; /* backward: a block's queries and output gradients */
    float *dq, *dk, *dv;
};

static float *take(float **next, size_t n)
{
    float *p = *next;
    *next += round_up(n, 16);
    return p;
}

static void work_lay_out(struct work *w, const struct attn_job *j, size_t item, int thread,
                         bool backward)
{
    const struct attn_shape *s = &j->s;
    size_t T = (size_t)s->seq_len, d = (size_t)s->d_head, nr = (size_t)j->k->nr;
    w->batch = (int)(item / (size_t)s->n_kv_head);
    w->kv = (int)(item % (size_t)s->n_kv_head);
    w->T = s->seq_len;
    w->d = s->d_head;
    w->block = TILES * j->k->mr;
    w->ld_qkv = (size_t)(s->n_head + 2 * s->n_kv_head) * d;
    w->ld_out = (size_t)s->n_head * d;
    w->lds = round_up(T, nr) + 16;
    size_t cols = round_up(T, nr) * d, rows = T * round_up(d, nr), block = (size_t)w->block;
    size_t n = 2 * cols + 2 * rows + 3 * T * d + 2 * block * w->lds + 2 * block * d +
               2 * block * round_up(d, nr) + 16 * 16;
    float *next = cpu_scratch(j->cpu, thread, n);
    w->k_cols = take(&next, cols);
    w->v_rows = take(&next, rows);
    w->rows = take(&next, T * d);
    w->q = take(&next, block * d);
    w->p = take(&next, block * w->lds);
    if (!backward)
        return;
    w->k_rows = take(&next, rows);
    w->v_cols = take(&next, cols);
    w->dp = take(&next, block * w->lds);
    w->q_panel = take(&next, block * round_up(d, nr));
    w->do_panel = take(&next, block * round_up(d, nr));
    w->dq = take(&next, block * d);
    w->dk = take(&next, T * d);
    w->dv = take(&next, T * d);
}

/* Rotated rows [t0, t1) of a head at column col of qkv, times scale. */
static void rotate(const struct attn_job *j, const struct work *w, float *dst, size_t col, int t0,
                   int t1, float scale)
{
    const float *src = j->qkv + (size_t)w->batch * (size_t)w->T * w->ld_qkv + col;
    size_t half = (size_t)w->d / 2;
    for (int t = t0; t < t1; t++, dst += w->d) {
        for (int i = 0; t + AHEAD < t1 && i < w->d; i += 16)
            PREFETCH(src + (size_t)(t + AHEAD) * w->ld_qkv + i);
        j->k->rope(dst, src + (size_t)t * w->ld_qkv, j->cos + (size_t)t * half,
                   j->sin + (size_t)t * half, w->d, 1, scale);
    }
}

/* Undoes the rotation of gradient rows and stores them. */
static void unrotate(const struct attn_job *j, const struct work *w, const float *src, size_t col,
                     int t0, int t1, float scale)
{
    float *dst = j->dqkv + (size_t)w->batch * (size_t)w->T * w->ld_qkv + col;
    size_t half = (size_t)w->d / 2;
    for (int t = t0; t < t1; t++, src += w->d)
        j->k->rope(dst + (size_t)t * w->ld_qkv, src, j->cos + (size_t)t * half,
                   j->sin + (size_t)t * half, w->d, -1, scale);
}

/* The first key that row r of the sequence sees. */
static int first_key(const struct attn_job *j, const struct work *w, int r)
{
    return j->first ? (int)j->first[w->batch * w->T + r] : 0;
}

/* Keys before which no row of a block looks, on a border of tiles: products over keys begin here. A
 * row that sees less has zeros up to its own first key. */
static int block_first(const struct kernels *k, int first)
{
    return first / k->nr * k->nr / k->mr * k->mr;
}

/* dst[r][key] = a[r] . column key of the panels, for keys from k0 up to each tile's last row. */
static void scores(const struct kernels *k, const struct work *w, float *dst, const float *a,
                   size_t ld_a, const float *cols, int k0, int q0, int q1)
{
    struct tile t = { .nr = k->nr, .kc = w->d, .a_rs = ld_a, .a_cs = 1, .ldc = w->lds };
    for (int key = k0 / k->nr * k->nr; key < q1; key += k->nr) {
        int first = key > q0 ? (key - q0) / k->mr * k->mr : 0;
        t.b = cols + (size_t)key * (size_t)w->d;
        for (int r = first; r < q1 - q0; r += k->mr) {
            t.mr = q1 - q0 - r < k->mr ? q1 - q0 - r : k->mr;
            t.a = a + (size_t)r * ld_a;
            t.c = dst + (size_t)r * w->lds + key;
            k->tile_rows(&t);
        }
    }
}

/* out[r] = p[r] . rows of the panels, over keys from k0 up to each tile's last row. */
static void mix(const struct kernels *k, const struct work *w, float *out, size_t ld_out,
                const float *p, const float *rows, int k0, int q0, int q1)
{
    struct tile t = { .a_rs = w->lds, .a_cs = 1, .ldc = ld_out };
    for (int col = 0; col < w->d; col += k->nr) {
        t.nr = w->d - col < k->nr ? w->d - col : k->nr;
        t.b = rows + (size_t)col * (size_t)w->T + (size_t)k0 * (size_t)k->nr;
        for (int r = 0; r < q1 - q0; r += k->mr) {
            t.mr = q1 - q0 - r < k->mr ? q1 - q0 - r : k->mr;
            t.kc = q0 + r + t.mr - k0;
            t.a = p + (size_t)r * w->lds + k0;
            t.c = out + (size_t)r * ld_out + col;
            k->tile_rows(&t);
        }
    }
}

/* acc[key] += sum over rows r of the block with k0 <= key <= r of p[r][key] * row r of the panel.
 */
static void gather(const struct kernels *k, const struct work *w, float *acc, const float *p,
                   const float *panel, int k0, int q0, int q1)
{
    struct tile t = { .a_rs = 1, .a_cs = w->lds, .ldc = (size_t)w->d, .ld_from = (size_t)w->d };
    for (int col = 0; col < w->d; col += k->nr) {
        t.nr = w->d - col < k->nr ? w->d - col : k->nr;
        const float *b = panel + (size_t)col * (size_t)(q1 - q0);
        for (int key = k0; key < q1; key += k->mr) {
            int first = key > q0 ? key - q0 : 0;
            t.mr = q1 - key < k->mr ? q1 - key : k->mr;
            t.kc = q1 - q0 - first;
            t.a = p + (size_t)first * w->lds + key;
            t.b = b + (size_t)first * (size_t)k->nr;
            t.c = acc + (size_t)key * (size_t)w->d + col;
            t.from = t.c;
            k->tile_cols(&t);
        }
    }
}

/* Tiles read a row's scores from the block's first key to the end of its diagonal tile: zeros
 * before the row's own first key, and from n on. */
static void clear_ends(const struct kernels *k, float *row, int k0, int first, int n)
{
    memset(row + k0, 0, (size_t)(first - k0) * sizeof *row);
    size_t end = round_up((size_t)n, (size_t)k->mr);
    memset(row + n, 0, (end - (size_t)n) * sizeof *row);
}

static void pack_keys_values(const struct attn_job *j, struct work *w, bool backward)
{
    const struct kernels *k = j->k;
    size_t d = (size_t)w->d, h = (size_t)j->s.n_head, kvh = (size_t)j->s.n_kv_head;
    const float *v =
        j->qkv + (size_t)w->batch * (size_t)w->T * w->ld_qkv + (h + kvh + (size_t)w->kv) * d;
    rotate(j, w, w->rows, (h + (size_t)w->kv) * d, 0, w->T, 1);
    k->pack_cols(w->k_cols, w->rows, d, w->d, w->T);
    if (!backward) {
        k->pack_rows(w->v_rows, v, w->ld_qkv, w->T, w->d);
        return;
    }
    k->pack_rows(w->k_rows, w->rows, d, w->T, w->d);
    k->pack_cols(w->v_cols, v, w->ld_qkv, w->d, w->T);
    memset(w->dk, 0, (size_t)w->T * d * sizeof *w->dk);
    memset(w->dv, 0, (size_t)w->T * d * sizeof *w->dv);
}

static void fwd_item(void *arg, size_t item, int thread)
{
    const struct attn_job *j = arg;
    const struct kernels *k = j->k;
    struct work w;
    work_lay_out(&w, j, item, thread, false);
    pack_keys_values(j, &w, false);
    int group = j->s.n_head / j->s.n_kv_head;
    size_t first = (size_t)w.batch * (size_t)w.T, d = (size_t)w.d, n_head = (size_t)j->s.n_head;
    for (int g = 0; g < group; g++) {
        size_t head = (size_t)(w.kv * group + g);
        for (int q0 = 0; q0 < w.T; q0 += w.block) {
            int q1 = q0 + w.block < w.T ? q0 + w.block : w.T;
            float *out = j->out + (first + (size_t)q0) * w.ld_out + head * d, *p = w.p;
            float inv[TILES * 16];
            rotate(j, &w, w.q, head * d, q0, q1, 1.0f / sqrtf((float)w.d));
            int k0 = block_first(k, first_key(j, &w, q0));
            scores(k, &w, w.p, w.q, d, w.k_cols, k0, q0, q1);
            for (int r = q0; r < q1; r++, p += w.lds) {
                int at = first_key(j, &w, r);
                float max, sum = k->softmax_exp(p + at, r + 1 - at, &max);
                clear_ends(k, p, k0, at, r + 1);
                inv[r - q0] = 1.0f / sum;
                j->lse[(first + (size_t)r) * n_head + head] = max + logf(sum);
            }
            mix(k, &w, out, w.ld_out, w.p, w.v_rows, k0, q0, q1);
            for (int r = 0; r < q1 - q0; r++)
                k->scale(out + (size_t)r * w.ld_out, inv[r], w.d);
        }
    }
}

static void bwd_item(void *arg, size_t item, int thread)
{
    const struct attn_job *j = arg;
    const struct kernels *k = j->k;
    struct work w;
    work_lay_out(&w, j, item, thread, true);
    pack_keys_values(j, &w, true);
    int group = j->s.n_head / j->s.n_kv_head;
    size_t first = (size_t)w.batch * (size_t)w.T, d = (size_t)w.d, n_head = (size_t)j->s.n_head;
    float scale = 1.0f / sqrtf((float)w.d);
    for (int g = 0; g < group; g++) {
        size_t head = (size_t)(w.kv * group + g);
        for (int q0 = 0; q0 < w.T; q0 += w.block) {
            int q1 = q0 + w.block < w.T ? q0 + w.block : w.T;
            size_t at = (first + (size_t)q0) * w.ld_out + head * d;
            const float *dout = j->dout + at, *out = j->out + at;
            rotate(j, &w, w.q, head * d, q0, q1, scale);
            int k0 = block_first(k, first_key(j, &w, q0));
            scores(k, &w, w.p, w.q, d, w.k_cols, k0, q0, q1);
            scores(k, &w, w.dp, dout, w.ld_out, w.v_cols, k0, q0, q1);
            for (int r = q0; r < q1; r++) {
                size_t i = (size_t)(r - q0);
                float *p = w.p + i * w.lds, *dp = w.dp + i * w.lds;
                int from = first_key(j, &w, r), n = r + 1 - from;
                k->exp_shift(p + from, n, j->lse[(first + (size_t)r) * n_head + head]);
                float delta = k->dot(dout + i * w.ld_out, out + i * w.ld_out, w.d);
                k->softmax_bwd(dp + from, p + from, dp + from, delta, n);
                clear_ends(k, p, k0, from, r + 1);
                clear_ends(k, dp, k0, from, r + 1);
            }
            k->pack_rows(w.do_panel, dout, w.ld_out, q1 - q0, w.d);
            gather(k, &w, w.dv, w.p, w.do_panel, k0, q0, q1);
            k->pack_rows(w.q_panel, w.q, d, q1 - q0, w.d);
            gather(k, &w, w.dk, w.dp, w.q_panel, k0, q0, q1);
            mix(k, &w, w.dq, d, w.dp, w.k_rows, k0, q0, q1);
            unrotate(j, &w, w.dq, head * d, q0, q1, scale);
        }
    }
    size_t col = (n_head + (size_t)w.kv) * d, kvh = (size_t)j->s.n_kv_head;
    unrotate(j, &w, w.dk, col, 0, w.T, 1);
    for (int t = 0; t < w.T; t++)
        memcpy(j->dqkv + (first + (size_t)t) * w.ld_qkv + col + kvh * d, w.dv + (size_t)t * d,
               d * sizeof *w.dv);
}

void attn_fwd(struct cpu *c, float *out, float *lse, const float *qkv, const float *cos,
              const float *sin, struct attn_shape s)
{
    struct attn_job j = { .k = c->k, .cpu = c, .s = s, .qkv = qkv, .cos = cos, .sin = sin };
    j.first = host_u32(s.first);
    j.out = out;
    j.lse = lse;
    pool_run(c->pool, (size_t)s.batch * (size_t)s.n_kv_head, fwd_item, &j);
}

void attn_bwd(struct cpu *c, float *dqkv, const float *dout, const float *qkv, const float *out,
              const float *lse, const float *cos, const float *sin, struct attn_shape s)
{
    struct attn_job j = { .k = c->k, .cpu = c, .s = s, .qkv = qkv, .cos = cos, .sin = sin };
    j.first = host_u32(s.first);
    j.out = (float *)out; /* backward only reads them */
    j.lse = (float *)lse;
    j.dqkv = dqkv;
    j.dout = dout;
    pool_run(c->pool, (size_t)s.batch * (size_t)s.n_kv_head, bwd_item, &j);
}
