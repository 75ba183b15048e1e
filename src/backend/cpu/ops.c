/*
 * backend/cpu/ops.c - the CPU backend: the table of operations over gemm.c, attn.c, loss.c and the
 * kernels.
 *
 * Row-wise operations share out blocks of 32 rows. Sums over rows (the gains' gradients) are taken
 * within a block and then over blocks in order.
 */
#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/cpu/attn.h"
#include "backend/cpu/gemm.h"
#include "backend/cpu/host.h"
#include "backend/cpu/loss.h"
#include "backend/cpu/muon.h"
#include "backend/cpu/peak.h"
#include "base/mem.h"

enum { ROWS = 32, EMBED_PARTS = 16 };
/* Layouts of a large model are a third of its memory, and next to nothing of the time of the many
 * tokens that such a model is given at once. */
#define LAYOUTS_KEPT ((size_t)256 << 20)
#define SPAN ((size_t)32768) /* elements of one optimizer item */

enum way { FORWARD, BACKWARD, N_WAYS }; /* x w' and dy w */

struct cpu_backend {
    struct backend base;
    struct cpu *cpu;
    size_t layout_bytes;          /* of all weights, kept or not */
    struct packed layout[N_WAYS]; /* where none are kept: of the weight in use */
};

struct weight {
    struct tensor w;
    struct packed layout[N_WAYS]; /* empty: made for each product */
};

static struct cpu *cpu_of(struct backend *b)
{
    return ((struct cpu_backend *)b)->cpu;
}

static size_t n_items(size_t n, size_t size)
{
    return (n + size - 1) / size;
}

static void layouts_release(struct packed layout[N_WAYS])
{
    for (enum way way = 0; way < N_WAYS; way++)
        packed_release(&layout[way]);
}

static void cpu_backend_close(struct backend *b)
{
    struct cpu_backend *c = (struct cpu_backend *)b;
    layouts_release(c->layout);
    cpu_close(c->cpu);
    free(c);
}

static size_t weight_bytes(const struct backend *b, size_t n_out, size_t n_in)
{
    const struct cpu *c = ((const struct cpu_backend *)b)->cpu;
    return packed_bytes(c, (int)n_out, (int)n_in) + packed_bytes(c, (int)n_in, (int)n_out);
}

static size_t layouts_kept(const struct backend *b)
{
    (void)b;
    return LAYOUTS_KEPT;
}

static struct weight *weight_new(struct backend *b, struct tensor w)
{
    struct weight *h = NEW(struct weight);
    h->w = w;
    ((struct cpu_backend *)b)->layout_bytes += weight_bytes(b, w.dim[0], w.dim[1]);
    return h;
}

static void weight_free(struct backend *b, struct weight *w)
{
    if (!w)
        return;
    ((struct cpu_backend *)b)->layout_bytes -= weight_bytes(b, w->w.dim[0], w->w.dim[1]);
    layouts_release(w->layout);
    free(w);
}

static void lay_out(struct backend *b, struct packed *out, const struct weight *w, enum way way)
{
    int n_out = (int)w->w.dim[0], n_in = (int)w->w.dim[1];
    if (way == FORWARD)
        pack_weight(cpu_of(b), out, host_f32(w->w), n_out, n_in);
    else
        pack_weight_t(cpu_of(b), out, host_f32(w->w), n_in, n_out);
}

static void weights_ready(struct backend *b, struct weight *w, bool for_gradients)
{
    if (((struct cpu_backend *)b)->layout_bytes > LAYOUTS_KEPT) {
        layouts_release(w->layout);
        return;
    }
    lay_out(b, &w->layout[FORWARD], w, FORWARD);
    if (for_gradients)
        lay_out(b, &w->layout[BACKWARD], w, BACKWARD);
}

/* Valid until the next one of its way is asked for. */
static const struct packed *layout(struct backend *b, const struct weight *w, enum way way)
{
    struct packed *own = &((struct cpu_backend *)b)->layout[way];
    if (w->layout[way].n)
        return &w->layout[way];
    lay_out(b, own, w, way);
    return own;
}

/* One description for all row-wise operations; each uses what it needs. */
struct row_job {
    const struct kernels *k;
    size_t n, d;
    float *out, *out2;
    const float *x, *y, *g;
    float eps;
    const uint32_t *tok;
    size_t n_vocab;
};

static void embed_bwd_item(void *arg, size_t item, int thread)
{
    const struct row_job *j = arg;
    (void)thread; /* an item owns a range of rows and takes the tokens in order */
    size_t lo = j->n_vocab * item / EMBED_PARTS, hi = j->n_vocab * (item + 1) / EMBED_PARTS;
    for (size_t i = 0; i < j->n; i++)
        if (j->tok[i] >= lo && j->tok[i] < hi)
            j->k->add(j->out + j->tok[i] * j->d, j->x + i * j->d, j->d);
}

static void embed_bwd(struct backend *b, struct tensor dtable, struct tensor dout,
                      struct tensor tok)
{
    struct cpu *c = cpu_of(b);
    struct row_job j = { .k = c->k,
                         .n = tok.dim[0],
                         .d = dtable.dim[1],
                         .out = host_f32(dtable),
                         .x = host_f32(dout),
                         .tok = host_u32(tok),
                         .n_vocab = dtable.dim[0] };
    pool_run(c->pool, EMBED_PARTS, embed_bwd_item, &j);
}

#define FOR_ROWS(r) for (size_t r = item * ROWS; r < j->n && r < (item + 1) * ROWS; r++)

static void rmsnorm_item(void *arg, size_t item, int thread)
{
    const struct row_job *j = arg;
    (void)thread;
    FOR_ROWS(r)
    j->k->rmsnorm(j->out + r * j->d, j->x + r * j->d, j->g, (int)j->d, j->eps);
}

static void rmsnorm(struct backend *b, struct tensor out, struct tensor x, struct tensor g,
                    float eps)
{
    struct cpu *c = cpu_of(b);
    struct row_job j = { .k = c->k,
                         .n = x.dim[0],
                         .d = x.dim[1],
                         .out = host_f32(out),
                         .x = host_f32(x),
                         .g = host_f32(g),
                         .eps = eps };
    pool_run(c->pool, n_items(j.n, ROWS), rmsnorm_item, &j);
}

static void rmsnorm_bwd_item(void *arg, size_t item, int thread)
{
    const struct row_job *j = arg;
    (void)thread;
    float *dg = j->out2 + item * j->d;
    memset(dg, 0, j->d * sizeof *dg);
    FOR_ROWS(r)
    j->k->rmsnorm_bwd(j->out + r * j->d, dg, j->y + r * j->d, j->x + r * j->d, j->g, (int)j->d,
                      j->eps);
}

static void rmsnorm_bwd(struct backend *b, struct tensor dx, struct tensor dg, struct tensor dy,
                        struct tensor x, struct tensor g, float eps)
{
    struct cpu *c = cpu_of(b);
    struct row_job j = { .k = c->k,
                         .n = x.dim[0],
                         .d = x.dim[1],
                         .out = host_f32(dx),
                         .y = host_f32(dy),
                         .x = host_f32(x),
                         .g = host_f32(g),
                         .eps = eps };
    size_t n = n_items(j.n, ROWS);
    j.out2 = cpu_shared(c, SHARED_A, n * j.d);
    pool_run(c->pool, n, rmsnorm_bwd_item, &j);
    for (size_t i = 0; i < n; i++)
        c->k->add(host_f32(dg), j.out2 + i * j.d, j.d);
}

static void linear(struct backend *b, struct tensor out, struct tensor x, const struct weight *w,
                   struct tensor from)
{
    size_t n_out = w->w.dim[0];
    assert(x.dim[1] == w->w.dim[1] && out.dim[1] == n_out);
    product(cpu_of(b), host_f32(out), n_out, host_f32(x), x.dim[1], (int)x.dim[0],
            layout(b, w, FORWARD), host_f32(from), n_out);
}

static void linear_dgrad(struct backend *b, struct tensor dx, struct tensor dy,
                         const struct weight *w)
{
    size_t n_in = w->w.dim[1];
    assert(dy.dim[1] == w->w.dim[0] && dx.dim[1] == n_in);
    product(cpu_of(b), host_f32(dx), n_in, host_f32(dy), dy.dim[1], (int)dy.dim[0],
            layout(b, w, BACKWARD), NULL, 0);
}

static void linear_wgrad(struct backend *b, struct tensor dw, struct tensor dy, struct tensor x)
{
    assert(dw.dim[0] == dy.dim[1] && dw.dim[1] == x.dim[1]);
    product_wgrad(cpu_of(b), host_f32(dw), host_f32(dy), dy.dim[1], host_f32(x), x.dim[1],
                  (int)x.dim[0], (int)dw.dim[0], (int)dw.dim[1]);
}

/* Rows of from (or zeros) with the bias added. */
static void bias_item(void *arg, size_t item, int thread)
{
    const struct row_job *j = arg;
    (void)thread;
    FOR_ROWS(r)
    {
        float *out = j->out + r * j->d;
        const float *from = j->x ? j->x + r * j->d : NULL;
        for (size_t i = 0; i < j->d; i++)
            out[i] = (from ? from[i] : 0) + j->g[i];
    }
}

static void bias(struct backend *b, struct tensor out, struct tensor from, struct tensor add)
{
    struct cpu *c = cpu_of(b);
    struct row_job j = { .k = c->k,
                         .n = out.dim[0],
                         .d = out.dim[1],
                         .out = host_f32(out),
                         .x = host_f32(from),
                         .g = host_f32(add) };
    pool_run(c->pool, n_items(j.n, ROWS), bias_item, &j);
}

static void bias_bwd_item(void *arg, size_t item, int thread)
{
    const struct row_job *j = arg;
    (void)thread;
    float *sum = j->out + item * j->d;
    memset(sum, 0, j->d * sizeof *sum);
    FOR_ROWS(r)
    j->k->add(sum, j->x + r * j->d, j->d);
}

static void bias_bwd(struct backend *b, struct tensor dbias, struct tensor dy)
{
    struct cpu *c = cpu_of(b);
    struct row_job j = { .k = c->k, .n = dy.dim[0], .d = dy.dim[1], .x = host_f32(dy) };
    size_t n = n_items(j.n, ROWS);
    j.out = cpu_shared(c, SHARED_A, n * j.d);
    pool_run(c->pool, n, bias_bwd_item, &j);
    for (size_t i = 0; i < n; i++)
        c->k->add(host_f32(dbias), j.out + i * j.d, j.d);
}

static void swiglu_item(void *arg, size_t item, int thread)
{
    const struct row_job *j = arg;
    (void)thread;
    FOR_ROWS(r)
    j->k->swiglu(j->out + r * j->d, j->x + 2 * r * j->d, (int)j->d);
}

static void swiglu(struct backend *b, struct tensor out, struct tensor gu)
{
    struct cpu *c = cpu_of(b);
    struct row_job j = {
        .k = c->k, .n = out.dim[0], .d = out.dim[1], .out = host_f32(out), .x = host_f32(gu)
    };
    pool_run(c->pool, n_items(j.n, ROWS), swiglu_item, &j);
}

static void swiglu_bwd_item(void *arg, size_t item, int thread)
{
    const struct row_job *j = arg;
    (void)thread;
    FOR_ROWS(r)
    j->k->swiglu_bwd(j->out + 2 * r * j->d, j->out2 + r * j->d, j->y + r * j->d,
                     j->x + 2 * r * j->d, (int)j->d);
}

static void swiglu_bwd(struct backend *b, struct tensor dgu, struct tensor act, struct tensor dout,
                       struct tensor gu)
{
    struct cpu *c = cpu_of(b);
    struct row_job j = { .k = c->k,
                         .n = dout.dim[0],
                         .d = dout.dim[1],
                         .out = host_f32(dgu),
                         .out2 = host_f32(act),
                         .y = host_f32(dout),
                         .x = host_f32(gu) };
    pool_run(c->pool, n_items(j.n, ROWS), swiglu_bwd_item, &j);
}

static const float *rope_sin(struct tensor rope)
{
    return host_f32(rope) + tensor_n(rope) / 2;
}

static void attn(struct backend *b, struct tensor out, struct tensor lse, struct tensor qkv,
                 struct tensor rope, struct attn_shape s)
{
    attn_fwd(cpu_of(b), host_f32(out), host_f32(lse), host_f32(qkv), host_f32(rope), rope_sin(rope),
             s);
}

static void attn_backward(struct backend *b, struct tensor dqkv, struct tensor dout,
                          struct tensor qkv, struct tensor out, struct tensor lse,
                          struct tensor rope, struct attn_shape s)
{
    attn_bwd(cpu_of(b), host_f32(dqkv), host_f32(dout), host_f32(qkv), host_f32(out), host_f32(lse),
             host_f32(rope), rope_sin(rope), s);
}

static void loss_only(struct backend *b, struct tensor losses, struct tensor h,
                      const struct weight *w, struct tensor target)
{
    head_loss(cpu_of(b), host_f32(losses), NULL, NULL, host_f32(h), (int)h.dim[0],
              layout(b, w, FORWARD), NULL, host_u32(target), 0, 0);
}

static void loss_bwd(struct backend *b, struct tensor losses, struct tensor dh, struct tensor dw,
                     struct tensor h, const struct weight *w, struct tensor target, float scale,
                     float z_loss)
{
    head_loss(cpu_of(b), host_f32(losses), host_f32(dh), host_f32(dw), host_f32(h), (int)h.dim[0],
              layout(b, w, FORWARD), layout(b, w, BACKWARD), host_u32(target), scale, z_loss);
}

struct span_job {
    const struct kernels *k;
    size_t n;
    double *part;
    float *p, *g, *m, *v;
    struct adam_coef coef;
};

static size_t span_n(const struct span_job *j, size_t item)
{
    size_t left = j->n - item * SPAN;
    return left < SPAN ? left : SPAN;
}

static void sumsq_item(void *arg, size_t item, int thread)
{
    const struct span_job *j = arg;
    (void)thread;
    j->part[item] = j->k->sumsq(j->g + item * SPAN, span_n(j, item));
}

static void sumsq(struct backend *b, struct tensor out, struct tensor x)
{
    struct cpu *c = cpu_of(b);
    struct span_job j = { .k = c->k, .n = tensor_n(x), .g = host_f32(x) };
    size_t n = n_items(j.n, SPAN);
    j.part = (double *)cpu_shared(c, SHARED_A, 2 * n);
    pool_run(c->pool, n, sumsq_item, &j);
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += j.part[i];
    *host_f64(out) = sum;
}

static void adamw_item(void *arg, size_t item, int thread)
{
    const struct span_job *j = arg;
    (void)thread;
    size_t at = item * SPAN;
    j->k->adamw(j->p + at, j->g + at, j->m + at, j->v + at, span_n(j, item), &j->coef);
}

static void adamw(struct backend *b, struct tensor p, struct tensor g, struct tensor m,
                  struct tensor v, struct tensor grad_sumsq, const struct adamw_step *s)
{
    struct cpu *c = cpu_of(b);
    struct span_job j = { .k = c->k, .n = tensor_n(p) };
    j.p = host_f32(p);
    j.g = host_f32(g);
    j.m = host_f32(m);
    j.v = host_f32(v);
    host_adam_coef(&j.coef, sqrt(*host_f64(grad_sumsq)), s);
    pool_run(c->pool, n_items(j.n, SPAN), adamw_item, &j);
}

static void muon(struct backend *b, struct tensor p, struct tensor g, struct tensor m,
                 struct tensor grad_sumsq, const struct muon_step *s)
{
    muon_update(cpu_of(b), host_f32(p), host_f32(g), host_f32(m), p.dim[0], p.dim[1],
                sqrt(*host_f64(grad_sumsq)), s);
}

static void ema_item(void *arg, size_t item, int thread)
{
    const struct span_job *j = arg;
    (void)thread;
    float keep = j->coef.beta1, rest = j->coef.rest1;
    float *mean = j->p + item * SPAN;
    const float *x = j->g + item * SPAN;
    for (size_t i = 0; i < span_n(j, item); i++)
        mean[i] = keep * mean[i] + rest * x[i];
}

static void ema(struct backend *b, struct tensor mean, struct tensor x, double decay)
{
    struct span_job j = { .n = tensor_n(x), .p = host_f32(mean), .g = host_f32(x) };
    j.coef.beta1 = (float)decay;
    j.coef.rest1 = (float)(1 - decay);
    pool_run(cpu_of(b)->pool, n_items(j.n, SPAN), ema_item, &j);
}

static void peak(struct backend *b, struct backend_peak *out)
{
    peak_measure(cpu_of(b), out);
}

static void threads(const struct backend *b, struct backend_threads *out)
{
    const struct pool *pool = ((const struct cpu_backend *)b)->cpu->pool;
    struct pool_time t = pool_time(pool);
    *out = (struct backend_threads){ pool_size(pool), t.run_s, t.busy_s };
}

static const struct backend_ops ops = {
    .close = cpu_backend_close,
    .sync = host_sync,
    .peak = peak,
    .threads = threads,
    .alloc = host_alloc,
    .free = host_free,
    .upload = host_upload,
    .download = host_download,
    .zero = host_zero,
    .weight_new = weight_new,
    .weight_free = weight_free,
    .weights_ready = weights_ready,
    .weight_bytes = weight_bytes,
    .layouts_kept = layouts_kept,
    .embed = host_embed,
    .embed_bwd = embed_bwd,
    .rmsnorm = rmsnorm,
    .rmsnorm_bwd = rmsnorm_bwd,
    .linear = linear,
    .linear_dgrad = linear_dgrad,
    .linear_wgrad = linear_wgrad,
    .bias = bias,
    .bias_bwd = bias_bwd,
    .swiglu = swiglu,
    .swiglu_bwd = swiglu_bwd,
    .attn = attn,
    .attn_bwd = attn_backward,
    .head_loss = loss_only,
    .head_loss_bwd = loss_bwd,
    .sumsq = sumsq,
    .adamw = adamw,
    .muon = muon,
    .ema = ema,
};

enum st backend_cpu_open(struct backend **out, int n_threads, enum precision p, struct err *err)
{
    struct cpu *c;
    *out = NULL;
    enum st st = cpu_open(&c, n_threads, p, err);
    if (st < 0)
        return st;
    struct cpu_backend *b = NEW(struct cpu_backend);
    b->base.ops = &ops;
    b->cpu = c;
    /* Rows that share their fp32 kernels give the same bytes in fp32: one name. */
    snprintf(b->base.name, sizeof b->base.name, "cpu/%s", c->b ? c->isa->name : c->k->name);
    strcat(b->base.name, c->b ? " bf16" : " fp32");
    *out = &b->base;
    return ST_OK;
}
