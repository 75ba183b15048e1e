/*
 * corpus/doc.h - one document, and writing documents as JSONL.zst.
 *
 * A line is {"id","text","meta":{...}}, the shape datatrove writes. meta.source names the input
 * (file or package), meta.url the page, meta.offset the record's place in the file.
 *
 *     struct doc_writer *w;
 *     st = doc_writer_open(&w, "out/docs-00000.jsonl.zst", err);
 *     st = doc_write(w, &doc, err);
 *     st = doc_writer_commit(w, err);        the file appears now
 *     doc_writer_close(w);
 */
#ifndef MIXLAW_CORPUS_DOC_H
#define MIXLAW_CORPUS_DOC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/json.h"

struct doc {
    const char *id; /* unique within its set; never NULL */
    const char
        *text; /* valid UTF-8 without NUL, terminated; borrowed from whoever produced the doc */
    size_t n_bytes;        /* of text */
    const char *source;    /* provenance id: file, package, repository; or NULL */
    const char *url;       /* or NULL */
    const char *title;     /* of a page, or NULL */
    uint64_t offset;       /* start of the record in the file, bytes */
    const struct js *meta; /* other members of meta, borrowed; or NULL */
};

/* Appends the document as one line of JSON, without the line end. */
void doc_json(struct strbuf *out, const struct doc *d);

/* Bytes at the beginning of the text that meta.spans call natural: the source that stands before
 * what was generated from it. */
size_t doc_natural_bytes(const struct doc *d);

/* docs-00000.jsonl.zst and so on, finished or (.tmp-PID) not: what a stage may clear away. */
bool doc_file_is(const char *name);

struct doc_writer;
MUST_USE enum st doc_writer_open(struct doc_writer **out, const char *path, struct err *err);
MUST_USE enum st doc_write(struct doc_writer *w, const struct doc *d, struct err *err);
MUST_USE enum st doc_writer_commit(struct doc_writer *w, struct err *err);
void doc_writer_close(struct doc_writer *w); /* NULL is fine; without commit nothing appears */

#endif
