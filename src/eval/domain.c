/* eval/domain.c - see domain.h. */
#include "eval/domain.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/rng.h"
#include "data/shard.h"

/* Where documents' tokens come from: token files or texts just encoded. */
struct docs {
    size_t n_docs;
    size_t (*len)(const struct docs *d, size_t doc); /* without the end-of-document token */
    void (*copy)(const struct docs *d, size_t doc, size_t at, size_t n, uint32_t *out);
    const struct shard *shard;
    const struct eval_texts *texts;
    int64_t eod;
};

struct eval_texts {
    const struct tok *tok;
    uint32_t *id; /* of all documents, back to back */
    size_t n_id, cap_id;
    size_t *start; /* [n_docs] */
    size_t n_docs, cap_docs;
    uint64_t n_bytes;
};

/* The packed tokens from which windows are cut. */
struct packed {
    uint32_t *id;
    uint16_t *n_bytes; /* of each */
    size_t n, cap, cap_bytes;
    uint64_t bytes, n_scored;
};

static void pack(struct packed *p, uint32_t id, size_t n_bytes)
{
    size_t same = p->n;
    GROW(p->id, p->n, p->cap);
    GROW(p->n_bytes, same, p->cap_bytes);
    p->id[p->n] = id;
    p->n_bytes[p->n++] = (uint16_t)(n_bytes < UINT16_MAX ? n_bytes : UINT16_MAX);
    p->bytes += n_bytes;
    p->n_scored += n_bytes > 0;
}

enum { VISIT_SHARE = 8, CHUNK = 1024 };

/* Takes tokens of one document from *at on until the visit's quota, the limit or its end. */
static void take(struct packed *p, const struct docs *docs, size_t doc, size_t *at,
                 const struct tok *tok, uint64_t quota, uint64_t max_bytes)
{
    uint32_t chunk[CHUNK];
    uint64_t stop = p->bytes + quota < max_bytes ? p->bytes + quota : max_bytes;
    size_t len = docs->len(docs, doc);
    while (*at < len && p->bytes < stop) {
        size_t n = len - *at < CHUNK ? len - *at : CHUNK, i = 0;
        docs->copy(docs, doc, *at, n, chunk);
        for (; i < n && p->bytes < stop; i++)
            pack(p, chunk[i], tok_n_bytes(tok, chunk[i]));
        *at += i;
    }
}

static void pack_all(struct packed *p, const struct docs *docs, const struct tok *tok,
                     uint64_t max_bytes)
{
    int64_t eod = tok_eod(tok);
    uint32_t *order = NEW_ARRAY(uint32_t, docs->n_docs);
    size_t *at = NEW_ARRAY(size_t, docs->n_docs);
    struct rng rng;
    for (size_t i = 0; i < docs->n_docs; i++)
        order[i] = (uint32_t)i;
    rng_init(&rng, 0, "eval/domain", 0); /* no run's seed: every run scores the same text */
    rng_shuffle(&rng, order, docs->n_docs);
    if (max_bytes == 0)
        max_bytes = UINT64_MAX / 2;
    uint64_t quota = max_bytes / VISIT_SHARE + 1;
    bool more = true;
    if (eod >= 0)
        pack(p, (uint32_t)eod, 0); /* context of the very first token */
    while (more && p->bytes < max_bytes) {
        more = false;
        for (size_t i = 0; i < docs->n_docs && p->bytes < max_bytes; i++) {
            size_t before = p->n;
            take(p, docs, order[i], &at[order[i]], tok, quota, max_bytes);
            if (p->n == before)
                continue;
            more = true;
            if (eod >= 0)
                pack(p, (uint32_t)eod, 0);
        }
    }
    free(order);
    free(at);
}

static enum st build(struct eval_domain *d, const char *name, const struct docs *docs,
                     const struct tok *tok, int seq_len, uint64_t max_bytes, struct err *err)
{
    *d = (struct eval_domain){ 0 };
    if (seq_len < 2)
        return err_set(err, ST_USAGE, "windows of %d tokens, want 2 or more", seq_len);
    enum st st = tok_check_bytes(tok, err);
    if (st < 0)
        return st;
    if (docs->n_docs > UINT32_MAX)
        return err_set(err, ST_LIMIT, "domain '%s' has %zu documents, at most %u are read", name,
                       docs->n_docs, UINT32_MAX);
    struct packed p = { 0 };
    pack_all(&p, docs, tok, max_bytes);
    if (p.n < 2 || p.n_scored == 0) {
        free(p.id);
        free(p.n_bytes);
        return err_set(err, ST_FORMAT, "domain '%s' has no text to score", name);
    }
    size_t len = (size_t)seq_len;
    d->name = xstrdup(name);
    d->seq_len = seq_len;
    d->n_window = (p.n - 1 + len - 1) / len;
    d->tok = NEW_ARRAY(uint32_t, d->n_window * (len + 1));
    d->n_bytes = NEW_ARRAY(uint16_t, d->n_window * len);
    for (size_t w = 0; w < d->n_window; w++)
        for (size_t i = 0; i <= len; i++) {
            size_t from = w * len + i;
            bool there = from < p.n; /* the rest of the last window repeats the last token */
            d->tok[w * (len + 1) + i] = p.id[there ? from : p.n - 1];
            if (i > 0 && there && p.n_bytes[from] > 0) {
                d->n_bytes[w * len + i - 1] = p.n_bytes[from];
                d->n_tok_scored++;
                d->n_bytes_scored += p.n_bytes[from];
            }
        }
    free(p.id);
    free(p.n_bytes);
    return ST_OK;
}

void eval_domain_release(struct eval_domain *d)
{
    free(d->name);
    free(d->tok);
    free(d->n_bytes);
    *d = (struct eval_domain){ 0 };
}

void eval_domain_stride(struct eval_domain *d, int stride)
{
    size_t len = (size_t)d->seq_len, step = (size_t)stride, n = d->n_window * len;
    assert(stride >= 1 && stride <= d->seq_len);
    size_t n_window = 1 + (n - len + step - 1) / step;
    uint32_t *tok = NEW_ARRAY(uint32_t, n_window * (len + 1));
    uint16_t *n_bytes = NEW_ARRAY(uint16_t, n_window * len);
    for (size_t w = 0; w < n_window; w++)
        for (size_t i = 0; i <= len; i++) {
            size_t at = w * step + i < n ? w * step + i : n;
            tok[w * (len + 1) + i] =
                at == 0 ? d->tok[0] : d->tok[(at - 1) / len * (len + 1) + (at - 1) % len + 1];
            bool fresh = i > 0 && (w == 0 || i > len - step) && w * step + i <= n;
            if (fresh)
                n_bytes[w * len + i - 1] = d->n_bytes[at - 1];
        }
    free(d->tok);
    free(d->n_bytes);
    d->tok = tok;
    d->n_bytes = n_bytes;
    d->n_window = n_window;
}

enum st eval_check_tokenizer(const struct js *manifest, const char *prefix, const struct tok *tok,
                             struct err *err)
{
    char want[DIGEST_HEX];
    const char *have = js_get_text(manifest, "tokenizer", NULL);
    if (!have) {
        log_warn("'%s.json' names no tokenizer; whether its tokens are this model's is not checked",
                 prefix);
        return ST_OK;
    }
    digest_hex(tok_digest(tok), want);
    if (strcmp(have, want) != 0)
        return err_set(err, ST_USAGE,
                       "'%s' was encoded with another tokenizer (digest %s, this one's is %s)",
                       prefix, have, want);
    return ST_OK;
}

/* An end-of-document token closes each document in token files; it is put back between pieces. */
static size_t shard_len(const struct docs *d, size_t doc)
{
    size_t n = shard_doc_len(d->shard, doc);
    uint32_t last;
    if (n == 0)
        return 0;
    shard_copy(d->shard, doc, n - 1, 1, &last);
    return (int64_t)last == d->eod ? n - 1 : n;
}

static void shard_tokens(const struct docs *d, size_t doc, size_t at, size_t n, uint32_t *out)
{
    shard_copy(d->shard, doc, at, n, out);
}

/* Damage that the windows met is named with its place; what they do not hold is not looked at. */
static enum st check_ids(const struct eval_domain *d, const struct shard *s, const struct tok *tok,
                         struct err *err)
{
    uint32_t max = 0, vocab_size = (uint32_t)tok_vocab_size(tok);
    for (size_t i = 0; i < d->n_window * ((size_t)d->seq_len + 1); i++)
        max = d->tok[i] > max ? d->tok[i] : max;
    return max < vocab_size ? ST_OK : shard_check_ids(s, vocab_size, err);
}

enum st eval_domain_shard(struct eval_domain *d, const char *name, const char *prefix,
                          const struct tok *tok, int seq_len, uint64_t max_bytes, struct err *err)
{
    struct shard *s = NULL;
    *d = (struct eval_domain){ 0 };
    enum st st = shard_open(&s, prefix, err);
    if (st == ST_OK)
        st = eval_check_tokenizer(shard_manifest(s), prefix, tok, err);
    if (st == ST_OK && shard_vocab_size(s) > tok_vocab_size(tok))
        st = err_set(err, ST_USAGE, "'%s' has a vocabulary of %d, the tokenizer of %d", prefix,
                     shard_vocab_size(s), tok_vocab_size(tok));
    if (st == ST_OK) {
        struct docs docs = { .n_docs = shard_n_docs(s),
                             .len = shard_len,
                             .copy = shard_tokens,
                             .shard = s,
                             .eod = tok_eod(tok) };
        st = build(d, name, &docs, tok, seq_len, max_bytes, err);
    }
    if (st == ST_OK && (st = check_ids(d, s, tok, err)) < 0)
        eval_domain_release(d);
    shard_close(s);
    return err_in(err, st, "domain '%s'", name);
}

struct eval_texts *eval_texts_new(const struct tok *tok)
{
    struct eval_texts *t = NEW(struct eval_texts);
    t->tok = tok;
    return t;
}

bool eval_texts_add(struct eval_texts *t, const char *text, size_t n_bytes)
{
    if (t->n_bytes + n_bytes > EVAL_MAX_TEXT)
        return false;
    size_t room = tok_room(t->tok, n_bytes);
    if (t->cap_id - t->n_id < room) {
        t->cap_id = 2 * t->cap_id + room;
        t->id = xrealloc(t->id, t->cap_id, sizeof *t->id);
    }
    GROW(t->start, t->n_docs, t->cap_docs);
    t->start[t->n_docs++] = t->n_id;
    t->n_id += tok_encode(t->tok, text, n_bytes, t->id + t->n_id);
    t->n_bytes += n_bytes;
    return true;
}

static size_t texts_len(const struct docs *d, size_t doc)
{
    const struct eval_texts *t = d->texts;
    return (doc + 1 < t->n_docs ? t->start[doc + 1] : t->n_id) - t->start[doc];
}

static void texts_tokens(const struct docs *d, size_t doc, size_t at, size_t n, uint32_t *out)
{
    memcpy(out, d->texts->id + d->texts->start[doc] + at, n * sizeof *out);
}

enum st eval_texts_domain(const struct eval_texts *t, struct eval_domain *d, const char *name,
                          int seq_len, uint64_t max_bytes, struct err *err)
{
    struct docs docs = { .n_docs = t->n_docs, .len = texts_len, .copy = texts_tokens, .texts = t };
    return build(d, name, &docs, t->tok, seq_len, max_bytes, err);
}

void eval_texts_free(struct eval_texts *t)
{
    if (!t)
        return;
    free(t->id);
    free(t->start);
    free(t);
}
