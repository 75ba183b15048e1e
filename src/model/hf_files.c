/* model/hf_files.c - the safetensors of a Hugging Face folder, one or many. See hf.h. */
#include "model/hf.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"

enum { MAX_FILES = 1000, MAX_FILE_NAME = 255 };

struct entry {
    const struct safetensor *tensor;
    size_t file;
};

struct hf_files {
    char *dir;
    struct strlist path;
    struct safetensors **file;
    struct entry *entry; /* sorted by name */
    size_t n_file, n_entry;
};

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct entry *)a)->tensor->name, ((const struct entry *)b)->tensor->name);
}

static const struct entry *find(const struct hf_files *f, const char *name)
{
    struct safetensor want = { .name = (char *)name };
    struct entry key = { .tensor = &want };
    return f->n_entry ? bsearch(&key, f->entry, f->n_entry, sizeof key, by_name) : NULL;
}

/* Where file `name` of the folder is in the list, added when it is new. */
static enum st file_index(struct hf_files *f, const char *name, size_t *at, struct err *err)
{
    if (!*name || strlen(name) > MAX_FILE_NAME || strchr(name, '/') ||
        !str_ends(name, ".safetensors"))
        return err_set(err, ST_FORMAT,
                       "'%s': the index names the file '%.100s', want a .safetensors file of the "
                       "folder itself",
                       f->dir, name);
    char *path = path_join(f->dir, name);
    for (*at = 0; *at < f->path.n && strcmp(f->path.s[*at], path) != 0;)
        ++*at;
    enum st st = ST_OK;
    if (*at == f->path.n && f->path.n == MAX_FILES)
        st = err_set(err, ST_LIMIT, "'%s': the index names more than %d files", f->dir, MAX_FILES);
    else if (*at == f->path.n)
        strlist_add(&f->path, path);
    free(path);
    return st;
}

/* The index' map from tensors to files. */
static enum st read_index(struct hf_files *f, struct js **out, const char *path, struct err *err)
{
    struct js *index = NULL;
    enum st st = js_read_file(&index, path, err);
    struct js *map = js_get(index, "weight_map");
    if (st == ST_OK && (js_kind(map) != JS_OBJECT || js_len(map) == 0))
        st = err_set(err, ST_FORMAT, "'%s': no weight_map of tensors to files", path);
    for (void *it = st == ST_OK ? js_iter(map) : NULL; it && st == ST_OK; it = js_next(map, it)) {
        size_t at;
        const char *name = js_as_text(js_iter_value(it), NULL);
        if (!name)
            st = err_set(err, ST_FORMAT, "'%s': the file of '%.100s' is no text", path,
                         js_iter_key(it));
        else
            st = file_index(f, name, &at, err);
    }
    *out = index;
    return st;
}

static enum st open_files(struct hf_files *f, struct err *err)
{
    enum st st = ST_OK;
    size_t n = 0;
    f->file = xcalloc(f->path.n, sizeof *f->file);
    for (size_t i = 0; i < f->path.n && st == ST_OK; i++) {
        st = safetensors_open(&f->file[i], f->path.s[i], err);
        f->n_file++;
        n += st == ST_OK ? safetensors_n(f->file[i]) : 0;
    }
    f->entry = NEW_ARRAY(struct entry, n);
    for (size_t i = 0; i < f->n_file && st == ST_OK; i++)
        for (size_t k = 0; k < safetensors_n(f->file[i]); k++)
            f->entry[f->n_entry++] = (struct entry){ safetensors_at(f->file[i], k), i };
    if (f->n_entry)
        qsort(f->entry, f->n_entry, sizeof *f->entry, by_name);
    for (size_t i = 1; i < f->n_entry && st == ST_OK; i++)
        if (by_name(&f->entry[i - 1], &f->entry[i]) == 0)
            st = err_set(err, ST_FORMAT, "'%s': tensor '%.200s' stands there twice", f->dir,
                         f->entry[i].tensor->name);
    return st;
}

/* Every tensor of the index is where it says. */
static enum st check_index(const struct hf_files *f, const struct js *index, struct err *err)
{
    const struct js *map = js_get(index, "weight_map");
    for (void *it = js_iter(map); it; it = js_next(map, it)) {
        const struct entry *e = find(f, js_iter_key(it));
        const char *name = js_as_text(js_iter_value(it), NULL);
        if (!e || strcmp(path_base(f->path.s[e->file]), name) != 0)
            return err_set(err, ST_FORMAT, "'%s': the index has tensor '%.200s' in '%s', %s",
                           f->dir, js_iter_key(it), name,
                           e ? "which lies in another file" : "which has no such tensor");
    }
    return ST_OK;
}

enum st hf_files_open(struct hf_files **out, const char *dir, struct err *err)
{
    struct hf_files *f = NEW(struct hf_files);
    struct js *index = NULL;
    char *one = path_join(dir, "model.safetensors"),
         *several = path_join(dir, "model.safetensors.index.json"),
         *torch = path_join(dir, "pytorch_model.bin");
    enum st st = ST_OK;
    *out = NULL;
    f->dir = xstrdup(dir);
    if (!file_exists(one) && file_exists(several))
        st = read_index(f, &index, several, err);
    else if (!file_exists(one) && file_exists(torch))
        st = err_set(err, ST_UNSUPPORTED, "'%s': weights as a PyTorch pickle, want safetensors",
                     dir);
    else
        strlist_add(&f->path, one);
    if (st == ST_OK)
        st = open_files(f, err);
    if (st == ST_OK && index)
        st = check_index(f, index, err);
    if (st == ST_OK) {
        *out = f;
        f = NULL;
    }
    hf_files_close(f);
    js_free(index);
    free(one);
    free(several);
    free(torch);
    return st;
}

void hf_files_close(struct hf_files *f)
{
    if (!f)
        return;
    for (size_t i = 0; i < f->n_file; i++)
        safetensors_close(f->file[i]);
    strlist_release(&f->path);
    free(f->file);
    free(f->entry);
    free(f->dir);
    free(f);
}

size_t hf_files_n(const struct hf_files *f)
{
    return f->n_file;
}

const char *hf_files_path(const struct hf_files *f, size_t i)
{
    return f->path.s[i];
}

size_t hf_files_n_tensor(const struct hf_files *f)
{
    return f->n_entry;
}

const struct safetensor *hf_files_tensor_at(const struct hf_files *f, size_t i)
{
    return f->entry[i].tensor;
}

const struct safetensor *hf_files_find(const struct hf_files *f, const char *name)
{
    const struct entry *e = find(f, name);
    return e ? e->tensor : NULL;
}

enum st hf_files_digest(struct digest *d, const struct hf_files *f, struct err *err)
{
    struct hasher *h = hasher_new();
    enum st st = ST_OK;
    for (size_t i = 0; i < f->n_file && st == ST_OK; i++) {
        st = digest_file(d, f->path.s[i], err);
        hasher_whole(h, d->hi);
        hasher_whole(h, d->lo);
    }
    if (st == ST_OK && f->n_file > 1)
        *d = hasher_digest(h);
    hasher_free(h);
    return st;
}
