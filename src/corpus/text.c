/*
 * corpus/text.c - files that are one document: plain text and HTML pages.
 *
 * Plain text above PART_BYTES is delivered in parts that end at an empty line (else at a line
 * end), so that one big file is many documents. UTF-16 with a byte order mark is understood.
 */
#include <string.h>
#include <strings.h>

#include "corpus/charset.h"
#include "corpus/format.h"

#define PART_BYTES ((size_t)256 << 10)

/* Where a part ends: after the last empty line of s[0..n), else after the last line end; 0:
 * nowhere. */
static size_t part_end(const char *s, size_t n)
{
    size_t line = 0;
    for (size_t i = n; i > n / 2; i--) {
        if (s[i - 1] != '\n')
            continue;
        if (!line)
            line = i;
        if (i >= 2 && (s[i - 2] == '\n' || (i >= 3 && s[i - 2] == '\r' && s[i - 3] == '\n')))
            return i;
    }
    if (line)
        return line;
    for (size_t i = n / 2; i > 0; i--)
        if (s[i - 1] == '\n')
            return i;
    return 0;
}

/* Appends text with line ends made LF and a byte order mark dropped. */
static void add_plain(struct strbuf *out, const char *s, size_t n)
{
    struct strbuf utf8 = { 0 };
    charset_to_utf8(&utf8, s, n, "", false);
    size_t start = out->n;
    text_clean(out, utf8.s, utf8.n);
    str_release(&utf8);
    size_t to = start;
    for (size_t i = start; i < out->n; i++)
        if (out->s[i] != '\r' || out->s[i + 1] != '\n')
            out->s[to++] = out->s[i];
    out->n = to;
    out->s[to] = '\0';
}

/* A line longer than a document may be: passed over to its end. */
static enum st skip_long_line(struct input *in, struct err *err)
{
    enum st st = input_damaged(in, err, "a line is above the limit of %zu bytes", RECORD_MAX);
    while (st == ST_OK && (st = input_fill(in, 1, err)) == ST_OK) {
        const char *s = input_bytes(in), *eol = memchr(s, '\n', input_unread(in));
        input_take(in, eol ? (size_t)(eol + 1 - s) : input_unread(in));
        if (eol)
            break;
    }
    return st == ST_END ? ST_OK : st;
}

/* Unread bytes to deliver as the next document. */
static enum st next_part(struct input *in, size_t *n, struct err *err)
{
    for (size_t want = PART_BYTES;; want *= 2) {
        enum st st = input_fill(in, want + 1, err);
        if (st < 0)
            return st;
        if (st == ST_END) {
            *n = input_unread(in);
            return *n ? ST_OK : ST_END;
        }
        *n = part_end(input_bytes(in), want);
        if (*n > 0)
            return ST_OK;
        if (want >= RECORD_MAX) {
            st = skip_long_line(in, err);
            if (st < 0)
                return st;
            want = PART_BYTES / 2;
        }
    }
}

static bool is_utf16(const char *s, size_t n)
{
    return n >= 2 && (memcmp(s, "\xFF\xFE", 2) == 0 || memcmp(s, "\xFE\xFF", 2) == 0);
}

static enum st text_next(struct input *in, void *state, struct doc *doc, struct err *err)
{
    bool *several = state;
    size_t n = 0;
    enum st st;
    if (in->record == 0 && input_fill(in, 2, err) == ST_OK &&
        is_utf16(input_bytes(in), input_unread(in))) {
        st = input_whole(in, RECORD_MAX, err);
        n = input_unread(in);
    } else {
        in->record++;
        st = next_part(in, &n, err);
    }
    if (st == ST_FORMAT && !in->strict) { /* damaged gzip or zstd */
        struct err why = *err;
        st = input_damaged(in, err, "%s", why.msg);
        return st == ST_OK ? ST_END : st;
    }
    if (st != ST_OK)
        return st;
    *several = *several || n < input_unread(in) || !in->end;
    doc->offset = input_offset(in);
    str_clear(&in->text);
    add_plain(&in->text, input_bytes(in), n);
    input_take(in, n);
    doc->id = input_id(in, *several);
    doc->text = in->text.s;
    doc->n_bytes = in->text.n;
    return ST_OK;
}

static bool text_match(const char *head, size_t n)
{
    if (is_utf16(head, n))
        return true;
    size_t n_odd = 0; /* control characters that no text is full of */
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)head[i];
        n_odd += c < 0x20 && c != '\n' && c != '\r' && c != '\t' && c != '\f' && c != 0x1B;
    }
    return n_odd * 10 <= n;
}

const struct format format_text = {
    .name = "text", .match = text_match, .state_size = sizeof(bool), .next = text_next
};

static enum st html_next(struct input *in, void *state, struct doc *doc, struct err *err)
{
    (void)state;
    enum st st = input_whole(in, HTML_MAX, err);
    if (st != ST_OK)
        return st;
    if (!in->html)
        in->html = html_new();
    struct strbuf utf8 = { 0 };
    str_clear(&in->text);
    str_clear(&in->title);
    charset_to_utf8(&utf8, input_bytes(in), input_unread(in), "", true);
    html_text(in->html, utf8.s, utf8.n, &in->text, &in->title);
    str_release(&utf8);
    input_take(in, input_unread(in));
    doc->id = input_id(in, false);
    doc->text = in->text.s;
    doc->n_bytes = in->text.n;
    return in->text.n ? ST_OK : ST_END;
}

static bool html_match(const char *head, size_t n)
{
    static const char *const begin[] = { "<!doctype html", "<html", "<head", "<body", "<title" };
    size_t i = n >= 3 && memcmp(head, "\xEF\xBB\xBF", 3) == 0 ? 3 : 0;
    for (;;) { /* white space, XML declaration, comments */
        while (i < n && strchr(" \t\r\n", head[i]) && head[i])
            i++;
        if (i >= n || head[i] != '<')
            return false;
        if (i + 1 < n && head[i + 1] == '?') {
            const char *e = memchr(head + i, '>', n - i);
            if (!e)
                return false;
            i = (size_t)(e + 1 - head);
        } else if (i + 3 < n && memcmp(head + i, "<!--", 4) == 0) {
            size_t e = i + 4;
            while (e + 3 <= n && memcmp(head + e, "-->", 3) != 0)
                e++;
            if (e + 3 > n)
                return false;
            i = e + 3;
        } else {
            break;
        }
    }
    for (size_t k = 0; k < sizeof begin / sizeof *begin; k++) {
        size_t len = strlen(begin[k]);
        if (n - i >= len && strncasecmp(head + i, begin[k], len) == 0)
            return true;
    }
    return false;
}

const struct format format_html = { .name = "html", .match = html_match, .next = html_next };
