/* synth/probe.c - see probe.h. */
#include "synth/probe.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "synth/endpoint.h"
#include "synth/wire.h"

enum {
    PROBE_TOK = 32,
    REQUESTS_MIN = 4,
    LEVEL_MAX_S = 60, /* a number of requests that takes so long is the last one tried */
    FLAT_MAX = 2      /* numbers in a row that brought nothing */
};
#define GREW 1.05 /* a speed that counts as a better one */
#define NEAR 0.9  /* as good as the best */

/* ---- What a server can. ---- */

struct probe {
    const struct endpoint *e;
    struct net *net;
    const char *key;
    enum wire_fields fields;
    struct strbuf text, scratch;
};

static void ask_logprobs(struct js *body, bool is_raw)
{
    if (is_raw) {
        js_put_whole(body, "logprobs", 1);
        return;
    }
    js_put_bool(body, "logprobs", true);
    js_put_whole(body, "top_logprobs", 1);
}

static enum st post(struct probe *p, const struct gen_request *r, bool logprobs,
                    struct net_reply *reply, struct err *err)
{
    char *url = xasprintf("%s%s", p->e->base, wire_path(r));
    struct js *body = wire_body(r, p->e->model, p->fields);
    struct strbuf b = { 0 };
    if (logprobs)
        ask_logprobs(body, r->raw != NULL);
    js_write(body, &b);
    net_post(p->net, url, p->key, b.s, b.n, 0);
    enum st st = net_next(p->net, reply, err);
    js_free(body);
    str_release(&b);
    free(url);
    return st;
}

/* The answer's text, to be freed, and the answer; both NULL when there is none. */
static enum st ask(struct probe *p, const struct gen_request *r, bool logprobs, char **text,
                   struct js **answer, struct err *err)
{
    struct net_reply reply;
    struct generation g;
    struct err ignored;
    char why[300];
    enum st st;
    *text = NULL;
    *answer = NULL;
    for (;;) {
        st = post(p, r, logprobs, &reply, err);
        if (st < 0 || reply.class_ != NET_REFUSED)
            break;
        enum wire_fields fewer = wire_fewer(p->fields, reply.body);
        if (fewer == WIRE_N)
            break;
        p->fields = fewer;
    }
    if (st < 0)
        return st;
    if (reply.class_ == NET_OK && wire_parse(reply.body, reply.n_bytes, r, &p->text, &p->scratch,
                                             &g, why, sizeof why) != WIRE_BAD) {
        *text = xstrndup(g.text, g.n_bytes);
        if (js_parse(answer, reply.body, reply.n_bytes, &ignored) < 0)
            *answer = NULL; /* with a NaN in it: there are log-probabilities, but none to use */
    }
    return ST_OK;
}

static struct gen_request request(bool is_raw, uint64_t seed)
{
    static const char text[] = "Tell me about the harbour of a small town in the north.";
    return (struct gen_request){ .user = is_raw ? NULL : text,
                                 .raw = is_raw ? text : NULL,
                                 .sampling = { .temperature = 1,
                                               .top_p = 1,
                                               .repetition_penalty = 1,
                                               .max_tok = PROBE_TOK,
                                               .seed = seed } };
}

static enum st can(struct probe *p, bool is_raw, bool *yes, struct err *err)
{
    const struct gen_request r = request(is_raw, 7);
    char *text;
    struct js *answer;
    enum st st = ask(p, &r, false, &text, &answer, err);
    *yes = text != NULL;
    free(text);
    js_free(answer);
    return st;
}

/* Twice with one seed and once with another. */
static enum st try_seed(struct probe *p, bool is_raw, struct js *row, struct err *err)
{
    static const uint64_t seed[] = { 7, 7, 8 };
    char *text[N_OF(seed)] = { NULL };
    enum st st = ST_OK;
    for (size_t i = 0; i < N_OF(seed) && st == ST_OK; i++) {
        const struct gen_request r = request(is_raw, seed[i]);
        struct js *answer;
        st = ask(p, &r, false, &text[i], &answer, err);
        js_free(answer);
    }
    if (!text[0] || !text[1] || !text[2] ||
        (strcmp(text[0], text[1]) == 0 && strcmp(text[0], text[2]) == 0))
        js_put_text(row, "seed", NULL);
    else
        js_put_bool(row, "seed", strcmp(text[0], text[1]) == 0);
    for (size_t i = 0; i < N_OF(seed); i++)
        free(text[i]);
    return st;
}

static enum st try_logprobs(struct probe *p, bool is_raw, struct js *row, struct err *err)
{
    const struct gen_request r = request(is_raw, 7);
    char *text;
    struct js *answer;
    enum st st = ask(p, &r, true, &text, &answer, err);
    const struct js *given = js_get(js_at(js_get(answer, "choices"), 0), "logprobs");
    js_put_bool(row, "logprobs",
                js_len(js_get(given, "content")) || js_len(js_get(given, "token_logprobs")));
    free(text);
    js_free(answer);
    return st;
}

static void put_context(struct js *row, const struct endpoint *e)
{
    const char *const key[] = { "n_ctx", "max_model_len" };
    int64_t n = js_get_whole(js_get(e->about, "meta"), "n_ctx_train", 0);
    for (size_t i = 0; i < N_OF(key); i++)
        n = js_get_whole(e->about, key[i], n);
    if (n > 0)
        js_put_whole(row, "context", n);
    else
        js_put_text(row, "context", NULL);
}

static enum st look(struct probe *p, struct js **out, struct err *err)
{
    const struct endpoint *e = p->e;
    struct js *row = *out = js_object(), *models = js_array();
    bool chat = false, completion = false;
    js_put_text(row, "server", e->base);
    js_put_text(row, "software", e->software);
    js_put_text(row, "model", e->model);
    for (size_t i = 0; i < js_len(e->models); i++)
        js_push_text(models, js_get_text(js_at(e->models, i), "id", ""));
    js_put(row, "models", models);
    put_context(row, e);
    if (e->slots)
        js_put_whole(row, "slots", e->slots);
    else
        js_put_text(row, "slots", NULL);
    enum st st = can(p, false, &chat, err);
    if (st == ST_OK)
        st = can(p, true, &completion, err);
    js_put_bool(row, "chat", chat);
    js_put_bool(row, "completion", completion);
    js_put_text(row, "template", !chat ? "none" : e->shows_template ? "shown" : "unseen");
    js_put_bool(row, "extra_fields", p->fields == WIRE_ALL);
    if (st == ST_OK)
        st = try_seed(p, !chat, row, err);
    if (st == ST_OK)
        st = try_logprobs(p, !chat, row, err);
    return st;
}

static enum st look_at_servers(const char *where, const struct generator_conf *conf,
                               void (*show)(void *arg, struct js *row), void *arg, struct err *err)
{
    struct endpoints at = { 0 };
    const struct net_conf nc = { .idle_s = conf->idle_s, .seed = conf->seed, .n_retry = 2 };
    struct net *net = net_new(&nc);
    enum st st = endpoints_parse(&at, where, err);
    if (st == ST_OK)
        st = endpoints_look(&at, net, conf->key, conf->model, err);
    for (size_t i = 0; i < at.n && st == ST_OK; i++) {
        struct probe p = { .e = &at.e[i], .net = net, .key = conf->key };
        struct js *row;
        st = look(&p, &row, err);
        if (st == ST_OK)
            show(arg, row);
        else
            js_free(row);
        str_release(&p.text);
        str_release(&p.scratch);
    }
    endpoints_release(&at);
    net_free(net);
    return st;
}

static enum st look_at_other(const char *where, const struct generator_conf *conf,
                             void (*show)(void *arg, struct js *row), void *arg, struct err *err)
{
    struct generator *g;
    enum st st = generator_open(&g, where, conf, err);
    if (st < 0)
        return st;
    show(arg, generator_about(g));
    generator_close(g);
    return ST_OK;
}

/* ---- Its speed. ---- */

struct level {
    int n_in_flight, n, n_answered;
    uint64_t n_tok;
    double latency_s, latency_max_s, wall_s;
    char why[300]; /* of the last failure */
};

static void submit(struct generator *g, int n_in_flight, int i)
{
    char user[128];
    snprintf(user, sizeof user, "Tell me something about the number %d.", 1000 * n_in_flight + i);
    const struct gen_request r = { .user = user,
                                   .tag = (uint64_t)i,
                                   .sampling = { .temperature = 0.7,
                                                 .top_p = 0.9,
                                                 .repetition_penalty = 1,
                                                 .max_tok = PROBE_TOK,
                                                 .seed = (uint64_t)i } };
    generator_submit(g, &r);
}

static enum st measure(const char *where, const struct generator_conf *base, struct level *l,
                       struct err *err)
{
    struct generator_conf conf = *base;
    struct generator *g;
    struct generation out;
    conf.n_in_flight = l->n_in_flight;
    enum st st = generator_open(&g, where, &conf, err);
    if (st < 0)
        return st;
    l->n = 2 * l->n_in_flight > REQUESTS_MIN ? 2 * l->n_in_flight : REQUESTS_MIN;
    double start = clock_s();
    for (int sent = 0, got = 0; got < l->n && st == ST_OK; got++) {
        for (; sent < l->n && sent - got < l->n_in_flight; sent++)
            submit(g, l->n_in_flight, sent);
        st = generator_next(g, &out, err);
        if (st == ST_OK && out.failed) {
            snprintf(l->why, sizeof l->why, "%s", out.why ? out.why : "no reason given");
        } else if (st == ST_OK) {
            l->n_answered++;
            l->n_tok += out.n_tok;
            l->latency_s += out.wall_s;
            l->latency_max_s = fmax(l->latency_max_s, out.wall_s);
        }
    }
    l->wall_s = clock_s() - start;
    generator_close(g);
    if (st == ST_END)
        return err_set(err, ST_NET, "the generator gave back too little");
    return st;
}

static struct js *level_row(const struct level *l)
{
    struct js *row = js_object();
    js_put_whole(row, "in_flight", l->n_in_flight);
    js_put_whole(row, "requests", l->n);
    js_put_whole(row, "failed", l->n - l->n_answered);
    js_put_real(row, "tok_per_s", (double)l->n_tok / l->wall_s);
    js_put_real(row, "latency_s", l->n_answered ? l->latency_s / l->n_answered : NAN);
    js_put_real(row, "latency_max_s", l->n_answered ? l->latency_max_s : NAN);
    return row;
}

static enum st speeds(const char *where, const struct generator_conf *conf, int max_in_flight,
                      void (*show)(void *arg, struct js *row), void *arg, struct err *err)
{
    enum { LEVELS_MAX = 16 };
    double speed[LEVELS_MAX], best = 0;
    int n_level = 0, pick = 0, n_flat = 0;
    for (int n = 1; n <= max_in_flight && n_level < LEVELS_MAX && n_flat < FLAT_MAX; n *= 2) {
        struct level l = { .n_in_flight = n };
        enum st st = measure(where, conf, &l, err);
        if (st < 0)
            return st;
        show(arg, level_row(&l));
        double rate = speed[n_level++] = (double)l.n_tok / l.wall_s;
        if (!l.n_answered)
            return err_set(err, ST_NET, "no request was answered: %s", l.why);
        n_flat = rate > GREW * best ? 0 : n_flat + 1;
        best = fmax(best, rate);
        if (l.wall_s > LEVEL_MAX_S)
            break;
    }
    while (pick + 1 < n_level && speed[pick] < NEAR * best)
        pick++;
    struct js *row = js_object();
    js_put_whole(row, "pick", 1 << pick);
    js_put_real(row, "tok_per_s", speed[pick]);
    show(arg, row);
    return ST_OK;
}

enum st synth_probe(const char *where, const struct generator_conf *conf, int max_in_flight,
                    void (*show)(void *arg, struct js *row), void *arg, struct err *err)
{
    if (str_starts(where, "batch:"))
        return err_set(err, ST_USAGE, "batch files answer another day: there is nothing to probe");
    bool is_server = str_starts(where, "http://") || str_starts(where, "https://");
    enum st st = is_server ? look_at_servers(where, conf, show, arg, err)
                           : look_at_other(where, conf, show, arg, err);
    return st == ST_OK ? speeds(where, conf, max_in_flight, show, arg, err) : st;
}
