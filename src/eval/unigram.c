/* eval/unigram.c - see unigram.h. */
#include "eval/unigram.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"

const struct unigram_conf unigram_defaults = { .eps = 0.5, .tau = 1e-5, .kappa = 10 };
const double unigram_level[UNIGRAM_LEVELS] = { 1, 10, 100 };
/* A factor of e^-2 to e^6: rarer in the source the further right. */
const double unigram_edge[UNIGRAM_BINS - 1] = { -2, -1, 0, 1, 2, 4, 6 };

struct unigram unigram_new(const char *name, int vocab_size)
{
    return (struct unigram){ .name = xstrdup(name),
                             .vocab_size = vocab_size,
                             .count = NEW_ARRAY(double, (size_t)vocab_size) };
}

void unigram_release(struct unigram *u)
{
    free(u->name);
    free(u->count);
    free(u->loss);
    free(u->n_loss);
    *u = (struct unigram){ 0 };
}

void unigram_add(struct unigram *u, const uint32_t *id, size_t n, int64_t eod)
{
    for (size_t i = 0; i < n; i++) {
        assert(id[i] < (uint32_t)u->vocab_size);
        if ((int64_t)id[i] == eod)
            continue;
        u->count[id[i]]++;
        u->n_tok++;
    }
}

enum { CHUNK = 1 << 14 };

enum st unigram_add_shard(struct unigram *u, const struct shard *s, struct err *err)
{
    uint32_t *id = NEW_ARRAY(uint32_t, CHUNK);
    uint64_t n_tok = shard_n_tok(s);
    enum st st = shard_check_ids(s, (uint32_t)u->vocab_size, err);
    for (uint64_t at = 0; at < n_tok && st == ST_OK; at += CHUNK) {
        size_t n = n_tok - at < CHUNK ? (size_t)(n_tok - at) : CHUNK;
        shard_copy_at(s, at, n, id);
        unigram_add(u, id, n, shard_eod(s));
        if (stop_asked())
            st = err_set(err, ST_INTERRUPTED, "interrupted while counting '%s'", u->name);
    }
    free(id);
    return st;
}

struct unigram unigram_mix(const char *name, const struct unigram *natural,
                           const struct unigram *synth, double share)
{
    struct unigram u = unigram_new(name, natural->vocab_size);
    double n_natural = share < 1 ? natural->n_tok / (1 - share) : INFINITY,
           n_synth = share > 0 ? synth->n_tok / share : INFINITY, n = fmin(n_natural, n_synth);
    for (int w = 0; w < u.vocab_size; w++) {
        if (share < 1 && natural->n_tok > 0)
            u.count[w] += n * (1 - share) * natural->count[w] / natural->n_tok;
        if (share > 0 && synth->n_tok > 0)
            u.count[w] += n * share * synth->count[w] / synth->n_tok;
    }
    u.n_tok = n;
    u.natural = natural;
    u.synth = synth;
    u.share = share;
    return u;
}

enum st unigram_add_losses(struct unigram *u, struct model *m, const struct eval_domain *d,
                           struct err *err)
{
    enum { BATCH_TOKENS = 4096 };
    size_t len = (size_t)d->seq_len, batch = BATCH_TOKENS / len ? BATCH_TOKENS / len : 1;
    float *loss = NEW_ARRAY(float, batch *len);
    enum st st = ST_OK;
    if (!u->loss) {
        u->loss = NEW_ARRAY(double, (size_t)u->vocab_size);
        u->n_loss = NEW_ARRAY(double, (size_t)u->vocab_size);
    }
    for (size_t w = 0; w < d->n_window && st == ST_OK; w += batch) {
        size_t n = d->n_window - w < batch ? d->n_window - w : batch;
        const uint32_t *tok = d->tok + w * (len + 1);
        if (stop_asked())
            st = err_set(err, ST_INTERRUPTED, "interrupted while scoring '%s'", u->name);
        else
            st = model_losses(m, tok, (int)n, d->seq_len, loss, err);
        for (size_t i = 0; i < n * len && st == ST_OK; i++) {
            uint32_t target = tok[i / len * (len + 1) + i % len + 1];
            if (d->n_bytes[w * len + i] == 0)
                continue;
            u->loss[target] += loss[i];
            u->n_loss[target]++;
        }
    }
    free(loss);
    return st;
}

static double smoothed(const struct unigram *u, int w, double eps)
{
    if (u->natural)
        return u->share * smoothed(u->synth, w, eps) +
               (1 - u->share) * smoothed(u->natural, w, eps);
    return (u->count[w] + eps) / (u->n_tok + eps * u->vocab_size);
}

static bool is_blind(double p_v, double p_r, const struct unigram_conf *c)
{
    return p_v >= c->tau && p_r <= p_v / c->kappa;
}

/* Sums and means by group: blind spots, the rest, bins. */
struct mean {
    double sum, n;
};

static void mean_add(struct mean *m, const struct unigram *v, int w)
{
    if (v->loss) {
        m->sum += v->loss[w];
        m->n += v->n_loss[w];
    }
}

static double mean_of(const struct mean *m)
{
    return m->n > 0 ? m->sum / m->n : NAN;
}

static int bin_of(double ln_ratio)
{
    int k = 0;
    while (k < UNIGRAM_BINS - 1 && ln_ratio >= unigram_edge[k])
        k++;
    return k;
}

void unigram_compare(struct unigram_score *out, const struct unigram *r, const struct unigram *v,
                     const struct unigram_conf *c)
{
    struct mean blind = { 0 }, other = { 0 }, bin[UNIGRAM_BINS] = { { 0 } };
    double n_types = 0;
    assert(r->vocab_size == v->vocab_size);
    memset(out, 0, sizeof *out);
    for (int w = 0; w < v->vocab_size; w++) {
        double p_r = smoothed(r, w, c->eps), p_s = smoothed(v, w, c->eps),
               p_v = v->n_tok > 0 ? v->count[w] / v->n_tok : 0, half = 0.5 * (p_v + p_r);
        out->kl_reverse += p_r * log(p_r / p_s);
        out->js += 0.5 * p_r * log(p_r / half);
        if (p_v <= 0)
            continue;
        double ln_ratio = log(p_v / p_r);
        int k = bin_of(ln_ratio);
        out->kl += p_v * ln_ratio;
        out->cross_entropy -= p_v * log(p_r);
        out->js += 0.5 * p_v * log(p_v / half);
        out->bin_mass[k] += p_v;
        mean_add(&bin[k], v, w);
        n_types++;
        for (int m = 0; m < UNIGRAM_LEVELS; m++)
            if (r->count[w] >= unigram_level[m]) {
                out->coverage[m] += p_v;
                out->coverage_types[m]++;
            }
        bool lacks = is_blind(p_v, p_r, c);
        out->n_blind += lacks;
        out->blind_mass += lacks ? p_v : 0;
        mean_add(lacks ? &blind : &other, v, w);
    }
    for (int m = 0; m < UNIGRAM_LEVELS; m++)
        out->coverage_types[m] = n_types > 0 ? out->coverage_types[m] / n_types : NAN;
    out->blind_loss = mean_of(&blind);
    out->other_loss = mean_of(&other);
    for (int k = 0; k < UNIGRAM_BINS; k++)
        out->bin_loss[k] = mean_of(&bin[k]);
}

static int by_nats(const void *a, const void *b)
{
    const struct unigram_token *x = a, *y = b;
    if (x->nats != y->nats)
        return x->nats > y->nats ? -1 : 1;
    return (x->id > y->id) - (x->id < y->id);
}

size_t unigram_top(struct unigram_token *out, size_t n_max, const struct unigram *r,
                   const struct unigram *v, const struct unigram_conf *c, bool over)
{
    struct unigram_token *all = NEW_ARRAY(struct unigram_token, (size_t)v->vocab_size);
    size_t n = 0;
    for (int w = 0; w < v->vocab_size; w++) {
        double p_r = smoothed(r, w, c->eps), p_v = v->n_tok > 0 ? v->count[w] / v->n_tok : 0;
        double nats = over      ? p_r * log(p_r / smoothed(v, w, c->eps))
                      : p_v > 0 ? p_v * log(p_v / p_r)
                                : 0;
        if (nats > 0)
            all[n++] = (struct unigram_token){ (uint32_t)w, p_v, p_r, nats, is_blind(p_v, p_r, c) };
    }
    qsort(all, n, sizeof *all, by_nats);
    n = n < n_max ? n : n_max;
    if (n)
        memcpy(out, all, n * sizeof *out);
    free(all);
    return n;
}
