/*
 * synth/probe.h - what a generator is, and its speed against the number of requests at once.
 */
#ifndef MIXLAW_SYNTH_PROBE_H
#define MIXLAW_SYNTH_PROBE_H

#include "base/json.h"
#include "synth/generator.h"

/* First row: what the generator says of itself. Then a row for 1, 2, 4, ... requests at once up to
 * max_in_flight: in_flight tok_per_s latency_s (mean of a request) failed. show takes the row. */
MUST_USE enum st synth_probe(const char *where, const struct generator_conf *conf,
                             int max_in_flight, void (*show)(void *arg, struct js *row), void *arg,
                             struct err *err);

#endif
