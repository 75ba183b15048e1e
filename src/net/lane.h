/*
 * net/lane.h - the addresses that requests may go to: whose turn it is, how many at once each
 * bears, and who is left alone for a while. For net/ only; no libcurl here, times are given, so
 * that all of it can be tested without waiting.
 *
 * Whose turn: of the lanes with room, as often as their weights say. A lane that does not connect,
 * falls silent or fails three times in a row is set aside, 0.5 s at first, doubled each time up to
 * a minute, and comes back with one request at a time until one is answered. That holds while a
 * healthy lane is there to take its requests; when there is none, all are tried.
 *
 * How many at once: limit. A server that says 429 or 503 bears too many: half as many from then on,
 * and none before its Retry-After; one that falls silent, one less. Answers let more
 * out again, a sixteenth (one at least) a round of all, up to the ceiling. What was out when the
 * last halving came does not count again. With n_max above n_start the ceiling is looked for. A
 * window is as many answers as the limit to warm up, and twice as many, 96 at least, that are
 * measured. While doubling the limit makes the answers' bytes come 1.25 times as fast it is
 * doubled; else it goes back, and every eighth window tries half as many again, which has to bring
 * an eighth. A halving lowers the ceiling to 3/4 of where it happened.
 *
 *     8, answers come faster at 16, 32, 64, no faster at 128: 64 ... 96, no faster: 64 ...
 */
#ifndef MIXLAW_NET_LANE_H
#define MIXLAW_NET_LANE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct lane {
    char *url; /* before every request's; the caller's */
    double weight, credit;
    int n_out;
    uint64_t n_answered, n_failed; /* tries */
    double closed_until;           /* clock: Retry-After */
    double aside_since, aside_until;
    int n_aside, n_bad; /* times set aside, failed tries; both in a row */
    uint64_t n_aside_all;
    /* how many at once */
    int n_start, n_max;
    double limit, halved_at;
    int ceiling, good; /* where the limit goes now; where it is known to go well */
    double good_rate, since, n_bytes, step;
    int n_window, n_full; /* answers of the window; how often the lane was filled in it */
    int n_hold;           /* windows until the next climb; 0: climbing */
};

void lane_init(struct lane *l, char *url, double weight, int n_start, int n_max);
int lane_room(const struct lane *l); /* more that may run */

/* The lane of the next request, which counts as out now; -1: none has room or may take it, *wait is
 * lowered to the seconds until one may. */
int lane_take(struct lane *lane, size_t n, double now, double *wait);
bool lane_is_healthy(const struct lane *l,
                     double now); /* open, and the last it said was an answer */

/* A try is over; then what it says of the lane: any of the following. start_s: when it began. */
void lane_give_back(struct lane *l, bool answered);
void lane_answered(struct lane *l, double now, size_t n_bytes);
void lane_pushed(struct lane *l, double now, double start_s, double retry_after_s); /* too many */
void lane_late(struct lane *l); /* fell silent: one less */
/* gone: no answer came at all. Returns the seconds for which it is set aside now, else 0. */
double lane_failed(struct lane *l, double now, double start_s, bool gone, double first_pause_s);

#endif
