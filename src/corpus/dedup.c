/* corpus/dedup.c - see dedup.h. */
#include "corpus/dedup.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "corpus/seen.h"

struct dedup {
    enum dedup_kind kind;
    struct seen texts; /* numbered in the order in which documents were kept */
    struct strbuf ids; /* of kept documents, each with its terminator */
    size_t *id_at;     /* where a document's id begins */
    size_t n, cap;
    struct minhash_index *runs;
    uint32_t *doc_of; /* of each text in runs: those of under 5 words are not there */
    size_t n_runs, cap_runs;
};

struct dedup *dedup_new(enum dedup_kind kind, double max_similar)
{
    struct dedup *d = NEW(struct dedup);
    d->kind = kind;
    if (kind == DEDUP_MINHASH)
        d->runs = minhash_index_new(max_similar);
    return d;
}

void dedup_free(struct dedup *d)
{
    if (!d)
        return;
    seen_release(&d->texts);
    str_release(&d->ids);
    minhash_index_free(d->runs);
    free(d->id_at);
    free(d->doc_of);
    free(d);
}

void dedup_look(const struct dedup *d, struct dedup_look *out, const char *text, size_t n_bytes,
                struct strbuf *scratch)
{
    if (d->kind == DEDUP_NONE)
        return;
    out->words = text_digest(text, n_bytes, scratch);
    if (d->kind == DEDUP_MINHASH)
        out->has_runs = minhash_of(&out->runs, text, n_bytes);
}

enum dedup_verdict dedup_find(const struct dedup *d, const struct dedup_look *look, const char **of)
{
    uint32_t which;
    *of = NULL;
    if (d->kind == DEDUP_NONE)
        return DEDUP_NEW;
    if (seen_number(&d->texts, look->words, &which)) {
        *of = d->ids.s + d->id_at[which];
        return DEDUP_SAME;
    }
    if (!look->has_runs || !minhash_index_find(d->runs, &look->runs, &which))
        return DEDUP_NEW;
    *of = d->ids.s + d->id_at[d->doc_of[which]];
    return DEDUP_NEAR;
}

void dedup_keep(struct dedup *d, const struct dedup_look *look, const char *id)
{
    if (d->kind == DEDUP_NONE)
        return;
    assert(d->n < UINT32_MAX);
    seen_put(&d->texts, look->words, (uint32_t)d->n);
    if (look->has_runs) {
        minhash_index_add(d->runs, &look->runs);
        GROW(d->doc_of, d->n_runs, d->cap_runs);
        d->doc_of[d->n_runs++] = (uint32_t)d->n;
    }
    GROW(d->id_at, d->n, d->cap);
    d->id_at[d->n++] = d->ids.n;
    str_add(&d->ids, id, strlen(id) + 1);
}
