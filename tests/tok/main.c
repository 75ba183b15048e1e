/*
 * tests/tok/main.c - the tok folder's tests. Recorded vectors: tests/golden/make_tok.py.
 *
 * Besides, for comparisons with other programs:  test_tok ids TOKENIZER DOCS.jsonl
 * prints each document's ids as an array, one a line; token files refuse tokenizers that normalize.
 */
#include "base/gguf.h"
#include "base/gguf_write.h"
#include "base/mem.h"
#include "base/pool.h"
#include "base/rng.h"
#include "tok/unicode.h"
#include "tok_tests.h"

static const char hf_json[] = "tests/golden/tok/hf.json";

struct tok *load_tok(const char *path)
{
    struct tok *t = NULL;
    struct err err = { "" };
    enum st st = tok_load(&t, path, &err);
    CHECK(st == ST_OK, "%s", err.msg);
    return t;
}

char *with_parts(const char *json, const char *normalizer, bool ignore_merges)
{
    struct js *v, *pre, *norm;
    struct err err = { "" };
    char *path = path_join(check_dir(), "splitter.json");
    enum st st = js_read_file(&v, hf_json, &err);
    if (st == ST_OK && js_parse(&pre, json, strlen(json), &err) == ST_OK)
        js_put(v, "pre_tokenizer", pre);
    if (st == ST_OK && js_parse(&norm, normalizer, strlen(normalizer), &err) == ST_OK)
        js_put(v, "normalizer", norm);
    js_put_bool(js_get(v, "model"), "ignore_merges", ignore_merges);
    if (st == ST_OK)
        st = js_write_file(v, path, &err);
    CHECK(st == ST_OK, "%s", err.msg);
    js_free(v);
    return path;
}

#define BYTE_LEVEL(regex)                                                                          \
    "{\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"trim_offsets\":true,\"use_"              \
    "regex\":" regex "}"
static const char gpt2[] = BYTE_LEVEL("true");
static const char llama3[] =
    "{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"Split\",\"pattern\":{\"Regex\":"
    "\"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\\\r\\\\n\\\\p{L}\\\\p{N}]?\\\\p{L}+|\\\\p{N}{1,3}| "
    "?[^\\\\s\\\\p{L}\\\\p{N}]+[\\\\r\\\\n]*|\\\\s*[\\\\r\\\\n]+|\\\\s+(?!\\\\S)|\\\\s+\"},"
    "\"behavior\":\"Isolated\",\"invert\":false}," BYTE_LEVEL("false") "]}";

const char qwen2_json[] =
    "{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"Split\",\"pattern\":{\"Regex\":"
    "\"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\\\r\\\\n\\\\p{L}\\\\p{N}]?\\\\p{L}+|\\\\p{N}| "
    "?[^\\\\s\\\\p{L}\\\\p{N}]+[\\\\r\\\\n]*|\\\\s*[\\\\r\\\\n]+|\\\\s+(?!\\\\S)|\\\\s+\"},"
    "\"behavior\":\"Isolated\",\"invert\":false}," BYTE_LEVEL("false") "]}";
const char nfc_json[] = "{\"type\":\"NFC\"}";

void check_ids(const struct tok *t, const struct js *texts, const struct js *back_texts,
               const struct js *want, const char *what, bool special)
{
    CHECK(js_len(texts) > 120 && js_len(texts) == js_len(want), "%zu texts", js_len(texts));
    for (size_t i = 0; i < js_len(texts); i++) {
        size_t n_bytes, n_back;
        const char *text = js_as_text(js_at(texts, i), &n_bytes);
        const char *back_text = js_as_text(js_at(back_texts, i), &n_back);
        const struct js *ids = js_at(want, i);
        uint32_t *got = NEW_ARRAY(uint32_t, tok_room(t, n_bytes) + 1);
        size_t n =
            special ? tok_encode_special(t, text, n_bytes, got) : tok_encode(t, text, n_bytes, got);
        bool same = n == js_len(ids);
        for (size_t k = 0; k < n && same; k++)
            same = js_as_whole(js_at(ids, k), -1) == got[k];
        CHECK(same, "%s: text %zu '%.60s': %zu ids, want %zu", what, i, text, n, js_len(ids));
        struct strbuf back = { 0 };
        tok_decode(t, got, n, &back);
        if (!special)
            CHECK(back.n == n_back && memcmp(back.s ? back.s : "", back_text, n_back) == 0,
                  "%s: text %zu came back as '%.60s'", what, i, back.s ? back.s : "");
        str_release(&back);
        free(got);
    }
}

/* Every recorded text gives Hugging Face's ids behind each splitter, and comes back. */
static void test_ids_as_hugging_face(void)
{
    struct js *v;
    struct err err = { "" };
    NEED(js_read_file(&v, "tests/golden/tok/vectors.json", &err) == ST_OK, "%s", err.msg);
    const struct js *texts = js_get(v, "texts"), *ids = js_get(v, "ids");
    struct tok *t = load_tok(hf_json);
    NEED(t, "not loaded");
    check_ids(t, texts, texts, js_get(ids, "smollm"), "smollm", false);
    check_ids(t, texts, texts, js_get(ids, "smollm"), "smollm, words seen before", false);
    check_ids(t, texts, texts, js_get(v, "special"), "special", true);
    tok_free(t);
    static const struct {
        const char *name, *json;
    } row[] = { { "gpt2", gpt2 }, { "llama3", llama3 }, { "qwen2", qwen2_json } };
    for (size_t i = 0; i < N_OF(row); i++) {
        char *path = with_parts(row[i].json, "null", false);
        t = load_tok(path);
        NEED(t, "%s not loaded", row[i].name);
        check_ids(t, texts, texts, js_get(ids, row[i].name), row[i].name, false);
        CHECK(tok_save(t, path, &err) == ST_OK, "%s", err.msg);
        struct tok *again = load_tok(path);
        NEED(again, "%s not loaded again", row[i].name);
        CHECK(digest_cmp(tok_digest(t), tok_digest(again)) == 0, "%s: saving changed it",
              row[i].name);
        tok_free(again);
        tok_free(t);
        free(path);
    }
    js_free(v);
}

size_t put_utf8(uint8_t *b, uint32_t c)
{
    static const uint8_t lead[] = { 0, 0, 0xC0, 0xE0, 0xF0 };
    size_t n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    b[0] = (uint8_t)c;
    for (size_t k = n; n > 1 && k-- > 0;)
        b[k] = (uint8_t)(k ? 0x80 | (c >> 6 * (n - 1 - k) & 63) : lead[n] | c >> 6 * (n - 1));
    return n;
}

/* Letters, numbers and spaces among all code points as in Hugging Face's patterns. */
static void test_classes(void)
{
    struct js *v;
    struct err err = { "" };
    NEED(js_read_file(&v, "tests/golden/tok/classes.json", &err) == ST_OK, "%s", err.msg);
    static const struct {
        const char *name;
        enum char_class class;
    } row[] = { { "L", CHAR_LETTER }, { "N", CHAR_NUMBER }, { "S", CHAR_SPACE } };
    uint8_t *want = xmalloc(0x110000);
    memset(want, CHAR_OTHER, 0x110000);
    for (size_t i = 0; i < N_OF(row); i++) {
        const struct js *runs = js_get(v, row[i].name);
        CHECK(js_len(runs) > 0, "no runs of %s", row[i].name);
        for (size_t k = 0; k < js_len(runs); k++) {
            int64_t last = js_as_whole(js_at(js_at(runs, k), 1), 0);
            for (int64_t c = js_as_whole(js_at(js_at(runs, k), 0), 0); c <= last; c++)
                want[c] = (uint8_t)row[i].class;
        }
    }
    for (uint32_t c = 0; c < 0x110000; c++) {
        uint8_t b[4];
        size_t n = put_utf8(b, c), used;
        if (c >= 0xD800 && c < 0xE000)
            continue;
        enum char_class got = class_at(b, b + n, &used);
        CHECK(got == (enum char_class)want[c] && used == n, "U+%04X: class %d, want %d", c,
              (int)got, want[c]);
    }
    free(want);
    js_free(v);
}

/* The trainer makes Hugging Face's vocabulary and merges from the same texts, in any order. */
static void test_trainer_as_hugging_face(void)
{
    struct js *v;
    struct err err = { "" };
    struct strbuf licence = { 0 };
    NEED(js_read_file(&v, "tests/golden/tok/vectors.json", &err) == ST_OK, "%s", err.msg);
    NEED(file_read("LICENSE", 1 << 20, &licence, &err) == ST_OK, "%s", err.msg);
    const struct js *texts = js_get(v, "texts");
    struct tok *want = load_tok(hf_json), *got = NULL;
    NEED(want, "not loaded");
    for (int order = 0; order < 2; order++) {
        struct tok_trainer *tr = tok_trainer_new();
        for (size_t i = 0; i < js_len(texts); i++) {
            size_t n;
            size_t at = order ? js_len(texts) - 1 - i : i;
            const char *text = js_as_text(js_at(texts, at), &n);
            tok_trainer_add(tr, text, n);
        }
        tok_trainer_add(tr, licence.s, licence.n);
        NEED(tok_trainer_finish(tr, 700, &got, &err) == ST_OK, "%s", err.msg);
        tok_trainer_free(tr);
        CHECK(digest_cmp(tok_digest(got), tok_digest(want)) == 0, "other merges, order %d", order);
        CHECK(tok_vocab_size(got) == 700 && tok_eod(got) == 0, "vocabulary of %d",
              tok_vocab_size(got));
        tok_free(got);
    }
    tok_free(want);
    str_release(&licence);
    js_free(v);
}

static void test_trainer_limits(void)
{
    struct err err = { "" };
    struct tok *t = NULL;
    struct tok_trainer *tr = tok_trainer_new();
    CHECK(tok_trainer_finish(tr, 256, &t, &err) == ST_USAGE && strstr(err.msg, "want 257"),
          "got %s", err.msg);
    NEED(tok_trainer_finish(tr, 300, &t, &err) == ST_OK, "%s", err.msg); /* of no text at all */
    CHECK(tok_vocab_size(t) == 257 && tok_n_merges(t) == 0, "learned from nothing");
    uint32_t ids[8];
    CHECK(tok_encode(t, "ab \xff", 4, ids) == 4, "not bytes");
    tok_free(t);
    /* a word of a million equal letters: merges double, tokens stay within their limit */
    char *run = xmalloc(1000000);
    memset(run, 'a', 1000000);
    tok_trainer_add(tr, run, 1000000);
    double start = check_cpu_s();
    NEED(tok_trainer_finish(tr, 400, &t, &err) == ST_OK, "%s", err.msg);
    CHECK(check_cpu_s() - start < 20, "took %g s", check_cpu_s() - start);
    CHECK(tok_n_bytes(t, (uint32_t)tok_vocab_size(t) - 1) <= 65536, "a token too long");
    tok_free(t);
    tok_trainer_free(tr);
    free(run);
}

/* Any bytes come back, alone or beside others; the ids fit in n_bytes. */
static void test_any_bytes(void)
{
    struct tok *t = load_tok(hf_json);
    NEED(t, "not loaded");
    struct rng rng;
    rng_init(&rng, 1, "bytes", 0);
    enum { MAX = 3000 };
    char text[MAX];
    uint32_t ids[MAX];
    for (int round = 0; round < 300; round++) {
        size_t n = (size_t)rng_below(&rng, MAX);
        int kind = round % 3; /* any bytes; spaces, quotes, ASCII; pieces of UTF-8 */
        for (size_t i = 0; i < n; i++) {
            uint64_t r = rng_u64(&rng);
            text[i] = (char)(kind == 0   ? r
                             : kind == 1 ? (uint64_t) " '\nst1a"[r % 7]
                                         : (uint64_t) "\xE4\xB8\xAD\xC2\xA0\xF0\x9F"[r % 7]);
        }
        size_t n_id = tok_encode(t, text, n, ids);
        struct strbuf back = { 0 };
        CHECK(n_id <= n, "%zu ids of %zu bytes", n_id, n);
        tok_decode(t, ids, n_id, &back);
        CHECK(back.n == n && memcmp(back.s ? back.s : "", text, n) == 0, "round %d differs", round);
        str_release(&back);
    }
    tok_free(t);
}

/* A long word without a space costs n log n, and the same ids come from short pieces' slow path. */
static void test_long_word(void)
{
    struct tok *t = load_tok(hf_json);
    NEED(t, "not loaded");
    size_t n = 8000000;
    char *text = xmalloc(n);
    uint32_t *ids = NEW_ARRAY(uint32_t, n);
    for (size_t i = 0; i < n; i++)
        text[i] = "thelicense"[i * i % 10];
    double start = check_cpu_s();
    size_t n_id = tok_encode(t, text, n, ids);
    double took = check_cpu_s() - start;
    CHECK(took < 60, "8 MB in one word took %g s", took);
    struct strbuf back = { 0 };
    tok_decode(t, ids, n_id, &back);
    CHECK(back.n == n && memcmp(back.s, text, n) == 0, "the long word differs");
    str_release(&back);
    free(text);
    free(ids);
    tok_free(t);
}

struct encoding {
    const struct tok *t;
    const struct js *texts;
    uint64_t sum[64];
};

static void encode_all(void *job, size_t item, int thread)
{
    (void)thread;
    struct encoding *e = job;
    uint32_t ids[4096];
    for (size_t i = 0; i < js_len(e->texts); i++) {
        size_t n;
        const char *text = js_as_text(js_at(e->texts, (i + item * 7) % js_len(e->texts)), &n);
        size_t n_id = tok_encode(e->t, text, n, ids);
        for (size_t k = 0; k < n_id; k++)
            e->sum[item] += (uint64_t)ids[k] * (k + 1);
    }
}

static void test_threads(void)
{
    struct err err = { "" };
    struct encoding e = { 0 };
    struct js *v;
    NEED(js_read_file(&v, "tests/golden/tok/vectors.json", &err) == ST_OK, "%s", err.msg);
    struct tok *t = load_tok(hf_json);
    NEED(t, "not loaded");
    e.t = t;
    e.texts = js_get(v, "texts");
    struct pool *p = pool_new(4);
    pool_run(p, N_OF(e.sum), encode_all, &e);
    for (size_t i = 1; i < N_OF(e.sum); i++)
        CHECK(e.sum[i] == e.sum[0], "item %zu differs", i);
    pool_free(p);
    tok_free(t);
    js_free(v);
}

static void test_questions(void)
{
    struct tok *t = load_tok(hf_json);
    NEED(t, "not loaded");
    size_t n;
    CHECK(tok_vocab_size(t) == 700 && tok_eod(t) == 0, "%d", tok_vocab_size(t));
    CHECK(tok_id(t, "<|endoftext|>") == 0 && tok_id(t, "<|im_start|>") == -1, "special ids");
    CHECK(tok_n_bytes(t, 0) == 0 && tok_n_bytes(t, 1) == 1 && tok_n_bytes(t, 700) == 0, "bytes");
    CHECK(tok_spelling(t, 0, &n) && n == 13 && tok_spelling(t, 700, &n) == NULL, "spelling");
    uint32_t ids[] = { 0, 700, UINT32_MAX, 34 };
    struct strbuf b = { 0 };
    tok_decode(t, ids, 4, &b);
    CHECK(b.n == 1 && b.s[0] == 'B', "decoded '%s'", b.s ? b.s : "");
    str_release(&b);
    tok_free(t);
    tok_free(NULL);
}

/* Edits of hf.json that must be refused by name. */
static void test_refuses(void)
{
    static const struct {
        const char *path[3], *json; /* json NULL: the member is set to null */
        enum st want;
        const char *msg;
    } row[] = {
        { { "model", "type" }, "\"Unigram\"", ST_UNSUPPORTED, "model type 'Unigram', want BPE" },
        { { "model", "byte_fallback" }, "true", ST_UNSUPPORTED, "byte_fallback" },
        { { "model", "dropout" }, "0.1", ST_UNSUPPORTED, "model.dropout" },
        { { "model", "end_of_word_suffix" }, "\"</w>\"", ST_UNSUPPORTED, "end_of_word_suffix" },
        { { "model", "vocab" }, "[]", ST_FORMAT, "model.vocab" },
        { { "model", "vocab" }, "{}", ST_UNSUPPORTED, "without bytes" },
        { { "model", "vocab" }, "{\"a\":\"b\"}", ST_FORMAT, "not a whole number" },
        { { "model", "vocab" }, "{\"a\":-1}", ST_FORMAT, "not a whole number" },
        { { "model", "vocab" }, "{\"a\":2000000000000}", ST_LIMIT, "token id 2000000000000" },
        { { "model", "vocab" }, "{\"a\":1,\"b\":1}", ST_FORMAT, "token id 1 is given twice" },
        { { "model", "vocab" }, "{\"\":1}", ST_FORMAT, "is empty" },
        { { "model", "merges" }, "7", ST_FORMAT, "model.merges" },
        { { "model", "merges" }, "[\"ab\"]", ST_FORMAT, "merge 0: want" },
        { { "model", "merges" }, "[[\"a\",\"b\",\"c\"]]", ST_FORMAT, "merge 0: want" },
        { { "model", "merges" }, "[[\"a\",7]]", ST_FORMAT, "merge 0: want" },
        { { "model", "merges" }, "[\"a qqqq\"]", ST_FORMAT, "'qqqq' is not in the vocabulary" },
        { { "model", "merges" }, "[\"q q\"]", ST_FORMAT, "its product is not in" },
        { { "model" }, NULL, ST_FORMAT, "no member 'model'" },
        { { "normalizer" }, "{\"type\":\"NFC\"}", ST_OK, "" },
        { { "normalizer" }, "{\"type\":\"NFKC\"}", ST_UNSUPPORTED, "normalizer 'NFKC'" },
        { { "normalizer" },
          "{\"type\":\"Sequence\",\"normalizers\":[{\"type\":\"NFC\"}]}",
          ST_UNSUPPORTED,
          "normalizer 'Sequence'" },
        { { "pre_tokenizer" }, NULL, ST_UNSUPPORTED, "pre_tokenizer" },
        { { "pre_tokenizer" }, "{\"type\":\"Metaspace\"}", ST_UNSUPPORTED, "Metaspace" },
        { { "pre_tokenizer" },
          "{\"type\":\"ByteLevel\",\"add_prefix_space\":true}",
          ST_UNSUPPORTED,
          "without prefix space" },
        { { "added_tokens" }, "[{\"id\":5}]", ST_FORMAT, "added_tokens[0]" },
        { { "added_tokens" },
          "[{\"id\":0,\"content\":\"<x>\"}]",
          ST_FORMAT,
          "spelled in two ways" },
        { { "added_tokens" },
          "[{\"id\":900,\"content\":\"<x>\",\"lstrip\":true}]",
          ST_UNSUPPORTED,
          "'<x>' with lstrip" },
        { { "version" }, "\"1.0\"", ST_OK, "" },
    };
    for (size_t i = 0; i < N_OF(row); i++) {
        struct js *v, *value = NULL;
        struct err err = { "" };
        char *path = path_join(check_dir(), "edited.json");
        NEED(js_read_file(&v, hf_json, &err) == ST_OK, "%s", err.msg);
        const char *json = row[i].json ? row[i].json : "null";
        NEED(js_parse(&value, json, strlen(json), &err) == ST_OK, "row %zu: %s", i, err.msg);
        bool deep = row[i].path[1] != NULL;
        js_put(deep ? js_get(v, row[i].path[0]) : v, row[i].path[deep], value);
        CHECK(js_write_file(v, path, &err) == ST_OK, "%s", err.msg);
        js_free(v);
        struct tok *t = NULL;
        enum st st = tok_load(&t, path, &err);
        CHECK(st == row[i].want && strstr(err.msg, row[i].msg), "row %zu: got %d, %s", i, (int)st,
              err.msg);
        CHECK(st == ST_OK ? t != NULL : t == NULL, "row %zu: a tokenizer in spite of it", i);
        tok_free(t);
        free(path);
    }
}

/* Cut anywhere or with a byte changed: a message or a tokenizer, never a crash. */
static void test_damage(void)
{
    struct strbuf whole = { 0 };
    struct err err = { "" };
    NEED(file_read(hf_json, 1 << 20, &whole, &err) == ST_OK, "%s", err.msg);
    char *path = path_join(check_dir(), "damaged.json");
    struct rng rng;
    struct tok *t;
    rng_init(&rng, 5, "damage", 0);
    for (int i = 0; i < 150; i++) {
        size_t n = whole.n;
        char *copy = xstrndup(whole.s, n);
        if (i % 2)
            n = (size_t)rng_below(&rng, n - 2);
        else
            copy[rng_below(&rng, n)] = (char)rng_below(&rng, 256);
        CHECK(file_write(path, copy, n, &err) == ST_OK, "%s", err.msg);
        enum st st = tok_load(&t, path, &err);
        if (i % 2)
            CHECK(st == ST_FORMAT && strstr(err.msg, "damaged.json"), "cut at %zu: %d, %s", n,
                  (int)st, err.msg);
        if (st == ST_OK) {
            uint32_t ids[64];
            CHECK(tok_encode(t, "The License's 12 words", 22, ids) <= 22, "too many ids");
        }
        tok_free(t);
        free(copy);
    }
    CHECK(tok_load(&t, check_dir(), &err) < 0, "loaded a folder");
    free(path);
    str_release(&whole);
}

/* The vocabulary of SmolLM2-135M-Instruct: recorded ids of a prompt by llama.cpp's server. */
static void test_gguf(void)
{
    static const char text[] = "Hello 12  34<|im_start|>user\n it's";
    static const uint32_t plain[] = { 19556, 216, 33,   34,  256, 35,   36,  44,  108,
                                      306,   79,  3738, 108, 46,  4093, 198, 357, 506 };
    static const uint32_t special[] = { 19556, 216, 33, 34, 256, 35, 36, 1, 4093, 198, 357, 506 };
    const char *path = getenv("MIXLAW_MODEL");
    if (!path || !file_exists(path))
        SKIP("no model; MIXLAW_MODEL names SmolLM2-135M-Instruct as GGUF");
    struct err err = { "" };
    struct gguf *g;
    struct tok *t;
    uint32_t ids[64];
    NEED(gguf_open(&g, path, &err) == ST_OK, "%s", err.msg);
    NEED(tok_from_gguf(&t, g, &err) == ST_OK, "%s", err.msg);
    size_t n = tok_encode(t, text, sizeof text - 1, ids);
    CHECK(n == N_OF(plain) && memcmp(ids, plain, sizeof plain) == 0, "plain text differs");
    n = tok_encode_special(t, text, sizeof text - 1, ids);
    CHECK(n == N_OF(special) && memcmp(ids, special, sizeof special) == 0, "special differs");
    CHECK(tok_vocab_size(t) == 49152 && tok_id(t, "<|im_end|>") == 2 && tok_eod(t) == 0,
          "vocabulary of %d", tok_vocab_size(t));
    CHECK(tok_encode(t, "\x04", 1, ids) == 0, "a byte that has no token"); /* as Hugging Face */
    char *json = path_join(check_dir(), "smol.json");
    CHECK(tok_save(t, json, &err) == ST_OK, "%s", err.msg);
    struct tok *again = load_tok(json);
    CHECK(again && digest_cmp(tok_digest(t), tok_digest(again)) == 0, "saving changed it");
    tok_free(again);
    free(json);
    tok_free(t);
    gguf_close(g);
}

/* Out to GGUF and in again, by all splitters; what llama.cpp would read otherwise is refused. */
static void test_to_gguf(void)
{
    static const char smollm[] = "{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"Digits\","
                                 "\"individual_digits\":true}," BYTE_LEVEL("true") "]}";
    static const struct {
        const char *json, *pre, *normalizer;
        bool ignore_merges;
    } row[] = { { gpt2, "gpt-2", "null", false },       { smollm, "smollm", "null", false },
                { llama3, "llama-bpe", "null", true },  { llama3, NULL, "null", false },
                { gpt2, NULL, "null", true },           { smollm, NULL, "null", true },
                { qwen2_json, "qwen2", "null", false }, { qwen2_json, "qwen2", nfc_json, false },
                { qwen2_json, NULL, nfc_json, true },   { gpt2, "gpt-2", nfc_json, false } };
    char *file = path_join(check_dir(), "tok.gguf");
    for (size_t i = 0; i < N_OF(row); i++) {
        struct err err = { "" };
        struct gguf_writer *w = gguf_writer_new();
        struct gguf *g;
        struct tok *back = NULL;
        char *json = with_parts(row[i].json, row[i].normalizer, row[i].ignore_merges);
        struct tok *t = load_tok(json);
        NEED(t, "row %zu", i);
        enum st st = tok_to_gguf(t, w, tok_vocab_size(t), &err);
        if (!row[i].pre) {
            CHECK(st == ST_UNSUPPORTED && strstr(err.msg, "ignore_merges"), "row %zu: %d, %s", i,
                  (int)st, err.msg);
        } else {
            NEED(st == ST_OK && gguf_writer_open(w, file, &err) == ST_OK, "%s", err.msg);
            NEED(gguf_writer_commit(w, &err) == ST_OK, "%s", err.msg);
            NEED(gguf_open(&g, file, &err) == ST_OK, "%s", err.msg);
            CHECK(strcmp(gguf_text(g, "tokenizer.ggml.pre", ""), row[i].pre) == 0, "row %zu", i);
            NEED(tok_from_gguf(&back, g, &err) == ST_OK, "%s", err.msg);
            CHECK(digest_cmp(tok_digest(t), tok_digest(back)) == 0, "%s: another vocabulary",
                  row[i].pre);
            tok_free(back);
            gguf_close(g);
        }
        gguf_writer_free(w);
        tok_free(t);
        free(json);
    }
    free(file);
}

static const struct check_test tests[] = {
    TEST(test_ids_as_hugging_face),
    TEST(test_nfc_as_hugging_face),
    TEST(test_nfc_of_all_characters),
    TEST(test_nfc_of_damage),
    TEST(test_nfc_of_many_marks),
    TEST(test_nfc_refuses),
    TEST(test_classes),
    TEST(test_trainer_as_hugging_face),
    TEST(test_trainer_limits),
    TEST(test_any_bytes),
    TEST(test_long_word),
    TEST(test_threads),
    TEST(test_questions),
    TEST(test_refuses),
    TEST(test_damage),
    TEST(test_gguf),
    TEST(test_to_gguf),
};

static enum st print_ids(const char *tokenizer, const char *docs, struct err *err)
{
    struct tok *t = NULL;
    struct strbuf text = { 0 };
    enum st st = tok_open(&t, tokenizer, err);
    if (st == ST_OK)
        st = file_read(docs, (size_t)1 << 28, &text, err);
    for (char *line = text.s, *end; st == ST_OK && line && *line; line = end + 1) {
        struct js *v;
        size_t n = 0;
        end = line + strcspn(line, "\n");
        st = js_parse(&v, line, (size_t)(end - line), err);
        if (st < 0)
            break;
        const char *s = js_as_text(js_get(v, "text"), &n);
        s = s ? s : "";
        uint32_t *ids = NEW_ARRAY(uint32_t, tok_room(t, n) + 1);
        size_t n_id = tok_encode(t, s, n, ids);
        for (size_t i = 0; i < n_id; i++)
            printf("%c%u", i ? ',' : '[', ids[i]);
        printf("%s]\n", n_id ? "" : "[");
        free(ids);
        js_free(v);
        if (!*end)
            break;
    }
    tok_free(t);
    str_release(&text);
    return st;
}

int main(int argc, char **argv)
{
    struct err err;
    if (argc == 4 && strcmp(argv[1], "ids") == 0) {
        if (print_ids(argv[2], argv[3], &err) == ST_OK)
            return 0;
        fprintf(stderr, "%s\n", err.msg);
        return 1;
    }
    return check_main(tests, N_OF(tests), argc, argv);
}
