/*
 * synth/endpoint.h - the addresses of OpenAI-style servers, and what is to be learnt by looking at
 * one. For server.c and probe.c.
 *
 *     http://a:8000                    one; "/v1" is added when it is not there
 *     http://a:8000,http://b:8000@3    several that serve the same model; @3 weighs three times
 */
#ifndef MIXLAW_SYNTH_ENDPOINT_H
#define MIXLAW_SYNTH_ENDPOINT_H

#include "base/hash.h"
#include "base/json.h"
#include "net/net.h"

struct endpoint {
    char *base; /* ends in /v1 */
    double weight;
    /* known after endpoint_look */
    char *model;
    char *software;    /* "llama.cpp", "vLLM", ... or how it calls itself; NULL: it does not say */
    struct js *models; /* as listed */
    struct js *about;  /* of the model: model, meta, max_model_len, slots, n_ctx as they are said */
    bool shows_template;
    int slots;            /* answered at once; 0: it does not say */
    struct digest digest; /* of the model, never of the address */
};

/* Of the model's name and what the server says of its weights (or NULL), never of its address: the
 * same model behind another port is the same model. */
struct digest served_digest(const char *model, const struct js *meta);

struct endpoints {
    struct endpoint *e;
    size_t n, cap;
};

/* ST_USAGE: an address with a user or password, or no positive weight. Nothing of an address with
 * a password is repeated. */
MUST_USE enum st endpoints_parse(struct endpoints *out, const char *where, struct err *err);
void endpoints_release(struct endpoints *s);

/* Asks it for its models, and llama-server for its slots. want: the model, NULL: its first. ST_NET:
 * nobody there; ST_USAGE: it lists no models and none was named, or refuses the key. */
MUST_USE enum st endpoint_look(struct endpoint *e, struct net *net, const char *key,
                               const char *want, struct err *err);

/* Looks at all; those that cannot be reached are left out with a warning while one can. ST_USAGE:
 * they serve different models. */
MUST_USE enum st endpoints_look(struct endpoints *s, struct net *net, const char *key,
                                const char *want, struct err *err);

#endif
