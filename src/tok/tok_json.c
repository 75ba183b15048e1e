/*
 * tok/tok_json.c - Hugging Face tokenizer.json, in and out.
 *
 * Read: byte-level BPE without normalizer or with NFC, with one of the splitters of split.h.
 * Whatever else the file asks for that would change ids is ST_UNSUPPORTED by name; the
 * post-processor is ignored, since it only adds tokens around a text. Merges may be "a b" or
 * ["a","b"]. Source: the serialisation of the tokenizers library, versions 0.12 to 0.23.
 */
#include "tok/vocab.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "tok/bytemap.h"

static const char llama3_pattern[] =
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| "
    "?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";

static const char qwen2_pattern[] =
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| "
    "?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";

static bool is_type(const struct js *v, const char *type)
{
    return strcmp(js_get_text(v, "type", ""), type) == 0;
}

static bool is_absent(const struct js *v)
{
    return js_kind(v) == JS_NONE || js_kind(v) == JS_NULL;
}

static bool is_byte_level(const struct js *v, bool use_regex)
{
    return is_type(v, "ByteLevel") && !js_get_bool(v, "add_prefix_space", true) &&
           js_get_bool(v, "use_regex", true) == use_regex;
}

static bool is_split(const struct js *v, const char *pattern)
{
    return is_type(v, "Split") && strcmp(js_get_text(v, "behavior", ""), "Isolated") == 0 &&
           !js_get_bool(v, "invert", false) &&
           strcmp(js_get_text(js_get(v, "pattern"), "Regex", ""), pattern) == 0;
}

static enum st read_splitter(const struct js *pre, enum splitter *out, struct err *err)
{
    const struct js *list = is_type(pre, "Sequence") ? js_get(pre, "pretokenizers") : NULL;
    size_t n = list ? js_len(list) : 1;
    const struct js *first = list ? js_at(list, 0) : pre, *second = list ? js_at(list, 1) : NULL;
    if (n == 1 && is_byte_level(first, true)) {
        *out = SPLIT_GPT2;
        return ST_OK;
    }
    if (n == 2 && is_type(first, "Digits") && js_get_bool(first, "individual_digits", false) &&
        is_byte_level(second, true)) {
        *out = SPLIT_SMOLLM;
        return ST_OK;
    }
    bool bytes_only = n == 2 && is_byte_level(second, false);
    if (bytes_only && is_split(first, llama3_pattern)) {
        *out = SPLIT_LLAMA3;
        return ST_OK;
    }
    if (bytes_only && is_split(first, qwen2_pattern)) {
        *out = SPLIT_QWEN2;
        return ST_OK;
    }
    struct strbuf b = { 0 };
    js_write(pre, &b);
    enum st st = err_set(err, ST_UNSUPPORTED,
                         "pre_tokenizer %.300s; want ByteLevel without prefix space, alone, after "
                         "Digits(individual_digits) or after the pattern of Llama 3 or Qwen2",
                         pre ? b.s : "null");
    str_release(&b);
    return st;
}

/* Refuses, by name, whatever would change ids and is not supported here. */
static enum st refuse_others(const struct js *root, const struct js *model, struct err *err)
{
    const char *type = js_get_text(model, "type", "BPE");
    if (strcmp(type, "BPE") != 0)
        return err_set(err, ST_UNSUPPORTED, "model type '%s', want BPE", type);
    const struct js *normalizer = js_get(root, "normalizer");
    if (!is_absent(normalizer) && !is_type(normalizer, "NFC"))
        return err_set(err, ST_UNSUPPORTED, "normalizer '%s', want none or NFC",
                       js_get_text(normalizer, "type", "?"));
    static const char *const null[] = { "dropout", "continuing_subword_prefix",
                                        "end_of_word_suffix" };
    for (size_t i = 0; i < N_OF(null); i++) {
        const struct js *v = js_get(model, null[i]);
        const char *text = js_as_text(v, NULL);
        bool zero = js_as_real(v, 1) == 0;
        if (!is_absent(v) && !(text && !*text) && !zero)
            return err_set(err, ST_UNSUPPORTED, "model.%s, want null", null[i]);
    }
    if (js_get_bool(model, "byte_fallback", false))
        return err_set(err, ST_UNSUPPORTED, "model.byte_fallback, want byte-level BPE");
    return ST_OK;
}

static enum st read_vocab(struct tok *t, const struct js *vocab, const struct bytemap *map,
                          struct err *err)
{
    if (js_kind(vocab) != JS_OBJECT)
        return err_set(err, ST_FORMAT, "model.vocab is missing, want an object of token: id");
    struct strbuf bytes = { 0 };
    enum st st = ST_OK;
    for (void *it = js_iter(vocab); it && st == ST_OK; it = js_next(vocab, it)) {
        const char *key = js_iter_key(it);
        int64_t id = js_as_whole(js_iter_value(it), -1);
        str_clear(&bytes);
        if (id < 0)
            st = err_set(err, ST_FORMAT, "the id of token '%.60s' is not a whole number >= 0", key);
        else if (bytemap_read(map, key, strlen(key), &bytes))
            st = vocab_add(t, (uint64_t)id, TOKEN_TEXT, bytes.s, bytes.n, err);
        else /* no bytes give it; perhaps an added token */
            st = vocab_add(t, (uint64_t)id, TOKEN_UNUSED, key, strlen(key), err);
    }
    str_release(&bytes);
    return st;
}

static enum st read_added(struct tok *t, const struct js *added, struct err *err)
{
    static const char *const unknown[] = { "single_word", "lstrip", "rstrip" };
    enum st st = ST_OK;
    for (size_t i = 0; i < js_len(added) && st == ST_OK; i++) {
        const struct js *a = js_at(added, i);
        size_t n = 0;
        const char *content = js_as_text(js_get(a, "content"), &n);
        int64_t id = js_get_whole(a, "id", -1);
        if (!content || n == 0 || id < 0)
            return err_set(err, ST_FORMAT, "added_tokens[%zu]: want id and content", i);
        for (size_t k = 0; k < N_OF(unknown); k++)
            if (js_get_bool(a, unknown[k], false))
                return err_set(err, ST_UNSUPPORTED, "added token '%.60s' with %s", content,
                               unknown[k]);
        if (t->nfc && js_get_bool(a, "normalized", false)) /* matched before NFC, not after it */
            return err_set(err, ST_UNSUPPORTED,
                           "added token '%.60s' with normalized, behind the normalizer NFC",
                           content);
        bool special = js_get_bool(a, "special", false);
        st = vocab_add_whole(t, (uint64_t)id, special ? TOKEN_SPECIAL : TOKEN_ADDED, content, n,
                             err);
    }
    return st;
}

/* The two halves of a merge as symbols; borrowed. */
static bool merge_halves(const struct js *m, const char *half[2], size_t n[2])
{
    if (js_kind(m) == JS_ARRAY) {
        half[0] = js_as_text(js_at(m, 0), &n[0]);
        half[1] = js_as_text(js_at(m, 1), &n[1]);
        return js_len(m) == 2 && half[0] && half[1];
    }
    size_t all = 0;
    const char *text = js_as_text(m, &all);
    const char *space = text ? memchr(text, ' ', all) : NULL;
    if (!space)
        return false;
    half[0] = text, n[0] = (size_t)(space - text);
    half[1] = space + 1, n[1] = all - n[0] - 1;
    return true;
}

static enum st read_merges(struct tok *t, const struct js *merges, const struct bytemap *map,
                           struct err *err)
{
    if (js_kind(merges) != JS_ARRAY)
        return err_set(err, ST_FORMAT, "model.merges is missing, want an array");
    struct strbuf b[2] = { { 0 }, { 0 } };
    enum st st = ST_OK;
    for (size_t i = 0; i < js_len(merges) && st == ST_OK; i++) {
        const char *half[2];
        size_t n[2];
        uint32_t id[2] = { NO_TOKEN, NO_TOKEN };
        if (!merge_halves(js_at(merges, i), half, n)) {
            st = err_set(err, ST_FORMAT, "merge %zu: want \"a b\" or [\"a\", \"b\"]", i);
            break;
        }
        for (int k = 0; k < 2; k++) {
            str_clear(&b[k]);
            if (bytemap_read(map, half[k], n[k], &b[k]) && b[k].n)
                id[k] = vocab_find(t, b[k].s, b[k].n);
        }
        if (id[0] == NO_TOKEN || id[1] == NO_TOKEN)
            st = err_set(err, ST_FORMAT, "merge %zu: '%.40s' is not in the vocabulary", i,
                         id[0] == NO_TOKEN ? half[0] : half[1]);
        else
            st = vocab_merge(t, id[0], id[1], err);
    }
    str_release(&b[0]);
    str_release(&b[1]);
    return st;
}

static enum st read_root(struct tok **out, const struct js *root, struct err *err)
{
    const struct js *model = js_get(root, "model");
    if (js_kind(model) != JS_OBJECT)
        return err_set(err, ST_FORMAT, "no member 'model', want a Hugging Face tokenizer.json");
    enum splitter splitter = SPLIT_GPT2;
    enum st st = refuse_others(root, model, err);
    if (st == ST_OK)
        st = read_splitter(js_get(root, "pre_tokenizer"), &splitter, err);
    if (st < 0)
        return st;
    struct bytemap map;
    bytemap_init(&map);
    struct tok *t = vocab_new(splitter, js_get_bool(model, "ignore_merges", false),
                              is_type(js_get(root, "normalizer"), "NFC"));
    st = read_vocab(t, js_get(model, "vocab"), &map, err);
    if (st == ST_OK)
        st = read_added(t, js_get(root, "added_tokens"), err);
    if (st == ST_OK)
        st = vocab_index(t, err);
    if (st == ST_OK && t->lacks_bytes && !is_absent(js_get(model, "unk_token")))
        st = err_set(err, ST_UNSUPPORTED,
                     "model.unk_token with a vocabulary that lacks bytes; want null or all 256");
    if (st == ST_OK)
        st = read_merges(t, js_get(model, "merges"), &map, err);
    if (st == ST_OK) {
        vocab_finish(t);
        *out = t;
        t = NULL;
    }
    tok_free(t);
    return st;
}

enum st tok_load(struct tok **out, const char *path, struct err *err)
{
    struct strbuf text = { 0 };
    struct js *root = NULL;
    *out = NULL;
    enum st st = file_read(path, (size_t)TOK_MAX_FILE_MIB << 20, &text, err);
    if (st == ST_OK) {
        st = js_parse(&root, text.s ? text.s : "", text.n, err);
        str_release(&text);
        if (st == ST_OK)
            st = read_root(out, root, err);
        st = err_in(err, st, "'%s'", path);
    }
    str_release(&text);
    js_free(root);
    return st;
}

static struct js *parsed(const char *text)
{
    struct js *v;
    struct err err;
    enum st st = js_parse(&v, text, strlen(text), &err);
    return st == ST_OK ? v : NULL; /* constants of ours: a test saves with each of them */
}

static struct js *splitter_json(enum splitter s)
{
    static const char byte_level[] = "{\"type\":\"ByteLevel\",\"add_prefix_space\":false,"
                                     "\"trim_offsets\":true,\"use_regex\":true}";
    if (s == SPLIT_GPT2)
        return parsed(byte_level);
    struct js *v = js_object(), *list = js_array();
    js_put_text(v, "type", "Sequence");
    if (s == SPLIT_SMOLLM) {
        js_push(list, parsed("{\"type\":\"Digits\",\"individual_digits\":true}"));
        js_push(list, parsed(byte_level));
    } else {
        struct js *split = parsed("{\"type\":\"Split\",\"pattern\":{},\"behavior\":\"Isolated\","
                                  "\"invert\":false}");
        js_put_text(js_get(split, "pattern"), "Regex",
                    s == SPLIT_QWEN2 ? qwen2_pattern : llama3_pattern);
        js_push(list, split);
        js_push(list, parsed("{\"type\":\"ByteLevel\",\"add_prefix_space\":false,"
                             "\"trim_offsets\":true,\"use_regex\":false}"));
    }
    js_put(v, "pretokenizers", list);
    return v;
}

static struct js *added_json(const struct tok *t)
{
    struct js *list = js_array();
    struct strbuf s = { 0 };
    for (uint32_t id = 0; id < t->vocab_size; id++) {
        const struct token *k = &t->token[id];
        if (k->kind != TOKEN_ADDED && k->kind != TOKEN_SPECIAL)
            continue;
        str_clear(&s);
        str_add(&s, token_bytes(t, id), k->n_bytes);
        struct js *a = js_object();
        js_put_whole(a, "id", id);
        js_put_textn(a, "content", s.s, s.n);
        js_put_bool(a, "single_word", false);
        js_put_bool(a, "lstrip", false);
        js_put_bool(a, "rstrip", false);
        js_put_bool(a, "normalized", false);
        js_put_bool(a, "special", k->kind == TOKEN_SPECIAL);
        js_push(list, a);
    }
    str_release(&s);
    return list;
}

const char *token_symbols(const struct tok *t, const struct bytemap *map, uint32_t id,
                          struct strbuf *b)
{
    str_clear(b);
    if (t->token[id].kind == TOKEN_TEXT)
        bytemap_write(map, (const uint8_t *)token_bytes(t, id), t->token[id].n_bytes, b);
    else
        str_add(b, token_bytes(t, id), t->token[id].n_bytes);
    return b->s;
}

static struct js *model_json(const struct tok *t)
{
    struct bytemap map;
    struct strbuf a = { 0 }, b = { 0 };
    bytemap_init(&map);
    struct js *m = parsed("{\"type\":\"BPE\",\"dropout\":null,\"unk_token\":null,"
                          "\"continuing_subword_prefix\":null,\"end_of_word_suffix\":null,"
                          "\"fuse_unk\":false,\"byte_fallback\":false}");
    js_put_bool(m, "ignore_merges", t->ignore_merges);
    struct js *vocab = js_object(), *merges = js_array();
    for (uint32_t id = 0; id < t->vocab_size; id++)
        if (t->token[id].kind != TOKEN_ABSENT)
            js_put_whole(vocab, token_symbols(t, &map, id, &a), id);
    for (size_t i = 0; i < t->merges.n; i++) {
        token_symbols(t, &map, t->merges.merge[i].left, &a);
        str_addc(&a, ' ');
        str_adds(&a, token_symbols(t, &map, t->merges.merge[i].right, &b));
        js_push_text(merges, a.s);
    }
    js_put(m, "vocab", vocab);
    js_put(m, "merges", merges);
    str_release(&a);
    str_release(&b);
    return m;
}

enum st tok_save(const struct tok *t, const char *path, struct err *err)
{
    struct js *root = js_object();
    js_put_text(root, "version", "1.0");
    js_put_text(root, "truncation", NULL);
    js_put_text(root, "padding", NULL);
    js_put(root, "added_tokens", added_json(t));
    if (t->nfc)
        js_put(root, "normalizer", parsed("{\"type\":\"NFC\"}"));
    else
        js_put_text(root, "normalizer", NULL);
    js_put(root, "pre_tokenizer", splitter_json(t->splitter));
    js_put_text(root, "post_processor", NULL);
    js_put(root, "decoder",
           parsed("{\"type\":\"ByteLevel\",\"add_prefix_space\":true,\"trim_offsets\":true,"
                  "\"use_regex\":true}"));
    js_put(root, "model", model_json(t));
    enum st st = js_write_file(root, path, err);
    js_free(root);
    return st;
}
