/*
 * bench/train.c - training speed of this engine: one JSON line on standard output a burst of steps.
 *
 *     train_bench SIZE BATCH THREADS SECONDS|- [auto|fp32|bf16]
 *
 * SIZE is a row of size_row (the shapes of bench/train_torch.py). BATCH counts sequences. With -
 * each line on standard input holds the seconds of one burst, so that another program's can lie
 * between them. Figures are of the median step, with the fastest beside it; data are random tokens,
 * every step is forward, backward, clipping and AdamW. tok_per_cpu_s counts the process's processor
 * time instead of the wall's: on a machine with other work it is the steadier figure. peak_gflops
 * is the peak of the products' instructions on as many threads, measured just before the burst;
 * peak_rss_mb the most memory the process ever held.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "base/attr.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/rng.h"
#include "model/model.h"

static const struct {
    const char *name;
    int d, n_layer, ff, vocab, seq_len;
} size_row[] = {
    { "tiny", 128, 2, 352, 4096, 256 }, { "0.6M", 128, 3, 352, 4096, 256 },
    { "1M", 128, 5, 352, 8192, 512 },   { "2M", 192, 5, 512, 8192, 512 },
    { "4M", 256, 5, 704, 8192, 512 },   { "5M", 256, 6, 704, 8192, 512 },
    { "20M", 512, 6, 1408, 8192, 512 }, { "100M", 768, 14, 2048, 32000, 512 },
};

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static int fail(const char *what)
{
    fprintf(stderr, "train_bench: %s\n", what);
    return 1;
}

enum { MAX_STEPS = 1000 };

struct times {
    double wall[MAX_STEPS], cpu[MAX_STEPS];
    int n;
};

struct bench {
    struct model *m;
    struct backend *b;
    const uint32_t *tok;
    const char *size;
    int batch, seq_len, n_thread;
    uint64_t step;
    double first_s; /* the first step, which allocates */
    struct backend_peak peak;
    struct times t;
};

static double cpu_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static enum st one_step(struct bench *x, struct err *err)
{
    const struct adamw_conf c = { 1e-3, 0.9, 0.95, 1e-8, 0.1, 1, 0 };
    double loss = 0, norm;
    enum st st = model_forward_backward(x->m, x->tok, x->batch, x->seq_len, 1, &loss, err);
    return st == ST_OK ? model_adamw_step(x->m, &c, ++x->step, &norm, err) : st;
}

/* The peak is measured beside the steps: a clock that rises or falls between bursts moves both. */
static enum st burst(struct bench *x, double seconds, struct err *err)
{
    enum st st = ST_OK;
    x->t.n = 0;
    x->b->ops->peak(x->b, &x->peak);
    double start = clock_s();
    for (int i = 0; i < MAX_STEPS && st == ST_OK && (i < 1 || clock_s() - start < seconds); i++) {
        double wall = clock_s(), cpu = cpu_s();
        st = one_step(x, err);
        x->t.wall[i] = clock_s() - wall;
        x->t.cpu[i] = cpu_s() - cpu;
        x->t.n = i + 1;
    }
    return st;
}

static void print_line(struct bench *x)
{
    struct times *t = &x->t;
    size_t n = (size_t)t->n;
    qsort(t->wall, n, sizeof t->wall[0], by_value);
    qsort(t->cpu, n, sizeof t->cpu[0], by_value);
    double n_tok = (double)x->batch * x->seq_len;
    double flop = model_flop_per_tok(model_config(x->m), x->seq_len);
    struct js *o = js_object();
    struct strbuf line = { 0 };
    js_put_text(o, "name", "mixlaw");
    js_put_text(o, "size", x->size);
    js_put_text(o, "mode", backend_name(x->b));
    js_put_whole(o, "n_thread", x->n_thread);
    js_put_whole(o, "batch_tokens", (int64_t)n_tok);
    js_put_real(o, "tok_per_s", n_tok / t->wall[n / 2]);
    js_put_real(o, "tok_per_s_best", n_tok / t->wall[0]);
    js_put_real(o, "tok_per_cpu_s", n_tok / t->cpu[n / 2]);
    js_put_real(o, "tok_per_cpu_s_best", n_tok / t->cpu[0]);
    js_put_real(o, "flop_per_tok", flop);
    if (x->peak.used > 0)
        js_put_real(o, "peak_gflops", 1e-9 * x->peak.used);
    js_put_real(o, "first_step_s", x->first_s);
    struct rusage used;
    if (getrusage(RUSAGE_SELF, &used) == 0)
        js_put_whole(o, "peak_rss_mb", used.ru_maxrss / 1024);
    js_put_whole(o, "n_step", t->n);
    js_write(o, &line);
    puts(line.s);
    fflush(stdout);
    str_release(&line);
    js_free(o);
}

static enum st measure(struct bench *x, const char *seconds, struct err *err)
{
    double start = clock_s();
    enum st st = one_step(x, err); /* allocates */
    x->first_s = clock_s() - start;
    if (strcmp(seconds, "-") != 0) {
        if (st == ST_OK && (st = burst(x, atof(seconds), err)) == ST_OK)
            print_line(x);
        return st;
    }
    char line[32];
    puts("ready");
    fflush(stdout);
    while (st == ST_OK && fgets(line, sizeof line, stdin))
        if ((st = burst(x, atof(line), err)) == ST_OK)
            print_line(x);
    return st;
}

static bool read_precision(const char *name, enum precision *p)
{
    static const char *const known[] = {
        [PRECISION_AUTO] = "auto", [PRECISION_FP32] = "fp32", [PRECISION_BF16] = "bf16"
    };
    for (size_t i = 0; i < N_OF(known); i++)
        if (strcmp(known[i], name) == 0) {
            *p = (enum precision)i;
            return true;
        }
    return false;
}

int main(int argc, char **argv)
{
    if (argc < 5)
        return fail("want SIZE BATCH THREADS SECONDS|- [auto|fp32|bf16]");
    size_t i = 0;
    while (i < N_OF(size_row) && strcmp(size_row[i].name, argv[1]) != 0)
        i++;
    if (i == N_OF(size_row))
        return fail("sizes are tiny, 0.6M, 1M, 2M, 4M, 5M, 20M, 100M");
    int batch = atoi(argv[2]), T = size_row[i].seq_len, d = size_row[i].d;
    struct model_conf conf = { .n_layer = size_row[i].n_layer,
                               .d_model = d,
                               .n_head = d / 64,
                               .n_kv_head = d / 64,
                               .d_head = 64,
                               .d_ff = size_row[i].ff,
                               .vocab_size = size_row[i].vocab,
                               .max_seq_len = T,
                               .rope_theta = 10000,
                               .norm_eps = 1e-5 };
    struct err err = { "" };
    struct backend *b;
    struct model *m;
    enum precision p = PRECISION_AUTO;
    if (batch < 1 || (argc > 5 && !read_precision(argv[5], &p)))
        return fail("want a BATCH from 1 and a precision of auto, fp32 or bf16");
    if (backend_open(&b, "cpu", atoi(argv[3]), p, &err) < 0 || model_new(&m, &conf, b, &err) < 0)
        return fail(err.msg);
    model_init(m, 1);
    size_t n = (size_t)batch * (size_t)(T + 1);
    uint32_t *tok = NEW_ARRAY(uint32_t, n);
    struct rng r;
    rng_init(&r, 1, "bench", 0);
    for (size_t k = 0; k < n; k++)
        tok[k] = (uint32_t)rng_below(&r, (uint64_t)conf.vocab_size);
    struct bench *x = NEW(struct bench);
    *x = (struct bench){ .m = m,
                         .b = b,
                         .tok = tok,
                         .size = size_row[i].name,
                         .batch = batch,
                         .seq_len = T,
                         .n_thread = atoi(argv[3]) };
    if (measure(x, argv[4], &err) < 0)
        return fail(err.msg);
    free(x);
    free(tok);
    model_free(m);
    backend_close(b);
    return 0;
}
