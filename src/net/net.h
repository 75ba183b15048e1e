/*
 * net/net.h - HTTP: many requests in flight, retries by class of error, resumable downloads.
 * Only this folder knows libcurl. What is retried and when stands at the top of net.c.
 *
 *     struct net *n = net_new(&conf);
 *     net_post(n, url, headers, body, n_bytes, tag);       as many as net_room(n) says
 *     while (net_next(n, &reply, err) == ST_OK) ...        blocks for the next; ST_END: none left
 *
 * Errors of one request come back in its reply; net_next itself fails only when the library does.
 * Threads: a struct net belongs to one thread.
 */
#ifndef MIXLAW_NET_NET_H
#define MIXLAW_NET_NET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

enum net_class {               /* what to do about an outcome */
                 NET_OK,       /* 2xx, complete */
                 NET_RETRY,    /* connect, time-out, cut stream, 408, 425, 429, 5xx: retried inside,
                                  this is the last word */
                 NET_TOO_LONG, /* 400/413 that says the context is too long: never retried */
                 NET_REFUSED   /* other 4xx, not the expected content: never retried */
};

/* An address that requests may go to. Several serve alike: a request that one of them fails goes to
 * another at once, and who fails is left alone for a while (net/lane.h). */
struct net_lane {
    const char *url;    /* before every request's; copied */
    double weight;      /* its share of the requests while it has room */
    int n_start, n_max; /* at once: at the start; when larger, found out by the speed of answers */
};

struct net_conf {
    const struct net_lane *lane; /* none: requests have whole addresses, n_in_flight at once */
    size_t n_lane;
    int n_in_flight; /* at once; default 8; fewer while the server says that it has too much */
    int n_retry; /* default 8: 0.5 s doubled each time with jitter, at most 60 s: over a minute in
                  * all, what a server takes to start again; Retry-After wins. Negative: none */
    double connect_s, idle_s, total_s; /* default 10, 600, 1800 */
    double backoff_s;                  /* first pause between tries; default 0.5 */
    uint64_t seed;                     /* of the jitter */
};

struct net_reply {
    uint64_t tag;
    enum net_class class_;
    int status; /* HTTP status, 0 when none came */
    int n_tries, lane;
    double wall_s;
    const char *body; /* terminated; borrowed until the next net_ call */
    size_t n_bytes;
    const char *why;    /* one line for people when class_ is not NET_OK */
    const char *server; /* what it calls itself in its header, or NULL; borrowed like body */
};

struct net_lane_state {
    uint64_t n_answered, n_failed, n_aside; /* tries; times it was set aside */
    int n_at_once;                          /* allowed now */
};

struct net;
struct net *net_new(const struct net_conf *conf);
void net_free(struct net *n);      /* NULL is fine; cancels what is in flight */
int net_room(const struct net *n); /* how many more may be posted now */
struct net_lane_state net_lane(const struct net *n, size_t i);
/* bearer: value of the Authorization header after "Bearer ", or NULL; never logged. Copies
 * everything. */
void net_post(struct net *n, const char *url, const char *bearer, const char *body, size_t n_bytes,
              uint64_t tag);
/* As net_post, but not before pause_s are over. */
void net_post_later(struct net *n, const char *url, const char *bearer, const char *body,
                    size_t n_bytes, uint64_t tag, double pause_s);
void net_get(struct net *n, const char *url, const char *bearer, uint64_t tag);
MUST_USE enum st net_next(struct net *n, struct net_reply *reply,
                          struct err *err); /* ST_OK, ST_END, ST_INTERRUPTED */

/* Downloads url to path, going on where a former try stopped (path.part), checking the length. */
MUST_USE enum st net_download(const char *url, const char *path, struct err *err);

#endif
