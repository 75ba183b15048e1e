/* tests/net/lane.c - who is asked and how many requests are out, against servers in virtual time.
 */
#include "net_tests.h"

#include <math.h>

#include "base/rng.h"
#include "net/lane.h"

enum { OUT_MAX = 4096 };

/* Answers n_slot requests at once, one in about a second, the others in turn; refuses those beyond
 * refuse_at with a 429. */
struct sim {
    int n_slot, refuse_at;
    double done[OUT_MAX], start[OUT_MAX]; /* requests that are out */
    double free_at[OUT_MAX];              /* slots */
    int n_out;
    uint64_t n_answered, n_refused;
    double now;
    struct rng rng;
};

static void sim_send(struct sim *s)
{
    int slot = 0;
    for (int i = 1; i < s->n_slot; i++)
        if (s->free_at[i] < s->free_at[slot])
            slot = i;
    s->start[s->n_out] = s->now;
    if (s->n_out >= s->refuse_at) {
        s->done[s->n_out++] = s->now + 0.01;
        return;
    }
    double begin = fmax(s->now, s->free_at[slot]);
    s->free_at[slot] = s->done[s->n_out++] = begin + 0.8 + 0.4 * rng_uniform(&s->rng);
}

/* Runs until n answers have come; requests are always waiting. */
static void sim_run(struct sim *s, struct lane *l, uint64_t n)
{
    for (uint64_t until = s->n_answered + n; s->n_answered < until;) {
        double wait = 1e9;
        while (lane_take(l, 1, s->now, &wait) == 0)
            sim_send(s);
        int next = 0;
        for (int i = 1; i < s->n_out; i++)
            if (s->done[i] < s->done[next])
                next = i;
        bool refused = s->done[next] - s->start[next] < 0.5;
        s->now = s->done[next];
        lane_give_back(l, !refused);
        if (refused)
            lane_pushed(l, s->now, s->start[next], 0);
        else
            lane_answered(l, s->now, 500 + rng_below(&s->rng, 1000));
        s->n_answered += !refused;
        s->n_refused += refused;
        s->n_out--;
        s->done[next] = s->done[s->n_out];
        s->start[next] = s->start[s->n_out];
    }
}

static void test_limit_grows(void)
{
    static const struct {
        int n_slot, lo, hi;
    } row[] = { { 1, 8, 8 }, { 6, 8, 8 }, { 24, 16, 32 }, { 64, 60, 80 }, { 200, 128, 256 } };
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        static struct sim s;
        struct lane l;
        s = (struct sim){ .n_slot = row[i].n_slot, .refuse_at = OUT_MAX };
        rng_init(&s.rng, 1, "sim", i);
        lane_init(&l, NULL, 1, 8, 512);
        sim_run(&s, &l, 8000);
        int limit = 0;
        for (int k = 0; k < 200; k++) { /* over the tries to go higher */
            sim_run(&s, &l, 20);
            limit += l.good;
        }
        limit /= 200;
        CHECK(limit >= row[i].lo && limit <= row[i].hi, "%d slots: %d at once, want %d to %d",
              row[i].n_slot, limit, row[i].lo, row[i].hi);
        double start = s.now;
        sim_run(&s, &l, 4000);
        CHECK(4000 / (s.now - start) > 0.6 * row[i].n_slot, "%d slots: %.1f answers/s",
              row[i].n_slot, 4000 / (s.now - start));
    }
}

static void test_limit_shrinks(void)
{
    static struct sim s;
    struct lane l;
    s = (struct sim){ .n_slot = 40, .refuse_at = 20 };
    rng_init(&s.rng, 2, "sim", 0);
    lane_init(&l, NULL, 1, 8, 512);
    sim_run(&s, &l, 4000);
    uint64_t refused = s.n_refused;
    double start = s.now;
    sim_run(&s, &l, 4000);
    CHECK(l.limit <= 25 && l.limit >= 5, "limit %.1f where 20 are borne", l.limit);
    CHECK(s.n_refused - refused < 200, "%d of 4000 refused", (int)(s.n_refused - refused));
    CHECK(s.n_refused > refused, "never tried more");
    CHECK(4000 / (s.now - start) > 11, "%.1f answers/s where 20 are borne", 4000 / (s.now - start));
    s.refuse_at = 5; /* others came */
    sim_run(&s, &l, 400);
    CHECK(l.limit < 7, "limit %.1f where 5 are borne", l.limit);
    s.refuse_at = OUT_MAX; /* and went */
    sim_run(&s, &l, 8000);
    CHECK(l.limit > 25, "limit %.1f where 40 are borne again", l.limit);
}

static void test_limit_fixed(void)
{
    static struct sim s;
    struct lane l;
    s = (struct sim){ .n_slot = 200, .refuse_at = OUT_MAX };
    rng_init(&s.rng, 3, "sim", 0);
    lane_init(&l, NULL, 1, 12, 12);
    sim_run(&s, &l, 2000);
    CHECK(l.limit == 12, "limit %.1f", l.limit);
    s.refuse_at = 6;
    sim_run(&s, &l, 200);
    CHECK(l.limit < 9 && l.limit >= 3, "limit %.1f where 6 are borne", l.limit);
    s.refuse_at = OUT_MAX;
    sim_run(&s, &l, 2000);
    CHECK(l.limit == 12, "limit %.1f after that", l.limit);
}

static void test_few_requests_say_nothing(void)
{
    struct lane l;
    lane_init(&l, NULL, 1, 8, 512);
    for (int i = 0; i < 1000; i++) { /* one at a time */
        double wait = 1;
        CHECK(lane_take(&l, 1, i, &wait) == 0, "no room");
        lane_give_back(&l, true);
        lane_answered(&l, i + 0.5, 1000);
    }
    CHECK(l.limit == 8, "limit %.1f", l.limit);
}

static void test_weights(void)
{
    struct lane l[3];
    double wait = 1;
    for (int i = 0; i < 3; i++)
        lane_init(&l[i], NULL, (double[]){ 1, 2, 5 }[i], 1000, 1000);
    for (int i = 0; i < 800; i++)
        CHECK(lane_take(l, 3, 0, &wait) >= 0, "no room");
    CHECK(l[0].n_out == 100 && l[1].n_out == 200 && l[2].n_out == 500, "%d %d %d", l[0].n_out,
          l[1].n_out, l[2].n_out);
    l[2].limit = 500; /* full: the others share what comes */
    for (int i = 0; i < 30; i++)
        lane_take(l, 3, 0, &wait);
    CHECK(l[0].n_out == 110 && l[1].n_out == 220 && l[2].n_out == 500, "%d %d %d", l[0].n_out,
          l[1].n_out, l[2].n_out);
}

static void test_set_aside(void)
{
    struct lane l[2];
    double now = 10, wait = 1, pause = 0;
    lane_init(&l[0], NULL, 1, 4, 4);
    lane_init(&l[1], NULL, 1, 100, 100);
    for (int i = 0; i < 4; i++)
        lane_take(l, 2, now, &wait);
    CHECK(l[0].n_out == 2 && l[1].n_out == 2, "%d %d", l[0].n_out, l[1].n_out);
    for (int i = 0; i < 2; i++) { /* both requests at it fail together: one pause */
        lane_give_back(&l[0], false);
        pause = lane_failed(&l[0], now + 1, now, true, 0.5);
        CHECK(pause == (i ? 0 : 0.5), "pause %g", pause);
    }
    now = 11;
    for (int i = 0; i < 10; i++)
        CHECK(lane_take(l, 2, now, &wait) == 1, "asked while set aside");
    CHECK(fabs(wait - 0.5) < 1e-9, "back in %g s", wait);
    static const double want[] = { 1, 2, 4, 8, 16, 32, 60, 60 };
    for (size_t i = 0; i < sizeof want / sizeof *want; i++) { /* tried out, with one request */
        now = l[0].aside_until;
        int n = 0;
        for (int k = 0; k < 4; k++)
            n += lane_take(l, 2, now, &wait) == 0;
        CHECK(n == 1, "%d requests to find out", n);
        lane_give_back(&l[0], false);
        pause = lane_failed(&l[0], now, now, true, 0.5);
        CHECK(pause == want[i], "pause %g, want %g", pause, want[i]);
        now += 0.001;
        l[0].aside_since -= 1e-6;
    }
    CHECK(l[0].n_aside_all == 9, "%d times", (int)l[0].n_aside_all);
    now = l[0].aside_until;
    while (lane_take(l, 2, now, &wait) != 0)
        CHECK(l[1].n_out < 90, "never tried again");
    lane_give_back(&l[0], true);
    lane_answered(&l[0], now, 1);
    int n = 0;
    for (int k = 0; k < 8; k++)
        n += lane_take(l, 2, now, &wait) == 0;
    CHECK(n == 4, "%d of 8 to the one that is back", n);
}

static void test_nobody_left(void)
{
    struct lane l[2];
    double now = 10, wait = 1;
    for (int i = 0; i < 2; i++) {
        lane_init(&l[i], NULL, 1, 4, 4);
        lane_take(&l[i], 1, 0, &wait);
        lane_give_back(&l[i], false);
        CHECK(lane_failed(&l[i], now, now, true, 30) == 30, "not set aside");
    }
    int n = 0;
    while (lane_take(l, 2, now, &wait) >= 0)
        n++;
    CHECK(n == 8, "%d requests out where all fail, want 8: their own pauses count", n);
}

static void test_three_errors(void)
{
    struct lane l;
    double wait = 1;
    lane_init(&l, NULL, 1, 4, 4);
    for (int i = 0; i < 7; i++) { /* two 500s, an answer, two 500s, ...: it is alive */
        lane_take(&l, 1, i, &wait);
        lane_give_back(&l, i % 3 == 2);
        if (i % 3 == 2)
            lane_answered(&l, i, 1);
        else
            CHECK(lane_failed(&l, i, i, false, 0.5) == 0, "set aside at %d", i);
    }
    for (int i = 7; i < 9; i++) {
        lane_take(&l, 1, i, &wait);
        lane_give_back(&l, false);
        CHECK((lane_failed(&l, i, i, false, 0.5) > 0) == (i == 8), "at %d", i);
    }
}

const struct check_test lane_test[] = {
    TEST(test_limit_grows), TEST(test_limit_shrinks),
    TEST(test_limit_fixed), TEST(test_few_requests_say_nothing),
    TEST(test_weights),     TEST(test_set_aside),
    TEST(test_nobody_left), TEST(test_three_errors),
};
const size_t n_lane_test = sizeof lane_test / sizeof *lane_test;
