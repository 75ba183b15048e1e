/* tests/model/training.c - runs: the same bytes with any number of threads, resume, bf16, NaN. */
#include "check.h"

#include <math.h>

#include "base/mem.h"
#include "base/rng.h"
#include "model/state.h"
#include "model_tests.h"

struct backend *open_backend(int n_threads, enum precision p)
{
    struct backend *b = NULL;
    struct err err = { "" };
    if (backend_open(&b, "cpu", n_threads, p, &err) < 0) {
        printf("%s\n", err.msg);
        abort();
    }
    return b;
}

void small_conf(struct model_conf *c)
{
    *c = (struct model_conf){ .n_layer = 2,
                              .d_model = 64,
                              .n_head = 4,
                              .n_kv_head = 2,
                              .d_head = 16,
                              .d_ff = 96,
                              .vocab_size = 200,
                              .max_seq_len = 64,
                              .rope_theta = 10000,
                              .norm_eps = 1e-5 };
}

static struct model *small_model(struct backend *b, uint64_t seed)
{
    struct model_conf c;
    struct model *m;
    struct err err = { "" };
    small_conf(&c);
    if (model_new(&m, &c, b, &err) < 0) {
        printf("%s\n", err.msg);
        abort();
    }
    model_init(m, seed);
    return m;
}

/* Text that can be learnt: a word of the vocabulary is followed by one of three, by a fixed table.
 */
static void draw_tokens(uint32_t *tok, size_t n, uint64_t index)
{
    struct rng r;
    rng_init(&r, 5, "text", index);
    uint32_t at = (uint32_t)rng_below(&r, 200);
    for (size_t i = 0; i < n; i++) {
        tok[i] = at;
        at = (at * 37 + 11 + (uint32_t)(rng_below(&r, 4) / 2 * 59)) % 200;
    }
}

static const struct adamw_conf adamw = { 2e-3, 0.9, 0.95, 1e-8, 0.1, 1, 0 };

/* Steps first..last; returns the mean loss of the last ten. */
static double train(struct model *m, int first, int last, int batch, int seq_len)
{
    size_t n = (size_t)(batch * (seq_len + 1));
    uint32_t *tok = xmalloc(n * sizeof *tok);
    double tail = 0, norm = 0;
    struct err err = { "" };
    for (int s = first; s <= last; s++) {
        double loss = 0;
        draw_tokens(tok, n, (uint64_t)s);
        enum st st = model_forward_backward(m, tok, batch, seq_len, 1, &loss, &err);
        if (st == ST_OK)
            st = model_adamw_step(m, &adamw, (uint64_t)s, &norm, &err);
        CHECK(st == ST_OK, "step %d: %s", s, err.msg);
        if (s > last - 10)
            tail += loss / 10;
    }
    free(tok);
    return tail;
}

static char *state_of(struct model *m, const char *file, struct strbuf *bytes)
{
    struct err err = { "" };
    char *path = path_join(check_dir(), file);
    CHECK(model_save_state(m, path, 7, &err) == ST_OK, "%s", err.msg);
    CHECK(file_read(path, 1 << 28, bytes, &err) == ST_OK, "%s", err.msg);
    return path;
}

void test_conf_for(void)
{
    static const uint64_t size[] = { 50000,   100000,   200000,    400000,    1000000,
                                     5000000, 20000000, 100000000, 400000000, 1000000000 };
    struct model_conf c;
    struct err err = { "" };
    for (size_t i = 0; i < N_OF(size); i++) {
        NEED(model_conf_for(&c, size[i], 8192, 512, &err) == ST_OK, "%s", err.msg);
        double n = (double)model_n_param_nonemb(&c), off = fabs(n / (double)size[i] - 1);
        CHECK(off < 0.12, "%g parameters for %g", n, (double)size[i]);
        CHECK(c.n_layer >= 2, "%d layers for %g", c.n_layer, (double)size[i]);
        CHECK(c.n_head * c.d_head == c.d_model && c.d_ff % 32 == 0, "odd shape");
        double aspect = (double)c.d_model / c.n_layer;
        CHECK(aspect > 7 && aspect < 150, "%d wide, %d deep", c.d_model, c.n_layer);
        CHECK(model_n_param(&c) - model_n_param_nonemb(&c) == 2 * 8192 * (uint64_t)c.d_model,
              "wrong count of embeddings");
    }
    CHECK(model_conf_for(&c, 5, 8192, 512, &err) == ST_USAGE, "accepted 5 parameters");
    small_conf(&c);
    c.n_kv_head = 3;
    CHECK(model_conf_check(&c, &err) == ST_USAGE, "accepted 4 heads over 3");
}

void test_threads_same_run(void)
{
    struct strbuf one = { 0 };
    for (int n = 1; n <= 3; n++) {
        struct backend *b = open_backend(n, PRECISION_FP32);
        struct model *m = small_model(b, 1);
        struct strbuf bytes = { 0 };
        train(m, 1, 12, 5, 48);
        free(state_of(m, "threads.state", n == 1 ? &one : &bytes));
        if (n > 1)
            CHECK(bytes.n == one.n && memcmp(bytes.s, one.s, one.n) == 0,
                  "%d threads end with other bytes than one", n);
        str_release(&bytes);
        model_free(m);
        backend_close(b);
    }
    str_release(&one);
}

/* A batch larger than one chunk gives the gradients of its parts added up. */
void test_chunks_and_micro_batches(void)
{
    enum { BATCH = 36, T = 64 };
    struct backend *b = open_backend(2, PRECISION_FP32);
    struct model *m = small_model(b, 1);
    struct err err = { "" };
    uint32_t tok[BATCH * (T + 1)];
    float *whole, *parts, losses[BATCH * T];
    size_t n;
    double a = 0, c = 0, mean = 0;
    draw_tokens(tok, N_OF(tok), 1);
    NEED(model_forward_backward(m, tok, BATCH, T, 1, &a, &err) == ST_OK, "%s", err.msg);
    NEED(model_get_param(m, "lm_head.weight", true, &whole, &n, &err) == ST_OK, "%s", err.msg);
    model_free(m);
    m = small_model(b, 1);
    for (int i = 0; i < BATCH; i += 12)
        NEED(model_forward_backward(m, tok + i * (T + 1), 12, T, 1.0 / 3, &c, &err) == ST_OK, "%s",
             err.msg);
    NEED(model_get_param(m, "lm_head.weight", true, &parts, &n, &err) == ST_OK, "%s", err.msg);
    CHECK(fabs(a - c / 3) < 1e-6, "loss %g whole, %g in parts", a, c / 3);
    double worst = 0, top = 0;
    for (size_t i = 0; i < n; i++) {
        worst = fmax(worst, fabs((double)whole[i] - (double)parts[i]));
        top = fmax(top, fabs((double)whole[i]));
    }
    CHECK(worst < 1e-5 * top, "gradients differ by %g of %g", worst, top);
    NEED(model_losses(m, tok, BATCH, T, losses, &err) == ST_OK, "%s", err.msg);
    for (size_t i = 0; i < N_OF(losses); i++)
        mean += (double)losses[i] / N_OF(losses);
    CHECK(fabs(mean - a) < 1e-6, "model_losses gives %g, training %g", mean, a);
    free(whole);
    free(parts);
    model_free(m);
    backend_close(b);
}

/* One batch in passes of any number of whole chunks (1,024 tokens): the same bytes. Passes that cut
 * chunks end with the same up to rounding, see test_chunks_and_micro_batches. */
void test_micro_batches_same_bytes(void)
{
    enum { BATCH = 48, T = 64 };
    static const int micro[] = { 48, 16, 32 };
    uint32_t tok[BATCH * (T + 1)];
    struct strbuf first = { 0 };
    double first_loss = 0;
    draw_tokens(tok, N_OF(tok), 1);
    for (size_t i = 0; i < N_OF(micro); i++) {
        struct backend *b = open_backend(2, PRECISION_FP32);
        struct model *m = small_model(b, 1);
        struct err err = { "" };
        struct strbuf x = { 0 };
        double loss = 0, norm;
        for (int s = 0; s < BATCH; s += micro[i]) {
            int n = micro[i] < BATCH - s ? micro[i] : BATCH - s;
            double one = 0, share = (double)n / BATCH;
            NEED(model_forward_backward(m, tok + s * (T + 1), n, T, share, &one, &err) == ST_OK,
                 "%s", err.msg);
            loss += one * share;
        }
        NEED(model_adamw_step(m, &adamw, 1, &norm, &err) == ST_OK, "%s", err.msg);
        free(state_of(m, "micro.state", i ? &x : &first));
        first_loss = i ? first_loss : loss;
        CHECK(fabs(loss - first_loss) < 1e-12, "passes of %d: loss %.17g, want %.17g", micro[i],
              loss, first_loss);
        CHECK(!i || (x.n == first.n && memcmp(x.s, first.s, x.n) == 0),
              "passes of %d end with other bytes than one of %d", micro[i], BATCH);
        str_release(&x);
        model_free(m);
        backend_close(b);
    }
    str_release(&first);
}

void test_resume(void)
{
    struct backend *b = open_backend(2, PRECISION_FP32);
    struct model *straight = small_model(b, 1), *first = small_model(b, 1),
                 *second = small_model(b, 99);
    struct strbuf x = { 0 }, y = { 0 };
    struct err err = { "" };
    uint64_t step;
    train(straight, 1, 14, 3, 40);
    train(first, 1, 7, 3, 40);
    char *path = state_of(first, "half.state", &x);
    str_clear(&x);
    NEED(model_load_state(second, path, &step, &err) == ST_OK, "%s", err.msg);
    CHECK(step == 7, "step %llu came back", (unsigned long long)step);
    train(second, 8, 14, 3, 40);
    free(state_of(straight, "a.state", &x));
    free(state_of(second, "b.state", &y));
    CHECK(x.n == y.n && memcmp(x.s, y.s, x.n) == 0, "the resumed run ends with other bytes");
    str_release(&x);
    str_release(&y);
    free(path);
    model_free(straight);
    model_free(first);
    model_free(second);
    backend_close(b);
}

void test_state_refused(void)
{
    struct backend *b = open_backend(1, PRECISION_FP32);
    struct model *m = small_model(b, 1), *other;
    struct model_conf conf;
    struct strbuf x = { 0 };
    struct err err = { "" };
    uint64_t step;
    char *path = state_of(m, "good.state", &x), *bad = path_join(check_dir(), "bad.state");
    NEED(file_write(bad, x.s, x.n - 9, &err) == ST_OK, "%s", err.msg);
    CHECK(model_load_state(m, bad, &step, &err) == ST_FORMAT && strstr(err.msg, "bad.state"),
          "cut: %s", err.msg);
    x.s[x.n / 2] ^= 4;
    NEED(file_write(bad, x.s, x.n, &err) == ST_OK, "%s", err.msg);
    CHECK(model_load_state(m, bad, &step, &err) == ST_FORMAT && strstr(err.msg, "damaged"),
          "flipped bit: %s", err.msg);
    NEED(file_write(bad, "hello", 5, &err) == ST_OK, "%s", err.msg);
    CHECK(model_load_state(m, bad, &step, &err) == ST_FORMAT, "text: %s", err.msg);
    small_conf(&conf);
    conf.d_ff = 64;
    NEED(model_new(&other, &conf, b, &err) == ST_OK, "%s", err.msg);
    CHECK(model_load_state(other, path, &step, &err) == ST_FORMAT &&
              strstr(err.msg, "another model"),
          "other shape: %s", err.msg);
    model_free(other);
    model_free(m);
    backend_close(b);
    str_release(&x);
    free(path);
    free(bad);
}

/* A bf16 run ends nearer to its fp32 twin than runs with other seeds lie apart. */
void test_bf16_run(void)
{
    enum { STEPS = 1000, SEEDS = 3 };
    double loss[SEEDS], low = HUGE_VAL, high = 0, bf16 = 0;
    for (int i = 0; i <= SEEDS; i++) {
        struct backend *b = open_backend(1, i == SEEDS ? PRECISION_BF16 : PRECISION_FP32);
        struct model *m = small_model(b, (uint64_t)i % SEEDS);
        double end = train(m, 1, STEPS, 3, 32);
        if (i == SEEDS)
            bf16 = end;
        else
            loss[i] = end, low = fmin(low, end), high = fmax(high, end);
        model_free(m);
        backend_close(b);
    }
    printf("%d steps in fp32 end at %.4f, with other seeds at %.4f and %.4f; in bf16 at %.4f\n",
           STEPS, loss[0], loss[1], loss[2], bf16);
    CHECK(fabs(bf16 - loss[0]) <= high - low, "bf16 ends at %g, fp32 at %g, seeds spread %g", bf16,
          loss[0], high - low);
    CHECK(loss[0] < 3, "nothing was learnt");
}

void test_nan_is_a_result(void)
{
    struct backend *b = open_backend(1, PRECISION_FP32);
    struct model *m = small_model(b, 1);
    struct adamw_conf wild = { 1e30, 0.9, 0.95, 1e-8, 0.1, 0, 0 };
    uint32_t tok[2 * 33];
    struct err err = { "" };
    double loss = 0, norm;
    for (int s = 1; s <= 4; s++) {
        loss = 0;
        draw_tokens(tok, N_OF(tok), (uint64_t)s);
        CHECK(model_forward_backward(m, tok, 2, 32, 1, &loss, &err) == ST_OK, "%s", err.msg);
        CHECK(model_adamw_step(m, &wild, (uint64_t)s, &norm, &err) == ST_OK, "%s", err.msg);
    }
    CHECK(!isfinite(loss), "a rate of 1e30 ends with loss %g", loss);
    model_free(m);
    backend_close(b);
}

void test_bad_tokens(void)
{
    struct backend *b = open_backend(1, PRECISION_FP32);
    struct model *m = small_model(b, 1);
    struct err err = { "" };
    uint32_t tok[] = { 1, 2, 200 };
    float losses[2];
    double loss = 0, norm;
    CHECK(model_losses(m, tok, 1, 2, losses, &err) == ST_FORMAT && strstr(err.msg, "200"), "%s",
          err.msg);
    CHECK(model_forward_backward(m, tok, 1, 2, 1, &loss, &err) == ST_FORMAT, "%s", err.msg);
    CHECK(model_forward_backward(m, tok, 0, 2, 1, &loss, &err) == ST_USAGE, "%s", err.msg);
    CHECK(model_adamw_step(m, &adamw, 1, &norm, &err) == ST_USAGE, "a step without gradients");
    model_free(m);
    backend_close(b);
}

/* The average against the formula, through a swap, a saved state and on. */
void test_ema(void)
{
    enum { STEPS = 12, HALF = 5 };
    struct backend *b = open_backend(2, PRECISION_FP32);
    struct model *m = small_model(b, 1), *second = small_model(b, 2);
    struct err err = { "" };
    struct strbuf x = { 0 };
    const char *key = "model.layers.0.mlp.up_proj.weight";
    float *p, *got;
    size_t n;
    uint64_t step;
    double decay = 0.9;
    CHECK(model_ema_swap(m, &err) == ST_USAGE, "an average of nothing");
    model_ema(m, decay);
    model_ema(second, decay);
    NEED(model_get_param(m, key, false, &p, &n, &err) == ST_OK, "%s", err.msg);
    double *want = NEW_ARRAY(double, n);
    for (size_t i = 0; i < n; i++)
        want[i] = (double)p[i];
    free(p);
    for (int s = 1; s <= STEPS; s++) {
        if (s == HALF + 1) { /* goes on in another model */
            char *path = state_of(m, "ema.state", &x);
            NEED(model_load_state(second, path, &step, &err) == ST_OK, "%s", err.msg);
            free(path);
            model_free(m);
            m = second;
        }
        train(m, s, s, 3, 40);
        NEED(model_get_param(m, key, false, &p, &n, &err) == ST_OK, "%s", err.msg);
        double d = fmin(decay, (1.0 + s) / (10.0 + s));
        for (size_t i = 0; i < n; i++)
            want[i] = d * want[i] + (1 - d) * (double)p[i];
        free(p);
    }
    NEED(model_get_param(m, key, false, &p, &n, &err) == ST_OK, "%s", err.msg);
    NEED(model_ema_swap(m, &err) == ST_OK, "%s", err.msg);
    NEED(model_get_param(m, key, false, &got, &n, &err) == ST_OK, "%s", err.msg);
    double worst = 0, moved = 0;
    for (size_t i = 0; i < n; i++) {
        worst = fmax(worst, fabs((double)got[i] - want[i]));
        moved = fmax(moved, fabs((double)got[i] - (double)p[i]));
    }
    CHECK(worst < 1e-7 && moved > 1e-4, "off by %g, away from the parameters by %g", worst, moved);
    free(got);
    NEED(model_ema_swap(m, &err) == ST_OK, "%s", err.msg);
    NEED(model_get_param(m, key, false, &got, &n, &err) == ST_OK, "%s", err.msg);
    CHECK(memcmp(got, p, n * sizeof *p) == 0, "a second swap does not bring the parameters back");
    free(got);
    free(p);
    free(want);
    str_release(&x);
    model_free(m);
    backend_close(b);
}

/* Deviations at four times the width of the base: what the layers multiply by 1/2, what makes the
 * logits by 1/4, all else by 1. */
void test_mup_init(void)
{
    struct backend *b = open_backend(1, PRECISION_FP32);
    for (int tied = 0; tied < 2; tied++) {
        struct model_conf conf;
        struct err err = { "" };
        struct model *plain = NULL, *m = NULL;
        NEED(model_conf_for(&conf, 200000, 300, 64, &err) == ST_OK, "%s", err.msg);
        conf.tied = tied;
        NEED(model_new(&plain, &conf, b, &err) == ST_OK, "%s", err.msg);
        NEED(model_new(&m, &conf, b, &err) == ST_OK, "%s", err.msg);
        model_init(plain, 5);
        model_mup(m, conf.d_model / 4);
        model_init(m, 5);
        for (size_t i = 0; i < m->params.n_row; i++) {
            const struct param *p = &m->params.row[i];
            bool layers = strstr(p->name, "_proj.weight"),
                 logits = strcmp(p->name, tied ? "model.norm.weight" : "lm_head.weight") == 0;
            float plainly = 0, scaled = 0;
            b->ops->download(b, &plainly, tensor_part(plain->p, p->offset, 1, 0));
            b->ops->download(b, &scaled, tensor_part(m->p, p->offset, 1, 0));
            double want = (double)plainly * (layers ? 0.5 : logits ? 0.25 : 1);
            CHECK(fabs((double)scaled - want) <= 1e-6 * fabs(want), "%s: %g, want %g", p->name,
                  (double)scaled, want);
        }
        model_free(plain);
        model_free(m);
    }
    backend_close(b);
}
