/*
 * bench/products.c - the three products of a layer's matrix beside oneDNN's, in turns. JSON lines.
 *
 *     products_bench N_TOK THREADS ROUNDS
 *
 * Built where oneDNN's headers are (Debian: libdnnl-dev); set OMP_NUM_THREADS to THREADS for it.
 * A matrix [n_out, n_in] in fp32: forward x w', gradient of the inputs dy w, gradient of the
 * weights dy' x. Ours are the backend's operations; oneDNN's are matmul primitives made once, on
 * row-major memory, since a training step changes the weights. What our layouts of the weights cost
 * once a step stands apart, and is counted in `all`. GFLOP/s are medians, each of the best of three
 * calls a round; ratio is the median over rounds of ours to theirs.
 */
#include <dnnl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/backend.h"
#include "base/attr.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/rng.h"

enum part { FORWARD, DGRAD, WGRAD, LAYOUT, N_PART };
static const char *const part_name[N_PART] = { "forward", "dgrad", "wgrad", "layouts" };
enum { MAX_ROUNDS = 101 };

static const struct {
    const char *model, *name;
    int n_in, n_out;
} matrix[] = {
    { "1M", "qkv", 128, 384 },       { "1M", "gate_up", 128, 704 }, { "1M", "down", 352, 128 },
    { "1M", "head", 128, 8192 },     { "5M", "qkv", 256, 768 },     { "5M", "gate_up", 256, 1408 },
    { "5M", "down", 704, 256 },      { "20M", "qkv", 512, 1536 },   { "20M", "o", 512, 512 },
    { "20M", "gate_up", 512, 2816 }, { "20M", "down", 1408, 512 },  { "20M", "head", 512, 8192 },
};

static void need(bool ok, const char *what)
{
    if (!ok) {
        fprintf(stderr, "products_bench: %s\n", what);
        exit(1);
    }
}

/* ---- ours ---- */

struct ours {
    struct backend *b;
    struct tensor x, y, w, dw;
    struct weight *weight;
};

static void ours_part(const struct ours *o, enum part part)
{
    const struct backend_ops *ops = o->b->ops;
    struct err err = { "" };
    if (part == FORWARD)
        ops->linear(o->b, o->y, o->x, o->weight, (struct tensor){ 0 });
    else if (part == DGRAD)
        ops->linear_dgrad(o->b, o->x, o->y, o->weight);
    else if (part == WGRAD)
        ops->linear_wgrad(o->b, o->dw, o->y, o->x);
    else
        ops->weights_ready(o->b, o->weight, true);
    need(ops->sync(o->b, &err) == ST_OK, err.msg);
}

/* ---- oneDNN's ---- */

struct theirs {
    dnnl_engine_t engine;
    dnnl_stream_t stream;
    dnnl_primitive_t product[3];
    dnnl_memory_t a[3], b[3], c[3];
};

static dnnl_memory_t memory_of(struct theirs *t, int rows, int cols, bool transposed, void *p)
{
    dnnl_memory_desc_t d;
    dnnl_dims_t dims = { rows, cols };
    dnnl_memory_t m = NULL;
    need(dnnl_memory_desc_init_by_tag(&d, 2, dims, dnnl_f32, transposed ? dnnl_ba : dnnl_ab) ==
                 dnnl_success &&
             dnnl_memory_create(&m, &d, t->engine, p) == dnnl_success,
         "oneDNN: no memory");
    return m;
}

static void theirs_product(struct theirs *t, int i)
{
    const dnnl_memory_desc_t *a, *b, *c;
    dnnl_matmul_desc_t d;
    dnnl_primitive_desc_t p = NULL;
    dnnl_memory_get_memory_desc(t->a[i], &a);
    dnnl_memory_get_memory_desc(t->b[i], &b);
    dnnl_memory_get_memory_desc(t->c[i], &c);
    need(dnnl_matmul_desc_init(&d, a, b, NULL, c) == dnnl_success &&
             dnnl_primitive_desc_create(&p, &d, NULL, t->engine, NULL) == dnnl_success &&
             dnnl_primitive_create(&t->product[i], p) == dnnl_success,
         "oneDNN: no product");
    dnnl_primitive_desc_destroy(p);
}

static void theirs_part(const struct theirs *t, enum part part)
{
    dnnl_exec_arg_t arg[] = { { DNNL_ARG_SRC, t->a[part] },
                              { DNNL_ARG_WEIGHTS, t->b[part] },
                              { DNNL_ARG_DST, t->c[part] } };
    need(dnnl_primitive_execute(t->product[part], t->stream, 3, arg) == dnnl_success &&
             dnnl_stream_wait(t->stream) == dnnl_success,
         "oneDNN: a product failed");
}

/* ---- both ---- */

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *v, int n)
{
    qsort(v, (size_t)n, sizeof *v, by_value);
    return v[n / 2];
}

static double seconds(const struct ours *o, const struct theirs *t, enum part part)
{
    double best = 1e9;
    for (int i = 0; i < 3; i++) {
        double start = clock_s();
        if (o)
            ours_part(o, part);
        else
            theirs_part(t, part);
        double s = clock_s() - start;
        best = s < best ? s : best;
    }
    return best;
}

static void put_line(size_t k, int n_tok, int n_thread, int n_round, double peak,
                     double (*s)[2][N_PART])
{
    double flop = 2.0 * n_tok * matrix[k].n_in * matrix[k].n_out, v[2][MAX_ROUNDS],
           ratio[MAX_ROUNDS];
    struct js *row = js_object();
    js_put_text(row, "bench", "products");
    js_put_text(row, "model", matrix[k].model);
    js_put_text(row, "matrix", matrix[k].name);
    js_put_whole(row, "n_tok", n_tok);
    js_put_whole(row, "n_in", matrix[k].n_in);
    js_put_whole(row, "n_out", matrix[k].n_out);
    js_put_whole(row, "n_thread", n_thread);
    js_put_real(row, "peak_gflops", 1e-9 * peak);
    for (int part = 0; part <= LAYOUT; part++) { /* LAYOUT stands for all */
        for (int r = 0; r < n_round; r++) {
            for (int side = 0; side < 2; side++) {
                const double *one = s[r][side];
                v[side][r] = part < LAYOUT ? one[part]
                                           : one[FORWARD] + one[DGRAD] + one[WGRAD] + one[LAYOUT];
            }
            ratio[r] = v[1][r] / v[0][r];
        }
        char key[48];
        double n = 1e-9 * flop * (part < LAYOUT ? 1 : 3);
        const char *name = part < LAYOUT ? part_name[part] : "all";
        snprintf(key, sizeof key, "%s_gflops", name);
        js_put_real(row, key, n / median(v[0], n_round));
        snprintf(key, sizeof key, "%s_onednn_gflops", name);
        js_put_real(row, key, n / median(v[1], n_round));
        snprintf(key, sizeof key, "%s_ratio", name);
        js_put_real(row, key, median(ratio, n_round));
    }
    struct strbuf line = { 0 };
    js_write(row, &line);
    puts(line.s);
    fflush(stdout);
    str_release(&line);
    js_free(row);
}

static float *numbers(size_t n, const char *name)
{
    float *p = xaligned(n * sizeof *p);
    struct rng r;
    rng_init(&r, 1, name, 0);
    rng_normals(&r, 1, p, n);
    return p;
}

static struct tensor on_backend(struct backend *b, int rows, int cols, const float *from)
{
    struct err err = { "" };
    struct tensor t = tensor_2d(DTYPE_F32, (size_t)rows, (size_t)cols);
    need(b->ops->alloc(b, &t, &err) == ST_OK, err.msg);
    b->ops->upload(b, t, from);
    return t;
}

static void compare(struct backend *b, struct theirs *t, size_t k, int n_tok, int n_thread,
                    int n_round)
{
    int in = matrix[k].n_in, out = matrix[k].n_out;
    size_t n_x = (size_t)n_tok * (size_t)in, n_y = (size_t)n_tok * (size_t)out,
           n_w = (size_t)out * (size_t)in;
    float *x = numbers(n_x, "x"), *y = numbers(n_y, "y"), *w = numbers(n_w, "w");
    struct ours o = { .b = b,
                      .x = on_backend(b, n_tok, in, x),
                      .y = on_backend(b, n_tok, out, y),
                      .w = on_backend(b, out, in, w),
                      .dw = on_backend(b, out, in, w) };
    o.weight = b->ops->weight_new(b, o.w);
    t->a[FORWARD] = memory_of(t, n_tok, in, false, x);
    t->b[FORWARD] = memory_of(t, in, out, true, w);
    t->c[FORWARD] = memory_of(t, n_tok, out, false, y);
    t->a[DGRAD] = memory_of(t, n_tok, out, false, y);
    t->b[DGRAD] = memory_of(t, out, in, false, w);
    t->c[DGRAD] = memory_of(t, n_tok, in, false, x);
    t->a[WGRAD] = memory_of(t, out, n_tok, true, y);
    t->b[WGRAD] = memory_of(t, n_tok, in, false, x);
    t->c[WGRAD] = memory_of(t, out, in, false, w);
    for (int i = 0; i < 3; i++)
        theirs_product(t, i);
    double(*s)[2][N_PART] = xcalloc((size_t)n_round, sizeof *s);
    struct backend_peak peak;
    b->ops->peak(b, &peak);
    for (int r = -1; r < n_round; r++) /* the first one warms up */
        for (int i = 0; i < N_PART; i++) {
            int part = (LAYOUT + i) % N_PART; /* products want the layouts */
            double ours = seconds(&o, NULL, (enum part)part),
                   theirs = part == LAYOUT ? 0 : seconds(NULL, t, (enum part)part);
            if (r >= 0) {
                s[r][0][part] = ours;
                s[r][1][part] = theirs;
            }
        }
    put_line(k, n_tok, n_thread, n_round, peak.used, s);
    for (int i = 0; i < 3; i++) {
        dnnl_primitive_destroy(t->product[i]);
        dnnl_memory_destroy(t->a[i]);
        dnnl_memory_destroy(t->b[i]);
        dnnl_memory_destroy(t->c[i]);
    }
    b->ops->weight_free(b, o.weight);
    struct tensor *mine[] = { &o.x, &o.y, &o.w, &o.dw };
    for (size_t i = 0; i < N_OF(mine); i++)
        b->ops->free(b, mine[i]);
    free(s);
    free(x);
    free(y);
    free(w);
}

int main(int argc, char **argv)
{
    struct err err = { "" };
    struct backend *b;
    struct theirs t;
    need(argc == 4, "want N_TOK THREADS ROUNDS");
    int n_tok = atoi(argv[1]), n_thread = atoi(argv[2]), n_round = atoi(argv[3]);
    need(n_tok > 0 && n_thread > 0 && n_round > 0 && n_round <= MAX_ROUNDS,
         "want numbers from 1, at most 101 rounds");
    need(backend_open(&b, "cpu", n_thread, PRECISION_FP32, &err) == ST_OK, err.msg);
    need(dnnl_engine_create(&t.engine, dnnl_cpu, 0) == dnnl_success &&
             dnnl_stream_create(&t.stream, t.engine, dnnl_stream_default_flags) == dnnl_success,
         "oneDNN: no engine");
    for (size_t k = 0; k < N_OF(matrix); k++)
        compare(b, &t, k, n_tok, n_thread, n_round);
    dnnl_stream_destroy(t.stream);
    dnnl_engine_destroy(t.engine);
    backend_close(b);
    return 0;
}
