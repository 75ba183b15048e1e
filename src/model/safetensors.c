/* model/safetensors.c - the defensive reader of safetensors files. See hf.h. */
#include "model/hf.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/half.h"
#include "base/mem.h"

enum { MAX_HEADER = 100000000, MAX_TENSORS = 100000, MAX_NAME = 1000 };

struct safetensors {
    char *path;
    struct filemap map;
    struct safetensor *tensor; /* in the order of their data */
    size_t n, cap;
};

static size_t type_bytes(const char *dtype)
{
    static const struct {
        const char *name;
        size_t n_bytes;
    } row[] = { { "F64", 8 }, { "F32", 4 }, { "F16", 2 }, { "BF16", 2 }, { "I64", 8 },
                { "I32", 4 }, { "I16", 2 }, { "I8", 1 },  { "U8", 1 },   { "BOOL", 1 } };
    for (size_t i = 0; i < N_OF(row); i++)
        if (strcmp(row[i].name, dtype) == 0)
            return row[i].n_bytes;
    return 0;
}

static enum st bad(const struct safetensors *s, const char *name, const char *why, struct err *err)
{
    return err_set(err, ST_FORMAT, "'%s': tensor '%.200s' %s", s->path, name, why);
}

/* A dimension or offset: a whole number that is not negative. */
static bool natural(const struct js *v, uint64_t *out)
{
    if (js_kind(v) != JS_WHOLE || js_as_whole(v, -1) < 0)
        return false;
    *out = (uint64_t)js_as_whole(v, 0);
    return true;
}

static enum st read_shape(const struct safetensors *s, struct safetensor *t, const struct js *shape,
                          struct err *err)
{
    if (js_kind(shape) != JS_ARRAY || js_len(shape) > SAFETENSORS_DIMS)
        return bad(s, t->name, "has no shape of at most 8 dimensions", err);
    t->n_dim = (int)js_len(shape);
    t->n = 1;
    for (int i = 0; i < t->n_dim; i++) {
        if (!natural(js_at(shape, (size_t)i), &t->dim[i]))
            return bad(s, t->name, "has a dimension that is no whole number", err);
        if (t->dim[i] != 0 && t->n > UINT64_MAX / 16 / t->dim[i])
            return bad(s, t->name, "has a shape whose product overflows", err);
        t->n *= t->dim[i];
    }
    return ST_OK;
}

/* One entry of the header; data_bytes follow the header in the file. */
static enum st read_entry(struct safetensors *s, const char *name, const struct js *v,
                          const uint8_t *data, uint64_t data_bytes, struct err *err)
{
    if (strlen(name) > MAX_NAME)
        return err_set(err, ST_LIMIT, "'%s': a tensor's name is longer than %d bytes", s->path,
                       MAX_NAME);
    if (s->n >= MAX_TENSORS)
        return err_set(err, ST_LIMIT, "'%s': more than %d tensors", s->path, MAX_TENSORS);
    GROW(s->tensor, s->n, s->cap);
    struct safetensor *t = &s->tensor[s->n++];
    *t = (struct safetensor){ .name = xstrdup(name) };
    const char *dtype = js_get_text(v, "dtype", "");
    size_t width = type_bytes(dtype);
    if (!width)
        return bad(s, name, "has an unknown dtype", err);
    strcpy(t->dtype, dtype); /* a known name: 4 bytes at most */
    enum st st = read_shape(s, t, js_get(v, "shape"), err);
    if (st < 0)
        return st;
    const struct js *range = js_get(v, "data_offsets");
    uint64_t begin, end;
    if (js_kind(range) != JS_ARRAY || js_len(range) != 2 || !natural(js_at(range, 0), &begin) ||
        !natural(js_at(range, 1), &end))
        return bad(s, name, "has no data_offsets [begin, end]", err);
    if (begin > end || end > data_bytes)
        return err_set(err, ST_FORMAT,
                       "'%s': tensor '%.200s' lies at bytes %llu..%llu, the file holds %llu",
                       s->path, name, (unsigned long long)begin, (unsigned long long)end,
                       (unsigned long long)data_bytes);
    if (end - begin != t->n * width)
        return err_set(err, ST_FORMAT,
                       "'%s': tensor '%.200s' has %llu bytes, its shape and %s want %llu", s->path,
                       name, (unsigned long long)(end - begin), dtype,
                       (unsigned long long)(t->n * width));
    t->data = data + begin;
    return ST_OK;
}

static int by_data(const void *a, const void *b)
{
    const struct safetensor *x = a, *y = b;
    return x->data != y->data ? (x->data > y->data) - (x->data < y->data)
                              : (x->n > y->n) - (x->n < y->n);
}

/* The format promises that tensors fill the data without holes. */
static enum st check_cover(struct safetensors *s, const uint8_t *data, uint64_t data_bytes,
                           struct err *err)
{
    const uint8_t *at = data;
    if (s->n)
        qsort(s->tensor, s->n, sizeof *s->tensor, by_data);
    for (size_t i = 0; i < s->n; i++) {
        if (s->tensor[i].data < at)
            return bad(s, s->tensor[i].name, "overlaps another", err);
        if (s->tensor[i].data > at)
            return bad(s, s->tensor[i].name, "begins after a hole", err);
        at += s->tensor[i].n * type_bytes(s->tensor[i].dtype);
    }
    if ((uint64_t)(at - data) != data_bytes)
        return err_set(err, ST_FORMAT, "'%s': %llu bytes after the last tensor", s->path,
                       (unsigned long long)(data_bytes - (uint64_t)(at - data)));
    return ST_OK;
}

static enum st read_header(struct safetensors *s, struct err *err)
{
    const uint8_t *p = s->map.bytes;
    uint64_t n = 0, size = s->map.n_bytes;
    if (size < 8)
        return err_set(err, ST_FORMAT, "'%s': %llu bytes are no safetensors file", s->path,
                       (unsigned long long)size);
    for (int i = 7; i >= 0; i--)
        n = n << 8 | p[i];
    if (n > MAX_HEADER)
        return err_set(err, ST_LIMIT, "'%s': header of %llu bytes, want at most %d", s->path,
                       (unsigned long long)n, MAX_HEADER);
    if (n > size - 8)
        return err_set(err, ST_FORMAT, "'%s': header of %llu bytes in a file of %llu", s->path,
                       (unsigned long long)n, (unsigned long long)size);
    struct js *o;
    enum st st = js_parse(&o, (const char *)p + 8, (size_t)n, err);
    if (st < 0)
        return err_in(err, st, "'%s': header", s->path);
    if (js_kind(o) != JS_OBJECT)
        st = err_set(err, ST_FORMAT, "'%s': header is no object", s->path);
    for (void *it = js_iter(o); it && st == ST_OK; it = js_next(o, it))
        if (strcmp(js_iter_key(it), "__metadata__") != 0)
            st = read_entry(s, js_iter_key(it), js_iter_value(it), p + 8 + n, size - 8 - n, err);
    if (st == ST_OK)
        st = check_cover(s, p + 8 + n, size - 8 - n, err);
    js_free(o);
    return st;
}

enum st safetensors_open(struct safetensors **out, const char *path, struct err *err)
{
    struct safetensors *s = NEW(struct safetensors);
    *out = NULL;
    s->path = xstrdup(path);
    enum st st = filemap_open(&s->map, path, err);
    if (st == ST_OK)
        st = read_header(s, err);
    if (st == ST_OK) {
        *out = s;
        s = NULL;
    }
    safetensors_close(s);
    return st;
}

void safetensors_close(struct safetensors *s)
{
    if (!s)
        return;
    for (size_t i = 0; i < s->n; i++)
        free(s->tensor[i].name);
    filemap_close(&s->map);
    free(s->tensor);
    free(s->path);
    free(s);
}

size_t safetensors_n(const struct safetensors *s)
{
    return s->n;
}

const struct safetensor *safetensors_at(const struct safetensors *s, size_t i)
{
    return &s->tensor[i];
}

const struct safetensor *safetensors_find(const struct safetensors *s, const char *name)
{
    for (size_t i = 0; i < s->n; i++)
        if (strcmp(s->tensor[i].name, name) == 0)
            return &s->tensor[i];
    return NULL;
}

bool safetensors_readable(const struct safetensor *t)
{
    return strcmp(t->dtype, "F32") == 0 || strcmp(t->dtype, "F16") == 0 ||
           strcmp(t->dtype, "BF16") == 0;
}

bool safetensors_read_part(const struct safetensor *t, uint64_t first, uint64_t n, float *out)
{
    bool whole = strcmp(t->dtype, "F32") == 0, half = strcmp(t->dtype, "F16") == 0;
    if (!safetensors_readable(t))
        return false;
    const uint8_t *p = t->data + first * (whole ? 4 : 2);
    if (whole) /* little-endian, as the processor: see checkpoint.c */
        memcpy(out, p, n * 4);
    for (uint64_t i = 0; !whole && i < n; i++, p += 2) {
        uint16_t u = (uint16_t)(p[0] | p[1] << 8);
        out[i] = half ? float_from_f16(u) : float_from_bf16(u);
    }
    return true;
}

bool safetensors_read(const struct safetensor *t, float *out)
{
    return safetensors_read_part(t, 0, t->n, out);
}
