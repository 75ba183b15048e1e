/* corpus/holdout.c - see holdout.h. */
#include "corpus/holdout.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"
#include "corpus/build.h"
#include "corpus/ngram.h"
#include "corpus/reader.h"

struct candidate {
    int n_near;     /* training documents that share a run of words with it */
    uint32_t last;  /* the last of them, so that each counts once */
    bool near_held; /* shares one with an earlier candidate */
};

struct holdout {
    char *path; /* of the temporary file */
    double share;
    struct doc_writer *w;
    struct reader *r;
    struct ngram_index *grams; /* owner: number of the candidate */
    struct candidate *candidate;
    size_t n, cap;
    size_t next;  /* candidate, when reading back */
    uint32_t doc; /* number of the training document at hand, from 1 */
    bool near;
};

enum st holdout_open(struct holdout **out, const char *dir, double share, struct err *err)
{
    struct holdout *h = NEW(struct holdout);
    h->path = path_join(dir, "spool.jsonl.zst");
    h->share = share;
    h->grams = ngram_new_owned(CONTAMINATION_WORDS);
    *out = NULL;
    enum st st = doc_writer_open(&h->w, h->path, err);
    if (st == ST_OK)
        *out = h;
    else
        holdout_close(h);
    return st;
}

static bool is_candidate(const struct holdout *h, const char *id)
{
    double at = (double)(hash64(id, strlen(id), 0x48454C44) >> 11) * 0x1p-53;
    return at < h->share;
}

enum st holdout_add(struct holdout *h, const struct doc *d, struct err *err)
{
    if (is_candidate(h, d->id)) {
        GROW(h->candidate, h->n, h->cap);
        bool alone = ngram_claim(h->grams, d->text, d->n_bytes, (uint32_t)h->n);
        h->candidate[h->n++] = (struct candidate){ .near_held = !alone };
    }
    return doc_write(h->w, d, err);
}

static bool stays(const struct candidate *c)
{
    return !c->near_held && c->n_near <= HOLDOUT_NEAR;
}

static void count_near(void *arg, uint32_t owner)
{
    struct holdout *h = arg;
    struct candidate *c = &h->candidate[owner];
    if (c->last != h->doc) {
        c->last = h->doc;
        c->n_near++;
    }
}

static void look_near(void *arg, uint32_t owner)
{
    struct holdout *h = arg;
    h->near = h->near || stays(&h->candidate[owner]);
}

static enum st reopen(struct holdout *h, struct err *err)
{
    reader_close(h->r);
    h->r = NULL;
    h->next = 0;
    return reader_open(&h->r, h->path, &(struct reader_conf){ .strict = true }, err);
}

enum st holdout_decide(struct holdout *h, struct err *err)
{
    struct doc d;
    enum st st = doc_writer_commit(h->w, err);
    doc_writer_close(h->w);
    h->w = NULL;
    if (st == ST_OK)
        st = reopen(h, err);
    while (st == ST_OK && (st = reader_next(h->r, &d, err)) == ST_OK) {
        if (stop_asked())
            return err_set(err, ST_INTERRUPTED, "stopped; the same command starts this again");
        if (is_candidate(h, d.id))
            continue;
        h->doc++;
        ngram_owners(h->grams, d.text, d.n_bytes, count_near, h);
    }
    return st == ST_END ? reopen(h, err) : st;
}

enum st holdout_next(struct holdout *h, struct doc *d, enum held *where, struct err *err)
{
    enum st st = reader_next(h->r, d, err);
    if (st != ST_OK)
        return st;
    if (is_candidate(h, d->id)) {
        *where = stays(&h->candidate[h->next++]) ? HELD_YES : HELD_NEAR_TRAIN;
        return ST_OK;
    }
    h->near = false;
    ngram_owners(h->grams, d->text, d->n_bytes, look_near, h);
    *where = h->near ? HELD_NEAR_HELD : HELD_NO;
    return ST_OK;
}

void holdout_close(struct holdout *h)
{
    if (!h)
        return;
    struct err err;
    doc_writer_close(h->w);
    reader_close(h->r);
    if (h->path && dir_remove(h->path, &err) < 0)
        log_warn("%s", err.msg);
    ngram_free(h->grams);
    free(h->candidate);
    free(h->path);
    free(h);
}
