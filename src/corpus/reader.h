/*
 * corpus/reader.h - documents from files of any known format, recognised by content.
 *
 * WARC and WET (plain or one gzip member a record), JSONL (.gz, .zst), HTML, plain text. The text
 * is always valid UTF-8: damaged bytes become U+FFFD, NUL bytes are dropped.
 *
 *     struct reader *r;
 *     st = reader_open(&r, path, &conf, err);
 *     while ((st = reader_next(r, &doc, err)) == ST_OK)
 *         use(&doc);                             doc is borrowed until the next call
 *     reader_close(r);
 *
 * A damaged record is skipped, counted and logged with file, record and byte; with conf.strict it is
 * ST_FORMAT. Threads: a reader belongs to one thread at a time.
 */
#ifndef MIXLAW_CORPUS_READER_H
#define MIXLAW_CORPUS_READER_H

#include <stdbool.h>

#include "corpus/doc.h"

struct reader_conf {
    bool strict; /* a damaged record is an error */
    const char
        *source; /* meta.source of every document; NULL: the file's own, else its base name */
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
const char *reader_format(const struct reader *r); /* "wet", "warc", "jsonl", "html", "text" */
void reader_close(struct reader *r);               /* NULL is fine */

#endif
