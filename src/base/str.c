/* base/str.c - see str.h. */
#include "base/str.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

void str_reserve(struct strbuf *b, size_t n_more)
{
    size_t want = b->n + n_more + 1;
    if (want <= b->cap)
        return;
    size_t cap = b->cap ? b->cap : 64;
    while (cap < want)
        cap *= 2;
    b->s = xrealloc(b->s, cap, 1);
    b->s[b->n] = '\0'; /* a string from the first byte of room on, even when nothing follows */
    b->cap = cap;
}

void str_add(struct strbuf *b, const void *bytes, size_t n_bytes)
{
    str_reserve(b, n_bytes);
    if (n_bytes)
        memcpy(b->s + b->n, bytes, n_bytes);
    b->n += n_bytes;
    b->s[b->n] = '\0';
}

void str_adds(struct strbuf *b, const char *s)
{
    str_add(b, s, strlen(s));
}

void str_addc(struct strbuf *b, char c)
{
    str_add(b, &c, 1);
}

void str_printf(struct strbuf *b, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    str_reserve(b, (size_t)n);
    va_start(ap, fmt);
    vsnprintf(b->s + b->n, (size_t)n + 1, fmt, ap);
    va_end(ap);
    b->n += (size_t)n;
}

void str_clear(struct strbuf *b)
{
    b->n = 0;
    if (b->s)
        b->s[0] = '\0';
}

void str_release(struct strbuf *b)
{
    free(b->s);
    *b = (struct strbuf){ 0 };
}

char *str_detach(struct strbuf *b)
{
    str_reserve(b, 0);
    b->s[b->n] = '\0';
    char *s = b->s;
    *b = (struct strbuf){ 0 };
    return s;
}

void strlist_addn(struct strlist *l, const char *s, size_t n_bytes)
{
    GROW(l->s, l->n, l->cap);
    l->s[l->n++] = xstrndup(s, n_bytes);
}

void strlist_add(struct strlist *l, const char *s)
{
    strlist_addn(l, s, strlen(s));
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

void strlist_sort(struct strlist *l)
{
    if (l->n)
        qsort(l->s, l->n, sizeof *l->s, by_text);
}

void strlist_release(struct strlist *l)
{
    for (size_t i = 0; i < l->n; i++)
        free(l->s[i]);
    free(l->s);
    *l = (struct strlist){ 0 };
}

bool str_starts(const char *s, const char *prefix)
{
    return strncmp(s, prefix, strlen(prefix)) == 0;
}

bool str_ends(const char *s, const char *suffix)
{
    size_t n = strlen(s), m = strlen(suffix);
    return n >= m && strcmp(s + n - m, suffix) == 0;
}

/*
 * Length of the valid character at s, or 0. The second byte's range excludes overlong forms,
 * surrogates and values beyond U+10FFFF (Unicode 15, table 3-7).
 */
static size_t utf8_char(const unsigned char *s, size_t n)
{
    unsigned char c = s[0], lo = 0x80, hi = 0xBF;
    size_t len;
    if (c < 0x80)
        return 1;
    if (c >= 0xC2 && c <= 0xDF)
        len = 2;
    else if (c >= 0xE0 && c <= 0xEF)
        len = 3, lo = c == 0xE0 ? 0xA0 : 0x80, hi = c == 0xED ? 0x9F : 0xBF;
    else if (c >= 0xF0 && c <= 0xF4)
        len = 4, lo = c == 0xF0 ? 0x90 : 0x80, hi = c == 0xF4 ? 0x8F : 0xBF;
    else
        return 0;
    if (n < len || s[1] < lo || s[1] > hi)
        return 0;
    for (size_t i = 2; i < len; i++)
        if ((s[i] & 0xC0) != 0x80)
            return 0;
    return len;
}

size_t utf8_valid(const char *s, size_t n_bytes)
{
    size_t i = 0;
    while (i < n_bytes) {
        unsigned long long eight;
        if (n_bytes - i >= sizeof eight) { /* plain ASCII eight bytes at a time */
            memcpy(&eight, s + i, sizeof eight);
            if (!(eight & 0x8080808080808080ULL)) {
                i += sizeof eight;
                continue;
            }
        }
        size_t len = utf8_char((const unsigned char *)s + i, n_bytes - i);
        if (len == 0)
            break;
        i += len;
    }
    return i;
}

size_t utf8_repair(struct strbuf *out, const char *s, size_t n_bytes)
{
    size_t n_bad = 0, i = 0;
    str_reserve(out, n_bytes);
    while (i < n_bytes) {
        size_t good = utf8_valid(s + i, n_bytes - i);
        str_add(out, s + i, good);
        i += good;
        if (i == n_bytes)
            break;
        str_adds(out, "\xEF\xBF\xBD");
        n_bad++;
        i++;
        while (i < n_bytes && ((unsigned char)s[i] & 0xC0) == 0x80)
            i++; /* the rest of the damaged character */
    }
    return n_bad;
}
