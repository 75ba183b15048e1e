/* tests/model/files.c - model folders that are damaged, hostile or of another kind are refused by
 * name. */
#include "check.h"

#include <math.h>

#include "base/mem.h"
#include "base/gguf.h"
#include "model/gguf_weights.h"
#include "model/hf.h"
#include "model/weights.h"
#include "model_tests.h"

/* Writes a safetensors file: header text, its stated length (or the true one), n_data bytes. */
static char *write_file(const char *header, uint64_t stated, size_t n_data)
{
    struct strbuf b = { 0 };
    struct err err = { "" };
    char *path = path_join(check_dir(), "t.safetensors");
    uint64_t n = stated ? stated : strlen(header);
    for (int i = 0; i < 8; i++)
        str_addc(&b, (char)(n >> 8 * i));
    str_adds(&b, header);
    for (size_t i = 0; i < n_data; i++)
        str_addc(&b, (char)(i * 7));
    CHECK(file_write(path, b.s, b.n, &err) == ST_OK, "%s", err.msg);
    str_release(&b);
    return path;
}

void test_safetensors_refused(void)
{
    static const struct {
        const char *header;
        uint64_t stated;
        size_t n_data;
        enum st want;
        const char *says;
    } row[] = {
        { "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}", 0, 8, ST_OK, "" },
        { "{}", 0, 0, ST_OK, "" },
        { "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}", 0, 7, ST_FORMAT,
          "the file holds 7" },
        { "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}", 0, 9, ST_FORMAT,
          "after the last" },
        { "{\"a\":{\"dtype\":\"F32\",\"shape\":[3],\"data_offsets\":[0,8]}}", 0, 8, ST_FORMAT,
          "want 12" },
        { "{\"a\":{\"dtype\":\"F33\",\"shape\":[2],\"data_offsets\":[0,8]}}", 0, 8, ST_FORMAT,
          "unknown dtype" },
        { "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[8,0]}}", 0, 8, ST_FORMAT,
          "lies at" },
        { "{\"a\":{\"dtype\":\"F32\",\"shape\":[-2],\"data_offsets\":[0,8]}}", 0, 8, ST_FORMAT,
          "no whole number" },
        { "{\"a\":{\"dtype\":\"F32\",\"shape\":[4294967296,4294967296],\"data_offsets\":[0,0]}}", 0,
          0, ST_FORMAT, "overflows" },
        { "{\"a\":{\"dtype\":\"F32\",\"shape\":[1,1,1,1,1,1,1,1,1],\"data_offsets\":[0,4]}}", 0, 4,
          ST_FORMAT, "8 dimensions" },
        { "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]},"
          "\"b\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[4,12]}}",
          0, 12, ST_FORMAT, "overlaps" },
        { "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}}", 0, 8, ST_FORMAT,
          "hole" },
        { "{\"a\":{\"dtype\":\"F32\",\"shape\":[2]}}", 0, 8, ST_FORMAT, "no data_offsets" },
        { "{\"a\":{\"dtype\":\"F32\",\"shape\":[50000,50000],\"data_offsets\":[0,10000000000]}}", 0,
          1000, ST_FORMAT, "the file holds 1000" },
        { "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,18446744073709551615]}}", 0,
          8, ST_FORMAT, "" },
        { "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]},"
          "\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[8,16]}}",
          0, 16, ST_FORMAT, "" },
        { "{\"a\":3}", 0, 0, ST_FORMAT, "dtype" },
        { "[]", 0, 0, ST_FORMAT, "no object" },
        { "{\"a\"", 0, 0, ST_FORMAT, "header" },
        { "{}", 1000, 0, ST_FORMAT, "header of 1000" },
        { "{}", UINT64_MAX, 0, ST_LIMIT, "want at most" },
    };
    for (size_t i = 0; i < N_OF(row); i++) {
        struct safetensors *s;
        struct err err = { "" };
        char *path = write_file(row[i].header, row[i].stated, row[i].n_data);
        enum st st = safetensors_open(&s, path, &err);
        CHECK(st == row[i].want && strstr(err.msg, row[i].says), "row %zu: %d, %s", i, (int)st,
              err.msg);
        CHECK((st == ST_OK) == (s != NULL), "row %zu: half a result", i);
        safetensors_close(s);
        free(path);
    }
    struct err err = { "" };
    struct safetensors *s;
    char *path = path_join(check_dir(), "short.safetensors");
    CHECK(file_write(path, "abc", 3, &err) == ST_OK, "%s", err.msg);
    CHECK(safetensors_open(&s, path, &err) == ST_FORMAT, "%s", err.msg);
    CHECK(safetensors_open(&s, check_dir(), &err) < 0, "a folder passed");
    free(path);
}

void test_halves(void)
{
    static const uint16_t f16[] = { 0x3c00, 0xc000, 0x7bff, 0x0001, 0x8000, 0x0400, 0x7c00 };
    static const float want16[] = { 1, -2, 65504, 5.9604645e-8f, -0.0f, 6.1035156e-5f, INFINITY };
    static const uint16_t bf16[] = { 0x3f80, 0xc000, 0x7f80, 0x0000 };
    static const float want_bf[] = { 1, -2, INFINITY, 0 };
    float got[7];
    struct safetensor t = { .dtype = "F16", .n = 7, .data = (const uint8_t *)f16 };
    CHECK(safetensors_read(&t, got), "F16 refused");
    for (size_t i = 0; i < N_OF(f16); i++)
        CHECK(memcmp(&got[i], &want16[i], 4) == 0, "F16 %04x is %g", f16[i], (double)got[i]);
    t = (struct safetensor){ .dtype = "BF16", .n = 4, .data = (const uint8_t *)bf16 };
    CHECK(safetensors_read(&t, got), "BF16 refused");
    for (size_t i = 0; i < N_OF(bf16); i++)
        CHECK(memcmp(&got[i], &want_bf[i], 4) == 0, "BF16 %04x is %g", bf16[i], (double)got[i]);
    t = (struct safetensor){ .dtype = "I64", .n = 1, .data = (const uint8_t *)f16 };
    CHECK(!safetensors_read(&t, got), "I64 read as floats");
}

#define SIZES                                                                                      \
    "\"hidden_size\":64,\"intermediate_size\":64,\"num_hidden_layers\":2,"                         \
    "\"num_attention_heads\":4,\"vocab_size\":10"

void test_config_refused(void)
{
    static const struct {
        const char *text, *says;
        enum st want;
    } row[] = {
        { "{\"model_type\":\"gemma\"}", "want llama", ST_UNSUPPORTED },
        { "{\"model_type\":\"llama\"}", "no hidden_size", ST_FORMAT },
        { "{\"model_type\":\"llama\",\"hidden_size\":\"8\"}", "not a whole number", ST_FORMAT },
        { "{\"model_type\":\"llama\",\"hidden_act\":\"gelu\"}", "gelu", ST_UNSUPPORTED },
        { "{\"model_type\":\"llama\",\"mlp_bias\":true}", "mlp_bias is true", ST_UNSUPPORTED },
        { "{\"model_type\":\"mistral\",\"attention_bias\":true}", "attention_bias",
          ST_UNSUPPORTED },
        { "{\"model_type\":\"llama\",\"quantization_config\":{}}", "quantization_config",
          ST_UNSUPPORTED },
        { "{\"model_type\":\"llama\"," SIZES ",\"rope_scaling\":{\"type\":\"yarn\"}}",
          "type 'yarn'", ST_UNSUPPORTED },
        { "{\"model_type\":\"llama\"," SIZES ",\"rope_parameters\":{\"rope_type\":\"llama3\"}}",
          "no factor", ST_FORMAT },
        { "{\"model_type\":\"llama\"," SIZES ",\"rope_parameters\":{\"rope_type\":\"llama3\","
          "\"factor\":8,\"low_freq_factor\":4,\"high_freq_factor\":1,"
          "\"original_max_position_embeddings\":64}}",
          "rising frequencies", ST_USAGE },
        { "{\"model_type\":\"llama\"," SIZES ",\"rope_theta\":1e4,"
          "\"rope_parameters\":{\"rope_theta\":1e5}}",
          "rope_theta is 10000, and 100000", ST_FORMAT },
        { "{\"model_type\":\"llama\"," SIZES
          ",\"rope_parameters\":{\"partial_rotary_factor\":0.5}}",
          "partial_rotary_factor", ST_UNSUPPORTED },
        { "{\"model_type\":\"qwen2\"," SIZES ",\"use_sliding_window\":true,\"sliding_window\":8,"
          "\"max_window_layers\":1}",
          "max_window_layers", ST_UNSUPPORTED },
        { "{\"model_type\":\"qwen2\"," SIZES
          ",\"layer_types\":[\"sliding_attention\",\"full_attention\"]}",
          "layer_types is a mixture", ST_UNSUPPORTED },
        { "{\"model_type\":\"mistral\"," SIZES ",\"sliding_window\":2.5}", "sliding_window",
          ST_FORMAT },
        { "{\"model_type\":\"llama\",\"hidden_size\":99999999999}", "want 1..", ST_LIMIT },
        { "{\"model_type\":\"llama\",\"hidden_size\":64,\"intermediate_size\":64,"
          "\"num_hidden_layers\":100000,\"num_attention_heads\":4,\"vocab_size\":10}",
          "n_layer", ST_LIMIT },
        { "[1]", "object", ST_FORMAT },
    };
    for (size_t i = 0; i < N_OF(row); i++) {
        struct js *o;
        struct model_conf c;
        struct err err = { "" };
        NEED(js_parse(&o, row[i].text, strlen(row[i].text), &err) == ST_OK, "%s", err.msg);
        enum st st = hf_conf_parse(&c, o, "config.json", &err);
        CHECK(st == row[i].want && strstr(err.msg, row[i].says), "row %zu: %d, %s", i, (int)st,
              err.msg);
        js_free(o);
    }
}

/* A good folder with one thing changed at a time. */
void test_load_refused(void)
{
    struct backend *b = open_backend(1, PRECISION_FP32);
    struct model_conf c;
    struct model *m, *back;
    struct err err = { "" };
    small_conf(&c);
    char *dir = path_join(check_dir(), "folder"), *weights = path_join(dir, "model.safetensors"),
         *config = path_join(dir, "config.json");
    struct strbuf x = { 0 };
    NEED(model_new(&m, &c, b, &err) == ST_OK, "%s", err.msg);
    CHECK(model_load(&back, dir, b, &err) == ST_IO && !back, "a missing folder: %s", err.msg);
    NEED(model_save(m, dir, &err) == ST_OK, "%s", err.msg);
    NEED(file_read(weights, 1 << 28, &x, &err) == ST_OK, "%s", err.msg);
    NEED(file_write(weights, x.s, x.n / 2, &err) == ST_OK, "%s", err.msg);
    CHECK(model_load(&back, dir, b, &err) == ST_FORMAT && strstr(err.msg, "the file holds"),
          "cut: %s", err.msg);
    char *name = strstr(x.s + 8, "model.norm.weight");
    NEED(name != NULL, "no such name in the header");
    name[6] = 'm';
    NEED(file_write(weights, x.s, x.n, &err) == ST_OK, "%s", err.msg);
    CHECK(model_load(&back, dir, b, &err) == ST_UNSUPPORTED && strstr(err.msg, "model.morm"),
          "renamed: %s", err.msg);
    name[6] = 'n';
    NEED(file_write(weights, x.s, x.n, &err) == ST_OK, "%s", err.msg);
    c.vocab_size = 199;
    struct js *o = model_conf_json(&c);
    NEED(js_write_file(o, config, &err) == ST_OK, "%s", err.msg);
    js_free(o);
    CHECK(model_load(&back, dir, b, &err) == ST_FORMAT && strstr(err.msg, "embed_tokens"),
          "other shape: %s", err.msg);
    str_release(&x);
    model_free(m);
    backend_close(b);
    free(dir);
    free(weights);
    free(config);
}

/* Replaces the first `find` of a file by as many bytes of `by`; false when it is not there. */
static bool edit(const char *path, const char *find, const void *by, size_t n)
{
    struct strbuf x = { 0 };
    struct err err = { "" };
    bool found = false;
    if (file_read(path, 1 << 28, &x, &err) == ST_OK)
        for (size_t at = 0; at + strlen(find) <= x.n && !found; at++)
            if (memcmp(x.s + at, find, strlen(find)) == 0) {
                memcpy(x.s + at, by, n);
                found = file_write(path, x.s, x.n, &err) == ST_OK;
            }
    str_release(&x);
    return found;
}

static void copy_file(const char *from, const char *to)
{
    struct strbuf x = { 0 };
    struct err err = { "" };
    CHECK(file_read(from, 1 << 28, &x, &err) == ST_OK && file_write(to, x.s, x.n, &err) == ST_OK,
          "%s", err.msg);
    str_release(&x);
}

/* A sharded folder of transformers, with one thing changed at a time. */
void test_shards_refused(void)
{
    static const struct {
        const char *find, *by, *says;
        enum st want;
    } row[] = {
        { "model-00002-of-00006", "model-00009-of-00006", "model-00009-of-00006", ST_IO },
        { "lm_head.weight", "lm_head.weighs", "lm_head.weighs", ST_FORMAT },
        { "\"model-00001-of-00006.safetensors", "\"../../00001-of-00006.safetensors",
          "of the folder itself", ST_FORMAT },
        { "weight_map", "weight_mop", "no weight_map", ST_FORMAT },
        { "\"model-00002-of-00006.safetensors\"", "[                                ]",
          "is no text", ST_FORMAT },
    };
    struct err err = { "" };
    const char *from = "tests/golden/model/mistral";
    char *dir = path_join(check_dir(), "shards");
    struct strlist names = { 0 };
    NEED(dir_list(from, &names, &err) == ST_OK && dir_make(dir, &err) == ST_OK, "%s", err.msg);
    char *index = path_join(dir, "model.safetensors.index.json");
    for (size_t i = 0; i <= N_OF(row); i++) {
        struct weights *w = NULL;
        for (size_t k = 0; k < names.n; k++) {
            char *a = path_join(from, names.s[k]), *b = path_join(dir, names.s[k]);
            if (!str_starts(names.s[k], "golden"))
                copy_file(a, b);
            free(a);
            free(b);
        }
        if (i < N_OF(row))
            NEED(edit(index, row[i].find, row[i].by, strlen(row[i].by)), "row %zu: '%s'", i,
                 row[i].find);
        enum st st = weights_open(&w, dir, &err), want = i < N_OF(row) ? row[i].want : ST_OK;
        CHECK(st == want && (i == N_OF(row) || strstr(err.msg, row[i].says)), "row %zu: %d, %s", i,
              (int)st, err.msg);
        if (st == ST_OK)
            weights_close(w);
    }
    /* The same tensors in two files: the second name of the first file. */
    struct weights *w;
    char *first = path_join(dir, "model-00001-of-00006.safetensors"),
         *again = path_join(dir, "model-00007-of-00006.safetensors");
    copy_file(first, again);
    NEED(edit(index, "-00002-of", "-00007-of", 9), "no second file");
    CHECK(weights_open(&w, dir, &err) == ST_FORMAT && strstr(err.msg, "twice"), "%s", err.msg);
    strlist_release(&names);
    free(first);
    free(again);
    free(index);
    free(dir);
}

/* Numbers that are none, in every type that a tensor may have. */
void test_not_finite(void)
{
    static const struct {
        const char *from;
        uint16_t high; /* of the last element: NaN or infinity */
        const char *says;
    } row[] = {
        { "gqa_tied", 0x7fc0, "'model.norm.weight' holds NaN or infinity at element 27" },
        { "gqa_tied", 0xff80, "element 27" },
        { "llama_bias", 0x7c00, "'model.norm.weight' holds NaN or infinity at element 19" },
        { "qwen2", 0x7fc1, "element 23" },
    };
    for (size_t i = 0; i < N_OF(row); i++) {
        struct err err = { "" };
        struct weights *w;
        struct strbuf x = { 0 };
        char *from = path_join("tests/golden/model", row[i].from),
             *dir = path_join(check_dir(), "notfinite"), *a = path_join(from, "config.json"),
             *b = path_join(dir, "config.json"), *c = path_join(from, "model.safetensors"),
             *d = path_join(dir, "model.safetensors");
        NEED(dir_make(dir, &err) == ST_OK, "%s", err.msg);
        copy_file(a, b);
        NEED(file_read(c, 1 << 28, &x, &err) == ST_OK, "%s", err.msg);
        memcpy(x.s + x.n - 2, &row[i].high, 2); /* model.norm.weight comes last */
        NEED(file_write(d, x.s, x.n, &err) == ST_OK, "%s", err.msg);
        CHECK(weights_open(&w, dir, &err) == ST_FORMAT && strstr(err.msg, row[i].says),
              "row %zu: %s", i, err.msg);
        str_release(&x);
        free(from);
        free(dir);
        free(a);
        free(b);
        free(c);
        free(d);
    }
    /* A block's scale, in every type that has one. */
    static const struct {
        uint32_t type;
        size_t n_bytes, half;
    } block[] = { { GGUF_F16, 2, 0 },    { GGUF_Q4_0, 18, 0 },    { GGUF_Q4_1, 20, 2 },
                  { GGUF_Q5_0, 22, 0 },  { GGUF_Q5_1, 24, 2 },    { GGUF_Q8_0, 34, 0 },
                  { GGUF_Q2_K, 84, 82 }, { GGUF_Q3_K, 110, 108 }, { GGUF_Q4_K, 144, 2 },
                  { GGUF_Q5_K, 176, 0 }, { GGUF_Q6_K, 210, 208 }, { GGUF_BF16, 2, 0 } };
    for (size_t i = 0; i < N_OF(block); i++) {
        uint8_t bytes[2 * 210] = { 0 };
        struct gguf_tensor t = { .type = block[i].type,
                                 .data = bytes,
                                 .n_bytes = 2 * block[i].n_bytes };
        CHECK(gguf_not_finite(&t) == -1, "%s: zeros refused", gguf_type_name(t.type));
        bytes[block[i].n_bytes + block[i].half + 1] = block[i].type == GGUF_BF16 ? 0x7f : 0x7c;
        bytes[block[i].n_bytes + block[i].half] = 0x80;
        uint64_t n_elem, n_bytes;
        CHECK(gguf_type_block(t.type, &n_elem, &n_bytes) && n_bytes == block[i].n_bytes &&
                  gguf_not_finite(&t) == (int64_t)n_elem,
              "%s: found at %d", gguf_type_name(t.type), (int)gguf_not_finite(&t));
    }
}
