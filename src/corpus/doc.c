/* corpus/doc.c - see doc.h. */
#include "corpus/doc.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/stream.h"

size_t doc_natural_bytes(const struct doc *d)
{
    const struct js *spans = js_get(d->meta, "spans");
    int64_t at = 0;
    for (size_t i = 0; i < js_len(spans); i++) {
        const struct js *span = js_at(spans, i);
        int64_t to = js_get_whole(span, "to", -1);
        if (strcmp(js_get_text(span, "provenance", ""), "natural") != 0 || to < at)
            break;
        at = to;
    }
    return (uint64_t)at < d->n_bytes ? (size_t)at : d->n_bytes;
}

bool doc_file_is(const char *name)
{
    static const char end[] = ".jsonl.zst";
    if (!str_starts(name, "docs-"))
        return false;
    size_t digits = strspn(name + 5, "0123456789");
    const char *rest = name + 5 + digits;
    return digits >= 5 && str_starts(rest, end) &&
           (rest[sizeof end - 1] == '\0' || path_is_unfinished(name));
}

struct doc_writer {
    struct outstream *out;
    struct strbuf line;
};

static void add_member(struct strbuf *out, const char *key, const char *text)
{
    if (!text)
        return;
    str_printf(out, "%s\"%s\":", out->s[out->n - 1] == '{' ? "" : ",", key);
    js_quote(out, text, strlen(text));
}

void doc_json(struct strbuf *out, const struct doc *d)
{
    str_adds(out, "{\"id\":");
    js_quote(out, d->id, strlen(d->id));
    str_adds(out, ",\"text\":");
    js_quote(out, d->text, d->n_bytes);
    str_adds(out, ",\"meta\":{");
    add_member(out, "source", d->source);
    add_member(out, "url", d->url);
    add_member(out, "title", d->title);
    str_printf(out, "%s\"offset\":%llu", out->s[out->n - 1] == '{' ? "" : ",",
               (unsigned long long)d->offset);
    for (void *it = d->meta ? js_iter(d->meta) : NULL; it; it = js_next(d->meta, it)) {
        const char *key = js_iter_key(it);
        if (strcmp(key, "source") == 0 || strcmp(key, "url") == 0 || strcmp(key, "offset") == 0 ||
            (d->title && strcmp(key, "title") == 0))
            continue;
        str_addc(out, ',');
        js_quote(out, key, strlen(key));
        str_addc(out, ':');
        js_write(js_iter_value(it), out);
    }
    str_adds(out, "}}");
}

enum st doc_writer_open(struct doc_writer **out, const char *path, struct err *err)
{
    struct doc_writer *w = NEW(struct doc_writer);
    *out = NULL;
    enum st st = outstream_open(&w->out, path, err);
    if (st == ST_OK)
        *out = w;
    else
        doc_writer_close(w);
    return st;
}

enum st doc_write(struct doc_writer *w, const struct doc *d, struct err *err)
{
    str_clear(&w->line);
    doc_json(&w->line, d);
    str_addc(&w->line, '\n');
    return outstream_write(w->out, w->line.s, w->line.n, err);
}

enum st doc_writer_commit(struct doc_writer *w, struct err *err)
{
    return outstream_commit(w->out, err);
}

void doc_writer_close(struct doc_writer *w)
{
    if (!w)
        return;
    outstream_close(w->out);
    str_release(&w->line);
    free(w);
}
