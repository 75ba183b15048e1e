/*
 * synth/server.c - an OpenAI-style server as a generator: BASE/v1/chat/completions.
 *
 * Every sampling field is sent, because servers' defaults differ. A server that knows only OpenAI's
 * own fields says so with a 400 that names the stranger; then the extras are left out from there
 * on, with a warning when the recipe sets one of them and "left_out" in the manifest.
 *
 * An answer that is no JSON, has no choices or is empty is asked for again (REPOST_MAX times); an
 * empty one that stays empty is an answer. What cannot come from a server of this kind (an HTML
 * page, 404, another protocol) ends the run when it is the first thing that comes: the address is
 * wrong. From a server that has answered before it is an accident, and asked for again as well.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "net/net.h"
#include "synth/generator.h"

enum { REPOST_MAX = 2, DEFAULT_IN_FLIGHT = 16, IN_FLIGHT_MAX = 1024 };
#define NO_CALL SIZE_MAX
#define REPOST_S 0.5 /* before an answer is asked for again, unless --backoff says otherwise */

enum fields { FIELDS_ALL, FIELDS_OPENAI, FIELDS_OPENAI_NEW, N_FIELDS }; /* what a body holds */

struct call { /* a request that is out; the tag of net is its index */
    uint64_t tag;
    char *system, *user, *prefill;
    struct sampling sampling;
    char **stop;
    int n_post;
    enum fields sent; /* how its last body was written */
    size_t next_free; /* of a call that is not used */
};

struct server {
    char *base, *chat, *model; /* base ends in /v1 */
    const char *key;
    struct net *net;
    struct call *call;
    size_t n_call, cap_call, first_free; /* NO_CALL: none is free */
    bool answered;                       /* once at least, as a server of this kind does */
    double backoff_s;
    enum fields fields;
    int n_in_flight;
    struct js *about;
    struct digest digest;
    struct strbuf text, body;
    char why[600];
};

static void call_release(struct call *c)
{
    free(c->system);
    free(c->user);
    free(c->prefill);
    for (int i = 0; i < c->sampling.n_stop; i++)
        free(c->stop[i]);
    free(c->stop);
    *c = (struct call){ 0 };
}

static void server_close(void *state)
{
    struct server *s = state;
    if (!s)
        return;
    for (size_t i = 0; i < s->n_call; i++)
        call_release(&s->call[i]);
    net_free(s->net);
    js_free(s->about);
    str_release(&s->text);
    str_release(&s->body);
    free(s->call);
    free(s->base);
    free(s->chat);
    free(s->model);
    free(s);
}

/* GET base + path as JSON; NULL when there is none. */
static enum st get_json(struct server *s, const char *path, struct js **out,
                        struct net_reply *reply, struct err *err)
{
    char *url = xasprintf("%s%s", s->base, path);
    struct err bad;
    *out = NULL;
    net_get(s->net, url, s->key, 0);
    enum st st = net_next(s->net, reply, err);
    if (st == ST_OK && reply->class_ == NET_OK &&
        js_parse(out, reply->body, reply->n_bytes, &bad) < 0)
        *out = NULL;
    free(url);
    return st;
}

/* The server's models; its own words about the one we use go into the manifest. */
static enum st choose_model(struct server *s, const char *want, struct err *err)
{
    struct js *v;
    struct net_reply reply;
    enum st st = get_json(s, "/models", &v, &reply, err);
    if (st < 0)
        return st;
    if (reply.class_ != NET_OK && reply.status != 404)
        return err_set(err, ST_NET, "'%s/models': %s", s->base, reply.why);
    const struct js *list = js_get(v, "data"), *hit = NULL;
    for (size_t i = 0; i < js_len(list) && !hit; i++)
        if (!want || strcmp(js_get_text(js_at(list, i), "id", ""), want) == 0)
            hit = js_at(list, i);
    if (!hit && want && js_len(list))
        log_warn("the server lists no model '%s'; asking for it anyway", want);
    if (!hit && !want) {
        js_free(v);
        return err_set(err, ST_USAGE, "the server lists no models: give --model NAME");
    }
    s->model = xstrdup(want ? want : js_get_text(hit, "id", ""));
    s->about = js_object();
    js_put_text(s->about, "model", s->model);
    js_put_text(s->about, "server", s->base);
    if (js_get(hit, "meta"))
        js_put(s->about, "meta", js_copy(js_get(hit, "meta")));
    if (js_get(hit, "max_model_len"))
        js_put(s->about, "max_model_len", js_copy(js_get(hit, "max_model_len")));
    js_free(v);
    return ST_OK;
}

/* llama-server says how many slots it has and how long each is. */
static enum st look_at_props(struct server *s, int want, struct err *err)
{
    struct js *v;
    struct net_reply reply;
    char *base = s->base;
    s->base = xstrndup(base, strlen(base) - strlen("/v1"));
    enum st st = get_json(s, "/props", &v, &reply, err);
    free(s->base);
    s->base = base;
    if (st < 0)
        return st;
    int64_t slots = js_get_whole(v, "total_slots", 0);
    const struct js *settings = js_get(v, "default_generation_settings");
    if (slots > 0)
        js_put_whole(s->about, "slots", slots);
    if (js_get(settings, "n_ctx"))
        js_put(s->about, "n_ctx", js_copy(js_get(settings, "n_ctx")));
    s->n_in_flight = want        ? want
                     : slots > 0 ? (int)(slots < IN_FLIGHT_MAX - 2 ? slots + 2 : IN_FLIGHT_MAX)
                                 : DEFAULT_IN_FLIGHT;
    js_free(v);
    return ST_OK;
}

/* The model's name and what the server says of its weights, never its address: the same model
 * behind another port is the same model. */
static struct digest model_digest(const struct server *s)
{
    struct hasher *h = hasher_new();
    struct strbuf b = { 0 };
    const struct js *meta = js_get(s->about, "meta");
    hasher_text(h, "server");
    hasher_text(h, s->model);
    if (meta)
        js_write(meta, &b);
    hasher_text(h, b.s);
    struct digest d = hasher_digest(h);
    hasher_free(h);
    str_release(&b);
    return d;
}

static enum st server_open(void **state, const char *where, const struct generator_conf *conf,
                           struct err *err)
{
    struct server *s = NEW(struct server);
    size_t len = strlen(where);
    while (len && where[len - 1] == '/')
        len--;
    bool has_v1 = len > 3 && strncmp(where + len - 3, "/v1", 3) == 0;
    s->base = xasprintf("%.*s%s", (int)len, where, has_v1 ? "" : "/v1");
    s->chat = xasprintf("%s/chat/completions", s->base);
    s->key = conf->key;
    s->first_free = NO_CALL;
    s->backoff_s = conf->backoff_s > 0 ? conf->backoff_s : REPOST_S;
    struct net_conf nc = {
        .idle_s = conf->idle_s, .backoff_s = conf->backoff_s, .seed = conf->seed, .n_retry = 2
    }; /* while looking: somebody waits in front */
    s->net = net_new(&nc);
    enum st st = choose_model(s, conf->model, err);
    if (st == ST_OK)
        st = look_at_props(s, conf->n_in_flight, err);
    if (st == ST_OK) {
        nc.n_retry = conf->n_retry;
        nc.n_in_flight = s->n_in_flight;
        net_free(s->net);
        s->net = net_new(&nc);
        s->digest = model_digest(s);
        *state = s;
        s = NULL;
    }
    server_close(s);
    return st;
}

static int server_room(const void *state)
{
    return net_room(((const struct server *)state)->net);
}

static void put_message(struct js *list, const char *role, const char *text)
{
    struct js *m = js_object();
    js_put_text(m, "role", role);
    js_put_textn(m, "content", text, strlen(text));
    js_push(list, m);
}

static void write_body(struct server *s, const struct call *c)
{
    const struct sampling *p = &c->sampling;
    struct js *v = js_object(), *messages = js_array();
    bool all = s->fields == FIELDS_ALL;
    js_put_text(v, "model", s->model);
    if (c->system)
        put_message(messages, "system", c->system);
    put_message(messages, "user", c->user);
    if (c->prefill)
        put_message(messages, "assistant", c->prefill);
    js_put(v, "messages", messages);
    js_put_whole(v, s->fields == FIELDS_OPENAI_NEW ? "max_completion_tokens" : "max_tokens",
                 p->max_tok);
    js_put_real(v, "temperature", p->temperature);
    js_put_real(v, "top_p", p->top_p);
    js_put_whole(v, "seed", (int64_t)p->seed);
    js_put_whole(v, "n", 1);
    js_put_bool(v, "stream", false);
    if (p->n_stop) {
        struct js *stop = js_array();
        for (int i = 0; i < p->n_stop; i++)
            js_push_text(stop, c->stop[i]);
        js_put(v, "stop", stop);
    }
    if (all) {
        struct js *template = js_object();
        js_put_whole(v, "top_k",
                     p->top_k > 0 ? p->top_k : -1); /* vLLM: -1 is off; llama.cpp: <= 0 */
        js_put_real(v, "min_p", p->min_p);
        js_put_real(v, "repetition_penalty", p->repetition_penalty);
        js_put_real(v, "repeat_penalty", p->repetition_penalty); /* llama-server's name for it */
        js_put_whole(v, "repeat_last_n",
                     p->max_tok); /* the whole answer, as our own engine does it */
        js_put_bool(template, "enable_thinking", false);
        js_put(v, "chat_template_kwargs", template);
        if (c->prefill) { /* vLLM: go on with our beginning instead of a new turn */
            js_put_bool(v, "continue_final_message", true);
            js_put_bool(v, "add_generation_prompt", false);
        }
    }
    str_clear(&s->body);
    js_write(v, &s->body);
    js_free(v);
}

static void post(struct server *s, size_t i, double pause_s)
{
    struct call *c = &s->call[i];
    c->n_post++;
    c->sent = s->fields;
    write_body(s, c);
    net_post_later(s->net, s->chat, s->key, s->body.s, s->body.n, i, pause_s);
}

static size_t call_take(struct server *s)
{
    size_t i = s->first_free;
    if (i == NO_CALL) {
        GROW(s->call, s->n_call, s->cap_call);
        return s->n_call++;
    }
    s->first_free = s->call[i].next_free;
    return i;
}

static void call_give_back(struct server *s, size_t i)
{
    call_release(&s->call[i]);
    s->call[i].next_free = s->first_free;
    s->first_free = i;
}

static void server_submit(void *state, const struct gen_request *r)
{
    struct server *s = state;
    size_t i = call_take(s);
    struct call *c = &s->call[i];
    *c = (struct call){ .tag = r->tag, .sampling = r->sampling };
    c->system = r->system ? xstrdup(r->system) : NULL;
    c->user = xstrdup(r->user);
    c->prefill = r->prefill && *r->prefill ? xstrdup(r->prefill) : NULL;
    c->stop = NEW_ARRAY(char *, (size_t)r->sampling.n_stop + 1);
    for (int k = 0; k < r->sampling.n_stop; k++)
        c->stop[k] = xstrdup(r->sampling.stop[k]);
    post(s, i, 0);
}

/* A 400 that names one of our fields: the next smaller set of fields; false when it is not about
 * fields. */
static bool fewer_fields(struct server *s, const struct call *c, const struct net_reply *reply)
{
    static const char *const extra[] = { "top_k",
                                         "min_p",
                                         "repetition_penalty",
                                         "repeat_penalty",
                                         "repeat_last_n",
                                         "chat_template_kwargs",
                                         "continue_final_message",
                                         "add_generation_prompt" };
    enum fields next = N_FIELDS;
    if (reply->status != 400 && reply->status != 422)
        return false;
    for (size_t i = 0; i < sizeof extra / sizeof *extra; i++)
        if (c->sent == FIELDS_ALL && strstr(reply->body, extra[i]))
            next = FIELDS_OPENAI;
    if (c->sent == FIELDS_OPENAI && strstr(reply->body, "max_completion_tokens"))
        next = FIELDS_OPENAI_NEW;
    const struct sampling *p = &c->sampling;
    if (next == N_FIELDS)
        return false;
    if (next > s->fields) {
        s->fields = next;
        if (p->top_k > 0 || p->min_p > 0 || p->repetition_penalty != 1)
            log_warn(
                "the server knows no top_k, min_p or repetition_penalty: the recipe's values are "
                "left out, the manifest says so");
    }
    return true;
}

/* What a server says of its tokens; 0 when that is no number of tokens. */
static uint32_t token_count(const struct js *usage, const char *key)
{
    double n = js_get_real(usage, key, 0);
    return n > 0 && n < 1e9 ? (uint32_t)n : 0;
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
        for (size_t k = 0; k < sizeof word / sizeof *word && !in_text && !len; k++)
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

/* The choice that says it is the first, or says nothing of it; we ask for one, some give more. */
static const struct js *first_choice(const struct js *reply)
{
    const struct js *list = js_get(reply, "choices");
    for (size_t i = 0; i < js_len(list); i++)
        if (js_get_whole(js_at(list, i), "index", 0) == 0)
            return js_at(list, i);
    return js_at(list, 0);
}

enum read { READ_OK, READ_EMPTY, READ_BAD };

static enum read read_choice(struct server *s, const struct call *c, const struct js *reply,
                             struct generation *out)
{
    const struct js *choice = first_choice(reply), *message = js_get(choice, "message");
    const struct js *content = js_get(message, "content"), *usage = js_get(reply, "usage");
    const char *finish = js_get_text(choice, "finish_reason", "");
    size_t n = 0, n_prefill = c->prefill ? strlen(c->prefill) : 0;
    const char *text = js_as_text(content, &n);
    if (js_kind(message) != JS_OBJECT) {
        const struct js *e = js_get(reply, "error"); /* some proxies say 200 to everything */
        const char *said = js_get_text(e, "message", js_as_text(e, NULL));
        snprintf(s->why, sizeof s->why, "the answer has no choices[0].message%s%.200s",
                 said ? ": " : "", said ? said : "");
        return READ_BAD;
    }
    if (!text && content && js_kind(content) != JS_NULL) {
        snprintf(s->why, sizeof s->why, "choices[0].message.content is no text");
        return READ_BAD;
    }
    str_clear(&s->text);
    if (c->prefill && (n < n_prefill || memcmp(text, c->prefill, n_prefill) != 0))
        str_adds(&s->text, c->prefill);
    str_add(&s->text, text ? text : "", n);
    out->text = s->text.s;
    out->n_bytes = s->text.n;
    out->finish = strcmp(finish, "length") == 0           ? FINISH_LENGTH
                  : strcmp(finish, "content_filter") == 0 ? FINISH_FILTERED
                                                          : FINISH_STOP;
    out->n_tok_prompt = token_count(usage, "prompt_tokens");
    out->n_tok = token_count(usage, "completion_tokens");
    if (!out->n_tok)
        out->n_tok = (uint32_t)((n + 2) / 3); /* says nothing: 3 bytes a token */
    return n == 0 && out->finish == FINISH_STOP ? READ_EMPTY : READ_OK;
}

static enum read read_reply(struct server *s, const struct call *c, const struct net_reply *reply,
                            struct generation *out)
{
    struct js *v = NULL;
    struct err bad, worse;
    if (js_parse(&v, reply->body, reply->n_bytes, &bad) < 0 &&
        (!without_nan(&s->text, reply->body, reply->n_bytes) ||
         js_parse(&v, s->text.s, s->text.n, &worse) < 0)) {
        snprintf(s->why, sizeof s->why, "the answer is no JSON: %s", bad.msg);
        return READ_BAD;
    }
    enum read how = read_choice(s, c, v, out);
    js_free(v);
    return how;
}

static void fail(struct server *s, struct generation *out, const char *why)
{
    if (why != s->why)
        snprintf(s->why, sizeof s->why, "%s", why);
    out->failed = true;
    out->why = s->why;
}

/* No word of a server of this kind: it is another one, or nobody knows our path there. */
static bool is_stranger(const struct net_reply *reply)
{
    return reply->status == 404 || reply->status == 405 || reply->status < 400;
}

/* One reply to its end, or *again: it is to be posted again. Negative st: nothing can go on. */
static enum st take_reply(struct server *s, const struct net_reply *reply, struct generation *out,
                          bool *again, struct err *err)
{
    struct call *c = &s->call[reply->tag];
    *again = false;
    s->why[0] = '\0';
    *out = (struct generation){ .tag = c->tag, .wall_s = reply->wall_s };
    switch (reply->class_) {
    case NET_OK: {
        enum read how = read_reply(s, c, reply, out);
        s->answered |= how != READ_BAD;
        if (how != READ_OK && c->n_post <= REPOST_MAX)
            *again = true;
        else if (how == READ_BAD)
            fail(s, out, s->why);
        break;
    }
    case NET_TOO_LONG:
        s->answered = true;
        out->text = "";
        out->finish = FINISH_NO_ROOM;
        break;
    case NET_RETRY:
        fail(s, out, reply->why);
        break;
    case NET_REFUSED:
        if (fewer_fields(s, c, reply))
            *again = true;
        else if (reply->status == 401 || reply->status == 403)
            return err_set(err, ST_USAGE,
                           "%s (the key is taken from MIXLAW_API_KEY or OPENAI_API_KEY)",
                           reply->why);
        else if (is_stranger(reply) && !s->answered)
            return err_set(err, ST_NET, "'%s': %s", s->chat, reply->why);
        else if (is_stranger(reply) && c->n_post <= REPOST_MAX)
            *again = true;
        else
            fail(s, out, reply->why);
        break;
    }
    return ST_OK;
}

static enum st server_next(void *state, struct generation *out, struct err *err)
{
    struct server *s = state;
    for (;;) {
        struct net_reply reply;
        bool again;
        enum st st = net_next(s->net, &reply, err);
        if (st != ST_OK)
            return st;
        size_t i = (size_t)reply.tag;
        st = take_reply(s, &reply, out, &again, err);
        if (st == ST_OK && again) {
            bool stranger = reply.class_ == NET_REFUSED && is_stranger(&reply);
            post(s, i, stranger ? s->backoff_s * s->call[i].n_post : 0);
            continue;
        }
        call_give_back(s, i);
        return st;
    }
}

static struct js *server_about(const void *state)
{
    const struct server *s = state;
    struct js *v = js_copy(s->about);
    js_put_whole(v, "in_flight", s->n_in_flight);
    if (s->fields != FIELDS_ALL)
        js_put_text(v, "left_out", "top_k min_p repetition_penalty");
    return v;
}

static struct digest server_digest(const void *state)
{
    return ((const struct server *)state)->digest;
}

const struct generator_ops generator_server = { .name = "server",
                                                .open = server_open,
                                                .room = server_room,
                                                .submit = server_submit,
                                                .next = server_next,
                                                .about = server_about,
                                                .digest = server_digest,
                                                .close = server_close };
