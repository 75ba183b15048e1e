/* tests/backend/main.c - every operation of the fast backends against the plain loops of `ref`, and
 * ref against finite differences. */
#include "check.h"

#include <math.h>

#include "backend/backend.h"
#include "backend/cpu/gemm.h"
#include "backend/cpu/isa.h"
#include "backend/profile.h"
#include "base/mem.h"
#include "base/rng.h"

static const char *const isa_name[] = { "plain", "avx2", "avx512", "avx512bf16", "amx" };

/* Opens a backend with the family forced; NULL when this processor lacks it. */
static struct backend *open_isa(const char *isa, int n_threads, enum precision p)
{
    struct backend *b = NULL;
    struct err err = { "" };
    if (!isa_find(isa)) /* test_open says so */
        return NULL;
    setenv("MIXLAW_ISA", isa, 1);
    enum st st = backend_open(&b, "cpu", n_threads, p, &err);
    unsetenv("MIXLAW_ISA");
    CHECK(st == ST_OK, "%s: %s", isa, err.msg);
    return b;
}

static struct tensor make(struct backend *b, size_t rows, size_t cols, const float *value)
{
    struct tensor t = cols ? tensor_2d(DTYPE_F32, rows, cols) : tensor_1d(DTYPE_F32, rows);
    struct err err;
    if (b->ops->alloc(b, &t, &err) < 0)
        abort();
    if (value)
        b->ops->upload(b, t, value);
    return t;
}

static float *random_values(size_t n, const char *purpose, double scale)
{
    float *x = xmalloc((n ? n : 1) * sizeof *x);
    struct rng r;
    rng_init(&r, 7, purpose, n);
    for (size_t i = 0; i < n; i++)
        x[i] = (float)(scale * rng_normal(&r));
    return x;
}

/* Norm of the difference over the norm of want. */
static double distance(const float *got, const float *want, size_t n)
{
    double diff = 0, norm = 0;
    for (size_t i = 0; i < n; i++) {
        diff += ((double)got[i] - (double)want[i]) * ((double)got[i] - (double)want[i]);
        norm += (double)want[i] * (double)want[i];
    }
    return norm > 0 ? sqrt(diff / norm) : sqrt(diff);
}

/* A case: shapes for one call of every operation; results go to out, one after the other. */
struct shape {
    int n_seq, seq_len, n_head, n_kv_head, d_head, d_model, d_ff, vocab;
};

enum { MAX_OUT = 64 };
struct outputs {
    struct {
        const char *name;
        float *value;
        size_t n;
    } row[MAX_OUT];
    int n;
};

static void keep(struct outputs *o, struct backend *b, const char *name, struct tensor t)
{
    size_t n = tensor_n(t);
    float *value = xmalloc(n * sizeof *value);
    if (t.type == DTYPE_F64) {
        double x;
        b->ops->download(b, &x, t);
        value[0] = (float)x;
    } else {
        b->ops->download(b, value, t);
    }
    o->row[o->n].name = name;
    o->row[o->n].value = value;
    o->row[o->n++].n = n;
}

static void outputs_release(struct outputs *o)
{
    for (int i = 0; i < o->n; i++)
        free(o->row[i].value);
    o->n = 0;
}

static struct tensor random_tensor(struct backend *b, size_t rows, size_t cols, const char *purpose,
                                   double scale)
{
    float *value = random_values(rows * (cols ? cols : 1), purpose, scale);
    struct tensor t = make(b, rows, cols, value);
    free(value);
    return t;
}

static struct tensor tokens(struct backend *b, size_t n, int vocab)
{
    struct tensor t = tensor_1d(DTYPE_U32, n);
    struct err err;
    uint32_t *tok = NEW_ARRAY(uint32_t, n);
    struct rng r;
    rng_init(&r, 3, "tokens", n);
    for (size_t i = 0; i < n; i++)
        tok[i] = (uint32_t)rng_below(&r, (uint64_t)vocab);
    if (b->ops->alloc(b, &t, &err) < 0)
        abort();
    b->ops->upload(b, t, tok);
    free(tok);
    return t;
}

static void run_rows(struct backend *b, const struct shape *s, struct outputs *o)
{
    const struct backend_ops *op = b->ops;
    size_t n = (size_t)(s->n_seq * s->seq_len), d = (size_t)s->d_model, ff = (size_t)s->d_ff;
    struct tensor x = random_tensor(b, n, d, "x", 1), g = random_tensor(b, d, 0, "g", 1),
                  dy = random_tensor(b, n, d, "dy", 1), out = make(b, n, d, NULL),
                  dx = random_tensor(b, n, d, "dx", 1), dg = random_tensor(b, d, 0, "dg", 1),
                  gu = random_tensor(b, n, 2 * ff, "gu", 3), act = make(b, n, ff, NULL),
                  dact = random_tensor(b, n, ff, "dact", 1),
                  table = random_tensor(b, (size_t)s->vocab, d, "table", 1),
                  tok = tokens(b, n, s->vocab);
    op->rmsnorm(b, out, x, g, 1e-5f);
    keep(o, b, "rmsnorm", out);
    op->rmsnorm_bwd(b, dx, dg, dy, x, g, 1e-5f);
    keep(o, b, "rmsnorm dx", dx);
    keep(o, b, "rmsnorm dg", dg);
    op->swiglu(b, act, gu);
    keep(o, b, "swiglu", act);
    op->swiglu_bwd(b, gu, act, dact, gu);
    keep(o, b, "swiglu dgu", gu);
    keep(o, b, "swiglu act", act);
    op->bias(b, out, x, g);
    keep(o, b, "bias", out);
    op->bias(b, out, tensor_none, g);
    keep(o, b, "bias alone", out);
    op->bias_bwd(b, dg, dy);
    keep(o, b, "bias_bwd", dg);
    op->embed(b, out, table, tok);
    keep(o, b, "embed", out);
    op->embed_bwd(b, table, dy, tok);
    keep(o, b, "embed dtable", table);
    struct tensor all[] = { x, g, dy, out, dx, dg, gu, act, dact, table, tok };
    for (size_t i = 0; i < N_OF(all); i++)
        op->free(b, &all[i]);
}

static void run_products(struct backend *b, const struct shape *s, struct outputs *o)
{
    const struct backend_ops *op = b->ops;
    size_t n = (size_t)(s->n_seq * s->seq_len), d = (size_t)s->d_model, ff = (size_t)s->d_ff,
           vocab = (size_t)s->vocab;
    struct tensor x = random_tensor(b, n, d, "x", 1), w = random_tensor(b, ff, d, "w", 0.1),
                  y = make(b, n, ff, NULL), from = random_tensor(b, n, ff, "from", 1),
                  dx = make(b, n, d, NULL), dw = random_tensor(b, ff, d, "dw", 1),
                  head = random_tensor(b, vocab, d, "head", 0.3), dhead = make(b, vocab, d, NULL),
                  losses = make(b, n, 0, NULL), target = tokens(b, n, s->vocab);
    struct weight *h = op->weight_new(b, w), *hh = op->weight_new(b, head);
    op->weights_ready(b, h, true);
    op->weights_ready(b, hh, true);
    op->linear(b, y, x, h, tensor_none);
    keep(o, b, "linear", y);
    op->linear(b, y, x, h, from);
    keep(o, b, "linear from", y);
    op->linear(b, from, x, h, from);
    keep(o, b, "linear in place", from);
    op->linear_dgrad(b, dx, y, h);
    keep(o, b, "linear_dgrad", dx);
    op->linear_wgrad(b, dw, y, x);
    keep(o, b, "linear_wgrad", dw);
    op->head_loss(b, losses, x, hh, target);
    keep(o, b, "head_loss", losses);
    op->head_loss_bwd(b, losses, dx, dhead, x, hh, target, 0.01f, 0);
    keep(o, b, "head_loss_bwd losses", losses);
    keep(o, b, "head_loss_bwd dh", dx);
    keep(o, b, "head_loss_bwd dw", dhead);
    op->zero(b, dhead);
    op->head_loss_bwd(b, losses, dx, dhead, x, hh, target, 0.01f, 0.05f);
    keep(o, b, "z_loss losses", losses);
    keep(o, b, "z_loss dh", dx);
    keep(o, b, "z_loss dw", dhead);
    op->weight_free(b, h);
    op->weight_free(b, hh);
    struct tensor all[] = { x, w, y, from, dx, dw, head, dhead, losses, target };
    for (size_t i = 0; i < N_OF(all); i++)
        op->free(b, &all[i]);
}

static struct tensor rope_table(struct backend *b, int seq_len, int d_head)
{
    size_t half = (size_t)d_head / 2, T = (size_t)seq_len;
    float *table = xmalloc(2 * T * half * sizeof *table);
    for (size_t t = 0; t < T; t++)
        for (size_t i = 0; i < half; i++) {
            double angle = (double)t * pow(10000, -2.0 * (double)i / d_head);
            table[t * half + i] = (float)cos(angle);
            table[(T + t) * half + i] = (float)sin(angle);
        }
    struct tensor t = make(b, 2 * T, half, table);
    free(table);
    return t;
}

/* What each token sees first: documents of random lengths, and no more than a window back. */
static struct tensor first_keys(struct backend *b, const struct shape *s, uint32_t window)
{
    struct tensor t = tensor_1d(DTYPE_U32, (size_t)(s->n_seq * s->seq_len));
    struct err err;
    struct rng r;
    rng_init(&r, 4, "documents", (uint64_t)s->seq_len);
    uint32_t *first = NEW_ARRAY(uint32_t, t.dim[0]), doc = 0;
    for (int i = 0; i < s->n_seq * s->seq_len; i++) {
        uint32_t at = (uint32_t)(i % s->seq_len);
        doc = at == 0 ? 0 : rng_below(&r, 40) == 0 ? at : doc;
        first[i] = at >= doc + window ? at - window + 1 : doc;
    }
    if (b->ops->alloc(b, &t, &err) < 0)
        abort();
    b->ops->upload(b, t, first);
    free(first);
    return t;
}

static void run_attn(struct backend *b, const struct shape *s, struct outputs *o)
{
    const struct backend_ops *op = b->ops;
    size_t n = (size_t)(s->n_seq * s->seq_len), h = (size_t)s->n_head,
           width = h * (size_t)s->d_head,
           qkv_width = width + 2 * (size_t)(s->n_kv_head * s->d_head);
    struct attn_shape a = { s->n_seq, s->seq_len, s->n_head, s->n_kv_head, s->d_head, tensor_none };
    struct tensor first = first_keys(b, s, 50), qkv = random_tensor(b, n, qkv_width, "qkv", 1),
                  out = make(b, n, width, NULL), lse = make(b, n, h, NULL),
                  dout = random_tensor(b, n, width, "dout", 1), dqkv = make(b, n, qkv_width, NULL),
                  rope = rope_table(b, s->seq_len, s->d_head);
    op->attn(b, out, lse, qkv, rope, a);
    keep(o, b, "attn", out);
    keep(o, b, "attn lse", lse);
    op->attn_bwd(b, dqkv, dout, qkv, out, lse, rope, a);
    keep(o, b, "attn_bwd", dqkv);
    a.first = first;
    op->attn(b, out, lse, qkv, rope, a);
    keep(o, b, "masked attn", out);
    keep(o, b, "masked attn lse", lse);
    op->attn_bwd(b, dqkv, dout, qkv, out, lse, rope, a);
    keep(o, b, "masked attn_bwd", dqkv);
    struct tensor all[] = { first, qkv, out, lse, dout, dqkv, rope };
    for (size_t i = 0; i < N_OF(all); i++)
        op->free(b, &all[i]);
}

static void run_adamw(struct backend *b, const struct shape *s, struct outputs *o)
{
    const struct backend_ops *op = b->ops;
    size_t n = (size_t)(s->d_ff * s->d_model) + 3;
    struct tensor p = random_tensor(b, n, 0, "p", 1), g = random_tensor(b, n, 0, "g", 0.1),
                  m = random_tensor(b, n, 0, "m", 0.1), v = make(b, n, 0, NULL),
                  sum = tensor_1d(DTYPE_F64, 1);
    struct err err;
    struct adamw_step step = { 1e-2, 0.9, 0.95, 1e-8, 0.1, 1, 3 };
    if (op->alloc(b, &sum, &err) < 0)
        abort();
    op->sumsq(b, sum, g);
    keep(o, b, "sumsq", sum);
    op->adamw(b, p, g, m, v, sum, &step);
    keep(o, b, "adamw p", p);
    keep(o, b, "adamw m", m);
    keep(o, b, "adamw v", v);
    keep(o, b, "adamw g", g);
    struct tensor all[] = { p, g, m, v, sum };
    for (size_t i = 0; i < N_OF(all); i++)
        op->free(b, &all[i]);
}

/* A lying and a standing matrix. */
static void run_muon(struct backend *b, const struct shape *s, struct outputs *o)
{
    const struct backend_ops *op = b->ops;
    size_t rows[] = { (size_t)s->d_ff, (size_t)s->d_model }, n = rows[0] * rows[1];
    struct muon_step step = { 1e-2, 0.95, 0.1, 1 };
    struct err err;
    for (int k = 0; k < 2; k++) {
        struct tensor p = random_tensor(b, rows[k], rows[1 - k], "p", 0.1),
                      g = random_tensor(b, rows[k], rows[1 - k], "g", 0.1),
                      m = random_tensor(b, rows[k], rows[1 - k], "m", 0.1),
                      mean = random_tensor(b, n, 0, "mean", 0.1), sum = tensor_1d(DTYPE_F64, 1);
        if (op->alloc(b, &sum, &err) < 0)
            abort();
        op->sumsq(b, sum, g);
        op->muon(b, p, g, m, sum, &step);
        keep(o, b, k ? "muon p standing" : "muon p lying", p);
        keep(o, b, "muon m", m);
        keep(o, b, "muon g", g);
        op->ema(b, mean, tensor_part(p, 0, n, 0), 0.9);
        keep(o, b, "ema", mean);
        struct tensor all[] = { p, g, m, mean, sum };
        for (size_t i = 0; i < N_OF(all); i++)
            op->free(b, &all[i]);
    }
}

static void run_all(struct backend *b, const struct shape *s, struct outputs *o)
{
    o->n = 0;
    run_rows(b, s, o);
    run_products(b, s, o);
    run_attn(b, s, o);
    run_adamw(b, s, o);
    run_muon(b, s, o);
}

static const struct shape shape[] = {
    { 2, 40, 4, 2, 32, 64, 96, 130 },   /* two query heads a key head */
    { 1, 300, 2, 2, 64, 128, 352, 97 }, /* more than one block of everything */
    { 3, 1, 1, 1, 2, 3, 5, 7 },         /* nothing fits a vector */
    { 1, 17, 6, 1, 10, 33, 47, 65 },    { 1, 45, 1, 1, 16, 72, 850, 450 }, /* several parts of k */
};

static void compare(const char *isa, enum precision p, double limit)
{
    for (size_t i = 0; i < N_OF(shape); i++) {
        struct outputs got, want;
        struct backend *ref, *b = open_isa(isa, 2, p);
        struct err err = { "" };
        if (!b)
            return;
        NEED(backend_open(&ref, "ref", 1, p, &err) == ST_OK, "%s", err.msg);
        run_all(b, &shape[i], &got);
        run_all(ref, &shape[i], &want);
        for (int k = 0; k < got.n; k++) {
            double d = distance(got.row[k].value, want.row[k].value, got.row[k].n);
            CHECK(d < limit, "%s, shape %zu, %s: off by %g", isa, i, got.row[k].name, d);
        }
        CHECK(b->ops->sync(b, &err) == ST_OK, "%s", err.msg);
        outputs_release(&got);
        outputs_release(&want);
        backend_close(b);
        backend_close(ref);
    }
}

static void test_ops_fp32(void)
{
    for (size_t i = 0; i < N_OF(isa_name); i++)
        compare(isa_name[i], PRECISION_FP32, 5e-6);
}

/* Operands on the border between two bfloat16 values may fall to either side: a wider limit. */
static void test_ops_bf16(void)
{
    for (size_t i = 0; i < N_OF(isa_name); i++)
        compare(isa_name[i], PRECISION_BF16, 1e-4);
}

static void same_bytes(const char *isa, enum precision p, const struct shape *s)
{
    struct outputs one, more;
    struct backend *b = open_isa(isa, 1, p);
    if (!b)
        return;
    run_all(b, s, &one);
    for (int n = 2; n <= 5; n++) {
        backend_close(b);
        b = open_isa(isa, n, p);
        run_all(b, s, &more);
        for (int k = 0; k < one.n; k++)
            CHECK(memcmp(one.row[k].value, more.row[k].value, one.row[k].n * sizeof(float)) == 0,
                  "%s, %s: other bytes with %d threads", backend_name(b), one.row[k].name, n);
        outputs_release(&more);
    }
    backend_close(b);
    outputs_release(&one);
}

static void test_threads_same_bytes(void)
{
    for (size_t k = 0; k < N_OF(isa_name); k++)
        for (size_t i = 0; i < N_OF(shape); i++) {
            same_bytes(isa_name[k], PRECISION_FP32, &shape[i]);
            same_bytes(isa_name[k], PRECISION_BF16, &shape[i]);
        }
}

/* Beside a weight that is too large for any layouts to be kept: the same bytes. */
static void layouts_unkept(const char *isa, enum precision p, const struct shape *s)
{
    struct outputs kept = { .n = 0 }, unkept = { .n = 0 };
    struct backend *b = open_isa(isa, 2, p);
    size_t n = 1;
    if (!b)
        return;
    run_products(b, s, &kept);
    while (b->ops->weight_bytes(b, n, n) <= b->ops->layouts_kept(b))
        n *= 2;
    struct weight *large = b->ops->weight_new(b, tensor_2d(DTYPE_F32, n, n)); /* only its size */
    run_products(b, s, &unkept);
    b->ops->weight_free(b, large);
    CHECK(kept.n > 0 && kept.n == unkept.n, "%d and %d", kept.n, unkept.n);
    for (int i = 0; i < kept.n; i++)
        CHECK(memcmp(kept.row[i].value, unkept.row[i].value, kept.row[i].n * sizeof(float)) == 0,
              "%s, %s: other bytes without kept layouts", backend_name(b), kept.row[i].name);
    outputs_release(&kept);
    outputs_release(&unkept);
    backend_close(b);
}

static void test_layouts_unkept(void)
{
    for (size_t i = 0; i < N_OF(isa_name); i++) {
        layouts_unkept(isa_name[i], PRECISION_FP32, &shape[1]);
        layouts_unkept(isa_name[i], PRECISION_BF16, &shape[4]);
    }
}

/* A row has the same bits in any batch: what the generator relies on. */
static void product_rows(const char *isa, enum precision precision)
{
    enum { N_OUT = 150, N_IN = 500, N = 45 };
    struct cpu *c;
    struct err err = { "" };
    float *w = random_values(N_OUT * N_IN, "w", 1), *x = random_values(N * N_IN, "x", 1),
          *all = NEW_ARRAY(float, N *N_OUT), *some = NEW_ARRAY(float, N *N_OUT);
    struct packed p = { 0 };
    setenv("MIXLAW_ISA", isa, 1);
    NEED(cpu_open(&c, 2, precision, &err) == ST_OK, "%s", err.msg);
    unsetenv("MIXLAW_ISA");
    pack_weight(c, &p, w, N_OUT, N_IN);
    CHECK(packed_bytes(c, N_OUT, N_IN) == 4 * p.n, "%zu bytes of %zu elements",
          packed_bytes(c, N_OUT, N_IN), p.n);
    product(c, all, N_OUT, x, N_IN, N, &p, NULL, 0);
    for (int n = 1; n < N; n += 3)
        for (int first = 0; first + n <= N; first += 7) {
            product(c, some, N_OUT, x + first * N_IN, N_IN, n, &p, NULL, 0);
            CHECK(memcmp(some, all + first * N_OUT, (size_t)n * N_OUT * sizeof *some) == 0,
                  "%s: rows %d..%d differ", isa, first, first + n);
        }
    packed_release(&p);
    cpu_close(c);
    free(w);
    free(x);
    free(all);
    free(some);
}

static void test_product_rows(void)
{
    for (size_t i = 0; i < N_OF(isa_name); i++)
        if (isa_find(isa_name[i])) {
            product_rows(isa_name[i], PRECISION_FP32);
            product_rows(isa_name[i], PRECISION_BF16);
        }
}

/* ref's backward against differences of its forward: f = sum of weights * outputs. */
struct probe {
    struct backend *b;
    struct tensor x, out, lse, rope;
    struct attn_shape a;
    const float *weight;
};

static double weighted(const struct probe *p)
{
    size_t n = tensor_n(p->out);
    float *v = xmalloc(n * sizeof *v);
    double sum = 0;
    p->b->ops->download(p->b, v, p->out);
    for (size_t i = 0; i < n; i++)
        sum += (double)v[i] * (double)p->weight[i];
    free(v);
    return sum;
}

static double difference(struct probe *p, size_t i, void (*forward)(struct probe *p))
{
    const float h = 1e-2f;
    float *x = xmalloc(tensor_n(p->x) * sizeof *x);
    p->b->ops->download(p->b, x, p->x);
    float at = x[i];
    x[i] = at + h;
    p->b->ops->upload(p->b, p->x, x);
    forward(p);
    double up = weighted(p);
    x[i] = at - h;
    p->b->ops->upload(p->b, p->x, x);
    forward(p);
    double down = weighted(p);
    x[i] = at;
    p->b->ops->upload(p->b, p->x, x);
    free(x);
    return (up - down) / (2 * (double)h);
}

static void forward_attn(struct probe *p)
{
    p->b->ops->attn(p->b, p->out, p->lse, p->x, p->rope, p->a);
}

static void forward_swiglu(struct probe *p)
{
    p->b->ops->swiglu(p->b, p->out, p->x);
}

static void forward_norm(struct probe *p)
{
    p->b->ops->rmsnorm(p->b, p->out, p->x, p->lse /* the gain */, 1e-5f);
}

static void check_gradient(struct probe *p, struct tensor grad, void (*forward)(struct probe *p),
                           const char *name)
{
    size_t n = tensor_n(grad);
    float *g = xmalloc(n * sizeof *g);
    p->b->ops->download(p->b, g, grad);
    for (size_t i = 0; i < n; i += 5) {
        double want = difference(p, i, forward);
        CHECK(fabs((double)g[i] - want) < 2e-3 * (1 + fabs(want)),
              "%s, element %zu: %g, difference says %g", name, i, (double)g[i], want);
    }
    free(g);
}

static void test_finite_differences(void)
{
    struct backend *b;
    struct err err = { "" };
    NEED(backend_open(&b, "ref", 1, PRECISION_FP32, &err) == ST_OK, "%s", err.msg);
    struct attn_shape a = { 1, 7, 4, 2, 6, tensor_none };
    size_t n = 7;
    float *weight = random_values(n * 48, "weight", 1);
    struct probe p = { b,
                       random_tensor(b, n, 48, "qkv", 1),
                       make(b, n, 24, NULL),
                       make(b, n, 4, NULL),
                       rope_table(b, 7, 6),
                       a,
                       weight };
    struct tensor grad = make(b, n, 48, NULL), dout = make(b, n, 24, weight);
    forward_attn(&p);
    b->ops->attn_bwd(b, grad, dout, p.x, p.out, p.lse, p.rope, a);
    check_gradient(&p, grad, forward_attn, "attn");
    static const uint32_t first[] = { 0, 0, 0, 3, 3, 3, 4 };
    struct tensor see = tensor_1d(DTYPE_U32, 7);
    NEED(b->ops->alloc(b, &see, &err) == ST_OK, "%s", err.msg);
    b->ops->upload(b, see, first);
    p.a.first = see;
    forward_attn(&p);
    b->ops->attn_bwd(b, grad, dout, p.x, p.out, p.lse, p.rope, p.a);
    check_gradient(&p, grad, forward_attn, "masked attn");
    b->ops->free(b, &see);
    struct tensor act = make(b, n, 24, NULL);
    b->ops->swiglu_bwd(b, grad, act, dout, p.x);
    check_gradient(&p, grad, forward_swiglu, "swiglu");
    b->ops->free(b, &p.lse);
    b->ops->free(b, &dout);
    struct tensor dgain = make(b, 48, 0, NULL), out = p.out;
    p.lse = random_tensor(b, 48, 0, "gain", 1);
    p.out = make(b, n, 48, NULL);
    dout = make(b, n, 48, weight);
    b->ops->zero(b, grad);
    b->ops->rmsnorm_bwd(b, grad, dgain, dout, p.x, p.lse, 1e-5f);
    check_gradient(&p, grad, forward_norm, "rmsnorm");
    struct tensor all[] = { grad, dout, act, dgain, out, p.x, p.out, p.lse, p.rope };
    for (size_t i = 0; i < N_OF(all); i++)
        b->ops->free(b, &all[i]);
    free(weight);
    backend_close(b);
}

static void test_open(void)
{
    struct backend *b;
    struct err err = { "" };
    CHECK(backend_open(&b, "cuda", 0, PRECISION_AUTO, &err) == ST_UNSUPPORTED && !b, "%s", err.msg);
    CHECK(backend_open(&b, "abacus", 0, PRECISION_AUTO, &err) == ST_USAGE && !b, "%s", err.msg);
    setenv("MIXLAW_ISA", "mmx", 1);
    CHECK(backend_open(&b, "cpu", 0, PRECISION_AUTO, &err) == ST_USAGE && !b, "%s", err.msg);
    unsetenv("MIXLAW_ISA");
    for (size_t i = 0; i < N_OF(isa_name); i++)
        if (isa_find(isa_name[i]))
            CHECK(isa_check(isa_find(isa_name[i]), PRECISION_BF16, &err) == ST_OK, "%s", err.msg);
        else
            printf("skipped: %s, which this processor lacks\n", isa_name[i]);
    NEED(backend_open(&b, "auto", 0, PRECISION_AUTO, &err) == ST_OK, "%s", err.msg);
    printf("auto is %s\n", backend_name(b));
    backend_close(b);
}

/* What a row is called, what it multiplies in when nothing is asked, and that a processor without
 * it says so. */
static void forced(const char *isa, enum precision p, const char *want)
{
    struct backend *b = NULL;
    struct err err = { "" };
    setenv("MIXLAW_ISA", isa, 1);
    enum st st = backend_open(&b, "cpu", 1, p, &err);
    unsetenv("MIXLAW_ISA");
    if (isa_find(isa))
        CHECK(st == ST_OK && strcmp(backend_name(b), want) == 0, "%s: %s", isa,
              b ? backend_name(b) : err.msg);
    else
        CHECK(st == ST_UNSUPPORTED && !b && strstr(err.msg, isa) && strstr(err.msg, "lacks"),
              "%s: %s", isa, err.msg);
    backend_close(b);
}

static void test_forced(void)
{
    forced("plain", PRECISION_AUTO, "cpu/plain fp32");
    forced("plain", PRECISION_BF16, "cpu/plain bf16");
    forced("avx2", PRECISION_AUTO, "cpu/avx2 fp32");
    forced("avx512", PRECISION_AUTO, "cpu/avx512 fp32");
    forced("avx512bf16", PRECISION_AUTO, "cpu/avx512bf16 bf16");
    forced("avx512bf16", PRECISION_FP32, "cpu/avx512 fp32");
    forced("amx", PRECISION_AUTO, "cpu/amx bf16");
    forced("amx", PRECISION_FP32, "cpu/avx512 fp32");
}

/* Emulated instructions have a peak too, a low one. */
static void test_peak(void)
{
    for (size_t i = 0; i < N_OF(isa_name); i++) {
        struct backend *b = open_isa(isa_name[i], 2, PRECISION_AUTO);
        struct backend_peak peak;
        if (!b)
            continue;
        b->ops->peak(b, &peak);
        bool bf16 = isa_find(isa_name[i])->bf16_instruction;
        CHECK(peak.fp32 > 1e8 && peak.fp32 < 1e14, "%s: %g", isa_name[i], peak.fp32);
        CHECK(bf16 ? peak.bf16 > 1e6 : peak.bf16 == 0, "%s: %g", isa_name[i], peak.bf16);
        CHECK(peak.used == (bf16 ? peak.bf16 : peak.fp32), "%s: %g", isa_name[i], peak.used);
        backend_close(b);
    }
}

static void test_nan_stays(void)
{
    for (size_t i = 0; i < N_OF(isa_name); i++) {
        const struct isa *isa = isa_find(isa_name[i]);
        if (!isa)
            continue;
        const struct kernels *k = isa->k;
        float x[40], max;
        for (int n = 1; n <= 40; n++)
            for (int at = 0; at < n; at++) {
                for (int j = 0; j < n; j++)
                    x[j] = (float)j;
                x[at] = NAN;
                float sum = k->softmax_exp(x, n, &max);
                CHECK(isnan(sum), "%s: NaN at %d of %d got lost", k->name, at, n);
            }
        for (int j = 0; j < 40; j++)
            x[j] = j % 2 ? -INFINITY : -200;
        x[5] = 3;
        float sum = k->softmax_exp(x, 40, &max);
        CHECK(max == 3 && sum >= 1 && sum < 1.0001f, "%s: sum %g", k->name, (double)sum);
    }
}

/* A table without gaps: an operation that one backend forgot would be a call to nowhere. */
static void check_whole(const struct backend *b, const char *name)
{
    void (*op[sizeof *b->ops / sizeof(void (*)(void))])(void);
    memcpy(op, b->ops, sizeof op);
    for (size_t i = 0; i < N_OF(op); i++)
        CHECK(op[i] != NULL, "%s has no operation %zu", name, i);
}

static void test_tables(void)
{
    static const char *const name[] = { "ref", "cpu" };
    for (size_t i = 0; i < N_OF(name); i++) {
        struct backend *b;
        struct err err;
        struct backend_peak peak = { -1, -1, -1 };
        NEED(backend_open(&b, name[i], 1, PRECISION_FP32, &err) == ST_OK, "%s", err.msg);
        check_whole(b, name[i]);
        b = backend_profiled(b);
        check_whole(b, "profiled");
        b->ops->peak(b, &peak);
        CHECK(peak.fp32 >= 0 && (i == 0) == (peak.fp32 == 0), "%s, profiled: peak %g", name[i],
              peak.fp32);
        backend_close(b);
    }
}

/* Parts of calls on one thread, on two, and between calls: none negative, together the time that
 * passed. */
static void test_profile(void)
{
    for (int n_thread = 1; n_thread <= 2; n_thread++) {
        struct backend *b;
        struct err err;
        struct profile p;
        struct tensor x = tensor_2d(DTYPE_F32, 1024, 256), y = tensor_2d(DTYPE_F32, 1024, 512),
                      w = tensor_2d(DTYPE_F32, 512, 256), norm = tensor_1d(DTYPE_F64, 1);
        NEED(backend_open(&b, "cpu", n_thread, PRECISION_FP32, &err) == ST_OK, "%s", err.msg);
        b = backend_profiled(b);
        NEED(b->ops->alloc(b, &x, &err) == ST_OK && b->ops->alloc(b, &y, &err) == ST_OK &&
                 b->ops->alloc(b, &w, &err) == ST_OK && b->ops->alloc(b, &norm, &err) == ST_OK,
             "%s", err.msg);
        struct weight *weight = b->ops->weight_new(b, w);
        b->ops->weights_ready(b, weight, false);
        backend_profile_reset(b);
        for (int i = 0; i < 5; i++) {
            b->ops->linear(b, y, x, weight, tensor_none);
            b->ops->sumsq(b, norm, y);
        }
        backend_profile(b, &p);
        double sum = 0;
        for (int i = 0; i < N_PROFILE; i++) {
            CHECK(p.part[i].s >= -1e-9 && p.part[i].s <= p.s, "%s: %g s of %g", p.part[i].name,
                  p.part[i].s, p.s);
            sum += p.part[i].s;
        }
        CHECK(p.s > 0 && fabs(sum - p.s) < 1e-9, "parts %.12g, whole %.12g", sum, p.s);
        CHECK(p.part[PROFILE_PRODUCTS].n_call == 5 && p.part[PROFILE_OPTIMIZER].n_call == 5 &&
                  p.part[PROFILE_PRODUCTS].flop == 5 * 2. * 1024 * 512 * 256 &&
                  p.part[PROFILE_PRODUCTS].s > 0 && p.part[PROFILE_LAYOUTS].n_call == 0,
              "counts");
        CHECK(n_thread > 1 || p.part[PROFILE_WAITING].s < 1e-9, "one thread waited %g s",
              p.part[PROFILE_WAITING].s);
        b->ops->weight_free(b, weight);
        b->ops->free(b, &x);
        b->ops->free(b, &y);
        b->ops->free(b, &w);
        b->ops->free(b, &norm);
        backend_close(b);
    }
}

int main(int argc, char **argv)
{
    static const struct check_test test[] = {
        TEST(test_open),
        TEST(test_ops_fp32),
        TEST(test_ops_bf16),
        TEST(test_product_rows),
        TEST(test_threads_same_bytes),
        TEST(test_layouts_unkept),
        TEST(test_finite_differences),
        TEST(test_nan_stays),
        TEST(test_forced),
        TEST(test_peak),
        TEST(test_tables),
        TEST(test_profile),
    };
    return check_main(test, N_OF(test), argc, argv);
}
