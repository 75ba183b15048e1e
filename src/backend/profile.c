/* backend/profile.c - see profile.h. Every operation is passed on between two looks at the clocks.
 */
#include "backend/profile.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"

struct profiled {
    struct backend base;
    struct backend *in;
    struct profile_part part[N_PROFILE];
    double reset_s, called_s; /* when counting began; in operations since then */
};

/* What time it is, and how busy the threads of the backend inside have been. */
struct look {
    double s;
    struct backend_threads threads;
};

static struct look look(const struct profiled *p)
{
    struct look l;
    p->in->ops->threads(p->in, &l.threads);
    l.s = clock_s();
    return l;
}

/* Of n threads for s seconds some were busy, together for busy_s: the rest of them waited. */
static void share_out(struct profile_part *part, enum profile_id id, double s, double busy_s, int n)
{
    part[id].s += busy_s / n;
    part[PROFILE_WAITING].s += s - busy_s / n;
}

static void count(struct profiled *p, enum profile_id id, struct look start, double flop)
{
    struct look end = look(p);
    double s = end.s - start.s, shared_s = end.threads.run_s - start.threads.run_s;
    double alone_s = s - shared_s; /* the caller */
    share_out(p->part, id, s, alone_s + end.threads.busy_s - start.threads.busy_s, end.threads.n);
    p->part[id].flop += flop;
    p->part[id].n_call++;
    p->called_s += s;
}

/* Calls an operation of the backend inside, which is p->in, and counts it. */
#define COUNTED(id, flop, call)                                                                    \
    do {                                                                                           \
        struct profiled *p = (struct profiled *)b;                                                 \
        struct look start = look(p);                                                               \
        p->in->ops->call;                                                                          \
        count(p, id, start, flop);                                                                 \
    } while (0)

static double n(struct tensor t)
{
    return (double)tensor_n(t);
}

static double attn_flop(
    struct attn_shape s) /* scores and mix, each query with the keys before it */
{
    double pairs = 0.5 * (double)s.batch * s.seq_len * (s.seq_len + 1) * s.n_head;
    return 4 * pairs * s.d_head;
}

static struct backend *inside(struct backend *b)
{
    return ((struct profiled *)b)->in;
}

static void profiled_close(struct backend *b)
{
    backend_close(inside(b));
    free(b);
}

static enum st profiled_sync(struct backend *b, struct err *err)
{
    return inside(b)->ops->sync(inside(b), err);
}

static void profiled_peak(struct backend *b, struct backend_peak *out)
{
    inside(b)->ops->peak(inside(b), out);
}

static void profiled_threads(const struct backend *b, struct backend_threads *out)
{
    const struct backend *in = ((const struct profiled *)b)->in;
    in->ops->threads(in, out);
}

static enum st profiled_alloc(struct backend *b, struct tensor *t, struct err *err)
{
    return inside(b)->ops->alloc(inside(b), t, err);
}

static void profiled_free(struct backend *b, struct tensor *t)
{
    inside(b)->ops->free(inside(b), t);
}

static void upload(struct backend *b, struct tensor dst, const void *src)
{
    COUNTED(PROFILE_COPIES, 0, upload(p->in, dst, src));
}

static void download(struct backend *b, void *dst, struct tensor src)
{
    COUNTED(PROFILE_COPIES, 0, download(p->in, dst, src));
}

static void zero(struct backend *b, struct tensor t)
{
    COUNTED(PROFILE_COPIES, 0, zero(p->in, t));
}

static struct weight *weight_new(struct backend *b, struct tensor w)
{
    return inside(b)->ops->weight_new(inside(b), w);
}

static void weight_free(struct backend *b, struct weight *w)
{
    inside(b)->ops->weight_free(inside(b), w);
}

static void weights_ready(struct backend *b, struct weight *w, bool for_gradients)
{
    COUNTED(PROFILE_LAYOUTS, 0, weights_ready(p->in, w, for_gradients));
}

static size_t weight_bytes(const struct backend *b, size_t n_out, size_t n_in)
{
    const struct backend *in = ((const struct profiled *)b)->in;
    return in->ops->weight_bytes(in, n_out, n_in);
}

static size_t layouts_kept(const struct backend *b)
{
    const struct backend *in = ((const struct profiled *)b)->in;
    return in->ops->layouts_kept(in);
}

static void embed(struct backend *b, struct tensor out, struct tensor table, struct tensor tok)
{
    COUNTED(PROFILE_ELEMENTS, 0, embed(p->in, out, table, tok));
}

static void embed_bwd(struct backend *b, struct tensor dtable, struct tensor dout,
                      struct tensor tok)
{
    COUNTED(PROFILE_ELEMENTS, 0, embed_bwd(p->in, dtable, dout, tok));
}

static void rmsnorm(struct backend *b, struct tensor out, struct tensor x, struct tensor g,
                    float eps)
{
    COUNTED(PROFILE_ELEMENTS, 0, rmsnorm(p->in, out, x, g, eps));
}

static void rmsnorm_bwd(struct backend *b, struct tensor dx, struct tensor dg, struct tensor dy,
                        struct tensor x, struct tensor g, float eps)
{
    COUNTED(PROFILE_ELEMENTS, 0, rmsnorm_bwd(p->in, dx, dg, dy, x, g, eps));
}

static void linear(struct backend *b, struct tensor out, struct tensor x, const struct weight *w,
                   struct tensor from)
{
    COUNTED(PROFILE_PRODUCTS, 2 * n(out) * (double)x.dim[1], linear(p->in, out, x, w, from));
}

static void linear_dgrad(struct backend *b, struct tensor dx, struct tensor dy,
                         const struct weight *w)
{
    COUNTED(PROFILE_PRODUCTS, 2 * n(dx) * (double)dy.dim[1], linear_dgrad(p->in, dx, dy, w));
}

static void linear_wgrad(struct backend *b, struct tensor dw, struct tensor dy, struct tensor x)
{
    COUNTED(PROFILE_PRODUCTS, 2 * n(dw) * (double)x.dim[0], linear_wgrad(p->in, dw, dy, x));
}

static void bias(struct backend *b, struct tensor out, struct tensor from, struct tensor add)
{
    COUNTED(PROFILE_ELEMENTS, 0, bias(p->in, out, from, add));
}

static void bias_bwd(struct backend *b, struct tensor dbias, struct tensor dy)
{
    COUNTED(PROFILE_ELEMENTS, 0, bias_bwd(p->in, dbias, dy));
}

static void swiglu(struct backend *b, struct tensor out, struct tensor gu)
{
    COUNTED(PROFILE_ELEMENTS, 0, swiglu(p->in, out, gu));
}

static void swiglu_bwd(struct backend *b, struct tensor dgu, struct tensor act, struct tensor dout,
                       struct tensor gu)
{
    COUNTED(PROFILE_ELEMENTS, 0, swiglu_bwd(p->in, dgu, act, dout, gu));
}

static void attn(struct backend *b, struct tensor out, struct tensor lse, struct tensor qkv,
                 struct tensor rope, struct attn_shape s)
{
    COUNTED(PROFILE_ATTENTION, attn_flop(s), attn(p->in, out, lse, qkv, rope, s));
}

static void attn_bwd(struct backend *b, struct tensor dqkv, struct tensor dout, struct tensor qkv,
                     struct tensor out, struct tensor lse, struct tensor rope, struct attn_shape s)
{
    COUNTED(PROFILE_ATTENTION, 2 * attn_flop(s),
            attn_bwd(p->in, dqkv, dout, qkv, out, lse, rope, s));
}

static void head_loss(struct backend *b, struct tensor losses, struct tensor h,
                      const struct weight *w, struct tensor target)
{
    COUNTED(PROFILE_LOSS, 0, head_loss(p->in, losses, h, w, target));
}

static void head_loss_bwd(struct backend *b, struct tensor losses, struct tensor dh,
                          struct tensor dw, struct tensor h, const struct weight *w,
                          struct tensor target, float scale, float z_loss)
{
    COUNTED(PROFILE_LOSS, 6 * n(dw) * (double)h.dim[0],
            head_loss_bwd(p->in, losses, dh, dw, h, w, target, scale, z_loss));
}

static void sumsq(struct backend *b, struct tensor out, struct tensor x)
{
    COUNTED(PROFILE_OPTIMIZER, 0, sumsq(p->in, out, x));
}

static void adamw(struct backend *b, struct tensor param, struct tensor g, struct tensor m,
                  struct tensor v, struct tensor grad_sumsq, const struct adamw_step *s)
{
    COUNTED(PROFILE_OPTIMIZER, 0, adamw(p->in, param, g, m, v, grad_sumsq, s));
}

static void muon(struct backend *b, struct tensor param, struct tensor g, struct tensor m,
                 struct tensor grad_sumsq, const struct muon_step *s)
{
    COUNTED(PROFILE_OPTIMIZER, 0, muon(p->in, param, g, m, grad_sumsq, s));
}

static void ema(struct backend *b, struct tensor mean, struct tensor x, double decay)
{
    COUNTED(PROFILE_OPTIMIZER, 0, ema(p->in, mean, x, decay));
}

static const struct backend_ops ops = {
    .close = profiled_close,
    .sync = profiled_sync,
    .peak = profiled_peak,
    .threads = profiled_threads,
    .alloc = profiled_alloc,
    .free = profiled_free,
    .upload = upload,
    .download = download,
    .zero = zero,
    .weight_new = weight_new,
    .weight_free = weight_free,
    .weights_ready = weights_ready,
    .weight_bytes = weight_bytes,
    .layouts_kept = layouts_kept,
    .embed = embed,
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
    .attn_bwd = attn_bwd,
    .head_loss = head_loss,
    .head_loss_bwd = head_loss_bwd,
    .sumsq = sumsq,
    .adamw = adamw,
    .muon = muon,
    .ema = ema,
};

struct backend *backend_profiled(struct backend *b)
{
    struct profiled *p = NEW(struct profiled);
    p->base.ops = &ops;
    snprintf(p->base.name, sizeof p->base.name, "%s", b->name);
    p->in = b;
    backend_profile_reset(&p->base);
    return &p->base;
}

void backend_profile(const struct backend *b, struct profile *out)
{
    const struct profiled *p = (const struct profiled *)b;
    struct look now = look(p);
    double rest_s = now.s - p->reset_s - p->called_s;
    out->s = now.s - p->reset_s;
    memcpy(out->part, p->part, sizeof out->part);
    share_out(out->part, PROFILE_REST, rest_s, rest_s, now.threads.n); /* the caller alone */
}

void backend_profile_reset(struct backend *b)
{
    static const char *const name[N_PROFILE] = {
        [PROFILE_PRODUCTS] = "products",   [PROFILE_LOSS] = "loss",
        [PROFILE_ATTENTION] = "attention", [PROFILE_ELEMENTS] = "element-wise",
        [PROFILE_OPTIMIZER] = "optimizer", [PROFILE_LAYOUTS] = "weight layouts",
        [PROFILE_COPIES] = "copies",       [PROFILE_REST] = "rest",
        [PROFILE_WAITING] = "waiting",
    };
    struct profiled *p = (struct profiled *)b;
    for (int i = 0; i < N_PROFILE; i++)
        p->part[i] = (struct profile_part){ .name = name[i] };
    p->called_s = 0;
    p->reset_s = clock_s();
}
