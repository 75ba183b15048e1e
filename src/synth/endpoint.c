/* synth/endpoint.c - see endpoint.h. */
#include "synth/endpoint.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"

static void endpoint_release(struct endpoint *e)
{
    free(e->base);
    free(e->model);
    free(e->software);
    js_free(e->models);
    js_free(e->about);
    *e = (struct endpoint){ 0 };
}

void endpoints_release(struct endpoints *s)
{
    for (size_t i = 0; i < s->n; i++)
        endpoint_release(&s->e[i]);
    free(s->e);
    *s = (struct endpoints){ 0 };
}

/* Bytes of the address that the text begins with: to its end or to ",http://" and the like. */
static size_t address_len(const char *s)
{
    const char *p = s;
    while ((p = strchr(p, ',')) && !str_starts(p, ",http://") && !str_starts(p, ",https://"))
        p++;
    return p ? (size_t)(p - s) : strlen(s);
}

/* Takes "@WEIGHT" off the end; 1 when there is none. */
static double take_weight(char *address)
{
    char *at = strrchr(address, '@'), *end;
    if (!at || !at[1])
        return 1;
    double weight = strtod(at + 1, &end);
    if (*end)
        return 1;
    *at = '\0';
    return weight;
}

static enum st endpoint_parse(struct endpoint *e, const char *text, size_t n, struct err *err)
{
    char *address = xstrndup(text, n);
    enum st st = ST_OK;
    e->weight = take_weight(address);
    const char *host = strstr(address, "://");
    size_t len = strlen(address);
    if (!(e->weight > 0 && e->weight <= 1e6))
        st = err_set(err, ST_USAGE, "'%s' has the weight %g, want a positive one", address,
                     e->weight);
    if (!host)
        st = err_set(err, ST_USAGE, "'%s' is no http(s) address", address);
    else if (memchr(host + 3, '@', strcspn(host + 3, "/")))
        st = err_set(err, ST_USAGE,
                     "an address holds a user name or a password: keys come from MIXLAW_API_KEY or "
                     "OPENAI_API_KEY alone");
    while (len && address[len - 1] == '/')
        address[--len] = '\0';
    e->base = xasprintf("%s%s", address, str_ends(address, "/v1") ? "" : "/v1");
    free(address);
    return st;
}

enum st endpoints_parse(struct endpoints *out, const char *where, struct err *err)
{
    enum st st = ST_OK;
    while (*where && st == ST_OK) {
        size_t n = address_len(where);
        GROW(out->e, out->n, out->cap);
        out->e[out->n] = (struct endpoint){ 0 };
        st = endpoint_parse(&out->e[out->n++], where, n, err);
        where += n + (where[n] == ',');
    }
    return st;
}

/* GET base + path as JSON; NULL when there is none. */
static enum st get_json(struct net *net, const char *base, const char *path, const char *key,
                        struct js **out, struct net_reply *reply, struct err *err)
{
    char *url = xasprintf("%s%s", base, path);
    struct err bad;
    *out = NULL;
    net_get(net, url, key, 0);
    enum st st = net_next(net, reply, err);
    if (st == ST_OK && reply->class_ == NET_OK &&
        js_parse(out, reply->body, reply->n_bytes, &bad) < 0)
        *out = NULL;
    free(url);
    return st;
}

static void note_software(struct endpoint *e, const char *name)
{
    static const struct {
        const char *sign, *name;
    } known[] = {
        { "llama.cpp", "llama.cpp" }, { "llamacpp", "llama.cpp" }, { "vllm", "vLLM" },
        { "sglang", "SGLang" },       { "openai", "OpenAI" },      { "system", "OpenAI" }
    };
    if (!name || !*name || e->software)
        return;
    for (size_t i = 0; i < N_OF(known); i++)
        if (strcmp(name, known[i].sign) == 0)
            name = known[i].name;
    e->software = xstrdup(name);
}

static void copy_member(struct js *to, const struct js *from, const char *key)
{
    if (js_get(from, key))
        js_put(to, key, js_copy(js_get(from, key)));
}

/* The server's models; its own words about the one we use go into the manifest. */
static enum st choose_model(struct endpoint *e, struct net *net, const char *key, const char *want,
                            struct err *err)
{
    struct js *v;
    struct net_reply reply;
    enum st st = get_json(net, e->base, "/models", key, &v, &reply, err);
    if (st < 0)
        return st;
    if (reply.status == 401 || reply.status == 403)
        return err_set(err, ST_USAGE,
                       "'%s/models': %s (the key is taken from MIXLAW_API_KEY or OPENAI_API_KEY)",
                       e->base, reply.why);
    if (reply.class_ != NET_OK && reply.status != 404)
        return err_set(err, ST_NET, "'%s/models': %s", e->base, reply.why);
    const struct js *list = js_get(v, "data"), *hit = NULL;
    for (size_t i = 0; i < js_len(list) && !hit; i++)
        if (!want || strcmp(js_get_text(js_at(list, i), "id", ""), want) == 0)
            hit = js_at(list, i);
    if (!hit && !want) {
        js_free(v);
        return err_set(err, ST_USAGE, "'%s' lists no models: give --model NAME", e->base);
    }
    e->models = list ? js_copy(list) : js_array();
    e->model = xstrdup(want ? want : js_get_text(hit, "id", ""));
    note_software(e, js_get_text(hit, "owned_by", NULL));
    note_software(e, reply.server);
    e->about = js_object();
    js_put_text(e->about, "model", e->model);
    copy_member(e->about, hit, "meta");
    copy_member(e->about, hit, "max_model_len");
    js_free(v);
    return ST_OK;
}

/* llama-server says how many slots it has and how long each is. */
static enum st look_at_props(struct endpoint *e, struct net *net, const char *key, struct err *err)
{
    struct js *v;
    struct net_reply reply;
    char *root = xstrndup(e->base, strlen(e->base) - strlen("/v1"));
    enum st st = get_json(net, root, "/props", key, &v, &reply, err);
    free(root);
    if (st < 0)
        return st;
    int64_t slots = js_get_whole(v, "total_slots", 0);
    e->slots = slots > 0 && slots < 1 << 20 ? (int)slots : 0;
    if (e->slots)
        js_put_whole(e->about, "slots", e->slots);
    copy_member(e->about, js_get(v, "default_generation_settings"), "n_ctx");
    e->shows_template = *js_get_text(v, "chat_template", "") != '\0';
    js_free(v);
    return ST_OK;
}

struct digest served_digest(const char *model, const struct js *meta)
{
    struct hasher *h = hasher_new();
    struct strbuf b = { 0 };
    hasher_text(h, "server");
    hasher_text(h, model);
    if (meta)
        js_write(meta, &b);
    hasher_text(h, b.s);
    struct digest d = hasher_digest(h);
    hasher_free(h);
    str_release(&b);
    return d;
}

enum st endpoint_look(struct endpoint *e, struct net *net, const char *key, const char *want,
                      struct err *err)
{
    enum st st = choose_model(e, net, key, want, err);
    if (st == ST_OK)
        st = look_at_props(e, net, key, err);
    if (st == ST_OK)
        e->digest = served_digest(e->model, js_get(e->about, "meta"));
    return st;
}

static bool lists(const struct endpoint *e, const char *model)
{
    for (size_t i = 0; i < js_len(e->models); i++)
        if (strcmp(js_get_text(js_at(e->models, i), "id", ""), model) == 0)
            return true;
    return false;
}

static enum st want_same(const struct endpoint *a, const struct endpoint *b, struct err *err)
{
    if (js_len(a->models) && js_len(b->models) && lists(a, a->model) && !lists(b, a->model))
        return err_set(err, ST_USAGE,
                       "'%s' serves '%s', '%s' does not: all addresses must serve the same model",
                       a->base, a->model, b->base);
    if (digest_cmp(a->digest, b->digest) != 0)
        return err_set(err, ST_USAGE,
                       "'%s' and '%s' call different models '%s': all addresses must serve the "
                       "same one",
                       a->base, b->base, a->model);
    return ST_OK;
}

enum st endpoints_look(struct endpoints *s, struct net *net, const char *key, const char *want,
                       struct err *err)
{
    size_t n = 0;
    for (size_t i = 0; i < s->n; i++) {
        struct endpoint *e = &s->e[i];
        enum st st = endpoint_look(e, net, key, n ? s->e[0].model : want, err);
        if (st == ST_NET && (n || i + 1 < s->n)) {
            log_warn("%s; going on without it", err->msg);
            endpoint_release(e);
            continue;
        }
        if (st == ST_OK && n)
            st = want_same(&s->e[0], e, err);
        if (st < 0)
            return st;
        if (n != i) {
            s->e[n] = *e;
            *e = (struct endpoint){ 0 };
        }
        n++;
    }
    s->n = n;
    if (!lists(&s->e[0], s->e[0].model) && js_len(s->e[0].models))
        log_warn("the server lists no model '%s'; asking for it anyway", s->e[0].model);
    return ST_OK;
}
