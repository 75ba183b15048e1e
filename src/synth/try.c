/* synth/try.c - `synth try`: a recipe on a few pages, everything shown, nothing written. */
#include <string.h>

#include "base/log.h"
#include "synth/item.h"
#include "synth/ledger.h"
#include "synth/synth.h"
#include "synth/verdict.h"

struct trial {
    const struct synth_conf *conf;
    struct pages *pages;
    struct generator *generator; /* NULL: prompts only */
    struct digest model;
    struct arena arena; /* one item */
    void (*show)(void *arg, struct js *row);
    void *arg;
};

static void warn_of_mark(const struct item *it)
{
    const char *at;
    size_t n = text_chat_mark(it->source, &at);
    if (n)
        log_warn("document '%s' holds the chat mark '%.*s': our engine takes it for plain text, a "
                 "server is sent it with a space inside",
                 it->doc->id, (int)n, at);
}

static struct js *prompt_json(const struct item *it)
{
    char hex[DIGEST_HEX];
    struct js *v = js_object();
    js_put_text(v, "system", it->system);
    js_put_text(v, it->raw ? "raw" : "user", it->user);
    js_put_text(v, "prefill", it->prefill);
    js_put_text(v, "digest", digest_hex(it->prompt, hex)); /* names it in record:FILE */
    return v;
}

static struct js *sampling_json(const struct sampling *s)
{
    struct js *v = js_object(), *stop = js_array();
    js_put_real(v, "temperature", s->temperature);
    js_put_real(v, "top_p", s->top_p);
    js_put_whole(v, "top_k", s->top_k);
    js_put_real(v, "min_p", s->min_p);
    js_put_real(v, "repetition_penalty", s->repetition_penalty);
    if (s->contrast_lambda > 0) {
        js_put_real(v, "contrast_lambda", s->contrast_lambda);
        js_put_real(v, "contrast_alpha", s->contrast_alpha);
    }
    js_put_whole(v, "max_tok", s->max_tok);
    for (int i = 0; i < s->n_stop; i++)
        js_push_text(stop, s->stop[i]);
    js_put(v, "stop", stop);
    return v;
}

/* The answer to the one request that is out, as settle.c would judge it. */
static enum st judge(struct trial *t, const struct item *it, struct js *row, struct err *err)
{
    struct generation g;
    enum st st = generator_next(t->generator, &g, err);
    if (st != ST_OK)
        return st == ST_END ? err_set(err, ST_NET, "the generator gave no answer") : st;
    if (g.failed) {
        js_put_text(row, "verdict", verdict_name(V_FAILED));
        js_put_text(row, "why", g.why);
        return ST_OK;
    }
    struct answer a = item_answer(it, g.finish, g.text ? g.text : "", g.n_bytes);
    answer_read(&a, t->conf->recipe, &t->arena);
    answer_judge(&a, t->conf->recipe, NULL, &t->arena);
    js_put_textn(row, "raw", a.raw, utf8_valid(a.raw, a.n_raw));
    js_put_text(row, "finish", finish_name(g.finish));
    js_put_whole(row, "tokens_prompt", g.n_tok_prompt);
    js_put_whole(row, "tokens_out", g.n_tok);
    if (recipe_edits(t->conf->recipe)) {
        js_put_whole(row, "tokens_redrawn", g.n_redrawn);
        js_put_whole(row, "tokens_changed", g.n_changed);
    }
    js_put_real(row, "wall_s", g.wall_s);
    js_put_textn(row, "document", a.text.s, a.text.n);
    js_put_text(row, "verdict", verdict_name(a.verdict));
    js_put(row, "measures", answer_json(&a));
    answer_release(&a);
    return ST_OK;
}

static enum st ask(struct trial *t, const struct item *it, struct js *row, struct err *err)
{
    js_put_text(row, "variant", t->conf->recipe->prompt[it->variant].name);
    js_put(row, "prompt", prompt_json(it));
    js_put(row, "sampling", sampling_json(&it->sampling));
    js_put_text(row, "raw", NULL);
    js_put_text(row, "document", NULL);
    js_put_text(row, "verdict", NULL);
    if (!t->generator)
        return ST_OK;
    const struct gen_request q = item_request(it, 0);
    generator_submit(t->generator, &q);
    return judge(t, it, row, err);
}

static enum st try_item(struct trial *t, const struct page *page, size_t i, struct err *err)
{
    const struct synth_conf *c = t->conf;
    struct item it;
    item_make(&it, c->recipe, page, i, pages_keywords(t->pages), t->model, c->seed, &t->arena);
    warn_of_mark(&it);
    struct js *row = js_object();
    js_put_text(row, "doc", it.doc->id);
    js_put_whole(row, "piece", it.piece);
    js_put_text(row, "source", it.source);
    if (it.keywords[0])
        js_put_text(row, "keywords", it.keywords);
    enum st st = ST_OK;
    if (it.variant >= 0)
        st = ask(t, &it, row, err);
    else
        js_put_text(row, "document", item_transform(&it, c->recipe, c->seed, &t->arena));
    if (st == ST_OK)
        t->show(t->arg, row);
    else
        js_free(row);
    return st;
}

static enum st try_pages(struct trial *t, struct err *err)
{
    struct page page;
    enum st st;
    while ((st = pages_next(t->pages, &page, err)) == ST_OK) {
        size_t n = item_n(t->conf->recipe, &page);
        for (size_t i = 0; i < n && st == ST_OK; i++) {
            struct arena_mark mark = arena_mark(&t->arena);
            st = try_item(t, &page, i, err);
            arena_rewind(&t->arena, mark);
        }
        if (st < 0)
            break;
    }
    return st == ST_END ? ST_OK : st;
}

enum st synth_try(const struct synth_conf *conf, const char *doc,
                  void (*show)(void *arg, struct js *row), void *arg, struct err *err)
{
    struct trial t = { .conf = conf, .show = show, .arg = arg };
    const struct pages_conf pc = { .path = conf->input,
                                   .n_path = conf->n_input,
                                   .input = &conf->recipe->input,
                                   .seed = conf->seed,
                                   .max_docs = conf->max_docs,
                                   .strict = conf->strict,
                                   .keywords = recipe_needs_keywords(conf->recipe),
                                   .only = doc };
    if (conf->generator && str_starts(conf->generator, "batch:"))
        return err_set(err, ST_USAGE, "batch files answer another day: there is nothing to try");
    enum st st = pages_open(&t.pages, &pc, err);
    if (st == ST_OK && conf->generator && recipe_needs_generator(conf->recipe)) {
        st = generator_open_for(&t.generator, conf->recipe, conf->generator, &conf->gen, err);
        if (st == ST_OK)
            t.model = generator_digest(t.generator);
    }
    if (st == ST_OK)
        st = try_pages(&t, err);
    generator_close(t.generator);
    pages_close(t.pages);
    arena_release(&t.arena);
    return st;
}
