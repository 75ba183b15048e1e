/* data/encode.c - see encode.h. */
#include "data/encode.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "base/manifest.h"
#include "base/mem.h"
#include "base/pool.h"
#include "data/documents.h"
#include "data/shard.h"
#include "tok/tok.h"

enum { BATCH_BYTES = 4 << 20, GROUP_BYTES = 128 << 10 };

struct batch {
    struct strbuf text;
    size_t *begin; /* [n_doc + 1] in text */
    size_t n_doc, cap;
    size_t *group; /* [n_group + 1] first document of each item of work */
    size_t n_group, group_cap;
    uint32_t *ids; /* document d's begin at begin[d] + d: at most a token a byte, and the end */
    size_t ids_cap;
    size_t *n_tok, *natural; /* [n_doc]; natural: bytes of the source before what was generated, */
    size_t n_tok_cap, natural_cap; /* then its tokens */
};

struct job {
    struct documents *docs;
    const struct tok *tok;
    struct batch batch[2], *now, *next; /* encoded and written; being read */
    enum st read;                       /* ST_END after the last document */
    struct err err;
};

static void batch_release(struct batch *b)
{
    str_release(&b->text);
    free(b->begin);
    free(b->group);
    free(b->ids);
    free(b->n_tok);
    free(b->natural);
}

static void push(size_t **list, size_t *n, size_t *cap, size_t v)
{
    GROW(*list, *n, *cap);
    (*list)[(*n)++] = v;
}

/* Fills a batch; ST_END with an empty one when there is no more. */
static enum st batch_read(struct batch *b, struct documents *docs, struct err *err)
{
    struct doc doc;
    enum st st = ST_OK;
    str_clear(&b->text);
    b->n_doc = b->n_group = 0;
    size_t n_begin = 0, n_natural = 0, group_from = 0;
    push(&b->begin, &n_begin, &b->cap, 0);
    push(&b->group, &b->n_group, &b->group_cap, 0);
    while (b->text.n < BATCH_BYTES && (st = documents_next(docs, &doc, err)) == ST_OK) {
        str_add(&b->text, doc.text, doc.n_bytes);
        push(&b->begin, &n_begin, &b->cap, b->text.n);
        push(&b->natural, &n_natural, &b->natural_cap, doc_natural_bytes(&doc));
        if (b->text.n - group_from >= GROUP_BYTES) {
            push(&b->group, &b->n_group, &b->group_cap, n_begin - 1);
            group_from = b->text.n;
        }
    }
    b->n_doc = n_begin - 1;
    if (b->group[b->n_group - 1] != b->n_doc)
        push(&b->group, &b->n_group, &b->group_cap, b->n_doc);
    b->n_group--;
    if (b->ids_cap < b->text.n + b->n_doc) {
        b->ids_cap = b->text.n + b->n_doc;
        b->ids = xrealloc(b->ids, b->ids_cap, sizeof *b->ids);
    }
    if (b->n_tok_cap < b->n_doc) {
        b->n_tok_cap = b->n_doc;
        b->n_tok = xrealloc(b->n_tok, b->n_tok_cap, sizeof *b->n_tok);
    }
    return st == ST_END && b->n_doc > 0 ? ST_OK : st;
}

/* Item 0 reads the next batch, the others encode this one's groups. */
static void work(void *arg, size_t item, int thread)
{
    (void)thread;
    struct job *j = arg;
    if (item == 0) {
        j->read = batch_read(j->next, j->docs, &j->err);
        return;
    }
    struct batch *b = j->now;
    for (size_t d = b->group[item - 1]; d < b->group[item]; d++) {
        size_t at = b->begin[d], n = b->begin[d + 1] - at;
        uint32_t *ids = b->ids + at + d;
        size_t n_tok = n ? tok_encode(j->tok, b->text.s + at, n, ids) : 0;
        b->natural[d] = tok_n_within(j->tok, ids, n_tok, b->natural[d]);
        ids[n_tok] = (uint32_t)tok_eod(j->tok);
        b->n_tok[d] = n_tok + 1;
    }
}

/* ST_END when max_tok is reached. */
static enum st batch_write(const struct batch *b, struct shard_writer *w, uint64_t max_tok,
                           struct encode_counts *counts, struct err *err)
{
    enum st st = ST_OK;
    for (size_t d = 0; d < b->n_doc && st == ST_OK; d++) {
        if (max_tok && counts->n_tok >= max_tok)
            return ST_END;
        size_t n = b->begin[d + 1] - b->begin[d];
        st = shard_write(w, b->ids + b->begin[d] + d, b->n_tok[d], n, err);
        counts->n_docs++;
        counts->n_tok += b->n_tok[d];
        counts->n_bytes += n;
        counts->n_tok_natural += b->natural[d];
    }
    return st;
}

static enum st encode_all(struct job *j, struct shard_writer *w, const struct encode_conf *c,
                          struct encode_counts *counts, struct err *err)
{
    struct pool *pool = pool_new(c->n_threads);
    struct progress progress;
    progress_start(&progress, "tokenize", documents_size(j->docs), "B");
    j->now = &j->batch[0];
    j->next = &j->batch[1];
    j->read = batch_read(j->next, j->docs, &j->err);
    enum st st = ST_OK;
    while (st == ST_OK && j->read == ST_OK) {
        struct batch *filled = j->next;
        j->next = j->now;
        j->now = filled;
        pool_run(pool, filled->n_group + 1, work, j);
        st = batch_write(filled, w, c->max_tok, counts, err);
        progress_at(&progress, documents_place(j->docs));
        if (st == ST_OK && stop_asked())
            st = err_set(err, ST_INTERRUPTED, "stopped; nothing was written to '%s'", c->prefix);
    }
    if (st == ST_OK && j->read < 0)
        st = err_set(err, j->read, "%s", j->err.msg);
    progress_end(&progress);
    pool_free(pool);
    counts->n_skipped = documents_n_skipped(j->docs);
    return st < 0 ? st : ST_OK;
}

/* Whether PREFIX.json was written for this key: ST_END it was, ST_USAGE for another. */
static enum st check_key(const char *prefix, const char *key, struct encode_counts *counts,
                         struct err *err)
{
    char *json = xasprintf("%s.json", prefix);
    struct js *m = NULL;
    struct shard *s = NULL;
    enum st st = ST_OK;
    if (file_exists(json)) {
        st = js_read_file(&m, json, err);
        if (st == ST_OK && strcmp(js_get_text(m, "key", ""), key) != 0)
            st = err_set(err, ST_USAGE,
                         "'%s' holds tokens of other inputs or settings; choose another --out or "
                         "delete it",
                         json);
        if (st == ST_OK) /* damaged or removed files are made again */
            st = shard_open(&s, prefix, err) == ST_OK ? ST_END : ST_OK;
    }
    if (st == ST_END)
        *counts =
            (struct encode_counts){ .n_docs = shard_n_docs(s),
                                    .n_tok = shard_n_tok(s),
                                    .n_bytes = shard_n_bytes(s),
                                    .n_skipped = (uint64_t)js_get_whole(m, "skipped_records", 0),
                                    .n_tok_natural = (uint64_t)js_get_whole(m, "tokens_natural", 0),
                                    .wall_s = js_get_real(m, "wall_s", 0) };
    shard_close(s);
    js_free(m);
    free(json);
    return st;
}

static struct js *manifest_of(const struct encode_conf *c, const struct tok *tok,
                              const struct js *settings, const struct js *inputs, const char *key,
                              const struct encode_counts *counts)
{
    char hex[DIGEST_HEX];
    struct js *m = js_object();
    js_put_text(m, "tokenizer", digest_hex(tok_digest(tok), hex));
    js_put_text(m, "tokenizer_file", c->tokenizer);
    js_put_text(m, "source", js_get_text(settings, "source", NULL));
    js_put_whole(m, "skipped_records", (int64_t)counts->n_skipped);
    if (counts->n_tok_natural)
        js_put_whole(m, "tokens_natural", (int64_t)counts->n_tok_natural);
    js_put_text(m, "stage", "tokenize");
    js_put_whole(m, "version", ENCODE_VERSION);
    if (inputs) {
        js_put_text(m, "key", key);
        js_put(m, "inputs", js_copy(inputs));
    }
    js_put(m, "settings", js_copy(settings));
    js_put_real(m, "wall_s", counts->wall_s);
    return m;
}

static enum st encode_open(struct job *j, const struct encode_conf *c, const struct js *settings,
                           struct js *inputs, struct encode_counts *counts, struct err *err)
{
    char key[DIGEST_HEX] = "";
    double start = clock_s();
    struct shard_writer *w = NULL;
    enum st st = ST_OK;
    if (inputs) {
        manifest_key(key, "tokenize", ENCODE_VERSION, settings, inputs);
        st = check_key(c->prefix, key, counts, err);
    }
    if (st == ST_OK)
        st = shard_writer_open(&w, c->prefix, tok_vocab_size(j->tok), err);
    if (st == ST_OK) {
        shard_writer_eod(w, tok_eod(j->tok));
        st = encode_all(j, w, c, counts, err);
        counts->wall_s = clock_s() - start;
    }
    if (w && st == ST_OK)
        st = shard_writer_commit(w, manifest_of(c, j->tok, settings, inputs, key, counts), err);
    shard_writer_close(w);
    return st;
}

/* The folder of a file that is to be written, made when it is not there; the caller frees *dir. */
static enum st make_folder_of(char **dir, const char *path, struct err *err)
{
    *dir = xstrndup(path, (size_t)(path_base(path) - path));
    return **dir ? dir_make(*dir, err) : ST_OK;
}

/* One command at a time writes a prefix: its three files belong together. */
static enum st lock_prefix(struct lock *l, const char *prefix, struct err *err)
{
    char *dir = NULL;
    enum st st = make_folder_of(&dir, prefix, err);
    char *path = xasprintf("%s.%s.lock", dir, path_base(prefix));
    if (st == ST_OK)
        st = lock_take(l, path, err);
    free(path);
    free(dir);
    return st;
}

enum st encode_files(struct encode_counts *counts, const struct encode_conf *c, char *const *input,
                     size_t n_input, struct err *err)
{
    struct job *j = NEW(struct job);
    struct tok *tok = NULL;
    struct js *settings = js_object(), *inputs = NULL;
    struct lock lock = { -1 };
    *counts = (struct encode_counts){ 0 };
    enum st st = lock_prefix(&lock, c->prefix, err);
    if (st == ST_OK)
        st = tok_open(&tok, c->tokenizer, err);
    if (st == ST_OK)
        st = err_in(err, tok_check_bytes(tok, err), "'%s'", c->tokenizer);
    if (st == ST_OK && tok_eod(tok) < 0)
        st = err_set(err, ST_USAGE, "'%s' has no end-of-document token (<|endoftext|>)",
                     c->tokenizer);
    if (st == ST_OK)
        st = documents_open(&j->docs, input, n_input, c->strict, err);
    if (st == ST_OK)
        st = documents_digests(j->docs, &inputs, err);
    if (st == ST_OK) {
        char hex[DIGEST_HEX];
        js_put_text(settings, "tokenizer", digest_hex(tok_digest(tok), hex));
        js_put_text(settings, "source", c->source ? c->source : path_base(c->prefix));
        js_put_whole(settings, "max_tokens", (int64_t)c->max_tok);
        j->tok = tok;
        st = encode_open(j, c, settings, inputs, counts, err);
    }
    lock_drop(&lock);
    documents_close(j->docs);
    batch_release(&j->batch[0]);
    batch_release(&j->batch[1]);
    free(j);
    js_free(settings);
    js_free(inputs);
    tok_free(tok);
    return st;
}

enum st train_tok_files(struct train_tok_counts *counts, const struct train_tok_conf *c,
                        char *const *input, size_t n_input, struct err *err)
{
    struct documents *docs = NULL;
    struct tok_trainer *tr = tok_trainer_new();
    struct tok *tok = NULL;
    struct doc doc;
    double start = clock_s();
    char *dir = NULL;
    *counts = (struct train_tok_counts){ 0 };
    enum st st = make_folder_of(&dir, c->out, err); /* now, not after hours of reading */
    free(dir);
    if (st == ST_OK)
        st = documents_open(&docs, input, n_input, c->strict, err);
    if (st == ST_OK) {
        struct progress progress;
        progress_start(&progress, "count words", documents_size(docs), "B");
        while ((st = documents_next(docs, &doc, err)) == ST_OK && !stop_asked()) {
            if (c->max_bytes && counts->n_bytes + doc.n_bytes > c->max_bytes) {
                log_info("stopped reading at %llu bytes of text (--max-bytes)",
                         (unsigned long long)counts->n_bytes);
                st = ST_END;
                break;
            }
            tok_trainer_add(tr, doc.text, doc.n_bytes);
            counts->n_bytes += doc.n_bytes;
            counts->n_docs++;
            progress_at(&progress, documents_place(docs));
        }
        progress_end(&progress);
    }
    if (st == ST_OK)
        st = err_set(err, ST_INTERRUPTED, "stopped");
    else if (st == ST_END)
        st = tok_trainer_finish(tr, c->vocab_size, &tok, err);
    if (st == ST_OK)
        st = tok_save(tok, c->out, err);
    if (st == ST_OK) {
        counts->vocab_size = tok_vocab_size(tok);
        counts->n_merges = tok_n_merges(tok);
        counts->wall_s = clock_s() - start;
        if (counts->vocab_size < c->vocab_size)
            log_warn("the text gave %d tokens only, fewer than the %d asked for",
                     counts->vocab_size, c->vocab_size);
    }
    tok_free(tok);
    tok_trainer_free(tr);
    documents_close(docs);
    return st;
}
