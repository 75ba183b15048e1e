/* base/gguf_write.c - see gguf_write.h. */
#include "base/gguf_write.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/half.h"
#include "base/mem.h"

enum { ALIGNMENT = 32 };
enum { TYPE_U32 = 4, TYPE_I32 = 5, TYPE_F32 = 6, TYPE_BOOL = 7, TYPE_TEXT = 8, TYPE_ARRAY = 9 };

struct gguf_writer {
    struct strbuf keys, directory;
    uint64_t n_key, n_tensor;
    uint64_t *n_bytes; /* of each tensor */
    size_t cap;
    uint64_t data_end; /* of the tensors so far, aligned */
    struct outfile file;
    size_t i;         /* tensor under way */
    uint64_t i_bytes; /* of it written */
};

struct gguf_writer *gguf_writer_new(void)
{
    return NEW(struct gguf_writer);
}

void gguf_writer_free(struct gguf_writer *w)
{
    if (!w)
        return;
    outfile_abort(&w->file);
    str_release(&w->keys);
    str_release(&w->directory);
    free(w->n_bytes);
    free(w);
}

static void put(struct strbuf *b, uint64_t v, int n_bytes)
{
    for (int i = 0; i < n_bytes; i++)
        str_addc(b, (char)(v >> 8 * i));
}

static void put_textn(struct strbuf *b, const char *s, size_t n)
{
    put(b, n, 8);
    str_add(b, s, n);
}

static void put_key(struct gguf_writer *w, const char *key, uint32_t type)
{
    put_textn(&w->keys, key, strlen(key));
    put(&w->keys, type, 4);
    w->n_key++;
}

void gguf_put_text(struct gguf_writer *w, const char *key, const char *s)
{
    put_key(w, key, TYPE_TEXT);
    put_textn(&w->keys, s, strlen(s));
}

void gguf_put_u32(struct gguf_writer *w, const char *key, uint32_t v)
{
    put_key(w, key, TYPE_U32);
    put(&w->keys, v, 4);
}

void gguf_put_f32(struct gguf_writer *w, const char *key, float v)
{
    put_key(w, key, TYPE_F32);
    put(&w->keys, float_bits(v), 4);
}

void gguf_put_bool(struct gguf_writer *w, const char *key, bool v)
{
    put_key(w, key, TYPE_BOOL);
    put(&w->keys, v, 1);
}

void gguf_put_array(struct gguf_writer *w, const char *key, enum gguf_item item, uint64_t n)
{
    put_key(w, key, TYPE_ARRAY);
    put(&w->keys, item == GGUF_ITEM_TEXT ? TYPE_TEXT : TYPE_I32, 4);
    put(&w->keys, n, 8);
}

void gguf_add_text(struct gguf_writer *w, const char *s, size_t n_bytes)
{
    put_textn(&w->keys, s, n_bytes);
}

void gguf_add_i32(struct gguf_writer *w, int32_t v)
{
    put(&w->keys, (uint32_t)v, 4);
}

void gguf_put_copy(struct gguf_writer *w, const struct gguf *from, size_t i)
{
    uint32_t type;
    size_t n;
    const uint8_t *value = gguf_key_bytes(from, i, &type, &n);
    put_key(w, gguf_key_at(from, i), type);
    str_add(&w->keys, (const char *)value, n);
}

static uint64_t aligned(uint64_t n)
{
    return (n + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

void gguf_put_tensor(struct gguf_writer *w, const char *name, enum gguf_type type, int n_dim,
                     const uint64_t *dim)
{
    uint64_t n = 1, n_elem, n_bytes;
    bool known = gguf_type_block(type, &n_elem, &n_bytes);
    assert(known && dim[0] % n_elem == 0 && !w->file.stream);
    put_textn(&w->directory, name, strlen(name));
    put(&w->directory, (uint64_t)n_dim, 4);
    for (int i = 0; i < n_dim; i++) {
        put(&w->directory, dim[i], 8);
        n *= dim[i];
    }
    put(&w->directory, type, 4);
    put(&w->directory, w->data_end, 8);
    GROW(w->n_bytes, w->n_tensor, w->cap);
    w->n_bytes[w->n_tensor++] = n / n_elem * n_bytes;
    w->data_end += aligned(n / n_elem * n_bytes);
}

enum st gguf_writer_open(struct gguf_writer *w, const char *path, struct err *err)
{
    struct strbuf head = { 0 };
    str_adds(&head, "GGUF");
    put(&head, 3, 4);
    put(&head, w->n_tensor, 8);
    put(&head, w->n_key, 8);
    str_add(&head, w->keys.s, w->keys.n);
    str_add(&head, w->directory.s, w->directory.n);
    while (head.n % ALIGNMENT)
        str_addc(&head, 0);
    enum st st = outfile_open(&w->file, path, err);
    if (st == ST_OK)
        st = outfile_write(&w->file, head.s, head.n, err);
    str_release(&head);
    return st;
}

enum st gguf_writer_data(struct gguf_writer *w, const void *bytes, size_t n, struct err *err)
{
    static const char zeros[ALIGNMENT];
    assert(w->i < w->n_tensor && n <= w->n_bytes[w->i] - w->i_bytes);
    enum st st = outfile_write(&w->file, bytes, n, err);
    w->i_bytes += n;
    if (st < 0 || w->i_bytes < w->n_bytes[w->i])
        return st;
    uint64_t pad = aligned(w->i_bytes) - w->i_bytes;
    w->i++;
    w->i_bytes = 0;
    return outfile_write(&w->file, zeros, (size_t)pad, err);
}

enum st gguf_writer_commit(struct gguf_writer *w, struct err *err)
{
    assert(w->i == w->n_tensor);
    return outfile_commit(&w->file, err);
}
