/* synth/wire.c - see wire.h. */
#include "synth/wire.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "synth/text.h"

const char *wire_path(const struct gen_request *r)
{
    return r->raw ? "/completions" : "/chat/completions";
}

/* Servers read what they are sent with the marks of their template in it: a page that holds one
 * would end its turn there and give orders. With a space behind its first character it is none. */
static void put_harmless(struct js *v, const char *key, const char *text)
{
    struct strbuf b = { 0 };
    const char *mark;
    while (text_chat_mark(text, &mark)) {
        str_add(&b, text, (size_t)(mark + 1 - text));
        str_addc(&b, ' ');
        text = mark + 1;
    }
    str_adds(&b, text);
    js_put_textn(v, key, b.s, b.n);
    str_release(&b);
}

static void put_message(struct js *list, const char *role, const char *text)
{
    struct js *m = js_object();
    js_put_text(m, "role", role);
    put_harmless(m, "content", text);
    js_push(list, m);
}

static void put_chat(struct js *v, const struct gen_request *r)
{
    struct js *messages = js_array();
    if (r->system)
        put_message(messages, "system", r->system);
    put_message(messages, "user", r->user);
    if (r->prefill)
        put_message(messages, "assistant", r->prefill);
    js_put(v, "messages", messages);
}

static void put_plain(struct js *v, const struct gen_request *r)
{
    char *text = xasprintf("%s%s", r->raw, r->prefill ? r->prefill : "");
    put_harmless(v, "prompt", text);
    free(text);
}

/* What is not OpenAI's. */
static void put_extra(struct js *v, const struct gen_request *r)
{
    const struct sampling *p = &r->sampling;
    js_put_whole(v, "top_k", p->top_k > 0 ? p->top_k : -1); /* vLLM: -1 is off; llama.cpp: <= 0 */
    js_put_real(v, "min_p", p->min_p);
    js_put_real(v, "repetition_penalty", p->repetition_penalty);
    js_put_real(v, "repeat_penalty", p->repetition_penalty); /* llama-server's name for it */
    js_put_whole(v, "repeat_last_n", p->max_tok); /* the whole answer, and here the prompt's end */
    if (r->raw)
        return;
    struct js *template = js_object();
    js_put_bool(template, "enable_thinking", false);
    js_put(v, "chat_template_kwargs", template);
    if (r->prefill) { /* vLLM: go on with our beginning instead of a new turn */
        js_put_bool(v, "continue_final_message", true);
        js_put_bool(v, "add_generation_prompt", false);
    }
}

struct js *wire_body(const struct gen_request *r, const char *model, enum wire_fields fields)
{
    const struct sampling *p = &r->sampling;
    bool new_name = fields == WIRE_OPENAI_NEW && !r->raw;
    struct js *v = js_object();
    js_put_text(v, "model", model);
    if (r->raw)
        put_plain(v, r);
    else
        put_chat(v, r);
    js_put_whole(v, new_name ? "max_completion_tokens" : "max_tokens", p->max_tok);
    js_put_real(v, "temperature", p->temperature);
    js_put_real(v, "top_p", p->top_p);
    js_put_whole(v, "seed", (int64_t)p->seed);
    js_put_whole(v, "n", 1);
    js_put_bool(v, "stream", false);
    if (p->n_stop) {
        struct js *stop = js_array();
        for (int i = 0; i < p->n_stop; i++)
            js_push_text(stop, p->stop[i]);
        js_put(v, "stop", stop);
    }
    if (fields == WIRE_ALL)
        put_extra(v, r);
    return v;
}

enum wire_fields wire_fewer(enum wire_fields fields, const char *error)
{
    static const char *const extra[] = { "top_k",
                                         "min_p",
                                         "repetition_penalty",
                                         "repeat_penalty",
                                         "repeat_last_n",
                                         "chat_template_kwargs",
                                         "continue_final_message",
                                         "add_generation_prompt" };
    for (size_t i = 0; i < N_OF(extra); i++)
        if (fields == WIRE_ALL && strstr(error, extra[i]))
            return WIRE_OPENAI;
    if (fields == WIRE_OPENAI && strstr(error, "max_completion_tokens"))
        return WIRE_OPENAI_NEW;
    return WIRE_N;
}

bool wire_loses(const struct sampling *s)
{
    return s->top_k > 0 || s->min_p > 0 || s->repetition_penalty != 1;
}

/* What a server says of its tokens; 0 when that is no number of tokens. */
static uint32_t token_count(const struct js *usage, const char *key)
{
    double n = js_get_real(usage, key, 0);
    return n > 0 && n < 1e9 ? (uint32_t)n : 0;
}

/* The choice that says it is the first, or says nothing of it; we ask for one, some give more. */
static const struct js *first_choice(const struct js *reply)
{
    const struct js *list = js_get(reply, "choices");
    for (size_t i = 0; i < js_len(list); i++)
        if (js_get_whole(js_at(list, i), "index", 0) == 0)
            return js_at(list, i);
    return js_at(list, 0);
}

enum wire_read wire_read(const struct js *reply, const struct gen_request *r, struct strbuf *text,
                         struct generation *out, char *why, size_t cap)
{
    const struct js *choice = first_choice(reply), *message = js_get(choice, "message");
    const struct js *from = r->raw ? choice : message, *usage = js_get(reply, "usage");
    const char *where = r->raw ? "text" : "message.content";
    const struct js *content = js_get(from, r->raw ? "text" : "content");
    const char *finish = js_get_text(choice, "finish_reason", "");
    size_t n = 0, n_prefill = r->prefill ? strlen(r->prefill) : 0;
    const char *said = js_as_text(content, &n);
    if (js_kind(from) != JS_OBJECT) {
        const struct js *e = js_get(reply, "error"); /* some proxies say 200 to everything */
        const char *error = js_get_text(e, "message", js_as_text(e, NULL));
        snprintf(why, cap, "the answer has no choices[0]%s%s%.200s", r->raw ? "" : ".message",
                 error ? ": " : "", error ? error : "");
        return WIRE_BAD;
    }
    if (!said && content && js_kind(content) != JS_NULL) {
        snprintf(why, cap, "choices[0].%s is no text", where);
        return WIRE_BAD;
    }
    str_clear(text); /* a chat server may or may not say the prefill again, a completion never */
    if (r->prefill && (r->raw || n < n_prefill || memcmp(said, r->prefill, n_prefill) != 0))
        str_adds(text, r->prefill);
    str_add(text, said ? said : "", n);
    out->text = text->s;
    out->n_bytes = text->n;
    out->finish = strcmp(finish, "length") == 0           ? FINISH_LENGTH
                  : strcmp(finish, "content_filter") == 0 ? FINISH_FILTERED
                                                          : FINISH_STOP;
    out->n_tok_prompt = token_count(usage, "prompt_tokens");
    out->n_tok = token_count(usage, "completion_tokens");
    if (!out->n_tok)
        out->n_tok = (uint32_t)((n + 2) / 3); /* says nothing: 3 bytes a token */
    return n == 0 && out->finish == FINISH_STOP ? WIRE_EMPTY : WIRE_OK;
}

/* Servers in Python write NaN and Infinity where JSON has no word for them, beside
 * log-probabilities for one: null for each of them outside texts. False when there is none. */
static bool without_nan(struct strbuf *out, const char *s, size_t n)
{
    static const char *const word[] = { "-Infinity", "Infinity", "NaN" };
    bool found = false, in_text = false;
    str_clear(out);
    for (size_t i = 0; i < n; i++) {
        size_t len = 0;
        for (size_t k = 0; k < N_OF(word) && !in_text && !len; k++)
            len = strncmp(s + i, word[k], strlen(word[k])) == 0 ? strlen(word[k]) : 0;
        if (len) {
            str_adds(out, "null");
            i += len - 1;
            found = true;
            continue;
        }
        if (in_text && s[i] == '\\' && i + 1 < n)
            str_addc(out, s[i++]);
        else if (s[i] == '"')
            in_text = !in_text;
        str_addc(out, s[i]);
    }
    return found;
}

enum wire_read wire_parse(const char *reply, size_t n_bytes, const struct gen_request *r,
                          struct strbuf *text, struct strbuf *scratch, struct generation *out,
                          char *why, size_t cap)
{
    struct js *v = NULL;
    struct err bad, worse;
    if (js_parse(&v, reply, n_bytes, &bad) < 0 &&
        (!without_nan(scratch, reply, n_bytes) ||
         js_parse(&v, scratch->s, scratch->n, &worse) < 0)) {
        snprintf(why, cap, "the answer is no JSON: %s", bad.msg);
        return WIRE_BAD;
    }
    enum wire_read how = wire_read(v, r, text, out, why, cap);
    js_free(v);
    return how;
}
