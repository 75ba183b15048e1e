/*
 * tok/tok_gguf.c - the vocabulary inside a GGUF file.
 *
 * Model "gpt2" (byte-level BPE) with a pre-tokenizer of split.h. Tokens of type control and unknown
 * are special, user-defined ones are matched in any text; unused ones are never produced.
 *
 * llama.cpp never brings text to NFC, whatever the tokenizer.json asked for; neither do we for a
 * file that does not say so. Files written here say it under a key of ours, which llama.cpp passes
 * over, so that the way from tokenizer.json to GGUF and back loses nothing. Source: the GGUF
 * specification; the pre-tokenizers' names are llama.cpp's.
 */
#include "tok/vocab.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/gguf.h"
#include "base/gguf_write.h"
#include "tok/bytemap.h"

enum { TYPE_NORMAL = 1, TYPE_UNKNOWN = 2, TYPE_CONTROL = 3, TYPE_USER = 4, TYPE_UNUSED = 5 };

static const char nfc_key[] = "tokenizer.ggml.normalizer.nfc";

/* llama.cpp's names of pre-tokenizers; the first of a splitter is the one written. */
static const struct {
    const char *name;
    enum splitter splitter;
    bool ignore_merges;
} splitters[] = {
    { "smollm", SPLIT_SMOLLM, false },   { "gpt-2", SPLIT_GPT2, false },
    { "llama-bpe", SPLIT_LLAMA3, true }, { "llama3", SPLIT_LLAMA3, true },
    { "qwen2", SPLIT_QWEN2, false },     { "deepseek-r1-qwen", SPLIT_QWEN2, false },
};

static enum st find_splitter(const struct gguf *g, enum splitter *splitter, bool *ignore_merges,
                             struct err *err)
{
    const char *model = gguf_text(g, "tokenizer.ggml.model", "");
    if (strcmp(model, "gpt2") != 0)
        return err_set(err, ST_UNSUPPORTED, "tokenizer.ggml.model '%.60s', want gpt2", model);
    const char *pre = gguf_text(g, "tokenizer.ggml.pre", "");
    for (size_t i = 0; i < N_OF(splitters); i++)
        if (strcmp(splitters[i].name, pre) == 0) {
            *splitter = splitters[i].splitter;
            *ignore_merges = splitters[i].ignore_merges;
            return ST_OK;
        }
    return err_set(err, ST_UNSUPPORTED,
                   "tokenizer.ggml.pre '%.60s', want smollm, gpt-2, llama-bpe or qwen2", pre);
}

static enum st read_tokens(struct tok *t, const struct gguf *g, const struct bytemap *map,
                           struct err *err)
{
    const char *types = "tokenizer.ggml.token_type", *tokens = "tokenizer.ggml.tokens";
    size_t n_token = gguf_array_len(g, tokens), n_type = gguf_array_len(g, types);
    if (n_token == 0)
        return err_set(err, ST_FORMAT, "no tokenizer.ggml.tokens, want an array of texts");
    if (n_type != 0 && n_type != n_token)
        return err_set(err, ST_FORMAT, "%zu token types for %zu tokens", n_type, n_token);
    struct strbuf bytes = { 0 };
    enum st st = ST_OK;
    for (size_t i = 0; i < n_token && st == ST_OK; i++) {
        size_t n = 0;
        const char *s = gguf_array_text(g, tokens, i, &n);
        int64_t type = gguf_array_whole(g, types, i, TYPE_NORMAL);
        str_clear(&bytes);
        if (!s)
            st = err_set(err, ST_FORMAT, "token %zu is not a text", i);
        else if (type == TYPE_CONTROL || type == TYPE_UNKNOWN || type == TYPE_USER)
            st = n ? vocab_add_whole(t, i, type == TYPE_USER ? TOKEN_ADDED : TOKEN_SPECIAL, s, n,
                                     err)
                   : err_set(err, ST_FORMAT, "token %zu is empty", i);
        else if (type == TYPE_UNUSED || !bytemap_read(map, s, n, &bytes))
            st = vocab_add(t, i, TOKEN_UNUSED, s, n, err);
        else
            st = vocab_add(t, i, TOKEN_TEXT, bytes.s, bytes.n, err);
    }
    str_release(&bytes);
    return st;
}

static enum st read_merges(struct tok *t, const struct gguf *g, const struct bytemap *map,
                           struct err *err)
{
    const char *key = "tokenizer.ggml.merges";
    struct strbuf left = { 0 }, right = { 0 };
    enum st st = ST_OK;
    for (size_t i = 0; i < gguf_array_len(g, key) && st == ST_OK; i++) {
        size_t n = 0;
        const char *s = gguf_array_text(g, key, i, &n);
        const char *space = s && n > 1 ? memchr(s + 1, ' ', n - 1) : NULL;
        uint32_t a = NO_TOKEN, b = NO_TOKEN;
        str_clear(&left);
        str_clear(&right);
        if (space && bytemap_read(map, s, (size_t)(space - s), &left) &&
            bytemap_read(map, space + 1, n - (size_t)(space - s) - 1, &right) && right.n) {
            a = vocab_find(t, left.s, left.n);
            b = vocab_find(t, right.s, right.n);
        }
        if (a == NO_TOKEN || b == NO_TOKEN)
            st = err_set(err, ST_FORMAT, "merge %zu: want two tokens and a space between", i);
        else
            st = vocab_merge(t, a, b, err);
    }
    str_release(&left);
    str_release(&right);
    return st;
}

enum st tok_from_gguf(struct tok **out, const struct gguf *g, struct err *err)
{
    enum splitter splitter = SPLIT_GPT2;
    bool ignore_merges = false;
    struct bytemap map;
    struct tok *t = NULL;
    *out = NULL;
    bytemap_init(&map);
    enum st st = find_splitter(g, &splitter, &ignore_merges, err);
    if (st == ST_OK) {
        t = vocab_new(splitter, ignore_merges, gguf_whole(g, nfc_key, 0) != 0);
        st = read_tokens(t, g, &map, err);
    }
    if (st == ST_OK)
        st = vocab_index(t, err);
    if (st == ST_OK)
        st = read_merges(t, g, &map, err);
    if (st == ST_OK) {
        vocab_finish(t);
        *out = t;
        t = NULL;
    }
    tok_free(t);
    return err_in(err, st, "vocabulary of '%s'", gguf_path(g));
}

static void put_tokens(const struct tok *t, const struct bytemap *map, struct gguf_writer *w,
                       uint32_t n)
{
    struct strbuf b = { 0 };
    gguf_put_array(w, "tokenizer.ggml.tokens", GGUF_ITEM_TEXT, n);
    for (uint32_t id = 0; id < n; id++) {
        str_clear(&b);
        if (id >= t->vocab_size || t->token[id].kind == TOKEN_ABSENT)
            str_printf(&b, "[PAD%u]", id);
        else
            token_symbols(t, map, id, &b);
        gguf_add_text(w, b.s, b.n);
    }
    gguf_put_array(w, "tokenizer.ggml.token_type", GGUF_ITEM_I32, n);
    for (uint32_t id = 0; id < n; id++) {
        uint8_t kind = id < t->vocab_size ? t->token[id].kind : TOKEN_ABSENT;
        gguf_add_i32(w, kind == TOKEN_TEXT      ? TYPE_NORMAL
                        : kind == TOKEN_SPECIAL ? TYPE_CONTROL
                        : kind == TOKEN_ADDED   ? TYPE_USER
                                                : TYPE_UNUSED);
    }
    str_release(&b);
}

enum st tok_to_gguf(const struct tok *t, struct gguf_writer *w, int n_vocab, struct err *err)
{
    struct bytemap map;
    struct strbuf a = { 0 }, b = { 0 };
    size_t i = 0;
    while (i < N_OF(splitters) &&
           (splitters[i].splitter != t->splitter || splitters[i].ignore_merges != t->ignore_merges))
        i++;
    if (i == N_OF(splitters))
        return err_set(err, ST_UNSUPPORTED,
                       "llama.cpp has no pre-tokenizer that splits words like this tokenizer and "
                       "has ignore_merges %s",
                       t->ignore_merges ? "true" : "false");
    bytemap_init(&map);
    gguf_put_text(w, "tokenizer.ggml.model", "gpt2");
    gguf_put_text(w, "tokenizer.ggml.pre", splitters[i].name);
    if (t->nfc)
        gguf_put_bool(w, nfc_key, true);
    put_tokens(t, &map, w, (uint32_t)n_vocab);
    gguf_put_array(w, "tokenizer.ggml.merges", GGUF_ITEM_TEXT, t->merges.n);
    for (i = 0; i < t->merges.n; i++) {
        token_symbols(t, &map, t->merges.merge[i].left, &a);
        str_addc(&a, ' ');
        str_adds(&a, token_symbols(t, &map, t->merges.merge[i].right, &b));
        gguf_add_text(w, a.s, a.n);
    }
    str_release(&a);
    str_release(&b);
    return ST_OK;
}

static bool begins_as_gguf(const char *path)
{
    char magic[4] = { 0 };
    FILE *f = fopen(path, "rb");
    bool yes = f && fread(magic, sizeof magic, 1, f) == 1 && memcmp(magic, "GGUF", 4) == 0;
    if (f)
        fclose(f);
    return yes;
}

enum st tok_open(struct tok **out, const char *path, struct err *err)
{
    *out = NULL;
    if (file_is_dir(path)) {
        char *file = path_join(path, "tokenizer.json");
        enum st st = tok_load(out, file, err);
        free(file);
        return st;
    }
    if (!begins_as_gguf(path))
        return tok_load(out, path, err);
    struct gguf *g = NULL;
    enum st st = gguf_open(&g, path, err);
    if (st == ST_OK)
        st = tok_from_gguf(out, g, err);
    gguf_close(g);
    return st;
}
