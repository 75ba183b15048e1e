/*
 * net/net.c - see net.h. Requests wait in a queue, run as libcurl transfers, go back to the queue
 * with a time before which they must not start, and end in the list of finished ones.
 *
 * Outcome of a try          what happens
 *   2xx, complete           NET_OK (an HTML page instead of an answer: NET_REFUSED)
 *   no connection, time-out,
 *   cut stream, 408 425 429,
 *   5xx but 501             again after Retry-After, or 0.5 s * 2^n with jitter; then NET_RETRY
 *   400 413 422 that speak
 *   of the context length   NET_TOO_LONG
 *   everything else         NET_REFUSED
 *
 * Which of several addresses is asked, and how many requests are let out at once: net/lane.h. A
 * request that can go to a healthy address right away does not wait.
 */
#include "net/net.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/rng.h"
#include "net/easy.h"
#include "net/lane.h"

enum {
    BODY_MAX = 8 << 20,    /* bytes of one reply: 32k tokens are under 1 MB */
    WHY_EXCERPT = 200,     /* bytes of a server's words in a message */
    RETRY_AFTER_MAX = 900, /* s; a server that wants more has said no */
    POLL_MS = 200          /* how soon a request to stop is seen */
};

struct request {
    char *url, *bearer, *body; /* body NULL: GET */
    size_t n_bytes;
    uint64_t tag;
    int n_tries, lane;
    double first_s, ready_s, start_s; /* clock: posted; may start; last try began */
    CURL *easy;                       /* while it runs */
    struct curl_slist *header;
    struct strbuf answer;
    bool too_big;
    char curl_error[CURL_ERROR_SIZE];
    int status;
    enum net_class class_;
    char why[512], server[64];
    struct request *next, *prev; /* prev: among the running ones only */
};

struct queue {
    struct request *first, **last;
    int n;
};

struct net {
    struct net_conf conf;
    CURLM *multi;
    struct rng rng;
    struct queue waiting, done;
    struct request *running; /* unordered */
    int n_running;
    struct lane *lane;
    size_t n_lane;
    struct request *shown; /* whose body the caller reads */
    CURL **spare;
    size_t n_spare, cap_spare;
};

static void queue_put(struct queue *q, struct request *r)
{
    if (!q->last)
        q->last = &q->first;
    r->next = NULL;
    *q->last = r;
    q->last = &r->next;
    q->n++;
}

static struct request *queue_take(struct queue *q, struct request **at)
{
    struct request *r = *at;
    *at = r->next;
    if (!r->next)
        q->last = at;
    q->n--;
    return r;
}

static void request_free(struct request *r)
{
    if (!r)
        return;
    free(r->url);
    if (r->bearer)
        memset(r->bearer, 0, strlen(r->bearer));
    free(r->bearer);
    free(r->body);
    curl_slist_free_all(r->header);
    str_release(&r->answer);
    free(r);
}

struct net *net_new(const struct net_conf *conf)
{
    easy_init();
    struct net *n = NEW(struct net);
    if (conf)
        n->conf = *conf;
    struct net_conf *c = &n->conf;
    c->n_in_flight = c->n_in_flight > 0 ? c->n_in_flight : 8;
    c->n_retry = c->n_retry > 0 ? c->n_retry : c->n_retry < 0 ? 0 : 8;
    c->connect_s = c->connect_s > 0 ? c->connect_s : 10;
    c->idle_s = c->idle_s > 0 ? c->idle_s : 600;
    c->total_s = c->total_s > 0 ? c->total_s : 1800;
    c->backoff_s = c->backoff_s > 0 ? c->backoff_s : 0.5;
    const struct net_lane all = { "", 1, c->n_in_flight, c->n_in_flight };
    const struct net_lane *lane = c->n_lane ? c->lane : &all;
    n->n_lane = c->n_lane ? c->n_lane : 1;
    n->lane = NEW_ARRAY(struct lane, n->n_lane);
    for (size_t i = 0; i < n->n_lane; i++)
        lane_init(&n->lane[i], xstrdup(lane[i].url), lane[i].weight, lane[i].n_start,
                  lane[i].n_max);
    c->lane = NULL; /* the caller's */
    rng_init(&n->rng, c->seed, "net jitter", 0);
    n->multi = curl_multi_init();
    if (!n->multi)
        abort(); /* libcurl fails here only without memory */
    curl_multi_setopt(n->multi, CURLMOPT_MAXCONNECTS, (long)c->n_in_flight);
    return n;
}

static void running_stop(struct net *n, struct request *r)
{
    curl_multi_remove_handle(n->multi, r->easy);
    curl_easy_reset(r->easy);
    GROW(n->spare, n->n_spare, n->cap_spare);
    n->spare[n->n_spare++] = r->easy;
    r->easy = NULL;
    curl_slist_free_all(r->header);
    r->header = NULL;
    *(r->prev ? &r->prev->next : &n->running) = r->next;
    if (r->next)
        r->next->prev = r->prev;
    n->n_running--;
}

void net_free(struct net *n)
{
    if (!n)
        return;
    while (n->running) {
        struct request *r = n->running;
        running_stop(n, r);
        request_free(r);
    }
    while (n->waiting.first)
        request_free(queue_take(&n->waiting, &n->waiting.first));
    while (n->done.first)
        request_free(queue_take(&n->done, &n->done.first));
    request_free(n->shown);
    for (size_t i = 0; i < n->n_spare; i++)
        curl_easy_cleanup(n->spare[i]);
    for (size_t i = 0; i < n->n_lane; i++)
        free(n->lane[i].url);
    free(n->lane);
    free(n->spare);
    curl_multi_cleanup(n->multi);
    free(n);
}

int net_room(const struct net *n)
{
    double now = clock_s();
    int used = n->n_running + n->waiting.n + n->done.n, healthy = 0, all = 0;
    for (size_t i = 0; i < n->n_lane; i++) {
        all += (int)n->lane[i].limit;
        healthy += lane_is_healthy(&n->lane[i], now) ? (int)n->lane[i].limit : 0;
    }
    int room = healthy ? healthy : all;
    room = room < n->conf.n_in_flight ? room : n->conf.n_in_flight;
    return used < room ? room - used : 0;
}

struct net_lane_state net_lane(const struct net *n, size_t i)
{
    const struct lane *l = &n->lane[i];
    return (struct net_lane_state){ l->n_answered, l->n_failed, l->n_aside_all, (int)l->limit };
}

void net_post_later(struct net *n, const char *url, const char *bearer, const char *body,
                    size_t n_bytes, uint64_t tag, double pause)
{
    struct request *r = NEW(struct request);
    r->url = xstrdup(url);
    r->bearer = bearer && *bearer ? xstrdup(bearer) : NULL;
    if (body) {
        r->body = xstrndup(body, n_bytes);
        r->n_bytes = n_bytes;
    }
    r->tag = tag;
    r->first_s = clock_s();
    r->ready_s = r->first_s + pause;
    queue_put(&n->waiting, r);
}

void net_post(struct net *n, const char *url, const char *bearer, const char *body, size_t n_bytes,
              uint64_t tag)
{
    net_post_later(n, url, bearer, body, n_bytes, tag, 0);
}

void net_get(struct net *n, const char *url, const char *bearer, uint64_t tag)
{
    net_post(n, url, bearer, NULL, 0, tag);
}

static size_t on_bytes(char *bytes, size_t size, size_t n, void *arg)
{
    struct request *r = arg;
    if (r->answer.n + size * n > BODY_MAX) {
        r->too_big = true;
        return 0;
    }
    str_add(&r->answer, bytes, size * n);
    return size * n;
}

static void request_start(struct net *n, struct request *r, int lane)
{
    const struct net_conf *c = &n->conf;
    CURL *e = n->n_spare ? n->spare[--n->n_spare] : curl_easy_init();
    if (!e)
        abort(); /* only without memory */
    char *url = xasprintf("%s%s", n->lane[lane].url, r->url);
    r->easy = e;
    r->lane = lane;
    r->n_tries++;
    r->start_s = clock_s();
    r->too_big = false;
    str_clear(&r->answer);
    r->curl_error[0] = '\0';
    easy_common(e, url);
    free(url); /* libcurl has a copy */
    r->header = easy_bearer(NULL, r->bearer);
    if (r->body) {
        r->header = curl_slist_append(r->header, "Content-Type: application/json");
        r->header = curl_slist_append(r->header, "Expect:"); /* no 100-continue round trip */
        curl_easy_setopt(e, CURLOPT_POST, 1L);
        curl_easy_setopt(e, CURLOPT_POSTFIELDS, r->body);
        curl_easy_setopt(e, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)r->n_bytes);
    }
    curl_easy_setopt(e, CURLOPT_HTTPHEADER, r->header);
    curl_easy_setopt(e, CURLOPT_ERRORBUFFER, r->curl_error);
    curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, on_bytes);
    curl_easy_setopt(e, CURLOPT_WRITEDATA, r);
    curl_easy_setopt(e, CURLOPT_PRIVATE, r);
    curl_easy_setopt(e, CURLOPT_CONNECTTIMEOUT_MS, (long)(c->connect_s * 1e3));
    curl_easy_setopt(e, CURLOPT_LOW_SPEED_LIMIT, 1L);
    curl_easy_setopt(e, CURLOPT_LOW_SPEED_TIME, (long)ceil(c->idle_s));
    curl_easy_setopt(e, CURLOPT_TIMEOUT_MS, (long)(c->total_s * 1e3));
    r->prev = NULL;
    r->next = n->running;
    if (r->next)
        r->next->prev = r;
    n->running = r;
    n->n_running++;
    curl_multi_add_handle(n->multi, e);
}

static bool has_word(const struct strbuf *text, const char *word)
{
    size_t len = strlen(word);
    for (size_t i = 0; text->s && i + len <= text->n; i++)
        if (strncasecmp(text->s + i, word, len) == 0)
            return true;
    return false;
}

/* llama-server, vLLM, SGLang and hosted services each say it in other words. */
static bool speaks_of_context(const struct strbuf *answer)
{
    static const char *const sign[] = {
        "context_length_exceeded", "exceed_context_size",      "context length", "context size",
        "context window",          "maximum number of tokens", "is too long",    "input tokens"
    };
    for (size_t i = 0; i < sizeof sign / sizeof *sign; i++)
        if (has_word(answer, sign[i]))
            return true;
    return false;
}

/* The server's words on one printable line, without the key should it repeat it. */
static void excerpt(char out[WHY_EXCERPT + 1], const struct request *r)
{
    struct js *v = NULL;
    struct err ignored;
    const char *text = r->answer.s ? r->answer.s : "";
    size_t n = r->answer.n;
    if (js_parse(&v, text, n, &ignored) == ST_OK) {
        const struct js *e = js_get(v, "error");
        const char *said =
            js_get_text(e, "message", js_get_text(v, "message", js_as_text(e, NULL)));
        if (said) {
            text = said;
            n = strlen(said);
        }
    }
    size_t k = 0;
    const size_t key = r->bearer ? strlen(r->bearer) : 0;
    for (size_t i = 0; i < n && k < WHY_EXCERPT; i++) {
        if (key && n - i >= key && memcmp(text + i, r->bearer, key) == 0) {
            i += key - 1;
            out[k++] = '*';
            continue;
        }
        unsigned char c = (unsigned char)text[i];
        if (c > ' ' && c < 127)
            out[k++] = (char)c;
        else if (k && out[k - 1] != ' ')
            out[k++] = ' ';
    }
    out[k] = '\0';
    js_free(v);
}

static enum net_class judge_status(struct request *r, const char *address)
{
    char words[WHY_EXCERPT + 1];
    const char *type = NULL;
    curl_easy_getinfo(r->easy, CURLINFO_CONTENT_TYPE, &type);
    bool html = type && strncasecmp(type, "text/html", 9) == 0;
    if (r->status >= 200 && r->status < 300) {
        if (!html)
            return NET_OK;
        snprintf(r->why, sizeof r->why,
                 "the server answered an HTML page, want JSON: is '%s%s' right?", address, r->url);
        return NET_REFUSED;
    }
    excerpt(words, r);
    snprintf(r->why, sizeof r->why, "HTTP %d: %s", r->status, html ? "an HTML page" : words);
    if (r->status == 408 || r->status == 425 || r->status == 429 ||
        (r->status >= 500 && r->status != 501))
        return NET_RETRY;
    if ((r->status == 400 || r->status == 413 || r->status == 422) && speaks_of_context(&r->answer))
        return NET_TOO_LONG;
    return NET_REFUSED;
}

static enum net_class judge(struct request *r, const char *address, CURLcode code)
{
    long status = 0;
    curl_easy_getinfo(r->easy, CURLINFO_RESPONSE_CODE, &status);
    r->status = (int)status;
    if (code == CURLE_OK)
        return judge_status(r, address);
    snprintf(r->why, sizeof r->why, "%s",
             r->curl_error[0] ? r->curl_error : curl_easy_strerror(code));
    if (r->too_big)
        snprintf(r->why, sizeof r->why, "the reply is larger than %d MiB", BODY_MAX >> 20);
    return !r->too_big && easy_worth_retry(code) ? NET_RETRY : NET_REFUSED;
}

/* Seconds to wait before the next try; negative: there is none. */
static double pause_s(struct net *n, struct request *r, double after)
{
    if (r->n_tries > n->conf.n_retry)
        return -1;
    if (after > RETRY_AFTER_MAX) {
        size_t used = strlen(r->why);
        snprintf(r->why + used, sizeof r->why - used, " (wants %.0f s of pause)", after);
        return -1;
    }
    if (after > 0)
        return after + 0.1 * rng_uniform(&n->rng);
    return easy_backoff(&n->rng, n->conf.backoff_s, r->n_tries - 1);
}

/* What the outcome says of the address. */
static void judge_lane(struct net *n, const struct request *r, CURLcode code, double after)
{
    struct lane *l = &n->lane[r->lane];
    bool gone = r->status == 0 || code == CURLE_OPERATION_TIMEDOUT;
    double now = clock_s(), aside = 0;
    lane_give_back(l, r->class_ != NET_RETRY);
    if (r->class_ != NET_RETRY)
        lane_answered(l, now, r->answer.n);
    if (code == CURLE_OPERATION_TIMEDOUT)
        lane_late(l);
    if (r->status == 429 || r->status == 503)
        lane_pushed(l, now, r->start_s, after <= RETRY_AFTER_MAX ? after : 0);
    if (r->class_ == NET_RETRY && r->status != 429)
        aside = lane_failed(l, now, r->start_s, gone, n->conf.backoff_s);
    if (aside > 0 && n->n_lane > 1 && l->n_aside == 1) /* said aloud once, then to who asks */
        (l->n_aside_all == 1 ? log_warn : log_debug)("'%s' is left alone for a while: %s", l->url,
                                                     r->why);
}

static bool is_any_healthy(const struct net *n)
{
    double now = clock_s();
    for (size_t i = 0; i < n->n_lane; i++)
        if (lane_is_healthy(&n->lane[i], now))
            return true;
    return false;
}

static void finish(struct net *n, struct request *r, CURLcode code)
{
    curl_off_t after = 0;
    struct curl_header *server;
    curl_easy_getinfo(r->easy, CURLINFO_RETRY_AFTER, &after);
    if (curl_easy_header(r->easy, "Server", 0, CURLH_HEADER, -1, &server) == CURLHE_OK)
        snprintf(r->server, sizeof r->server, "%s", server->value);
    r->class_ = judge(r, n->lane[r->lane].url, code);
    judge_lane(n, r, code, (double)after);
    double pause = r->class_ == NET_RETRY ? pause_s(n, r, (double)after) : -1;
    running_stop(n, r);
    if (pause < 0) {
        queue_put(&n->done, r);
        return;
    }
    if (n->n_lane > 1 && is_any_healthy(n))
        pause = 0;
    log_debug("try %d: %s; again in %.1f s", r->n_tries, r->why, pause);
    r->ready_s = clock_s() + pause;
    queue_put(&n->waiting, r);
}

/* Starts what may start; returns the seconds until the next waiting one may. */
static double start_ready(struct net *n)
{
    double now = clock_s(), wait = 1;
    struct request **at = &n->waiting.first;
    while (*at) {
        if ((*at)->ready_s <= now) {
            int lane = lane_take(n->lane, n->n_lane, now, &wait);
            if (lane < 0)
                break;
            request_start(n, queue_take(&n->waiting, at), lane);
            continue;
        }
        wait = fmin(wait, (*at)->ready_s - now);
        at = &(*at)->next;
    }
    return wait;
}

enum st net_next(struct net *n, struct net_reply *reply, struct err *err)
{
    request_free(n->shown);
    n->shown = NULL;
    while (!n->done.first) {
        if (!n->waiting.n && !n->n_running)
            return ST_END;
        if (stop_asked())
            return err_set(err, ST_INTERRUPTED, "interrupted");
        double wait = start_ready(n);
        int still, left;
        CURLMcode mc = curl_multi_perform(n->multi, &still);
        if (mc == CURLM_OK) {
            CURLMsg *m;
            while ((m = curl_multi_info_read(n->multi, &left))) {
                CURLcode code = m->data.result; /* m dies with the handle's removal */
                struct request *r = NULL;
                curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, (char **)&r);
                finish(n, r, code);
            }
        }
        if (mc == CURLM_OK && !n->done.first)
            mc = curl_multi_poll(n->multi, NULL, 0, (int)fmin(POLL_MS, wait * 1e3 + 1), NULL);
        if (mc != CURLM_OK)
            return err_set(err, ST_NET, "libcurl: %s", curl_multi_strerror(mc));
    }
    struct request *r = n->shown = queue_take(&n->done, &n->done.first);
    *reply = (struct net_reply){ .tag = r->tag,
                                 .class_ = r->class_,
                                 .status = r->status,
                                 .n_tries = r->n_tries,
                                 .lane = r->lane,
                                 .wall_s = clock_s() - r->first_s,
                                 .body = r->answer.s ? r->answer.s : "",
                                 .n_bytes = r->answer.n,
                                 .why = r->class_ == NET_OK ? NULL : r->why,
                                 .server = r->server[0] ? r->server : NULL };
    return ST_OK;
}
