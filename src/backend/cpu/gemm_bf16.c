/*
 * backend/cpu/gemm_bf16.c - see gemm_bf16.h.
 *
 * Both operands are rounded and packed first: weights once a step, activations once a product. Then
 * an item of work is some rows by 128 columns; within it a panel's part of k stays in the
 * first-level cache while the item's rows go by from the second.
 */
#include "backend/cpu/gemm_bf16.h"

#include <stdlib.h>

#include "base/mem.h"

enum { COLUMNS = 128, PACK_ROWS = 64, PACK_COLUMNS = 64, PACK_K = 512 };

static int n_blocks(int n, int size)
{
    return (n + size - 1) / size;
}

static int part(int n, int from, int size)
{
    return n - from < size ? n - from : size;
}

static int pairs_of(const struct bf16_kernels *b, int n_k)
{
    return n_blocks(n_k, b->k_unit) * b->k_unit / 2;
}

/* A row of a: an odd number of cache lines, so that the rows of a tile fall into different sets. */
static size_t row_pairs(int n_pair)
{
    return ((size_t)n_blocks(n_pair, 16) | 1) * 16;
}

static uint32_t *shared_pairs(struct cpu *c, int which, size_t n)
{
    return (uint32_t *)(void *)cpu_shared(c, which, n); /* as many bytes as floats */
}

/* Packing. */

struct pack_job {
    const struct bf16_kernels *b;
    uint32_t *dst;
    const float *src;
    size_t ld_dst, ld;
    int n_row, n_k, n_pair; /* rows of a, or columns of b */
    int n_k_blocks;
    bool transposed;
};

static void pack_a_item(void *arg, size_t item, int thread)
{
    const struct pack_job *j = arg;
    (void)thread;
    int r = (int)(item / (size_t)j->n_k_blocks) * PACK_ROWS;
    int k = (int)(item % (size_t)j->n_k_blocks) * PACK_K;
    uint32_t *dst = j->dst + (size_t)r * j->ld_dst + k / 2;
    int n_row = part(j->n_row, r, PACK_ROWS), n_k = part(j->n_k, k, PACK_K),
        n_pair = part(j->n_pair, k / 2, PACK_K / 2);
    if (j->transposed)
        j->b->pack_a_t(dst, j->ld_dst, j->src + (size_t)k * j->ld + r, j->ld, n_row, n_k, n_pair);
    else
        j->b->pack_a(dst, j->ld_dst, j->src + (size_t)r * j->ld + k, j->ld, n_row, n_k, n_pair);
}

/* src [n_row, n_k], or [n_k, n_row] when transposed. Room for whole tiles of rows; the last may be
 * unset. */
static const uint32_t *pack_a(struct cpu *c, int which, const float *src, size_t ld, int n_row,
                              int n_k, bool transposed)
{
    struct pack_job j = { .b = c->b,
                          .src = src,
                          .ld = ld,
                          .n_row = n_row,
                          .n_k = n_k,
                          .n_pair = pairs_of(c->b, n_k),
                          .transposed = transposed };
    j.ld_dst = row_pairs(j.n_pair);
    j.n_k_blocks = n_blocks(2 * j.n_pair, PACK_K);
    j.dst = shared_pairs(c, which, (size_t)(n_blocks(n_row, c->b->mr) * c->b->mr) * j.ld_dst);
    pool_run(c->pool, (size_t)n_blocks(n_row, PACK_ROWS) * (size_t)j.n_k_blocks, pack_a_item, &j);
    return j.dst;
}

static void pack_b_item(void *arg, size_t item, int thread)
{
    const struct pack_job *j = arg;
    (void)thread;
    int col = (int)item * PACK_COLUMNS, n_col = part(j->n_row, col, PACK_COLUMNS);
    uint32_t *dst = j->dst + (size_t)col * (size_t)j->n_pair;
    if (j->transposed)
        j->b->pack_b_t(dst, j->src + (size_t)col * j->ld, j->ld, n_col, j->n_k, j->n_pair);
    else
        j->b->pack_b(dst, j->src + col, j->ld, n_col, j->n_k, j->n_pair);
}

/* src [n_k, n_col], or [n_col, n_k] when transposed. */
static void pack_b(struct cpu *c, uint32_t *dst, const float *src, size_t ld, int n_col, int n_k,
                   bool transposed)
{
    struct pack_job j = { .b = c->b,
                          .dst = dst,
                          .src = src,
                          .ld = ld,
                          .n_row = n_col,
                          .n_k = n_k,
                          .n_pair = pairs_of(c->b, n_k),
                          .transposed = transposed };
    pool_run(c->pool, (size_t)n_blocks(n_col, PACK_COLUMNS), pack_b_item, &j);
}

size_t bf16_panel_pairs(const struct bf16_kernels *b, int n_col, int n_k)
{
    return (size_t)(n_blocks(n_col, b->nr) * b->nr) * (size_t)pairs_of(b, n_k);
}

void bf16_pack_weight(struct cpu *c, struct packed *w, const float *weight, int n_out, int n_in,
                      bool transposed)
{
    size_t n = bf16_panel_pairs(c->b, n_out, n_in);
    if (w->n < n || !w->pairs) {
        free(w->pairs);
        w->pairs = xaligned(n * sizeof *w->pairs);
        w->n = n;
    }
    w->n_out = n_out;
    w->n_in = n_in;
    if (transposed) /* the matrix as it lies is b */
        pack_b(c, w->pairs, weight, (size_t)n_out, n_out, n_in, false);
    else
        pack_b(c, w->pairs, weight, (size_t)n_in, n_out, n_in, true);
}

/* Tiles. */

struct tiles_job {
    const struct bf16_kernels *b;
    const uint32_t *a, *panels;
    size_t ld_a;
    float *c;
    size_t ldc;
    const float *from;
    size_t ld_from;
    int n_row, n_col, n_pair, n_col_blocks;
};

static void tiles_item(void *arg, size_t item, int thread)
{
    const struct tiles_job *j = arg;
    const struct bf16_kernels *b = j->b;
    (void)thread;
    int row = (int)(item / (size_t)j->n_col_blocks) * b->n_row;
    int col = (int)(item % (size_t)j->n_col_blocks) * COLUMNS;
    int end_row = row + part(j->n_row, row, b->n_row), end_col = col + part(j->n_col, col, COLUMNS);
    struct bf16_tile t = { .ld_a = j->ld_a, .ldc = j->ldc };
    if (b->begin)
        b->begin();
    for (int k = 0; k < j->n_pair; k += b->k_part / 2) {
        const float *from = k > 0 ? j->c : j->from;
        t.ld_from = k > 0 ? j->ldc : j->ld_from;
        t.n_pair = part(j->n_pair, k, b->k_part / 2);
        for (int q = col; q < end_col; q += b->nr) {
            t.nr = part(end_col, q, b->nr);
            t.b = j->panels + (size_t)q * (size_t)j->n_pair + (size_t)k * (size_t)b->nr;
            for (int r = row; r < end_row; r += b->mr) {
                t.mr = part(end_row, r, b->mr);
                t.a = j->a + (size_t)r * t.ld_a + k;
                t.c = j->c + (size_t)r * t.ldc + q;
                t.from = from ? from + (size_t)r * t.ld_from + q : NULL;
                b->tile(&t);
            }
        }
    }
    if (b->end)
        b->end();
}

static void run_tiles(struct cpu *c, struct tiles_job *j)
{
    j->b = c->b;
    j->ld_a = row_pairs(j->n_pair);
    j->n_col_blocks = n_blocks(j->n_col, COLUMNS);
    pool_run(c->pool, (size_t)n_blocks(j->n_row, c->b->n_row) * (size_t)j->n_col_blocks, tiles_item,
             j);
}

void bf16_product(struct cpu *c, float *out, size_t ld_out, const float *x, size_t ld_x, int n,
                  const struct packed *w, const float *from, size_t ld_from)
{
    struct tiles_job j = { .a = pack_a(c, SHARED_X, x, ld_x, n, w->n_in, false),
                           .panels = w->pairs,
                           .c = out,
                           .ldc = ld_out,
                           .from = from,
                           .ld_from = ld_from,
                           .n_row = n,
                           .n_col = w->n_out,
                           .n_pair = pairs_of(c->b, w->n_in) };
    run_tiles(c, &j);
}

void bf16_product_wgrad(struct cpu *c, float *dw, const float *dy, size_t ld_dy, const float *x,
                        size_t ld_x, int n, int n_out, int n_in)
{
    uint32_t *panels = shared_pairs(c, SHARED_B, bf16_panel_pairs(c->b, n_in, n));
    pack_b(c, panels, x, ld_x, n_in, n, false);
    struct tiles_job j = { .a = pack_a(c, SHARED_A, dy, ld_dy, n_out, n, true),
                           .panels = panels,
                           .c = dw,
                           .ldc = (size_t)n_in,
                           .from = dw,
                           .ld_from = (size_t)n_in,
                           .n_row = n_out,
                           .n_col = n_in,
                           .n_pair = pairs_of(c->b, n) };
    run_tiles(c, &j);
}
