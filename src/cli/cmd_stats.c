/* cli/cmd_stats.c - `stats`: which tokens of the domains a training source lacks. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "cli/commands.h"
#include "cli/domains.h"
#include "data/documents.h"
#include "eval/unigram.h"

struct opts {
    struct textlist domains, shares;
    const char *tokenizer, *model;
    double eps, tau, kappa;
    uint64_t top, max_bytes;
};

static const struct field field[] = {
    { .name = "domains",
      .kind = FIELD_LIST,
      .unit = "[NAME=]PATH",
      .help = "held-out text: token files by their prefix, or documents with --tokenizer",
      .offset = offsetof(struct opts, domains),
      .required = true },
    { .name = "shares",
      .kind = FIELD_LIST,
      .unit = "SHARE",
      .help = "also each other source mixed into the natural one at these shares",
      .offset = offsetof(struct opts, shares) },
    { .name = "tokenizer",
      .kind = FIELD_TEXT,
      .unit = "FILE",
      .help = "tokenizer.json of the token files: to spell tokens and to read documents",
      .offset = offsetof(struct opts, tokenizer) },
    { .name = "model",
      .kind = FIELD_TEXT,
      .unit = "RUN|DIR",
      .help = "a trained model: its loss on blind spots and by rarity of the tokens",
      .offset = offsetof(struct opts, model) },
    { .name = "eps",
      .kind = FIELD_REAL,
      .help = "added to every count of a source",
      .offset = offsetof(struct opts, eps),
      .min = 1e-9,
      .max = 1e6 },
    { .name = "tau",
      .kind = FIELD_REAL,
      .help = "a blind spot has at least this share of the domain's tokens",
      .offset = offsetof(struct opts, tau),
      .min = 0,
      .max = 1 },
    { .name = "kappa",
      .kind = FIELD_REAL,
      .help = "and is rarer in the source by this factor",
      .offset = offsetof(struct opts, kappa),
      .min = 1,
      .max = 1e9 },
    { .name = "top",
      .kind = FIELD_WHOLE,
      .unit = "N",
      .help = "tokens in each table",
      .offset = offsetof(struct opts, top),
      .max = 10000 },
    { .name = "max_bytes",
      .kind = FIELD_WHOLE,
      .unit = "bytes",
      .help = "text of a domain that --model is scored on; 0: all",
      .offset = offsetof(struct opts, max_bytes),
      .max = 1e15 },
};
static const struct opts defaults = {
    .eps = 0.5, .tau = 1e-5, .kappa = 10, .top = 10, .max_bytes = EVAL_MAX_BYTES
};

enum { MAX_SOURCES = 256, MAX_SEQ_LEN = 1024, MAX_VOCAB = 1 << 24 };
static const double small_eps = 0.01; /* shows how much the unseen tokens weigh in kl */

/* Everything that is open while the command runs. */
struct stats {
    const struct opts *o;
    struct unigram_conf conf;
    struct tok *tok; /* NULL without --tokenizer and --model */
    struct backend *backend;
    struct model *model; /* NULL without --model */
    int vocab_size;
    char tokenizer[DIGEST_HEX]; /* of the first token files that name it; "" unknown */
    struct unigram source[MAX_SOURCES], domain;
    double share[MAX_SOURCES]; /* of synthetic text in a mixture; NAN: a source alone */
    size_t n_source;
};

/* Vocabulary and tokenizer must be everybody's. */
static enum st check_shard(struct stats *s, const struct shard *sh, struct err *err)
{
    const char *digest = js_get_text(shard_manifest(sh), "tokenizer", NULL);
    int vocab = shard_vocab_size(sh);
    if (s->vocab_size == 0) {
        uint64_t n = vocab ? (uint64_t)vocab : (uint64_t)shard_max_id(sh) + 1;
        if (n > MAX_VOCAB)
            return err_set(err, ST_LIMIT, "'%s' has a vocabulary of %llu, at most %d are counted",
                           shard_prefix(sh), (unsigned long long)n, (int)MAX_VOCAB);
        s->vocab_size = (int)n;
    }
    if (vocab != 0 && vocab != s->vocab_size)
        return err_set(err, ST_USAGE, "'%s' has a vocabulary of %d, the first source of %d",
                       shard_prefix(sh), vocab, s->vocab_size);
    if (digest && !s->tokenizer[0])
        snprintf(s->tokenizer, sizeof s->tokenizer, "%s", digest);
    if (digest && strcmp(digest, s->tokenizer) != 0)
        return err_set(err, ST_USAGE,
                       "'%s' was encoded with another tokenizer than the token files before it",
                       shard_prefix(sh));
    return s->tok ? eval_check_tokenizer(shard_manifest(sh), shard_prefix(sh), s->tok, err) : ST_OK;
}

static enum st count_shard(struct stats *s, struct unigram *u, const char *name, const char *prefix,
                           struct err *err)
{
    struct shard *sh;
    enum st st = shard_open(&sh, prefix, err);
    if (st < 0)
        return st;
    st = check_shard(s, sh, err);
    if (st == ST_OK) {
        *u = unigram_new(name, s->vocab_size);
        st = unigram_add_shard(u, sh, err);
    }
    shard_close(sh);
    return st;
}

static enum st count_documents(struct stats *s, struct unigram *u, const struct domain_source *d,
                               bool strict, struct err *err)
{
    struct documents *docs;
    struct doc doc;
    if (!s->tok)
        return err_set(err, ST_USAGE,
                       "'%s' is no prefix of token files; documents want --tokenizer", d->path);
    enum st st = documents_open(&docs, &(char *const){ d->path }, 1, strict, err);
    if (st < 0)
        return st;
    *u = unigram_new(d->name, s->vocab_size);
    while ((st = documents_next(docs, &doc, err)) == ST_OK) {
        uint32_t *id = NEW_ARRAY(uint32_t, tok_room(s->tok, doc.n_bytes) + 1);
        unigram_add(u, id, tok_encode(s->tok, doc.text, doc.n_bytes, id), -1);
        free(id);
    }
    documents_close(docs);
    return st == ST_END ? ST_OK : st;
}

/* PREFIX or NAME=PREFIX; a name is the prefix's last part otherwise. */
static enum st read_source(struct stats *s, const char *text, struct err *err)
{
    const char *eq = strchr(text, '='), *prefix = text;
    char *idx = xasprintf("%s.idx", text), *name;
    if (eq && eq > text && !file_exists(idx)) {
        name = xstrndup(text, (size_t)(eq - text));
        prefix = eq + 1;
    } else {
        name = xstrdup(path_base(text));
        if (str_ends(name, ".bin") || str_ends(name, ".idx"))
            name[strlen(name) - 4] = '\0';
    }
    enum st st = ST_OK;
    for (size_t i = 0; i < s->n_source && st == ST_OK; i++)
        if (strcmp(s->source[i].name, name) == 0)
            st =
                err_set(err, ST_USAGE, "two sources are called '%s'; name them: NAME=PREFIX", name);
    if (st == ST_OK && s->n_source == MAX_SOURCES)
        st = err_set(err, ST_LIMIT, "more than %d sources and mixtures", (int)MAX_SOURCES);
    if (st == ST_OK) {
        struct unigram *u = &s->source[s->n_source];
        st = count_shard(s, u, name, prefix, err);
        if (u->name)
            s->share[s->n_source++] = NAN;
        if (st == ST_OK && u->n_tok == 0)
            st = err_set(err, ST_USAGE, "source '%s': '%s' holds no token", name, prefix);
    }
    free(name);
    free(idx);
    return st;
}

/* Each source but the natural one (named so, or the first) mixed into it at each share. */
static enum st add_mixtures(struct stats *s, struct err *err)
{
    size_t n = s->n_source, natural = 0;
    for (size_t i = 0; i < n; i++)
        if (strcmp(s->source[i].name, "natural") == 0)
            natural = i;
    for (size_t k = 0; k < s->o->shares.n; k++) {
        char *end;
        double share = strtod(s->o->shares.s[k], &end);
        if (end == s->o->shares.s[k] || *end || !(share > 0 && share < 1))
            return err_set(err, ST_USAGE, "--shares: '%s', want numbers between 0 and 1",
                           s->o->shares.s[k]);
        for (size_t i = 0; i < n; i++) {
            if (i == natural)
                continue;
            if (s->n_source == MAX_SOURCES)
                return err_set(err, ST_LIMIT, "more than %d sources and mixtures",
                               (int)MAX_SOURCES);
            char *name = xasprintf("%s@%g", s->source[i].name, share);
            s->share[s->n_source] = share;
            s->source[s->n_source++] = unigram_mix(name, &s->source[natural], &s->source[i], share);
            free(name);
        }
    }
    if (s->o->shares.n && n < 2)
        return err_set(err, ST_USAGE, "--shares: a mixture wants natural and one more source");
    return ST_OK;
}

/* --- rows --- */

static void put_levels(struct js *row, const char *key, const double *v)
{
    struct js *o = js_object();
    for (int m = 0; m < UNIGRAM_LEVELS; m++) {
        char level[16];
        snprintf(level, sizeof level, "%g", unigram_level[m]);
        js_put_real(o, level, v[m]);
    }
    js_put(row, key, o);
}

static struct js *tokens_json(const struct stats *s, const struct unigram *r,
                              const struct unigram *v, bool over)
{
    struct js *list = js_array();
    struct unigram_token *t = NEW_ARRAY(struct unigram_token, s->o->top + 1);
    size_t n = unigram_top(t, s->o->top, r, v, &s->conf, over);
    for (size_t i = 0; i < n; i++) {
        struct js *o = js_object();
        size_t n_bytes = 0;
        const char *text = s->tok ? tok_spelling(s->tok, t[i].id, &n_bytes) : NULL;
        js_put_whole(o, "id", t[i].id);
        if (text)
            js_put_textn(o, "token", text, n_bytes);
        else
            js_put_text(o, "token", NULL);
        js_put_real(o, "p_domain", t[i].p_domain);
        js_put_real(o, "p_source", t[i].p_source);
        js_put_real(o, "nats", t[i].nats);
        js_put_bool(o, "blind", t[i].is_blind);
        js_push(list, o);
    }
    free(t);
    return list;
}

static struct js *blind_json(const struct unigram_score *x)
{
    struct js *o = js_object();
    js_put_whole(o, "n", (int64_t)x->n_blind);
    js_put_real(o, "mass", x->blind_mass);
    js_put_real(o, "loss", x->blind_loss);
    js_put_real(o, "loss_rest", x->other_loss);
    return o;
}

static struct js *bins_json(const struct unigram_score *x)
{
    struct js *list = js_array();
    for (int k = 0; k < UNIGRAM_BINS; k++) {
        struct js *o = js_object();
        js_put_real(o, "from", k ? unigram_edge[k - 1] : -INFINITY);
        js_put_real(o, "to", k + 1 < UNIGRAM_BINS ? unigram_edge[k] : INFINITY);
        js_put_real(o, "mass", x->bin_mass[k]);
        js_put_real(o, "loss", x->bin_loss[k]);
        js_push(list, o);
    }
    return list;
}

/* One source against one domain; without a domain (the mean) no tables. */
static struct js *row_json(const struct stats *s, size_t i, const struct unigram *v,
                           const struct unigram_score *x, double kl_small)
{
    const struct unigram *r = &s->source[i];
    struct js *row = js_object();
    js_put_text(row, "source", r->name);
    js_put_real(row, "share", s->share[i]);
    js_put_text(row, "domain", v ? v->name : "mean");
    js_put_real(row, "n_tok", r->n_tok);
    js_put_real(row, "kl", x->kl);
    js_put_real(row, "kl_small_eps", kl_small);
    js_put_real(row, "kl_reverse", x->kl_reverse);
    js_put_real(row, "js", x->js);
    js_put_real(row, "cross_entropy", x->cross_entropy);
    put_levels(row, "coverage", x->coverage);
    put_levels(row, "coverage_types", x->coverage_types);
    js_put(row, "blind_spots", blind_json(x));
    if (v) {
        js_put(row, "bins", bins_json(x));
        js_put(row, "lacking", tokens_json(s, r, v, false));
        js_put(row, "excess", tokens_json(s, r, v, true));
    }
    return row;
}

/* For people: one line a source and domain, without the tables of tokens. */
static struct js *short_row(const struct js *row)
{
    static const char *const key[] = { "source", "domain", "kl", "kl_reverse", "js" };
    struct js *o = js_object();
    for (size_t i = 0; i < N_OF(key); i++)
        js_put(o, key[i], js_copy(js_get(row, key[i])));
    js_put(o, "coverage_10", js_copy(js_get(js_get(row, "coverage"), "10")));
    js_put(o, "blind", js_copy(js_get(js_get(row, "blind_spots"), "n")));
    js_put(o, "blind_mass", js_copy(js_get(js_get(row, "blind_spots"), "mass")));
    return o;
}

static void print_row(struct cli *cli, struct js *row)
{
    if (out_is_json(cli->out)) {
        out_row(cli->out, row);
        return;
    }
    out_row(cli->out, short_row(row));
    js_free(row);
}

/* Unweighted over domains. Means of losses stand per domain only: they weigh by tokens. */
struct sums {
    struct unigram_score score;
    double kl_small;
};

static void add_score(struct sums *sum, const struct unigram_score *x, double kl_small, double n)
{
    struct unigram_score *m = &sum->score;
    m->kl += x->kl / n;
    m->kl_reverse += x->kl_reverse / n;
    m->js += x->js / n;
    m->cross_entropy += x->cross_entropy / n;
    m->blind_mass += x->blind_mass / n;
    m->n_blind += x->n_blind;
    for (int k = 0; k < UNIGRAM_LEVELS; k++) {
        m->coverage[k] += x->coverage[k] / n;
        m->coverage_types[k] += x->coverage_types[k] / n;
    }
    m->blind_loss = m->other_loss = NAN;
    sum->kl_small += kl_small / n;
}

/* Losses on the domain's windows; documents cannot be scored here, for which `eval` is. */
static enum st add_losses(struct stats *s, const struct domain_source *d, struct err *err)
{
    struct eval_domain windows = { 0 };
    int limit = model_config(s->model)->max_seq_len;
    if (!d->is_tokens)
        return err_set(err, ST_UNSUPPORTED, "--model with documents ('%s'): encode them first",
                       d->path);
    enum st st = eval_domain_shard(&windows, d->name, d->path, s->tok,
                                   limit < MAX_SEQ_LEN ? limit : MAX_SEQ_LEN, s->o->max_bytes, err);
    if (st == ST_OK)
        st = unigram_add_losses(&s->domain, s->model, &windows, err);
    eval_domain_release(&windows);
    return st;
}

static enum st compare_domain(struct stats *s, const struct domain_source *d, struct sums *sum,
                              double n_domain, struct cli *cli, struct err *err)
{
    struct unigram_conf small = s->conf;
    small.eps = small_eps;
    enum st st = d->is_tokens ? count_shard(s, &s->domain, d->name, d->path, err)
                              : count_documents(s, &s->domain, d, cli->strict, err);
    if (st == ST_OK && s->domain.n_tok == 0)
        st = err_set(err, ST_FORMAT, "there is no text in '%s'", d->path);
    if (st == ST_OK && s->model)
        st = add_losses(s, d, err);
    for (size_t i = 0; i < s->n_source && st == ST_OK; i++) {
        struct unigram_score x, other;
        unigram_compare(&x, &s->source[i], &s->domain, &s->conf);
        unigram_compare(&other, &s->source[i], &s->domain, &small);
        add_score(&sum[i], &x, other.kl, n_domain);
        print_row(cli, row_json(s, i, &s->domain, &x, other.kl));
    }
    unigram_release(&s->domain);
    return err_in(err, st, "domain '%s'", d->name);
}

static enum st open_model(struct stats *s, struct cli *cli, struct err *err)
{
    char *dir = NULL, *tok = NULL;
    enum st st = ST_OK;
    if (s->o->model)
        st = checkpoint_dir(&dir, s->o->model, err);
    if (st == ST_OK && (s->o->tokenizer || dir)) {
        tok = s->o->tokenizer ? xstrdup(s->o->tokenizer) : path_join(dir, "tokenizer.json");
        st = tok_load(&s->tok, tok, err);
    }
    if (st == ST_OK && s->tok)
        s->vocab_size = tok_vocab_size(s->tok);
    if (st == ST_OK && dir)
        st = backend_open(&s->backend, cli->backend, (int)cli->threads, PRECISION_AUTO, err);
    if (st == ST_OK && dir)
        st = model_load(&s->model, dir, s->backend, err);
    if (st == ST_OK && dir && model_config(s->model)->vocab_size != s->vocab_size)
        st = err_set(err, ST_USAGE, "'%s' has a vocabulary of %d, the tokenizer of %d", s->o->model,
                     model_config(s->model)->vocab_size, s->vocab_size);
    free(dir);
    free(tok);
    return st;
}

static enum st run(void *opts, struct cli *cli, int argc, char **argv, struct err *err)
{
    struct stats *s = NEW(struct stats);
    struct domain_sources all = { 0 };
    s->o = opts;
    s->conf = (struct unigram_conf){ s->o->eps, s->o->tau, s->o->kappa };
    enum st st = argc > 0 ? open_model(s, cli, err)
                          : err_set(err, ST_USAGE, "want the token files of at least one source");
    for (int i = 0; i < argc && st == ST_OK; i++)
        st = read_source(s, argv[i], err);
    if (st == ST_OK)
        st = add_mixtures(s, err);
    if (st == ST_OK)
        st = domain_sources_list(&all, &s->o->domains, err);
    struct sums *sum = NEW_ARRAY(struct sums, s->n_source + 1);
    for (size_t i = 0; i < all.n && st == ST_OK; i++)
        st = compare_domain(s, &all.s[i], sum, (double)all.n, cli, err);
    for (size_t i = 0; i < s->n_source && st == ST_OK; i++)
        print_row(cli, row_json(s, i, NULL, &sum[i].score, sum[i].kl_small));
    for (size_t i = 0; i < s->n_source; i++)
        unigram_release(&s->source[i]);
    free(sum);
    domain_sources_release(&all);
    model_free(s->model);
    backend_close(s->backend);
    tok_free(s->tok);
    free(s);
    return st;
}

const struct command cmd_stats = {
    .name = "stats",
    .summary = "token frequencies of sources against domains: divergence, coverage, blind spots",
    .usage = "stats [NAME=]PREFIX... --domains [NAME=]PATH... [options]",
    .detail =
        "Prints a row per source and domain, then each source's unweighted mean as domain "
        "\"mean\". kl is the divergence of the domain's token frequencies from the source's in "
        "nats (kl_small_eps with 0.01 for --eps), coverage the share of the domain's tokens that "
        "the source has at least 1, 10 and 100 times, coverage_types the same for distinct "
        "tokens. Blind spots are tokens that the domain uses and the source has a tenth as often "
        "or less (beside \"mean\" n is their number in all domains); with --model their loss is "
        "given beside that of the rest. lacking and excess are the tokens that add most to kl and "
        "kl_reverse. --shares adds mixtures of each source "
        "with the natural one (named natural, or the first).",
    .field = field,
    .n_field = N_OF(field),
    .opts_size = sizeof(struct opts),
    .defaults = &defaults,
    .run = run,
};
