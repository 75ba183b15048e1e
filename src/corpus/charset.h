/*
 * corpus/charset.h - bytes of a page in any known charset to UTF-8. The only file that knows iconv.
 *
 * The choice: byte order mark; then UTF-8 whenever the bytes are valid UTF-8 with more than ASCII
 * (labels are wrong more often than that happens by chance); then the label of header or <meta>;
 * then windows-1252. As browsers do, ISO-8859-1 and ASCII mean windows-1252.
 */
#ifndef MIXLAW_CORPUS_CHARSET_H
#define MIXLAW_CORPUS_CHARSET_H

#include <stdbool.h>
#include <stddef.h>

#include "base/str.h"

/* Appends s as valid UTF-8. label: from a header, may be ""; look_inside: search for <meta
 * charset>. */
void charset_to_utf8(struct strbuf *out, const char *s, size_t n, const char *label,
                     bool look_inside);

#endif
