/*
 * tok/encoder.c - text to ids: split, look the word up among those seen, merge it if it is new.
 *
 * Two tables, each a place per hash that the newest word takes over: words of at most 15 bytes and
 * 4 ids in 32-byte entries compared as two whole numbers, which is nearly all of them; others in
 * larger entries, up to 60 bytes and 16 ids. Anything beyond is merged every time.
 */
#include "tok/encoder.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "tok/unicode.h"
#include "tok/vocab.h"

enum {
    SHORT_BITS = 15,
    SHORT_BYTES = 15,
    SHORT_IDS = 4,
    LONG_BITS = 12,
    LONG_BYTES = 60,
    LONG_IDS = 16,
    MAX_IDLE = 64
};

struct short_entry { /* the length stands in the top byte of hi: 0 is free */
    uint64_t lo, hi;
    uint32_t id[SHORT_IDS]; /* unused ones are NO_TOKEN */
};

struct long_entry {
    uint16_t n_bytes, n_id; /* n_bytes 0: free */
    char bytes[LONG_BYTES];
    uint32_t id[LONG_IDS];
};

struct encoder {
    struct bpe_scratch scratch;
    struct strbuf known; /* a word without the bytes that have no token */
    struct nfc nfc;
    struct short_entry brief[1 << SHORT_BITS];
    struct long_entry wide[1 << LONG_BITS];
};

struct encoder_pool {
    _Atomic(struct encoder *) idle[MAX_IDLE];
};

struct encoder_pool *encoder_pool_new(void)
{
    return NEW(struct encoder_pool);
}

static void encoder_free(struct encoder *e)
{
    if (e) {
        bpe_scratch_release(&e->scratch);
        str_release(&e->known);
        nfc_release(&e->nfc);
    }
    free(e);
}

void encoder_pool_free(struct encoder_pool *p)
{
    for (int i = 0; p && i < MAX_IDLE; i++)
        encoder_free(atomic_load(&p->idle[i]));
    free(p);
}

static struct encoder *take(struct encoder_pool *p)
{
    for (int i = 0; i < MAX_IDLE; i++) {
        struct encoder *e = atomic_exchange(&p->idle[i], NULL);
        if (e)
            return e;
    }
    return NEW(struct encoder);
}

static void give_back(struct encoder_pool *p, struct encoder *e)
{
    for (int i = 0; i < MAX_IDLE; i++) {
        struct encoder *none = NULL;
        if (atomic_compare_exchange_strong(&p->idle[i], &none, e))
            return;
    }
    encoder_free(e);
}

static size_t merge_word(const struct tok *t, struct encoder *e, const uint8_t *word, size_t n,
                         uint32_t *ids)
{
    if (t->ignore_merges && n <= TOK_MAX_TOKEN_BYTES) {
        uint32_t id = vocab_find(t, word, n);
        if (id != NO_TOKEN) {
            ids[0] = id;
            return 1;
        }
    }
    if (t->lacks_bytes) {
        str_clear(&e->known);
        for (size_t i = 0; i < n; i++)
            if (t->merges.byte_id[word[i]] != NO_TOKEN)
                str_addc(&e->known, (char)word[i]);
        if (e->known.n == 0)
            return 0;
        word = (const uint8_t *)e->known.s;
        n = e->known.n;
    }
    return bpe_word(&t->merges, &e->scratch, word, n, ids);
}

static size_t wide_word(const struct tok *t, struct encoder *e, const uint8_t *word, size_t n,
                        uint32_t *ids)
{
    if (n > LONG_BYTES)
        return merge_word(t, e, word, n, ids);
    struct long_entry *slot = &e->wide[hash64(word, n, 0) & ((1 << LONG_BITS) - 1)];
    if (slot->n_bytes == n && memcmp(slot->bytes, word, n) == 0) {
        memcpy(ids, slot->id, slot->n_id * sizeof *ids);
        return slot->n_id;
    }
    size_t n_id = merge_word(t, e, word, n, ids);
    if (n_id <= LONG_IDS) {
        slot->n_bytes = (uint16_t)n;
        slot->n_id = (uint16_t)n_id;
        memcpy(slot->bytes, word, n);
        memcpy(slot->id, ids, n_id * sizeof *ids);
    }
    return n_id;
}

/* The word as two numbers, the missing bytes zero, its length in the top byte. */
static inline void word_key(const uint8_t *word, size_t n, const uint8_t *end, uint64_t key[2])
{
    key[0] = key[1] = 0;
    if (end - word >= 16) {
        memcpy(key, word, 16);
        if (n < 8) {
            key[0] &= ((uint64_t)1 << 8 * n) - 1;
            key[1] = 0;
        } else {
            key[1] &= ((uint64_t)1 << 8 * (n - 8)) - 1;
        }
    } else {
        memcpy(key, word, n);
    }
    key[1] |= (uint64_t)n << 56;
}

/* Text between whole tokens. */
static size_t encode_words(const struct tok *t, struct encoder *e, const uint8_t *p,
                           const uint8_t *end, uint32_t *ids)
{
    uint32_t *out = ids;
    if (t->nfc) {
        size_t n_bytes = (size_t)(end - p);
        p = nfc_text(&e->nfc, p, &n_bytes);
        end = p + n_bytes;
    }
    for (size_t n; p < end; p += n) {
        n = split_next(t->splitter, p, end);
        if (n > SHORT_BYTES) {
            if (n > BPE_MAX_WORD)
                n = BPE_MAX_WORD;
            out += wide_word(t, e, p, n, out);
            continue;
        }
        uint64_t key[2];
        word_key(p, n, end, key);
        uint64_t h = (key[0] ^ key[1] * 0x9E3779B97F4A7C15u) * 0xD6E8FEB86659FD93u;
        struct short_entry *slot = &e->brief[h >> (64 - SHORT_BITS)];
        if (slot->lo == key[0] && slot->hi == key[1]) {
            for (int i = 0; i < SHORT_IDS && slot->id[i] != NO_TOKEN; i++)
                *out++ = slot->id[i];
            continue;
        }
        uint32_t id[SHORT_BYTES] = { 0 };
        size_t n_id = merge_word(t, e, p, n, id);
        memcpy(out, id, n_id * sizeof *id);
        out += n_id;
        if (n_id <= SHORT_IDS) {
            slot->lo = key[0], slot->hi = key[1];
            for (size_t i = 0; i < SHORT_IDS; i++)
                slot->id[i] = i < n_id ? id[i] : NO_TOKEN;
        }
    }
    return (size_t)(out - ids);
}

/* The whole token whose spelling begins at p, the longest of several; NO_TOKEN if none does. */
static uint32_t whole_at(const struct tok *t, const uint8_t *p, const uint8_t *end, bool special)
{
    if (!t->whole_first[*p])
        return NO_TOKEN;
    for (size_t i = 0; i < t->n_whole; i++) {
        const struct token *k = &t->token[t->whole[i]];
        if ((special || k->kind == TOKEN_ADDED) && (size_t)(end - p) >= k->n_bytes &&
            memcmp(t->blob.s + k->at, p, k->n_bytes) == 0)
            return t->whole[i];
    }
    return NO_TOKEN;
}

static size_t encode(const struct tok *t, const char *text, size_t n_bytes, uint32_t *ids,
                     bool special)
{
    const uint8_t *p = (const uint8_t *)text, *end = p + n_bytes, *from = p;
    struct encoder *e = take(t->encoders);
    size_t n = 0;
    if (special ? t->n_whole > 0 : t->has_added)
        while (p < end) {
            uint32_t id = whole_at(t, p, end, special);
            if (id == NO_TOKEN) {
                p++;
                continue;
            }
            n += encode_words(t, e, from, p, ids + n);
            ids[n++] = id;
            p += t->token[id].n_bytes;
            from = p;
        }
    n += encode_words(t, e, from, end, ids + n);
    give_back(t->encoders, e);
    return n;
}

size_t tok_encode(const struct tok *t, const char *text, size_t n_bytes, uint32_t *ids)
{
    return encode(t, text, n_bytes, ids, false);
}

size_t tok_encode_special(const struct tok *t, const char *text, size_t n_bytes, uint32_t *ids)
{
    return encode(t, text, n_bytes, ids, true);
}
