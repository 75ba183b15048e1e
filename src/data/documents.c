/* data/documents.c - see documents.h. */
#include "data/documents.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "base/manifest.h"
#include "base/mem.h"
#include "corpus/build.h"
#include "corpus/reader.h"

struct documents {
    struct corpus_files files;
    size_t at; /* of the file that is open, or comes next */
    bool strict;
    struct reader *reader;
    uint64_t n_total, n_before,
        n_skipped; /* bytes of all files and of those done; damaged records */
};

enum st documents_open(struct documents **out, char *const *input, size_t n_input, bool strict,
                       struct err *err)
{
    struct documents *d = NEW(struct documents);
    *out = NULL;
    d->strict = strict;
    enum st st = corpus_files_expand(&d->files, input, n_input, err);
    for (size_t i = 0; i < d->files.n && st == ST_OK; i++) {
        const struct corpus_file *f = &d->files.file[i];
        uint64_t n = 0;
        if (!path_is_stream(f->path) && (f->named || file_exists(f->path)))
            st = file_size(f->path, &n, err);
        d->n_total += n;
    }
    if (st == ST_OK) {
        *out = d;
        d = NULL;
    }
    documents_close(d);
    return st;
}

void documents_close(struct documents *d)
{
    if (!d)
        return;
    reader_close(d->reader);
    corpus_files_release(&d->files);
    free(d);
}

/* ST_END: passed over. */
static enum st open_file(struct documents *d, struct err *err)
{
    const struct corpus_file *f = &d->files.file[d->at];
    struct reader_conf conf = { .strict = d->strict, .source = f->source, .name = f->name };
    enum st st = reader_open(&d->reader, f->path, &conf, err);
    bool unreadable = st == ST_FORMAT || st == ST_UNSUPPORTED || st == ST_IO;
    if (unreadable && !f->named && !d->strict) {
        log_warn("%s; passed over", err->msg);
        return ST_END;
    }
    return st;
}

static void leave_file(struct documents *d)
{
    if (d->reader) {
        struct reader_stats s = reader_stats(d->reader);
        d->n_before += s.n_file_bytes;
        d->n_skipped += s.n_skipped;
    }
    reader_close(d->reader);
    d->reader = NULL;
    d->at++;
}

enum st documents_next(struct documents *d, struct doc *doc, struct err *err)
{
    while (d->at < d->files.n) {
        enum st st = d->reader ? ST_OK : open_file(d, err);
        if (st == ST_OK)
            st = reader_next(d->reader, doc, err);
        if (st != ST_END)
            return st;
        leave_file(d);
    }
    return ST_END;
}

uint64_t documents_size(const struct documents *d)
{
    return d->n_total;
}

uint64_t documents_place(const struct documents *d)
{
    return d->n_before + (d->reader ? reader_stats(d->reader).n_file_bytes : 0);
}

uint64_t documents_n_skipped(const struct documents *d)
{
    return d->n_skipped + (d->reader ? reader_stats(d->reader).n_skipped : 0);
}

enum st documents_digests(const struct documents *d, struct js **inputs, struct err *err)
{
    char **path = NEW_ARRAY(char *, d->files.n + 1);
    size_t n = 0;
    bool has_stream = false;
    *inputs = NULL;
    for (size_t i = 0; i < d->files.n; i++) {
        const struct corpus_file *f = &d->files.file[i];
        has_stream |= path_is_stream(f->path);
        if (f->named || file_exists(f->path)) /* folders may hold links to nowhere */
            path[n++] = f->path;
    }
    enum st st = has_stream ? ST_OK : manifest_inputs(inputs, path, n, err);
    free(path);
    return st;
}
