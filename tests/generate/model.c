/*
 * tests/generate/model.c - with SmolLM2-135M-Instruct as GGUF (environment variable MIXLAW_MODEL):
 * logits against what others recorded, and the same text with and without neighbours.
 *
 * tests/golden/smollm2.json was made by tests/peers/llamacpp.py record: for each position the
 * likeliest tokens' log-probabilities by transformers in fp32 on the dequantised weights, and by
 * llama.cpp.
 */
#include <math.h>

#include "base/json.h"
#include "base/mem.h"
#include "generate_tests.h"
#include "model/generate.h"

static const char *model_path(void)
{
    const char *path = getenv("MIXLAW_MODEL");
    return path && *path ? path : NULL;
}

/* KL of the recorded distribution to ours: the listed tokens one by one, all others together. */
static double divergence(const struct js *top, const float *logits, int n, bool *same)
{
    double sum = 0, kl = 0, rest_p = 1, rest_q = 1;
    int best = 0;
    for (int i = 0; i < n; i++)
        best = logits[i] > logits[best] ? i : best;
    for (int i = 0; i < n; i++)
        sum += exp((double)logits[i] - (double)logits[best]);
    for (size_t i = 0; i + 1 < js_len(top); i += 2) {
        int64_t id = js_as_whole(js_at(top, i), -1);
        double log_p = js_as_real(js_at(top, i + 1), NAN);
        double log_q =
            id >= 0 && id < n ? (double)logits[id] - (double)logits[best] - log(sum) : NAN;
        kl += exp(log_p) * (log_p - log_q);
        rest_p -= exp(log_p);
        rest_q -= exp(log_q);
    }
    if (rest_p > 1e-9 && rest_q > 1e-9)
        kl += rest_p * log(rest_p / rest_q);
    *same = js_as_whole(js_at(top, 0), -1) == best;
    return kl;
}

static void compare(const struct js *by, const char *name, const float *logits, int n_vocab,
                    double max_kl, double min_same)
{
    const struct js *position = js_get(by, name);
    size_t n = js_len(position), n_same = 0;
    double kl = 0;
    for (size_t i = 0; i < n; i++) {
        bool same;
        kl += divergence(js_at(position, i), logits + i * (size_t)n_vocab, n_vocab, &same) /
              (double)n;
        n_same += same;
    }
    printf("%s: %zu positions, mean KL %.2g nats, likeliest token the same in %.2f %%\n", name, n,
           kl, 100 * (double)n_same / (double)n);
    CHECK(n > 0 && kl < max_kl && (double)n_same >= min_same * (double)n,
          "%s: KL %g, same in %zu of %zu", name, kl, n_same, n);
}

/* Bounds on the mean KL to transformers in fp32. llama.cpp's own Q4_1 products, which round
 * activations to 8 bits as ours of that kind do, are 1.9e-3 nats away from it (100 positions of the
 * same record). */
static const struct {
    enum gen_precision precision;
    enum gen_kv kv;
    double kl_fp32, kl_q4_1, same;
} bound[] = {
    { GEN_FP32, GEN_KV_F16, 1e-4, 1e-2, 0.99 },  { GEN_FP32, GEN_KV_Q8, 1e-3, 1e-2, 0.98 },
    { GEN_INT16, GEN_KV_F16, 1e-4, 1e-2, 0.99 }, { GEN_INT8, GEN_KV_F16, 1.9e-3, 1e-2, 0.975 },
    { GEN_INT8, GEN_KV_Q8, 2.5e-3, 1e-2, 0.97 }, { GEN_AUTO, GEN_KV_F16, 1.9e-3, 1e-2, 0.975 }
};

static void check_parity(const struct js *js, const uint32_t *tok, int n, size_t p)
{
    struct gen *g;
    struct gen_conf conf = { .precision = bound[p].precision, .kv = bound[p].kv };
    struct err err = { "" };
    NEED(gen_open(&g, model_path(), &conf, &err) == ST_OK, "%s", err.msg);
    int n_vocab = gen_vocab_size(g);
    float *logits = xaligned((size_t)n * (size_t)n_vocab * sizeof *logits);
    NEED(gen_logits(g, tok, n, logits, &err) == ST_OK, "%s", err.msg);
    const struct js *by = js_get(js, "by");
    printf("precision %d (%s), cache %s:\n", (int)bound[p].precision, gen_precision(g), gen_kv(g));
    compare(by, "transformers_fp32", logits, n_vocab, bound[p].kl_fp32, bound[p].same);
    compare(by, "llamacpp_fp32", logits, n_vocab, bound[p].kl_fp32, bound[p].same);
    compare(by, "llamacpp_q4_1", logits, n_vocab, bound[p].kl_q4_1, 0.9);
    free(logits);
    gen_close(g);
}

void test_model_parity(void)
{
    struct gen *g;
    struct gen_conf conf = { 0 };
    struct err err = { "" };
    struct js *js;
    if (!model_path())
        SKIP("logits of SmolLM2: MIXLAW_MODEL is not set");
    NEED(js_read_file(&js, "tests/golden/smollm2.json", &err) == ST_OK, "%s", err.msg);
    NEED(gen_open(&g, model_path(), &conf, &err) == ST_OK, "%s", err.msg);
    const struct js *ids = js_get(js, "tokens");
    int n = (int)js_len(ids);
    uint32_t *tok = NEW_ARRAY(uint32_t, (size_t)n + 1);
    for (int i = 0; i < n; i++)
        tok[i] = (uint32_t)js_as_whole(js_at(ids, (size_t)i), 0);
    /* The text's own ids, by our tokenizer. */
    size_t n_text;
    const char *text = js_as_text(js_get(js, "text"), &n_text);
    NEED(text && n > 0, "no text");
    uint32_t *own = NEW_ARRAY(uint32_t, n_text);
    size_t n_own = tok_encode(gen_tok(g), text, n_text, own);
    CHECK(n_own == (size_t)n && memcmp(own, tok, n_own * sizeof *own) == 0,
          "our tokenizer gives %zu tokens, transformers' %d", n_own, n);
    gen_close(g);
    for (size_t p = 0; p < N_OF(bound); p++)
        check_parity(js, tok, n, p);
    free(own);
    free(tok);
    js_free(js);
}

void test_model_neighbours(void)
{
    enum { N = 6 };
    char *alone[N] = { NULL };
    struct err err = { "" };
    struct gen_result r;
    if (!model_path())
        SKIP("text of SmolLM2: MIXLAW_MODEL is not set");
    for (int crowd = 0; crowd < 2; crowd++) {
        struct gen *g;
        struct gen_conf conf = { .n_threads = 1 + crowd };
        NEED(gen_open(&g, model_path(), &conf, &err) == ST_OK, "%s", err.msg);
        for (int i = 0; i < N; i++) {
            char *user = xasprintf("Name %d animals that live in the sea.", i + 2);
            struct gen_request q = {
                .user = user,
                .sampling = { .temperature = 0.8, .top_p = 0.95, .max_tok = 24, .seed = 7 },
                .tag = (uint64_t)i
            };
            gen_submit(g, &q);
            free(user);
            while ((!crowd || i == N - 1) && gen_next(g, &r, &err) == ST_OK) {
                if (!crowd)
                    alone[r.tag] = xstrndup(r.text, r.n_bytes);
                else
                    CHECK(strcmp(alone[r.tag], r.text) == 0, "%d: alone '%s', in a crowd '%s'",
                          (int)r.tag, alone[r.tag], r.text);
            }
        }
        gen_close(g);
    }
    for (int i = 0; i < N; i++)
        free(alone[i]);
}
