/*
 * backend/cpu/gemm.c - see gemm.h.
 *
 * Blocks: 16 tiles of rows by 128 columns are one item of work, fewer rows where there would be too
 * few items to share out, more where k is long. Within it a panel of b (kc x nr) stays in the
 * first-level cache while the item's rows of a pass by from the second. Packing costs a few per
 * cent of a product at width 128 and pays for contiguous reads: strides here are powers of two,
 * which share cache sets.
 */
#include "backend/cpu/gemm.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "backend/cpu/gemm_bf16.h"
#include "base/attr.h"
#include "base/mem.h"

enum { TILES = 16, DEEP_ROWS = 192, COLUMNS = 128, KC_MAX = 264 };
enum { ENOUGH_ITEMS = 16, MIN_TILES = 2 };

static float *scratch_grow(struct cpu_scratch *s, size_t n)
{
    if (s->n < n) {
        free(s->p);
        s->p = xaligned(n * sizeof *s->p);
        s->n = n;
    }
    return s->p;
}

float *cpu_scratch(struct cpu *c, int thread, size_t n)
{
    return scratch_grow(&c->own[thread], n);
}

float *cpu_shared(struct cpu *c, int which, size_t n)
{
    return scratch_grow(&c->shared[which], n);
}

static int n_blocks(int n, int size)
{
    return (n + size - 1) / size;
}

/* Tiles of an item's rows: at most so many, fewer where n_other times that many blocks are too few
 * items. */
static int item_tiles(int most, int n_row, int mr, int n_other)
{
    int tiles = most;
    while (tiles > MIN_TILES && n_blocks(n_row, tiles * mr) * n_other < ENOUGH_ITEMS)
        tiles /= 2;
    return tiles;
}

/* Rows of an item. Where k is in several parts, more rows pay for each panel, as long as many items
 * are left and the rows of a part stay in the second-level cache: DEEP_ROWS where 16 tiles are
 * fewer, as with AVX2's tiles of 6. */
static int item_rows(int n_row, int n_k, int mr, int n_other)
{
    int deep = DEEP_ROWS / mr;
    if (deep > TILES && n_k > KC_MAX && n_blocks(n_row, deep * mr) * n_other >= 4 * ENOUGH_ITEMS)
        return deep * mr;
    return item_tiles(TILES, n_row, mr, n_other) * mr;
}

/* k is cut into equal parts of at most KC_MAX, odd multiples of 8: what is packed part by part then
 * has strides that spread over the cache's sets. */
static int k_part(int n_k)
{
    int n = n_blocks(n_k, KC_MAX);
    return n <= 1 ? n_k : (n_blocks(n_k, 8 * n) | 1) * 8;
}

/* Packing of weights. */

struct pack_job {
    const struct kernels *k;
    struct packed *w;
    const float *weight;
    bool transposed;
};

static void pack_item(void *arg, size_t item, int thread)
{
    struct pack_job *j = arg;
    (void)thread;
    struct packed *w = j->w;
    int nr = j->k->nr, per = COLUMNS / nr, p0 = (int)item * per, col = p0 * nr;
    int n_col = w->n_out - col < COLUMNS ? w->n_out - col : COLUMNS;
    float *dst = w->panels + (size_t)p0 * (size_t)w->n_in * (size_t)nr;
    if (j->transposed)
        j->k->pack_rows(dst, j->weight + col, (size_t)w->n_out, w->n_in, n_col);
    else
        j->k->pack_cols(dst, j->weight + (size_t)col * (size_t)w->n_in, (size_t)w->n_in, w->n_in,
                        n_col);
}

static size_t n_panel_floats(const struct cpu *c, int n_out, int n_in)
{
    return (size_t)n_blocks(n_out, c->k->nr) * (size_t)n_in * (size_t)c->k->nr;
}

size_t packed_bytes(const struct cpu *c, int n_out, int n_in)
{
    return 4 * (c->b ? bf16_panel_pairs(c->b, n_out, n_in) : n_panel_floats(c, n_out, n_in));
}

static void pack_any(struct cpu *c, struct packed *w, const float *weight, int n_out, int n_in,
                     bool transposed)
{
    if (c->b) {
        bf16_pack_weight(c, w, weight, n_out, n_in, transposed);
        return;
    }
    size_t n = n_panel_floats(c, n_out, n_in);
    if (w->n < n) { /* grows only: matrices of all shapes take turns in one */
        free(w->panels);
        w->panels = xaligned(n * sizeof *w->panels);
        w->n = n;
    }
    w->n_out = n_out;
    w->n_in = n_in;
    struct pack_job j = { c->k, w, weight, transposed };
    pool_run(c->pool, (size_t)n_blocks(n_out, COLUMNS), pack_item, &j);
}

void pack_weight(struct cpu *c, struct packed *w, const float *weight, int n_out, int n_in)
{
    pack_any(c, w, weight, n_out, n_in, false);
}

void pack_weight_t(struct cpu *c, struct packed *w, const float *weight, int n_out, int n_in)
{
    pack_any(c, w, weight, n_out, n_in, true);
}

void packed_release(struct packed *w)
{
    free(w->panels);
    free(w->pairs);
    *w = (struct packed){ 0 };
}

/* Products. */

/* A panel is new to the core when its first tile comes: while the i-th of n tiles goes by, its
 * share of the next panel is asked for. Beyond the last panel nothing is read, so the address may
 * be anything. */
static void prefetch_share(const float *panel, size_t n_float, int i, int n)
{
    size_t lo = n_float * (size_t)i / (size_t)n, hi = n_float * (size_t)(i + 1) / (size_t)n;
    for (size_t at = lo; at < hi; at += 16)
        PREFETCH_L2(panel + at);
}

void block_product(const struct kernels *k, const struct block *b)
{
    int n_tile = n_blocks(b->n_row, k->mr);
    size_t n_panel = (size_t)b->n_k * (size_t)k->nr;
    for (int col = 0; col < b->n_col; col += k->nr) {
        struct tile t = { .nr = b->n_col - col < k->nr ? b->n_col - col : k->nr,
                          .kc = b->n_k,
                          .a_rs = b->rows ? b->ld_a : 1,
                          .a_cs = b->rows ? 1 : b->ld_a,
                          .b = b->b + (size_t)(col / k->nr) * b->b_panel,
                          .ldc = b->ldc,
                          .ld_from = b->ld_from };
        for (int row = 0; row < b->n_row; row += k->mr) {
            t.mr = b->n_row - row < k->mr ? b->n_row - row : k->mr;
            t.a = b->a + (size_t)row * t.a_rs;
            t.c = b->c + (size_t)row * b->ldc + col;
            t.from = b->from ? b->from + (size_t)row * b->ld_from + col : NULL;
            prefetch_share(t.b + b->b_panel, n_panel, row / k->mr, n_tile);
            if (b->rows)
                k->tile_rows(&t);
            else
                k->tile_cols(&t);
        }
    }
}

struct product_job {
    const struct kernels *k;
    const struct packed *w;
    float *out;
    const float *x, *from;
    size_t ld_out, ld_x, ld_from;
    int n, rows, n_col_blocks; /* rows of an item */
};

static void product_item(void *arg, size_t item, int thread)
{
    const struct product_job *j = arg;
    const struct packed *w = j->w;
    (void)thread;
    int nr = j->k->nr, rows = j->rows;
    int row = (int)(item / (size_t)j->n_col_blocks) * rows;
    int col = (int)(item % (size_t)j->n_col_blocks) * COLUMNS;
    int kc = k_part(w->n_in);
    struct block b = { .n_row = j->n - row < rows ? j->n - row : rows,
                       .n_col = w->n_out - col < COLUMNS ? w->n_out - col : COLUMNS,
                       .ld_a = j->ld_x,
                       .rows = true,
                       .b_panel = (size_t)w->n_in * (size_t)nr,
                       .c = j->out + (size_t)row * j->ld_out + col,
                       .ldc = j->ld_out,
                       .from = j->from ? j->from + (size_t)row * j->ld_from + col : NULL,
                       .ld_from = j->ld_from };
    for (int k0 = 0; k0 < w->n_in; k0 += kc) {
        b.n_k = w->n_in - k0 < kc ? w->n_in - k0 : kc;
        b.a = j->x + (size_t)row * j->ld_x + k0;
        b.b = w->panels + (size_t)(col / nr) * b.b_panel + (size_t)k0 * (size_t)nr;
        block_product(j->k, &b);
        b.from = b.c;
        b.ld_from = b.ldc;
    }
}

void product(struct cpu *c, float *out, size_t ld_out, const float *x, size_t ld_x, int n,
             const struct packed *w, const float *from, size_t ld_from)
{
    if (w->pairs) {
        bf16_product(c, out, ld_out, x, ld_x, n, w, from, ld_from);
        return;
    }
    struct product_job j = { c->k, w, out, x, from, ld_out, ld_x, ld_from, n, 0, 0 };
    j.n_col_blocks = n_blocks(w->n_out, COLUMNS);
    j.rows = item_rows(n, w->n_in, c->k->mr, j.n_col_blocks);
    pool_run(c->pool, (size_t)n_blocks(n, j.rows) * (size_t)j.n_col_blocks, product_item, &j);
}

/* Weight gradients: both operands are activations. x is packed for all first: parts of k (tokens)
 * follow each other, in each the panels [kc][nr]. dy' is packed in tiles [kc][mr] by the item that
 * uses it, into memory of its own that stays in the second-level cache. */

enum { WGRAD_TILES = 8, WGRAD_COLUMNS = 512 };

struct wgrad_job {
    const struct kernels *k;
    struct cpu *cpu;
    float *dw, *panels;
    const float *dy, *x;
    size_t ld_dy, ld_x;
    int n, n_out, n_in, kc, n_pack_blocks, n_col_blocks;
    int rows;       /* of an item */
    int panel_cols; /* n_in rounded up to whole panels */
};

static int at_most(int left, int size)
{
    return left < size ? left : size;
}

static float *panels_at(const struct wgrad_job *j, int k0, int col)
{
    return j->panels + (size_t)k0 * (size_t)j->panel_cols +
           (size_t)col * (size_t)at_most(j->n - k0, j->kc);
}

static void wgrad_pack(void *arg, size_t item, int thread)
{
    struct wgrad_job *j = arg;
    const struct kernels *k = j->k;
    (void)thread;
    int k0 = (int)item / j->n_pack_blocks * j->kc, col = (int)item % j->n_pack_blocks * COLUMNS;
    int n_k = at_most(j->n - k0, j->kc), n_col = at_most(j->n_in - col, COLUMNS);
    float *dst = panels_at(j, k0, col);
    k->pack_rows(dst, j->x + (size_t)k0 * j->ld_x + col, j->ld_x, n_k, n_col);
}

static void wgrad_item(void *arg, size_t item, int thread)
{
    struct wgrad_job *j = arg;
    const struct kernels *k = j->k;
    int row = (int)(item / (size_t)j->n_col_blocks) * j->rows;
    int col = (int)(item % (size_t)j->n_col_blocks) * WGRAD_COLUMNS;
    int n_row = at_most(j->n_out - row, j->rows);
    int end_col = col + at_most(j->n_in - col, WGRAD_COLUMNS);
    int n_tile = n_blocks(n_row, k->mr);
    size_t tile_rows = (size_t)n_tile * (size_t)k->mr;
    float *tiles = cpu_scratch(j->cpu, thread, tile_rows * (size_t)j->kc);
    struct tile t = { .a_rs = 1, .a_cs = (size_t)k->mr, .ldc = (size_t)j->n_in };
    t.ld_from = t.ldc;
    for (int k0 = 0; k0 < j->n; k0 += j->kc) {
        t.kc = at_most(j->n - k0, j->kc);
        size_t n_panel = (size_t)t.kc * (size_t)k->nr;
        k->pack_tiles(tiles, j->dy + (size_t)k0 * j->ld_dy + row, j->ld_dy, t.kc, n_row);
        for (int q = col; q < end_col; q += k->nr) {
            t.nr = at_most(end_col - q, k->nr);
            t.b = panels_at(j, k0, q);
            for (int r = 0; r < n_row; r += k->mr) {
                t.mr = at_most(n_row - r, k->mr);
                t.a = tiles + (size_t)r * (size_t)t.kc;
                prefetch_share(t.b + n_panel, n_panel, r / k->mr, n_tile);
                t.c = j->dw + (size_t)(row + r) * t.ldc + q;
                t.from = t.c;
                k->tile_cols(&t);
            }
        }
    }
}

void product_wgrad(struct cpu *c, float *dw, const float *dy, size_t ld_dy, const float *x,
                   size_t ld_x, int n, int n_out, int n_in)
{
    const struct kernels *k = c->k;
    if (c->b) {
        bf16_product_wgrad(c, dw, dy, ld_dy, x, ld_x, n, n_out, n_in);
        return;
    }
    struct wgrad_job j = { .k = k,
                           .cpu = c,
                           .dw = dw,
                           .dy = dy,
                           .x = x,
                           .ld_dy = ld_dy,
                           .ld_x = ld_x,
                           .n = n,
                           .n_out = n_out,
                           .n_in = n_in,
                           .kc = k_part(n),
                           .n_pack_blocks = n_blocks(n_in, COLUMNS),
                           .n_col_blocks = n_blocks(n_in, WGRAD_COLUMNS),
                           .panel_cols = n_blocks(n_in, k->nr) * k->nr };
    j.panels = cpu_shared(c, SHARED_B, (size_t)j.panel_cols * (size_t)n);
    pool_run(c->pool, (size_t)n_blocks(n, j.kc) * (size_t)j.n_pack_blocks, wgrad_pack, &j);
    j.rows = item_tiles(WGRAD_TILES, n_out, k->mr, j.n_col_blocks) * k->mr;
    size_t n_row_blocks = (size_t)n_blocks(n_out, j.rows);
    pool_run(c->pool, n_row_blocks * (size_t)j.n_col_blocks, wgrad_item, &j);
}
