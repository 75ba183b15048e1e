/* corpus/input.c - the window that formats read through; see format.h. */
#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "corpus/format.h"

enum { CHUNK_BYTES = 256 * 1024, MAX_WARNINGS = 10 };

const char *input_bytes(const struct input *in)
{
    return in->buf + in->at;
}

size_t input_unread(const struct input *in)
{
    return in->n - in->at;
}

uint64_t input_offset(const struct input *in)
{
    return in->base + in->at;
}

uint64_t input_place(const struct input *in)
{
    return stream_kind(in->stream) == STREAM_GZIP ? stream_member_offset(in->stream)
                                                  : input_offset(in);
}

void input_take(struct input *in, size_t n)
{
    assert(n <= in->n - in->at);
    in->at += n;
}

enum st input_fill(struct input *in, size_t n, struct err *err)
{
    while (in->n - in->at < n) {
        if (in->end)
            return ST_END;
        if (in->at > 0 && in->at >= in->n - in->at) { /* never moves more than was read since */
            memmove(in->buf, in->buf + in->at, in->n - in->at);
            in->base += in->at;
            in->n -= in->at;
            in->at = 0;
        }
        size_t missing = n - (in->n - in->at);
        size_t want = missing > CHUNK_BYTES ? missing : CHUNK_BYTES;
        if (in->cap - in->n < CHUNK_BYTES + 1) {
            in->cap = in->n + want + 1;
            in->buf = xrealloc(in->buf, in->cap, 1);
        }
        size_t got = 0;
        size_t room = in->cap - in->n - 1;
        enum st st = in->by_member
                         ? stream_read_member(in->stream, in->buf + in->n, room, &got, err)
                         : stream_read(in->stream, in->buf + in->n, room, &got, err);
        if (st < 0)
            return st;
        in->n += got;
        in->end = st == ST_END;
    }
    return ST_OK;
}

const char *input_terminate(struct input *in, const char *s, size_t n)
{
    assert(s >= in->buf && s + n <= in->buf + in->n && in->n < in->cap && !in->patched);
    in->patched = in->buf + (s - in->buf) + n;
    in->patched_byte = *in->patched;
    *in->patched = '\0';
    return s;
}

static void forget(struct input *in)
{
    in->base += in->n;
    in->at = in->n = 0;
    in->end = false;
}

enum st input_next_member(struct input *in, struct err *err)
{
    enum st st = in->by_member ? stream_next_member(in->stream, err) : ST_END;
    if (st == ST_OK)
        forget(in);
    return st;
}

enum st input_skip_member(struct input *in, struct err *err)
{
    enum st st = stream_skip(in->stream, err);
    forget(in);
    if (st != ST_OK)
        in->end = true;
    return st;
}

enum st input_damaged(struct input *in, struct err *err, const char *fmt, ...)
{
    char what[400];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(what, sizeof what, fmt, ap);
    va_end(ap);
    in->n_skipped++;
    if (in->strict)
        return err_set(err, ST_FORMAT, "'%s' record %llu at byte %llu: %s", in->path,
                       (unsigned long long)in->record, (unsigned long long)input_place(in), what);
    if (in->n_skipped <= MAX_WARNINGS)
        log_warn("'%s' record %llu at byte %llu skipped: %s%s", in->path,
                 (unsigned long long)in->record, (unsigned long long)input_place(in), what,
                 in->n_skipped == MAX_WARNINGS ? "; further ones are only counted" : "");
    return ST_OK;
}

enum st input_whole(struct input *in, size_t max, struct err *err)
{
    if (in->record > 0)
        return ST_END;
    in->record = 1;
    enum st st = input_fill(in, max + 1, err);
    if (st == ST_OK) {
        st = input_damaged(in, err, "longer than the limit of %zu bytes for one document", max);
        return st == ST_OK ? ST_END : st;
    }
    if (st == ST_FORMAT) {
        struct err why = *err;
        st = input_damaged(in, err, "%s", why.msg);
        return st == ST_OK ? ST_END : st;
    }
    if (st < 0)
        return st;
    return input_unread(in) > 0 ? ST_OK : ST_END;
}

const char *input_id(struct input *in, bool several)
{
    str_clear(&in->id);
    str_adds(&in->id, in->name);
    if (several)
        str_printf(&in->id, "#%llu", (unsigned long long)in->record);
    return in->id.s;
}

bool text_is_clean(const char *s, size_t n)
{
    return !memchr(s, '\0', n) && utf8_valid(s, n) == n;
}

void text_clean(struct strbuf *out, const char *s, size_t n)
{
    str_reserve(out, n);
    while (n > 0) {
        const char *nul = memchr(s, '\0', n);
        size_t part = nul ? (size_t)(nul - s) : n;
        utf8_repair(out, s, part);
        s += part + (nul != NULL);
        n -= part + (nul != NULL);
    }
    str_add(out, "", 0);
}
