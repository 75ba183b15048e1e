/*
 * synth/generator.h - whoever answers prompts, behind one interface.
 *
 *   FILE.gguf, DIR     our own engine (model/generate.h)
 *   http(s)://...      OpenAI-style servers: URL[@WEIGHT],URL[@WEIGHT]... that serve one model
 *   batch:DIR          OpenAI batch files: requests out, results in another day (batch.c)
 *   record:FILE        answers recorded before (a ledger, or JSONL with prompt and raw): for tests
 *
 *     st = generator_open(&g, "model.gguf", &conf, err);   or generator_open_for, for a recipe
 *     while (generator_room(g) > 0) generator_submit(g, &request);
 *     while ((st = generator_next(g, &answer, err)) == ST_OK) ...      ST_END: none in flight
 *
 * To add one: a file with a struct generator_ops, its addresses in kind_of() (generator.c).
 * Threads: a generator belongs to one thread.
 */
#ifndef MIXLAW_SYNTH_GENERATOR_H
#define MIXLAW_SYNTH_GENERATOR_H

#include "base/err.h"
#include "base/hash.h"
#include "base/json.h"
#include "model/generate.h"
#include "synth/ledger.h"
#include "synth/recipe.h"

/* How a prompt is put: as turns of a chat, through the model's template, or, for models that have
 * none, as one plain text that the answer continues: system, user and prefill one after the other.
 */
enum gen_api { API_CHAT, API_COMPLETION };
#define GEN_APIS "chat|completion" /* their names, in this order */
enum gen_api gen_api_by_name(const char *name);

struct generator_conf {
    enum gen_api api;
    const char *model;            /* a server's model; NULL: its first */
    const char *key;              /* a server's key, never shown; NULL: none */
    int n_threads;                /* of the local engine */
    int n_in_flight;              /* requests at once; 0: what suits the generator */
    int max_seq_len;              /* of the local engine, prompt and answer; 0: its own limit */
    enum gen_precision precision; /* of the local engine's products */
    enum gen_kv kv;               /* what its cache holds */
    const char *amateur; /* of the local engine: a weaker model for contrastive decoding; or NULL */
    double idle_s;       /* a server that says nothing for so long has failed; 0: 600 */
    double backoff_s;    /* first pause before a request is tried again; 0: 0.5 */
    int n_retry;         /* how often; 0: net's default, negative: never */
    uint64_t seed;       /* of the pauses' jitter */
    struct ledger *ledger; /* of batch files: to know their results again; NULL: none */
};

struct generation {
    uint64_t tag;
    bool failed;   /* the line or the server failed, and no try was left: why says it */
    bool is_alone; /* a failure that says nothing of the generator */
    bool is_later; /* no failure but a request that a person takes to its server: why says how */
    const char *why;
    const char *text; /* begins with the prefill; valid until the next call */
    size_t n_bytes;
    enum finish finish;
    uint32_t n_tok_prompt, n_tok;
    uint32_t n_redrawn, n_changed; /* of an edit */
    double wall_s;
};

/* What not every generator can do. */
enum {
    GENERATOR_RAW = 1, /* go on with plain text */
    GENERATOR_CONTRAST = 2,
    GENERATOR_EDIT = 4
};

struct generator;
struct generator_ops {
    const char *name;
    unsigned can;
    enum st (*open)(void **state, const char *where, const struct generator_conf *conf,
                    struct err *err);
    int (*room)(const void *state);
    void (*submit)(void *state, const struct gen_request *r);
    enum st (*next)(void *state, struct generation *out, struct err *err);
    struct js *(*about)(const void *state); /* for the manifest: name, model, what else is known */
    /* Of the model and of what was asked for that changes its answers: for requests' keys. */
    struct digest (*digest)(const void *state);
    void (*close)(void *state); /* NULL is fine */
};
extern const struct generator_ops generator_local, generator_server, generator_batch,
    generator_record;

/* Errors: ST_USAGE nothing of that name; ST_NET no server there, or it has not the model. */
MUST_USE enum st generator_open(struct generator **out, const char *where,
                                const struct generator_conf *conf, struct err *err);
/* The same for what a recipe asks; an amateur that it does not use is left out. ST_USAGE: it wants
 * one and there is none. ST_UNSUPPORTED: this kind of generator cannot do it. */
MUST_USE enum st generator_open_for(struct generator **out, const struct recipe *r,
                                    const char *where, const struct generator_conf *conf,
                                    struct err *err);
void generator_close(struct generator *g); /* NULL is fine */
int generator_room(const struct generator *g);
void generator_submit(struct generator *g, const struct gen_request *r);
MUST_USE enum st generator_next(struct generator *g, struct generation *out, struct err *err);
struct js *generator_about(const struct generator *g);
struct digest generator_digest(const struct generator *g);

/* Digest of a prompt's texts: the key of recorded answers. */
struct digest prompt_text_digest(const char *system, const char *user, const char *prefill);

/* Key from MIXLAW_API_KEY, else OPENAI_API_KEY; NULL when neither is set. */
const char *generator_key(void);

#endif
