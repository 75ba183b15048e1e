/* cli/domains.c - see domains.h. */
#include "cli/domains.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"

enum { MAX_DOMAINS = 4096 };

static void add(struct domain_sources *all, const char *name, size_t name_len, const char *path)
{
    char *idx = xasprintf("%s.idx", path), *manifest = path_join(path, "manifest.json");
    GROW(all->s, all->n, all->cap);
    all->s[all->n++] =
        (struct domain_source){ .name = xstrndup(name, name_len),
                                .path = xstrdup(path),
                                .is_tokens = file_exists(idx),
                                .is_corpus = file_is_dir(path) && file_exists(manifest) };
    free(manifest);
    free(idx);
}

/* A file's name without folder and suffixes: domains/books.jsonl.zst is "books". */
static size_t stem(const char **name, const char *path)
{
    *name = path_base(path);
    size_t n = strcspn(*name, ".");
    return n ? n : strlen(*name);
}

static enum st add_input(struct domain_sources *all, const char *text, struct err *err)
{
    const char *eq = strchr(text, '='), *name;
    if (eq && eq > text && !file_exists(text)) {
        add(all, text, (size_t)(eq - text), eq + 1);
        return ST_OK;
    }
    char *whole = xstrdup(text), *idx = xasprintf("%s.idx", text),
         *manifest = path_join(text, "manifest.json");
    size_t len = strlen(whole);
    while (len > 1 && whole[len - 1] == '/')
        whole[--len] = '\0';
    enum st st = ST_OK;
    if (file_exists(idx) || file_exists(manifest)) {
        name = path_base(whole);
        add(all, name, strlen(name), whole);
    } else {
        struct strlist files = { 0 };
        st = paths_expand(&files, &whole, 1, err);
        for (size_t i = 0; i < files.n && st == ST_OK; i++) {
            size_t n = stem(&name, files.s[i]);
            add(all, name, n, files.s[i]);
        }
        strlist_release(&files);
    }
    free(whole);
    free(idx);
    free(manifest);
    return st;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct domain_source *)a)->name, ((const struct domain_source *)b)->name);
}

enum st domain_sources_list(struct domain_sources *all, const struct textlist *domains,
                            struct err *err)
{
    enum st st = ST_OK;
    for (size_t i = 0; i < domains->n && st == ST_OK; i++)
        st = add_input(all, domains->s[i], err);
    if (st == ST_OK && all->n > MAX_DOMAINS)
        st = err_set(err, ST_LIMIT, "%zu domains, at most %d", all->n, (int)MAX_DOMAINS);
    if (st < 0)
        return st;
    qsort(all->s, all->n, sizeof *all->s, by_name);
    for (size_t i = 1; i < all->n; i++)
        if (strcmp(all->s[i].name, all->s[i - 1].name) == 0)
            return err_set(err, ST_USAGE,
                           "two domains are called '%s' ('%s' and '%s'); name them: NAME=PATH",
                           all->s[i].name, all->s[i - 1].path, all->s[i].path);
    return ST_OK;
}

void domain_sources_release(struct domain_sources *all)
{
    for (size_t i = 0; i < all->n; i++) {
        free(all->s[i].name);
        free(all->s[i].path);
    }
    free(all->s);
    *all = (struct domain_sources){ 0 };
}

enum st checkpoint_dir(char **out, const char *dir, struct err *err)
{
    char *inner = path_join(dir, "checkpoint"), *conf = path_join(dir, "config.json");
    enum st st = ST_OK;
    *out = NULL;
    if (file_is_dir(inner))
        *out = xstrdup(inner);
    else if (file_exists(conf))
        *out = xstrdup(dir);
    else
        st = err_set(err, ST_USAGE,
                     "'%s' holds neither checkpoint/ nor config.json; want a finished run or a "
                     "Hugging Face folder",
                     dir);
    free(inner);
    free(conf);
    return st;
}
