/*
 * synth/server.c - OpenAI-style servers as a generator: one address, or several that serve the same
 * model (endpoint.h). net/lane.h says whose turn it is, how many requests are out at once and what
 * happens to an address that fails.
 *
 * A server that knows only OpenAI's own fields says so with a 400 that names the stranger; then the
 * extras are left out from there on, with a warning when the recipe sets one of them and "left_out"
 * in the manifest.
 *
 * An answer that is no JSON, has no choices or is empty is asked for again (REPOST_MAX times); an
 * empty one that stays empty is an answer. What cannot come from a server of this kind (an HTML
 * page, 404, another protocol) ends the run when it is the first thing that comes: the address is
 * wrong. From a server that has answered before it is an accident, and asked for again as well.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "net/net.h"
#include "synth/endpoint.h"
#include "synth/generator.h"
#include "synth/wire.h"

enum {
    REPOST_MAX = 2,
    SPARE_SLOTS = 2, /* requests that wait at a server with slots, so that none stands empty */
    AT_FIRST = 8,    /* requests at once where the server does not say what it bears */
    ADAPT_MAX = 512, /* and at most, found out */
    IN_FLIGHT_MAX = 4096
};
#define NO_CALL SIZE_MAX
#define REPOST_S 0.5 /* before an answer is asked for again, unless --backoff says otherwise */

struct call { /* a request that is out; the tag of net is its index */
    struct gen_request r;
    char *text[4]; /* what r's texts are */
    char **stop;
    int n_post;
    enum wire_fields sent; /* how its last body was written */
    size_t next_free;      /* of a call that is not used */
};

struct server {
    struct endpoints at;
    const char *key;
    struct net *net;
    struct call *call;
    size_t n_call, cap_call, first_free; /* NO_CALL: none is free */
    bool answered;                       /* once at least, as a server of this kind does */
    double backoff_s;
    enum wire_fields fields;
    struct strbuf text, body;
    char why[600];
};

static void call_release(struct call *c)
{
    for (size_t i = 0; i < N_OF(c->text); i++)
        free(c->text[i]);
    for (int i = 0; i < c->r.sampling.n_stop; i++)
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
    endpoints_release(&s->at);
    str_release(&s->text);
    str_release(&s->body);
    free(s->call);
    free(s);
}

/* Requests at once at each address: its share of what was asked for, what its slots bear, or what
 * is found out from AT_FIRST on. */
static struct net_lane *make_lanes(const struct endpoints *at, int n_in_flight)
{
    struct net_lane *lane = NEW_ARRAY(struct net_lane, at->n);
    double sum = 0;
    for (size_t i = 0; i < at->n; i++)
        sum += at->e[i].weight;
    for (size_t i = 0; i < at->n; i++) {
        const struct endpoint *e = &at->e[i];
        double n = n_in_flight ? n_in_flight * e->weight / sum
                   : e->slots  ? e->slots + SPARE_SLOTS
                               : AT_FIRST * e->weight;
        int start = (int)fmin(IN_FLIGHT_MAX, fmax(1, round(n)));
        bool known = n_in_flight || e->slots || start > ADAPT_MAX;
        lane[i] = (struct net_lane){ e->base, e->weight, start, known ? start : ADAPT_MAX };
    }
    return lane;
}

static enum st server_open(void **state, const char *where, const struct generator_conf *conf,
                           struct err *err)
{
    struct server *s = NEW(struct server);
    s->key = conf->key;
    s->first_free = NO_CALL;
    s->backoff_s = conf->backoff_s > 0 ? conf->backoff_s : REPOST_S;
    struct net_conf nc = {
        .idle_s = conf->idle_s, .backoff_s = conf->backoff_s, .seed = conf->seed, .n_retry = 2
    }; /* while looking: somebody waits in front */
    s->net = net_new(&nc);
    enum st st = endpoints_parse(&s->at, where, err);
    if (st == ST_OK)
        st = endpoints_look(&s->at, s->net, conf->key, conf->model, err);
    if (st == ST_OK) {
        struct net_lane *lane = make_lanes(&s->at, conf->n_in_flight);
        nc.n_retry = conf->n_retry;
        nc.n_in_flight = conf->n_in_flight ? conf->n_in_flight : IN_FLIGHT_MAX;
        nc.lane = lane;
        nc.n_lane = s->at.n;
        net_free(s->net);
        s->net = net_new(&nc);
        free(lane);
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

static void post(struct server *s, size_t i, double pause_s)
{
    struct call *c = &s->call[i];
    struct js *body = wire_body(&c->r, s->at.e[0].model, s->fields);
    c->n_post++;
    c->sent = s->fields;
    str_clear(&s->body);
    js_write(body, &s->body);
    js_free(body);
    net_post_later(s->net, wire_path(&c->r), s->key, s->body.s, s->body.n, i, pause_s);
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

static void call_copy(struct call *c, const struct gen_request *r)
{
    *c = (struct call){ .r = *r };
    c->r.system = c->text[0] = r->system ? xstrdup(r->system) : NULL;
    c->r.user = c->text[1] = r->user ? xstrdup(r->user) : NULL;
    c->r.raw = c->text[2] = r->raw ? xstrdup(r->raw) : NULL;
    c->r.prefill = c->text[3] = r->prefill && *r->prefill ? xstrdup(r->prefill) : NULL;
    c->stop = NEW_ARRAY(char *, (size_t)r->sampling.n_stop + 1);
    for (int k = 0; k < r->sampling.n_stop; k++)
        c->stop[k] = xstrdup(r->sampling.stop[k]);
    c->r.sampling.stop = (const char *const *)c->stop;
}

static void server_submit(void *state, const struct gen_request *r)
{
    struct server *s = state;
    size_t i = call_take(s);
    call_copy(&s->call[i], r);
    post(s, i, 0);
}

/* A 400 that names one of our fields: sent with fewer from here on; false when it is not about
 * fields. */
static bool fewer_fields(struct server *s, const struct call *c, const struct net_reply *reply)
{
    if (reply->status != 400 && reply->status != 422)
        return false;
    enum wire_fields next = wire_fewer(c->sent, reply->body);
    if (next == WIRE_N)
        return false;
    if (next > s->fields) {
        s->fields = next;
        if (wire_loses(&c->r.sampling))
            log_warn(
                "the server knows no top_k, min_p or repetition_penalty: the recipe's values are "
                "left out, the manifest says so");
    }
    return true;
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
    *out = (struct generation){ .tag = c->r.tag, .wall_s = reply->wall_s };
    switch (reply->class_) {
    case NET_OK: {
        enum wire_read how = wire_parse(reply->body, reply->n_bytes, &c->r, &s->text, &s->body, out,
                                        s->why, sizeof s->why);
        s->answered |= how != WIRE_BAD;
        if (how != WIRE_OK && c->n_post <= REPOST_MAX)
            *again = true;
        else if (how == WIRE_BAD)
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
            return err_set(err, ST_NET, "'%s%s': %s", s->at.e[reply->lane].base, wire_path(&c->r),
                           reply->why);
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
    struct js *v = js_copy(s->at.e[0].about), *list = js_array();
    int at_once = 0;
    for (size_t i = 0; i < s->at.n; i++) {
        const struct endpoint *e = &s->at.e[i];
        struct net_lane_state l = net_lane(s->net, i);
        struct js *row = js_object();
        js_put_text(row, "server", e->base);
        js_put_real(row, "weight", e->weight);
        js_put_whole(row, "answered", (int64_t)l.n_answered);
        js_put_whole(row, "failed_tries", (int64_t)l.n_failed);
        js_put_whole(row, "set_aside", (int64_t)l.n_aside);
        js_put_whole(row, "in_flight", l.n_at_once);
        js_push(list, row);
        at_once += l.n_at_once;
    }
    js_put(v, "endpoints", list);
    js_put_whole(v, "in_flight", at_once);
    if (s->fields != WIRE_ALL)
        js_put_text(v, "left_out", WIRE_LEFT_OUT);
    return v;
}

static struct digest server_digest(const void *state)
{
    return ((const struct server *)state)->at.e[0].digest;
}

const struct generator_ops generator_server = { .name = "server",
                                                .can = GENERATOR_RAW,
                                                .open = server_open,
                                                .room = server_room,
                                                .submit = server_submit,
                                                .next = server_next,
                                                .about = server_about,
                                                .digest = server_digest,
                                                .close = server_close };
