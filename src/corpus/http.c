/* corpus/http.c - see http.h. */
#include "corpus/http.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "base/stream.h"
#include "corpus/charset.h"
#include "corpus/format.h"

/* The charset parameter of a Content-Type, or "". */
static void charset_param(char *out, size_t cap, const char *media)
{
    *out = '\0';
    for (const char *p = media; *p; p++) {
        if (strncasecmp(p, "charset", 7) != 0)
            continue;
        p += 7;
        while (*p == ' ' || *p == '=' || *p == '"' || *p == '\'')
            p++;
        size_t n = strcspn(p, "\"'; \t");
        if (n < cap) {
            memcpy(out, p, n);
            out[n] = '\0';
        }
        return;
    }
}

static bool has_tag(const char *s, size_t n)
{
    if (n > 1024)
        n = 1024;
    for (size_t i = 0; i + 5 < n; i++)
        if (s[i] == '<' && (strncasecmp(s + i, "<html", 5) == 0 ||
                            strncasecmp(s + i, "<!doctype html", n - i < 14 ? n - i : 14) == 0 ||
                            strncasecmp(s + i, "<body", 5) == 0))
            return true;
    return false;
}

enum st body_text(struct html *h, const char *media, const char *body, size_t n,
                  struct strbuf *text, struct strbuf *title, struct err *err)
{
    bool is_html = strncasecmp(media, "text/html", 9) == 0 ||
                   strncasecmp(media, "application/xhtml", 17) == 0 ||
                   (!*media && has_tag(body, n));
    if (!is_html && strncasecmp(media, "text/plain", 10) != 0)
        return ST_END;
    if (is_html && n > HTML_MAX)
        return err_set(err, ST_LIMIT, "a page of %zu bytes is above the limit of %zu", n, HTML_MAX);
    char label[64];
    charset_param(label, sizeof label, media);
    struct strbuf utf8 = { 0 };
    charset_to_utf8(&utf8, body, n, label, is_html);
    enum st st = ST_OK;
    if (is_html)
        html_text(h, utf8.s, utf8.n, text, title);
    else
        text_clean(text, utf8.s, utf8.n);
    if (text->n == 0)
        st = ST_END;
    str_release(&utf8);
    return st;
}

/* Undoes chunked transfer. False when this is not chunked at all: archives differ in keeping it. */
static bool dechunk(struct strbuf *out, const char *s, size_t n)
{
    size_t at = 0;
    while (at < n) {
        size_t size = 0, digits = 0;
        while (at < n && isxdigit((unsigned char)s[at]) && digits < 8) {
            char c = (char)tolower((unsigned char)s[at++]);
            size = size * 16 + (size_t)(c <= '9' ? c - '0' : c - 'a' + 10);
            digits++;
        }
        const char *eol = memchr(s + at, '\n', n - at);
        if (!digits || !eol || (size_t)(eol - (s + at)) > 200)
            return at > 0 && out->n > 0; /* cut between chunks: what came is good */
        at = (size_t)(eol + 1 - s);
        if (size == 0)
            return true;
        if (size > n - at)
            size = n - at;
        str_add(out, s + at, size);
        at += size;
        if (at < n && s[at] == '\r')
            at++;
        if (at < n && s[at] == '\n')
            at++;
    }
    return out->n > 0;
}

static bool token(const char *v, size_t n, const char *word)
{
    size_t n_word = strlen(word);
    for (size_t i = 0; v && i + n_word <= n; i++)
        if (strncasecmp(v + i, word, n_word) == 0)
            return true;
    return false;
}

enum st http_text(struct html *h, const char *block, size_t n, struct strbuf *text,
                  struct strbuf *title, struct err *err)
{
    if (n < 12 || memcmp(block, "HTTP/", 5) != 0)
        return err_set(err, ST_FORMAT, "the answer does not begin 'HTTP/'");
    const char *space = memchr(block, ' ', n - 3 < 16 ? n - 3 : 16);
    if (!space || memcmp(space + 1, "200", 3) != 0)
        return ST_END;
    size_t n_head = header_size(block, n), len;
    if (!n_head)
        return err_set(err, ST_FORMAT, "the answer's header has no end");
    const char *body = block + n_head;
    size_t n_body = n - n_head;
    char media[128];
    const char *v = header_value(block, n_head, "Content-Type", &len);
    len = len < sizeof media ? len : sizeof media - 1;
    if (len)
        memcpy(media, v, len);
    media[len] = '\0';
    if (*media && strncasecmp(media, "text/html", 9) != 0 &&
        strncasecmp(media, "text/plain", 10) != 0 &&
        strncasecmp(media, "application/xhtml", 17) != 0)
        return ST_END;
    struct strbuf whole = { 0 }, plain = { 0 };
    enum st st = ST_OK;
    v = header_value(block, n_head, "Transfer-Encoding", &len);
    if (token(v, len, "chunked") && dechunk(&whole, body, n_body)) {
        body = whole.s;
        n_body = whole.n;
    }
    v = header_value(block, n_head, "Content-Encoding", &len);
    if (token(v, len, "gzip") || token(v, len, "deflate")) {
        const unsigned char *u = (const unsigned char *)body; /* some archives keep it unpacked */
        bool packed = n_body > 2 && ((u[0] == 0x1F && u[1] == 0x8B) ||
                                     ((u[0] & 0x0F) == 8 && (u[0] << 8 | u[1]) % 31 == 0));
        if (packed) {
            st = stream_inflate(&plain, body, n_body, HTML_MAX, err);
            body = plain.s;
            n_body = plain.n;
        }
    } else if (len && !token(v, len, "identity") && !has_tag(body, n_body)) {
        st = err_set(err, ST_UNSUPPORTED, "content encoding '%.*s'", len < 40 ? (int)len : 40, v);
    }
    if (st == ST_OK)
        st = body_text(h, media, body, n_body, text, title, err);
    str_release(&whole);
    str_release(&plain);
    return st;
}
