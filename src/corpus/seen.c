/* corpus/seen.c - see seen.h: open addressing with linear probing, at most half full. */
#include "corpus/seen.h"

#include <stdlib.h>

#include "base/mem.h"

static bool put(struct seen *s, struct digest d)
{
    size_t mask = s->n_slots - 1, i = d.lo & mask;
    for (; s->slot[i].hi || s->slot[i].lo; i = (i + 1) & mask)
        if (digest_cmp(s->slot[i], d) == 0)
            return false;
    s->slot[i] = d;
    s->n++;
    return true;
}

bool seen_add(struct seen *s, struct digest d)
{
    if (!d.hi && !d.lo)
        d.lo = 1; /* zero marks an empty slot */
    if (2 * (s->n + 1) > s->n_slots) {
        struct seen bigger = { .n_slots = s->n_slots ? 2 * s->n_slots : 1024 };
        bigger.slot = NEW_ARRAY(struct digest, bigger.n_slots);
        for (size_t i = 0; i < s->n_slots; i++)
            if (s->slot[i].hi || s->slot[i].lo)
                put(&bigger, s->slot[i]);
        free(s->slot);
        *s = bigger;
    }
    return put(s, d);
}

void seen_release(struct seen *s)
{
    free(s->slot);
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
