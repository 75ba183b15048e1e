/* synth/generator.c - see generator.h: finds the kind by the address, forwards to it. */
#include "synth/generator.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"

struct generator {
    const struct generator_ops *ops;
    void *state;
    enum gen_api api;
};

static const struct generator_ops *kind_of(const char *where)
{
    if (str_starts(where, "http://") || str_starts(where, "https://"))
        return &generator_server;
    if (str_starts(where, "batch:"))
        return &generator_batch;
    if (str_starts(where, "record:"))
        return &generator_record;
    return file_exists(where) ? &generator_local : NULL;
}

enum st generator_open(struct generator **out, const char *where, const struct generator_conf *conf,
                       struct err *err)
{
    const struct generator_ops *ops = kind_of(where);
    if (!ops)
        return err_set(err, ST_USAGE,
                       "generator '%s': no such file; want a GGUF file, a model folder, an "
                       "http(s) address, batch:DIR or record:FILE",
                       where);
    struct generator *g = NEW(struct generator);
    g->ops = ops;
    g->api = conf->api;
    enum st st = ops->open(&g->state, where, conf, err);
    if (st < 0) {
        free(g);
        /* A server's messages name the address, or keep quiet about one that holds a password. */
        return ops == &generator_server ? st : err_in(err, st, "generator '%s'", where);
    }
    *out = g;
    return ST_OK;
}

static enum st check_able(const struct generator *g, const struct recipe *r, const char *where,
                          struct err *err)
{
    const char *what = NULL;
    if (recipe_edits(r) && !(g->ops->can & GENERATOR_EDIT))
        what = "edits tokens by their probabilities";
    else if (recipe_contrasts(r) && !(g->ops->can & GENERATOR_CONTRAST))
        what = "draws from two models";
    else if (recipe_goes_on(r) && !(g->ops->can & GENERATOR_RAW))
        what = "goes on with plain text";
    if (!what)
        return ST_OK;
    return err_set(err, ST_UNSUPPORTED,
                   "generator '%s': recipe '%s' %s, want a GGUF file or a model folder", where,
                   r->name, what);
}

enum st generator_open_for(struct generator **out, const struct recipe *r, const char *where,
                           const struct generator_conf *conf, struct err *err)
{
    struct generator_conf c = *conf;
    if (recipe_contrasts(r) && !c.amateur && !str_starts(where, "record:"))
        return err_set(err, ST_USAGE,
                       "recipe '%s' contrasts the generator with a weaker model: want --amateur "
                       "FILE.gguf or DIR",
                       r->name);
    if (!recipe_contrasts(r) && c.amateur) {
        log_info("recipe '%s' contrasts no models: --amateur is not used", r->name);
        c.amateur = NULL;
    }
    enum st st = generator_open(out, where, &c, err);
    if (st < 0)
        return st;
    st = check_able(*out, r, where, err);
    if (st < 0) {
        generator_close(*out);
        *out = NULL;
    }
    return st;
}

void generator_close(struct generator *g)
{
    if (!g)
        return;
    g->ops->close(g->state);
    free(g);
}

int generator_room(const struct generator *g)
{
    return g->ops->room(g->state);
}

/* The prompt as one text, with the answer's place behind it. */
static char *plain_prompt(const struct gen_request *r)
{
    return xasprintf("%s%s%s\n\n", r->system ? r->system : "", r->system ? "\n\n" : "", r->user);
}

void generator_submit(struct generator *g, const struct gen_request *r)
{
    struct gen_request plain = *r;
    bool join = g->api == API_COMPLETION && !r->raw && g->ops != &generator_record;
    char *raw = join ? plain_prompt(r) : NULL; /* what is recorded is found by its parts */
    if (raw) {
        plain.raw = raw;
        plain.raw_is_plain = true;
    }
    g->ops->submit(g->state, &plain);
    free(raw);
}

enum st generator_next(struct generator *g, struct generation *out, struct err *err)
{
    *out = (struct generation){ 0 };
    return g->ops->next(g->state, out, err);
}

struct js *generator_about(const struct generator *g)
{
    struct js *v = g->ops->about(g->state);
    char hex[DIGEST_HEX];
    js_put_text(v, "kind", g->ops->name);
    if (g->api == API_COMPLETION)
        js_put_text(v, "api", "completion");
    js_put_text(v, "digest", digest_hex(generator_digest(g), hex));
    return v;
}

struct digest generator_digest(const struct generator *g)
{
    struct digest model = g->ops->digest(g->state);
    if (g->api == API_CHAT)
        return model;
    struct hasher *h = hasher_new();
    hasher_text(h, "completion");
    hasher_whole(h, model.hi);
    hasher_whole(h, model.lo);
    struct digest d = hasher_digest(h);
    hasher_free(h);
    return d;
}

struct digest prompt_text_digest(const char *system, const char *user, const char *prefill)
{
    struct hasher *h = hasher_new();
    hasher_text(h, system);
    hasher_text(h, user);
    hasher_text(h, prefill);
    struct digest d = hasher_digest(h);
    hasher_free(h);
    return d;
}

enum gen_api gen_api_by_name(const char *name)
{
    return strcmp(name, "completion") == 0 ? API_COMPLETION : API_CHAT;
}

const char *generator_key(void)
{
    const char *key = getenv("MIXLAW_API_KEY");
    if (!key || !*key)
        key = getenv("OPENAI_API_KEY");
    return key && *key ? key : NULL;
}
