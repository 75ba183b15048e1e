/* corpus/reader.c - see reader.h: finds the format of a file and reads it through its table row. */
#include "corpus/reader.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "corpus/format.h"

/* Tried in this order; plain text is what is left when a file is text at all. */
static const struct format *const formats[] = { &format_wet,  &format_warc, &format_jsonl,
                                                &format_html, &format_dict, &format_pod,
                                                &format_text };

struct reader {
    struct input in;
    const struct format *format; /* NULL for an empty file */
    void *state;
    uint64_t n_docs, n_bytes;
    bool done;
};

/* What people hand in that is known and not read. */
static const struct {
    const char *magic, *name;
} others[] = {
    { "PAR1", "Parquet" },
    { "PK\x03\x04", "a zip archive (unpack it first)" },
    { "%PDF", "PDF" },
    { "\xFD\x37zXZ", "xz (unpack it first)" },
    { "BZh", "bzip2 (unpack it first)" },
    { "GGUF", "a GGUF model" },
    { "\x7F\x45LF", "a program" },
    { "\x89PNG", "a picture" },
    { "\xFF\xD8\xFF", "a picture" },
    { "GIF8", "a picture" },
    { "MMIDIDX", "a token index" },
};

/* JSON that is not one object a line: an array of objects, or an object written over several lines.
 * As plain text its braces would be learnt. */
static bool is_other_json(const char *s, size_t n)
{
    const char *end = s + n;
    char open = '\0';
    bool new_line = false;
    if (n >= 3 && memcmp(s, "\xEF\xBB\xBF", 3) == 0)
        s += 3;
    for (; s < end && strchr(" \t\r\n[{", *s) && *s; s++) {
        if (open == '{' && *s == '\n')
            new_line = true;
        if (*s == '[' || *s == '{') {
            if (open == '{')
                return false;
            open = open == '[' && *s == '{' ? 'o' : *s;
        }
    }
    return s < end && *s == '"' && (open == 'o' || (open == '{' && new_line));
}

static enum st find_format(struct reader *r, struct err *err)
{
    const char *head = input_bytes(&r->in);
    size_t n = input_unread(&r->in);
    if (n > HEAD_BYTES)
        n = HEAD_BYTES;
    if (n == 0)
        return ST_OK;
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        size_t len = strlen(others[i].magic);
        if (n >= len && memcmp(head, others[i].magic, len) == 0)
            return err_set(err, ST_UNSUPPORTED, "'%s' is %s; want WARC, WET, JSONL, HTML or text",
                           r->in.path, others[i].name);
    }
    if (is_other_json(head, n))
        return err_set(err, ST_UNSUPPORTED, "'%s' is JSON, but not one object a line (JSONL)",
                       r->in.path);
    for (size_t i = 0; i < sizeof formats / sizeof *formats && !r->format; i++)
        if (formats[i]->match(head, n))
            r->format = formats[i];
    if (!r->format)
        return err_set(err, ST_FORMAT,
                       "'%s' is none of the known formats: want WARC, WET, JSONL, HTML or text",
                       r->in.path);
    return ST_OK;
}

enum st reader_open(struct reader **out, const char *path, const struct reader_conf *conf,
                    struct err *err)
{
    struct reader *r = NEW(struct reader);
    struct input *in = &r->in;
    const char *base = strcmp(path, "-") == 0 ? "stdin" : path_base(path);
    *out = NULL;
    in->path = xstrdup(path);
    in->name = xstrdup(conf && conf->name ? conf->name : base);
    in->source = xstrdup(conf && conf->source ? conf->source : base);
    in->strict = conf && conf->strict;
    in->by_member = true; /* the head is looked for in the first member only */
    enum st st = stream_open(&in->stream, path, err);
    if (st < 0)
        goto out;
    st = input_fill(in, HEAD_BYTES, err);
    if (st == ST_FORMAT && input_unread(in) == 0) {
        struct err why = *err;
        st = input_damaged(in, err, "%s", why.msg);
        r->done = true;
    } else if (st == ST_FORMAT || st == ST_END) {
        st = ST_OK; /* the stream says it again when the format gets there */
    }
    if (st < 0 || (st = find_format(r, err)) < 0)
        goto out;
    if (r->format) {
        r->state = xcalloc(1, r->format->state_size ? r->format->state_size : 1);
        in->by_member = r->format->by_member;
        if (!in->by_member && stream_kind(in->stream) == STREAM_GZIP)
            in->end = false; /* other members may follow the first */
    }
    *out = r;
    r = NULL;
out:
    reader_close(r);
    return st;
}

enum st reader_next(struct reader *r, struct doc *doc, struct err *err)
{
    *doc = (struct doc){ 0 };
    if (r->in.patched) {
        *r->in.patched = r->in.patched_byte;
        r->in.patched = NULL;
    }
    if (!r->format || r->done)
        return ST_END;
    enum st st = r->format->next(&r->in, r->state, doc, err);
    if (st != ST_OK) {
        r->done = true;
        return st;
    }
    if (!doc->source)
        doc->source = r->in.source;
    doc->title = r->in.title.n ? r->in.title.s : NULL;
    r->n_docs++;
    r->n_bytes += doc->n_bytes;
    return ST_OK;
}

struct reader_stats reader_stats(const struct reader *r)
{
    return (struct reader_stats){ .n_docs = r->n_docs,
                                  .n_bytes = r->n_bytes,
                                  .n_skipped = r->in.n_skipped,
                                  .n_file_bytes = stream_offset(r->in.stream) };
}

const char *reader_format(const struct reader *r)
{
    return r->format ? r->format->name : "empty";
}

void reader_close(struct reader *r)
{
    if (!r)
        return;
    if (r->format && r->format->release)
        r->format->release(r->state);
    stream_close(r->in.stream);
    html_free(r->in.html);
    free(r->state);
    free(r->in.buf);
    free(r->in.path);
    free(r->in.name);
    free(r->in.source);
    str_release(&r->in.id);
    str_release(&r->in.text);
    str_release(&r->in.title);
    str_release(&r->in.scratch);
    free(r);
}
