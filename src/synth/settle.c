/* synth/settle.c - the second phase: raw answers to verdicts and documents. Needs no generator. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "base/stream.h"
#include "corpus/dedup.h"
#include "corpus/doc.h"
#include "synth/job.h"
#include "synth/verdict.h"

enum {
    DOCS_PER_FILE = 100000,
    SAMPLES_KEPT = 8,
    SAMPLES_DROPPED = 4,
    SAMPLE_BYTES = 4000 /* of each text */
};

struct join { /* the kept answers of a page, for recipes that make one document of them */
    struct strbuf text;
    struct js *pieces, *variants, *begins; /* of each answer */
    bool cut;
};

struct settle {
    struct job *job;
    bool write;
    struct doc_writer *docs;
    uint64_t n_in_file;
    int n_file;
    struct outstream *verdicts;
    struct js *samples;
    int n_sample_kept, n_sample_dropped;
    struct dedup *kept;        /* answers so far */
    const char *of;            /* id of the one that this answer repeats, or NULL */
    struct digests unanswered; /* keys of requests seen so far that have no row in the ledger */
    struct strbuf line, scratch;
    struct join join;
    struct {
        uint64_t settled, requests, discarded, tok_prompt, tok, kept_tok;
    } page; /* of the one at hand; settled: requests and pieces left out */
};

/* An older result goes, its manifest first: what has a manifest is whole. With it goes what killed
 * runs left half written. */
static enum st remove_old(const struct job *j, struct err *err)
{
    struct strlist names = { 0 };
    char *manifest = path_join(j->conf->out, "manifest.json");
    enum st st = dir_remove(manifest, err);
    free(manifest);
    if (st == ST_OK)
        st = dir_list(j->conf->out, &names, err);
    for (size_t i = 0; i < names.n && st == ST_OK; i++)
        if (doc_file_is(names.s[i]) || path_is_unfinished(names.s[i])) {
            char *path = path_join(j->conf->out, names.s[i]);
            st = dir_remove(path, err);
            free(path);
        }
    strlist_release(&names);
    return st;
}

static enum st docs_commit(struct settle *s, struct err *err)
{
    enum st st = s->docs ? doc_writer_commit(s->docs, err) : ST_OK;
    doc_writer_close(s->docs);
    s->docs = NULL;
    s->n_in_file = 0;
    return st;
}

static enum st write_doc(struct settle *s, const struct doc *d, struct err *err)
{
    enum st st = s->n_in_file == DOCS_PER_FILE ? docs_commit(s, err) : ST_OK;
    if (st == ST_OK && !s->docs) {
        char *path = xasprintf("%s/docs-%05d.jsonl.zst", s->job->conf->out, s->n_file++);
        st = doc_writer_open(&s->docs, path, err);
        free(path);
    }
    if (st == ST_OK)
        st = doc_write(s->docs, d, err);
    s->n_in_file++;
    return st;
}

/* The id of an item's answer, and of its document where a page is not joined. */
static char *answer_id(const struct settle *s, const struct item *it)
{
    const struct recipe *r = s->job->recipe;
    if (recipe_asks_all(r) && it->variant >= 0)
        return xasprintf("%s:%s:%d:%s", r->name, it->doc->id, it->piece,
                         r->prompt[it->variant].name);
    return xasprintf("%s:%s:%d", r->name, it->doc->id, it->piece);
}

/* Whether the text was kept before, word for word or nearly; if not, it is from now on. */
static enum verdict repeats(struct settle *s, const struct item *it, const char *text, size_t n)
{
    struct dedup_look look = { .has_runs = false };
    dedup_look(s->kept, &look, text, n, &s->scratch);
    enum dedup_verdict v = dedup_find(s->kept, &look, &s->of);
    if (v != DEDUP_NEW)
        return v == DEDUP_SAME ? V_DUPLICATE : V_NEAR_DUPLICATE;
    char *id = answer_id(s, it);
    dedup_keep(s->kept, &look, id);
    free(id);
    return V_KEPT;
}

/* Counts and writes one document made of a page. meta is taken. */
static enum st keep(struct settle *s, const struct doc *page, const char *id, const char *text,
                    size_t n_bytes, struct js *meta, struct err *err)
{
    struct job *j = s->job;
    enum st st = ST_OK;
    j->n_docs++;
    j->n_bytes += n_bytes;
    if (j->tok) {
        const struct doc d = { .n_bytes = n_bytes, .meta = meta };
        struct arena_mark mark = arena_mark(&j->arena);
        uint32_t *ids = ARENA_ARRAY(&j->arena, uint32_t, tok_room(j->tok, n_bytes) + 1);
        size_t n = tok_encode(j->tok, text, n_bytes, ids);
        j->n_kept_natural_tok += tok_n_within(j->tok, ids, n, doc_natural_bytes(&d));
        arena_rewind(&j->arena, mark);
        j->n_kept_tok += n;
        s->page.kept_tok += n;
    }
    if (s->write) {
        js_put_text(meta, "source_id", page->id);
        js_put_text(meta, "recipe", j->recipe->name);
        const struct doc d = { .id = id,
                               .text = text,
                               .n_bytes = n_bytes,
                               .source = page->source,
                               .url = page->url,
                               .offset = page->offset,
                               .meta = meta };
        st = write_doc(s, &d, err);
    }
    js_free(meta);
    return st;
}

static void put_cut(struct js *v, const char *key, const char *s, size_t n)
{
    if (n > SAMPLE_BYTES)
        n = utf8_valid(s, SAMPLE_BYTES);
    js_put_textn(v, key, s, n);
}

static void sample(struct settle *s, const struct item *it, const struct answer *a)
{
    bool kept = a->verdict == V_KEPT;
    int *n = kept ? &s->n_sample_kept : &s->n_sample_dropped;
    if (*n >= (kept ? SAMPLES_KEPT : SAMPLES_DROPPED))
        return;
    (*n)++;
    struct js *v = js_object();
    js_put_text(v, "id", it->doc->id);
    js_put_text(v, "url", it->doc->url);
    js_put_whole(v, "piece", it->piece);
    js_put_text(v, "variant", s->job->recipe->prompt[it->variant].name);
    js_put_text(v, "verdict", verdict_name(a->verdict));
    js_put_bool(v, "kept", kept);
    put_cut(v, "source", it->source, it->n_source);
    put_cut(v, "output", kept ? a->text.s : a->raw, kept ? a->text.n : a->n_raw);
    js_push(s->samples, v);
}

static enum st write_verdict(struct settle *s, const struct item *it, const struct answer *a,
                             struct err *err)
{
    char hex[DIGEST_HEX];
    struct js *v = answer_json(a);
    str_clear(&s->line);
    js_put_text(v, "id", it->doc->id);
    js_put_whole(v, "piece", it->piece);
    js_put_text(v, "variant", s->job->recipe->prompt[it->variant].name);
    js_put_text(v, "key", digest_hex(it->key, hex));
    if (s->of)
        js_put_text(v, "of", s->of);
    js_write(v, &s->line);
    str_addc(&s->line, '\n');
    js_free(v);
    return outstream_write(s->verdicts, s->line.s, s->line.n, err);
}

/* Where each part of a document is from: ranges of bytes that cover it without a gap. */
struct spans {
    struct js *list, *last;
};

static void span_add(struct spans *s, size_t from, const char *provenance, int64_t piece,
                     const char *variant)
{
    if (!s->list)
        s->list = js_array();
    if (s->last)
        js_put_whole(s->last, "to", (int64_t)from);
    s->last = js_object();
    js_put_whole(s->last, "from", (int64_t)from);
    js_put_text(s->last, "provenance", provenance);
    js_put_whole(s->last, "piece", piece);
    if (variant)
        js_put_text(s->last, "variant", variant);
    js_push(s->list, s->last);
}

/* What every generated document says of itself. Spans are taken; a document that is one answer and
 * nothing else needs none. */
static struct js *describe(const struct settle *s, struct spans spans, size_t n_bytes, bool cut)
{
    char version[DIGEST_HEX];
    struct js *meta = js_object();
    const char *made = recipe_edits(s->job->recipe) ? "edited" : "synthetic";
    js_put_text(meta, "provenance", s->job->recipe->parse.source_first ? "mixed" : made);
    js_put_text(meta, "recipe_version", digest_hex(s->job->recipe->version, version));
    js_put_text(meta, "generator", js_get_text(s->job->about, "model", NULL));
    if (cut)
        js_put_bool(meta, "cut", true);
    js_put_whole(spans.last, "to", (int64_t)n_bytes);
    if (js_len(spans.list) > 1)
        js_put(meta, "spans", spans.list);
    else
        js_free(spans.list);
    return meta;
}

/* The source stands first where the recipe wants it. */
static enum st keep_answer(struct settle *s, const struct item *it, const struct ledger_row *row,
                           const struct answer *a, struct err *err)
{
    const struct recipe *r = s->job->recipe;
    const char *variant = r->prompt[it->variant].name;
    struct strbuf text = { 0 };
    struct spans spans = { 0 };
    if (r->parse.source_first) {
        span_add(&spans, 0, "natural", it->piece, NULL);
        str_printf(&text, "%s\n\n", it->source);
    }
    span_add(&spans, text.n, "synthetic", it->piece, variant);
    str_add(&text, a->text.s, a->text.n);
    struct js *meta = describe(s, spans, text.n, a->cut || a->cut_loop);
    js_put_text(meta, "variant", variant);
    js_put_whole(meta, "piece", it->piece);
    if (recipe_edits(r)) {
        js_put_whole(meta, "tokens", row->n_tok);
        js_put_whole(meta, "tokens_changed", row->n_changed);
    }
    char *id = answer_id(s, it);
    enum st st = keep(s, it->doc, id, text.s, text.n, meta, err);
    str_release(&text);
    free(id);
    return st;
}

static void join_answer(struct settle *s, const struct item *it, const struct answer *a)
{
    struct join *join = &s->join;
    if (!join->pieces) {
        join->pieces = js_array();
        join->variants = js_array();
        join->begins = js_array();
    } else {
        str_adds(&join->text, "\n\n");
    }
    js_push_whole(join->begins, (int64_t)join->text.n);
    str_add(&join->text, a->text.s, a->text.n);
    js_push_whole(join->pieces, it->piece);
    js_push_text(join->variants, s->job->recipe->prompt[it->variant].name);
    join->cut |= a->cut || a->cut_loop;
}

static void join_drop(struct join *join)
{
    str_release(&join->text);
    js_free(join->pieces);
    js_free(join->variants);
    js_free(join->begins);
    *join = (struct join){ 0 };
}

/* The document of a page's kept answers; its passages stand first where the recipe wants them. */
static enum st join_end(struct settle *s, const struct page *page, struct err *err)
{
    const struct recipe *r = s->job->recipe;
    struct join *join = &s->join;
    struct strbuf text = { 0 };
    struct spans spans = { 0 };
    if (!join->pieces)
        return ST_OK;
    for (size_t i = 0; i < page->n_piece && r->parse.source_first; i++) {
        span_add(&spans, text.n, "natural", page->piece[i].index, NULL);
        str_add(&text, page->piece[i].s, page->piece[i].n_bytes);
        str_adds(&text, "\n\n");
    }
    for (size_t i = 0; i < js_len(join->pieces); i++)
        span_add(&spans, text.n + (size_t)js_as_whole(js_at(join->begins, i), 0), "synthetic",
                 js_as_whole(js_at(join->pieces, i), 0),
                 js_as_text(js_at(join->variants, i), NULL));
    str_add(&text, join->text.s, join->text.n);
    struct js *meta = describe(s, spans, text.n, join->cut);
    js_put(meta, "pieces", js_copy(join->pieces));
    js_put(meta, "variants", js_copy(join->variants));
    char *id = xasprintf("%s:%s", r->name, page->doc->id);
    enum st st = keep(s, page->doc, id, text.s, text.n, meta, err);
    str_release(&text);
    free(id);
    join_drop(join);
    return st;
}

static void judge(struct settle *s, const struct item *it, const struct ledger_row *row,
                  struct answer *a)
{
    struct job *j = s->job;
    *a = item_answer(it, row->finish, row->raw, row->n_raw);
    answer_read(a, j->recipe, &j->arena);
    monitor_add(j->monitor, it->variant, a->text.s, a->text.n, &j->arena);
    answer_judge(a, j->recipe, j->domains, &j->arena);
    if (a->verdict == V_KEPT)
        a->verdict = repeats(s, it, a->text.s, a->text.n);
    if (a->verdict == V_DUPLICATE || a->verdict == V_NEAR_DUPLICATE)
        a->flags |= 1u << a->verdict;
}

static enum st settle_answer(struct settle *s, const struct item *it, struct err *err)
{
    struct job *j = s->job;
    struct ledger_row row;
    struct answer a = { .raw = "", .source = "", .frame = "" };
    enum st st = ledger_get(j->ledger, it->key, &row, err);
    if (st < 0)
        return st;
    if (st == ST_OK ? row.again : digests_has(&s->unanswered, it->key))
        return ST_OK; /* the same piece stands on two pages: one request, one document */
    if (st == ST_END)
        digests_add(&s->unanswered, it->key);
    if (st == ST_END && !digests_has(&j->failed, it->key)) {
        j->n_pending++;
        return ST_OK;
    }
    s->of = NULL;
    j->n_requests++;
    if (st == ST_END) {
        str_adds(&a.text, "");
        a.verdict = V_FAILED;
    } else {
        judge(s, it, &row, &a);
        j->n_tok_prompt += row.n_tok_prompt;
        j->n_tok += row.n_tok;
        j->n_redrawn += row.n_redrawn;
        j->n_changed += row.n_changed;
        s->page.settled++;
        s->page.requests++;
        s->page.discarded += a.verdict != V_KEPT;
        s->page.tok_prompt += row.n_tok_prompt;
        s->page.tok += row.n_tok;
    }
    rates_add(&j->rates, j->recipe, &a);
    rates_add(&j->by_variant[it->variant], j->recipe, &a);
    st = ST_OK;
    if (s->write) {
        st = write_verdict(s, it, &a, err);
        sample(s, it, &a);
    }
    if (st == ST_OK && a.verdict == V_KEPT) {
        if (recipe_joins_page(j->recipe))
            join_answer(s, it, &a);
        else
            st = keep_answer(s, it, &row, &a, err);
    }
    answer_release(&a);
    return st;
}

static enum st settle_transform(struct settle *s, const struct item *it, struct err *err)
{
    struct job *j = s->job;
    bool shuffle = strcmp(j->recipe->transform, "shuffle_words") == 0;
    bool import = recipe_imports(j->recipe);
    const char *text = item_transform(it, j->recipe, j->conf->seed, &j->arena);
    struct answer a = { .verdict = V_KEPT };
    if (j->domains && ngram_shared(j->domains, text, strlen(text)) > 0)
        a.verdict = V_CONTAMINATED;
    else
        a.verdict = repeats(s, it, text, strlen(text));
    a.copied = a.raw_copied = NAN;
    rates_add(&j->rates, j->recipe, &a);
    if (a.verdict != V_KEPT)
        return ST_OK;
    struct js *meta = js_object();
    const struct js *spans = import ? js_get(it->doc->meta, "spans") : NULL;
    js_put_text(meta, "provenance", import ? "synthetic" : shuffle ? "shuffled" : "natural");
    if (spans) /* of a set that was made here */
        js_put(meta, "spans", js_copy(spans));
    js_put_whole(meta, "piece", it->piece);
    char *id = answer_id(s, it);
    enum st st = keep(s, it->doc, id, text, strlen(text), meta, err);
    free(id);
    return st;
}

/* For forecasts: what the page's pieces made. */
static void count_page(struct job *j, const struct settle *s)
{
    double x = (double)s->page.settled;
    if (!s->page.settled)
        return;
    ratio_add(&j->per_requests, x, (double)s->page.requests);
    ratio_add(&j->per_tok_prompt, x, (double)s->page.tok_prompt);
    ratio_add(&j->per_tok, x, (double)s->page.tok);
    ratio_add(&j->per_kept_tok, x, (double)s->page.kept_tok);
    ratio_add(&j->per_cost, x, job_cost(j, s->page.tok_prompt, s->page.tok));
    ratio_add(&j->discarded, (double)s->page.requests, (double)s->page.discarded);
}

static enum st settle_pages(struct settle *s, struct err *err)
{
    struct job *j = s->job;
    struct page page;
    enum st st;
    job_rewind(j);
    while ((st = pages_next(j->pages, &page, err)) == ST_OK) {
        memset(&s->page, 0, sizeof s->page);
        size_t n_item = item_n(j->recipe, &page);
        for (size_t i = 0; i < n_item && st == ST_OK; i++) {
            struct item it;
            arena_rewind(&j->arena, j->base);
            if (!job_item(j, &page, i, &it))
                s->page.settled++;
            else
                st = it.variant < 0 ? settle_transform(s, &it, err) : settle_answer(s, &it, err);
            /* Tokens and cost end a run at the same piece whatever the order of the answers was. */
            if (st == ST_OK && it.variant >= 0 && j->conf->max_tok && j->n_tok >= j->conf->max_tok)
                st = ST_END;
            if (st == ST_OK && it.variant >= 0 && j->conf->max_cost > 0 &&
                job_cost(j, j->n_tok_prompt, j->n_tok) >= j->conf->max_cost)
                st = ST_END;
        }
        if (st == ST_OK && monitor_all_stopped(j->monitor)) {
            j->stopped = j->stopped ? j->stopped : "collapse";
            st = ST_END;
        }
        if (st >= 0) {
            enum st joined = join_end(s, &page, err);
            st = joined < 0 ? joined : st;
        }
        j->n_pages++;
        count_page(j, s);
        if (st != ST_OK)
            return st == ST_END ? ST_OK : st;
    }
    return st == ST_END ? ST_OK : st;
}

/* Nothing is settled yet. */
static void forget(struct job *j)
{
    j->rates = (struct rates){ 0 };
    memset(j->by_variant, 0, j->recipe->n_prompt * sizeof *j->by_variant);
    j->n_docs = j->n_bytes = j->n_kept_tok = j->n_kept_natural_tok = j->n_tok_prompt = j->n_tok = 0;
    j->n_pending = j->n_pages = j->n_requests = j->n_redrawn = j->n_changed = 0;
    j->per_requests = j->per_tok_prompt = j->per_tok = (struct ratio){ 0 };
    j->per_kept_tok = j->per_cost = j->discarded = (struct ratio){ 0 };
}

enum st job_settle(struct job *j, bool write, struct err *err)
{
    /* Controls are the passages that another kind kept, all of them: only equal ones fall. */
    bool made = recipe_needs_generator(j->recipe) || recipe_imports(j->recipe);
    bool near = made && j->recipe->limits.max_similar < 1;
    struct settle s = { .job = j,
                        .write = write,
                        .samples = js_array(),
                        .kept = dedup_new(near ? DEDUP_MINHASH : DEDUP_EXACT,
                                          j->recipe->limits.max_similar) };
    char *verdicts = path_join(j->conf->out, "verdicts.jsonl.zst");
    char *samples = path_join(j->conf->out, "samples.json");
    enum st st = ST_OK;
    forget(j);
    if (j->ledger)
        ledger_rewind(j->ledger);
    if (write) {
        st = remove_old(j, err);
        if (st == ST_OK && recipe_needs_generator(j->recipe))
            st = outstream_open(&s.verdicts, verdicts, err);
    }
    if (st == ST_OK)
        st = settle_pages(&s, err);
    if (st == ST_OK && write) {
        if (!s.docs && !s.n_file) { /* nothing was kept: still a file, an empty one */
            char *path = path_join(j->conf->out, "docs-00000.jsonl.zst");
            st = doc_writer_open(&s.docs, path, err);
            free(path);
        }
        if (st == ST_OK)
            st = docs_commit(&s, err);
        if (st == ST_OK && s.verdicts)
            st = outstream_commit(s.verdicts, err);
        if (st == ST_OK && s.verdicts)
            st = js_write_file(s.samples, samples, err);
    }
    doc_writer_close(s.docs);
    outstream_close(s.verdicts);
    js_free(s.samples);
    str_release(&s.line);
    str_release(&s.scratch);
    dedup_free(s.kept);
    join_drop(&s.join); /* of a page that was not finished */
    free(s.unanswered.d);
    free(verdicts);
    free(samples);
    return st;
}
