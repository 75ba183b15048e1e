/* synth/job.c - opening and closing of a run's state: input, ledger, generator, checks. */
#include "synth/job.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "base/manifest.h"
#include "corpus/reader.h"

static bool is_zero(struct digest d)
{
    return d.hi == 0 && d.lo == 0;
}

static struct digest *digests_find(const struct digests *s, struct digest d)
{
    size_t i = d.lo & (s->cap - 1);
    while (!is_zero(s->d[i]) && digest_cmp(s->d[i], d) != 0)
        i = (i + 1) & (s->cap - 1);
    return &s->d[i];
}

void digests_add(struct digests *s, struct digest d)
{
    if (2 * (s->n + 1) > s->cap) {
        struct digests old = *s;
        s->cap = old.cap ? 2 * old.cap : 64;
        s->d = NEW_ARRAY(struct digest, s->cap);
        for (size_t i = 0; i < old.cap; i++)
            if (!is_zero(old.d[i]))
                *digests_find(s, old.d[i]) = old.d[i];
        free(old.d);
    }
    struct digest *at = digests_find(s, d);
    s->n += is_zero(*at);
    *at = d;
}

bool digests_has(const struct digests *s, struct digest d)
{
    return s->cap && !is_zero(*digests_find(s, d));
}

static struct digest piece_name(const char *id, int piece)
{
    struct hasher *h = hasher_new();
    hasher_text(h, id);
    hasher_whole(h, (uint64_t)piece);
    struct digest d = hasher_digest(h);
    hasher_free(h);
    return d;
}

/* Documents of files, one after the other, to a function. */
static enum st each_doc(char *const *path, size_t n_path,
                        void (*use)(struct job *, const struct doc *), struct job *j,
                        struct err *err)
{
    enum st st = ST_OK;
    for (size_t i = 0; i < n_path && st == ST_OK; i++) {
        const struct reader_conf conf = { 0 };
        struct reader *r;
        struct doc d;
        st = reader_open(&r, path[i], &conf, err);
        if (st < 0)
            break;
        while ((st = reader_next(r, &d, err)) == ST_OK && !stop_asked())
            use(j, &d);
        reader_close(r);
        if (st >= 0)
            st = stop_asked() ? err_set(err, ST_INTERRUPTED, "interrupted") : ST_OK;
    }
    return st;
}

static void use_domain(struct job *j, const struct doc *d)
{
    ngram_add(j->domains, d->text, d->n_bytes);
}

static void use_like(struct job *j, const struct doc *d)
{
    const char *id = js_get_text(d->meta, "source_id", NULL);
    const struct js *pieces = js_get(d->meta, "pieces"); /* of a joined page */
    for (size_t i = 0; id && i < js_len(pieces); i++)
        digests_add(&j->like, piece_name(id, (int)js_as_whole(js_at(pieces, i), 0)));
    if (id && !pieces)
        digests_add(&j->like, piece_name(id, (int)js_get_whole(d->meta, "piece", 0)));
}

/* The pieces that another kind kept, cut as it cut them. */
static enum st read_like(struct job *j, struct err *err)
{
    const char *dir = j->conf->like;
    struct js *m = NULL;
    struct strlist names = { 0 }, files = { 0 };
    enum st st = manifest_read(dir, &m, err);
    const struct js *in = js_get(js_get(js_get(m, "settings"), "recipe"), "input");
    if (st == ST_OK &&
        (!in || js_get_whole(js_get(m, "settings"), "seed", -1) != (int64_t)j->conf->seed))
        st = err_set(err, ST_USAGE, "--like '%s': want a folder made by synth with the same seed",
                     dir);
    if (st == ST_OK) {
        j->input.max_words = (uint64_t)js_get_whole(in, "max_words", 0);
        j->input.min_words = (uint64_t)js_get_whole(in, "min_words", 0);
        j->input.pieces = (uint64_t)js_get_whole(in, "pieces", 0);
        j->input.unit = strcmp(js_get_text(in, "unit", ""), "passage") == 0 ? "passage" : "page";
        st = dir_list(dir, &names, err);
    }
    for (size_t i = 0; i < names.n; i++)
        if (str_starts(names.s[i], "docs-") && str_ends(names.s[i], ".jsonl.zst")) {
            char *path = path_join(dir, names.s[i]);
            strlist_add(&files, path);
            free(path);
        }
    if (st == ST_OK)
        st = each_doc(files.s, files.n, use_like, j, err);
    strlist_release(&names);
    strlist_release(&files);
    js_free(m);
    return st;
}

static enum st open_generator(struct job *j, struct err *err)
{
    if (!j->conf->generator)
        return err_set(err, ST_USAGE, "recipe '%s' needs --generator FILE.gguf, DIR or URL",
                       j->recipe->name);
    const struct synth_conf *c = j->conf;
    if (str_starts(c->generator, "batch:") && (c->max_tok || c->max_cost > 0 || c->max_s > 0))
        return err_set(err, ST_USAGE,
                       "batch files are written whole, --max-tokens, --max-cost and --max-time "
                       "cannot end them: give --max-docs (synth pilot says what a page takes)");
    enum st st = ledger_open(&j->ledger, c->out, err);
    struct generator_conf gen = c->gen;
    gen.ledger = j->ledger;
    if (st == ST_OK)
        st = generator_open_for(&j->generator, j->recipe, c->generator, &gen, err);
    if (st == ST_OK) {
        j->about = generator_about(j->generator);
        j->model = generator_digest(j->generator);
    }
    return st;
}

static enum st want_outside(const struct synth_conf *c, char *const *path, size_t n,
                            struct err *err)
{
    for (size_t i = 0; i < n; i++)
        if (dir_holds(c->out, path[i]))
            return err_set(err, ST_USAGE,
                           "input '%s' lies in the folder '%s' that is to be written", path[i],
                           c->out);
    return ST_OK;
}

/* One process at a time writes the folder, and nothing that is read lies in it. */
static enum st take_folder(struct job *j, struct err *err)
{
    const struct synth_conf *c = j->conf;
    enum st st = dir_make(c->out, err);
    if (st == ST_OK)
        st = want_outside(c, c->input, c->n_input, err);
    if (st == ST_OK)
        st = want_outside(c, c->decontaminate, c->n_decontaminate, err);
    char *path = path_join(c->out, ".lock");
    if (st == ST_OK)
        st = lock_take(&j->lock, path, err);
    free(path);
    return st;
}

enum st job_open(struct job *j, const struct synth_conf *conf, struct err *err)
{
    *j = (struct job){
        .conf = conf, .recipe = conf->recipe, .input = conf->recipe->input, .lock = { -1 }
    };
    arena_alloc(&j->arena, 1, 1);
    j->base = arena_mark(&j->arena);
    j->by_variant = NEW_ARRAY(struct rates, conf->recipe->n_prompt + 1);
    enum st st = take_folder(j, err);
    if (st == ST_OK && conf->like)
        st = read_like(j, err);
    if (st == ST_OK && conf->n_decontaminate) {
        j->domains = ngram_new(13);
        st = each_doc(conf->decontaminate, conf->n_decontaminate, use_domain, j, err);
    }
    if (st == ST_OK && conf->tokenizer)
        st = tok_load(&j->tok, conf->tokenizer, err);
    if (st == ST_OK) {
        const struct pages_conf pc = { .path = conf->input,
                                       .n_path = conf->n_input,
                                       .input = &j->input,
                                       .seed = conf->seed,
                                       .max_docs = conf->max_docs,
                                       .strict = conf->strict,
                                       .keywords = recipe_needs_keywords(conf->recipe),
                                       .distinct = conf->count_distinct };
        st = pages_open(&j->pages, &pc, err);
    }
    if (!recipe_needs_generator(j->recipe) && conf->generator)
        log_info("recipe '%s' asks nobody: --generator is not used", j->recipe->name);
    if (st == ST_OK && recipe_needs_generator(j->recipe))
        st = open_generator(j, err);
    return st;
}

void job_close(struct job *j)
{
    ledger_close(j->ledger);
    generator_close(j->generator);
    js_free(j->about);
    monitor_free(j->monitor);
    pages_close(j->pages);
    ngram_free(j->domains);
    tok_free(j->tok);
    arena_release(&j->arena);
    free(j->by_variant);
    free(j->like.d);
    free(j->failed.d);
    lock_drop(&j->lock);
}

void job_rewind(struct job *j)
{
    monitor_free(j->monitor);
    j->monitor = monitor_new(j->recipe);
    pages_rewind(j->pages);
}

bool job_item(struct job *j, const struct page *page, size_t i, struct item *it)
{
    int piece = page->piece[item_piece(page, i)].index;
    if (j->conf->like && !digests_has(&j->like, piece_name(page->doc->id, piece)))
        return false;
    item_make(it, j->recipe, page, i, pages_keywords(j->pages), j->model, j->conf->seed, &j->arena);
    const bool *stopped = monitor_stopped(j->monitor);
    if (it->variant < 0 || !stopped[it->variant])
        return true;
    return strcmp(j->recipe->collapse.action, "rotate") == 0 && !recipe_asks_all(j->recipe) &&
           item_rotate(it, j->recipe, page, i, stopped, j->model, j->conf->seed, &j->arena);
}
