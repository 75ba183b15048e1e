/* data/tokfile_convert.c - see tokfile.h: the writers. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "data/shard.h"
#include "data/tokfile.h"
#include "data/tokfile_layout.h"
#include "tok/tok.h"

/* Tokens a file of the target format has room for in its header. */
static const uint64_t llmc_max_tok = INT32_MAX;

struct writer { /* of plain ids: llmc and datatrove */
    struct outfile ids, index;
    int width;     /* bytes an id */
    uint64_t n_id; /* ids are below it, so that they fit */
    uint64_t n_tok;
};

static enum st put(struct outfile *f, const void *bytes, size_t n, struct err *err)
{
    if (n == 0 || fwrite(bytes, n, 1, f->stream) == 1)
        return ST_OK;
    return err_set(err, ST_IO, "cannot write '%s': %s", f->path, strerror(errno));
}

static enum st put_ids(struct writer *w, const uint32_t *id, size_t n, struct err *err)
{
    enum st st = ST_OK;
    for (size_t i = 0; i < n; i++)
        if (id[i] >= w->n_id)
            return err_set(err, ST_FORMAT, "token %llu is %u, want below %llu",
                           (unsigned long long)(w->n_tok + i), id[i], (unsigned long long)w->n_id);
    w->n_tok += n;
    if (w->width == 4)
        return put(&w->ids, id, 4 * n, err);
    for (size_t i = 0; i < n && st == ST_OK; i++) {
        uint16_t v = (uint16_t)id[i];
        st = put(&w->ids, &v, 2, err);
    }
    return st;
}

/* The text of each document with the end-of-document token at its place, through one buffer. */
static enum st each_document(const struct tokfile *f, bool eod_first,
                             enum st (*take)(void *to, const uint32_t *id, size_t n,
                                             struct err *err),
                             void *to, struct err *err)
{
    uint32_t *id = NULL;
    size_t cap = 0;
    enum st st = ST_OK;
    int64_t eod = tokfile_eod(f);
    for (size_t d = 0; d < tokfile_n_docs(f) && st == ST_OK; d++) {
        uint64_t at;
        size_t n = (size_t)tokfile_doc_text(f, d, &at), head = eod_first && eod >= 0;
        if (n + 2 > cap) {
            cap = n + 2;
            id = xrealloc(id, cap, sizeof *id);
        }
        tokfile_copy(f, at, n, id + head);
        if (stop_asked())
            st = err_set(err, ST_INTERRUPTED, "stopped; nothing was written");
        if (eod >= 0)
            id[eod_first ? 0 : n] = (uint32_t)eod;
        if (st == ST_OK)
            st = take(to, id, n + (eod >= 0), err);
    }
    free(id);
    return st;
}

static enum st take_plain(void *to, const uint32_t *id, size_t n, struct err *err)
{
    struct writer *w = to;
    enum st st = put_ids(w, id, n, err);
    if (st == ST_OK && w->index.stream)
        st = put(&w->index, &w->n_tok, sizeof w->n_tok, err);
    return st;
}

static enum st take_megatron(void *to, const uint32_t *id, size_t n, struct err *err)
{
    return shard_write(to, id, n, 0, err);
}

/* What is known about the ids, whatever the format. */
static struct js *manifest_of(const struct tokfile *f)
{
    static const char *const kept[] = { "tokenizer", "tokenizer_file", "source", "bytes" };
    const struct js *from = tokfile_manifest(f);
    struct js *m = js_object();
    for (size_t i = 0; i < N_OF(kept); i++)
        if (js_get(from, kept[i]))
            js_put(m, kept[i], js_copy(js_get(from, kept[i])));
    js_put_text(m, "converted_from", tokfile_format(f));
    return m;
}

static enum st write_manifest(const struct tokfile *f, const char *format, const struct writer *w,
                              const char *prefix, struct err *err)
{
    struct js *m = manifest_of(f);
    js_put_text(m, "format", format);
    js_put_text(m, "dtype", w->width == 2 ? "uint16" : "uint32");
    if (tokfile_vocab_size(f))
        js_put_whole(m, "vocab_size", tokfile_vocab_size(f));
    js_put_whole(m, "eod", tokfile_eod(f));
    js_put_whole(m, "docs", (int64_t)tokfile_n_docs(f));
    js_put_whole(m, "tokens", (int64_t)w->n_tok);
    char *json = xasprintf("%s.json", prefix);
    enum st st = js_write_file(m, json, err);
    free(json);
    js_free(m);
    return st;
}

static uint32_t max_id(const struct tokfile *f)
{
    uint32_t id[4096], max = tokfile_eod(f) > 0 ? (uint32_t)tokfile_eod(f) : 0;
    for (uint64_t at = 0; at < tokfile_n_tok(f); at += N_OF(id)) {
        uint64_t left = tokfile_n_tok(f) - at;
        size_t n = left < N_OF(id) ? (size_t)left : N_OF(id);
        tokfile_copy(f, at, n, id);
        for (size_t i = 0; i < n; i++)
            max = id[i] > max ? id[i] : max;
    }
    return max;
}

static enum st find_vocab(int *vocab_size, const struct tokfile *f, struct err *err)
{
    *vocab_size = tokfile_vocab_size(f);
    if (*vocab_size)
        return ST_OK;
    uint32_t max = max_id(f);
    if (max >= INT32_MAX)
        return err_set(err, ST_FORMAT, "'%s' holds the token %u, want below %d", tokfile_path(f),
                       max, INT32_MAX);
    *vocab_size = (int)max + 1;
    return ST_OK;
}

static enum st to_megatron(const struct tokfile *f, const char *prefix, struct err *err)
{
    struct shard_writer *w = NULL;
    int vocab_size;
    enum st st = find_vocab(&vocab_size, f, err);
    if (st == ST_OK)
        st = shard_writer_open(&w, prefix, vocab_size, err);
    if (st == ST_OK) {
        shard_writer_eod(w, tokfile_eod(f));
        st = each_document(f, false, take_megatron, w, err);
    }
    if (st == ST_OK)
        st = shard_writer_commit(w, manifest_of(f), err);
    shard_writer_close(w);
    return st;
}

static enum st to_llmc(const struct tokfile *f, const char *prefix, struct err *err)
{
    int32_t head[LLMC_HEADER_BYTES / 4] = { 0 };
    uint64_t n_id = (uint64_t)max_id(f) + 1;
    struct writer w = { .width = n_id <= UINT16_MAX + 1 ? 2 : 4, .n_id = n_id };
    char *path = xasprintf("%s.bin", prefix);
    if (tokfile_n_tok(f) + tokfile_n_docs(f) > llmc_max_tok) {
        free(path);
        return err_set(err, ST_LIMIT,
                       "llm.c counts tokens in 32 bits: %llu are too many for one file",
                       (unsigned long long)tokfile_n_tok(f));
    }
    enum st st = outfile_open(&w.ids, path, err);
    if (st == ST_OK)
        st = put(&w.ids, head, sizeof head, err);
    if (st == ST_OK)
        st = each_document(f, true, take_plain, &w, err);
    head[0] = w.width == 2 ? LLMC_MAGIC_U16 : LLMC_MAGIC_U32;
    head[LLMC_AT_VERSION / 4] = w.width == 2 ? LLMC_VERSION_U16 : LLMC_VERSION_U32;
    head[LLMC_AT_TOKENS / 4] = (int32_t)w.n_tok;
    if (st == ST_OK && fseek(w.ids.stream, 0, SEEK_SET) != 0)
        st = err_set(err, ST_IO, "cannot write '%s': %s", path, strerror(errno));
    if (st == ST_OK)
        st = put(&w.ids, head, sizeof head, err);
    if (st == ST_OK)
        st = outfile_commit(&w.ids, err);
    if (st == ST_OK)
        st = write_manifest(f, "llmc", &w, prefix, err);
    outfile_abort(&w.ids);
    free(path);
    return st;
}

/* Upstream's reader takes the tokenizer's name up to the bar, so it must have none itself. */
static enum st write_metadata(const struct tokfile *f, const struct writer *w, const char *path,
                              struct err *err)
{
    const char *name = js_get_text(tokfile_manifest(f), "tokenizer_file", "tokenizer.json");
    struct strbuf b = { 0 };
    for (const char *c = name; *c; c++)
        str_addc(&b, *c == '|' || *c == '\n' ? '_' : *c);
    str_printf(&b, "|%d\n%llu\n%.2f MT", w->width, (unsigned long long)w->n_tok,
               (double)w->n_tok / 1e6);
    enum st st = file_write(path, b.s, b.n, err);
    str_release(&b);
    return st;
}

static enum st to_datatrove(const struct tokfile *f, const char *prefix, struct err *err)
{
    int vocab_size;
    enum st st = find_vocab(&vocab_size, f, err);
    if (st < 0)
        return st;
    struct writer w = { .width = vocab_size <= UINT16_MAX + 1 ? 2 : 4,
                        .n_id = (uint64_t)vocab_size };
    char *path = xasprintf("%s.ds", prefix), *index = xasprintf("%s.ds.index", prefix);
    char *metadata = xasprintf("%s.ds.metadata", prefix);
    st = outfile_open(&w.ids, path, err);
    if (st == ST_OK)
        st = outfile_open(&w.index, index, err);
    if (st == ST_OK)
        st = each_document(f, false, take_plain, &w, err);
    if (st == ST_OK)
        st = outfile_commit(&w.ids, err);
    if (st == ST_OK)
        st = outfile_commit(&w.index, err);
    if (st == ST_OK)
        st = write_metadata(f, &w, metadata, err);
    if (st == ST_OK)
        st = write_manifest(f, "datatrove", &w, prefix, err);
    outfile_abort(&w.ids);
    outfile_abort(&w.index);
    free(path);
    free(index);
    free(metadata);
    return st;
}

/* Files of another format with this prefix keep their manifest; an older one of this format goes
 * before its files do, so that what has a manifest is whole. */
static enum st check_place(const char *format, const char *prefix, struct err *err)
{
    char *json = xasprintf("%s.json", prefix);
    struct js *m = NULL;
    enum st st = file_exists(json) ? js_read_file(&m, json, err) : ST_OK;
    if (st == ST_OK && m && strcmp(js_get_text(m, "format", ""), format) != 0)
        st = err_set(err, ST_USAGE, "'%s' belongs to files of another format; choose another --out",
                     json);
    else if (st == ST_OK && m && unlink(json) != 0)
        st = err_set(err, ST_IO, "cannot replace '%s': %s", json, strerror(errno));
    char *dir = xstrndup(prefix, (size_t)(path_base(prefix) - prefix));
    if (st == ST_OK && *dir)
        st = dir_make(dir, err);
    free(dir);
    js_free(m);
    free(json);
    return st;
}

enum st tokfile_convert(const struct tokfile *f, const char *format, const char *prefix,
                        struct err *err)
{
    char *bin = xasprintf("%s.bin", prefix), *ds = xasprintf("%s.ds", prefix);
    const char *from = tokfile_path(f);
    enum st st = ST_OK;
    static const char *const known[] = { "megatron", "llmc", "datatrove" };
    size_t k = 0;
    while (k < N_OF(known) && strcmp(known[k], format) != 0)
        k++;
    if (k == N_OF(known))
        st = err_set(err, ST_UNSUPPORTED, "writing '%s', want megatron, llmc or datatrove", format);
    else if (file_same(from, bin) || file_same(from, ds))
        st =
            err_set(err, ST_USAGE, "'%s' would be written over itself; choose another --out", from);
    else
        st = check_place(format, prefix, err);
    if (st == ST_OK)
        st = k == 0   ? to_megatron(f, prefix, err)
             : k == 1 ? to_llmc(f, prefix, err)
                      : to_datatrove(f, prefix, err);
    free(bin);
    free(ds);
    return st;
}

void tokfile_line(const struct tokfile *f, size_t doc, const struct tok *tok, struct strbuf *out)
{
    uint64_t at;
    size_t n = (size_t)tokfile_doc(f, doc, &at);
    uint32_t *id = NEW_ARRAY(uint32_t, n + 1);
    tokfile_copy(f, at, n, id);
    str_printf(out, "{\"doc\":%zu,", doc);
    if (tok) {
        struct strbuf text = { 0 };
        tok_decode(tok, id, n, &text);
        str_adds(out, "\"text\":");
        js_quote(out, text.s ? text.s : "", text.n);
        str_release(&text);
    } else {
        str_adds(out, "\"tokens\":[");
        for (size_t i = 0; i < n; i++)
            str_printf(out, "%s%u", i ? "," : "", id[i]);
        str_addc(out, ']');
    }
    str_adds(out, "}\n");
    free(id);
}
