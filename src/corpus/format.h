/*
 * corpus/format.h - what a format is and the window it reads through; for readers only.
 *
 * To add a format: one file with a `struct format`, one row in formats[] (reader.c), samples in
 * tests/golden/corpus/.
 *
 * A format sees the unpacked file as a growing window of unread bytes. A record stays unread until
 * all of it is there, so that a damaged one can be searched again for the place to go on:
 *
 *     st = input_fill(in, n, err);       at least n unread bytes: input_bytes(in)[0..n)
 *     if (st == ST_END) ...              the file (or gzip member) ends before that
 *     input_take(in, n);                 they are read; pointers stay good until the next fill
 */
#ifndef MIXLAW_CORPUS_FORMAT_H
#define MIXLAW_CORPUS_FORMAT_H

#include <stdbool.h>

#include "base/stream.h"
#include "corpus/doc.h"
#include "corpus/html.h"

enum { HEAD_BYTES = 4096 };           /* what match() may look at */
#define RECORD_MAX ((size_t)64 << 20) /* a record, line or text above this is skipped */
#define HTML_MAX ((size_t)16 << 20)   /* a page above this is skipped */

struct input {
    struct stream *stream;
    char *path, *name, *source;
    bool strict;
    bool by_member; /* the window ends where a gzip member ends, until input_next_member */
    char *buf;
    size_t at, n, cap; /* unread: buf[at..n); there is always room for a terminator */
    uint64_t base;     /* unpacked bytes before buf[0] */
    bool end;          /* file or member has no more bytes */
    uint64_t record;   /* number of the record at hand, from 1 */
    uint64_t n_skipped;
    struct strbuf id, text, title, scratch; /* storage of the document at hand */
    struct html *html;                      /* parser memory; made when first needed */
    char *patched;                          /* a byte replaced by a terminator ... */
    char patched_byte;                      /* ... and what it was */
};

struct format {
    const char *name; /* as reader_format says it */
    bool (*match)(const char *head, size_t n);
    bool by_member;
    size_t state_size; /* zeroed before the first next() */
    enum st (*next)(struct input *in, void *state, struct doc *doc, struct err *err);
    void (*release)(void *state); /* may be NULL */
};

extern const struct format format_warc, format_wet, format_jsonl, format_html, format_pod,
    format_dict, format_text;

MUST_USE enum st input_fill(struct input *in, size_t n, struct err *err);
const char *input_bytes(const struct input *in);
size_t input_unread(const struct input *in);
uint64_t input_offset(const struct input *in); /* of the first unread byte, unpacked */
uint64_t input_place(const struct input *in);  /* the same in the file: gzip member, or offset */
void input_take(struct input *in, size_t n);

/* Makes s[n] a terminator until the next record is asked for, so that text need not be copied. */
const char *input_terminate(struct input *in, const char *s, size_t n);

/* After the end of a member: ST_OK when there is another one, ST_END at the end of the file. */
MUST_USE enum st input_next_member(struct input *in, struct err *err);

/* After ST_FORMAT from the stream: goes to the next gzip member. ST_END: nothing more can be read.
 */
MUST_USE enum st input_skip_member(struct input *in, struct err *err);

/* Counts and names a damaged record; ST_FORMAT when the reader is strict, else ST_OK. */
MUST_USE enum st input_damaged(struct input *in, struct err *err, const char *fmt, ...)
    PRINTF_LIKE(3, 4);

/* Reads the whole file, at most max bytes, into the window. ST_END: nothing (more) to deliver. */
MUST_USE enum st input_whole(struct input *in, size_t max, struct err *err);

/* The document's id from the input's name: NAME, or NAME#record when it has several. */
const char *input_id(struct input *in, bool several);

/* Appends text as valid UTF-8 without NUL. */
void text_clean(struct strbuf *out, const char *s, size_t n);
bool text_is_clean(const char *s, size_t n);

#endif
