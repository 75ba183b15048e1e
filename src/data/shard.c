/*
 * data/shard.c - see shard.h: the reader.
 *
 * .idx: "MMIDIDX\0\0", uint64 version 1, uint8 type (4 int32, 8 uint16), uint64 S sequences, uint64
 * D = documents + 1, int32 length[S] in tokens, int64 offset[S] in bytes, int64 document[D] (first
 * sequence of each, then S). Offsets are the running sum of lengths and end where .bin ends.
 */
#include "data/shard.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "data/shard_layout.h"

struct shard {
    char *prefix;
    struct filemap idx, bin;
    int width; /* bytes a token */
    uint64_t n_seq, n_doc, n_tok;
    const uint8_t *length, *offset, *document; /* sections of .idx, unaligned */
    struct js *manifest;
    uint64_t n_bytes;
    int vocab_size;
    int64_t eod;
};

static uint64_t read_u64(const uint8_t *p)
{
    uint64_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

static uint32_t read_u32(const uint8_t *p)
{
    uint32_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

static enum st fault(const struct shard *s, struct err *err, uint64_t at, const char *what,
                     uint64_t got, uint64_t want)
{
    return err_set(err, ST_FORMAT, "'%s.idx' at byte %llu: %s is %lld, want %lld", s->prefix,
                   (unsigned long long)at, what, (long long)got, (long long)want);
}

/* The fixed part, and whether the sections fit the file exactly. */
static enum st check_header(struct shard *s, struct err *err)
{
    const uint8_t *p = s->idx.bytes;
    uint64_t n = s->idx.n_bytes;
    if (n < IDX_HEADER_BYTES)
        return err_set(err, ST_FORMAT, "'%s.idx' has %llu bytes, want at least %d", s->prefix,
                       (unsigned long long)n, IDX_HEADER_BYTES);
    if (memcmp(p, IDX_MAGIC, IDX_MAGIC_BYTES) != 0)
        return err_set(err, ST_FORMAT, "'%s.idx' at byte 0: want the bytes MMIDIDX 00 00",
                       s->prefix);
    if (read_u64(p + IDX_AT_VERSION) != 1)
        return fault(s, err, IDX_AT_VERSION, "the version", read_u64(p + IDX_AT_VERSION), 1);
    switch (p[IDX_AT_TYPE]) {
    case IDX_TYPE_U16:
        s->width = 2;
        break;
    case IDX_TYPE_I32:
        s->width = 4;
        break;
    case 1:
    case 2:
    case 3:
    case 5:
    case 6:
    case 7:
        return err_set(err, ST_UNSUPPORTED,
                       "'%s.idx' at byte %d: token type %d, want 8 (uint16) or 4 (int32)",
                       s->prefix, IDX_AT_TYPE, p[IDX_AT_TYPE]);
    default:
        return fault(s, err, IDX_AT_TYPE, "the token type", p[IDX_AT_TYPE], IDX_TYPE_U16);
    }
    s->n_seq = read_u64(p + IDX_AT_SEQUENCES);
    uint64_t d = read_u64(p + IDX_AT_DOCUMENTS), room = n - IDX_HEADER_BYTES;
    if (s->n_seq > room / 12)
        return fault(s, err, IDX_AT_SEQUENCES, "the number of sequences", s->n_seq, room / 12);
    room -= 12 * s->n_seq;
    if (d < 1 || d > room / 8)
        return fault(s, err, IDX_AT_DOCUMENTS, "the length of the document index", d, room / 8);
    room -= 8 * d;
    if (room == s->n_seq && room > 0)
        return err_set(err, ST_UNSUPPORTED, "'%s.idx' has modes (multimodal data), want text only",
                       s->prefix);
    if (room != 0)
        return err_set(err, ST_FORMAT, "'%s.idx' has %llu bytes, want %llu for its %llu sequences",
                       s->prefix, (unsigned long long)n, (unsigned long long)(n - room),
                       (unsigned long long)s->n_seq);
    s->n_doc = d - 1;
    s->length = p + IDX_HEADER_BYTES;
    s->offset = s->length + 4 * s->n_seq;
    s->document = s->offset + 8 * s->n_seq;
    return ST_OK;
}

static enum st check_sections(struct shard *s, struct err *err)
{
    uint64_t sum = 0;
    for (uint64_t i = 0; i < s->n_seq; i++) {
        uint32_t n = read_u32(s->length + 4 * i);
        if (n > INT32_MAX)
            return err_set(err, ST_FORMAT, "'%s.idx' at byte %llu: sequence %llu has length %d",
                           s->prefix, (unsigned long long)(IDX_HEADER_BYTES + 4 * i),
                           (unsigned long long)i, (int)n);
        if (read_u64(s->offset + 8 * i) != sum)
            return fault(s, err, (uint64_t)(s->offset + 8 * i - s->idx.bytes),
                         "a sequence's offset", read_u64(s->offset + 8 * i), sum);
        sum += (uint64_t)n * (unsigned)s->width; /* no overflow: checked below each time */
        if (sum > s->bin.n_bytes)
            return fault(s, err, IDX_HEADER_BYTES + 4 * i, "the bytes of sequences up to here", sum,
                         s->bin.n_bytes);
    }
    if (sum != s->bin.n_bytes)
        return err_set(err, ST_FORMAT, "'%s.bin' has %llu bytes, want %llu by its .idx", s->prefix,
                       (unsigned long long)s->bin.n_bytes, (unsigned long long)sum);
    uint64_t last = 0;
    for (uint64_t d = 0; d <= s->n_doc; d++) {
        uint64_t seq = read_u64(s->document + 8 * d);
        uint64_t at = (uint64_t)(s->document + 8 * d - s->idx.bytes);
        if (d == 0 && seq != 0)
            return fault(s, err, at, "the first document's sequence", seq, 0);
        if (seq < last || seq > s->n_seq)
            return fault(s, err, at, "a document's first sequence", seq, last);
        if (d == s->n_doc && seq != s->n_seq)
            return fault(s, err, at, "the end of the last document", seq, s->n_seq);
        last = seq;
    }
    s->n_tok = sum / (unsigned)s->width;
    return ST_OK;
}

static enum st read_manifest(struct shard *s, const char *path, struct err *err)
{
    enum st st = js_read_file(&s->manifest, path, err);
    if (st < 0)
        return st;
    int64_t docs = js_get_whole(s->manifest, "docs", -1);
    int64_t tokens = js_get_whole(s->manifest, "tokens", -1);
    int64_t bytes = js_get_whole(s->manifest, "bytes", 0);
    int64_t vocab = js_get_whole(s->manifest, "vocab_size", 0);
    s->eod = js_get_whole(s->manifest, "eod", -1);
    if (docs != (int64_t)s->n_doc || tokens != (int64_t)s->n_tok)
        return err_set(err, ST_FORMAT,
                       "'%s' tells of %lld documents and %lld tokens, but the .idx has %llu and "
                       "%llu; make the token files again",
                       path, (long long)docs, (long long)tokens, (unsigned long long)s->n_doc,
                       (unsigned long long)s->n_tok);
    if (bytes < 0 || vocab < 0 || vocab > INT32_MAX || s->eod < -1 ||
        s->eod >= (vocab ? vocab : INT32_MAX))
        return err_set(err, ST_FORMAT, "'%s': bytes, vocab_size or eod is impossible", path);
    s->n_bytes = (uint64_t)bytes;
    s->vocab_size = (int)vocab;
    return ST_OK;
}

enum st shard_open(struct shard **out, const char *prefix, struct err *err)
{
    struct shard *s = NEW(struct shard);
    *out = NULL;
    size_t n = strlen(prefix);
    if (str_ends(prefix, ".bin") || str_ends(prefix, ".idx"))
        n -= 4;
    s->prefix = xstrndup(prefix, n);
    s->eod = -1;
    char *idx = xasprintf("%s.idx", s->prefix), *bin = xasprintf("%s.bin", s->prefix);
    char *json = xasprintf("%s.json", s->prefix);
    enum st st = filemap_open(&s->idx, idx, err);
    if (st == ST_OK)
        st = filemap_open(&s->bin, bin, err);
    if (st == ST_OK)
        st = check_header(s, err);
    if (st == ST_OK)
        st = check_sections(s, err);
    if (st == ST_OK && file_exists(json))
        st = read_manifest(s, json, err);
    if (st == ST_OK) {
        *out = s;
        s = NULL;
    }
    free(idx);
    free(bin);
    free(json);
    shard_close(s);
    return st;
}

void shard_close(struct shard *s)
{
    if (!s)
        return;
    filemap_close(&s->idx);
    filemap_close(&s->bin);
    js_free(s->manifest);
    free(s->prefix);
    free(s);
}

const char *shard_prefix(const struct shard *s)
{
    return s->prefix;
}

size_t shard_n_docs(const struct shard *s)
{
    return s->n_doc;
}

uint64_t shard_n_tok(const struct shard *s)
{
    return s->n_tok;
}

uint64_t shard_n_bytes(const struct shard *s)
{
    return s->n_bytes;
}

int shard_vocab_size(const struct shard *s)
{
    return s->vocab_size;
}

int shard_width(const struct shard *s)
{
    return s->width;
}

int64_t shard_eod(const struct shard *s)
{
    return s->eod;
}

const struct js *shard_manifest(const struct shard *s)
{
    return s->manifest;
}

uint64_t shard_doc_at(const struct shard *s, size_t doc)
{
    assert(doc <= s->n_doc);
    uint64_t seq = read_u64(s->document + 8 * doc);
    return seq < s->n_seq ? read_u64(s->offset + 8 * seq) / (unsigned)s->width : s->n_tok;
}

size_t shard_doc_len(const struct shard *s, size_t doc)
{
    assert(doc < s->n_doc);
    return (size_t)(shard_doc_at(s, doc + 1) - shard_doc_at(s, doc));
}

void shard_copy_at(const struct shard *s, uint64_t at, size_t n, uint32_t *out)
{
    assert(at <= s->n_tok && n <= s->n_tok - at);
    if (n == 0)
        return;
    const uint8_t *p = s->bin.bytes + at * (unsigned)s->width;
    if (s->width == 4) {
        memcpy(out, p, 4 * n);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        uint16_t v;
        memcpy(&v, p + 2 * i, sizeof v);
        out[i] = v;
    }
}

void shard_copy(const struct shard *s, size_t doc, size_t at, size_t n, uint32_t *out)
{
    size_t len = shard_doc_len(s, doc);
    assert(at <= len && n <= len - at);
    shard_copy_at(s, shard_doc_at(s, doc) + at, n, out);
}

uint32_t shard_max_id(const struct shard *s)
{
    enum { BLOCK = 4096 };
    uint32_t id[BLOCK], max = 0;
    for (uint64_t at = 0; at < s->n_tok; at += BLOCK) {
        size_t n = s->n_tok - at < BLOCK ? (size_t)(s->n_tok - at) : BLOCK;
        shard_copy_at(s, at, n, id);
        for (size_t i = 0; i < n; i++)
            max = id[i] > max ? id[i] : max;
    }
    return max;
}

enum st shard_check_copied(const struct shard *s, uint64_t at, const uint32_t *id, size_t n,
                           uint32_t vocab_size, struct err *err)
{
    uint32_t max = 0;
    for (size_t i = 0; i < n; i++)
        max = id[i] > max ? id[i] : max;
    if (max < vocab_size || n == 0)
        return ST_OK;
    size_t i = 0;
    while (id[i] < vocab_size)
        i++;
    return err_set(err, ST_FORMAT, "'%s.bin' at byte %llu: token %llu is %u, want below %u",
                   s->prefix, (unsigned long long)((at + i) * (unsigned)s->width),
                   (unsigned long long)(at + i), id[i], vocab_size);
}

enum st shard_check_ids(const struct shard *s, uint32_t vocab_size, struct err *err)
{
    enum { BLOCK = 4096 };
    uint32_t id[BLOCK];
    enum st st = ST_OK;
    for (uint64_t at = 0; at < s->n_tok && st == ST_OK; at += BLOCK) {
        size_t n = s->n_tok - at < BLOCK ? (size_t)(s->n_tok - at) : BLOCK;
        shard_copy_at(s, at, n, id);
        st = shard_check_copied(s, at, id, n, vocab_size, err);
    }
    return st;
}
