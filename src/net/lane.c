/* net/lane.c - see lane.h. */
#include "net/lane.h"

#include <math.h>

enum {
    BAD_MAX = 3,      /* failed tries in a row of a lane that connects */
    HOLD = 8,         /* windows between climbs */
    MEASURED = 2,     /* answers of a window, in limits, */
    MEASURED_MIN = 96 /* and at least: their lengths differ */
};
#define ASIDE_MAX_S 60.0
#define BACK (1.0 / 16) /* of what may run more, for as many answers, after a halving */
#define CLIMB 2.0       /* the limit's factor at first */
#define CLIMB_ON 1.5    /* and later */
#define RETURN 0.25     /* share of what was added that has to come back as speed */

static void window_begin(struct lane *l)
{
    l->n_window = l->n_full = 0;
    l->n_bytes = 0;
}

void lane_init(struct lane *l, char *url, double weight, int n_start, int n_max)
{
    *l = (struct lane){ .url = url, .weight = weight, .n_start = n_start, .n_max = n_max };
    l->limit = l->ceiling = l->good = n_start;
    l->halved_at = l->aside_since = -1;
    l->step = CLIMB;
}

int lane_room(const struct lane *l)
{
    return l->n_out < (int)l->limit ? (int)l->limit - l->n_out : 0;
}

bool lane_is_healthy(const struct lane *l, double now)
{
    return now >= l->closed_until && l->n_aside == 0;
}

/* strict: a healthy lane is there, the others are only tried out. */
static bool may_take(const struct lane *l, double now, bool strict)
{
    if (now < l->closed_until || lane_room(l) == 0)
        return false;
    return !strict || l->n_aside == 0 || (now >= l->aside_until && l->n_out == 0);
}

int lane_take(struct lane *lane, size_t n, double now, double *wait)
{
    bool strict = false;
    double sum = 0;
    int best = -1;
    for (size_t i = 0; i < n; i++)
        strict |= lane_is_healthy(&lane[i], now);
    for (size_t i = 0; i < n; i++) {
        struct lane *l = &lane[i];
        if (!may_take(l, now, strict)) {
            double open = fmax(l->closed_until, l->aside_until);
            if (open > now)
                *wait = fmin(*wait, open - now);
            continue;
        }
        sum += l->weight;
        l->credit += l->weight;
        if (best < 0 || l->credit > lane[best].credit)
            best = (int)i;
    }
    if (best >= 0) {
        struct lane *l = &lane[best];
        l->credit -= sum;
        l->n_full += ++l->n_out == (int)l->limit;
    }
    return best;
}

void lane_give_back(struct lane *l, bool answered)
{
    l->n_out--;
    *(answered ? &l->n_answered : &l->n_failed) += 1;
}

/* A window is over: on, back or stay. */
static void judge_window(struct lane *l, double rate)
{
    if (l->n_hold) { /* the speed at the good limit, for the next climb to compare with */
        l->good_rate = l->good_rate > 0 ? 0.5 * (l->good_rate + rate) : rate;
        if (--l->n_hold)
            return;
    } else if (rate >= l->good_rate * (1 + RETURN * (l->step - 1))) {
        l->good = l->ceiling;
        l->good_rate = rate;
    } else {
        l->limit = l->ceiling = l->good;
        l->n_hold = HOLD;
        l->step = CLIMB_ON;
        return;
    }
    l->limit = l->ceiling = (int)fmin(l->n_max, ceil(l->ceiling * l->step));
    if (l->ceiling == l->good)
        l->n_hold = HOLD; /* as many as there may be */
}

static void watch(struct lane *l, double now, size_t n_bytes)
{
    const int limit = (int)l->limit;
    const int n = MEASURED * limit > MEASURED_MIN ? MEASURED * limit : MEASURED_MIN;
    if (limit < l->ceiling) { /* on the way back from a halving */
        window_begin(l);
        return;
    }
    l->n_window++;
    if (l->n_window == limit)
        l->since = now;
    else if (l->n_window > limit)
        l->n_bytes += (double)n_bytes;
    if (l->n_window < limit + n)
        return;
    if (l->n_full >= n / limit) /* else fewer were asked: nothing was learnt of the limit */
        judge_window(l, l->n_bytes / fmax(now - l->since, 1e-6));
    window_begin(l);
}

void lane_answered(struct lane *l, double now, size_t n_bytes)
{
    l->n_bad = l->n_aside = 0;
    l->aside_until = 0;
    l->limit = fmin(l->ceiling, l->limit + fmax(1 / l->limit, BACK));
    if (l->n_max > l->n_start)
        watch(l, now, n_bytes);
}

void lane_late(struct lane *l)
{
    l->limit = fmax(1, l->limit - 1);
}

void lane_pushed(struct lane *l, double now, double start_s, double retry_after_s)
{
    if (retry_after_s > 0)
        l->closed_until = fmax(l->closed_until, now + retry_after_s);
    if (start_s <= l->halved_at)
        return;
    double at = fmin(l->limit, l->n_out + 1);
    l->halved_at = now;
    l->limit = fmax(1, at / 2);
    if (l->n_max > l->n_start) {
        l->ceiling = l->good = (int)fmax(1, 0.75 * at);
        l->good_rate = 0;
        l->n_hold = HOLD;
        l->step = CLIMB_ON;
        window_begin(l);
    }
}

double lane_failed(struct lane *l, double now, double start_s, bool gone, double first_pause_s)
{
    if (start_s <= l->aside_since)
        return 0; /* was out with the one that told us */
    l->n_bad++;
    if (!gone && l->n_bad < BAD_MAX && !l->n_aside)
        return 0;
    double pause = fmin(ASIDE_MAX_S, first_pause_s * pow(2, l->n_aside));
    l->aside_since = now;
    l->aside_until = now + pause;
    l->n_aside++;
    l->n_aside_all++;
    return pause;
}
