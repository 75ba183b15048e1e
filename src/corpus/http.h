/*
 * corpus/http.h - the text of a web server's answer.
 *
 * Only answers with status 200 and HTML or plain text are documents; others give ST_END. Chunked
 * transfer and gzip or deflate content encoding are undone; the charset comes from byte order mark,
 * header or <meta>, see charset.h.
 */
#ifndef MIXLAW_CORPUS_HTTP_H
#define MIXLAW_CORPUS_HTTP_H

#include "corpus/html.h"

/* block: status line, headers, empty line, body. Appends to text and title. ST_END: no text page.
 * ST_FORMAT, ST_LIMIT, ST_UNSUPPORTED: damaged, too long, or in an encoding that is not known. */
MUST_USE enum st http_text(struct html *h, const char *block, size_t n, struct strbuf *text,
                           struct strbuf *title, struct err *err);

/* The same for a body whose Content-Type is known; media may be "". */
MUST_USE enum st body_text(struct html *h, const char *media, const char *body, size_t n,
                           struct strbuf *text, struct strbuf *title, struct err *err);

/* Header blocks of lines "Name: value", shared with warc.c. */
size_t header_size(const char *s, size_t n);
const char *header_value(const char *s, size_t n, const char *name, size_t *len);

#endif
