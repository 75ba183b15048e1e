/* tests/model/golden.c - against what transformers computed: tests/golden/make_model.py made the
 * files. */
#include "check.h"

#include <math.h>

#include "base/mem.h"
#include "model/hf.h"
#include "model_tests.h"

static const char *const name[] = { "mha_untied", "gqa_tied",     "llama3", "llama_bias",
                                    "qwen2",      "qwen2_window", "mistral" };

struct golden {
    struct safetensors *s;
    struct backend *b;
    struct model *m;
    uint32_t *tok; /* [n_step][batch][seq_len + 1] */
    int n_step, batch, seq_len;
};

static float *values(const struct safetensors *s, const char *key, size_t *n)
{
    const struct safetensor *t = safetensors_find(s, key);
    *n = t ? (size_t)t->n : 0;
    float *v = xmalloc((*n ? *n : 1) * sizeof *v);
    if (!t || !safetensors_read(t, v)) {
        CHECK(false, "golden file has no floats '%s'", key);
        *n = 0;
    }
    return v;
}

static void golden_close(struct golden *g)
{
    model_free(g->m);
    backend_close(g->b);
    safetensors_close(g->s);
    free(g->tok);
}

static bool golden_open(struct golden *g, const char *which)
{
    struct err err = { "" };
    char *dir = xasprintf("tests/golden/model/%s", which),
         *path = path_join(dir, "golden.safetensors");
    *g = (struct golden){ .b = open_backend(2, PRECISION_FP32) };
    enum st st = safetensors_open(&g->s, path, &err);
    if (st == ST_OK)
        st = model_load(&g->m, dir, g->b, &err);
    const struct safetensor *t = st == ST_OK ? safetensors_find(g->s, "tokens") : NULL;
    free(dir);
    free(path);
    CHECK(t && t->n_dim == 3 && strcmp(t->dtype, "I32") == 0, "%s: %s", which, err.msg);
    if (!t) {
        golden_close(g);
        return false;
    }
    g->n_step = (int)t->dim[0];
    g->batch = (int)t->dim[1];
    g->seq_len = (int)t->dim[2] - 1;
    g->tok = xmalloc((size_t)t->n * sizeof *g->tok);
    memcpy(g->tok, t->data, (size_t)t->n * sizeof *g->tok);
    return true;
}

static double relative(const float *got, const float *want, size_t n)
{
    double diff = 0, norm = 0;
    for (size_t i = 0; i < n; i++) {
        double d = (double)got[i] - (double)want[i];
        diff += d * d;
        norm += (double)want[i] * (double)want[i];
    }
    return sqrt(diff / norm);
}

/* Keys begin with prefix: "" or a variant of the same model. */
static void check_logits(struct golden *g, const char *which, const char *prefix,
                         const uint32_t *tok)
{
    struct err err = { "" };
    size_t n, T = (size_t)g->seq_len, vocab = (size_t)model_config(g->m)->vocab_size;
    char *key = xasprintf("%slogits", prefix);
    float *want = values(g->s, key, &n), *got = xmalloc(T * vocab * sizeof *got);
    for (int s = 0; s < g->batch; s++) {
        CHECK(model_logits(g->m, tok + (size_t)s * (T + 1), g->seq_len, got, &err) == ST_OK, "%s",
              err.msg);
        double d = relative(got, want + (size_t)s * T * vocab, T * vocab);
        CHECK(d < 1e-4, "%s: %s of sequence %d off by %g", which, key, s, d);
    }
    free(want);
    free(got);
    free(key);
}

static void check_gradients(struct golden *g, const char *which, const char *prefix)
{
    size_t n, n_got, n_grad = 0;
    double worst = 0;
    char *begin = xasprintf("%sgrad.", prefix);
    struct err err = { "" };
    for (size_t k = 0; k < safetensors_n(g->s); k++) {
        const char *key = safetensors_at(g->s, k)->name;
        if (!str_starts(key, begin))
            continue;
        float *want = values(g->s, key, &n), *got = NULL;
        NEED(model_get_param(g->m, key + strlen(begin), true, &got, &n_got, &err) == ST_OK, "%s",
             err.msg);
        double d = n == n_got ? relative(got, want, n) : 1;
        CHECK(d < 1e-4, "%s: %s off by %g", which, key, d);
        worst = d > worst ? d : worst;
        n_grad++;
        free(want);
        free(got);
    }
    CHECK(n_grad >= 12, "only %zu gradients", n_grad);
    printf("%s: %zu gradients (%s), the worst off by %.1e\n", which, n_grad, begin, worst);
    free(begin);
}

static void check_step(struct golden *g, const char *which, const char *prefix, const uint32_t *tok)
{
    struct err err = { "" };
    size_t n;
    double loss = 0;
    char *key = xasprintf("%sloss", prefix);
    float *want = values(g->s, key, &n);
    NEED(model_forward_backward(g->m, tok, g->batch, g->seq_len, 1, &loss, &err) == ST_OK, "%s",
         err.msg);
    CHECK(fabs(loss - (double)want[0]) < 1e-5, "%s: %s %g, want %g", which, key, loss,
          (double)want[0]);
    free(want);
    free(key);
    check_gradients(g, which, prefix);
}

void test_logits_and_gradients(void)
{
    for (size_t i = 0; i < N_OF(name); i++) {
        struct golden g;
        if (!golden_open(&g, name[i]))
            return;
        check_logits(&g, name[i], "", g.tok);
        check_step(&g, name[i], "", g.tok);
        golden_close(&g);
    }
}

/* transformers with a mask that keeps documents apart. */
void test_document_mask(void)
{
    struct golden g;
    if (!golden_open(&g, "llama3"))
        return;
    const struct safetensor *t = safetensors_find(g.s, "documents.tokens");
    NEED(t && t->n == (uint64_t)(g.batch * (g.seq_len + 1)), "no documents.tokens");
    memcpy(g.tok, t->data, t->n * sizeof *g.tok);
    model_mask_documents(g.m, 0);
    check_logits(&g, "llama3", "documents.", g.tok);
    check_step(&g, "llama3", "documents.", g.tok);
    golden_close(&g);
}

void test_z_loss(void)
{
    struct golden g;
    struct err err = { "" };
    double loss = 0;
    if (!golden_open(&g, "llama_bias"))
        return;
    model_z_loss(g.m, 0.01);
    NEED(model_forward_backward(g.m, g.tok, g.batch, g.seq_len, 1, &loss, &err) == ST_OK, "%s",
         err.msg);
    check_gradients(&g, "llama_bias", "z_loss.");
    golden_close(&g);
}

void test_fifty_steps(void)
{
    const struct adamw_conf c = { 3e-3, 0.9, 0.95, 1e-8, 0.1, 1, 0 };
    for (size_t i = 0; i < N_OF(name); i++) {
        struct golden g;
        struct err err = { "" };
        size_t n;
        double worst = 0;
        if (!golden_open(&g, name[i]))
            return;
        if (!safetensors_find(g.s, "losses")) {
            golden_close(&g);
            continue;
        }
        float *loss = values(g.s, "losses", &n), *norm = values(g.s, "grad_norms", &n);
        for (int s = 0; s < g.n_step; s++) {
            double got = 0, got_norm = 0;
            const uint32_t *tok = g.tok + (size_t)(s * g.batch * (g.seq_len + 1));
            enum st st = model_forward_backward(g.m, tok, g.batch, g.seq_len, 1, &got, &err);
            if (st == ST_OK)
                st = model_adamw_step(g.m, &c, (uint64_t)s + 1, &got_norm, &err);
            CHECK(st == ST_OK, "%s", err.msg);
            double d = fabs(got - (double)loss[s]);
            CHECK(d < 1e-3, "%s, step %d: loss %g, PyTorch's %g", name[i], s, got, (double)loss[s]);
            CHECK(fabs(got_norm - (double)norm[s]) < 1e-3 * (double)norm[s],
                  "%s, step %d: gradient norm %g, PyTorch's %g", name[i], s, got_norm,
                  (double)norm[s]);
            worst = d > worst ? d : worst;
        }
        printf("%s: %d steps, losses %.3f to %.3f, the worst off by %.1e\n", name[i], g.n_step,
               (double)loss[0], (double)loss[g.n_step - 1], worst);
        free(loss);
        free(norm);
        golden_close(&g);
    }
}

/* Losses of 20 steps, recorded under `key`, of the first two cases. */
static void check_steps(const char *key, const struct adamw_conf *c, int wider)
{
    for (size_t i = 0; i < N_OF(name); i++) {
        struct golden g;
        struct err err = { "" };
        size_t n;
        double worst = 0;
        if (!golden_open(&g, name[i]))
            return;
        if (!safetensors_find(g.s, key)) {
            golden_close(&g);
            continue;
        }
        if (wider)
            model_mup(g.m, model_config(g.m)->d_model / wider);
        float *loss = values(g.s, key, &n);
        for (size_t s = 0; s < n; s++) {
            double got = 0, norm = 0;
            const uint32_t *tok = g.tok + s * (size_t)(g.batch * (g.seq_len + 1));
            CHECK(model_forward_backward(g.m, tok, g.batch, g.seq_len, 1, &got, &err) == ST_OK &&
                      model_adamw_step(g.m, c, s + 1, &norm, &err) == ST_OK,
                  "%s", err.msg);
            double d = fabs(got - (double)loss[s]);
            CHECK(d < 1e-4, "%s, step %zu: loss %g, PyTorch's %g", name[i], s, got,
                  (double)loss[s]);
            worst = d > worst ? d : worst;
        }
        printf("%s: %zu steps, %s %.3f to %.3f, the worst off by %.1e\n", name[i], n, key,
               (double)loss[0], (double)loss[n - 1], worst);
        CHECK(n == 20, "%zu steps", n);
        free(loss);
        golden_close(&g);
    }
}

/* torch.optim.Muon (its rounding to bfloat16 left out) on the layers' matrices, AdamW on the rest.
 */
void test_muon_steps(void)
{
    const struct adamw_conf c = { 3e-3, 0.9, 0.95, 1e-8, 0.1, 1, 0.95 };
    check_steps("muon_losses", &c, 0);
}

/* The package mup's AdamW, twice as wide as its base. */
void test_mup_steps(void)
{
    const struct adamw_conf c = { 3e-3, 0.9, 0.95, 1e-8, 0.1, 0, 0 };
    check_steps("mup_losses", &c, 2);
}

void conf_text(struct strbuf *out, const struct model_conf *c)
{
    struct js *o = model_conf_json(c);
    js_write(o, out);
    js_free(o);
}

/* transformers' folder, saved again by us and loaded: the same parameters, bit by bit. */
void test_export_round_trip(void)
{
    for (size_t i = 0; i < N_OF(name); i++) {
        struct golden g;
        struct model *back;
        struct err err = { "" };
        if (!golden_open(&g, name[i]))
            return;
        char *dir = path_join(check_dir(), name[i]), *weights = path_join(dir, "model.safetensors");
        struct safetensors *s;
        float *a, *b;
        size_t n_a, n_b;
        NEED(model_save(g.m, dir, &err) == ST_OK, "%s", err.msg);
        NEED(model_load(&back, dir, g.b, &err) == ST_OK, "%s", err.msg);
        struct strbuf x = { 0 }, y = { 0 };
        conf_text(&x, model_config(back));
        conf_text(&y, model_config(g.m));
        CHECK(strcmp(x.s, y.s) == 0, "another configuration came back: %s, was %s", x.s, y.s);
        str_release(&x);
        str_release(&y);
        NEED(safetensors_open(&s, weights, &err) == ST_OK, "%s", err.msg);
        for (size_t k = 0; k < safetensors_n(s); k++) {
            const char *key = safetensors_at(s, k)->name;
            NEED(model_get_param(g.m, key, false, &a, &n_a, &err) == ST_OK, "%s", err.msg);
            NEED(model_get_param(back, key, false, &b, &n_b, &err) == ST_OK, "%s", err.msg);
            CHECK(n_a == n_b && memcmp(a, b, n_a * sizeof *a) == 0, "%s differs", key);
            free(a);
            free(b);
        }
        safetensors_close(s);
        model_free(back);
        free(dir);
        free(weights);
        golden_close(&g);
    }
}

/* For tests/heavy/torch.sh: a model trained a little here, as a folder that transformers loads, and
 * our logits of the tokens 0..31. Where to put them is in the environment. */
void test_export_for_peer(void)
{
    const char *out = getenv("MIXLAW_EXPORT");
    const struct adamw_conf c = { 3e-3, 0.9, 0.95, 1e-8, 0.1, 1, 0 };
    enum { N = 32 };
    if (!out || !*out)
        SKIP("MIXLAW_EXPORT names no folder");
    for (size_t i = 0; i < N_OF(name); i++) {
        struct golden g;
        struct err err = { "" };
        double loss = 0, norm;
        uint32_t tok[N];
        if (!golden_open(&g, name[i]))
            return;
        char *dir = path_join(out, name[i]), *file = path_join(dir, "logits.f32");
        size_t n = N * (size_t)model_config(g.m)->vocab_size;
        float *logits = xmalloc(n * sizeof *logits);
        for (uint32_t t = 0; t < N; t++)
            tok[t] = t;
        for (int s = 0; s < 5 && s < g.n_step; s++) {
            const uint32_t *batch = g.tok + (size_t)(s * g.batch * (g.seq_len + 1));
            CHECK(model_forward_backward(g.m, batch, g.batch, g.seq_len, 1, &loss, &err) == ST_OK &&
                      model_adamw_step(g.m, &c, (uint64_t)s + 1, &norm, &err) == ST_OK,
                  "%s", err.msg);
        }
        CHECK(model_save(g.m, dir, &err) == ST_OK, "%s", err.msg);
        CHECK(model_logits(g.m, tok, N, logits, &err) == ST_OK, "%s", err.msg);
        CHECK(file_write(file, logits, n * sizeof *logits, &err) == ST_OK, "%s", err.msg);
        free(logits);
        free(file);
        free(dir);
        golden_close(&g);
    }
}
