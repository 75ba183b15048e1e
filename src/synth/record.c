/*
 * synth/record.c - recorded answers as a generator: record:FILE, JSONL with "prompt" (digest of the
 * prompt texts, or "*" for every prompt that has no row), "raw" or "text", and optionally finish,
 * n_tok_prompt and n_tok. A ledger is such a file. A prompt that is not there fails.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "synth/generator.h"

enum { RECORD_MAX_BYTES = 1 << 30, ROOM = 64 };

struct row {
    struct digest prompt;
    struct js *v;
};

struct waiting {
    uint64_t tag;
    struct digest prompt;
    char *prefill;
};

struct record {
    char *path;
    struct digest digest;
    struct row *row; /* sorted by prompt */
    size_t n, cap;
    struct js *any;
    struct waiting queue[ROOM];
    int head, len;
    struct strbuf text;
};

static int by_prompt(const void *a, const void *b)
{
    return digest_cmp(((const struct row *)a)->prompt, ((const struct row *)b)->prompt);
}

static void record_close(void *state)
{
    struct record *r = state;
    if (!r)
        return;
    for (size_t i = 0; i < r->n; i++)
        js_free(r->row[i].v);
    for (int i = 0; i < r->len; i++)
        free(r->queue[(r->head + i) % ROOM].prefill);
    js_free(r->any);
    free(r->row);
    free(r->path);
    str_release(&r->text);
    free(r);
}

static enum st take(struct record *r, const char *line, size_t n, size_t number, struct err *err)
{
    struct js *v = NULL;
    struct digest d;
    struct err inner;
    if (js_parse(&v, line, n, &inner) < 0)
        return err_set(err, ST_FORMAT, "line %zu: %s", number, inner.msg);
    const char *prompt = js_get_text(v, "prompt", "");
    if (strcmp(prompt, "*") == 0) {
        js_free(r->any);
        r->any = v;
        return ST_OK;
    }
    if (digest_parse(&d, prompt, &inner) < 0 ||
        (!js_get_text(v, "raw", NULL) && !js_get_text(v, "text", NULL))) {
        js_free(v);
        return err_set(err, ST_FORMAT, "line %zu: want \"prompt\" (32 hex digits) and \"raw\"",
                       number);
    }
    GROW(r->row, r->n, r->cap);
    r->row[r->n++] = (struct row){ d, v };
    return ST_OK;
}

static enum st record_open(void **state, const char *where, const struct generator_conf *conf,
                           struct err *err)
{
    (void)conf;
    struct record *r = NEW(struct record);
    struct strbuf b = { 0 };
    r->path = xstrdup(where + strlen("record:"));
    enum st st = file_read(r->path, RECORD_MAX_BYTES, &b, err);
    size_t number = 0;
    for (size_t i = 0; st == ST_OK && i < b.n;) {
        const char *end = memchr(b.s + i, '\n', b.n - i);
        size_t n = end ? (size_t)(end - b.s) - i : b.n - i;
        number++;
        if (n)
            st = take(r, b.s + i, n, number, err);
        i += n + 1;
    }
    if (st == ST_OK) {
        if (r->n)
            qsort(r->row, r->n, sizeof *r->row, by_prompt);
        r->digest = digest_of("record", 6); /* what is recorded stands for one model */
        *state = r;
        r = NULL;
    }
    str_release(&b);
    record_close(r);
    return st;
}

static int record_room(const void *state)
{
    return ROOM - ((const struct record *)state)->len;
}

static void record_submit(void *state, const struct gen_request *q)
{
    struct record *r = state;
    struct waiting *w = &r->queue[(r->head + r->len++) % ROOM];
    w->tag = q->tag;
    w->prompt = prompt_text_digest(q->system, q->raw ? q->raw : q->user, q->prefill);
    w->prefill = q->prefill ? xstrdup(q->prefill) : NULL;
}

static enum st record_next(void *state, struct generation *out, struct err *err)
{
    struct record *r = state;
    if (!r->len)
        return ST_END;
    if (stop_asked())
        return err_set(err, ST_INTERRUPTED, "interrupted");
    struct waiting w = r->queue[r->head];
    r->head = (r->head + 1) % ROOM;
    r->len--;
    struct row want = { .prompt = w.prompt };
    const struct row *hit = r->n ? bsearch(&want, r->row, r->n, sizeof *r->row, by_prompt) : NULL;
    const struct js *v = hit ? hit->v : r->any;
    out->tag = w.tag;
    if (!v) {
        out->failed = true;
        out->why = "nothing is recorded for this prompt";
        free(w.prefill);
        return ST_OK;
    }
    const char *text = js_get_text(v, "raw", js_get_text(v, "text", ""));
    str_clear(&r->text);
    if (w.prefill && strncmp(text, w.prefill, strlen(w.prefill)) != 0)
        str_adds(&r->text, w.prefill);
    str_adds(&r->text, text);
    free(w.prefill);
    out->text = r->text.s;
    out->n_bytes = r->text.n;
    const char *finish = js_get_text(v, "finish", "stop");
    for (int f = 0; f < FINISH_N; f++)
        if (strcmp(finish, finish_name((enum finish)f)) == 0)
            out->finish = (enum finish)f;
    out->n_tok_prompt = (uint32_t)js_get_whole(v, "n_tok_prompt", 0);
    out->n_tok = (uint32_t)js_get_whole(v, "n_tok", (int64_t)(r->text.n / 4));
    out->n_redrawn = (uint32_t)js_get_whole(v, "n_redrawn", 0);
    out->n_changed = (uint32_t)js_get_whole(v, "n_changed", 0);
    out->wall_s = js_get_real(v, "wall_s", 0);
    return ST_OK;
}

static struct js *record_about(const void *state)
{
    struct js *v = js_object();
    js_put_text(v, "model", path_base(((const struct record *)state)->path));
    return v;
}

static struct digest record_digest(const void *state)
{
    return ((const struct record *)state)->digest;
}

const struct generator_ops generator_record = { .name = "record",
                                                .can = GENERATOR_RAW | GENERATOR_CONTRAST |
                                                       GENERATOR_EDIT,
                                                .open = record_open,
                                                .room = record_room,
                                                .submit = record_submit,
                                                .next = record_next,
                                                .about = record_about,
                                                .digest = record_digest,
                                                .close = record_close };
