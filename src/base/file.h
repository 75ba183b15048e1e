/*
 * base/file.h - files: whole reads, writes that are all or nothing, folders, locks, input lists.
 *
 * A file that others rely on is written beside its place, synced and renamed, so that a crash or
 * a full disk leaves the old one or none, never half of it:
 *
 *     struct outfile f;
 *     st = outfile_open(&f, path, err);            path.tmp-PID
 *     fprintf(f.stream, ...); outfile_write(&f, bytes, n, err);
 *     st = outfile_commit(&f, err);                flush, check, fsync, rename
 *     outfile_abort(&f);                           harmless after commit
 */
#ifndef MIXLAW_BASE_FILE_H
#define MIXLAW_BASE_FILE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/err.h"
#include "base/str.h"

/* Appends the file to *out; ST_LIMIT beyond max_bytes. */
MUST_USE enum st file_read(const char *path, size_t max_bytes, struct strbuf *out, struct err *err);
MUST_USE enum st file_write(const char *path, const void *bytes, size_t n,
                            struct err *err); /* atomic */
bool file_exists(const char *path);
bool file_is_dir(const char *path);
bool file_same(const char *a, const char *b); /* names of one file; false: one is not there */
MUST_USE enum st file_size(const char *path, uint64_t *n_bytes, struct err *err);
MUST_USE enum st file_rename(const char *from, const char *to,
                             struct err *err); /* and syncs the folder */

/* A file that appears whole or not at all, beside its name until then. What is no plain file, such
 * as /dev/null or /dev/stdout, is written into as it is. */
struct outfile {
    FILE *stream;     /* NULL when closed */
    char *path, *tmp; /* links followed; tmp NULL: written into path itself */
};
MUST_USE enum st outfile_open(struct outfile *f, const char *path, struct err *err);
MUST_USE enum st outfile_write(struct outfile *f, const void *bytes, size_t n, struct err *err);
MUST_USE enum st outfile_commit(struct outfile *f, struct err *err);
void outfile_abort(struct outfile *f);

/* A file in memory, read only. */
struct filemap {
    const uint8_t *bytes;
    size_t n_bytes;
};
MUST_USE enum st filemap_open(struct filemap *m, const char *path, struct err *err);
void filemap_close(struct filemap *m);

MUST_USE enum st dir_make(const char *path,
                          struct err *err); /* with its parents; there already is fine */
MUST_USE enum st dir_remove(const char *path, struct err *err); /* with all in it; absent is fine */
MUST_USE enum st dir_list(const char *path, struct strlist *names,
                          struct err *err);         /* sorted, without . and .. */
char *path_join(const char *dir, const char *name); /* the caller frees it */
const char *path_base(const char *path);            /* after the last slash */

/* Whether path lies below dir (or is it), through links; false when one of them is not there. */
bool dir_holds(const char *dir, const char *path);

/* "-", a pipe, a device: what can be read only once, and has no size before. */
bool path_is_stream(const char *path);

/* NAME.tmp-123: what an outfile writes to, left behind by a kill. */
bool path_is_unfinished(const char *path);

/* Files, folders (all plain files below them, hidden and unfinished ones left out) and glob
 * patterns to a list of files, each input's files in name order. "-" and http(s) URLs pass
 * unchanged. ST_IO names an input with no file. */
MUST_USE enum st paths_expand(struct strlist *files, char *const *input, size_t n_input,
                              struct err *err);

/* Takes the lock file, or fails at once with ST_IO naming who holds it. Ends with the process. */
struct lock {
    int fd;
};
MUST_USE enum st lock_take(struct lock *l, const char *path, struct err *err);
void lock_drop(struct lock *l);

/* Cache folder for what was downloaded or can be rebuilt: $MIXLAW_CACHE, $XDG_CACHE_HOME/mixlaw or
 * ~/.cache/mixlaw. */
char *cache_path(const char *name); /* the caller frees it */

#endif
