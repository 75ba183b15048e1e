/*
 * bench/train.c - training speed of this engine: one JSON line on standard output.
 *
 *     train_bench SIZE BATCH THREADS SECONDS [bf16]
 *
 * SIZE is tiny, 1M, 5M or 20M (the shapes of bench/train_torch.py). BATCH counts sequences. The figure is
 * of the fastest step, with the median beside it; data are random tokens, every step is forward, backward,
 * clipping and AdamW. tok_per_cpu_s counts the process's processor time instead of the wall's: on a
 * machine with other work it is the steadier figure.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
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
    { "tiny", 128, 2, 352, 4096, 256 },
    { "1M", 128, 5, 352, 8192, 512 },
    { "5M", 256, 6, 704, 8192, 512 },
    { "20M", 512, 6, 1408, 8192, 512 },
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

static double cpu_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static enum st measure(struct model *m, const uint32_t *tok, int batch, int seq_len, double seconds,
                       struct times *times, struct err *err)
{
    const struct adamw_conf c = { 1e-3, 0.9, 0.95, 1e-8, 0.1, 1 };
    double start = clock_s(), loss = 0, norm;
    for (int i = 0; i < MAX_STEPS && (i < 4 || clock_s() - start < seconds); i++) {
        double t = clock_s(), cpu = cpu_s();
        enum st st = model_forward_backward(m, tok, batch, seq_len, 1, &loss, err);
        if (st == ST_OK)
            st = model_adamw_step(m, &c, (uint64_t)i + 1, &norm, err);
        if (st < 0)
            return st;
        if (i > 0) { /* the first allocates */
            times->wall[times->n] = clock_s() - t;
            times->cpu[times->n++] = cpu_s() - cpu;
        }
    }
    return ST_OK;
}

int main(int argc, char **argv)
{
    if (argc < 5)
        return fail("want SIZE BATCH THREADS SECONDS [bf16]");
    size_t i = 0;
    while (i < N_OF(size_row) && strcmp(size_row[i].name, argv[1]) != 0)
        i++;
    if (i == N_OF(size_row))
        return fail("sizes are tiny, 1M, 5M, 20M");
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
    enum precision p = argc > 5 && strcmp(argv[5], "bf16") == 0 ? PRECISION_BF16 : PRECISION_AUTO;
    if (batch < 1 || backend_open(&b, "cpu", atoi(argv[3]), p, &err) < 0 ||
        model_new(&m, &conf, b, &err) < 0)
        return fail(err.msg);
    model_init(m, 1);
    size_t n = (size_t)batch * (size_t)(T + 1);
    uint32_t *tok = NEW_ARRAY(uint32_t, n);
    struct rng r;
    rng_init(&r, 1, "bench", 0);
    for (size_t k = 0; k < n; k++)
        tok[k] = (uint32_t)rng_below(&r, (uint64_t)conf.vocab_size);
    struct times *times = NEW(struct times);
    if (measure(m, tok, batch, T, atof(argv[4]), times, &err) < 0)
        return fail(err.msg);
    qsort(times->wall, (size_t)times->n, sizeof times->wall[0], by_value);
    qsort(times->cpu, (size_t)times->n, sizeof times->cpu[0], by_value);
    double n_tok = (double)batch * T, flop = model_flop_per_tok(&conf, T);
    struct js *o = js_object();
    struct strbuf line = { 0 };
    js_put_text(o, "name", "mixlaw");
    js_put_text(o, "size", argv[1]);
    js_put_text(o, "backend", backend_name(b));
    js_put_whole(o, "n_thread", atoi(argv[3]));
    js_put_whole(o, "batch_tokens", (int64_t)n_tok);
    js_put_real(o, "tok_per_s", n_tok / times->wall[0]);
    js_put_real(o, "tok_per_s_median", n_tok / times->wall[times->n / 2]);
    js_put_real(o, "tok_per_cpu_s", n_tok / times->cpu[0]);
    js_put_real(o, "tok_per_cpu_s_median", n_tok / times->cpu[times->n / 2]);
    js_put_real(o, "gflops", n_tok / times->wall[0] * flop * 1e-9);
    js_put_whole(o, "n_step", times->n);
    js_write(o, &line);
    puts(line.s);
    str_release(&line);
    js_free(o);
    free(times);
    free(tok);
    model_free(m);
    backend_close(b);
    return 0;
}
