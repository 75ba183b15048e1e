/* cli/inputs.c - see inputs.h. */
#include "cli/inputs.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "cli/cache.h"
#include "corpus/build.h"
#include "corpus/reader.h"

enum st inputs_fetch(struct strlist *out, size_t n, char *const *input, struct err *err)
{
    enum st st = ST_OK;
    if (n == 0)
        return err_set(err, ST_USAGE, "want at least one INPUT: a file, folder, pattern or URL");
    for (size_t i = 0; i < n && st == ST_OK; i++) {
        bool is_url = str_starts(input[i], "http://") || str_starts(input[i], "https://");
        char *path = NULL;
        if (is_url)
            st = cache_download(input[i], &path, err);
        if (st == ST_OK)
            strlist_add(out, is_url ? path : input[i]);
        free(path);
    }
    return st;
}

/* Whether a file that was found in a folder is one of documents. */
static bool is_readable(const char *path)
{
    struct reader *r = NULL;
    struct err why;
    enum st st = reader_open(&r, path, NULL, &why);
    reader_close(r);
    if (st < 0)
        log_warn("%s; passed over", why.msg);
    return st == ST_OK;
}

enum st inputs_files(struct strlist *out, size_t n, char *const *input, bool strict,
                     struct err *err)
{
    struct strlist local = { 0 };
    struct corpus_files files = { 0 };
    enum st st = inputs_fetch(&local, n, input, err);
    if (st == ST_OK)
        st = corpus_files_expand(&files, local.s, local.n, err);
    for (size_t i = 0; i < files.n && st == ST_OK; i++) {
        const struct corpus_file *f = &files.file[i];
        if (path_is_stream(f->path))
            st = err_set(err, ST_USAGE, "the input is read several times: '%s' cannot be one",
                         f->path);
        else if (f->named || strict || is_readable(f->path))
            strlist_add(out, f->path);
    }
    if (st == ST_OK && out->n == 0)
        st = err_set(err, ST_FORMAT, "none of the %zu files can be read", files.n);
    strlist_release(&local);
    corpus_files_release(&files);
    return st;
}
