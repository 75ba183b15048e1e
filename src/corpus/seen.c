/* corpus/seen.c - see seen.h: open addressing with linear probing, at most half full. */
#include "corpus/seen.h"

#include <stdlib.h>

#include "base/mem.h"

/* Zero marks an empty slot. */
static struct digest key_of(struct digest d)
{
    if (!d.hi && !d.lo)
        d.lo = 1;
    return d;
}

/* The slot that holds the key, or the empty one where it belongs. */
static size_t find(const struct seen *s, struct digest key)
{
    size_t mask = s->n_slots - 1, i = key.lo & mask;
    while ((s->slot[i].hi || s->slot[i].lo) && digest_cmp(s->slot[i], key) != 0)
        i = (i + 1) & mask;
    return i;
}

static void grow(struct seen *s, bool numbered)
{
    struct seen bigger = { .n_slots = s->n_slots ? 2 * s->n_slots : 1024, .n = s->n };
    bigger.slot = NEW_ARRAY(struct digest, bigger.n_slots);
    if (numbered)
        bigger.number = NEW_ARRAY(uint32_t, bigger.n_slots);
    for (size_t i = 0; i < s->n_slots; i++) {
        if (!s->slot[i].hi && !s->slot[i].lo)
            continue;
        size_t to = find(&bigger, s->slot[i]);
        bigger.slot[to] = s->slot[i];
        if (numbered)
            bigger.number[to] = s->number[i];
    }
    free(s->slot);
    free(s->number);
    *s = bigger;
}

static bool put(struct seen *s, struct digest d, bool numbered, uint32_t number)
{
    if (2 * (s->n + 1) > s->n_slots)
        grow(s, numbered);
    struct digest key = key_of(d);
    size_t i = find(s, key);
    if (s->slot[i].hi || s->slot[i].lo)
        return false;
    s->slot[i] = key;
    if (numbered)
        s->number[i] = number;
    s->n++;
    return true;
}

bool seen_add(struct seen *s, struct digest d)
{
    return put(s, d, false, 0);
}

bool seen_put(struct seen *s, struct digest d, uint32_t number)
{
    return put(s, d, true, number);
}

bool seen_number(const struct seen *s, struct digest d, uint32_t *number)
{
    if (!s->n)
        return false;
    size_t i = find(s, key_of(d));
    if (!s->slot[i].hi && !s->slot[i].lo)
        return false;
    *number = s->number[i];
    return true;
}

void seen_release(struct seen *s)
{
    free(s->slot);
    free(s->number);
    *s = (struct seen){ 0 };
}

struct digest text_digest(const char *text, size_t n_bytes, struct strbuf *scratch)
{
    str_clear(scratch);
    str_reserve(scratch, n_bytes + 1);
    char *to = scratch->s;
    bool space = false;
    for (size_t i = 0; i < n_bytes; i++) {
        char c = text[i];
        if (c == ' ' || (c >= '\t' && c <= '\r')) {
            space = to > scratch->s;
            continue;
        }
        if (space)
            *to++ = ' ';
        space = false;
        *to++ = c;
    }
    return digest_of(scratch->s, (size_t)(to - scratch->s));
}
