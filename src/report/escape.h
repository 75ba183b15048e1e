/*
 * report/escape.h - text of unknown origin into HTML that cannot do anything.
 *
 * Every text that comes from a document, a model, a file name or a setting passes through
 * esc_text, whether it stands between tags or in a quoted attribute. Characters that would reorder
 * their neighbours (bidirectional controls) or that nobody sees (C0 controls) are shown by name.
 *
 *     esc_raw(&b, "<td>");
 *     esc_text(&b, name);
 */
#ifndef MIXLAW_REPORT_ESCAPE_H
#define MIXLAW_REPORT_ESCAPE_H

#include <stddef.h>

#include "base/str.h"
#include "base/units.h"

#define esc_raw str_adds /* our own markup, never anything read */

void esc_text(struct strbuf *b, const char *s); /* NULL adds nothing */
void esc_textn(struct strbuf *b, const char *s, size_t n_bytes);

/* The same for labels that go into a figure's JSON: controls become U+FFFD, markup stays as it is.
 */
void label_text(struct strbuf *b, const char *s);

/* An identifier for id="" and #links: other characters than letters, digits, . _ - become _. */
void esc_id(struct strbuf *b, const char *prefix, const char *s);

/* "2.5M", "400k", "9M": as units_count, without zeros that say nothing. */
const char *count_text(char buf[UNITS_MAX], double n);

#endif
