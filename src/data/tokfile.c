/* data/tokfile.c - see tokfile.h: the readers. */
#include "data/tokfile.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"
#include "data/shard.h"
#include "data/tokfile_layout.h"

enum kind { MEGATRON, LLMC, DATATROVE };

struct tokfile {
    enum kind kind;
    char *path;
    struct shard *shard;  /* MEGATRON: all the rest asks it */
    struct filemap map;   /* the file with the ids */
    struct filemap index; /* DATATROVE */
    const uint8_t *ids;   /* in map */
    uint64_t *begin;      /* LLMC: [n_doc + 1] */
    int width;
    uint64_t n_doc, n_tok;
    int vocab_size;
    int64_t eod;
    struct js *manifest;
};

static uint32_t id_at(const struct tokfile *f, uint64_t i)
{
    uint32_t v = 0;
    tokfile_copy(f, i, 1, &v);
    return v;
}

static int32_t header_int(const struct tokfile *f, int at)
{
    int32_t v;
    memcpy(&v, f->map.bytes + at, sizeof v);
    return v;
}

static enum st fault(const struct tokfile *f, struct err *err, uint64_t at, const char *what,
                     uint64_t got, uint64_t want)
{
    return err_set(err, ST_FORMAT, "'%s' at byte %llu: %s is %lld, want %lld", f->path,
                   (unsigned long long)at, what, (long long)got, (long long)want);
}

static enum st read_manifest(struct tokfile *f, const char *suffix, int64_t eod, struct err *err)
{
    size_t n = strlen(f->path) - (str_ends(f->path, suffix) ? strlen(suffix) : 0);
    char *json = xasprintf("%.*s.json", (int)n, f->path);
    enum st st = file_exists(json) ? js_read_file(&f->manifest, json, err) : ST_OK;
    if (st == ST_OK) {
        int64_t vocab = js_get_whole(f->manifest, "vocab_size", 0);
        int64_t n_tok = js_get_whole(f->manifest, "tokens", (int64_t)f->n_tok);
        f->eod = eod >= 0 ? eod : js_get_whole(f->manifest, "eod", -1);
        f->vocab_size = vocab > 0 && vocab <= INT32_MAX ? (int)vocab : 0;
        if (n_tok != (int64_t)f->n_tok)
            st = err_set(err, ST_FORMAT, "'%s' tells of %lld tokens, '%s' has %llu", json,
                         (long long)n_tok, f->path, (unsigned long long)f->n_tok);
    }
    free(json);
    return st;
}

/* Documents begin where the end-of-document id stands; what is before the first is one too. */
static void find_documents(struct tokfile *f)
{
    size_t cap = 0;
    f->n_doc = 0;
    for (uint64_t i = 0; i < f->n_tok; i++)
        if (i == 0 || (f->eod >= 0 && id_at(f, i) == (uint64_t)f->eod)) {
            GROW(f->begin, f->n_doc, cap);
            f->begin[f->n_doc++] = i;
        }
    f->begin = xrealloc(f->begin, f->n_doc + 1, sizeof *f->begin);
    f->begin[f->n_doc] = f->n_tok;
}

static enum st open_llmc(struct tokfile *f, int64_t eod, struct err *err)
{
    f->kind = LLMC;
    if (f->map.n_bytes < LLMC_HEADER_BYTES)
        return err_set(err, ST_FORMAT, "'%s' has %zu bytes, want a header of %d", f->path,
                       f->map.n_bytes, LLMC_HEADER_BYTES);
    bool narrow = header_int(f, 0) == LLMC_MAGIC_U16;
    int version = header_int(f, LLMC_AT_VERSION), n_tok = header_int(f, LLMC_AT_TOKENS);
    int want = narrow ? LLMC_VERSION_U16 : LLMC_VERSION_U32;
    f->width = narrow ? 2 : 4;
    if (version != want)
        return fault(f, err, LLMC_AT_VERSION, "the version", (uint64_t)version, (uint64_t)want);
    if (n_tok < 0 || (uint64_t)n_tok * (unsigned)f->width != f->map.n_bytes - LLMC_HEADER_BYTES)
        return fault(f, err, LLMC_AT_TOKENS, "the number of tokens", (uint64_t)n_tok,
                     (f->map.n_bytes - LLMC_HEADER_BYTES) / (unsigned)f->width);
    f->n_tok = (uint64_t)n_tok;
    f->ids = f->map.bytes + LLMC_HEADER_BYTES;
    enum st st = read_manifest(f, ".bin", eod, err);
    if (f->eod < 0 && !f->manifest)
        f->eod = narrow ? LLMC_EOD_U16 : LLMC_EOD_U32;
    if (st == ST_OK)
        find_documents(f);
    return st;
}

static uint64_t index_at(const struct tokfile *f, uint64_t doc)
{
    uint64_t v;
    memcpy(&v, f->index.bytes + 8 * doc, sizeof v);
    return v;
}

/* The metadata's width, when there is a file with one: it must agree with the sizes. */
static enum st check_metadata(const struct tokfile *f, struct err *err)
{
    char *path = xasprintf("%s.metadata", f->path);
    struct strbuf text = { 0 };
    enum st st = file_exists(path) ? file_read(path, 1 << 20, &text, err) : ST_OK;
    const char *bar = st == ST_OK && text.n ? strchr(text.s, '|') : NULL;
    if (bar && atoi(bar + 1) != f->width)
        st = err_set(err, ST_FORMAT, "'%s' says %d bytes a token, but index and size give %d", path,
                     atoi(bar + 1), f->width);
    str_release(&text);
    free(path);
    return st;
}

static enum st open_datatrove(struct tokfile *f, const char *index_path, int64_t eod,
                              struct err *err)
{
    f->kind = DATATROVE;
    enum st st = filemap_open(&f->index, index_path, err);
    if (st < 0)
        return st;
    if (f->index.n_bytes % 8)
        return err_set(err, ST_FORMAT, "'%s' has %zu bytes, want a multiple of 8", index_path,
                       f->index.n_bytes);
    f->n_doc = f->index.n_bytes / 8;
    uint64_t last = 0;
    for (uint64_t d = 0; d < f->n_doc; d++) {
        uint64_t end = index_at(f, d);
        if (end < last || end > f->map.n_bytes / 2)
            return err_set(err, ST_FORMAT,
                           "'%s' at byte %llu: document %llu ends at token %llu, want %llu to %zu",
                           index_path, (unsigned long long)(8 * d), (unsigned long long)d,
                           (unsigned long long)end, (unsigned long long)last, f->map.n_bytes / 2);
        last = end;
    }
    f->n_tok = last;
    f->width = f->map.n_bytes == 4 * last && last ? 4 : 2;
    f->ids = f->map.bytes;
    if (f->map.n_bytes != last * (unsigned)f->width)
        return err_set(err, ST_FORMAT,
                       "'%s' has %zu bytes, want %llu tokens of 2 or 4 by its index", f->path,
                       f->map.n_bytes, (unsigned long long)last);
    st = check_metadata(f, err);
    return st == ST_OK ? read_manifest(f, ".ds", eod, err) : st;
}

static enum st open_megatron(struct tokfile *f, const char *prefix, int64_t eod, struct err *err)
{
    f->kind = MEGATRON;
    enum st st = shard_open(&f->shard, prefix, err);
    if (st < 0)
        return st;
    free(f->path);
    f->path = xasprintf("%s.bin", shard_prefix(f->shard));
    f->width = shard_width(f->shard);
    f->n_doc = shard_n_docs(f->shard);
    f->n_tok = shard_n_tok(f->shard);
    f->vocab_size = shard_vocab_size(f->shard);
    f->eod = eod >= 0 ? eod : shard_eod(f->shard);
    return ST_OK;
}

/* The path without .bin, .idx or .json, if PREFIX.idx exists; else NULL. */
static char *megatron_prefix(const char *path)
{
    size_t n = strlen(path);
    if (str_ends(path, ".bin") || str_ends(path, ".idx"))
        n -= 4;
    else if (str_ends(path, ".json"))
        n -= 5;
    char *idx = xasprintf("%.*s.idx", (int)n, path), *prefix = NULL;
    if (file_exists(idx))
        prefix = xstrndup(path, n);
    free(idx);
    return prefix;
}

static enum st open_other(struct tokfile *f, int64_t eod, struct err *err)
{
    char *index = xasprintf("%s.index", f->path);
    enum st st = filemap_open(&f->map, f->path, err);
    if (st == ST_OK) {
        int32_t magic = f->map.n_bytes >= 4 ? header_int(f, 0) : 0;
        if (magic == LLMC_MAGIC_U16 || magic == LLMC_MAGIC_U32)
            st = open_llmc(f, eod, err);
        else if (file_exists(index))
            st = open_datatrove(f, index, eod, err);
        else
            st = err_set(err, ST_FORMAT,
                         "'%s' is no token file we know: no .idx (Megatron) or .index (datatrove) "
                         "beside it, and no llm.c header",
                         f->path);
    }
    free(index);
    return st;
}

enum st tokfile_open(struct tokfile **out, const char *path, int64_t eod, struct err *err)
{
    struct tokfile *f = NEW(struct tokfile);
    *out = NULL;
    f->path = xstrdup(path);
    f->eod = -1;
    char *prefix = megatron_prefix(path), *ds = xasprintf("%s.ds", path);
    char *bin = xasprintf("%s.bin", path);
    if (!prefix && !file_exists(path) && (file_exists(ds) || file_exists(bin))) {
        free(f->path); /* a prefix was given */
        f->path = xstrdup(file_exists(ds) ? ds : bin);
    }
    enum st st = prefix ? open_megatron(f, prefix, eod, err) : open_other(f, eod, err);
    if (st == ST_OK) {
        *out = f;
        f = NULL;
    }
    free(prefix);
    free(ds);
    free(bin);
    tokfile_close(f);
    return st;
}

void tokfile_close(struct tokfile *f)
{
    if (!f)
        return;
    shard_close(f->shard);
    filemap_close(&f->map);
    filemap_close(&f->index);
    js_free(f->manifest);
    free(f->begin);
    free(f->path);
    free(f);
}

const char *tokfile_format(const struct tokfile *f)
{
    return f->kind == MEGATRON ? "megatron" : f->kind == LLMC ? "llmc" : "datatrove";
}

const char *tokfile_path(const struct tokfile *f)
{
    return f->path;
}

int tokfile_width(const struct tokfile *f)
{
    return f->width;
}

size_t tokfile_n_docs(const struct tokfile *f)
{
    return f->n_doc;
}

uint64_t tokfile_n_tok(const struct tokfile *f)
{
    return f->n_tok;
}

int tokfile_vocab_size(const struct tokfile *f)
{
    return f->vocab_size;
}

int64_t tokfile_eod(const struct tokfile *f)
{
    return f->eod;
}

const struct js *tokfile_manifest(const struct tokfile *f)
{
    return f->kind == MEGATRON ? shard_manifest(f->shard) : f->manifest;
}

static uint64_t doc_begin(const struct tokfile *f, uint64_t doc)
{
    if (f->kind == MEGATRON)
        return shard_doc_at(f->shard, doc);
    if (f->kind == LLMC)
        return f->begin[doc];
    return doc ? index_at(f, doc - 1) : 0;
}

uint64_t tokfile_doc(const struct tokfile *f, size_t doc, uint64_t *at)
{
    assert(doc < f->n_doc);
    *at = doc_begin(f, doc);
    return doc_begin(f, doc + 1) - *at;
}

uint64_t tokfile_doc_text(const struct tokfile *f, size_t doc, uint64_t *at)
{
    uint64_t n = tokfile_doc(f, doc, at);
    if (n == 0 || f->eod < 0)
        return n;
    bool first = f->kind == LLMC && id_at(f, *at) == (uint64_t)f->eod;
    bool last = f->kind != LLMC && id_at(f, *at + n - 1) == (uint64_t)f->eod;
    *at += first;
    return n - first - last;
}

void tokfile_copy(const struct tokfile *f, uint64_t at, size_t n, uint32_t *out)
{
    if (f->kind == MEGATRON) {
        shard_copy_at(f->shard, at, n, out);
        return;
    }
    assert(at <= f->n_tok && n <= f->n_tok - at);
    for (size_t i = 0; i < n; i++) {
        out[i] = 0; /* little-endian: the low bytes come first */
        memcpy(&out[i], f->ids + (at + i) * (unsigned)f->width, (size_t)f->width);
    }
}

/* Byte of a token in its file. */
static uint64_t byte_of(const struct tokfile *f, uint64_t token)
{
    return (f->kind == LLMC ? LLMC_HEADER_BYTES : 0) + token * (unsigned)f->width;
}

static enum st check_ids(const struct tokfile *f, struct err *err)
{
    enum { BLOCK = 4096 };
    uint32_t id[BLOCK];
    for (uint64_t at = 0; f->vocab_size && at < f->n_tok; at += BLOCK) {
        size_t n = f->n_tok - at < BLOCK ? (size_t)(f->n_tok - at) : BLOCK;
        tokfile_copy(f, at, n, id);
        if (stop_asked())
            return err_set(err, ST_INTERRUPTED, "stopped while reading '%s'", f->path);
        for (size_t i = 0; i < n; i++)
            if (id[i] >= (uint32_t)f->vocab_size)
                return err_set(err, ST_FORMAT, "'%s' at byte %llu: token %llu is %u, want below %d",
                               f->path, (unsigned long long)byte_of(f, at + i),
                               (unsigned long long)(at + i), id[i], f->vocab_size);
    }
    return ST_OK;
}

enum st tokfile_verify(const struct tokfile *f, struct err *err)
{
    enum st st = check_ids(f, err);
    const struct js *m = tokfile_manifest(f);
    bool closed = m && f->eod >= 0; /* only our own files promise it */
    for (uint64_t d = 0; d < f->n_doc && closed && st == ST_OK; d++) {
        uint64_t at, n = tokfile_doc(f, d, &at), edge = f->kind == LLMC ? at : at + n - 1;
        if (n == 0 || id_at(f, edge) != (uint64_t)f->eod)
            st = err_set(err, ST_FORMAT,
                         "'%s' at byte %llu: document %llu has no end-of-document token (%lld)",
                         f->path, (unsigned long long)byte_of(f, n ? edge : at),
                         (unsigned long long)d, (long long)f->eod);
    }
    const char *want = js_get_text(m, "ids_digest", NULL);
    if (st == ST_OK && want) {
        char hex[DIGEST_HEX];
        struct digest d;
        st = digest_file(&d, f->path, err);
        if (st == ST_OK && strcmp(digest_hex(d, hex), want) != 0)
            st = err_set(err, ST_FORMAT, "'%s' has the digest %s, its manifest says %s", f->path,
                         hex, want);
    }
    return st;
}
