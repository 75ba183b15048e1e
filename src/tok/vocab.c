/* tok/vocab.c - see vocab.h; and the questions one can ask a tokenizer. */
#include "tok/vocab.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "tok/encoder.h"
#include "tok/unicode.h"

struct tok *vocab_new(enum splitter splitter, bool ignore_merges, bool nfc)
{
    struct tok *t = NEW(struct tok);
    t->splitter = splitter;
    t->ignore_merges = ignore_merges;
    t->nfc = nfc;
    t->eod = -1;
    t->encoders = encoder_pool_new();
    return t;
}

void tok_free(struct tok *t)
{
    if (!t)
        return;
    str_release(&t->blob);
    free(t->token);
    free(t->word);
    free(t->whole);
    merges_release(&t->merges);
    encoder_pool_free(t->encoders);
    free(t);
}

enum st vocab_add(struct tok *t, uint64_t id, enum token_kind kind, const void *bytes,
                  size_t n_bytes, struct err *err)
{
    if (id >= TOK_MAX_VOCAB)
        return err_set(err, ST_LIMIT, "token id %llu, want below %d", (unsigned long long)id,
                       TOK_MAX_VOCAB);
    if (n_bytes > TOK_MAX_TOKEN_BYTES)
        return err_set(err, ST_LIMIT, "token %llu has %zu bytes, want at most %d",
                       (unsigned long long)id, n_bytes, TOK_MAX_TOKEN_BYTES);
    if (n_bytes == 0)
        return err_set(err, ST_FORMAT, "token %llu is empty", (unsigned long long)id);
    while (t->vocab_size <= id) {
        GROW(t->token, t->vocab_size, t->cap);
        t->token[t->vocab_size++] = (struct token){ .kind = TOKEN_ABSENT };
    }
    if (t->token[id].kind != TOKEN_ABSENT)
        return err_set(err, ST_FORMAT, "token id %llu is given twice", (unsigned long long)id);
    t->token[id] = (struct token){ t->blob.n, (uint32_t)n_bytes, (uint8_t)kind };
    str_add(&t->blob, bytes, n_bytes);
    return ST_OK;
}

static int longest_first(const void *a, const void *b, const struct tok *t)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    uint32_t nx = t->token[x].n_bytes, ny = t->token[y].n_bytes;
    return nx != ny ? (nx < ny) - (nx > ny) : (x > y) - (x < y);
}

enum st vocab_add_whole(struct tok *t, uint64_t id, enum token_kind kind, const char *spelling,
                        size_t n_bytes, struct err *err)
{
    assert(kind == TOKEN_ADDED || kind == TOKEN_SPECIAL);
    if (t->n_whole == TOK_MAX_WHOLE)
        return err_set(err, ST_LIMIT, "more than %d added tokens", TOK_MAX_WHOLE);
    if (id < t->vocab_size && t->token[id].kind != TOKEN_ABSENT) {
        if (t->token[id].n_bytes != n_bytes ||
            memcmp(token_bytes(t, (uint32_t)id), spelling, n_bytes) != 0)
            return err_set(err, ST_FORMAT, "added token %llu is spelled in two ways",
                           (unsigned long long)id);
        if (t->token[id].kind != TOKEN_TEXT && t->token[id].kind != TOKEN_UNUSED)
            return err_set(err, ST_FORMAT, "token id %llu is added twice", (unsigned long long)id);
        t->token[id].kind = (uint8_t)kind;
    } else {
        enum st st = vocab_add(t, id, kind, spelling, n_bytes, err);
        if (st < 0)
            return st;
    }
    uint32_t added = (uint32_t)id;
    t->whole = xrealloc(t->whole, t->n_whole + 1, sizeof *t->whole);
    size_t i = t->n_whole++;
    for (; i > 0 && longest_first(&added, &t->whole[i - 1], t) < 0; i--)
        t->whole[i] = t->whole[i - 1];
    t->whole[i] = added;
    t->whole_first[(uint8_t)spelling[0]] = 1;
    t->has_added |= kind == TOKEN_ADDED;
    return ST_OK;
}

static uint32_t *word_place(const struct tok *t, const void *bytes, size_t n, uint32_t hash)
{
    for (uint32_t i = hash & t->word_mask;; i = (i + 1) & t->word_mask) {
        struct word_slot *s = &t->word[i];
        if (s->id == NO_TOKEN || (s->hash == hash && t->token[s->id].n_bytes == n &&
                                  memcmp(token_bytes(t, s->id), bytes, n) == 0)) {
            s->hash = hash;
            return &s->id;
        }
    }
}

uint32_t vocab_find(const struct tok *t, const void *bytes, size_t n_bytes)
{
    uint32_t hash = (uint32_t)hash64(bytes, n_bytes, 0);
    for (uint32_t i = hash & t->word_mask;; i = (i + 1) & t->word_mask) {
        const struct word_slot *s = &t->word[i];
        if (s->id == NO_TOKEN)
            return NO_TOKEN;
        if (s->hash == hash && t->token[s->id].n_bytes == n_bytes &&
            memcmp(token_bytes(t, s->id), bytes, n_bytes) == 0)
            return s->id;
    }
}

/* Room for twice as many words as there are ids, with all words of text in it. */
static enum st build_index(struct tok *t, struct err *err)
{
    uint32_t n_slot = 1024;
    while (n_slot < 4 * t->vocab_size)
        n_slot *= 2;
    free(t->word);
    t->word = xmalloc(n_slot * sizeof *t->word);
    t->word_mask = n_slot - 1;
    for (uint32_t i = 0; i < n_slot; i++)
        t->word[i] = (struct word_slot){ 0, NO_TOKEN };
    for (uint32_t id = 0; id < t->vocab_size; id++) {
        if (t->token[id].kind != TOKEN_TEXT)
            continue;
        size_t n = t->token[id].n_bytes;
        uint32_t hash = (uint32_t)hash64(token_bytes(t, id), n, 0);
        uint32_t *place = word_place(t, token_bytes(t, id), n, hash);
        if (*place != NO_TOKEN)
            return err_set(err, ST_FORMAT, "tokens %u and %u have the same bytes", *place, id);
        *place = id;
    }
    return ST_OK;
}

enum st vocab_index(struct tok *t, struct err *err)
{
    enum st st = build_index(t, err);
    int n_missing = 0;
    for (int b = 0; b < 256 && st == ST_OK; b++) {
        uint8_t byte = (uint8_t)b;
        t->merges.byte_id[b] = vocab_find(t, &byte, 1);
        n_missing += t->merges.byte_id[b] == NO_TOKEN;
    }
    t->lacks_bytes = n_missing > 0;
    if (st == ST_OK && n_missing == 256)
        st = err_set(err, ST_UNSUPPORTED, "a vocabulary without bytes; want byte-level BPE");
    return st;
}

void vocab_index_one(struct tok *t, uint32_t id)
{
    if (2 * t->vocab_size > t->word_mask) {
        struct err err;
        enum st st = build_index(t, &err); /* it contains id then */
        assert(st == ST_OK);
        return;
    }
    size_t n = t->token[id].n_bytes;
    uint32_t hash = (uint32_t)hash64(token_bytes(t, id), n, 0);
    *word_place(t, token_bytes(t, id), n, hash) = id;
}

enum st vocab_merge(struct tok *t, uint32_t left, uint32_t right, struct err *err)
{
    size_t nl = t->token[left].n_bytes, nr = t->token[right].n_bytes;
    if (nl + nr > TOK_MAX_TOKEN_BYTES)
        return err_set(err, ST_LIMIT, "merge %zu makes a token of over %d bytes", t->merges.n,
                       TOK_MAX_TOKEN_BYTES);
    struct strbuf both = { 0 };
    str_add(&both, token_bytes(t, left), nl);
    str_add(&both, token_bytes(t, right), nr);
    uint32_t id = vocab_find(t, both.s, both.n);
    str_release(&both);
    if (id == NO_TOKEN)
        return err_set(err, ST_FORMAT, "merge %zu: its product is not in the vocabulary",
                       t->merges.n);
    merges_add(&t->merges, left, right, id);
    return ST_OK;
}

void vocab_finish(struct tok *t)
{
    static const char *const end[] = { "<|endoftext|>", "<|end_of_text|>", "</s>", "<eos>" };
    for (size_t i = 0; i < N_OF(end) && t->eod < 0; i++)
        t->eod = tok_id(t, end[i]);
    struct hasher *h = hasher_new();
    hasher_whole(h, t->splitter);
    hasher_whole(h, t->ignore_merges);
    hasher_whole(h, t->vocab_size);
    for (uint32_t id = 0; id < t->vocab_size; id++) {
        hasher_whole(h, t->token[id].kind);
        hasher_whole(h, t->token[id].n_bytes);
        hasher_add(h, token_bytes(t, id), t->token[id].n_bytes);
    }
    for (size_t i = 0; i < t->merges.n; i++) {
        hasher_whole(h, t->merges.merge[i].left);
        hasher_whole(h, t->merges.merge[i].right);
    }
    if (t->nfc) /* only then: other tokenizers keep the digest that token files name */
        hasher_add(h, "NFC", 3);
    t->digest = hasher_digest(h);
    hasher_free(h);
}

int tok_vocab_size(const struct tok *t)
{
    return (int)t->vocab_size;
}

size_t tok_n_merges(const struct tok *t)
{
    return t->merges.n;
}

bool tok_normalizes(const struct tok *t)
{
    return t->nfc;
}

enum st tok_check_bytes(const struct tok *t, struct err *err)
{
    if (!t->nfc)
        return ST_OK;
    return err_set(
        err, ST_UNSUPPORTED,
        "the tokenizer brings text to NFC first, so that its tokens do not always stand for "
        "the bytes given, which bits per byte counts; take a copy of its tokenizer.json with "
        "\"normalizer\": null (the same ids for text in NFC, and every byte kept)");
}

size_t tok_room(const struct tok *t, size_t n_bytes)
{
    assert(n_bytes < SIZE_MAX / NFC_GROWTH / sizeof(uint32_t));
    return t->nfc ? NFC_GROWTH * n_bytes : n_bytes;
}

int64_t tok_eod(const struct tok *t)
{
    return t->eod;
}

int64_t tok_id(const struct tok *t, const char *special)
{
    size_t n = strlen(special);
    for (size_t i = 0; i < t->n_whole; i++) {
        const struct token *k = &t->token[t->whole[i]];
        if (k->n_bytes == n && memcmp(t->blob.s + k->at, special, n) == 0)
            return t->whole[i];
    }
    return -1;
}

size_t tok_n_bytes(const struct tok *t, uint32_t id)
{
    bool text =
        id < t->vocab_size && (t->token[id].kind == TOKEN_TEXT || t->token[id].kind == TOKEN_ADDED);
    return text ? t->token[id].n_bytes : 0;
}

size_t tok_n_within(const struct tok *t, const uint32_t *ids, size_t n, size_t n_bytes)
{
    size_t k = 0;
    for (size_t at = 0; k < n && at < n_bytes; k++)
        at += tok_n_bytes(t, ids[k]);
    return k;
}

const char *tok_spelling(const struct tok *t, uint32_t id, size_t *n_bytes)
{
    if (id >= t->vocab_size || t->token[id].kind == TOKEN_ABSENT)
        return NULL;
    *n_bytes = t->token[id].n_bytes;
    return token_bytes(t, id);
}

struct digest tok_digest(const struct tok *t)
{
    return t->digest;
}

void tok_decode(const struct tok *t, const uint32_t *ids, size_t n, struct strbuf *out)
{
    for (size_t i = 0; i < n; i++)
        str_add(out, ids[i] < t->vocab_size ? token_bytes(t, ids[i]) : "", tok_n_bytes(t, ids[i]));
}
