/*
 * base/stream.h - bytes in and out through gzip or zstd. The only file that knows zlib and zstd.
 *
 * A reader recognises the container by content: gzip (any number of members), zstd (any number of
 * frames) or plain. Gzip members are visible because web archives keep one record a member: a
 * damaged member can be left behind by going to the next one.
 *
 *     struct stream *s;
 *     st = stream_open(&s, path, err);              "-" is standard input
 *     while ((st = stream_read(s, buf, sizeof buf, &n, err)) == ST_OK) ...      ST_END at the end
 *     stream_close(s);
 */
#ifndef MIXLAW_BASE_STREAM_H
#define MIXLAW_BASE_STREAM_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct stream;
enum stream_kind { STREAM_PLAIN, STREAM_GZIP, STREAM_ZSTD };

MUST_USE enum st stream_open(struct stream **out, const char *path, struct err *err);
void stream_close(struct stream *s); /* NULL is fine */
enum stream_kind stream_kind(const struct stream *s);

/* Reads up to cap bytes of the unpacked stream; *n_bytes > 0 on ST_OK. ST_FORMAT for damaged or cut
 * input names the byte in the file; reading again after that returns the same failure until
 * stream_skip. */
MUST_USE enum st stream_read(struct stream *s, void *buf, size_t cap, size_t *n_bytes,
                             struct err *err);

/* Like stream_read, but for gzip stops at the end of a member with ST_END once; stream_next_member
 * then goes on. */
MUST_USE enum st stream_read_member(struct stream *s, void *buf, size_t cap, size_t *n_bytes,
                                    struct err *err);
MUST_USE enum st stream_next_member(struct stream *s, struct err *err); /* ST_END: no more */

/* After ST_FORMAT: searches the file for the next gzip member's first bytes. ST_END: none. */
MUST_USE enum st stream_skip(struct stream *s, struct err *err);

uint64_t stream_offset(const struct stream *s); /* bytes of the file consumed */
uint64_t stream_member_offset(
    const struct stream *s); /* where the current member begins in the file */

/* Unpacks a gzip, zlib or raw deflate block held in memory; appends to out. ST_FORMAT: damaged;
 * ST_LIMIT: more than max bytes. */
struct strbuf;
MUST_USE enum st stream_inflate(struct strbuf *out, const void *bytes, size_t n, size_t max,
                                struct err *err);

/* Bytes that a block in memory packs into by deflate, libdeflate's level 1: a measure of how much
 * it repeats itself, some 200 MB/s. */
size_t stream_deflated_size(const void *bytes, size_t n);

/* Writing: kind by name (.gz, .zst, else plain). The file appears under its name at commit, see
 * base/file.h. */
struct outstream;
MUST_USE enum st outstream_open(struct outstream **out, const char *path, struct err *err);
MUST_USE enum st outstream_write(struct outstream *o, const void *bytes, size_t n, struct err *err);
MUST_USE enum st outstream_commit(struct outstream *o, struct err *err); /* then close */
void outstream_close(struct outstream *o); /* NULL is fine; without commit nothing appears */

#endif
