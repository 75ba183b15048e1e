/*
 * corpus/html.h - a page's main text. html.c is the only file that knows gumbo.
 *
 * Scripts, styles, navigation, headers, footers, sidebars, forms, pictures and blocks that are
 * mostly links are left out. Blocks are parted by an empty line, list items and table rows by a
 * line end; <pre> keeps its white space. Where the page marks its main part, only that is read.
 *
 *     struct html *h = html_new();
 *     html_text(h, page, n_bytes, &text, &title);      any bytes; valid UTF-8 gives valid UTF-8
 *     html_free(h);
 *
 * Hostile pages cannot exhaust the stack, time or memory: a page nested deeper than a browser
 * would go (512), or whose tree would grow out of proportion, only has its tags stripped.
 * Threads: a struct html belongs to one thread at a time.
 */
#ifndef MIXLAW_CORPUS_HTML_H
#define MIXLAW_CORPUS_HTML_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/str.h"

struct html; /* memory of the parser, kept between pages */
struct html *html_new(void);
void html_free(struct html *h); /* NULL is fine */

/* Appends the text and the title of a page. */
void html_text(struct html *h, const char *page, size_t n_bytes, struct strbuf *text,
               struct strbuf *title);

/* The fallback: text outside of tags. Appends. (html_strip.c) */
void html_strip(const char *page, size_t n_bytes, struct strbuf *text);

/* Whether a page's tags nest or its attributes pile up beyond what a parser handles in linear time.
 */
bool html_is_hostile(const char *page, size_t n_bytes);

#endif
