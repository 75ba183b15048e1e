/*
 * backend/cpu/muon.c - see muon.h.
 *
 * The iteration works on x [n, wide] with n <= wide: a tall matrix lies on its side. Products are
 * those of gemm.c; they are made in fp32 also where the model's are bfloat16, because five
 * squarings of the rounding errors are felt.
 */
#include "backend/cpu/muon.h"

#include <math.h>
#include <string.h>

enum { ROWS = 16 }; /* an item of element-wise work */

struct muon_job {
    float *p, *g, *m, *x, *gram, *mix;
    size_t rows, cols, n, wide;
    bool lying; /* x is the transpose */
    float grad_scale, momentum, rest, decay, size, inv_norm;
};

static size_t n_items(size_t n)
{
    return (n + ROWS - 1) / ROWS;
}

#define FOR_ROWS(r, end) for (size_t r = item * ROWS; r < (item + 1) * ROWS && r < (end); r++)

static size_t place(const struct muon_job *j, size_t r, size_t c)
{
    return j->lying ? c * j->rows + r : r * j->cols + c;
}

static void gather_item(void *arg, size_t item, int thread)
{
    const struct muon_job *j = arg;
    (void)thread;
    FOR_ROWS(r, j->rows)
    for (size_t c = 0; c < j->cols; c++) {
        size_t i = r * j->cols + c;
        float grad = j->grad_scale * j->g[i];
        j->m[i] = j->momentum * j->m[i] + j->rest * grad;
        j->x[place(j, r, c)] = j->rest * grad + j->momentum * j->m[i];
        j->g[i] = 0;
    }
}

static void scale_item(void *arg, size_t item, int thread)
{
    const struct muon_job *j = arg;
    (void)thread;
    FOR_ROWS(r, j->n)
    for (size_t c = 0; c < j->wide; c++)
        j->x[r * j->wide + c] *= j->inv_norm;
}

/* gram holds x x' and mix its square: mix becomes what x is multiplied with, x its own share of the
 * next x. */
static void combine_item(void *arg, size_t item, int thread)
{
    const struct muon_job *j = arg;
    (void)thread;
    FOR_ROWS(r, j->n)
    {
        for (size_t c = 0; c < j->n; c++)
            j->mix[r * j->n + c] =
                (float)MUON_B * j->gram[r * j->n + c] + (float)MUON_C * j->mix[r * j->n + c];
        for (size_t c = 0; c < j->wide; c++)
            j->x[r * j->wide + c] *= (float)MUON_A;
    }
}

static void update_item(void *arg, size_t item, int thread)
{
    const struct muon_job *j = arg;
    (void)thread;
    FOR_ROWS(r, j->rows)
    for (size_t c = 0; c < j->cols; c++) {
        float *p = &j->p[r * j->cols + c];
        *p = j->decay * *p - j->size * j->x[place(j, r, c)];
    }
}

static void iterate(struct cpu *c, struct muon_job *j)
{
    int n = (int)j->n, wide = (int)j->wide;
    struct packed w = { 0 };
    for (int step = 0; step < MUON_STEPS; step++) {
        pack_weight(c, &w, j->x, n, wide);
        product(c, j->gram, j->n, j->x, j->wide, n, &w, NULL, 0);
        pack_weight(c, &w, j->gram, n, n);
        product(c, j->mix, j->n, j->gram, j->n, n, &w, NULL, 0);
        pack_weight_t(c, &w, j->x, wide, n);
        pool_run(c->pool, n_items(j->n), combine_item, j);
        product(c, j->x, j->wide, j->mix, j->n, n, &w, j->x, j->wide);
    }
    packed_release(&w);
}

void muon_update(struct cpu *c, float *p, float *g, float *m, size_t rows, size_t cols, double norm,
                 const struct muon_step *s)
{
    struct muon_job j = { .p = p, .g = g, .m = m, .rows = rows, .cols = cols };
    double clip = 1;
    if (s->grad_clip > 0) { /* a NaN norm gives NaN weights: the run shows as diverged */
        clip = s->grad_clip / (norm + 1e-6);
        clip = clip > 1 ? 1 : clip;
    }
    j.lying = rows > cols;
    j.n = j.lying ? cols : rows;
    j.wide = rows + cols - j.n;
    j.grad_scale = (float)clip;
    j.momentum = (float)s->momentum;
    j.rest = (float)(1 - s->momentum);
    j.decay = (float)(1 - s->lr * s->weight_decay);
    j.size = (float)(MUON_SIZE * s->lr * sqrt((double)j.wide));
    j.x = cpu_shared(c, SHARED_LAYER, rows * cols + 2 * j.n * j.n);
    j.gram = j.x + rows * cols;
    j.mix = j.gram + j.n * j.n;
    pool_run(c->pool, n_items(rows), gather_item, &j);
    double size = sqrt(c->k->sumsq(j.x, rows * cols));
    j.inv_norm = (float)(1 / (size > MUON_EPS || !(size == size) ? size : MUON_EPS));
    pool_run(c->pool, n_items(j.n), scale_item, &j);
    const struct bf16_kernels *bf16 = c->b;
    c->b = NULL;
    iterate(c, &j);
    c->b = bf16;
    pool_run(c->pool, n_items(rows), update_item, &j);
}
