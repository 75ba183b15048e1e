/*
 * corpus/reader.h - documents from files of any known format, recognised by content.
 *
 * WARC and WET (plain or one gzip member a record), JSONL, HTML, POD, DICT dictionaries, plain
 * text; all of them also as .gz and .zst. The text is always valid UTF-8: damaged bytes become
 * U+FFFD, NUL bytes are dropped. An empty file has no documents.
 *
 *     struct reader *r;
 *     st = reader_open(&r, path, &conf, err);
 *     while ((st = reader_next(r, &doc, err)) == ST_OK)
 *         use(&doc);                             doc is borrowed until the next call
 *     reader_close(r);
 *
 * A damaged record is skipped, counted and logged with file, record and byte; with conf.strict it
 * is ST_FORMAT. Threads: a reader belongs to one thread at a time.
 */
#ifndef MIXLAW_CORPUS_READER_H
#define MIXLAW_CORPUS_READER_H

#include <stdbool.h>

#include "corpus/doc.h"

struct reader_conf {
    bool strict; /* a damaged record is an error */
    const char
        *source; /* meta.source where a document names none itself; NULL: the file's base name */
    const char *name; /* what ids of documents without one begin with; NULL: the file's base name */
};

struct reader_stats {
    uint64_t n_docs, n_bytes; /* documents returned, bytes of their text */
    uint64_t n_skipped;       /* damaged records */
    uint64_t n_file_bytes;    /* bytes of the file consumed, for progress */
};

struct reader;
MUST_USE enum st reader_open(struct reader **out, const char *path, const struct reader_conf *conf,
                             struct err *err);
MUST_USE enum st reader_next(struct reader *r, struct doc *doc,
                             struct err *err); /* ST_OK, ST_END */
struct reader_stats reader_stats(const struct reader *r);
const char *reader_format(
    const struct reader *r); /* "wet", "warc", "jsonl", "html", "dict", "pod", "text", "empty" */
void reader_close(struct reader *r); /* NULL is fine */

#endif
