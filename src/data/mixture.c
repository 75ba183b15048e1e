/*
 * data/mixture.c - see mixture.h.
 *
 * A source's stream is endless: the documents of its pool in seeded order, then all of them again
 * in another order, and so on, without a gap. It is cut at multiples of L = seq_len, and the pieces
 * that lie within one epoch are shuffled among themselves: window w is the tokens [v L, v L + L], v
 * the place that w has in that shuffle. A piece on the border of two epochs stays where it is, so
 * the first k windows hold min(k L, pool) different tokens, exactly. Without the shuffle a manual
 * of a hundred windows is all that a hundred small steps see, and where it falls is most of what
 * tells seeds apart. (Documents shuffled, packed, then samples shuffled: as Megatron-LM's
 * GPTDataset.)
 *
 * A synthetic slot that is the k-th of its source takes window k. A natural slot i takes window i
 * while i is below W, the number of windows in the pool: what stands there does not depend on the
 * share. Natural slots from W on first take, in order, the windows whose slots were synthetic, so
 * that nothing is repeated before the pool is used up; then windows W, W + 1, ... follow.
 */
#include "data/mixture.h"

#include <assert.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/rng.h"
#include "data/slots.h"

enum { N_KEPT = 4 }; /* epochs' orders kept: readers of one place and of the next */
static const uint64_t small_bin = 1 << 20; /* bytes; files up to here are read at open */

struct order { /* of the pool's documents in one epoch, and of the windows within it */
    uint64_t epoch;
    uint32_t *doc;   /* [n_doc] */
    uint64_t *begin; /* [n_doc + 1] in tokens of the epoch */
    uint64_t first;  /* the first window of the stream that begins in this epoch */
    uint32_t *place; /* [n_place] window first + i is cut at (first + place[i]) L */
    size_t n_place;
    int n_user; /* kept[] counts as one; changed under the lock */
};

struct source {
    char *name, *purpose, *window_purpose; /* purposes: name the random numbers of its orders */
    struct shard *shard;
    double share;
    uint64_t lo, hi;   /* its points, see slots.h */
    size_t n_doc;      /* of the pool */
    uint64_t n_tok;    /* of the pool */
    uint32_t *pool;    /* [n_doc] the pool in the order of epoch 0 */
    uint64_t last_tok; /* tokens of pool[n_doc - 1], which max_tok may cut */
    struct order *kept[N_KEPT];
    int next_kept;
};

struct mixture {
    struct source *source;
    size_t n_source;
    int seq_len, vocab_size;
    uint64_t seed;
    uint32_t offset;
    pthread_mutex_t *lock; /* of kept[]; a pointer, so that reading a const mixture can take it */
};

static void order_drop(struct order *o)
{
    if (!o || --o->n_user > 0)
        return;
    free(o->doc);
    free(o->begin);
    free(o->place);
    free(o);
}

static uint64_t pool_doc_len(const struct source *s, uint32_t doc)
{
    return doc == s->pool[s->n_doc - 1] ? s->last_tok : shard_doc_len(s->shard, doc);
}

/* Shuffles the windows that lie wholly in the epoch. */
static void place_windows(const struct mixture *m, const struct source *s, struct order *o)
{
    uint64_t L = (uint64_t)m->seq_len, begin = o->epoch * s->n_tok, end = begin + s->n_tok;
    struct rng rng;
    o->first = (begin + L - 1) / L;
    o->n_place = end / L > o->first ? (size_t)(end / L - o->first) : 0;
    o->place = xmalloc((o->n_place ? o->n_place : 1) * sizeof *o->place);
    for (size_t i = 0; i < o->n_place; i++)
        o->place[i] = (uint32_t)i;
    rng_init(&rng, m->seed, s->window_purpose, o->epoch);
    rng_shuffle(&rng, o->place, o->n_place);
}

static struct order *order_new(const struct mixture *m, const struct source *s, uint64_t epoch)
{
    struct order *o = NEW(struct order);
    o->epoch = epoch;
    o->n_user = 1;
    o->doc = xmalloc(s->n_doc * sizeof *o->doc);
    o->begin = xmalloc((s->n_doc + 1) * sizeof *o->begin);
    memcpy(o->doc, s->pool, s->n_doc * sizeof *o->doc);
    if (epoch > 0) {
        struct rng rng;
        rng_init(&rng, m->seed, s->purpose, epoch);
        rng_shuffle(&rng, o->doc, s->n_doc);
    }
    uint64_t at = 0;
    for (size_t i = 0; i < s->n_doc; i++) {
        o->begin[i] = at;
        at += pool_doc_len(s, o->doc[i]);
    }
    o->begin[s->n_doc] = at;
    assert(at == s->n_tok);
    place_windows(m, s, o);
    return o;
}

/* Lends the order of an epoch, made here when it is not there; order_return gives it back. */
static struct order *order_lend(const struct mixture *m, struct source *s, uint64_t epoch)
{
    struct order *o = NULL;
    pthread_mutex_lock(m->lock);
    for (int i = 0; i < N_KEPT && !o; i++)
        if (s->kept[i] && s->kept[i]->epoch == epoch)
            o = s->kept[i];
    if (!o) {
        o = order_new(m, s, epoch);
        order_drop(s->kept[s->next_kept]);
        s->kept[s->next_kept] = o;
        s->next_kept = (s->next_kept + 1) % N_KEPT;
    }
    o->n_user++;
    pthread_mutex_unlock(m->lock);
    return o;
}

static void order_return(const struct mixture *m, struct order *o)
{
    pthread_mutex_lock(m->lock);
    order_drop(o);
    pthread_mutex_unlock(m->lock);
}

/* Where the stream is cut for a window, in windows. */
static uint64_t window_place(const struct mixture *m, struct source *s, uint64_t window)
{
    struct order *o = order_lend(m, s, window * (uint64_t)m->seq_len / s->n_tok);
    uint64_t i = window - o->first;
    uint64_t place = i < o->n_place ? o->first + o->place[i] : window;
    order_return(m, o);
    return place;
}

/* n tokens of the source's stream from position at. Each id is looked at: reading whole files
 * beforehand would take longer than a small run's first step, and say nothing about what happens to
 * them later. */
static enum st stream_copy(const struct mixture *m, struct source *s, uint64_t at, size_t n,
                           uint32_t *out, struct err *err)
{
    enum st st = ST_OK;
    while (n > 0 && st == ST_OK) {
        struct order *o = order_lend(m, s, at / s->n_tok);
        uint64_t pos = at % s->n_tok;
        size_t lo = 0,
               hi = s->n_doc; /* the document that holds pos: begin[lo] <= pos < begin[hi] */
        while (hi - lo > 1) {
            size_t mid = lo + (hi - lo) / 2;
            if (o->begin[mid] <= pos)
                lo = mid;
            else
                hi = mid;
        }
        for (; n > 0 && lo < s->n_doc && st == ST_OK; lo++) {
            uint64_t left = o->begin[lo + 1] - pos;
            uint64_t in_bin = shard_doc_at(s->shard, o->doc[lo]) + (pos - o->begin[lo]);
            size_t k = left < n ? (size_t)left : n;
            shard_copy_at(s->shard, in_bin, k, out);
            st = shard_check_copied(s->shard, in_bin, out, k, (uint32_t)m->vocab_size, err);
            out += k, n -= k, at += k, pos += k;
        }
        order_return(m, o);
    }
    return st;
}

/* Shuffles the documents and keeps those of the first max_tok tokens, the last of them cut. */
static void make_pool(struct source *s, uint64_t seed, uint64_t max_tok)
{
    size_t n = shard_n_docs(s->shard);
    struct rng rng;
    s->pool = xmalloc((n ? n : 1) * sizeof *s->pool);
    for (size_t i = 0; i < n; i++)
        s->pool[i] = (uint32_t)i;
    rng_init(&rng, seed, s->purpose, 0);
    rng_shuffle(&rng, s->pool, n);
    if (max_tok == 0)
        max_tok = UINT64_MAX;
    while (s->n_doc < n && s->n_tok < max_tok) {
        uint64_t len = shard_doc_len(s->shard, s->pool[s->n_doc++]), left = max_tok - s->n_tok;
        s->last_tok = len < left ? len : left;
        s->n_tok += s->last_tok;
    }
}

static enum st open_source(struct source *s, const struct mixture_source *conf, int seq_len,
                           uint64_t seed, struct err *err)
{
    if (!(conf->share >= 0 && conf->share <= 1))
        return err_set(err, ST_USAGE, "the share of '%s' is %g, want 0 to 1", conf->name,
                       conf->share);
    s->name = xstrdup(conf->name);
    s->purpose = xasprintf("mixture source %s", conf->name);
    s->window_purpose = xasprintf("mixture windows %s", conf->name);
    s->share = conf->share;
    enum st st = shard_open(&s->shard, conf->prefix, err);
    if (st < 0)
        return err_in(err, st, "source '%s'", conf->name);
    if (shard_n_docs(s->shard) > UINT32_MAX)
        return err_set(err, ST_LIMIT, "source '%s' has over 2^32 documents", conf->name);
    make_pool(s, seed, conf->max_tok);
    if (s->n_tok / (uint64_t)seq_len >= UINT32_MAX)
        return err_set(err, ST_LIMIT, "source '%s' has over 2^32 windows", conf->name);
    if (s->n_tok == 0 && s->share > 0)
        return err_set(err, ST_USAGE, "source '%s' ('%s') has no tokens but a share of %g",
                       conf->name, conf->prefix, conf->share);
    return ST_OK;
}

/* One vocabulary for all. Ids are checked when they are drawn; small files, and those whose
 * manifest does not tell the vocabulary, also here, so that a damaged one is refused at once. */
static enum st agree_on_vocabulary(struct mixture *m, struct err *err)
{
    const char *first = NULL, *first_name = NULL;
    for (size_t i = 0; i < m->n_source; i++) {
        const struct source *s = &m->source[i];
        const char *tok = js_get_text(shard_manifest(s->shard), "tokenizer", NULL);
        int vocab = shard_vocab_size(s->shard);
        if (tok && first && strcmp(tok, first) != 0)
            return err_set(err, ST_USAGE, "'%s' and '%s' are tokens of different tokenizers",
                           first_name, s->name);
        if (vocab && m->vocab_size && vocab != m->vocab_size)
            return err_set(err, ST_USAGE, "source '%s' has a vocabulary of %d, others of %d",
                           s->name, vocab, m->vocab_size);
        if (tok && !first)
            first = tok, first_name = s->name;
        if (vocab)
            m->vocab_size = vocab;
    }
    int known = m->vocab_size;
    enum st st = ST_OK;
    for (size_t i = 0; i < m->n_source && st == ST_OK; i++) {
        const struct shard *s = m->source[i].shard;
        uint64_t n_bin = shard_n_tok(s) * (unsigned)shard_width(s);
        if (known && (n_bin <= small_bin || !shard_vocab_size(s))) {
            st = shard_check_ids(s, (uint32_t)known, err);
        } else if (!known && shard_n_tok(s)) {
            uint32_t max = shard_max_id(s);
            if (max >= INT32_MAX)
                st = err_set(err, ST_LIMIT, "'%s.bin' has token %u, want below %d", shard_prefix(s),
                             max, INT32_MAX);
            else if ((int)max >= m->vocab_size)
                m->vocab_size = (int)max + 1;
        }
    }
    return st;
}

/* The synthetic sources' intervals of points lie one after the other from 0, the natural one's
 * above them: at a larger synthetic share the natural slots are some of those at a smaller one. */
static enum st share_out(struct mixture *m, struct err *err)
{
    double sum = 0, before = 0;
    for (size_t i = 0; i < m->n_source; i++)
        sum += m->source[i].share;
    if (fabs(sum - 1) > 1e-6)
        return err_set(err, ST_USAGE, "the shares sum to %.9g, want 1", sum);
    for (size_t i = 1; i <= m->n_source; i++) {
        struct source *s = &m->source[i % m->n_source]; /* the natural one last */
        s->lo = (uint64_t)llround(before / sum * (double)SLOT_RANGE);
        before += s->share;
        s->hi =
            i == m->n_source ? SLOT_RANGE : (uint64_t)llround(before / sum * (double)SLOT_RANGE);
        if (s->share == 0)
            s->hi = s->lo; /* not even a rounding */
    }
    return ST_OK;
}

enum st mixture_open(struct mixture **out, const struct mixture_source *source, size_t n_source,
                     int seq_len, uint64_t seed, struct err *err)
{
    *out = NULL;
    if (n_source == 0 || seq_len < 1)
        return err_set(err, ST_USAGE, "a mixture wants a source and windows of at least 1 token");
    struct mixture *m = NEW(struct mixture);
    struct rng rng;
    m->source = NEW_ARRAY(struct source, n_source);
    m->n_source = n_source;
    m->seq_len = seq_len;
    m->seed = seed;
    m->lock = NEW(pthread_mutex_t);
    pthread_mutex_init(m->lock, NULL);
    rng_init(&rng, seed, "mixture slots", 0);
    m->offset = (uint32_t)(rng_u64(&rng) >> 32);
    enum st st = ST_OK;
    for (size_t i = 0; i < n_source && st == ST_OK; i++)
        st = open_source(&m->source[i], &source[i], seq_len, seed, err);
    if (st == ST_OK)
        st = agree_on_vocabulary(m, err);
    if (st == ST_OK)
        st = share_out(m, err);
    if (st == ST_OK) {
        *out = m;
        m = NULL;
    }
    mixture_close(m);
    return st;
}

void mixture_close(struct mixture *m)
{
    if (!m)
        return;
    for (size_t i = 0; i < m->n_source; i++) {
        struct source *s = &m->source[i];
        for (int k = 0; k < N_KEPT; k++)
            order_drop(s->kept[k]);
        shard_close(s->shard);
        free(s->pool);
        free(s->name);
        free(s->purpose);
        free(s->window_purpose);
    }
    pthread_mutex_destroy(m->lock);
    free(m->lock);
    free(m->source);
    free(m);
}

int mixture_vocab_size(const struct mixture *m)
{
    return m->vocab_size;
}

size_t mixture_slot_source(const struct mixture *m, uint64_t slot)
{
    uint32_t point = slot_point(m->offset, slot);
    for (size_t i = 0; i < m->n_source; i++)
        if (point >= m->source[i].lo && point < m->source[i].hi)
            return i;
    assert(!"the intervals leave no gap");
    return 0;
}

/* Of the natural slots, in order, the place that this one takes in the stream. */
static uint64_t natural_window(const struct mixture *m, const struct source *s, uint64_t slot)
{
    uint64_t n_window = s->n_tok / (uint64_t)m->seq_len;
    if (slot < n_window)
        return slot;
    uint64_t rank = slots_count(m->offset, slot, s->lo, s->hi);
    if (rank >= n_window)
        return rank;
    uint64_t n_done = slots_count(m->offset, n_window, s->lo, s->hi);
    return slots_find(m->offset, n_window, 0, s->lo, rank - n_done);
}

/* Which window of its source a slot holds, in the order in which they are drawn. */
static uint64_t slot_window(const struct mixture *m, uint64_t slot)
{
    size_t i = mixture_slot_source(m, slot);
    const struct source *s = &m->source[i];
    return i == 0 ? natural_window(m, s, slot) : slots_count(m->offset, slot, s->lo, s->hi);
}

enum st mixture_window(const struct mixture *m, uint64_t slot, uint32_t *tok, struct err *err)
{
    struct source *s = &m->source[mixture_slot_source(m, slot)];
    uint64_t at = window_place(m, s, slot_window(m, slot)) * (uint64_t)m->seq_len;
    return err_in(err, stream_copy(m, s, at, (size_t)m->seq_len + 1, tok, err), "source '%s'",
                  s->name);
}

void mixture_use(const struct mixture *m, uint64_t n_slot, struct mixture_use *use)
{
    for (size_t i = 0; i < m->n_source; i++) {
        const struct source *s = &m->source[i];
        uint64_t n = slots_count(m->offset, n_slot, s->lo, s->hi) * (uint64_t)m->seq_len;
        use[i] = (struct mixture_use){
            .name = s->name,
            .n_tok = n,
            .n_tok_unique = n < s->n_tok ? n : s->n_tok,
            .share = n_slot ? (double)n / ((double)n_slot * m->seq_len) : 0,
            .n_epoch = s->n_tok ? (double)n / (double)s->n_tok : 0,
        };
    }
}
