/*
 * synth/batch.c - batch:DIR, OpenAI's batch files as a generator that answers another day.
 *
 *     DIR/requests-00000.jsonl ...    written here: {"custom_id","method","url","body"}, a line a
 *                                     request, custom_id its key in the ledger
 *     DIR/ANY-OTHER-NAME.jsonl        result and error files as they were downloaded:
 *                                     {"custom_id","response":{"status_code","body"},"error"}
 *
 * A request that has a good result is answered with it, the first one when there are several. One
 * that stands in a requests file is out and is not written again: not even when its result is an
 * error, for that is its answer until somebody removes the requests file. All others are written
 * to new files. What became of lines and rows that are not as expected is said once, a line a kind.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "synth/endpoint.h"
#include "synth/generator.h"
#include "synth/wire.h"

enum {
    ROOM = 1024,
    FILE_MAX_REQUESTS = 50000,      /* OpenAI's limits are 50,000 requests and 200 MB a file; */
    FILE_MAX_BYTES = 100 * 1000000, /* it was 100 MB before, and is for others still */
    LINE_MAX_BYTES = 64 << 20
};

enum result { NONE, ERROR, GOOD };

struct entry { /* a request that a file speaks of; a key of zeros marks an empty place */
    struct digest key;
    enum result result;
    bool is_out, is_used; /* stands in a requests file; was asked for in this run */
    size_t file, n_bytes; /* the line of the result */
    uint64_t offset;
};

struct oddity { /* lines of one kind that are not used, and the first of them */
    uint64_t n;
    char first[400];
};

struct waiting {
    uint64_t tag;
    struct digest key;
    char *prefill;
    bool is_raw;
};

struct batch {
    char *dir, *model;
    struct ledger *ledger;
    struct strlist path; /* of the result files */
    struct entry *entry; /* open addressing, cap a power of two */
    size_t n, cap;
    struct waiting queue[ROOM];
    int head, len;
    struct outfile out; /* the requests file being written */
    bool was_reported;
    char *out_path;
    size_t n_file, n_in_file, n_bytes_in_file; /* n_file: number of the next requests file */
    uint64_t n_written, n_answered;
    struct oddity damaged, foreign, repeated, refused, stranger;
    uint64_t n_in_ledger, n_idle;
    bool lost_fields;
    struct err write_err;
    enum st write_st;
    FILE *from; /* the result file read last */
    size_t from_file;
    struct strbuf line, text;
    char why[600];
};

static bool is_zero(struct digest d)
{
    return d.hi == 0 && d.lo == 0;
}

static struct entry *find(const struct batch *b, struct digest key)
{
    size_t i = key.lo & (b->cap - 1);
    while (!is_zero(b->entry[i].key) && digest_cmp(b->entry[i].key, key) != 0)
        i = (i + 1) & (b->cap - 1);
    return &b->entry[i];
}

static struct entry *find_or_add(struct batch *b, struct digest key)
{
    if (2 * (b->n + 1) > b->cap) {
        struct entry *old = b->entry;
        size_t n_old = b->cap;
        b->cap = 2 * b->cap;
        b->entry = NEW_ARRAY(struct entry, b->cap);
        for (size_t i = 0; i < n_old; i++)
            if (!is_zero(old[i].key))
                *find(b, old[i].key) = old[i];
        free(old);
    }
    struct entry *e = find(b, key);
    b->n += is_zero(e->key);
    e->key = key;
    return e;
}

static void odd(struct oddity *o, const char *path, size_t line, const char *what)
{
    if (o->n++ == 0)
        snprintf(o->first, sizeof o->first, "'%.150s' line %zu: %.200s", path, line, what);
}

/* Why a result is none, in its own words; NULL when it is one. */
static const char *error_of(const struct js *row, char why[600])
{
    const struct js *response = js_get(row, "response"), *body = js_get(response, "body");
    const struct js *e = js_get(row, "error");
    int64_t status = js_get_whole(response, "status_code", 0);
    if (js_kind(e) != JS_OBJECT)
        e = js_get(body, "error");
    if (status == 200 && js_kind(body) == JS_OBJECT && js_kind(e) != JS_OBJECT)
        return NULL;
    const char *said = js_get_text(e, "message", js_get_text(e, "code", "no reason given"));
    if (status && status != 200)
        snprintf(why, 600, "the batch says HTTP %lld: %.500s", (long long)status, said);
    else
        snprintf(why, 600, "the batch says: %.500s", said);
    return why;
}

/* A line of a result file (number counts from 1), or of one of our requests files. */
static void take_line(struct batch *b, const char *path, bool ours, size_t number, const char *text,
                      size_t n, uint64_t offset)
{
    struct js *v = NULL;
    struct err bad;
    struct digest key;
    if (js_parse(&v, text, n, &bad) < 0 || js_kind(v) != JS_OBJECT) {
        odd(&b->damaged, path, number, v ? "want an object" : bad.msg);
        js_free(v);
        return;
    }
    const char *id = js_get_text(v, "custom_id", NULL), *why = error_of(v, b->why);
    if (!id || digest_parse(&key, id, &bad) < 0 || is_zero(key)) {
        odd(&b->foreign, path, number, id ? id : "no custom_id");
        js_free(v);
        return;
    }
    struct entry *e = find_or_add(b, key);
    enum result result = ours ? NONE : why ? ERROR : GOOD;
    e->is_out |= ours;
    if (result == GOOD && e->result == GOOD)
        odd(&b->repeated, path, number, id);
    if (result > e->result) {
        e->result = result;
        e->file = b->path.n - 1;
        e->offset = offset;
        e->n_bytes = n;
    }
    js_free(v);
}

static enum st read_lines(struct batch *b, const char *path, bool ours, struct err *err)
{
    FILE *f = fopen(path, "rb");
    char *line = NULL;
    size_t cap = 0, number = 0;
    uint64_t at = 0;
    ssize_t got;
    if (!f)
        return err_set(err, ST_IO, "cannot read '%s': %s", path, strerror(errno));
    if (!ours)
        strlist_add(&b->path, path);
    while ((got = getline(&line, &cap, f)) > 0) {
        size_t n = (size_t)got;
        size_t len = line[n - 1] == '\n' ? n - 1 : n;
        number++;
        if (n > LINE_MAX_BYTES)
            odd(&b->damaged, path, number, "the line is too long");
        else if (strspn(line, " \t\r\n") < n)
            take_line(b, path, ours, number, line, len, at);
        at += n;
    }
    enum st st = ferror(f) ? err_set(err, ST_IO, "'%s': %s", path, strerror(errno)) : ST_OK;
    free(line);
    fclose(f);
    return st;
}

static bool is_requests(const char *name)
{
    return str_starts(name, "requests-") && str_ends(name, ".jsonl");
}

static enum st read_folder(struct batch *b, struct err *err)
{
    struct strlist names = { 0 };
    enum st st = dir_make(b->dir, err);
    if (st == ST_OK)
        st = dir_list(b->dir, &names, err);
    for (size_t i = 0; i < names.n && st == ST_OK; i++) {
        if (!str_ends(names.s[i], ".jsonl") || path_is_unfinished(names.s[i]))
            continue;
        bool ours = is_requests(names.s[i]);
        if (ours) {
            unsigned long number = strtoul(names.s[i] + strlen("requests-"), NULL, 10);
            b->n_file = number >= b->n_file ? number + 1 : b->n_file;
        }
        char *path = path_join(b->dir, names.s[i]);
        st = read_lines(b, path, ours, err);
        free(path);
    }
    strlist_release(&names);
    return st;
}

static void batch_close(void *state)
{
    struct batch *b = state;
    if (!b)
        return;
    outfile_abort(&b->out);
    if (b->from)
        fclose(b->from);
    for (int i = 0; i < b->len; i++)
        free(b->queue[(b->head + i) % ROOM].prefill);
    strlist_release(&b->path);
    str_release(&b->line);
    str_release(&b->text);
    free(b->out_path);
    free(b->entry);
    free(b->model);
    free(b->dir);
    free(b);
}

static enum st batch_open(void **state, const char *where, const struct generator_conf *conf,
                          struct err *err)
{
    if (!conf->model)
        return err_set(err, ST_USAGE, "a batch goes to a model: give --model NAME");
    struct batch *b = NEW(struct batch);
    b->dir = xstrdup(where + strlen("batch:"));
    b->model = xstrdup(conf->model);
    b->ledger = conf->ledger;
    b->cap = 1024;
    b->entry = NEW_ARRAY(struct entry, b->cap);
    enum st st = *b->dir ? read_folder(b, err) : err_set(err, ST_USAGE, "want batch:DIR");
    if (st == ST_OK) {
        *state = b;
        b = NULL;
    }
    batch_close(b);
    return st;
}

static int batch_room(const void *state)
{
    return ROOM - ((const struct batch *)state)->len;
}

/* ---- Requests out. ---- */

static enum st close_file(struct batch *b, struct err *err)
{
    if (!b->out.stream)
        return ST_OK;
    enum st st = outfile_commit(&b->out, err);
    outfile_abort(&b->out); /* its names; the file stays */
    if (st == ST_OK)
        log_info("%zu requests are in '%s'", b->n_in_file, b->out_path);
    return st;
}

static enum st open_file(struct batch *b, struct err *err)
{
    char name[64];
    snprintf(name, sizeof name, "requests-%05zu.jsonl", b->n_file++);
    free(b->out_path);
    b->out_path = path_join(b->dir, name);
    b->n_in_file = b->n_bytes_in_file = 0;
    return outfile_open(&b->out, b->out_path, err);
}

static enum st write_request(struct batch *b, const struct gen_request *r, struct err *err)
{
    char hex[DIGEST_HEX], url[64];
    struct js *v = js_object();
    snprintf(url, sizeof url, "/v1%s", wire_path(r));
    js_put_text(v, "custom_id", digest_hex(r->key, hex));
    js_put_text(v, "method", "POST");
    js_put_text(v, "url", url);
    js_put(v, "body", wire_body(r, b->model, WIRE_OPENAI_NEW));
    str_clear(&b->line);
    js_write(v, &b->line);
    str_addc(&b->line, '\n');
    js_free(v);
    enum st st = ST_OK;
    if (b->out.stream &&
        (b->n_in_file == FILE_MAX_REQUESTS || b->n_bytes_in_file + b->line.n > FILE_MAX_BYTES))
        st = close_file(b, err);
    if (st == ST_OK && !b->out.stream)
        st = open_file(b, err);
    if (st == ST_OK)
        st = outfile_write(&b->out, b->line.s, b->line.n, err);
    b->n_in_file++;
    b->n_bytes_in_file += b->line.n;
    b->n_written++;
    return st;
}

static void batch_submit(void *state, const struct gen_request *r)
{
    struct batch *b = state;
    struct entry *e = find_or_add(b, r->key);
    struct waiting *w = &b->queue[(b->head + b->len++) % ROOM];
    *w = (struct waiting){ .tag = r->tag, .key = r->key, .is_raw = r->raw != NULL };
    w->prefill = r->prefill && *r->prefill ? xstrdup(r->prefill) : NULL;
    e->is_used = true;
    if (e->result == GOOD || e->is_out || b->write_st < 0)
        return;
    b->write_st = write_request(b, r, &b->write_err);
    e->is_out = true;
    e->result = NONE; /* an error of another batch: this is the next try */
    if (wire_loses(&r->sampling) && !b->lost_fields) {
        b->lost_fields = true;
        log_warn("batch files know no top_k, min_p or repetition_penalty: the recipe's values are "
                 "left out, the manifest says so");
    }
}

/* ---- Results in. ---- */

static enum st read_result(struct batch *b, const struct entry *e, struct js **out, struct err *err)
{
    const char *path = b->path.s[e->file];
    if (!b->from || b->from_file != e->file) {
        if (b->from)
            fclose(b->from);
        b->from = fopen(path, "rb");
        b->from_file = e->file;
        if (!b->from)
            return err_set(err, ST_IO, "cannot read '%s': %s", path, strerror(errno));
    }
    str_clear(&b->line);
    str_reserve(&b->line, e->n_bytes);
    if (fseeko(b->from, (off_t)e->offset, SEEK_SET) != 0 ||
        fread(b->line.s, 1, e->n_bytes, b->from) != e->n_bytes)
        return err_set(err, ST_IO, "cannot read '%s' at byte %llu", path,
                       (unsigned long long)e->offset);
    enum st st = js_parse(out, b->line.s, e->n_bytes, err);
    return st < 0 ? err_in(err, st, "'%s' at byte %llu", path, (unsigned long long)e->offset) : st;
}

static void fail(struct generation *out, const char *why)
{
    out->failed = out->is_alone = true;
    out->why = why;
}

static enum st answer(struct batch *b, const struct waiting *w, struct generation *out,
                      struct err *err)
{
    const struct entry *e = find(b, w->key);
    out->tag = w->tag;
    if (e->result == NONE) {
        snprintf(b->why, sizeof b->why,
                 "send '%s/requests-*.jsonl' as batches, put the files that come back into '%s' "
                 "and run the same command again",
                 b->dir, b->dir);
        fail(out, b->why);
        out->is_later = true;
        return ST_OK;
    }
    struct js *v = NULL;
    const struct gen_request r = { .raw = w->is_raw ? "" : NULL, .prefill = w->prefill };
    enum st st = read_result(b, e, &v, err);
    if (st == ST_OK && e->result == ERROR) {
        fail(out, error_of(v, b->why));
        if (b->refused.n++ == 0)
            snprintf(b->refused.first, sizeof b->refused.first, "in '%.150s': %.200s",
                     b->path.s[e->file], out->why);
    } else if (st == ST_OK) {
        const struct js *body = js_get(js_get(v, "response"), "body");
        if (wire_read(body, &r, &b->text, out, b->why, sizeof b->why) == WIRE_BAD)
            fail(out, b->why);
        else
            b->n_answered++;
    }
    js_free(v);
    return st;
}

static void say(const struct batch *b, uint64_t n, const char *what, const char *first)
{
    if (n)
        log_warn("'%s': %llu %s%s%s", b->dir, (unsigned long long)n, what,
                 first ? "; the first is " : "", first ? first : "");
}

/* What lies in the folder and was not asked for, and what is odd about it. */
static void report(struct batch *b)
{
    char hex[DIGEST_HEX];
    struct ledger_row row;
    struct err ignored;
    for (size_t i = 0; i < b->cap; i++) {
        const struct entry *e = &b->entry[i];
        if (e->result == NONE || e->is_used)
            continue;
        if (b->ledger && ledger_get(b->ledger, e->key, &row, &ignored) == ST_OK)
            b->n_in_ledger++;
        else if (e->is_out)
            b->n_idle++;
        else if (b->stranger.n++ == 0)
            snprintf(b->stranger.first, sizeof b->stranger.first, "'%s' with custom_id %s",
                     b->path.s[e->file], digest_hex(e->key, hex));
    }
    say(b, b->damaged.n, "lines are no JSON objects and are left out", b->damaged.first);
    say(b, b->foreign.n, "lines have an id that is no request's of ours", b->foreign.first);
    say(b, b->stranger.n, "results belong to no request of this run", b->stranger.first);
    say(b, b->repeated.n, "results answer a request once more and are left out", b->repeated.first);
    say(b, b->refused.n,
        "requests were answered with an error; to ask them again remove their "
        "requests files",
        b->refused.first);
    if (b->n_in_ledger)
        log_info("'%s': %llu results are in the ledger already", b->dir,
                 (unsigned long long)b->n_in_ledger);
    b->was_reported = true;
}

static enum st batch_next(void *state, struct generation *out, struct err *err)
{
    struct batch *b = state;
    if (b->write_st < 0) {
        *err = b->write_err;
        return b->write_st;
    }
    if (stop_asked())
        return err_set(err, ST_INTERRUPTED, "interrupted");
    if (!b->len) {
        enum st st = close_file(b, err);
        if (st == ST_OK && !b->was_reported)
            report(b);
        return st < 0 ? st : ST_END;
    }
    struct waiting w = b->queue[b->head];
    b->head = (b->head + 1) % ROOM;
    b->len--;
    enum st st = answer(b, &w, out, err);
    free(w.prefill);
    return st;
}

static struct js *batch_about(const void *state)
{
    const struct batch *b = state;
    struct js *v = js_object();
    js_put_text(v, "model", b->model);
    js_put_text(v, "folder", b->dir);
    js_put_whole(v, "answered", (int64_t)b->n_answered);
    js_put_whole(v, "written", (int64_t)b->n_written);
    js_put_whole(v, "in_ledger", (int64_t)b->n_in_ledger);
    js_put_whole(v, "not_in_this_run", (int64_t)b->n_idle);
    js_put_whole(v, "unknown", (int64_t)(b->foreign.n + b->stranger.n));
    js_put_whole(v, "repeated", (int64_t)b->repeated.n);
    js_put_whole(v, "errors", (int64_t)b->refused.n);
    js_put_whole(v, "damaged", (int64_t)b->damaged.n);
    js_put_text(v, "left_out", WIRE_LEFT_OUT);
    return v;
}

/* As of a server that says nothing of its model but the name: what one has answered the other need
 * not be asked. */
static struct digest batch_digest(const void *state)
{
    return served_digest(((const struct batch *)state)->model, NULL);
}

const struct generator_ops generator_batch = { .name = "batch",
                                               .can = GENERATOR_RAW,
                                               .open = batch_open,
                                               .room = batch_room,
                                               .submit = batch_submit,
                                               .next = batch_next,
                                               .about = batch_about,
                                               .digest = batch_digest,
                                               .close = batch_close };
