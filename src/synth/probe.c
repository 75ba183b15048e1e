/* synth/probe.c - see probe.h. */
#include "synth/probe.h"

#include <stdio.h>

#include "base/log.h"

enum { PROBE_TOK = 32 };

static enum st measure(const char *where, const struct generator_conf *base, int n, struct js **row,
                       struct err *err)
{
    struct generator_conf conf = *base;
    struct generator *g;
    double latency = 0, start;
    uint64_t n_tok = 0;
    int failed = 0, got = 0;
    conf.n_in_flight = n;
    enum st st = generator_open(&g, where, &conf, err);
    if (st < 0)
        return st;
    start = clock_s();
    for (int i = 0; i < n && generator_room(g) > 0; i++) {
        char user[128];
        snprintf(user, sizeof user, "Tell me something about the number %d.", 1000 * n + i);
        const struct gen_request r = { .user = user,
                                       .tag = (uint64_t)i,
                                       .sampling = { .temperature = 0.7,
                                                     .top_p = 0.9,
                                                     .repetition_penalty = 1,
                                                     .max_tok = PROBE_TOK,
                                                     .seed = (uint64_t)i } };
        generator_submit(g, &r);
    }
    struct generation out;
    while (st == ST_OK && (st = generator_next(g, &out, err)) == ST_OK) {
        got++;
        failed += out.failed;
        n_tok += out.n_tok;
        latency += clock_s() - start;
    }
    double wall_s = clock_s() - start;
    generator_close(g);
    if (st < 0)
        return st;
    *row = js_object();
    js_put_whole(*row, "in_flight", n);
    js_put_real(*row, "tok_per_s", (double)n_tok / wall_s);
    js_put_real(*row, "latency_s", got ? latency / got : 0);
    js_put_whole(*row, "failed", failed);
    return ST_OK;
}

enum st synth_probe(const char *where, const struct generator_conf *conf, int max_in_flight,
                    void (*show)(void *arg, struct js *row), void *arg, struct err *err)
{
    struct generator *g;
    enum st st = generator_open(&g, where, conf, err);
    if (st < 0)
        return st;
    show(arg, generator_about(g));
    generator_close(g);
    for (int n = 1; n <= max_in_flight && st == ST_OK; n *= 2) {
        struct js *row;
        st = measure(where, conf, n, &row, err);
        if (st == ST_OK)
            show(arg, row);
    }
    return st;
}
