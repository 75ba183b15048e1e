/*
 * base/str.h - growing byte strings and lists of strings.
 *
 * A strbuf always holds a terminated string in .s once something was added; .n counts bytes
 * without the terminator, and NUL bytes inside are fine.
 *
 *     struct strbuf b = { 0 };
 *     str_printf(&b, "%s-%05d", name, i);
 *     use(b.s, b.n);
 *     str_release(&b);
 */
#ifndef MIXLAW_BASE_STR_H
#define MIXLAW_BASE_STR_H

#include <stdbool.h>
#include <stddef.h>

#include "base/attr.h"

struct strbuf {
    char *s;
    size_t n, cap;
};

void str_reserve(struct strbuf *b, size_t n_more); /* room for n_more bytes and the terminator */
void str_add(struct strbuf *b, const void *bytes, size_t n_bytes);
void str_adds(struct strbuf *b, const char *s);
void str_addc(struct strbuf *b, char c);
void str_printf(struct strbuf *b, const char *fmt, ...) PRINTF_LIKE(2, 3);
void str_clear(struct strbuf *b);   /* empty, keeps its memory */
void str_release(struct strbuf *b); /* empty, memory freed */
char *str_detach(struct strbuf *b); /* the caller frees it; never NULL */

struct strlist {
    char **s; /* each owned by the list */
    size_t n, cap;
};
void strlist_add(struct strlist *l, const char *s);
void strlist_addn(struct strlist *l, const char *s, size_t n_bytes);
void strlist_sort(struct strlist *l);
void strlist_release(struct strlist *l);

bool str_starts(const char *s, const char *prefix);
bool str_ends(const char *s, const char *suffix);

/* Bytes of the longest valid UTF-8 prefix of s[0..n); n when all of it is valid. */
size_t utf8_valid(const char *s, size_t n_bytes);

/* Appends s as valid UTF-8: each maximal damaged part becomes U+FFFD. Returns how many there were.
 */
size_t utf8_repair(struct strbuf *out, const char *s, size_t n_bytes);

#endif
