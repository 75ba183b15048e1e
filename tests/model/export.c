/* tests/model/export.c - quantised blocks against the gguf package; exports read back; llm.c's
 * layout. */
#include "check.h"

#include <math.h>

#include "base/gguf.h"
#include "base/mem.h"
#include "model/export.h"
#include "model/gguf_weights.h"
#include "model/hf.h"
#include "model_tests.h"

/* tests/golden/make_quants.py */
static struct safetensors *quants(void)
{
    struct safetensors *s = NULL;
    struct err err = { "" };
    CHECK(safetensors_open(&s, "tests/golden/quants.safetensors", &err) == ST_OK, "%s", err.msg);
    return s;
}

void test_dequantise(void)
{
    static const uint32_t type[] = { GGUF_Q4_0, GGUF_Q4_1, GGUF_Q5_0, GGUF_Q5_1, GGUF_Q8_0,
                                     GGUF_Q2_K, GGUF_Q3_K, GGUF_Q4_K, GGUF_Q5_K, GGUF_Q6_K };
    struct safetensors *s = quants();
    for (size_t i = 0; s && i < N_OF(type); i++) {
        char bytes[32], values[32];
        float want[512], got[512];
        snprintf(bytes, sizeof bytes, "%s.bytes", gguf_type_name(type[i]));
        snprintf(values, sizeof values, "%s.values", gguf_type_name(type[i]));
        const struct safetensor *b = safetensors_find(s, bytes), *v = safetensors_find(s, values);
        NEED(b && v && v->n == N_OF(want) && safetensors_read(v, want), "%s", bytes);
        struct gguf_tensor t = { .name = bytes,
                                 .n_dim = 1,
                                 .dim = { 512, 1, 1, 1 },
                                 .type = type[i],
                                 .data = b->data,
                                 .n_bytes = b->n };
        gguf_row(got, &t, 0);
        CHECK(memcmp(got, want, sizeof got) == 0, "%s: %g %g ..., want %g %g ...", bytes,
              (double)got[0], (double)got[1], (double)want[0], (double)want[1]);
        CHECK(gguf_not_finite(&t) == -1, "%s: finite blocks refused", bytes);
    }
    safetensors_close(s);
}

void test_quantise(void)
{
    struct safetensors *s = quants();
    const struct safetensor *x = safetensors_find(s, "q8_0.floats"),
                            *made = safetensors_find(s, "q8_0.made");
    float value[32 * 12];
    uint8_t got[34 * 12];
    NEED(x && made && x->n == N_OF(value) && made->n == sizeof got && safetensors_read(x, value),
         "no q8_0 in it");
    CHECK(export_q8_0(got, value, N_OF(value)), "refused");
    for (int i = 0; i < 12; i++)
        CHECK(memcmp(got + 34 * i, made->data + 34 * i, 34) == 0, "block %d differs", i);
    safetensors_close(s);
    /* Weights so small that one over their scale is no number are zeros; so large that their scale
     * is none, refused. */
    static const uint8_t zeros[34];
    for (int i = 0; i < 32; i++)
        value[i] = i % 2 ? 1e-40f : -1e-38f;
    CHECK(export_q8_0(got, value, 32) && memcmp(got, zeros, 34) == 0, "tiny: scale %02x%02x, %d",
          got[1], got[0], (int8_t)got[2]);
    value[7] = 127 * 65504.0f;
    CHECK(export_q8_0(got, value, 32) && got[0] == 0xff && got[1] == 0x7b, "the largest scale");
    value[7] = 1e7f;
    CHECK(!export_q8_0(got, value, 32), "1e7 passed");
}

static const char *const source[] = { "mha_untied", "gqa_tied",     "llama3", "llama_bias",
                                      "qwen2",      "qwen2_window", "mistral" };

typedef enum st export_fn(const struct export_conf *c, const char *out, struct err *err);

static void same_params(struct weights *a, struct weights *b, const char *which)
{
    for (int l = 0; l < a->conf.n_layer; l++) {
        const struct weight *x = &a->layer[l].q, *y = &b->layer[l].q;
        for (size_t i = 0; i < sizeof a->layer[l] / sizeof *x; i++)
            for (int r = 0; r < x[i].n_row; r++) {
                float p[96], q[96];
                NEED(x[i].n_col == y[i].n_col && x[i].n_col <= (int)N_OF(p), "%s: shapes", which);
                weight_row(p, &x[i], r);
                weight_row(q, &y[i], r);
                CHECK(memcmp(p, q, (size_t)x[i].n_col * sizeof *p) == 0,
                      "%s: weight %zu of layer %d differs in row %d", which, i, l, r);
            }
    }
}

/* Out and in again, by all formats that lose nothing: the same weights and configuration. */
void test_convert_round_trip(void)
{
    static const struct {
        export_fn *run;
        const char *name;
        enum gguf_type type;
    } way[] = { { export_hf, "hf", GGUF_F32 }, { export_gguf, "f32.gguf", GGUF_F32 } };
    for (size_t i = 0; i < N_OF(source); i++)
        for (size_t k = 0; k < N_OF(way); k++) {
            struct weights *a, *b;
            struct err err = { "" };
            char *dir = path_join("tests/golden/model", source[i]),
                 *name = xasprintf("%s-%s", source[i], way[k].name),
                 *out = path_join(check_dir(), name);
            NEED(weights_open(&a, dir, &err) == ST_OK, "%s", err.msg);
            struct export_conf c = { a, dir, "none", way[k].type };
            NEED(way[k].run(&c, out, &err) == ST_OK, "%s", err.msg);
            NEED(weights_open(&b, out, &err) == ST_OK, "%s", err.msg);
            same_params(a, b, name);
            if (a->conf.window &&
                way[k].run == export_gguf) { /* llama.cpp has none: see export.h */
                CHECK(b->conf.max_seq_len == a->conf.window && !b->conf.window, "%s: context",
                      name);
                b->conf.max_seq_len = a->conf.max_seq_len;
                b->conf.window = a->conf.window;
            }
            b->conf.norm_eps = fabs(b->conf.norm_eps - 1e-5) < 1e-12 ? 1e-5 : 0; /* a float there */
            struct strbuf x = { 0 }, y = { 0 };
            conf_text(&x, &a->conf);
            conf_text(&y, &b->conf);
            CHECK(strcmp(x.s, y.s) == 0, "%s: %s, was %s", name, y.s, x.s);
            str_release(&x);
            str_release(&y);
            weights_close(a);
            weights_close(b);
            free(dir);
            free(name);
            free(out);
        }
}

/* BF16 weights go through BF16 unchanged, F16 through F16; floats come back within the rounding. */
void test_convert_rounds(void)
{
    static const struct {
        const char *from;
        export_fn *run;
        enum gguf_type type;
        double most; /* relative norm of the difference */
    } row[] = {
        { "mistral", export_hf, GGUF_BF16, 0 },
        { "mistral", export_gguf, GGUF_BF16, 0 },
        { "llama_bias", export_hf, GGUF_F16, 0 },
        { "llama_bias", export_gguf, GGUF_F16, 0 },
        { "mha_untied", export_gguf, GGUF_F16, 3e-4 },
        { "mha_untied", export_gguf, GGUF_BF16, 3e-3 },
        { "mha_untied", export_hf, GGUF_BF16, 3e-3 },
    };
    for (size_t i = 0; i < N_OF(row); i++) {
        struct backend *b = open_backend(1, PRECISION_FP32);
        struct weights *w;
        struct model *was, *got;
        struct err err = { "" };
        char *dir = path_join("tests/golden/model", row[i].from), *name = xasprintf("round%zu", i),
             *out = path_join(check_dir(), name);
        NEED(weights_open(&w, dir, &err) == ST_OK, "%s", err.msg);
        struct export_conf c = { w, dir, "none", row[i].type };
        NEED(row[i].run(&c, out, &err) == ST_OK, "%s", err.msg);
        NEED(model_load(&was, dir, b, &err) == ST_OK, "%s", err.msg);
        NEED(model_load(&got, out, b, &err) == ST_OK, "%s", err.msg);
        float *x, *y;
        size_t n_x, n_y;
        const char *key = "model.layers.1.self_attn.q_proj.weight";
        NEED(model_get_param(was, key, false, &x, &n_x, &err) == ST_OK, "%s", err.msg);
        NEED(model_get_param(got, key, false, &y, &n_y, &err) == ST_OK && n_x == n_y, "%s",
             err.msg);
        double diff = 0, norm = 0;
        for (size_t k = 0; k < n_x; k++) {
            diff += ((double)x[k] - (double)y[k]) * ((double)x[k] - (double)y[k]);
            norm += (double)x[k] * (double)x[k];
        }
        CHECK(sqrt(diff / norm) <= row[i].most && (diff > 0) == (row[i].most > 0), "%s: off by %g",
              name, sqrt(diff / norm));
        free(x);
        free(y);
        model_free(was);
        model_free(got);
        weights_close(w);
        backend_close(b);
        free(dir);
        free(name);
        free(out);
    }
}

/* Places as llm.c's train_llama3.py reads them: all of a kind over the layers, pairs as neighbours.
 */
void test_llmc_layout(void)
{
    struct weights *w;
    struct err err = { "" };
    struct strbuf b = { 0 };
    const char *dir = "tests/golden/model/mha_untied";
    char *out = path_join(check_dir(), "llmc.bin");
    NEED(weights_open(&w, dir, &err) == ST_OK, "%s", err.msg);
    struct export_conf c = { w, dir, NULL, GGUF_F32 };
    NEED(export_llmc(&c, out, &err) == ST_OK, "%s", err.msg);
    NEED(file_read(out, 1 << 24, &b, &err) == ST_OK, "%s", err.msg);
    const struct model_conf *m = &w->conf;
    size_t d = (size_t)m->d_model, ff = (size_t)m->d_ff, v = (size_t)m->vocab_size, L = 2;
    size_t n = 2 * v * d + L * (2 * d + 4 * d * d + 3 * ff * d) + d;
    NEED(b.n == 2048 + 4 * n, "%zu bytes, want %zu", b.n, 2048 + 4 * n);
    int32_t head[12];
    float real[3], row[64], *data = xmalloc(4 * n);
    memcpy(head, b.s, sizeof head);
    memcpy(real, b.s + 1024, sizeof real);
    memcpy(data, b.s + 2048, 4 * n);
    CHECK(head[0] == 20240803 && head[1] == 3 && head[2] == 64 && head[3] == 64 && head[4] == 2 &&
              head[5] == 2 && head[6] == 2 && head[7] == 24 && head[9] == 0 && head[10] == 3,
          "header %d %d %d", head[0], head[1], head[2]);
    int hidden = (int)(real[0] * (float)(int)(8 * d / 3));
    CHECK((hidden + head[8] - 1) / head[8] * head[8] == m->d_ff, "width factor %g of %d",
          (double)real[0], head[8]);
    CHECK(fabs((double)real[1] - 1e-5) < 1e-9 && (double)real[2] == m->rope_theta, "eps, base");
    size_t norm1 = v * d, qkv = norm1 + L * d, up = qkv + L * 3 * d * d + L * d * d + L * d,
           gate = up + L * ff * d, head_at = n - v * d;
    const struct {
        const struct weight *w;
        int row;
        size_t at;
    } place[] = {
        { &w->layer[1].norm_attn, 0, norm1 + d },
        { &w->layer[1].q, 6, qkv + 3 * d * d + 1 * d }, /* second half's first: a pair's second */
        { &w->layer[0].k, 13, qkv + (d + 12 + 2) * d }, /* second head's second pair */
        { &w->layer[0].v, 5, qkv + (2 * d + 5) * d },
        { &w->layer[1].up, 3, up + (ff + 3) * d },
        { &w->layer[0].gate, 4, gate + 4 * d },
        { &w->head, 7, head_at + 7 * d },
    };
    for (size_t i = 0; i < N_OF(place); i++) {
        weight_row(row, place[i].w, place[i].row);
        CHECK(memcmp(row, data + place[i].at, d * sizeof *row) == 0, "place %zu", i);
    }
    weights_close(w);
    NEED(weights_open(&w, "tests/golden/model/qwen2", &err) == ST_OK, "%s", err.msg);
    c.w = w;
    CHECK(export_llmc(&c, out, &err) == ST_UNSUPPORTED && strstr(err.msg, "biases"), "%s", err.msg);
    weights_close(w);
    str_release(&b);
    free(data);
    free(out);
}

/* What cannot be written as asked is named. */
void test_export_refused(void)
{
    struct backend *b = open_backend(1, PRECISION_FP32);
    struct model_conf conf;
    struct model *m;
    struct weights *w;
    struct err err = { "" };
    small_conf(&conf);
    char *dir = path_join(check_dir(), "large"), *out = path_join(check_dir(), "large.gguf");
    NEED(model_new(&m, &conf, b, &err) == ST_OK, "%s", err.msg);
    model_init(m, 1);
    float *p;
    size_t n;
    NEED(model_get_param(m, "model.norm.weight", false, &p, &n, &err) == ST_OK, "%s", err.msg);
    free(p);
    NEED(model_save(m, dir, &err) == ST_OK, "%s", err.msg);
    char *file = path_join(dir, "model.safetensors");
    struct strbuf x = { 0 };
    NEED(file_read(file, 1 << 28, &x, &err) == ST_OK, "%s", err.msg);
    float large = 1e30f; /* finite, beyond F16 */
    memcpy(x.s + x.n - 4, &large, 4);
    NEED(file_write(file, x.s, x.n, &err) == ST_OK, "%s", err.msg);
    NEED(weights_open(&w, dir, &err) == ST_OK, "%s", err.msg);
    struct export_conf c = { w, dir, "none", GGUF_F16 };
    CHECK(export_gguf(&c, out, &err) == ST_LIMIT && strstr(err.msg, "'lm_head.weight' holds 1e+30"),
          "%s", err.msg);
    CHECK(!file_exists(out), "half a file stayed");
    c.type = GGUF_Q8_0;
    CHECK(export_gguf(&c, out, &err) == ST_LIMIT && strstr(err.msg, "1e+30, which is beyond Q8_0"),
          "%s", err.msg);
    CHECK(!file_exists(out), "half a file stayed");
    c.type = GGUF_F16;
    CHECK(export_hf(&c, dir, &err) == ST_USAGE && strstr(err.msg, "holds a model"), "%s", err.msg);
    c.tokenizer = NULL;
    CHECK(export_gguf(&c, out, &err) < 0 && strstr(err.msg, "tokenizer"), "%s", err.msg);
    weights_close(w);
    model_free(m);
    backend_close(b);
    str_release(&x);
    free(file);
    free(dir);
    free(out);
}
