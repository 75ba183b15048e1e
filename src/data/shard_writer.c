/*
 * data/shard_writer.c - see shard.h: the writer.
 *
 * .bin grows beside its place while documents come in; their lengths wait in memory (4 bytes each).
 * Commit takes an older manifest away first and writes the new one last: what has a manifest is
 * whole.
 */
#include "data/shard.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "data/shard_layout.h"

struct shard_writer {
    char *prefix, *json;
    struct outfile bin, idx;
    int vocab_size, width;
    int64_t eod;
    uint32_t *length; /* [n_doc] */
    size_t n_doc, cap;
    uint64_t n_tok, n_bytes;
    uint16_t *narrow; /* scratch */
    size_t narrow_cap;
    struct hasher *ids; /* over .bin */
};

enum st shard_writer_open(struct shard_writer **out, const char *prefix, int vocab_size,
                          struct err *err)
{
    assert(vocab_size > 0);
    struct shard_writer *w = NEW(struct shard_writer);
    *out = NULL;
    w->prefix = xstrdup(prefix);
    w->json = xasprintf("%s.json", prefix);
    w->vocab_size = vocab_size;
    w->width = vocab_size < WIDE_VOCAB ? 2 : 4;
    w->eod = -1;
    w->ids = hasher_new();
    char *bin = xasprintf("%s.bin", prefix), *idx = xasprintf("%s.idx", prefix);
    char *dir = xstrndup(prefix, (size_t)(path_base(prefix) - prefix));
    enum st st = *dir ? dir_make(dir, err) : ST_OK;
    if (st == ST_OK)
        st = outfile_open(&w->bin, bin, err);
    if (st == ST_OK)
        st = outfile_open(&w->idx, idx, err);
    free(bin);
    free(idx);
    free(dir);
    if (st == ST_OK) {
        *out = w;
        w = NULL;
    }
    shard_writer_close(w);
    return st;
}

void shard_writer_close(struct shard_writer *w)
{
    if (!w)
        return;
    outfile_abort(&w->bin);
    outfile_abort(&w->idx);
    free(w->prefix);
    free(w->json);
    free(w->length);
    free(w->narrow);
    hasher_free(w->ids);
    free(w);
}

static enum st put(struct shard_writer *w, struct outfile *f, const void *bytes, size_t n,
                   struct err *err)
{
    if (f == &w->bin)
        hasher_add(w->ids, bytes, n);
    if (n == 0 || fwrite(bytes, n, 1, f->stream) == 1)
        return ST_OK;
    return err_set(err, ST_IO, "cannot write '%s.%s': %s", w->prefix, f == &w->bin ? "bin" : "idx",
                   strerror(errno));
}

void shard_writer_eod(struct shard_writer *w, int64_t eod)
{
    w->eod = eod;
}

enum st shard_write(struct shard_writer *w, const uint32_t *tok, size_t n_tok, size_t n_bytes,
                    struct err *err)
{
    if (n_tok > INT32_MAX)
        return err_set(err, ST_LIMIT, "document %zu has %zu tokens, want at most %d", w->n_doc,
                       n_tok, INT32_MAX);
    uint32_t max = 0;
    for (size_t i = 0; i < n_tok; i++)
        max = tok[i] > max ? tok[i] : max;
    if (n_tok && max >= (uint32_t)w->vocab_size)
        return err_set(err, ST_FORMAT, "document %zu has token %u, want below %d", w->n_doc, max,
                       w->vocab_size);
    GROW(w->length, w->n_doc, w->cap);
    w->length[w->n_doc++] = (uint32_t)n_tok;
    w->n_tok += n_tok;
    w->n_bytes += n_bytes;
    if (w->width == 4)
        return put(w, &w->bin, tok, 4 * n_tok, err);
    if (n_tok > w->narrow_cap) {
        w->narrow = xrealloc(w->narrow, n_tok, sizeof *w->narrow);
        w->narrow_cap = n_tok;
    }
    for (size_t i = 0; i < n_tok; i++)
        w->narrow[i] = (uint16_t)tok[i];
    return put(w, &w->bin, w->narrow, 2 * n_tok, err);
}

static enum st write_idx(struct shard_writer *w, struct err *err)
{
    uint8_t head[IDX_HEADER_BYTES] = { 0 };
    uint64_t version = 1, n_seq = w->n_doc, n_index = w->n_doc + 1, at = 0;
    memcpy(head, IDX_MAGIC, IDX_MAGIC_BYTES);
    memcpy(head + IDX_AT_VERSION, &version, 8);
    head[IDX_AT_TYPE] = w->width == 2 ? IDX_TYPE_U16 : IDX_TYPE_I32;
    memcpy(head + IDX_AT_SEQUENCES, &n_seq, 8);
    memcpy(head + IDX_AT_DOCUMENTS, &n_index, 8);
    enum st st = put(w, &w->idx, head, sizeof head, err);
    if (st == ST_OK)
        st = put(w, &w->idx, w->length, 4 * w->n_doc, err);
    for (size_t i = 0; i < w->n_doc && st == ST_OK; i++) {
        st = put(w, &w->idx, &at, 8, err);
        at += (uint64_t)w->length[i] * (unsigned)w->width;
    }
    for (uint64_t i = 0; i <= w->n_doc && st == ST_OK; i++)
        st = put(w, &w->idx, &i, 8, err);
    return st;
}

static struct js *manifest_of(const struct shard_writer *w, struct js *extra)
{
    char hex[DIGEST_HEX];
    struct js *m = js_object();
    js_put_text(m, "format", "megatron");
    js_put_text(m, "dtype", w->width == 2 ? "uint16" : "int32");
    js_put_whole(m, "vocab_size", w->vocab_size);
    js_put_whole(m, "eod", w->eod);
    js_put_whole(m, "docs", (int64_t)w->n_doc);
    js_put_whole(m, "tokens", (int64_t)w->n_tok);
    js_put_whole(m, "bytes", (int64_t)w->n_bytes);
    js_put_text(m, "ids_digest", digest_hex(hasher_digest(w->ids), hex));
    for (void *it = extra ? js_iter(extra) : NULL; it; it = js_next(extra, it))
        js_put(m, js_iter_key(it), js_copy(js_iter_value(it)));
    js_free(extra);
    return m;
}

enum st shard_writer_commit(struct shard_writer *w, struct js *extra, struct err *err)
{
    struct js *m = manifest_of(w, extra);
    enum st st = write_idx(w, err);
    if (st == ST_OK && unlink(w->json) != 0 && errno != ENOENT)
        st = err_set(err, ST_IO, "cannot replace '%s': %s", w->json, strerror(errno));
    if (st == ST_OK)
        st = outfile_commit(&w->bin, err);
    if (st == ST_OK)
        st = outfile_commit(&w->idx, err);
    if (st == ST_OK)
        st = js_write_file(m, w->json, err);
    js_free(m);
    return st;
}
