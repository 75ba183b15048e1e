/* train/plan.c - see plan.h. */
#include "train/plan.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/units.h"
#include "model/hf.h"
#include "model/weights.h"
#include "run/folder.h"
#include "train/defaults.h"

enum { MAX_SOURCES = 64, MAX_BUDGETS = 64, MAX_PASS_TOKENS = 8192, CHUNK_TOKENS = 1024 };
static const double share_slack = 1e-3; /* so that 0.33 and 0.67, or three times 0.333, are fine */

/* Below, SOURCE=PREFIX@SHARE[:MAXTOK]. A prefix may hold any of these signs, so the last @ counts.
 */
static enum st parse_source(struct train_plan *p, const char *text, struct mixture_source *out,
                            struct err *err)
{
    const char *eq = strchr(text, '='), *at = strrchr(text, '@');
    if (!eq || eq == text || !at || at <= eq + 1)
        return err_set(err, ST_USAGE, "--data '%s': want SOURCE=PREFIX@SHARE[:MAXTOK]", text);
    char *end;
    *out =
        (struct mixture_source){ .name = arena_strndup(&p->memory, text, (size_t)(eq - text)),
                                 .prefix = arena_strndup(&p->memory, eq + 1, (size_t)(at - eq - 1)),
                                 .share = strtod(at + 1, &end) };
    if (end == at + 1 || (*end != '\0' && *end != ':') || !(out->share >= 0 && out->share <= 1))
        return err_set(err, ST_USAGE, "--data '%s': share '%s' is no number from 0 to 1", text,
                       at + 1);
    if (*end == ':')
        return err_in(err, units_whole(end + 1, &out->max_tok, err), "--data '%s': MAXTOK", text);
    return ST_OK;
}

static enum st parse_sources(struct train_plan *p, struct err *err)
{
    const struct textlist *data = &p->conf->data;
    double sum = 0;
    if (data->n == 0)
        return err_set(err, ST_USAGE, "--data is missing: SOURCE=PREFIX@SHARE...");
    if (data->n > MAX_SOURCES)
        return err_set(err, ST_LIMIT, "--data: %zu sources, at most %d", data->n, (int)MAX_SOURCES);
    p->source = ARENA_ARRAY(&p->memory, struct mixture_source, data->n);
    for (size_t i = 0; i < data->n; i++) {
        struct mixture_source s;
        enum st st = parse_source(p, data->s[i], &s, err);
        if (st < 0)
            return st;
        for (size_t k = 0; k < i; k++)
            if (strcmp(p->source[k].name, s.name) == 0)
                return err_set(err, ST_USAGE, "--data: two sources are called '%s'", s.name);
        sum += s.share;
        /* The natural source goes first, wherever it was written. */
        if (strcmp(s.name, "natural") == 0 && i > 0) {
            memmove(p->source + 1, p->source, i * sizeof s);
            p->source[0] = s;
        } else {
            p->source[i] = s;
        }
    }
    if (!(fabs(sum - 1) <= share_slack))
        return err_set(err, ST_USAGE, "--data: shares sum to %g, want 1", sum);
    for (size_t i = 0; i < data->n; i++)
        p->source[i].share /= sum;
    p->n_source = data->n;
    /* Without a source of that name the first one is natural, unless --kind says it is the
     * synthetic one. */
    p->n_natural = p->conf->kind == NULL || strcmp(p->conf->kind, p->source[0].name) != 0;
    if (strcmp(p->source[0].name, "natural") == 0)
        p->n_natural = 1;
    return ST_OK;
}

static void name_arm(struct train_plan *p)
{
    size_t most = p->n_natural;
    p->frac_synth = 0;
    for (size_t i = p->n_natural; i < p->n_source; i++) {
        p->frac_synth += p->source[i].share;
        if (p->source[i].share > p->source[most].share)
            most = i;
    }
    p->kind = p->conf->kind ? p->conf->kind : p->frac_synth == 0 ? "natural" : p->source[most].name;
    p->arm = p->conf->arm         ? p->conf->arm
             : p->frac_synth == 0 ? "natural"
                                  : arena_printf(&p->memory, "%s@%.4g", p->kind, p->frac_synth);
}

/* Opens one source's token files for their facts; vocabulary and tokenizer must be everybody's. */
static enum st check_source(struct train_plan *p, const struct mixture_source *s, int *vocab_size,
                            const char **tokenizer, const char **first, struct err *err)
{
    struct shard *sh;
    enum st st = shard_open(&sh, s->prefix, err);
    if (st < 0)
        return err_in(err, st, "source '%s'", s->name);
    const char *digest = js_get_text(shard_manifest(sh), "tokenizer", NULL);
    int vocab = shard_vocab_size(sh);
    if (*vocab_size == 0)
        *vocab_size = vocab;
    if (!*tokenizer && digest) {
        *tokenizer = arena_strdup(&p->memory, digest);
        *first = s->name;
    }
    if (vocab == 0)
        st = err_set(err, ST_USAGE, "source '%s': '%s.json' does not say the vocabulary size",
                     s->name, s->prefix);
    else if (vocab != *vocab_size)
        st = err_set(err, ST_USAGE, "source '%s' has a vocabulary of %d, the first one of %d",
                     s->name, vocab, *vocab_size);
    else if (digest && strcmp(digest, *tokenizer) != 0)
        st = err_set(err, ST_USAGE, "sources '%s' and '%s' were encoded with different tokenizers",
                     *first, s->name);
    else if (p->conf->document_mask && (shard_eod(sh) < 0 || shard_eod(sh) >= vocab))
        st = err_set(err, ST_USAGE,
                     "source '%s': '%s.json' does not say which token ends a document, which "
                     "--document-mask wants",
                     s->name, s->prefix);
    else if (p->conf->document_mask && p->document_end >= 0 && p->document_end != shard_eod(sh))
        st = err_set(err, ST_USAGE, "source '%s' ends documents with another token", s->name);
    else if (p->tok)
        st = err_in(err, eval_check_tokenizer(shard_manifest(sh), s->prefix, p->tok, err),
                    "source '%s'", s->name);
    if (st == ST_OK && shard_n_tok(sh) == 0)
        st = err_set(err, ST_USAGE, "source '%s': '%s' holds no token", s->name, s->prefix);
    if (st == ST_OK && p->conf->document_mask)
        p->document_end = shard_eod(sh);
    if (st == ST_OK) {
        struct digest d;
        char hex[DIGEST_HEX], *idx = xasprintf("%s.idx", s->prefix);
        struct js *v = js_object();
        st = digest_file(&d, idx, err);
        js_put_text(v, "source", s->name);
        js_put_real(v, "share", s->share);
        js_put_whole(v, "max_tok", (int64_t)s->max_tok);
        js_put_whole(v, "n_docs", (int64_t)shard_n_docs(sh));
        js_put_whole(v, "n_tok", (int64_t)shard_n_tok(sh));
        js_put_text(v, "tokenizer", digest);
        js_put_text(v, "index", st == ST_OK ? digest_hex(d, hex) : NULL);
        js_push(p->inputs, v);
        free(idx);
    }
    shard_close(sh);
    return st;
}

static enum st open_data(struct train_plan *p, int *vocab_size, struct err *err)
{
    const char *tokenizer = NULL, *first = NULL;
    enum st st = ST_OK;
    *vocab_size = 0;
    p->document_end = -1;
    p->inputs = js_array();
    if (p->conf->tokenizer)
        st = tok_load(&p->tok, p->conf->tokenizer, err);
    for (size_t i = 0; i < p->n_source && st == ST_OK; i++)
        st = check_source(p, &p->source[i], vocab_size, &tokenizer, &first, err);
    if (st == ST_OK && p->tok && tok_vocab_size(p->tok) > *vocab_size)
        st = err_set(err, ST_USAGE, "'%s' has %d tokens, the token files' vocabulary is %d",
                     p->conf->tokenizer, tok_vocab_size(p->tok), *vocab_size);
    return st;
}

/* model/'s names, so that a person can write a shape by hand; Hugging Face's config.json is
 * --init's. */
static enum st read_shape(struct model_conf *c, const char *path, int vocab_size, uint64_t seq_len,
                          struct err *err)
{
    const struct {
        const char *name;
        int *at;
    } whole[] = { { "n_layer", &c->n_layer },       { "d_model", &c->d_model },
                  { "n_head", &c->n_head },         { "n_kv_head", &c->n_kv_head },
                  { "d_head", &c->d_head },         { "d_ff", &c->d_ff },
                  { "vocab_size", &c->vocab_size }, { "max_seq_len", &c->max_seq_len },
                  { "window", &c->window } };
    struct js *v = NULL;
    enum st st = js_read_file(&v, path, err);
    *c = (struct model_conf){ .vocab_size = vocab_size,
                              .max_seq_len = (int)seq_len,
                              .rope_theta = js_get_real(v, "rope_theta", 10000),
                              .norm_eps = js_get_real(v, "norm_eps", 1e-5),
                              .bias = js_get_bool(v, "qkv_bias", false) ? BIAS_QKV : BIAS_NONE,
                              .tied = js_get_bool(v, "tied", false) };
    if (st == ST_OK && js_kind(v) != JS_OBJECT)
        st = err_set(err, ST_USAGE, "'%s' must be a JSON object", path);
    for (void *it = st == ST_OK ? js_iter(v) : NULL; it && st == ST_OK; it = js_next(v, it)) {
        const char *key = js_iter_key(it);
        int64_t n = js_as_whole(js_iter_value(it), -1);
        size_t i = 0;
        while (i < N_OF(whole) && strcmp(whole[i].name, key) != 0)
            i++;
        if (i < N_OF(whole) && n > 0 && n < 1 << 24)
            *whole[i].at = (int)n;
        else if (i < N_OF(whole))
            st = err_set(err, ST_USAGE, "'%s': %s wants a whole number from 1", path, key);
        else if (strcmp(key, "rope_theta") != 0 && strcmp(key, "norm_eps") != 0 &&
                 strcmp(key, "tied") != 0 && strcmp(key, "qkv_bias") != 0)
            st = err_set(err, ST_USAGE, "'%s': unknown key '%s'", path, key);
    }
    js_free(v);
    if (c->n_kv_head == 0)
        c->n_kv_head = c->n_head;
    if (c->d_head == 0 && c->n_head)
        c->d_head = c->d_model / c->n_head;
    if (st == ST_OK && c->vocab_size != vocab_size)
        st = err_set(err, ST_USAGE, "'%s' has a vocabulary of %d, the token files of %d", path,
                     c->vocab_size, vocab_size);
    return st == ST_OK ? err_in(err, model_conf_check(c, err), "'%s'", path) : st;
}

enum st train_shape(struct model_conf *out, const struct train_conf *conf, int vocab_size,
                    uint64_t seq_len, struct err *err)
{
    if ((conf->params != 0) + (conf->shape != NULL) != 1)
        return err_set(err, ST_USAGE, "want one of --params, --shape and --init");
    if (conf->shape)
        return read_shape(out, conf->shape, vocab_size, seq_len, err);
    return model_conf_for(out, conf->params, vocab_size, (int)seq_len, err);
}

/* The configuration of --init's model, through model/ so that only it knows others' names. */
static enum st init_shape(struct train_plan *p, int vocab_size, struct err *err)
{
    struct weights *w = NULL;
    if (p->conf->params || p->conf->shape)
        return err_set(err, ST_USAGE, "want one of --params, --shape and --init");
    enum st st = weights_open(&w, p->conf->init, err);
    if (st < 0)
        return st;
    char hex[DIGEST_HEX];
    p->model = w->conf;
    p->init = js_object();
    js_put(p->init, "config", model_conf_json(&w->conf));
    js_put_text(p->init, "weights", digest_hex(w->digest, hex));
    weights_close(w);
    if (p->model.vocab_size != vocab_size)
        return err_set(err, ST_USAGE, "'%s' has a vocabulary of %d, the token files of %d",
                       p->conf->init, p->model.vocab_size, vocab_size);
    return ST_OK;
}

int train_pass(uint64_t n_window, uint64_t seq_len)
{
    uint64_t chunk = CHUNK_TOKENS / seq_len ? CHUNK_TOKENS / seq_len : 1;
    uint64_t most = MAX_PASS_TOKENS / seq_len / chunk * chunk;
    most = most ? most : 1;
    return (int)(n_window < most ? n_window : most);
}

static int by_asked(const void *a, const void *b)
{
    uint64_t x = ((const struct train_budget *)a)->asked,
             y = ((const struct train_budget *)b)->asked;
    return (x > y) - (x < y);
}

static enum st parse_budgets(struct train_plan *p, struct err *err)
{
    const struct textlist *t = &p->conf->tokens;
    if (t->n == 0)
        return err_set(err, ST_USAGE, "--tokens is missing");
    if (t->n > MAX_BUDGETS)
        return err_set(err, ST_LIMIT, "--tokens: %zu budgets, at most %d", t->n, (int)MAX_BUDGETS);
    if (t->n > 1 && p->schedule.kind != SCHEDULE_WSD)
        return err_set(err, ST_USAGE,
                       "--tokens: several budgets share a trunk, which wants --schedule wsd");
    p->n_budget = t->n;
    p->budget = ARENA_ARRAY(&p->memory, struct train_budget, t->n);
    for (size_t i = 0; i < t->n; i++) {
        enum st st = err_in(err, units_whole(t->s[i], &p->budget[i].asked, err), "--tokens");
        if (st < 0)
            return st;
        if (p->budget[i].asked == 0 || p->budget[i].asked > (uint64_t)1e15)
            return err_set(err, ST_USAGE, "--tokens: %s is outside 1..1e15", t->s[i]);
    }
    qsort(p->budget, t->n, sizeof *p->budget, by_asked);
    for (size_t i = 1; i < t->n; i++)
        if (p->budget[i].asked == p->budget[i - 1].asked)
            return err_set(err, ST_USAGE, "--tokens: %llu stands there twice",
                           (unsigned long long)p->budget[i].asked);
    return ST_OK;
}

/* The name of the folder RUN, for run_id: its last part, or the current folder's. */
static const char *default_id(struct train_plan *p)
{
    char *copy = arena_strdup(&p->memory, p->conf->out ? p->conf->out : "run");
    size_t n = strlen(copy);
    while (n > 1 && copy[n - 1] == '/')
        copy[--n] = '\0';
    return path_base(copy);
}

/* What was asked; else what the folder was begun with; else what this program chooses. */
static uint64_t chosen(const struct train_plan *p, uint64_t asked, const char *key,
                       uint64_t otherwise)
{
    int64_t before = js_get_whole(p->frozen, key, 0);
    return asked ? asked : before > 0 ? (uint64_t)before : otherwise;
}

static char *budget_dir(struct train_plan *p, const struct train_budget *b)
{
    const char *out = p->conf->out;
    return arena_printf(&p->memory, "%s%s%llu", out, str_ends(out, "/") ? "" : "/",
                        (unsigned long long)b->asked);
}

/* What an earlier go chose for the same question, if there was one. */
static enum st find_frozen(struct train_plan *p, struct err *err)
{
    const struct train_budget *first = &p->budget[0];
    if (p->conf->shape) {
        enum st read = js_read_file(&p->shape, p->conf->shape, err);
        if (read < 0)
            return read;
    }
    if (!p->conf->out)
        return ST_OK;
    struct js *asked = train_plan_asked(p, first);
    enum st st = run_frozen(p->n_budget > 1 ? budget_dir(p, first) : p->conf->out, TRAIN_VERSION,
                            asked, &p->frozen);
    js_free(asked);
    return st == ST_END ? ST_OK : st;
}

static enum st plan_steps(struct train_plan *p, struct err *err)
{
    const struct train_conf *c = p->conf;
    uint64_t smallest = p->budget[0].asked;
    p->batch_tokens =
        chosen(p, c->batch_tokens, "batch_tokens", default_batch_tokens(smallest, p->seq_len));
    if (p->batch_tokens % p->seq_len)
        return err_set(err, ST_USAGE, "--batch-tokens %llu is no multiple of --seq-len %llu",
                       (unsigned long long)p->batch_tokens, (unsigned long long)p->seq_len);
    if (smallest < p->batch_tokens)
        return err_set(err, ST_USAGE, "--tokens %llu is less than one batch of %llu tokens",
                       (unsigned long long)smallest, (unsigned long long)p->batch_tokens);
    p->n_window = p->batch_tokens / p->seq_len;
    uint64_t pass = chosen(p, 0, "micro_batch_tokens",
                           (uint64_t)train_pass(p->n_window, p->seq_len) * p->seq_len) /
                    p->seq_len;
    p->pass = pass >= 1 && pass <= p->n_window /* else spoiled by hand */
                  ? (int)pass
                  : train_pass(p->n_window, p->seq_len);
    const char *id = c->run_id ? c->run_id : default_id(p);
    for (size_t i = 0; i < p->n_budget; i++) {
        struct train_budget *b = &p->budget[i];
        b->n_step = (b->asked + p->batch_tokens - 1) / p->batch_tokens;
        uint64_t got = b->n_step * p->batch_tokens;
        if (got != b->asked)
            log_info("%llu tokens are no whole number of batches: %llu are trained (%llu steps)",
                     (unsigned long long)b->asked, (unsigned long long)got,
                     (unsigned long long)b->n_step);
        if (b->n_step < STEPS_SUFFICIENT)
            log_info("%llu steps are few: under %d a model counts as insufficient; smaller "
                     "--batch-tokens make more",
                     (unsigned long long)b->n_step, (int)STEPS_SUFFICIENT);
        b->run_id = id;
        b->dir = c->out;
    }
    uint64_t first = p->budget[0].n_step, last = p->budget[p->n_budget - 1].n_step;
    p->schedule.warmup = chosen(p, c->warmup, "warmup_steps", default_warmup(first));
    p->schedule.lr =
        c->lr > 0
            ? c->lr
            : js_get_real(p->frozen, "lr",
                          default_lr(model_n_param_nonemb(&p->model), smallest, p->batch_tokens));
    p->log_every = chosen(p, c->log_every, "log_every", (last + 199) / 200);
    if (p->n_budget > 1)
        for (size_t i = 0; i < p->n_budget; i++) {
            struct train_budget *b = &p->budget[i];
            b->branch = schedule_branch(&p->schedule, b->n_step);
            b->run_id = arena_printf(&p->memory, "%s/%llu", id, (unsigned long long)b->asked);
            if (c->out)
                b->dir = budget_dir(p, b);
            if (b->branch < p->schedule.warmup)
                return err_set(
                    err, ST_USAGE,
                    "the cool-down of %llu tokens begins at step %llu, before the warm-up "
                    "of %llu steps ends",
                    (unsigned long long)b->asked, (unsigned long long)b->branch,
                    (unsigned long long)p->schedule.warmup);
        }
    return ST_OK;
}

/* Names and digests of the domains' token files. */
static enum st list_domains(struct train_plan *p, struct err *err)
{
    const struct textlist *e = &p->conf->eval;
    if (e->n && !p->tok)
        return err_set(err, ST_USAGE,
                       "--eval wants --tokenizer: bits per byte need the tokens' bytes");
    p->held = js_array();
    for (size_t i = 0; i < e->n; i++) {
        const char *eq = strchr(e->s[i], '=');
        if (!eq || eq == e->s[i] || eq[1] == '\0')
            return err_set(err, ST_USAGE, "--eval '%s': want NAME=PREFIX", e->s[i]);
        size_t n_name = (size_t)(eq - e->s[i]);
        for (size_t k = 0; k < i; k++)
            if (strncmp(e->s[k], e->s[i], n_name + 1) == 0)
                return err_set(err, ST_USAGE, "--eval: two domains are called '%.*s'", (int)n_name,
                               e->s[i]);
        struct digest d;
        char hex[DIGEST_HEX], *idx = xasprintf("%s.idx", eq + 1);
        enum st st = digest_file(&d, idx, err);
        free(idx);
        if (st < 0)
            return err_in(err, st, "domain '%.*s'", (int)n_name, e->s[i]);
        struct js *v = js_object();
        js_put_textn(v, "domain", e->s[i], n_name);
        js_put_text(v, "index", digest_hex(d, hex));
        js_push(p->held, v);
    }
    return ST_OK;
}

static enum st open_domains(struct train_plan *p, struct err *err)
{
    const struct textlist *e = &p->conf->eval;
    p->domain = ARENA_ARRAY(&p->memory, struct eval_domain, e->n);
    for (size_t i = 0; i < e->n; i++) {
        const char *name = js_get_text(js_at(p->held, i), "domain", "");
        enum st st = eval_domain_shard(&p->domain[i], name, strchr(e->s[i], '=') + 1, p->tok,
                                       (int)p->seq_len, p->conf->eval_bytes, err);
        if (st < 0)
            return st;
        p->n_domain = i + 1;
    }
    return ST_OK;
}

static enum st resolve(struct train_plan *p, struct err *err)
{
    const struct train_conf *c = p->conf;
    int vocab_size = 0;
    p->schedule = (struct schedule){
        .kind = strcmp(c->schedule, "wsd") == 0      ? SCHEDULE_WSD
                : strcmp(c->schedule, "linear") == 0 ? SCHEDULE_LINEAR
                                                     : SCHEDULE_COSINE,
        .decay = strcmp(c->decay, "linear") == 0 ? DECAY_LINEAR : DECAY_SQRT,
        .cooldown = c->cooldown,
    };
    if (c->mup && c->lr == 0)
        return err_set(err, ST_USAGE, "--mup wants --lr, the best rate of that width");
    if (c->mup && train_muon(c) > 0)
        return err_set(err, ST_UNSUPPORTED, "--mup with --optimizer muon: AdamW's only");
    enum st st = parse_sources(p, err);
    if (st == ST_OK) {
        name_arm(p);
        st = parse_budgets(p, err);
    }
    if (st == ST_OK)
        st = open_data(p, &vocab_size, err);
    if (st < 0)
        return st;
    st = list_domains(p, err);
    if (st == ST_OK && c->init)
        st = init_shape(p, vocab_size, err);
    if (st == ST_OK)
        st = find_frozen(p, err);
    if (st < 0)
        return st;
    p->seq_len = chosen(p, c->seq_len, "seq_len", default_seq_len(c->params));
    if (c->params && p->frozen) {
        st = hf_conf_parse(&p->model, js_get(p->frozen, "model"), c->out, err);
    } else if (!c->init) {
        st = train_shape(&p->model, c, vocab_size, p->seq_len, err);
    }
    if (st == ST_OK && c->document_mask) {
        p->model.document_mask = true;
        p->model.document_end = (int)p->document_end;
    }
    if (st == ST_OK && p->seq_len > (uint64_t)p->model.max_seq_len)
        st = err_set(err, ST_USAGE, "--seq-len %llu is longer than the model allows (%d)",
                     (unsigned long long)p->seq_len, p->model.max_seq_len);
    if (st == ST_OK)
        st = plan_steps(p, err);
    if (st == ST_OK)
        st = mixture_open(&p->mixture, p->source, p->n_source, (int)p->seq_len, p->env.seed, err);
    return st == ST_OK ? open_domains(p, err) : st;
}

enum st train_plan_open(struct train_plan **out, const struct train_conf *conf,
                        const struct train_env *env, struct err *err)
{
    struct train_plan *p = NEW(struct train_plan);
    p->conf = conf;
    p->env = *env;
    *out = NULL;
    enum st st = resolve(p, err);
    if (st == ST_OK)
        *out = p;
    else
        train_plan_close(p);
    return st;
}

void train_plan_close(struct train_plan *p)
{
    if (!p)
        return;
    for (size_t i = 0; i < p->n_domain; i++)
        eval_domain_release(&p->domain[i]);
    mixture_close(p->mixture);
    tok_free(p->tok);
    js_free(p->inputs);
    js_free(p->held);
    js_free(p->shape);
    js_free(p->init);
    js_free(p->frozen);
    arena_release(&p->memory);
    free(p);
}

struct js *train_plan_paths(const struct train_plan *p)
{
    struct js *v = js_object(), *data = js_array(), *eval = js_array();
    for (size_t i = 0; i < p->n_source; i++)
        js_push_text(data, p->source[i].prefix);
    for (size_t i = 0; i < p->conf->eval.n; i++)
        js_push_text(eval, p->conf->eval.s[i]);
    js_put(v, "data", data);
    js_put(v, "eval", eval);
    js_put_text(v, "tokenizer", p->conf->tokenizer);
    return v;
}

struct js *train_plan_json(const struct train_plan *p, const struct train_budget *budget,
                           const struct backend *b)
{
    struct js *v = js_object(), *sources = js_array();
    uint64_t n_tok = budget->n_step * p->batch_tokens;
    struct mixture_use *use = NEW_ARRAY(struct mixture_use, p->n_source);
    js_put_text(v, "run_id", budget->run_id);
    js_put_whole(v, "n_param", (int64_t)model_n_param(&p->model));
    js_put_whole(v, "n_param_nonemb", (int64_t)model_n_param_nonemb(&p->model));
    js_put_whole(v, "n_layer", p->model.n_layer);
    js_put_whole(v, "d_model", p->model.d_model);
    js_put_whole(v, "n_step", (int64_t)budget->n_step);
    js_put_whole(v, "n_tok", (int64_t)n_tok);
    js_put_whole(v, "batch_tokens", (int64_t)p->batch_tokens);
    js_put_whole(v, "seq_len", (int64_t)p->seq_len);
    js_put_real(v, "lr", p->schedule.lr);
    js_put_real(v, "flop", model_flop_per_tok(&p->model, (int)p->seq_len) * (double)n_tok);
    struct model_memory memory;
    train_memory(p, b, &memory);
    js_put(v, "memory_bytes", train_memory_json(&memory));
    mixture_use(p->mixture, budget->n_step * p->n_window, use);
    for (size_t i = 0; i < p->n_source; i++) {
        struct js *s = js_object();
        js_put_text(s, "source", use[i].name);
        js_put_real(s, "share", use[i].share);
        js_put_whole(s, "n_tok", (int64_t)use[i].n_tok);
        js_put_whole(s, "n_tok_unique", (int64_t)use[i].n_tok_unique);
        js_put_real(s, "n_epoch", use[i].n_epoch);
        js_push(sources, s);
    }
    js_put(v, "sources", sources);
    free(use);
    return v;
}
