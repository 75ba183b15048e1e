/* tests/generate/weights.c - dequantised rows and logits against the gguf package and transformers.
 */
#include <math.h>

#include "base/mem.h"
#include "generate_tests.h"
#include "model/generate.h"
#include "model/gguf_weights.h"
#include "model/hf.h"
#include "model/infer.h"
#include "model/kvcache.h"

/* tests/golden/make_gguf.py's TENSORS */
static const char *const tensor[] = { "token_embd",   "blk.0.attn_q",      "blk.0.attn_k",
                                      "blk.0.attn_v", "blk.0.attn_output", "blk.0.ffn_gate",
                                      "blk.0.ffn_up", "blk.0.ffn_down" };

void test_rows(void)
{
    struct gguf *g;
    struct err err = { "" };
    size_t n, at = 0;
    NEED(gguf_open(&g, TINY, &err) == ST_OK, "%s", err.msg);
    float *want = words(GOLDEN "rows.f32", &n), row[96];
    for (size_t i = 0; i < N_OF(tensor); i++) {
        char name[64];
        snprintf(name, sizeof name, "%s.weight", tensor[i]);
        const struct gguf_tensor *t = gguf_tensor(g, name);
        NEED(t && t->dim[0] <= N_OF(row) && at + 2 * t->dim[0] <= n, "%s", name);
        for (uint64_t r = 0; r < 2; r++, at += t->dim[0]) {
            gguf_row(row, t, r);
            CHECK(memcmp(row, want + at, t->dim[0] * sizeof *row) == 0,
                  "%s (%s) row %d: %g %g ..., want %g %g ...", name, gguf_type_name(t->type),
                  (int)r, (double)row[0], (double)row[1], (double)want[at], (double)want[at + 1]);
        }
    }
    CHECK(at == n, "%zu of %zu values compared", at, n);
    free(want);
    gguf_close(g);
}

/* Mean divergence KL(want || got) in nats over rows of logits, and how often the likeliest token is
 * the same. */
static double divergence(const float *got, const float *want, size_t n_row, size_t n, double *same)
{
    double kl = 0;
    size_t n_same = 0;

    for (size_t r = 0; r < n_row; r++, got += n, want += n) {
        double sum_g = 0, sum_w = 0, row = 0;
        size_t top_g = 0, top_w = 0;
        for (size_t i = 0; i < n; i++) {
            top_g = got[i] > got[top_g] ? i : top_g;
            top_w = want[i] > want[top_w] ? i : top_w;
        }
        for (size_t i = 0; i < n; i++) {
            sum_g += exp((double)got[i] - (double)got[top_g]);
            sum_w += exp((double)want[i] - (double)want[top_w]);
        }
        for (size_t i = 0; i < n; i++) {
            double log_g = (double)got[i] - (double)got[top_g] - log(sum_g);
            double log_w = (double)want[i] - (double)want[top_w] - log(sum_w);
            row += exp(log_w) * (log_w - log_g);
        }
        kl += row / (double)n_row;
        n_same += top_g == top_w;
    }
    *same = (double)n_same / (double)n_row;
    return kl;
}

/* The small model's logits with a form of the cache, against transformers'; the cache's bytes into
 * *n_bytes. */
static void tiny_logits(enum gen_kv kv, double max_kl, double min_same, size_t *n_bytes)
{
    struct gen *g;
    struct gen_conf conf = { .n_threads = 2, .kv = kv };
    struct err err = { "" };
    size_t n, n_want;
    NEED(gen_open(&g, TINY, &conf, &err) == ST_OK, "%s", err.msg);
    uint32_t *tok = words(GOLDEN "tokens.u32", &n);
    float *want = words(GOLDEN "logits.f32", &n_want), *got = xaligned(n_want * sizeof *got);
    size_t vocab = (size_t)gen_vocab_size(g);
    double same;
    NEED(n_want == n * vocab, "%zu logits for %zu tokens", n_want, n);
    NEED(gen_logits(g, tok, (int)n, got, &err) == ST_OK, "%s", err.msg);
    double kl = divergence(got, want, n, vocab, &same);
    CHECK(kl < max_kl && same >= min_same, "cache %s: KL %g nats, likeliest token the same in %g",
          gen_kv(g), kl, same);
    printf("tiny model, cache %s: KL %.2g nats\n", gen_kv(g), kl);
    *n_bytes = gen_kv_bytes(g);
    gen_close(g);
    free(tok);
    free(want);
    free(got);
}

void test_tiny_logits(void)
{
    size_t f16 = 0, q8 = 0;
    tiny_logits(GEN_KV_F16, 1e-4, 1, &f16);
    tiny_logits(GEN_KV_Q8, 5e-3, 0.97, &q8); /* its heads are sharp */
    CHECK(f16 > 0 && q8 * 32 == f16 * 17, "a cache of bytes takes %zu bytes, of halves %zu", q8,
          f16);
}

/* Folders of transformers, with heads of 12: padded in the cache. */
static void folder_logits(const char *dir)
{
    struct weights *w;
    const struct decode_kernels *k;
    struct safetensors *s;
    struct err err = { "" };
    char *path = path_join(dir, "golden.safetensors");
    NEED(weights_open(&w, dir, &err) == ST_OK, "%s", err.msg);
    NEED(decode_kernels(&k, &err) == ST_OK, "%s", err.msg);
    NEED(safetensors_open(&s, path, &err) == ST_OK, "%s", err.msg);
    const struct safetensor *tokens = safetensors_find(s, "tokens"),
                            *logits = safetensors_find(s, "logits");
    NEED(tokens && logits && tokens->n_dim == 3 && logits->n_dim == 3, "%s", path);
    int n = (int)logits->dim[1], vocab = w->conf.vocab_size, n_have;
    float *want = xaligned(logits->n * sizeof *want);
    uint32_t *tok = xaligned(tokens->n * sizeof *tok);
    memcpy(tok, tokens->data, tokens->n * sizeof *tok);
    NEED(safetensors_read(logits, want) && (int)logits->dim[2] == vocab, "%s", path);
    struct pool *pool = pool_new(2);
    struct infer *f = infer_new(w, k, pool, GEN_FP32, GEN_KV_F16, n, n, n);
    struct kvcache *cache = kvcache_new(infer_block_bytes(f), 8);
    struct kv_seq seq;
    struct infer_row *row = NEW_ARRAY(struct infer_row, (size_t)n);
    NEED(kv_seq_open(cache, &seq, tok, 0, n, &n_have), "no room");
    for (int i = 0; i < n; i++)
        row[i] = (struct infer_row){ tok[i], i, seq.data, true };
    double same, kl = divergence(infer_forward(f, row, n), want, (size_t)n, (size_t)vocab, &same);
    CHECK(kl < 1e-5 && same == 1, "%s: KL %g nats, likeliest token the same in %g", dir, kl, same);
    kv_seq_close(cache, &seq);
    kvcache_free(cache);
    infer_free(f);
    pool_free(pool);
    safetensors_close(s);
    weights_close(w);
    free(row);
    free(want);
    free(tok);
    free(path);
}

void test_folder_logits(void)
{
    folder_logits("tests/golden/model/mha_untied");
    folder_logits("tests/golden/model/gqa_tied");
    folder_logits("tests/golden/model/llama3");
    folder_logits("tests/golden/model/llama_bias");
    folder_logits("tests/golden/model/qwen2");
}

/* Changes a few bytes of the small model and says what must come out. */
void test_bad_models(void)
{
    static const struct {
        const char *find; /* text in the file; the bytes behind it change */
        size_t skip;
        const char *bytes;
        size_t n;
        enum st st;
        const char *says;
    } bad[] = {
        { "general.architecture", 12, "mamba", 5, ST_UNSUPPORTED, "architecture 'mamba'" },
        { "llama.block_count", 4, "\0\0\0\0", 4, ST_FORMAT, "'llama.block_count' is 0" },
        { "llama.block_count", 4, "\3", 1, ST_FORMAT, "no tensor 'blk.2.attn_norm.weight'" },
        { "llama.feed_forward_length", 4, "\x40", 1, ST_FORMAT, "the file's keys want" },
        { "llama.attention.head_count", 4, "\3", 1, ST_FORMAT, "are no Llama" },
        { "llama.attention.head_count_kv", 4, "\1", 1, ST_FORMAT, "'blk.0.attn_k.weight' is 32 x" },
        { "llama.rope.freq_base", 4, "\0\0\0\0", 4, ST_FORMAT, "rope base 0" },
        { "llama.rope.dimension_count", 4, "\x08", 1, ST_UNSUPPORTED, "8 rotary dimensions" },
        { "blk.1.ffn_up.weight", 20, "\x13", 1, ST_UNSUPPORTED, "has type 19 (IQ1_S)" },
        { "output_norm.weight", 4, "\x20", 1, ST_FORMAT, "'output_norm.weight' is 1 x 32" },
    };
    struct strbuf b = { 0 };
    struct err err = { "" };
    char *path = path_join(check_dir(), "bad.gguf");
    NEED(file_read(TINY, 1 << 20, &b, &err) == ST_OK, "%s", err.msg);
    for (size_t i = 0; i < N_OF(bad); i++) {
        size_t n_find = strlen(bad[i].find), at = 0;
        while (at + n_find < b.n && memcmp(b.s + at, bad[i].find, n_find) != 0)
            at++;
        at += n_find + bad[i].skip;
        NEED(at + bad[i].n < b.n, "no '%s' in " TINY, bad[i].find);
        char old[8];
        memcpy(old, b.s + at, bad[i].n);
        memcpy(b.s + at, bad[i].bytes, bad[i].n);
        struct gen *g;
        struct gen_conf conf = { .n_threads = 1 };
        NEED(file_write(path, b.s, b.n, &err) == ST_OK, "%s", err.msg);
        enum st st = gen_open(&g, path, &conf, &err);
        CHECK(st == bad[i].st && strstr(err.msg, bad[i].says), "%zu: st %d '%s', want '%s'", i,
              (int)st, err.msg, bad[i].says);
        memcpy(b.s + at, old, bad[i].n);
    }
    struct gen *g;
    struct gen_conf conf = { 0 };
    CHECK(gen_open(&g, "no/such.gguf", &conf, &err) == ST_IO, "%s", err.msg);
    CHECK(gen_open(&g, check_dir(), &conf, &err) < 0 && strstr(err.msg, "config.json"), "%s",
          err.msg);
    str_release(&b);
    free(path);
}
