/*
 * synth/probe.h - what a generator is, what it can, and its speed against the number of requests at
 * once.
 */
#ifndef MIXLAW_SYNTH_PROBE_H
#define MIXLAW_SYNTH_PROBE_H

#include "base/json.h"
#include "synth/generator.h"

/* First a row for each address of a server:
 *     server software model models context slots   as the server says, null where it does not
 *     chat completion        whether requests of that kind are answered
 *     template               "shown" by the server, "unseen" though chat works, "none"
 *     extra_fields           whether it takes top_k, min_p and repetition_penalty
 *     seed                   the same one gives the same text again; null: every one gives the same
 *     logprobs               whether it gives any
 * or one of what another generator says of itself. Then one for 1, 2, 4, ... requests at once, up
 * to max_in_flight or until speed has not grown twice: in_flight requests failed tok_per_s
 * latency_s latency_max_s. At the end pick, the smallest number within a tenth of the best speed,
 * and tok_per_s there. show takes the rows. ST_NET: no request was answered. */
MUST_USE enum st synth_probe(const char *where, const struct generator_conf *conf,
                             int max_in_flight, void (*show)(void *arg, struct js *row), void *arg,
                             struct err *err);

#endif
