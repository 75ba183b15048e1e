/* backend/cpu/peak.c - see peak.h. */
#include "backend/cpu/peak.h"

#include <stdlib.h>

#include "base/log.h"
#include "base/mem.h"

enum { SLICES = 8, GAIN_ROUNDS = 8, GAIN_K = 256 };
static const double slice_s = 0.0006, gain_slice_s = 0.0001;

typedef double loop_fn(int n, float *sink);

/* The best rate of a few slices; the first also wakes wide vector units. */
static double best_rate(loop_fn *loop)
{
    double best = 0;
    float sink = 0;
    for (int i = 0; i < SLICES; i++) {
        double start = clock_s(), flop = 0, took;
        do {
            flop += loop(1000, &sink);
            took = clock_s() - start;
        } while (took < slice_s);
        best = flop / took > best ? flop / took : best;
    }
    return best;
}

struct peak_job {
    loop_fn *loop;
    const struct bf16_kernels *b; /* for begin and end; NULL: fp32 */
    double *rate;                 /* one an item */
};

static void peak_item(void *arg, size_t item, int thread)
{
    const struct peak_job *j = arg;
    (void)thread;
    if (j->b && j->b->begin)
        j->b->begin();
    j->rate[item] = best_rate(j->loop);
    if (j->b && j->b->end)
        j->b->end();
}

static double all_threads(struct cpu *c, loop_fn *loop, const struct bf16_kernels *b)
{
    int n = pool_size(c->pool), n_cpu = cpu_count();
    struct peak_job j = { loop, b, NEW_ARRAY(double, (size_t)n) };
    double sum = 0;
    pool_run(c->pool, (size_t)n, peak_item,
             &j); /* as long as a thread takes to wake: one item each */
    for (int i = 0; i < n; i++)
        sum += j.rate[i];
    free(j.rate);
    return n > n_cpu ? sum * n_cpu / n : sum;
}

void peak_measure(struct cpu *c, struct backend_peak *out)
{
    const struct bf16_kernels *b = c->isa->b;
    out->fp32 = all_threads(c, c->k->peak_loop, NULL);
    out->bf16 = b->peak_loop ? all_threads(c, b->peak_loop, b) : 0;
    out->used = c->b && b->peak_loop ? out->bf16 : out->fp32;
}

/* Seconds a FLOP of tiles, the better of best and one more slice. */
static double fp32_cost(const struct kernels *k, float *m, double best)
{
    struct tile t = { .mr = k->mr, .nr = k->nr, .kc = GAIN_K, .a = m, .a_rs = GAIN_K, .a_cs = 1 };
    t.b = m + k->mr * GAIN_K;
    t.c = m + (k->mr + k->nr) * GAIN_K;
    t.ldc = (size_t)k->nr;
    double start = clock_s(), took, flop = 0;
    do {
        k->tile_rows(&t);
        flop += 2.0 * k->mr * k->nr * GAIN_K;
        took = clock_s() - start;
    } while (took < gain_slice_s);
    return took / flop < best ? took / flop : best;
}

static double bf16_cost(const struct bf16_kernels *b, float *m, double best)
{
    enum { LD = GAIN_K / 2 + 16 };
    uint32_t *pairs = (uint32_t *)(void *)m; /* zeros, as floats or as pairs */
    struct bf16_tile t = { .mr = b->mr, .nr = b->nr, .n_pair = GAIN_K / 2, .a = pairs, .ld_a = LD };
    t.b = pairs + b->mr * LD;
    t.c = m + b->mr * LD + b->nr * GAIN_K / 2;
    t.ldc = (size_t)b->nr;
    double start = clock_s(), took, flop = 0;
    if (b->begin)
        b->begin();
    do {
        b->tile(&t);
        flop += 2.0 * b->mr * b->nr * GAIN_K;
        took = clock_s() - start;
    } while (took < gain_slice_s);
    if (b->end)
        b->end();
    return took / flop < best ? took / flop : best;
}

double peak_bf16_gain(const struct isa *isa)
{
    enum { MOST = 32 }; /* rows, columns of any tile */
    float *m = xaligned((size_t)(MOST * (2 * GAIN_K + 16 + MOST)) * sizeof *m);
    double fp32 = 1, bf16 = 1; /* seconds: too many */
    for (int i = 0; i < MOST * (2 * GAIN_K + 16 + MOST); i++)
        m[i] = 0;
    for (int i = 0; i < GAIN_ROUNDS; i++) { /* in turn, so that a disturbance meets both */
        fp32 = fp32_cost(isa->k, m, fp32);
        bf16 = bf16_cost(isa->b, m, bf16);
    }
    free(m);
    log_debug("%s: bf16 tiles run at %.2f times the rate of fp32", isa->name, fp32 / bf16);
    return fp32 / bf16;
}
