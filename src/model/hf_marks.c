/* model/hf_marks.c - what a Hugging Face folder says about the beginning and end of texts. See
 * hf.h. */
#include "model/hf.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"

enum { MAX_TEMPLATE = 1 << 20 };

/* A token stands there as text, or as an object with its spelling as content. */
static char *token(const struct js *o, const char *key)
{
    const char *s = js_get_text(o, key, js_get_text(js_get(o, key), "content", NULL));
    return s ? xstrdup(s) : NULL;
}

/* One template, or a list of named ones. */
static char *template(const struct js *o)
{
    const struct js *v = js_get(o, "chat_template");
    const char *s = js_as_text(v, NULL);
    for (size_t i = 0; !s && js_kind(v) == JS_ARRAY && i < js_len(v); i++)
        if (strcmp(js_get_text(js_at(v, i), "name", ""), "default") == 0)
            s = js_get_text(js_at(v, i), "template", NULL);
    return s ? xstrdup(s) : NULL;
}

/* A file of the folder, where it is there: what was not known before. */
static enum st read_settings(struct hf_marks *m, const char *dir, const char *name, struct err *err)
{
    char *path = path_join(dir, name);
    struct js *o = NULL;
    enum st st = file_exists(path) ? js_read_file(&o, path, err) : ST_OK;
    if (st == ST_OK) {
        const struct js *adds = js_get(o, "add_bos_token");
        m->begin = m->begin ? m->begin : token(o, "bos_token");
        m->end = m->end ? m->end : token(o, "eos_token");
        m->chat = m->chat ? m->chat : template(o);
        if (js_kind(adds) == JS_BOOL)
            m->adds_begin = js_get_bool(o, "add_bos_token", false);
    }
    js_free(o);
    free(path);
    return st;
}

static enum st add_stop(struct hf_marks *m, const struct js *v, const char *path, struct err *err)
{
    int64_t id = js_as_whole(v, -1);
    if (id < 0 || id > INT32_MAX)
        return err_set(err, ST_FORMAT, "'%s': eos_token_id, want a token's id or a list of such",
                       path);
    if (m->n_stop_id == HF_MAX_STOPS)
        return err_set(err, ST_LIMIT, "'%s': more than %d tokens as eos_token_id", path,
                       HF_MAX_STOPS);
    m->stop_id[m->n_stop_id++] = (uint32_t)id;
    return ST_OK;
}

/* eos_token_id: one id, a list, or null. */
static enum st read_stops(struct hf_marks *m, const char *dir, const char *name, struct err *err)
{
    char *path = path_join(dir, name);
    struct js *o = NULL;
    enum st st = file_exists(path) ? js_read_file(&o, path, err) : ST_OK;
    const struct js *v = js_get(o, "eos_token_id");
    if (st == ST_OK && js_kind(v) == JS_ARRAY)
        for (size_t i = 0; i < js_len(v) && st == ST_OK; i++)
            st = add_stop(m, js_at(v, i), path, err);
    else if (st == ST_OK && js_kind(v) != JS_NONE && js_kind(v) != JS_NULL)
        st = add_stop(m, v, path, err);
    js_free(o);
    free(path);
    return st;
}

enum st hf_marks_read(struct hf_marks *m, const char *dir, struct err *err)
{
    char *chat = path_join(dir, "chat_template.jinja");
    struct strbuf text = { 0 };
    *m = (struct hf_marks){ .adds_begin = -1 };
    enum st st = ST_OK;
    if (file_exists(chat)) /* it counts, not what tokenizer_config.json says */
        st = file_read(chat, MAX_TEMPLATE, &text, err);
    if (text.n)
        m->chat = str_detach(&text);
    if (st == ST_OK)
        st = read_settings(m, dir, "tokenizer_config.json", err);
    if (st == ST_OK) /* older folders have some tokens here only */
        st = read_settings(m, dir, "special_tokens_map.json", err);
    if (st == ST_OK)
        st = read_stops(m, dir, "generation_config.json", err);
    if (st == ST_OK && m->n_stop_id == 0)
        st = read_stops(m, dir, "config.json", err);
    str_release(&text);
    free(chat);
    if (st < 0)
        hf_marks_release(m);
    return st;
}

void hf_marks_release(struct hf_marks *m)
{
    free(m->begin);
    free(m->end);
    free(m->chat);
    *m = (struct hf_marks){ 0 };
}

/* The first piece of a template's single sequence, when that is a token. */
static const char *first_of(const struct js *processor)
{
    const struct js *list = js_get(processor, "processors");
    if (strcmp(js_get_text(processor, "type", ""), "TemplateProcessing") == 0)
        return js_get_text(js_get(js_at(js_get(processor, "single"), 0), "SpecialToken"), "id",
                           NULL);
    for (size_t i = 0; js_kind(list) == JS_ARRAY && i < js_len(list); i++)
        if (first_of(js_at(list, i)))
            return first_of(js_at(list, i));
    return NULL;
}

enum st hf_first_token(char **out, const char *tokenizer, struct err *err)
{
    struct js *o = NULL;
    *out = NULL;
    enum st st = js_read_file(&o, tokenizer, err);
    const char *first = first_of(js_get(o, "post_processor"));
    if (st == ST_OK && first)
        *out = xstrdup(first);
    js_free(o);
    return st;
}
