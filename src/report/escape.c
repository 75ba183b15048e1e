/* report/escape.c - see escape.h. */
#include "report/escape.h"

#include <stdint.h>
#include <string.h>

/* The code point at s (valid UTF-8, n > 0) and its length. */
static uint32_t code_point(const unsigned char *s, size_t n, size_t *len)
{
    size_t want = s[0] < 0x80 ? 1 : s[0] < 0xE0 ? 2 : s[0] < 0xF0 ? 3 : 4;
    *len = want <= n ? want : n;
    uint32_t c = want == 1 ? s[0] : s[0] & (0xFFu >> (want + 1));
    for (size_t i = 1; i < *len; i++)
        c = c << 6 | (s[i] & 0x3Fu);
    return c;
}

/* Bidirectional controls and what no reader can see. */
static bool is_control(uint32_t c)
{
    if (c < 0x20)
        return c != '\n' && c != '\t';
    return (c >= 0x7F && c < 0xA0) || c == 0x061C || c == 0x200E || c == 0x200F ||
           (c >= 0x2028 && c <= 0x202E) || (c >= 0x2066 && c <= 0x2069) || c == 0xFEFF ||
           (c >= 0xFFF9 && c <= 0xFFFB) || (c >= 0xE0000 && c <= 0xE007F);
}

static void add_escaped(struct strbuf *b, const unsigned char *s, size_t len, uint32_t c)
{
    switch (c) {
    case '&':
        str_adds(b, "&amp;");
        break;
    case '<':
        str_adds(b, "&lt;");
        break;
    case '>':
        str_adds(b, "&gt;");
        break;
    case '"':
        str_adds(b, "&quot;");
        break;
    case '\'':
        str_adds(b, "&#39;");
        break;
    default:
        if (is_control(c))
            str_printf(b, "\u27E8U+%04X\u27E9", (unsigned)c);
        else
            str_add(b, s, len);
    }
}

void esc_textn(struct strbuf *b, const char *text, size_t n_bytes)
{
    struct strbuf clean = { 0 };
    utf8_repair(&clean, text, n_bytes);
    const unsigned char *s = (const unsigned char *)clean.s;
    for (size_t i = 0, len; i < clean.n; i += len) {
        uint32_t c = code_point(s + i, clean.n - i, &len);
        add_escaped(b, s + i, len, c);
    }
    str_release(&clean);
}

void esc_text(struct strbuf *b, const char *s)
{
    if (s)
        esc_textn(b, s, strlen(s));
}

void label_text(struct strbuf *b, const char *text)
{
    if (!text)
        return;
    struct strbuf clean = { 0 };
    utf8_repair(&clean, text, strlen(text));
    const unsigned char *s = (const unsigned char *)clean.s;
    for (size_t i = 0, len; i < clean.n; i += len) {
        uint32_t c = code_point(s + i, clean.n - i, &len);
        if (is_control(c))
            str_adds(b, "\uFFFD");
        else
            str_add(b, s + i, len);
    }
    str_release(&clean);
}

void esc_id(struct strbuf *b, const char *prefix, const char *s)
{
    str_adds(b, prefix);
    for (; s && *s; s++) {
        bool plain = (*s >= 'a' && *s <= 'z') || (*s >= 'A' && *s <= 'Z') ||
                     (*s >= '0' && *s <= '9') || *s == '.' || *s == '-' || *s == '_';
        str_addc(b, plain ? *s : '_');
    }
}

const char *count_text(char buf[UNITS_MAX], double n)
{
    units_count(buf, n);
    char *dot = strchr(buf, '.');
    if (!dot)
        return buf;
    size_t digits = strspn(dot + 1, "0123456789");
    char *end = dot + 1 + digits, *keep = end;
    while (keep > dot && (keep[-1] == '0' || keep[-1] == '.'))
        keep--;
    memmove(keep, end, strlen(end) + 1);
    return buf;
}
