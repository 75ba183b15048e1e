/* corpus/build.c - see build.h. */
#include "corpus/build.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/manifest.h"
#include "base/mem.h"
#include "base/pool.h"
#include "base/stream.h"
#include "corpus/batch.h"
#include "corpus/dedup.h"
#include "corpus/holdout.h"
#include "corpus/ngram.h"
#include "corpus/reader.h"
#include "corpus/seen.h"

#define SHARD_BYTES ((uint64_t)256 << 20) /* of text */

enum { MAX_WARNINGS = 5, BATCH_BYTES = 4 << 20, BATCH_DOCS = 4096, ITEM_DOCS = 16 };

enum reason {
    KEEP,
    HELD,
    SOURCE,
    TOO_SHORT,
    TOO_LONG,
    DUPLICATE,
    NEAR_DUPLICATE,
    CONTAMINATED,
    NEAR_HELD,
    NEAR_TRAIN,
    N_REASON
};
static const char *const reason_name[N_REASON] = {
    [SOURCE] = "source",       [TOO_SHORT] = "too_short",           [TOO_LONG] = "too_long",
    [DUPLICATE] = "duplicate", [NEAR_DUPLICATE] = "near_duplicate", [CONTAMINATED] = "contaminated",
    [NEAR_HELD] = "near_held", [NEAR_TRAIN] = "near_train",
};

/* Documents to numbered shards in a folder. */
struct shards {
    const char *dir;
    struct doc_writer *w;
    int n_shards;
    uint64_t n_docs, n_bytes, n_shard_bytes;
};

struct build {
    const struct corpus_conf *conf;
    struct corpus_files files, eval_files; /* inputs; those of `decontaminate` */
    struct seen ids;
    struct dedup *dedup;
    struct ngram_index *eval; /* NULL: not asked for */
    struct holdout *holdout;  /* likewise */
    struct strbuf id, scratch;
    struct shards out, held;
    struct outstream *dropped;
    uint64_t docs_in, bytes_in, n_skipped, n[N_REASON];
    uint64_t n_passed; /* files in folders that are no text; part of n_skipped in the end */
    /* of a walk through files */
    struct pool *pool;
    const struct corpus_files *walked;
    size_t at; /* of the file at hand */
    struct reader *reader;
    struct progress progress;
    uint64_t bytes_done; /* of files before the one at hand */
};

static enum st shards_finish(struct shards *s, struct err *err)
{
    enum st st = s->w ? doc_writer_commit(s->w, err) : ST_OK;
    doc_writer_close(s->w);
    s->w = NULL;
    return st;
}

static enum st shards_add(struct shards *s, const struct doc *d, struct err *err)
{
    enum st st = ST_OK;
    if (s->w && s->n_shard_bytes >= SHARD_BYTES)
        st = shards_finish(s, err);
    if (st == ST_OK && !s->w) {
        char *path = xasprintf("%s/docs-%05d.jsonl.zst", s->dir, s->n_shards++);
        st = doc_writer_open(&s->w, path, err);
        s->n_shard_bytes = 0;
        free(path);
    }
    if (st == ST_OK)
        st = doc_write(s->w, d, err);
    s->n_docs++;
    s->n_bytes += d->n_bytes;
    s->n_shard_bytes += d->n_bytes;
    return st;
}

static enum dedup_kind dedup_kind(const struct corpus_conf *c)
{
    return strcmp(c->dedup, "minhash") == 0 ? DEDUP_MINHASH
           : strcmp(c->dedup, "exact") == 0 ? DEDUP_EXACT
                                            : DEDUP_NONE;
}

static double max_similar(const struct corpus_conf *c)
{
    return c->max_similar > 0 ? c->max_similar : DEDUP_SIMILAR;
}

static bool is_dropped_source(const struct corpus_conf *c, const char *source)
{
    for (size_t i = 0; i < c->n_drop_source; i++)
        if (source && strcmp(source, c->drop_source[i]) == 0)
            return true;
    return false;
}

/* Ids are unique in a folder: a repeated one becomes ID~N, N the document's number among all read.
 */
static void make_unique(struct build *b, struct doc *d)
{
    const char *id = d->id;
    for (uint64_t n = b->docs_in; !seen_add(&b->ids, digest_of(d->id, strlen(d->id))); n++) {
        str_clear(&b->id);
        str_printf(&b->id, "%s~%llu", id, (unsigned long long)n);
        d->id = b->id.s;
    }
}

/* *of: id of the document that it repeats, or NULL. */
static enum reason judge(struct build *b, struct batch_doc *looked, const char **of)
{
    const struct corpus_conf *c = b->conf;
    struct doc *d = &looked->doc;
    *of = NULL;
    make_unique(b, d);
    if (is_dropped_source(c, d->source))
        return SOURCE;
    if (d->n_bytes < c->min_bytes)
        return TOO_SHORT;
    if (c->max_bytes && d->n_bytes > c->max_bytes)
        return TOO_LONG;
    enum dedup_verdict v = dedup_find(b->dedup, &looked->look, of);
    if (v != DEDUP_NEW)
        return v == DEDUP_SAME ? DUPLICATE : NEAR_DUPLICATE;
    if (looked->contaminated)
        return CONTAMINATED;
    dedup_keep(b->dedup, &looked->look, d->id);
    return KEEP;
}

/* of: the document that it repeats, or NULL. */
static enum st drop(struct build *b, const char *id, enum reason why, const char *of,
                    struct err *err)
{
    b->n[why]++;
    str_clear(&b->scratch);
    str_adds(&b->scratch, "{\"id\":");
    js_quote(&b->scratch, id, strlen(id));
    str_printf(&b->scratch, ",\"reason\":\"%s\"", reason_name[why]);
    if (of) {
        str_adds(&b->scratch, ",\"of\":");
        js_quote(&b->scratch, of, strlen(of));
    }
    str_adds(&b->scratch, "}\n");
    return outstream_write(b->dropped, b->scratch.s, b->scratch.n, err);
}

/* What is done with a document on a walk through the inputs. */
typedef enum st take_fn(struct build *b, struct batch_doc *looked, struct err *err);

static enum st take_document(struct build *b, struct batch_doc *looked, struct err *err)
{
    struct doc *d = &looked->doc;
    b->docs_in++;
    b->bytes_in += d->n_bytes;
    const char *of;
    enum reason why = judge(b, looked, &of);
    if (why != KEEP)
        return drop(b, d->id, why, of, err);
    if (b->holdout)
        return holdout_add(b->holdout, d, err);
    return shards_add(&b->out, d, err);
}

/* With documents held out, where each belongs is known only when all were seen. */
static enum st divide(struct build *b, struct err *err)
{
    struct doc d;
    enum held where = HELD_NO;
    enum st st = holdout_decide(b->holdout, err);
    while (st == ST_OK && (st = holdout_next(b->holdout, &d, &where, err)) == ST_OK) {
        if (where == HELD_NO)
            st = shards_add(&b->out, &d, err);
        else if (where == HELD_YES)
            st = shards_add(&b->held, &d, err);
        else
            st = drop(b, d.id, where == HELD_NEAR_TRAIN ? NEAR_TRAIN : NEAR_HELD, NULL, err);
        if (st == ST_OK && stop_asked())
            st = err_set(err, ST_INTERRUPTED, "stopped; the same command starts this again");
    }
    return st == ST_END ? ST_OK : st;
}

/* Ends the file that is open. */
static void leave_file(struct build *b, bool whole)
{
    struct reader_stats stats = reader_stats(b->reader);
    b->n_skipped += stats.n_skipped;
    b->bytes_done += stats.n_file_bytes;
    if (whole && stats.n_docs == 0 && strcmp(reader_format(b->reader), "empty") == 0)
        log_warn("'%s' is empty", b->walked->file[b->at].path);
    reader_close(b->reader);
    b->reader = NULL;
    b->at++;
}

/* The next document of the files that are walked; borrowed until the next call. */
static enum st next_document(struct build *b, struct doc *d, struct err *err)
{
    while (b->at < b->walked->n) {
        const struct corpus_file *f = &b->walked->file[b->at];
        struct reader_conf conf = { .strict = b->conf->strict,
                                    .source = f->source,
                                    .name = f->name };
        enum st st = b->reader ? ST_OK : reader_open(&b->reader, f->path, &conf, err);
        if (!b->reader && st < 0 && st != ST_INTERRUPTED && !f->named && !b->conf->strict) {
            if (b->n_passed++ < MAX_WARNINGS) /* a folder may hold pictures and the like */
                log_warn("%s; passed over", err->msg);
            b->at++;
            continue;
        }
        if (st == ST_OK)
            st = reader_next(b->reader, d, err);
        if (st == ST_OK)
            progress_at(&b->progress, b->bytes_done + reader_stats(b->reader).n_file_bytes);
        if (st != ST_END)
            return st;
        leave_file(b, true);
    }
    return ST_END;
}

static enum st batch_read(struct build *b, struct doc_batch *batch, struct err *err)
{
    struct doc d;
    enum st st = ST_OK;
    doc_batch_clear(batch);
    while (batch->n_bytes < BATCH_BYTES && batch->n < BATCH_DOCS &&
           (st = next_document(b, &d, err)) == ST_OK) {
        doc_batch_add(batch, &d);
        if (stop_asked())
            return err_set(err, ST_INTERRUPTED, "stopped; the same command starts this again");
    }
    return st == ST_END && batch->n > 0 ? ST_OK : st;
}

/* What can be said of a document without the others: words and evaluation texts it shares. */
static void look_at(const struct build *b, struct batch_doc *d, struct strbuf *scratch)
{
    const struct corpus_conf *c = b->conf;
    size_t n = d->doc.n_bytes;
    if (n < c->min_bytes || (c->max_bytes && n > c->max_bytes))
        return;
    dedup_look(b->dedup, &d->look, d->doc.text, n, scratch);
    d->contaminated = b->eval && ngram_shared(b->eval, d->doc.text, n) > 0;
}

struct walk_job {
    struct build *b;
    struct doc_batch batch[2], *now, *next; /* looked at; being read */
    bool look;
    enum st read; /* of next; ST_END after the last document */
    struct err err;
};

/* Item 0 reads the next batch, the others look at this one's documents. */
static void walk_item(void *arg, size_t item, int thread)
{
    (void)thread;
    struct walk_job *j = arg;
    if (item == 0) {
        j->read = batch_read(j->b, j->next, &j->err);
        return;
    }
    struct strbuf scratch = { 0 };
    for (size_t i = (item - 1) * ITEM_DOCS; i < item * ITEM_DOCS && i < j->now->n; i++)
        look_at(j->b, &j->now->doc[i], &scratch);
    str_release(&scratch);
}

/* Documents reach take in the order of the files, whatever the number of threads. */
static enum st walk_batches(struct walk_job *j, take_fn *take, struct err *err)
{
    enum st st = ST_OK;
    j->now = &j->batch[0];
    j->next = &j->batch[1];
    j->read = batch_read(j->b, j->next, &j->err);
    while (st == ST_OK && j->read == ST_OK) {
        struct doc_batch *filled = j->next;
        j->next = j->now;
        j->now = filled;
        size_t n_item = j->look ? (filled->n + ITEM_DOCS - 1) / ITEM_DOCS : 0;
        pool_run(j->b->pool, 1 + n_item, walk_item, j);
        for (size_t i = 0; i < filled->n && st == ST_OK; i++)
            st = take(j->b, &filled->doc[i], err);
    }
    if (st == ST_OK && j->read < 0)
        st = err_set(err, j->read, "%s", j->err.msg);
    doc_batch_release(&j->batch[0]);
    doc_batch_release(&j->batch[1]);
    return st;
}

static enum st walk(struct build *b, const struct corpus_files *files, const char *what,
                    take_fn *take, bool look, struct err *err)
{
    uint64_t total = 0;
    struct walk_job job = { .b = b, .look = look };
    for (size_t i = 0; i < files->n; i++) {
        uint64_t n;
        if (!path_is_stream(files->file[i].path) &&
            file_size(files->file[i].path, &n, err) == ST_OK)
            total += n;
    }
    b->walked = files;
    b->at = 0;
    b->bytes_done = 0;
    b->n_skipped = b->n_passed = 0;
    progress_start(&b->progress, what, total, "B");
    enum st st = walk_batches(&job, take, err);
    if (b->reader)
        leave_file(b, false);
    progress_end(&b->progress);
    b->n_skipped += b->n_passed;
    if (b->n_passed > MAX_WARNINGS)
        log_warn("%llu files that cannot be read were passed over",
                 (unsigned long long)b->n_passed);
    return st;
}

static enum st add_to_eval(struct build *b, struct batch_doc *d, struct err *err)
{
    (void)err;
    ngram_add(b->eval, d->doc.text, d->doc.n_bytes);
    return ST_OK;
}

/* First walk: the runs of words of the evaluation documents. */
static enum st index_evaluation(struct build *b, struct err *err)
{
    if (b->eval_files.n == 0)
        return ST_OK;
    b->eval = ngram_new(CONTAMINATION_WORDS);
    return walk(b, &b->eval_files, "read evaluation", add_to_eval, false, err);
}

/* Removes what an unfinished run left. */
static enum st clear_folder(const char *dir, struct err *err)
{
    struct strlist names = { 0 };
    enum st st = dir_list(dir, &names, err);
    for (size_t i = 0; i < names.n && st == ST_OK; i++) {
        if (!doc_file_is(names.s[i]) && !str_starts(names.s[i], "spool.jsonl.zst") &&
            !str_starts(names.s[i], "dropped.jsonl.zst"))
            continue;
        char *path = path_join(dir, names.s[i]);
        st = dir_remove(path, err);
        free(path);
    }
    strlist_release(&names);
    return st;
}

static struct js *list_of(char *const *s, size_t n)
{
    struct js *v = js_array();
    for (size_t i = 0; i < n; i++)
        js_push_text(v, s[i]);
    return v;
}

static struct js *settings_of(const struct corpus_conf *c, char *const *input, size_t n_input)
{
    struct js *v = js_object();
    js_put_text(v, "clean", c->clean);
    js_put_text(v, "dedup", c->dedup);
    if (dedup_kind(c) == DEDUP_MINHASH)
        js_put_real(v, "max_similar", max_similar(c));
    js_put_whole(v, "min_bytes", (int64_t)c->min_bytes);
    js_put_whole(v, "max_bytes", (int64_t)c->max_bytes);
    js_put_real(v, "hold_out", c->hold_out);
    js_put(v, "drop_source", list_of(c->drop_source, c->n_drop_source));
    js_put(v, "decontaminate", list_of(c->decontaminate, c->n_decontaminate));
    js_put(v, "input", list_of(input, n_input));
    return v;
}

/* {path: digest} of everything that is read. A pipe cannot be read twice: it never equals. */
static enum st inputs_of(struct js **out, const struct build *b, struct err *err)
{
    struct strlist paths = { 0 };
    bool has_stream = false;
    for (size_t i = 0; i < b->files.n + b->eval_files.n; i++) {
        const struct corpus_file *f =
            i < b->files.n ? &b->files.file[i] : &b->eval_files.file[i - b->files.n];
        if (path_is_stream(f->path))
            has_stream = true;
        else if (f->named || file_exists(f->path)) /* folders may hold links to nowhere */
            strlist_add(&paths, f->path);
    }
    enum st st = manifest_inputs(out, paths.s, paths.n, err);
    if (st == ST_OK && has_stream) {
        char nonce[64];
        snprintf(nonce, sizeof nonce, "%ld %.9f", (long)getpid(), clock_s());
        js_put_text(*out, "-", nonce);
    }
    strlist_release(&paths);
    return st;
}

static struct js *counts_of(const struct build *b, double wall_s)
{
    struct js *v = js_object(), *dropped = js_object();
    for (int i = SOURCE; i < N_REASON; i++)
        if (b->n[i] > 0)
            js_put_whole(dropped, reason_name[i], (int64_t)b->n[i]);
    js_put_whole(v, "docs_in", (int64_t)b->docs_in);
    js_put_whole(v, "docs_out", (int64_t)b->out.n_docs);
    js_put_whole(v, "bytes_in", (int64_t)b->bytes_in);
    js_put_whole(v, "bytes_out", (int64_t)b->out.n_bytes);
    js_put_whole(v, "skipped_records", (int64_t)b->n_skipped);
    js_put(v, "dropped", dropped);
    if (b->conf->hold_out > 0) {
        js_put_whole(v, "docs_held", (int64_t)b->held.n_docs);
        js_put_whole(v, "bytes_held", (int64_t)b->held.n_bytes);
    }
    js_put_real(v, "wall_s", wall_s);
    return v;
}

static enum st check_conf(const struct corpus_conf *c, struct err *err)
{
    if (strcmp(c->clean, "none") != 0)
        return err_set(err, ST_UNSUPPORTED, "--clean %s; this build has none", c->clean);
    if (c->max_similar < 0 || c->max_similar > 1)
        return err_set(err, ST_USAGE, "--max-similar %g; want 0 to 1", c->max_similar);
    if (c->lang)
        return err_set(err, ST_UNSUPPORTED, "--lang %s; this build cannot tell languages", c->lang);
    if ((c->hold_out > 0) != (c->held != NULL))
        return err_set(err, ST_USAGE, "--hold-out and --held go together");
    return ST_OK;
}

/* Opens the folders and writes them; the manifests come last, that of the main folder very last. */
static enum st run_build(struct build *b, const struct js *settings, const struct js *inputs,
                         struct js **counts, struct err *err)
{
    double start = clock_s();
    const struct corpus_conf *c = b->conf;
    b->pool = pool_new(c->n_threads);
    b->dedup = dedup_new(dedup_kind(c), max_similar(c));
    enum st st = clear_folder(c->out, err);
    if (st == ST_OK && c->held)
        st = clear_folder(c->held, err);
    char *path = path_join(c->out, "dropped.jsonl.zst");
    if (st == ST_OK)
        st = outstream_open(&b->dropped, path, err);
    free(path);
    if (st == ST_OK && c->hold_out > 0)
        st = holdout_open(&b->holdout, c->out, c->hold_out, err);
    if (st == ST_OK)
        st = index_evaluation(b, err);
    if (st == ST_OK)
        st = walk(b, &b->files, "read documents", take_document, true, err);
    if (st == ST_OK && b->holdout)
        st = divide(b, err);
    if (st == ST_OK && b->docs_in == 0)
        st = err_set(err, ST_FORMAT, "no document in the inputs%s",
                     b->n_skipped ? "; every record was damaged" : "");
    if (st == ST_OK)
        st = shards_finish(&b->out, err);
    if (st == ST_OK)
        st = shards_finish(&b->held, err);
    if (st == ST_OK)
        st = outstream_commit(b->dropped, err);
    if (st < 0)
        return st;
    *counts = counts_of(b, clock_s() - start);
    if (c->held)
        st = manifest_write(c->held, "corpus held", CORPUS_VERSION, settings, inputs, *counts,
                            clock_s() - start, err);
    if (st == ST_OK)
        st = manifest_write(c->out, "corpus", CORPUS_VERSION, settings, inputs, *counts,
                            clock_s() - start, err);
    return st;
}

static enum st build_release(struct build *b, enum st st)
{
    pool_free(b->pool);
    doc_writer_close(b->out.w);
    doc_writer_close(b->held.w);
    outstream_close(b->dropped);
    ngram_free(b->eval);
    holdout_close(b->holdout);
    dedup_free(b->dedup);
    seen_release(&b->ids);
    str_release(&b->id);
    str_release(&b->scratch);
    corpus_files_release(&b->files);
    corpus_files_release(&b->eval_files);
    return st;
}

static enum st lock_folder(struct lock *l, const char *dir, struct err *err)
{
    char *path = path_join(dir, ".lock");
    enum st st = lock_take(l, path, err);
    free(path);
    return st;
}

enum st corpus_build(struct js **counts, const struct corpus_conf *c, char *const *input,
                     size_t n_input, struct err *err)
{
    struct build b = { .conf = c, .out.dir = c->out, .held.dir = c->held };
    struct js *settings = NULL, *inputs = NULL, *old = NULL;
    struct lock lock = { -1 }, held_lock = { -1 };
    *counts = NULL;
    enum st st = check_conf(c, err);
    if (st == ST_OK)
        st = corpus_files_expand(&b.files, input, n_input, err);
    if (st == ST_OK)
        st = corpus_files_expand(&b.eval_files, c->decontaminate, c->n_decontaminate, err);
    if (st == ST_OK)
        st = dir_make(c->out, err);
    if (st == ST_OK && c->held)
        st = dir_make(c->held, err);
    if (st == ST_OK)
        st = lock_folder(&lock, c->out, err);
    if (st == ST_OK && c->held)
        st = lock_folder(&held_lock, c->held, err);
    for (int i = 0; i < 4 && st == ST_OK; i++)
        st = corpus_files_outside(i & 1 ? &b.files : &b.eval_files, i & 2 ? c->out : c->held, err);
    if (st == ST_OK)
        st = inputs_of(&inputs, &b, err);
    if (st == ST_OK) {
        settings = settings_of(c, input, n_input);
        st = manifest_check(c->out, "corpus", CORPUS_VERSION, settings, inputs, err);
    }
    if (st == ST_OK && c->held) {
        st = manifest_check(c->held, "corpus held", CORPUS_VERSION, settings, inputs, err);
        st = st == ST_END ? ST_OK : st; /* its own folder is not finished: both are made again */
    }
    if (st == ST_END) {
        enum st read = manifest_read(c->out, &old, err);
        st = read < 0 ? read : ST_END;
        if (read == ST_OK)
            *counts = js_copy(js_get(old, "counts"));
    } else if (st == ST_OK) {
        st = run_build(&b, settings, inputs, counts, err);
    }
    if (st < 0) {
        js_free(*counts);
        *counts = NULL;
    }
    js_free(settings);
    js_free(inputs);
    js_free(old);
    lock_drop(&held_lock);
    lock_drop(&lock);
    return build_release(&b, st);
}
