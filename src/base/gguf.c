/*
 * base/gguf.c - see gguf.h.
 *
 * The file is walked once with a cursor that cannot leave it; every count is compared with what the
 * rest of the file could hold before anything is allocated for it, so that a claim of 10 GB in a
 * file of 1 KB costs nothing.
 */
#include "base/gguf.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"

enum {
    MAX_NAME = 65535,   /* bytes of a key; the specification's limit */
    MAX_KEYS = 1 << 16, /* real files have tens */
    MAX_TENSORS = 1 << 20,
    MAX_ALIGNMENT = 1 << 20,
    MAX_DEPTH = 4 /* arrays inside arrays */
};

enum value_type { /* numbers in files */
                  VALUE_U8,
                  VALUE_I8,
                  VALUE_U16,
                  VALUE_I16,
                  VALUE_U32,
                  VALUE_I32,
                  VALUE_F32,
                  VALUE_BOOL,
                  VALUE_TEXT,
                  VALUE_ARRAY,
                  VALUE_U64,
                  VALUE_I64,
                  VALUE_F64,
                  N_VALUE_TYPE
};

static const uint8_t value_size[N_VALUE_TYPE] = { 1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8 };

struct pair {
    char *key;            /* owned */
    uint32_t type;        /* enum value_type */
    uint64_t begin, end;  /* of the value in the file, its type left out */
    uint32_t item_type;   /* of an array */
    uint64_t n;           /* elements of an array */
    const uint8_t *value; /* the scalar, or the array's first element; in the file */
    uint64_t *text_at; /* array of texts: each one's place in the file (its length field); owned */
    char *text;        /* VALUE_TEXT: terminated copy; owned */
};

struct gguf {
    struct filemap map;
    char *path;
    struct pair *pair; /* sorted by key */
    size_t n_pair;
    struct gguf_tensor *tensor; /* in file order; names owned */
    size_t n_tensor;
    const struct gguf_tensor **by_name; /* sorted */
};

struct cursor {
    const struct gguf *g;
    uint64_t at;
    struct err *err;
};

static enum st damaged(struct cursor *c, uint64_t at, const char *what)
{
    return err_set(c->err, ST_FORMAT, "'%s' at byte %llu: %s", c->g->path, (unsigned long long)at,
                   what);
}

static uint64_t rest(const struct cursor *c)
{
    return c->g->map.n_bytes - c->at;
}

/* The next n bytes, or NULL with a message when the file ends before. */
static const uint8_t *take(struct cursor *c, uint64_t n, const char *what)
{
    if (n > rest(c)) {
        err_set(c->err, ST_FORMAT, "'%s' at byte %llu: %s needs %llu bytes, the file has %llu left",
                c->g->path, (unsigned long long)c->at, what, (unsigned long long)n,
                (unsigned long long)rest(c));
        return NULL;
    }
    const uint8_t *p = c->g->map.bytes + c->at;
    c->at += n;
    return p;
}

static uint64_t little(const uint8_t *p, int n_bytes)
{
    uint64_t v = 0;
    for (int i = n_bytes - 1; i >= 0; i--)
        v = v << 8 | p[i];
    return v;
}

static enum st take_whole(struct cursor *c, int n_bytes, uint64_t *out, const char *what)
{
    const uint8_t *p = take(c, (uint64_t)n_bytes, what);
    if (!p)
        return ST_FORMAT;
    *out = little(p, n_bytes);
    return ST_OK;
}

static enum st take_text(struct cursor *c, const uint8_t **s, uint64_t *n, const char *what)
{
    enum st st = take_whole(c, 8, n, what);
    if (st < 0)
        return st;
    *s = take(c, *n, what);
    return *s ? ST_OK : ST_FORMAT;
}

/* A key or a tensor's name: short, without NUL. The caller owns *name. */
static enum st take_name(struct cursor *c, char **name, const char *what)
{
    uint64_t start = c->at, n;
    const uint8_t *s;
    enum st st = take_text(c, &s, &n, what);
    if (st < 0)
        return st;
    if (n == 0 || n > MAX_NAME || memchr(s, 0, n))
        return err_set(c->err, ST_FORMAT,
                       "'%s' at byte %llu: %s of %llu bytes, want 1 to %d without NUL", c->g->path,
                       (unsigned long long)start, what, (unsigned long long)n, MAX_NAME);
    *name = xstrndup((const char *)s, n);
    return ST_OK;
}

static enum st take_array(struct cursor *c, struct pair *p, int depth);

/* p NULL: the value is checked and passed over. */
static enum st take_value(struct cursor *c, uint32_t type, struct pair *p, int depth)
{
    if (type == VALUE_ARRAY)
        return take_array(c, p, depth);
    if (type == VALUE_TEXT) {
        const uint8_t *s;
        uint64_t n;
        enum st st = take_text(c, &s, &n, "a text");
        if (st == ST_OK && p)
            p->text = xstrndup((const char *)s, n);
        return st;
    }
    uint64_t start = c->at;
    const uint8_t *v = take(c, value_size[type], "a value");
    if (!v)
        return ST_FORMAT;
    if (type == VALUE_BOOL && *v > 1)
        return damaged(c, start, "a bool that is neither 0 nor 1");
    if (p)
        p->value = v;
    return ST_OK;
}

static enum st take_type(struct cursor *c, uint32_t *type)
{
    uint64_t start = c->at, v;
    enum st st = take_whole(c, 4, &v, "a value's type");
    if (st < 0)
        return st;
    if (v >= N_VALUE_TYPE)
        return err_set(c->err, ST_FORMAT, "'%s' at byte %llu: value type %llu, want 0 to %d",
                       c->g->path, (unsigned long long)start, (unsigned long long)v,
                       N_VALUE_TYPE - 1);
    *type = (uint32_t)v;
    return ST_OK;
}

static enum st take_array(struct cursor *c, struct pair *p, int depth)
{
    uint32_t type = 0;
    uint64_t n = 0;
    enum st st = take_type(c, &type);
    uint64_t start = c->at;
    if (st == ST_OK)
        st = take_whole(c, 8, &n, "an array's length");
    if (st < 0)
        return st;
    if (depth >= MAX_DEPTH)
        return damaged(c, start, "arrays are nested too deeply");
    /* A text takes at least its length field, an array its type and length. */
    uint64_t least = type == VALUE_TEXT ? 8 : type == VALUE_ARRAY ? 12 : value_size[type];
    if (n > rest(c) / least)
        return err_set(c->err, ST_FORMAT,
                       "'%s' at byte %llu: an array of %llu elements, the file has %llu bytes left",
                       c->g->path, (unsigned long long)start, (unsigned long long)n,
                       (unsigned long long)rest(c));
    if (p) {
        p->item_type = type;
        p->n = n;
        p->value = c->g->map.bytes + c->at;
        if (type == VALUE_TEXT)
            p->text_at = NEW_ARRAY(uint64_t, n);
    }
    if (type != VALUE_TEXT && type != VALUE_ARRAY)
        return take(c, n * value_size[type], "an array") ? ST_OK : ST_FORMAT;
    for (uint64_t i = 0; i < n && st == ST_OK; i++) {
        if (p && p->text_at)
            p->text_at[i] = c->at;
        st = take_value(c, type, NULL, depth + 1);
    }
    return st;
}

static int pair_cmp(const void *a, const void *b)
{
    return strcmp(((const struct pair *)a)->key, ((const struct pair *)b)->key);
}

static int tensor_name_cmp(const void *a, const void *b)
{
    const struct gguf_tensor *const *x = a, *const *y = b;
    return strcmp((*x)->name, (*y)->name);
}

static enum st take_pairs(struct cursor *c, struct gguf *g, uint64_t n)
{
    enum { LEAST = 8 + 1 + 4 + 1 }; /* key's length, key, type, value */
    if (n > MAX_KEYS || n > rest(c) / LEAST)
        return err_set(c->err, ST_FORMAT,
                       "'%s' at byte 16: %llu keys claimed, the file has %llu bytes left "
                       "(at most %d keys)",
                       g->path, (unsigned long long)n, (unsigned long long)rest(c), MAX_KEYS);
    g->pair = NEW_ARRAY(struct pair, n);
    for (uint64_t i = 0; i < n; i++) {
        struct pair *p = &g->pair[i];
        enum st st = take_name(c, &p->key, "a key");
        if (st == ST_OK) {
            g->n_pair++;
            st = take_type(c, &p->type);
        }
        p->begin = c->at;
        if (st == ST_OK)
            st = take_value(c, p->type, p, 0);
        p->end = c->at;
        if (st < 0)
            return p->key ? err_in(c->err, st, "key '%.60s'", p->key) : st;
    }
    qsort(g->pair, g->n_pair, sizeof *g->pair, pair_cmp);
    for (size_t i = 1; i < g->n_pair; i++)
        if (strcmp(g->pair[i - 1].key, g->pair[i].key) == 0)
            return err_set(c->err, ST_FORMAT, "'%s': key '%.60s' stands there twice", g->path,
                           g->pair[i].key);
    return ST_OK;
}

bool gguf_type_block(uint32_t type, uint64_t *n_elem, uint64_t *n_bytes)
{
    static const struct {
        uint32_t type;
        uint16_t n_elem, n_bytes;
    } row[] = {
        { GGUF_F32, 1, 4 },
        { GGUF_F16, 1, 2 },
        { GGUF_BF16, 1, 2 },
        { GGUF_Q4_0, 32, 2 + 16 },
        { GGUF_Q4_1, 32, 4 + 16 },
        { GGUF_Q5_0, 32, 2 + 4 + 16 },
        { GGUF_Q5_1, 32, 4 + 4 + 16 },
        { GGUF_Q8_0, 32, 2 + 32 },
        { GGUF_Q2_K, 256, 16 + 64 + 4 },
        { GGUF_Q3_K, 256, 32 + 64 + 12 + 2 },
        { GGUF_Q4_K, 256, 4 + 12 + 128 },
        { GGUF_Q5_K, 256, 4 + 12 + 32 + 128 },
        { GGUF_Q6_K, 256, 128 + 64 + 16 + 2 },
    };
    for (size_t i = 0; i < N_OF(row); i++)
        if (row[i].type == type) {
            *n_elem = row[i].n_elem;
            *n_bytes = row[i].n_bytes;
            return true;
        }
    return false;
}

const char *gguf_type_name(uint32_t type)
{
    static const char *const name[] = { "F32",     "F16",   "Q4_0",   "Q4_1",  "Q4_2",    "Q4_3",
                                        "Q5_0",    "Q5_1",  "Q8_0",   "Q8_1",  "Q2_K",    "Q3_K",
                                        "Q4_K",    "Q5_K",  "Q6_K",   "Q8_K",  "IQ2_XXS", "IQ2_XS",
                                        "IQ3_XXS", "IQ1_S", "IQ4_NL", "IQ3_S", "IQ2_S",   "IQ4_XS",
                                        "I8",      "I16",   "I32",    "I64",   "F64",     "IQ1_M",
                                        "BF16" };
    return type < N_OF(name) ? name[type] : "unknown";
}

/* One entry of the directory; data holds the offset until the header's end is known. */
static enum st take_tensor(struct cursor *c, struct gguf_tensor *t, uint64_t *offset)
{
    char *name = NULL;
    enum st st = take_name(c, &name, "a tensor's name");
    if (st < 0)
        return st;
    t->name = name;
    uint64_t start = c->at, n_dim, n = 1, type, n_elem, n_bytes;
    if ((st = take_whole(c, 4, &n_dim, "a tensor's shape")) < 0)
        return st;
    if (n_dim < 1 || n_dim > 4)
        return err_set(c->err, ST_FORMAT, "'%s' at byte %llu: tensor '%.60s' has %llu dimensions",
                       c->g->path, (unsigned long long)start, name, (unsigned long long)n_dim);
    t->n_dim = (int)n_dim;
    for (int i = 0; i < 4; i++) {
        t->dim[i] = 1;
        start = c->at;
        if (i < t->n_dim && (st = take_whole(c, 8, &t->dim[i], "a tensor's shape")) < 0)
            return st;
        if (t->dim[i] == 0 || t->dim[i] > INT64_MAX / n)
            return err_set(c->err, ST_FORMAT,
                           "'%s' at byte %llu: tensor '%.60s' has a dimension of %llu", c->g->path,
                           (unsigned long long)start, name, (unsigned long long)t->dim[i]);
        n *= t->dim[i];
    }
    start = c->at;
    if ((st = take_whole(c, 4, &type, "a tensor's type")) < 0 ||
        (st = take_whole(c, 8, offset, "a tensor's offset")) < 0)
        return st;
    t->type = (uint32_t)type;
    if (!gguf_type_block(t->type, &n_elem, &n_bytes))
        return ST_OK;
    if (t->dim[0] % n_elem != 0)
        return err_set(c->err, ST_FORMAT,
                       "'%s' at byte %llu: tensor '%.60s' has rows of %llu, want a multiple of "
                       "%llu for %s",
                       c->g->path, (unsigned long long)start, name, (unsigned long long)t->dim[0],
                       (unsigned long long)n_elem, gguf_type_name(t->type));
    if (n / n_elem > SIZE_MAX / n_bytes)
        return damaged(c, start, "a tensor larger than memory can be");
    t->n_bytes = (size_t)(n / n_elem * n_bytes);
    return ST_OK;
}

static int tensor_place_cmp(const void *a, const void *b)
{
    const struct gguf_tensor *const *x = a, *const *y = b;
    return (*x)->data < (*y)->data ? -1 : (*x)->data > (*y)->data;
}

/* Tensors lie behind the directory, inside the file, and not over each other. */
static enum st place_tensors(struct cursor *c, struct gguf *g, const uint64_t *offset)
{
    uint64_t align = gguf_whole(g, "general.alignment", 32);
    if (align == 0 || align > MAX_ALIGNMENT || (align & (align - 1)) != 0)
        return err_set(c->err, ST_FORMAT,
                       "'%s': general.alignment is %llu, want a power of two up to %d", g->path,
                       (unsigned long long)align, MAX_ALIGNMENT);
    uint64_t start = (c->at + align - 1) / align * align;
    for (size_t i = 0; i < g->n_tensor; i++) {
        struct gguf_tensor *t = &g->tensor[i];
        uint64_t size = g->map.n_bytes;
        if (offset[i] % align != 0)
            return err_set(c->err, ST_FORMAT,
                           "'%s': tensor '%.60s' has offset %llu, want a multiple of %llu", g->path,
                           t->name, (unsigned long long)offset[i], (unsigned long long)align);
        if (start > size || offset[i] > size - start || t->n_bytes > size - start - offset[i])
            return err_set(c->err, ST_FORMAT,
                           "'%s': tensor '%.60s' needs %zu bytes from byte %llu + %llu on, the "
                           "file ends at byte %llu",
                           g->path, t->name, t->n_bytes, (unsigned long long)start,
                           (unsigned long long)offset[i], (unsigned long long)size);
        t->data = g->map.bytes + start + offset[i];
        g->by_name[i] = t;
    }
    qsort(g->by_name, g->n_tensor, sizeof(void *), tensor_place_cmp);
    for (size_t i = 1; i < g->n_tensor; i++) {
        const struct gguf_tensor *a = g->by_name[i - 1], *b = g->by_name[i];
        if (a->data + a->n_bytes > b->data)
            return err_set(c->err, ST_FORMAT,
                           "'%s' at byte %llu: tensors '%.60s' and '%.60s' overlap", g->path,
                           (unsigned long long)(b->data - g->map.bytes), a->name, b->name);
    }
    qsort(g->by_name, g->n_tensor, sizeof(void *), tensor_name_cmp);
    for (size_t i = 1; i < g->n_tensor; i++)
        if (strcmp(g->by_name[i - 1]->name, g->by_name[i]->name) == 0)
            return err_set(c->err, ST_FORMAT, "'%s': tensor '%.60s' stands there twice", g->path,
                           g->by_name[i]->name);
    return ST_OK;
}

static enum st take_tensors(struct cursor *c, struct gguf *g, uint64_t n)
{
    enum { LEAST = 8 + 1 + 4 + 8 + 4 + 8 };
    if (n > MAX_TENSORS || n > rest(c) / LEAST)
        return err_set(c->err, ST_FORMAT,
                       "'%s' at byte 8: %llu tensors claimed, the file has %llu bytes left "
                       "(at most %d tensors)",
                       g->path, (unsigned long long)n, (unsigned long long)rest(c), MAX_TENSORS);
    g->tensor = NEW_ARRAY(struct gguf_tensor, n);
    g->by_name = xcalloc(n, sizeof(void *));
    uint64_t *offset = NEW_ARRAY(uint64_t, n);
    enum st st = ST_OK;
    for (uint64_t i = 0; i < n && st == ST_OK; i++) {
        g->n_tensor = i + 1;
        st = take_tensor(c, &g->tensor[i], &offset[i]);
    }
    if (st == ST_OK)
        st = place_tensors(c, g, offset);
    free(offset);
    return st;
}

static enum st read_all(struct gguf *g, struct err *err)
{
    struct cursor c = { g, 0, err };
    uint64_t version, n_tensor, n_pair;
    const uint8_t *magic = take(&c, 4, "the magic number");
    if (!magic)
        return ST_FORMAT;
    if (memcmp(magic, "GGUF", 4) != 0)
        return damaged(&c, 0, "no GGUF file: it does not begin with 'GGUF'");
    enum st st = take_whole(&c, 4, &version, "the version");
    if (st < 0)
        return st;
    if (version != 0 && (version & 0xffff) == 0)
        return err_set(err, ST_UNSUPPORTED, "'%s' is a big-endian GGUF file", g->path);
    if (version != 2 && version != 3)
        return err_set(err, ST_UNSUPPORTED, "'%s' is GGUF version %llu, want 2 or 3", g->path,
                       (unsigned long long)version);
    if ((st = take_whole(&c, 8, &n_tensor, "the number of tensors")) < 0 ||
        (st = take_whole(&c, 8, &n_pair, "the number of keys")) < 0 ||
        (st = take_pairs(&c, g, n_pair)) < 0)
        return st;
    return take_tensors(&c, g, n_tensor);
}

enum st gguf_open(struct gguf **out, const char *path, struct err *err)
{
    struct gguf *g = NEW(struct gguf);
    g->path = xstrdup(path);
    enum st st = filemap_open(&g->map, path, err);
    if (st == ST_OK)
        st = read_all(g, err);
    if (st < 0) {
        gguf_close(g);
        return st;
    }
    *out = g;
    return ST_OK;
}

void gguf_close(struct gguf *g)
{
    if (!g)
        return;
    for (size_t i = 0; i < g->n_pair; i++) {
        free(g->pair[i].key);
        free(g->pair[i].text_at);
        free(g->pair[i].text);
    }
    for (size_t i = 0; i < g->n_tensor; i++)
        free((char *)g->tensor[i].name);
    free(g->pair);
    free(g->tensor);
    free(g->by_name);
    free(g->path);
    filemap_close(&g->map);
    free(g);
}

const char *gguf_path(const struct gguf *g)
{
    return g->path;
}

size_t gguf_n_tensors(const struct gguf *g)
{
    return g->n_tensor;
}

const struct gguf_tensor *gguf_tensor_at(const struct gguf *g, size_t i)
{
    return &g->tensor[i];
}

const struct gguf_tensor *gguf_tensor(const struct gguf *g, const char *name)
{
    struct gguf_tensor want = { .name = name };
    const struct gguf_tensor *key = &want;
    if (g->n_tensor == 0)
        return NULL;
    const struct gguf_tensor **found =
        bsearch(&key, g->by_name, g->n_tensor, sizeof(void *), tensor_name_cmp);
    return found ? *found : NULL;
}

static const struct pair *find(const struct gguf *g, const char *key)
{
    struct pair want = { .key = (char *)key };
    return g->n_pair ? bsearch(&want, g->pair, g->n_pair, sizeof *g->pair, pair_cmp) : NULL;
}

const char *gguf_text(const struct gguf *g, const char *key, const char *otherwise)
{
    const struct pair *p = find(g, key);
    return p && p->type == VALUE_TEXT ? p->text : otherwise;
}

/* A whole number or bool at v; false when the type is another. Unsigned values above INT64_MAX are
 * no use to anyone. */
static bool whole_at(uint32_t type, const uint8_t *v, int64_t *out)
{
    uint64_t u;
    switch (type) {
    case VALUE_U8:
    case VALUE_BOOL:
        *out = *v;
        return true;
    case VALUE_I8:
        *out = (int8_t)*v;
        return true;
    case VALUE_U16:
        *out = (int64_t)little(v, 2);
        return true;
    case VALUE_I16:
        *out = (int16_t)little(v, 2);
        return true;
    case VALUE_U32:
        *out = (int64_t)little(v, 4);
        return true;
    case VALUE_I32:
        *out = (int32_t)little(v, 4);
        return true;
    case VALUE_U64:
        u = little(v, 8);
        *out = (int64_t)u;
        return u <= INT64_MAX;
    case VALUE_I64:
        *out = (int64_t)little(v, 8);
        return true;
    default:
        return false;
    }
}

uint64_t gguf_whole(const struct gguf *g, const char *key, uint64_t otherwise)
{
    const struct pair *p = find(g, key);
    int64_t v;
    return p && whole_at(p->type, p->value, &v) && v >= 0 ? (uint64_t)v : otherwise;
}

double gguf_real(const struct gguf *g, const char *key, double otherwise)
{
    const struct pair *p = find(g, key);
    int64_t whole;
    if (!p)
        return otherwise;
    if (p->type == VALUE_F32) {
        uint32_t bits = (uint32_t)little(p->value, 4);
        float v;
        memcpy(&v, &bits, sizeof v);
        return v;
    }
    if (p->type == VALUE_F64) {
        uint64_t bits = little(p->value, 8);
        double v;
        memcpy(&v, &bits, sizeof v);
        return v;
    }
    return whole_at(p->type, p->value, &whole) ? (double)whole : otherwise;
}

size_t gguf_array_len(const struct gguf *g, const char *key)
{
    const struct pair *p = find(g, key);
    return p && p->type == VALUE_ARRAY ? (size_t)p->n : 0;
}

const char *gguf_array_text(const struct gguf *g, const char *key, size_t i, size_t *n_bytes)
{
    const struct pair *p = find(g, key);
    if (!p || p->type != VALUE_ARRAY || p->item_type != VALUE_TEXT || i >= p->n)
        return NULL;
    const uint8_t *at = g->map.bytes + p->text_at[i];
    *n_bytes = (size_t)little(at, 8);
    return (const char *)at + 8;
}

int64_t gguf_array_whole(const struct gguf *g, const char *key, size_t i, int64_t otherwise)
{
    const struct pair *p = find(g, key);
    int64_t v;
    if (!p || p->type != VALUE_ARRAY || i >= p->n || p->item_type >= N_VALUE_TYPE)
        return otherwise;
    return whole_at(p->item_type, p->value + i * value_size[p->item_type], &v) ? v : otherwise;
}

size_t gguf_n_keys(const struct gguf *g)
{
    return g->n_pair;
}

const char *gguf_key_at(const struct gguf *g, size_t i)
{
    return g->pair[i].key;
}

const uint8_t *gguf_key_bytes(const struct gguf *g, size_t i, uint32_t *type, size_t *n_bytes)
{
    const struct pair *p = &g->pair[i];
    *type = p->type;
    *n_bytes = (size_t)(p->end - p->begin);
    return g->map.bytes + p->begin;
}
