/* tests/generate/marks.c - what folders say about the beginning and end of texts, in all places
 * where they say it. */
#include "base/json.h"
#include "base/mem.h"
#include "generate_tests.h"
#include "model/export.h"
#include "model/generate.h"
#include "model/hf.h"

static const char *const file[] = { "tokenizer_config.json", "chat_template.jinja",
                                    "special_tokens_map.json" };

/* Writes each file of the folder, or removes it where its text is NULL. */
static void put_files(const char *dir, const char *const text[N_OF(file)])
{
    struct err err = { "" };
    for (size_t i = 0; i < N_OF(file); i++) {
        char *path = path_join(dir, file[i]);
        remove(path);
        if (text[i])
            CHECK(file_write(path, text[i], strlen(text[i]), &err) == ST_OK, "%s", err.msg);
        free(path);
    }
}

static bool same(const char *got, const char *want)
{
    return got && want ? strcmp(got, want) == 0 : got == want;
}

void test_marks(void)
{
    static const struct {
        const char *text[N_OF(file)], *begin, *end, *chat;
        int adds_begin;
        const char *problem; /* of a damaged file */
    } row[] = {
        { { NULL, NULL, NULL }, NULL, NULL, NULL, -1, NULL },
        { { "{\"bos_token\":\"<s>\",\"eos_token\":\"</s>\",\"chat_template\":\"T\"}", NULL, NULL },
          "<s>",
          "</s>",
          "T",
          -1,
          NULL },
        { { "{\"bos_token\":{\"content\":\"<s>\",\"lstrip\":false},\"eos_token\":{\"content\":"
            "\"</s>\"},\"add_bos_token\":true}",
            NULL, NULL },
          "<s>",
          "</s>",
          NULL,
          1,
          NULL },
        { { "{\"bos_token\":null,\"add_bos_token\":false,\"chat_template\":[{\"name\":\"tool_use\","
            "\"template\":\"U\"},{\"name\":\"default\",\"template\":\"D\"}]}",
            NULL, NULL },
          NULL,
          NULL,
          "D",
          0,
          NULL },
        { { "{\"eos_token\":\"</s>\",\"chat_template\":\"old\"}", "new",
            "{\"bos_token\":\"<s>\",\"eos_token\":\"other\"}" },
          "<s>",
          "</s>",
          "new",
          -1,
          NULL },
        { { "{\"bos_token\"", NULL, NULL }, NULL, NULL, NULL, 0, "tokenizer_config.json" },
    };
    char *dir = path_join(check_dir(), "marks");
    struct err err = { "" };
    NEED(dir_make(dir, &err) == ST_OK, "%s", err.msg);
    for (size_t i = 0; i < N_OF(row); i++) {
        struct hf_marks m;
        put_files(dir, row[i].text);
        enum st st = hf_marks_read(&m, dir, &err);
        if (row[i].problem)
            CHECK(st == ST_FORMAT && strstr(err.msg, row[i].problem), "row %zu: %s", i, err.msg);
        else
            CHECK(st == ST_OK && same(m.begin, row[i].begin) && same(m.end, row[i].end) &&
                      same(m.chat, row[i].chat) && m.adds_begin == row[i].adds_begin,
                  "row %zu: '%s' '%s' '%s' %d, %s", i, m.begin ? m.begin : "", m.end ? m.end : "",
                  m.chat ? m.chat : "", m.adds_begin, err.msg);
        hf_marks_release(&m);
    }
    free(dir);
}

/* The tiny model as a folder that says what these texts say. */
static char *tiny_folder(const char *name, const char *const text[N_OF(file)])
{
    struct weights *w;
    struct err err = { "" };
    char *dir = path_join(check_dir(), name);
    CHECK(weights_open(&w, TINY, &err) == ST_OK, "%s", err.msg);
    struct export_conf c = { w, TINY, NULL, GGUF_F32 };
    CHECK(export_hf(&c, dir, &err) == ST_OK, "%s", err.msg);
    weights_close(w);
    put_files(dir, text);
    return dir;
}

static void put_text(const char *dir, const char *name, const char *text)
{
    struct err err = { "" };
    char *path = path_join(dir, name);
    remove(path);
    if (text)
        CHECK(file_write(path, text, strlen(text), &err) == ST_OK, "%s", err.msg);
    free(path);
}

/* eos_token_id: one, a list or none, of generation_config.json before config.json. */
void test_stop_ids(void)
{
    static const struct {
        const char *generation, *config;
        int n, id[3];
        const char *problem;
    } row[] = {
        { NULL, NULL, 0, { 0 }, NULL },
        { NULL, "{\"eos_token_id\":5}", 1, { 5 }, NULL },
        { "{}", "{\"eos_token_id\":[5,6]}", 2, { 5, 6 }, NULL },
        { "{\"eos_token_id\":[151645,151643]}",
          "{\"eos_token_id\":5}",
          2,
          { 151645, 151643 },
          NULL },
        { "{\"eos_token_id\":0}", "{\"eos_token_id\":5}", 1, { 0 }, NULL },
        { "{\"eos_token_id\":null}", "{\"eos_token_id\":null}", 0, { 0 }, NULL },
        { "{\"eos_token_id\":\"x\"}", NULL, 0, { 0 }, "generation_config.json': eos_token_id" },
        { "{\"eos_token_id\":[1,-1]}", NULL, 0, { 0 }, "want a token's id or a list" },
        { NULL, "{\"eos_token_id\":[1,[2]]}", 0, { 0 }, "/config.json': eos_token_id" },
        { "{\"eos_token_id\":[0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0]}",
          NULL,
          0,
          { 0 },
          "more than 32" },
    };
    char *dir = path_join(check_dir(), "stops");
    struct err err = { "" };
    NEED(dir_make(dir, &err) == ST_OK, "%s", err.msg);
    for (size_t i = 0; i < N_OF(row); i++) {
        struct hf_marks m;
        put_text(dir, "generation_config.json", row[i].generation);
        put_text(dir, "config.json", row[i].config);
        enum st st = hf_marks_read(&m, dir, &err);
        if (row[i].problem) {
            CHECK(st < 0 && strstr(err.msg, row[i].problem), "row %zu: %d, %s", i, (int)st,
                  err.msg);
        } else {
            CHECK(st == ST_OK && m.n_stop_id == row[i].n, "row %zu: %d ids, %s", i, m.n_stop_id,
                  err.msg);
            for (int k = 0; k < row[i].n; k++)
                CHECK(m.stop_id[k] == (uint32_t)row[i].id[k], "row %zu: id %d is %u", i, k,
                      m.stop_id[k]);
        }
        hf_marks_release(&m);
    }
    free(dir);
}

static const char SEA[] = "The sea";

/* The greedy continuation of SEA begins with this token. */
static uint32_t first_token(const char *model)
{
    struct gen *g;
    struct err err = { "" };
    struct gen_conf conf = { .n_threads = 1 };
    uint32_t id[8], best = 0;
    enum st st = gen_open(&g, model, &conf, &err);
    CHECK(st == ST_OK, "%s", err.msg);
    if (st < 0)
        return 0;
    size_t n = tok_encode(gen_tok(g), SEA, strlen(SEA), id), vocab = (size_t)gen_vocab_size(g);
    float *logits = xaligned(n * vocab * sizeof *logits);
    CHECK(gen_logits(g, id, (int)n, logits, &err) == ST_OK, "%s", err.msg);
    const float *last = logits + (n - 1) * vocab;
    for (uint32_t i = 1; i < vocab; i++)
        best = last[i] > last[best] ? i : best;
    free(logits);
    gen_close(g);
    return best;
}

static void check_ends(const char *model, enum gen_finish want)
{
    struct gen *g;
    struct gen_result r;
    struct err err = { "" };
    struct gen_conf conf = { .n_threads = 1 };
    struct gen_request q = { .raw = SEA, .sampling = { .top_p = 1, .max_tok = 1 } };
    NEED(gen_open(&g, model, &conf, &err) == ST_OK, "%s", err.msg);
    gen_submit(g, &q);
    NEED(gen_next(g, &r, &err) == ST_OK, "%s", err.msg);
    CHECK(r.finish == want && (r.n_bytes == 0) == (want == GEN_STOP), "%s: finish %d, text '%s'",
          model, (int)r.finish, r.text);
    gen_close(g);
}

/* A folder's second end of generation ends it, and still does after the way to GGUF and back. */
void test_stops_at_any(void)
{
    static const char *const none[N_OF(file)] = { NULL };
    struct weights *w;
    struct err err = { "" };
    char *dir = tiny_folder("stops_at_any", none), *gguf = path_join(check_dir(), "stops.gguf"),
         *back = path_join(check_dir(), "stops_back");
    check_ends(dir, GEN_LENGTH);
    char *list = xasprintf("{\"eos_token_id\":[2,%u]}", first_token(dir));
    put_text(dir, "generation_config.json", list);
    check_ends(dir, GEN_STOP);
    NEED(weights_open(&w, dir, &err) == ST_OK, "%s", err.msg);
    struct export_conf c = { w, dir, NULL, GGUF_F32 };
    NEED(export_gguf(&c, gguf, &err) == ST_OK, "%s", err.msg);
    weights_close(w);
    check_ends(gguf, GEN_STOP);
    NEED(weights_open(&w, gguf, &err) == ST_OK, "%s", err.msg);
    c = (struct export_conf){ w, gguf, NULL, GGUF_F32 };
    NEED(export_hf(&c, back, &err) == ST_OK, "%s", err.msg);
    weights_close(w);
    check_ends(back, GEN_STOP);
    free(list);
    free(dir);
    free(gguf);
    free(back);
}

/* Newer folders have their template in a file of its own. */
void test_template_file(void)
{
    static const char *const text[] = { "{\"eos_token\":\"<|im_end|>\"}",
                                        "{{ '<|im_start|>' + message['role'] + '\\n' }} <|im_end|>",
                                        NULL };
    struct gen *g;
    struct gen_result r;
    struct err err = { "" };
    struct gen_conf conf = { .n_threads = 1 };
    struct gen_request q = { .user = "hi", .sampling = { .max_tok = 4 } };
    char *dir = tiny_folder("template_file", text);
    NEED(gen_open(&g, dir, &conf, &err) == ST_OK, "%s", err.msg);
    gen_submit(g, &q);
    CHECK(gen_next(g, &r, &err) == ST_OK, "%s", err.msg);
    gen_close(g);
    free(dir);
}

/* A GGUF file as a folder again: its texts begin with this token, or with none. */
static void came_back(const char *gguf, const char *want)
{
    struct weights *w;
    struct err err = { "" };
    char *dir = path_join(check_dir(), "came_back"), *json = path_join(dir, "tokenizer.json"),
         *first = NULL;
    NEED(dir_remove(dir, &err) == ST_OK, "%s", err.msg);
    NEED(weights_open(&w, gguf, &err) == ST_OK, "%s", err.msg);
    struct export_conf c = { w, gguf, NULL, GGUF_F32 };
    NEED(export_hf(&c, dir, &err) == ST_OK, "%s", err.msg);
    NEED(hf_first_token(&first, json, &err) == ST_OK, "%s", err.msg);
    CHECK(same(first, want), "begins with '%s', want '%s'", first ? first : "", want ? want : "");
    weights_close(w);
    free(first);
    free(json);
    free(dir);
}

/* Whether a text begins with a token stands in the settings, or in the tokenizer's post-processor.
 */
void test_first_token(void)
{
    static const char single[] = "{\"type\":\"TemplateProcessing\",\"single\":[%s{\"Sequence\":{"
                                 "\"id\":\"A\",\"type_id\":0}}],\"pair\":[],\"special_tokens\":{}}";
    static const char special[] = "{\"SpecialToken\":{\"id\":\"<|im_start|>\",\"type_id\":0}},";
    char *with = xasprintf(single, special), *without = xasprintf(single, "");
    char *inside =
        xasprintf("{\"type\":\"Sequence\",\"processors\":[{\"type\":\"ByteLevel\"},%s]}", with);
    const struct {
        const char *settings, *processor;
        uint64_t adds, begin;
    } row[] = {
        { NULL, "null", 0, 99 },
        { "{\"bos_token\":\"<|im_start|>\"}", "null", 0, 1 },
        { "{\"bos_token\":\"<|im_start|>\"}", without, 0, 1 },
        { "{\"bos_token\":\"<|im_start|>\"}", with, 1, 1 },
        { NULL, inside, 1, 1 },
        { "{\"bos_token\":\"<|endoftext|>\"}", with, 0, 0 },
        { "{\"bos_token\":\"<|im_start|>\",\"add_bos_token\":false}", with, 0, 1 },
        { "{\"bos_token\":\"<|im_start|>\",\"add_bos_token\":true}", "null", 1, 1 },
    };
    const char *const none[N_OF(file)] = { NULL };
    char *dir = tiny_folder("first_token", none), *json = path_join(dir, "tokenizer.json"),
         *out = path_join(check_dir(), "first_token.gguf");
    for (size_t i = 0; i < N_OF(row); i++) {
        const char *const text[N_OF(file)] = { row[i].settings };
        struct js *o, *processor;
        struct weights *w;
        struct gguf *g;
        struct err err = { "" };
        put_files(dir, text);
        NEED(js_read_file(&o, json, &err) == ST_OK, "%s", err.msg);
        NEED(js_parse(&processor, row[i].processor, strlen(row[i].processor), &err) == ST_OK, "%s",
             err.msg);
        js_put(o, "post_processor", processor);
        NEED(js_write_file(o, json, &err) == ST_OK, "%s", err.msg);
        NEED(weights_open(&w, dir, &err) == ST_OK, "%s", err.msg);
        struct export_conf c = { w, dir, NULL, GGUF_F32 };
        NEED(export_gguf(&c, out, &err) == ST_OK, "%s", err.msg);
        NEED(gguf_open(&g, out, &err) == ST_OK, "%s", err.msg);
        uint64_t adds = gguf_whole(g, "tokenizer.ggml.add_bos_token", 9),
                 begin = gguf_whole(g, "tokenizer.ggml.bos_token_id", 99);
        CHECK(adds == row[i].adds && begin == row[i].begin, "row %zu: adds %d, begins with %d", i,
              (int)adds, (int)begin);
        gguf_close(g);
        weights_close(w);
        js_free(o);
        came_back(out, row[i].adds ? "<|im_start|>" : NULL);
    }
    free(with);
    free(without);
    free(inside);
    free(dir);
    free(json);
    free(out);
}
