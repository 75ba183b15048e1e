/*
 * corpus/warc.c - web archives: WARC (pages as the server sent them) and WET (their text).
 *
 * A record is "WARC/1.x" CR LF, header lines, an empty line, Content-Length bytes, two line ends;
 * in .gz files usually one gzip member a record. Text comes from `conversion` records (WET) and
 * from `response` and `resource` records that hold HTML or plain text; requests, metadata and
 * revisits are passed over.
 *
 * Damage never takes more than the record it is in: after a bad length or header the search goes
 * on right behind the bad header for a line that begins "WARC/", after damaged gzip data at the
 * next member.
 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "corpus/format.h"
#include "corpus/http.h"

enum { HEADER_MAX = 64 * 1024, TAIL_MAX = 1024 /* line ends looked at behind a record */ };

struct header {
    size_t n_bytes; /* with the empty line */
    uint64_t length;
    char type[24], media[64];
    const char *id, *url; /* in the window, not terminated */
    size_t n_id, n_url;
};

/* Bytes up to and with the empty line that ends a header; 0 when it is not in s[0..n). */
size_t header_size(const char *s, size_t n)
{
    for (const char *p = s; (p = memchr(p, '\n', n - (size_t)(p - s))) != NULL; p++) {
        size_t left = n - (size_t)(p + 1 - s);
        if (left >= 1 && p[1] == '\n')
            return (size_t)(p + 2 - s);
        if (left >= 2 && p[1] == '\r' && p[2] == '\n')
            return (size_t)(p + 3 - s);
    }
    return 0;
}

/* The value of a header line of s[0..n), without surrounding blanks; NULL when absent. */
const char *header_value(const char *s, size_t n, const char *name, size_t *len)
{
    size_t n_name = strlen(name);
    const char *end = s + n;
    while (s < end) {
        const char *line_end = memchr(s, '\n', (size_t)(end - s));
        if (!line_end)
            line_end = end;
        if ((size_t)(line_end - s) > n_name && s[n_name] == ':' &&
            strncasecmp(s, name, n_name) == 0) {
            const char *v = s + n_name + 1, *e = line_end;
            while (v < e && (*v == ' ' || *v == '\t'))
                v++;
            while (e > v && isspace((unsigned char)e[-1]))
                e--;
            *len = (size_t)(e - v);
            return v;
        }
        s = line_end + 1;
    }
    *len = 0;
    return NULL;
}

static void copy_value(char *out, size_t cap, const char *v, size_t len)
{
    if (len >= cap)
        len = cap - 1;
    if (len)
        memcpy(out, v, len);
    out[len] = '\0';
}

/* Reads the header lines; returns NULL, or what is wrong with them. */
static const char *parse_header(struct header *h, const char *s, size_t n)
{
    static _Thread_local char what[96];
    size_t len;
    const char *v = header_value(s, n, "WARC-Type", &len);
    copy_value(h->type, sizeof h->type, v, len);
    if (!v)
        return "there is no WARC-Type";
    v = header_value(s, n, "Content-Type", &len);
    copy_value(h->media, sizeof h->media, v, len);
    h->id = header_value(s, n, "WARC-Record-ID", &h->n_id);
    h->url = header_value(s, n, "WARC-Target-URI", &h->n_url);
    if (h->n_id > 2 && h->id[0] == '<' && h->id[h->n_id - 1] == '>')
        h->id++, h->n_id -= 2;
    if (h->n_url > 2 && h->url[0] == '<' && h->url[h->n_url - 1] == '>') /* as wget writes it */
        h->url++, h->n_url -= 2;
    v = header_value(s, n, "Content-Length", &len);
    if (!v)
        return "there is no Content-Length";
    h->length = 0;
    for (size_t i = 0; i < len; i++) {
        if (v[i] < '0' || v[i] > '9' || h->length > UINT64_MAX / 16) {
            len = len > 40 ? 40 : len;
            memcpy(what, "Content-Length is '", 19);
            memcpy(what + 19, v, len);
            strcpy(what + 19 + len, "', want a number");
            return what;
        }
        h->length = h->length * 10 + (uint64_t)(v[i] - '0');
    }
    return len ? NULL : "Content-Length is empty, want a number";
}

/*
 * Goes to the next line that begins "WARC/" after the first `from` unread bytes, through the
 * rest of this member and then to the next one. ST_END: there is none.
 */
static enum st resync(struct input *in, size_t from, struct err *err)
{
    for (;;) {
        enum st st = input_fill(in, from + 6, err);
        if (st < 0)
            return st == ST_FORMAT ? input_skip_member(in, err) : st;
        if (st == ST_END) {
            input_take(in, input_unread(in));
            st = input_next_member(in, err);
            return st == ST_FORMAT ? input_skip_member(in, err) : st;
        }
        const char *s = input_bytes(in), *end = s + input_unread(in);
        const char *p = s + from;
        while ((p = memchr(p, '\n', (size_t)(end - p))) != NULL && end - p >= 6) {
            if (memcmp(p + 1, "WARC/", 5) == 0) {
                input_take(in, (size_t)(p + 1 - s));
                return ST_OK;
            }
            p++;
        }
        input_take(in, p ? (size_t)(p - s) : (size_t)(end - s)); /* a line end may begin it */
        from = 0;
    }
}

/* Names the damage and goes to where reading can go on. */
static enum st give_up(struct input *in, size_t from, struct err *err, const char *what)
{
    enum st st = input_damaged(in, err, "%s", what);
    return st < 0 ? st : resync(in, from, err);
}

/* The stream itself is damaged: what is in the window of this member cannot be trusted. */
static enum st stream_damaged(struct input *in, struct err *err)
{
    struct err why = *err;
    enum st st = input_damaged(in, err, "%s", why.msg);
    return st < 0 ? st : input_skip_member(in, err);
}

/* Makes the first line of a record unread byte 0: passes over blank lines and member ends. */
static enum st to_record(struct input *in, struct err *err)
{
    for (;;) {
        enum st st = input_fill(in, 1, err);
        if (st == ST_END) {
            st = input_next_member(in, err);
            if (st != ST_OK)
                return st;
            continue;
        }
        if (st < 0)
            return st;
        char c = *input_bytes(in);
        if (c != '\r' && c != '\n')
            return ST_OK;
        input_take(in, 1);
    }
}

/*
 * After `n` bytes of record there must be line ends (two, if written by the book; LF or CR LF, not
 * both) and then a record, or the end. Gives the bytes of the record with its line ends.
 */
static enum st check_tail(struct input *in, size_t n, size_t *n_all, bool *good, struct err *err)
{
    size_t at = n;
    enum st st;
    while ((st = input_fill(in, at + 1, err)) == ST_OK && at < n + TAIL_MAX) {
        char c = input_bytes(in)[at];
        if (c != '\r' && c != '\n')
            break;
        at++;
    }
    if (st < 0)
        return st;
    *n_all = at;
    const char *tail = input_bytes(in) + n;
    size_t n_tail = at - n, n_cr = 0;
    for (size_t i = 0; i < n_tail; i++)
        n_cr += tail[i] == '\r' && (i + 1 == n_tail ? st == ST_END : tail[i + 1] == '\n');
    size_t n_lf = 0;
    for (size_t i = 0; i < n_tail; i++)
        n_lf += tail[i] == '\n';
    *good = n_cr == 0 ? n_lf == n_tail : n_cr + n_lf == n_tail && tail[0] == '\r' && n_cr >= n_lf;
    if (st == ST_END || n_tail == TAIL_MAX) /* the next record's beginning is looked for later */
        return ST_OK;
    st = input_fill(in, at + 5, err);
    if (st < 0)
        return st;
    *good = *good && n_tail > 0 && st == ST_OK && memcmp(input_bytes(in) + at, "WARC/", 5) == 0;
    return ST_OK;
}

/* Brings one whole record into the window; damaged ones are named and passed over. ST_END at the
 * end. */
static enum st next_record(struct input *in, struct header *h, size_t *n_all, struct err *err)
{
    for (;;) {
        enum st st = to_record(in, err);
        if (st == ST_END)
            return ST_END;
        in->record++;
        size_t n_head = 0;
        for (size_t want = 512; st == ST_OK && !n_head && want <= 2 * HEADER_MAX; want *= 2) {
            st = input_fill(in, want, err);
            n_head = st < 0 ? 0 : header_size(input_bytes(in), input_unread(in));
            if (st == ST_END)
                break;
        }
        if (st < 0) {
            st = st == ST_FORMAT ? stream_damaged(in, err) : st;
            goto again;
        }
        const char *what = NULL;
        if (input_unread(in) < 5 || memcmp(input_bytes(in), "WARC/", 5) != 0)
            what = "want a line that begins 'WARC/'";
        else if (!n_head)
            what = st == ST_END ? "the record's header is cut off" : "the header has no end";
        else
            what = parse_header(h, input_bytes(in), n_head);
        if (what) {
            st = give_up(in, n_head ? n_head - 1 : 0, err, what);
            goto again;
        }
        if (h->length > RECORD_MAX) {
            st = input_damaged(in, err, "Content-Length %llu is above the limit of %zu bytes",
                               (unsigned long long)h->length, RECORD_MAX);
            st = st < 0 ? st : resync(in, n_head - 1, err);
            goto again;
        }
        h->n_bytes = n_head;
        size_t n = n_head + (size_t)h->length;
        st = input_fill(in, n, err);
        if (st == ST_END) {
            st = input_damaged(in, err, "Content-Length is %llu, but only %zu bytes follow",
                               (unsigned long long)h->length, input_unread(in) - n_head);
            st = st < 0 ? st : resync(in, n_head - 1, err);
            goto again;
        }
        bool good = false;
        if (st == ST_OK)
            st = check_tail(in, n, n_all, &good, err);
        if (st == ST_FORMAT) {
            st = stream_damaged(in, err);
            goto again;
        }
        if (st == ST_OK && !good) {
            st =
                input_damaged(in, err, "Content-Length is %llu, but no record or end follows there",
                              (unsigned long long)h->length);
            st = st < 0 ? st : resync(in, n_head - 1, err);
            goto again;
        }
        if (st == ST_OK) /* the window may have moved: the pointers of h are set anew */
            (void)parse_header(h, input_bytes(in), n_head);
        return st;
    again:
        if (st != ST_OK)
            return st;
    }
}

static bool is_text(const struct header *h)
{
    return strcasecmp(h->type, "conversion") == 0 && strncasecmp(h->media, "text/plain", 10) == 0;
}

static bool is_page(const struct header *h)
{
    if (strcasecmp(h->type, "response") == 0)
        return strncasecmp(h->media, "application/http", 16) == 0;
    return strcasecmp(h->type, "resource") == 0 && (strncasecmp(h->media, "text/html", 9) == 0 ||
                                                    strncasecmp(h->media, "text/plain", 10) == 0);
}

/* The text of a conversion record, in place where it is clean. */
static void text_of(struct input *in, const char *s, size_t n, struct doc *doc)
{
    if (text_is_clean(s, n)) {
        doc->text = input_terminate(in, s, n);
        doc->n_bytes = n;
        return;
    }
    str_clear(&in->text);
    text_clean(&in->text, s, n);
    doc->text = in->text.s;
    doc->n_bytes = in->text.n;
}

static enum st page_of(struct input *in, const struct header *h, const char *s, struct doc *doc,
                       struct err *err)
{
    if (!in->html)
        in->html = html_new();
    str_clear(&in->text);
    str_clear(&in->title);
    enum st st;
    if (strcasecmp(h->type, "response") == 0)
        st = http_text(in->html, s, (size_t)h->length, &in->text, &in->title, err);
    else
        st = body_text(in->html, h->media, s, (size_t)h->length, &in->text, &in->title, err);
    doc->text = in->text.s;
    doc->n_bytes = in->text.n;
    return st;
}

static enum st warc_next(struct input *in, void *state, struct doc *doc, struct err *err)
{
    (void)state;
    for (;;) {
        struct header h = { 0 };
        size_t n_all = 0;
        enum st st = next_record(in, &h, &n_all, err);
        if (st != ST_OK)
            return st;
        const char *body = input_bytes(in) + h.n_bytes;
        doc->offset = input_place(in);
        if (!is_text(&h) && !is_page(&h)) {
            input_take(in, n_all);
            continue;
        }
        str_clear(&in->id);
        if (h.n_id)
            text_clean(&in->id, h.id, h.n_id);
        else
            input_id(in, true);
        str_clear(&in->scratch);
        if (h.n_url)
            text_clean(&in->scratch, h.url, h.n_url);
        doc->id = in->id.s;
        doc->url = h.n_url ? in->scratch.s : NULL;
        if (is_text(&h))
            text_of(in, body, (size_t)h.length, doc);
        else
            st = page_of(in, &h, body, doc, err);
        if (st < 0) {
            struct err why = *err;
            st = input_damaged(in, err, "%s", why.msg);
            if (st < 0)
                return st;
            st = ST_END;
        }
        input_take(in, n_all);
        if (st == ST_OK)
            return ST_OK;
    }
}

static bool warc_match(const char *head, size_t n)
{
    return n >= 5 && memcmp(head, "WARC/", 5) == 0;
}

/* WET is told from WARC by what its first records are. */
static bool wet_match(const char *head, size_t n)
{
    if (!warc_match(head, n))
        return false;
    struct strbuf s = { 0 };
    str_add(&s, head, n);
    bool wet =
        strstr(s.s, "WARC-Type: conversion") || strstr(s.s, "plain text") || strstr(s.s, ".wet.gz");
    str_release(&s);
    return wet;
}

const struct format format_wet = {
    .name = "wet", .match = wet_match, .by_member = true, .next = warc_next
};
const struct format format_warc = {
    .name = "warc", .match = warc_match, .by_member = true, .next = warc_next
};
