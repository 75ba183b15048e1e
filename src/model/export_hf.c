/* model/export_hf.c - Hugging Face folders. See export.h. */
#include "model/export.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "model/params.h"
#include "tok/tok.h"

enum { MAX_TOKENIZER_FILE = 512 << 20 };

static enum st write_weights(const struct export_conf *c, const char *path, struct err *err)
{
    struct outfile f = { 0 };
    struct strbuf header = { 0 };
    struct params p;
    params_build(&p, &c->w->conf);
    safetensors_header(&header, &p, gguf_type_name(c->type), c->type == GGUF_F32 ? 4 : 2);
    enum st st = outfile_open(&f, path, err);
    if (st == ST_OK)
        st = outfile_write(&f, header.s, header.n, err);
    for (size_t i = 0; i < p.n_row && st == ST_OK; i++) {
        const struct weight *w = weights_param(c->w, &p, i);
        size_t n_bytes = export_row_bytes(c->type, w->n_col);
        float *row = xmalloc((size_t)w->n_col * sizeof *row);
        void *out = xmalloc(n_bytes);
        for (int r = 0; r < w->n_row && st == ST_OK; r++)
            if ((st = export_row(out, row, w, r, c->type, p.row[i].name, err)) == ST_OK)
                st = outfile_write(&f, out, n_bytes, err);
        free(row);
        free(out);
    }
    if (st == ST_OK)
        st = outfile_commit(&f, err);
    outfile_abort(&f);
    str_release(&header);
    params_release(&p);
    return st;
}

static enum st copy(const char *from, const char *to, struct err *err)
{
    struct strbuf text = { 0 };
    enum st st = file_read(from, MAX_TOKENIZER_FILE, &text, err);
    if (st == ST_OK)
        st = file_write(to, text.s, text.n, err);
    str_release(&text);
    return st;
}

/* What a folder has beside weights and configuration, as it is. */
static enum st copy_companions(const char *from, const char *out, struct err *err)
{
    static const char *const name[] = { "tokenizer.json",
                                        "tokenizer_config.json",
                                        "special_tokens_map.json",
                                        "added_tokens.json",
                                        "chat_template.jinja",
                                        "generation_config.json",
                                        "tokenizer.model",
                                        "vocab.json",
                                        "merges.txt" };
    enum st st = ST_OK;
    for (size_t i = 0; i < N_OF(name) && st == ST_OK; i++) {
        char *src = path_join(from, name[i]), *dst = path_join(out, name[i]);
        if (file_exists(src))
            st = copy(src, dst, err);
        free(src);
        free(dst);
    }
    return st;
}

/* The spelling of a special token that a GGUF file names by its id; NULL when it names none. */
static char *special(const struct gguf *g, const char *key)
{
    size_t n = 0;
    uint64_t id = gguf_whole(g, key, UINT64_MAX);
    const char *s = gguf_array_text(g, "tokenizer.ggml.tokens", (size_t)id, &n);
    return s ? xstrndup(s, n) : NULL;
}

/* llama.cpp puts a first token before a text when the file says so, and of itself for Llama 3's. */
static bool adds_first(const struct gguf *g)
{
    const char *pre = gguf_text(g, "tokenizer.ggml.pre", "");
    bool llama3 = strcmp(pre, "llama-bpe") == 0 || strcmp(pre, "llama3") == 0;
    return gguf_whole(g, "tokenizer.ggml.add_bos_token", llama3) != 0;
}

static struct js *piece(const char *kind, const char *id, int type)
{
    struct js *inner = js_object(), *o = js_object();
    js_put_text(inner, "id", id);
    js_put_whole(inner, "type_id", type);
    js_put(o, kind, inner);
    return o;
}

/* tokenizer.json's way to begin every text with a token. */
static struct js *first_token_json(const char *token, int64_t id)
{
    struct js *o = js_object(), *single = js_array(), *pair = js_array(), *all = js_object(),
              *one = js_object(), *ids = js_array(), *spelt = js_array();
    js_push(single, piece("SpecialToken", token, 0));
    js_push(single, piece("Sequence", "A", 0));
    js_push(pair, piece("SpecialToken", token, 0));
    js_push(pair, piece("Sequence", "A", 0));
    js_push(pair, piece("SpecialToken", token, 1));
    js_push(pair, piece("Sequence", "B", 1));
    js_put_text(one, "id", token);
    js_push_whole(ids, id);
    js_put(one, "ids", ids);
    js_push_text(spelt, token);
    js_put(one, "tokens", spelt);
    js_put(all, token, one);
    js_put_text(o, "type", "TemplateProcessing");
    js_put(o, "single", single);
    js_put(o, "pair", pair);
    js_put(o, "special_tokens", all);
    return o;
}

static enum st put_first_token(const char *file, const char *token, int64_t id, struct err *err)
{
    struct js *o;
    enum st st = js_read_file(&o, file, err);
    if (st < 0)
        return st;
    js_put(o, "post_processor", first_token_json(token, id));
    st = js_write_file(o, file, err);
    js_free(o);
    return st;
}

static enum st tokenizer_of_gguf(const struct gguf *g, const char *out, struct err *err)
{
    struct tok *t;
    struct err why = { "" };
    if (tok_from_gguf(&t, g, &why) < 0) { /* the weights are of use without it */
        log_warn("the folder gets no tokenizer: %s", why.msg);
        return ST_OK;
    }
    char *file = path_join(out, "tokenizer.json"), *conf = path_join(out, "tokenizer_config.json");
    char *bos = special(g, "tokenizer.ggml.bos_token_id"),
         *eos = special(g, "tokenizer.ggml.eos_token_id");
    const char *chat = gguf_text(g, "tokenizer.chat_template", NULL);
    struct js *o = js_object();
    js_put_text(o, "tokenizer_class", "PreTrainedTokenizerFast");
    if (bos)
        js_put_textn(o, "bos_token", bos, strlen(bos));
    if (eos)
        js_put_textn(o, "eos_token", eos, strlen(eos));
    if (chat)
        js_put_textn(o, "chat_template", chat, strlen(chat));
    bool adds = bos && tok_id(t, bos) >= 0 && adds_first(g);
    js_put_bool(o, "add_bos_token", adds);
    enum st st = tok_save(t, file, err);
    if (st == ST_OK && adds)
        st = put_first_token(file, bos, tok_id(t, bos), err);
    if (st == ST_OK)
        st = js_write_file(o, conf, err);
    js_free(o);
    tok_free(t);
    free(bos);
    free(eos);
    free(file);
    free(conf);
    return st;
}

static enum st write_tokenizer(const struct export_conf *c, const char *out, struct err *err)
{
    if (c->tokenizer && strcmp(c->tokenizer, "none") == 0)
        return ST_OK;
    if (c->tokenizer) {
        char *to = path_join(out, "tokenizer.json");
        enum st st = copy(c->tokenizer, to, err);
        free(to);
        return st;
    }
    return c->w->gguf ? tokenizer_of_gguf(c->w->gguf, out, err)
                      : copy_companions(c->from, out, err);
}

static void put_id(struct js *o, const char *key, uint64_t id)
{
    if (id <= INT32_MAX)
        js_put_whole(o, key, (int64_t)id);
    else
        js_put_text(o, key, NULL);
}

/* One id, or a list where the file names more ends of generation. */
static void put_ends(struct js *o, const struct gguf *g)
{
    static const char *const key[] = { "tokenizer.ggml.eos_token_id", "tokenizer.ggml.eot_token_id",
                                       "tokenizer.ggml.eom_token_id" };
    struct js *list = js_array();
    uint64_t eos = gguf_whole(g, key[0], UINT64_MAX);
    for (size_t i = 0; i < N_OF(key); i++) {
        uint64_t id = gguf_whole(g, key[i], UINT64_MAX);
        if (id <= INT32_MAX && (i == 0 || id != eos))
            js_push_whole(list, (int64_t)id);
    }
    if (js_len(list) > 1) {
        js_put(o, "eos_token_id", list);
        return;
    }
    put_id(o, "eos_token_id", (uint64_t)js_as_whole(js_at(list, 0), -1));
    js_free(list);
}

/* Which ids begin and end a text: transformers would assume 1 and 2. */
static enum st put_marks(struct js *o, const struct export_conf *c, struct err *err)
{
    static const char *const key[] = { "bos_token_id", "eos_token_id" };
    if (c->w->gguf) {
        put_id(o, key[0], gguf_whole(c->w->gguf, "tokenizer.ggml.bos_token_id", UINT64_MAX));
        put_ends(o, c->w->gguf);
        return ST_OK;
    }
    struct js *was = NULL;
    char *path = path_join(c->from, "config.json");
    enum st st = js_read_file(&was, path, err);
    for (size_t i = 0; i < N_OF(key) && st == ST_OK; i++)
        if (js_get(was, key[i]))
            js_put(o, key[i], js_copy(js_get(was, key[i])));
    js_free(was);
    free(path);
    return st;
}

static const char *torch_name(enum gguf_type type)
{
    return type == GGUF_F16 ? "float16" : type == GGUF_BF16 ? "bfloat16" : "float32";
}

enum st export_hf(const struct export_conf *c, const char *out, struct err *err)
{
    char *config = path_join(out, "config.json"), *weights = path_join(out, "model.safetensors");
    struct js *o = model_conf_json(&c->w->conf);
    enum st st = ST_OK;
    js_put_text(o, "torch_dtype", torch_name(c->type));
    if (file_exists(config))
        st = err_set(err, ST_USAGE, "'%s' holds a model already", out);
    if (st == ST_OK)
        st = dir_make(out, err);
    if (st == ST_OK)
        st = write_weights(c, weights, err);
    if (st == ST_OK)
        st = write_tokenizer(c, out, err);
    if (st == ST_OK)
        st = put_marks(o, c, err);
    if (st == ST_OK) /* last: a folder without it is not a model yet */
        st = js_write_file(o, config, err);
    js_free(o);
    free(config);
    free(weights);
    return st;
}
