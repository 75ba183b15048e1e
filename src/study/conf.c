/* study/conf.c - see conf.h. */
#include "study/conf.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/conf.h"
#include "base/file.h"
#include "base/units.h"

#define AT(member) offsetof(struct study_conf, member)

static const struct field top_field[] = {
    { .name = "study", .kind = FIELD_TEXT, .offset = AT(name) },
    { .name = "seeds", .kind = FIELD_WHOLE, .offset = AT(seeds), .min = 1, .max = 1000 },
    { .name = "time_budget", .kind = FIELD_TIME, .offset = AT(time_budget), .min = 10, .max = 1e9 },
    { .name = "epochs_max", .kind = FIELD_REAL, .offset = AT(epochs_max), .min = 0.1, .max = 1000 },
};
static const struct field natural_field[] = {
    { .name = "paths", .kind = FIELD_LIST, .offset = AT(natural_path) },
    { .name = "clean", .kind = FIELD_CHOICE, .choices = "none|web", .offset = AT(clean) },
    { .name = "hold_out", .kind = FIELD_REAL, .offset = AT(hold_out), .min = 0, .max = 0.5 },
    { .name = "min_bytes", .kind = FIELD_WHOLE, .offset = AT(min_bytes), .max = 1e9 },
};
static const struct field domains_field[] = {
    { .name = "paths", .kind = FIELD_LIST, .offset = AT(domain_path) },
    { .name = "bytes", .kind = FIELD_WHOLE, .offset = AT(eval_bytes), .min = 1000, .max = 1e12 },
};
/* `amateur` is the last: the settings of a study without one are what they were before there were
 * any. */
static const struct field generator_field[] = {
    { .name = "local", .kind = FIELD_TEXT, .offset = AT(gen_local) },
    { .name = "server", .kind = FIELD_TEXT, .offset = AT(gen_server) },
    { .name = "model", .kind = FIELD_TEXT, .offset = AT(gen_model) },
    { .name = "docs", .kind = FIELD_WHOLE, .offset = AT(gen_docs), .min = 1, .max = 1e12 },
    { .name = "price_in", .kind = FIELD_REAL, .offset = AT(price_in), .min = 0, .max = 1e6 },
    { .name = "price_out", .kind = FIELD_REAL, .offset = AT(price_out), .min = 0, .max = 1e6 },
    { .name = "gpu_hour", .kind = FIELD_REAL, .offset = AT(gpu_hour), .min = 0, .max = 1e6 },
    { .name = "amateur", .kind = FIELD_TEXT, .offset = AT(gen_amateur) },
};
static const struct field tokenizer_field[] = {
    { .name = "file", .kind = FIELD_TEXT, .offset = AT(tok_file) },
};
static const struct field tokenizer_train_field[] = {
    { .name = "vocab_size", .kind = FIELD_WHOLE, .offset = AT(vocab_size), .min = 258, .max = 1e6 },
};
static const struct field training_field[] = {
    { .name = "seq_len", .kind = FIELD_WHOLE, .offset = AT(seq_len), .min = 16, .max = 65536 },
    { .name = "batch_tokens",
      .kind = FIELD_WHOLE,
      .offset = AT(batch_tokens),
      .min = 16,
      .max = 1e9 },
    { .name = "lr", .kind = FIELD_REAL, .offset = AT(lr), .min = 1e-9, .max = 1 },
    { .name = "sweep", .kind = FIELD_CHOICE, .choices = "auto|always|never", .offset = AT(sweep) },
    { .name = "precision",
      .kind = FIELD_CHOICE,
      .choices = "auto|fp32|bf16",
      .offset = AT(precision) },
};
static const struct field controls_field[] = {
    { .name = "aa", .kind = FIELD_BOOL, .offset = AT(aa) },
    { .name = "shuffle", .kind = FIELD_BOOL, .offset = AT(shuffle) },
    { .name = "copy", .kind = FIELD_BOOL, .offset = AT(copy) },
};

static enum st read_natural(const struct yml *v, const char *file, void *c, struct err *err)
{
    return conf_map(v, file, natural_field, N_OF(natural_field), c, NULL, 0, err);
}

static enum st read_domains(const struct yml *v, const char *file, void *c, struct err *err)
{
    return conf_map(v, file, domains_field, N_OF(domains_field), c, NULL, 0, err);
}

static enum st read_generator(const struct yml *v, const char *file, void *c, struct err *err)
{
    return conf_map(v, file, generator_field, N_OF(generator_field), c, NULL, 0, err);
}

static enum st read_tokenizer_train(const struct yml *v, const char *file, void *c, struct err *err)
{
    return conf_map(v, file, tokenizer_train_field, N_OF(tokenizer_train_field), c, NULL, 0, err);
}

static enum st read_tokenizer(const struct yml *v, const char *file, void *c, struct err *err)
{
    static const struct conf_child child[] = { { "train", read_tokenizer_train } };
    return conf_map(v, file, tokenizer_field, N_OF(tokenizer_field), c, child, N_OF(child), err);
}

static enum st read_training(const struct yml *v, const char *file, void *c, struct err *err)
{
    return conf_map(v, file, training_field, N_OF(training_field), c, NULL, 0, err);
}

static enum st read_controls(const struct yml *v, const char *file, void *c, struct err *err)
{
    return conf_map(v, file, controls_field, N_OF(controls_field), c, NULL, 0, err);
}

/* {budget: largest, model: largest} */
static enum st read_hold_out(const struct yml *v, const char *file, void *obj, struct err *err)
{
    struct study_conf *c = obj;
    if (v->kind != YML_MAP)
        return conf_fail(err, file, v, "hold_out: want {budget: largest, model: largest}");
    c->hold_out_budget = c->hold_out_model = false; /* what is named, and nothing else */
    for (const struct yml *e = v->child; e; e = e->next) {
        bool budget = strcmp(e->key, "budget") == 0;
        if (!budget && strcmp(e->key, "model") != 0)
            return conf_fail(err, file, e, "unknown setting '%s'; known here: budget, model",
                             e->key);
        if (e->kind != YML_TEXT || strcmp(e->text, "largest") != 0)
            return conf_fail(err, file, e, "hold_out %s: want 'largest'", e->key);
        *(budget ? &c->hold_out_budget : &c->hold_out_model) = true;
    }
    return ST_OK;
}

/* Kinds and the study name files and folders. */
static bool is_name(const char *s)
{
    return *s && strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") ==
                     strlen(s);
}

/* Arms and token files that are there without being asked for. */
static bool is_taken(const char *kind)
{
    static const char *const own[] = { "natural", "copy", "shuffle", "dev" };
    for (size_t i = 0; i < N_OF(own); i++)
        if (strcmp(kind, own[i]) == 0)
            return true;
    return str_starts(kind, "domain-");
}

static const struct field kind_field[] = {
    { .name = "recipe", .kind = FIELD_TEXT, .offset = offsetof(struct study_kind, recipe) },
    { .name = "import", .kind = FIELD_LIST, .offset = offsetof(struct study_kind, import) },
    { .name = "price",
      .kind = FIELD_REAL,
      .offset = offsetof(struct study_kind, price),
      .max = 1e12 },
    { .name = "price_per_m",
      .kind = FIELD_REAL,
      .offset = offsetof(struct study_kind, price_per_m),
      .max = 1e6 },
};

bool study_kind_imports(const struct study_kind *k)
{
    return k->import.n > 0;
}

static enum st read_kind(const struct yml *e, const char *file, struct study_kind *k,
                         struct err *err)
{
    const char *forms = "want {}, {recipe: FILE.yaml} or {import: [FILE...], price: X}";
    if (e->kind != YML_MAP)
        return e->kind == YML_TEXT && e->text[0] == '\0'
                   ? ST_OK
                   : conf_fail(err, file, e, "kinds: %s: %s", e->key, forms);
    enum st st = conf_map(e, file, kind_field, N_OF(kind_field), k, NULL, 0, err);
    if (st < 0)
        return st;
    if (yml_get(e, "import") && (k->import.n == 0 || yml_get(e, "recipe")))
        return conf_fail(err, file, e, "kinds: %s: %s", e->key, forms);
    if (k->import.n == 0 && (yml_get(e, "price") || yml_get(e, "price_per_m")))
        return conf_fail(err, file, e,
                         "kinds: %s: price and price_per_m are of a set that is imported; what is "
                         "generated has generator: {price_in, price_out}",
                         e->key);
    if (k->import.n)
        k->recipe = "import";
    return ST_OK;
}

static enum st read_kinds(const struct yml *v, const char *file, void *obj, struct err *err)
{
    struct study_conf *c = obj;
    if (v->kind != YML_MAP)
        return conf_fail(err, file, v, "kinds: want a map such as {hq: {}, qa: {}}");
    for (const struct yml *e = v->child; e; e = e->next) {
        if (c->n_kind == STUDY_MAX)
            return conf_fail(err, file, e, "more than %d kinds", STUDY_MAX);
        if (is_taken(e->key))
            return conf_fail(err, file, e,
                             "kinds: '%s' is a name that every study uses itself; want another",
                             e->key);
        if (!is_name(e->key))
            return conf_fail(err, file, e, "kinds: '%s': want letters, digits, _ and -", e->key);
        struct study_kind *k = &c->kind[c->n_kind++];
        *k = (struct study_kind){ .kind = e->key, .recipe = e->key };
        enum st st = read_kind(e, file, k, err);
        if (st < 0)
            return st;
    }
    return ST_OK;
}

/* A list of plain texts, each given to `one`. */
static enum st each(const struct yml *v, const char *file, struct study_conf *c,
                    const char *example,
                    enum st (*one)(const struct yml *e, const char *file, struct study_conf *c,
                                   struct err *err),
                    struct err *err)
{
    if (v->kind != YML_LIST || !v->child)
        return conf_fail(err, file, v, "%s: want a list such as %s", v->key, example);
    if (yml_len(v) > STUDY_MAX)
        return conf_fail(err, file, v, "%s: more than %d values", v->key, STUDY_MAX);
    for (const struct yml *e = v->child; e; e = e->next) {
        if (e->kind != YML_TEXT)
            return conf_fail(err, file, e, "%s: want plain numbers", v->key);
        enum st st = one(e, file, c, err);
        if (st < 0)
            return st;
    }
    return ST_OK;
}

static enum st add_share(const struct yml *e, const char *file, struct study_conf *c,
                         struct err *err)
{
    char *end;
    double x = strtod(e->text, &end);
    if (end == e->text || *end || !isfinite(x) || x < 0 || x > 1)
        return conf_fail(err, file, e, "shares: '%s' is no share of the training tokens, want 0..1",
                         e->text);
    if (c->n_share == 0 && x != 0)
        return conf_fail(err, file, e,
                         "shares: the first must be 0, the natural text that all is compared with");
    if (c->n_share && x <= c->share[c->n_share - 1])
        return conf_fail(err, file, e, "shares: %s does not ascend", e->text);
    c->share[c->n_share++] = x;
    return ST_OK;
}

static enum st add_whole(const struct yml *e, const char *file, uint64_t *list, size_t *n,
                         const char *key, struct err *err)
{
    struct err inner;
    uint64_t x;
    if (units_whole(e->text, &x, &inner) < 0)
        return conf_fail(err, file, e, "%s: %s", key, inner.msg);
    if (x == 0 || (*n && x <= list[*n - 1]))
        return conf_fail(err, file, e, "%s: %s does not ascend from above 0", key, e->text);
    list[(*n)++] = x;
    return ST_OK;
}

static enum st add_model(const struct yml *e, const char *file, struct study_conf *c,
                         struct err *err)
{
    return add_whole(e, file, c->model, &c->n_model, "models", err);
}

static enum st add_budget(const struct yml *e, const char *file, struct study_conf *c,
                          struct err *err)
{
    return add_whole(e, file, c->budget, &c->n_budget, "budgets", err);
}

static enum st read_shares(const struct yml *v, const char *file, void *obj, struct err *err)
{
    struct study_conf *c = obj;
    enum st st = each(v, file, c, "[0, 0.33, 1]", add_share, err);
    if (st == ST_OK && c->n_share < 2)
        st = conf_fail(err, file, v, "shares: want at least one above 0");
    return st;
}

static enum st read_models(const struct yml *v, const char *file, void *c, struct err *err)
{
    return each(v, file, c, "[0.5M, 1M]", add_model, err);
}

static enum st read_budgets(const struct yml *v, const char *file, void *c, struct err *err)
{
    return each(v, file, c, "[1M, 2M, 4M]", add_budget, err);
}

static const struct conf_child top_child[] = {
    { "natural", read_natural },     { "kinds", read_kinds },       { "generator", read_generator },
    { "tokenizer", read_tokenizer }, { "shares", read_shares },     { "models", read_models },
    { "budgets", read_budgets },     { "domains", read_domains },   { "training", read_training },
    { "controls", read_controls },   { "hold_out", read_hold_out },
};

/* Paths are relative to the study file, so that a study can be started from anywhere. */
static const char *beside(struct study_conf *c, const char *file, const char *path)
{
    size_t dir = (size_t)(path_base(file) - file);
    if (!path || path[0] == '/' || strcmp(path, "-") == 0 || strstr(path, "://") || dir == 0)
        return path;
    return arena_printf(&c->arena, "%.*s%s", (int)dir, file, path);
}

static bool generates(const struct study_conf *c)
{
    for (size_t i = 0; i < c->n_kind; i++)
        if (!study_kind_imports(&c->kind[i]))
            return true;
    return false;
}

static enum st check_whole(const struct study_conf *c, const char *path, struct err *err)
{
    const char *missing = NULL;
    if (!c->name)
        missing = "study: NAME";
    else if (c->natural_path.n == 0)
        missing = "natural: {paths: [...]}";
    else if (c->domain_path.n == 0)
        missing = "domains: {paths: [...]}";
    else if (c->n_kind == 0)
        missing = "kinds: {hq: {}}";
    else if (generates(c) && !c->gen_local && !c->gen_server)
        missing = "generator: {local: FILE.gguf} or {server: URL, model: NAME}";
    if (missing)
        return err_set(err, ST_USAGE, "'%s' lacks %s", path, missing);
    if (c->gen_local && c->gen_server)
        return err_set(err, ST_USAGE, "'%s': generator: give local or server, not both", path);
    if (c->gen_amateur && !c->gen_local)
        return err_set(err, ST_USAGE,
                       "'%s': generator: an amateur stands beside a local model, not a server",
                       path);
    if (!is_name(c->name))
        return err_set(err, ST_USAGE, "'%s': study: '%s': want letters, digits, _ and -", path,
                       c->name);
    if (c->time_budget == 0 && (!c->n_model || !c->n_budget || !c->n_share || !c->seeds))
        return err_set(err, ST_USAGE,
                       "'%s': give models, budgets, shares and seeds, or a time_budget by which "
                       "the plan chooses them",
                       path);
    if (strcmp(c->sweep, "always") == 0 && c->lr > 0)
        return err_set(err, ST_USAGE, "'%s': training: give lr or sweep: always, not both", path);
    if (strcmp(c->sweep, "always") == 0 && c->hold_out == 0)
        return err_set(err, ST_USAGE,
                       "'%s': training: sweep: always needs natural text to judge rates by; give "
                       "natural: {hold_out: 0.03}",
                       path);
    return ST_OK;
}

static struct js *settings_json(const struct study_conf *c)
{
    struct js *out = field_json(top_field, N_OF(top_field), c), *kinds = js_object(), *list;
    js_put(out, "natural", field_json(natural_field, N_OF(natural_field), c));
    js_put(out, "domains", field_json(domains_field, N_OF(domains_field), c));
    for (size_t i = 0; i < c->n_kind; i++)
        if (study_kind_imports(&c->kind[i]))
            js_put(kinds, c->kind[i].kind, field_json(kind_field, N_OF(kind_field), &c->kind[i]));
        else
            js_put_text(kinds, c->kind[i].kind, c->kind[i].recipe);
    js_put(out, "kinds", kinds);
    js_put(out, "generator",
           field_json(generator_field, N_OF(generator_field) - !c->gen_amateur, c));
    js_put(out, "tokenizer", field_json(tokenizer_field, N_OF(tokenizer_field), c));
    js_put_whole(js_get(out, "tokenizer"), "vocab_size", (int64_t)c->vocab_size);
    js_put(out, "training", field_json(training_field, N_OF(training_field), c));
    js_put(out, "controls", field_json(controls_field, N_OF(controls_field), c));
    js_put(out, "shares", list = js_array());
    for (size_t i = 0; i < c->n_share; i++)
        js_push_real(list, c->share[i]);
    js_put(out, "models", list = js_array());
    for (size_t i = 0; i < c->n_model; i++)
        js_push_whole(list, (int64_t)c->model[i]);
    js_put(out, "budgets", list = js_array());
    for (size_t i = 0; i < c->n_budget; i++)
        js_push_whole(list, (int64_t)c->budget[i]);
    struct js *hold = js_object();
    js_put_bool(hold, "budget", c->hold_out_budget);
    js_put_bool(hold, "model", c->hold_out_model);
    js_put(out, "hold_out", hold);
    return out;
}

bool study_conf_sweeps(const struct study_conf *c)
{
    if (strcmp(c->sweep, "auto") != 0)
        return strcmp(c->sweep, "always") == 0;
    return c->lr == 0 && c->hold_out > 0 &&
           (c->time_budget == 0 || c->time_budget >= STUDY_SWEEP_MIN_S);
}

enum st study_conf_read(struct study_conf *c, const char *path, struct err *err)
{
    *c = (struct study_conf){ .clean = "none",
                              .min_bytes = 200,
                              .epochs_max = 4,
                              .sweep = "auto",
                              .precision = "auto",
                              .eval_bytes = 60000,
                              .hold_out_budget = true,
                              .hold_out_model = true,
                              .aa = true,
                              .shuffle = true,
                              .copy = true };
    enum st st = yml_read(&c->yml, path, err);
    if (st == ST_OK)
        st = conf_map(c->yml, path, top_field, N_OF(top_field), c, top_child, N_OF(top_child), err);
    if (st == ST_OK)
        st = check_whole(c, path, err);
    if (st < 0)
        return st;
    c->written = settings_json(c);
    c->copy &= generates(c); /* copies of the pages that were rewritten: else there are none */
    for (size_t i = 0; i < c->natural_path.n; i++)
        c->natural_path.s[i] = beside(c, path, c->natural_path.s[i]);
    for (size_t i = 0; i < c->domain_path.n; i++)
        c->domain_path.s[i] = beside(c, path, c->domain_path.s[i]);
    for (size_t i = 0; i < c->n_kind; i++)
        for (size_t k = 0; k < c->kind[i].import.n; k++)
            c->kind[i].import.s[k] = beside(c, path, c->kind[i].import.s[k]);
    for (size_t i = 0; i < c->n_kind; i++)
        if (str_ends(c->kind[i].recipe, ".yaml") || str_ends(c->kind[i].recipe, ".yml"))
            c->kind[i].recipe = beside(c, path, c->kind[i].recipe);
    c->gen_local = beside(c, path, c->gen_local);
    c->gen_amateur = beside(c, path, c->gen_amateur);
    c->tok_file = beside(c, path, c->tok_file);
    return ST_OK;
}

void study_conf_release(struct study_conf *c)
{
    textlist_release(&c->natural_path);
    textlist_release(&c->domain_path);
    for (size_t i = 0; i < c->n_kind; i++)
        textlist_release(&c->kind[i].import);
    arena_release(&c->arena);
    yml_free(c->yml);
    js_free(c->written);
    *c = (struct study_conf){ 0 };
}

struct js *study_conf_json(const struct study_conf *c)
{
    return js_copy(c->written);
}
