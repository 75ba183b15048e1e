/* corpus/files.c - inputs to files with names and origins; see build.h. */
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "corpus/build.h"
#include "corpus/doc.h"

static size_t count_slashes(const char *s, size_t n)
{
    size_t k = 0;
    for (size_t i = 0; i < n; i++)
        k += s[i] == '/';
    return k;
}

/* Length of the part of path that input stands for: as many components as input has. */
static size_t root_size(const char *path, const char *input)
{
    size_t n = strlen(input);
    while (n > 1 && input[n - 1] == '/')
        n--;
    if (strncmp(path, input, n) == 0 && (path[n] == '/' || path[n] == '\0'))
        return n;
    size_t want = count_slashes(input, n) + 1, at = 0;
    for (; path[at]; at++)
        if (path[at] == '/' && --want == 0)
            break;
    return at;
}

static const char *below(const char *path, size_t n_root)
{
    const char *rest = path + n_root;
    while (*rest == '/')
        rest++;
    return rest;
}

static bool same_root(const char *a, const char *b, const char *input)
{
    size_t n = root_size(a, input);
    return n == root_size(b, input) && strncmp(a, b, n) == 0;
}

static void add_file(struct corpus_files *f, const char *path, size_t n_root, bool only_folders)
{
    GROW(f->file, f->n, f->cap);
    struct corpus_file *file = &f->file[f->n++];
    const char *rest = below(path, n_root);
    char *root = xstrndup(path, n_root);
    while (strlen(root) > 1 && str_ends(root, "/"))
        root[strlen(root) - 1] = '\0';
    const char *root_name = path_base(root);
    if (strcmp(root_name, ".") == 0 || strcmp(root_name, "..") == 0)
        root_name = "";
    *file = (struct corpus_file){ .path = xstrdup(path), .named = *rest == '\0' };
    if (file->named)
        file->name = xstrdup(path_base(path));
    else
        file->name = path_join(root_name, rest);
    const char *slash = strchr(rest, '/');
    if (file->named)
        file->source = xstrdup(path_base(path));
    else if (only_folders && slash)
        file->source = xstrndup(rest, (size_t)(slash - rest));
    else
        file->source = xstrdup(*root_name ? root_name : path_base(path));
    free(root);
}

/* What a stage keeps beside its documents: reasons, ledgers, the manifest. */
static bool is_beside_documents(const char *path)
{
    const char *base = path_base(path);
    if (doc_file_is(base))
        return false;
    char *sibling = xasprintf("%.*sdocs-00000.jsonl.zst", (int)(base - path), path);
    bool made_by_us = file_exists(sibling);
    free(sibling);
    return made_by_us;
}

enum st corpus_files_expand(struct corpus_files *f, char *const *input, size_t n_input,
                            struct err *err)
{
    enum st st = ST_OK;
    for (size_t i = 0; i < n_input && st == ST_OK; i++) {
        struct strlist list = { 0 };
        if (str_starts(input[i], "http://") || str_starts(input[i], "https://"))
            st = err_set(err, ST_UNSUPPORTED, "reading '%s' from the web here; download it first",
                         input[i]); /* cli/ has replaced those that a person gave */
        else
            st = paths_expand(&list, &input[i], 1, err);
        size_t n_kept = 0; /* a file that was itself named is read whatever it is */
        for (size_t k = 0; k < list.n; k++)
            if (strcmp(list.s[k], input[i]) != 0 && is_beside_documents(list.s[k]))
                free(list.s[k]);
            else
                list.s[n_kept++] = list.s[k];
        list.n = n_kept;
        for (size_t k = 0; k < list.n && st == ST_OK;) {
            size_t end = k;
            bool only_folders = true;
            for (; end < list.n && same_root(list.s[k], list.s[end], input[i]); end++)
                if (!strchr(below(list.s[end], root_size(list.s[end], input[i])), '/'))
                    only_folders = false;
            for (; k < end; k++)
                add_file(f, list.s[k], root_size(list.s[k], input[i]), only_folders);
        }
        strlist_release(&list);
    }
    return st;
}

enum st corpus_files_outside(const struct corpus_files *f, const char *dir, struct err *err)
{
    for (size_t i = 0; dir && i < f->n; i++)
        if (dir_holds(dir, f->file[i].path))
            return err_set(err, ST_USAGE,
                           "input '%s' lies in the folder '%s' that is to be written",
                           f->file[i].path, dir);
    return ST_OK;
}

void corpus_files_release(struct corpus_files *f)
{
    for (size_t i = 0; i < f->n; i++) {
        free(f->file[i].path);
        free(f->file[i].name);
        free(f->file[i].source);
    }
    free(f->file);
    *f = (struct corpus_files){ 0 };
}
