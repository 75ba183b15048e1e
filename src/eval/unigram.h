/*
 * eval/unigram.h - which tokens a training set lacks that held-out text needs, by their
 * frequencies.
 *
 * With counts c of a training set R and of a domain V over a vocabulary of W tokens
 * (end-of-document tokens stand for no text and are not counted):
 *
 *     p_R(w) = (c_R(w) + eps) / (|R| + eps W)         p_V(w) = c_V(w) / |V|
 *     kl                sum p_V ln(p_V / p_R), nats          cross_entropy   - sum p_V ln p_R
 *     kl_reverse        sum p_R ln(p_R / p_V), p_V smoothed alike
 *     js                Jensen-Shannon divergence of p_V and p_R
 *     coverage at m     share of V's tokens that R has at least m times; the same over V's types
 *     blind spots       tokens with p_V >= tau and p_R <= p_V / kappa
 *
 * A mixture at share s has p = s p_synth + (1 - s) p_natural, and for coverage the counts expected
 * in the largest sample of that share in which no token is drawn twice.
 *
 *     struct unigram v = unigram_new("books", vocab_size);
 *     unigram_add(&v, ids, n, eod);
 *     unigram_compare(&score, &r, &v, &conf);
 *
 * Threads: no shared state.
 */
#ifndef MIXLAW_EVAL_UNIGRAM_H
#define MIXLAW_EVAL_UNIGRAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "data/shard.h"
#include "eval/domain.h"
#include "model/model.h"

struct unigram {
    char *name;
    int vocab_size;
    double *count; /* [vocab_size]; whole numbers but in mixtures */
    double n_tok;  /* sum of them */

    /* A mixture: its parts, which must outlive it, and the share of the second; NULL otherwise. */
    const struct unigram *natural, *synth;
    double share;

    /* Losses of a model on these tokens, when there is one: summed by token; NULL otherwise. */
    double *loss, *n_loss;
};
struct unigram unigram_new(const char *name, int vocab_size);
void unigram_release(struct unigram *u);
void unigram_add(struct unigram *u, const uint32_t *id, size_t n, int64_t eod);
MUST_USE enum st unigram_add_shard(struct unigram *u, const struct shard *s, struct err *err);
struct unigram unigram_mix(const char *name, const struct unigram *natural,
                           const struct unigram *synth, double share);

/* Adds a model's loss on each token of the domain's windows. */
MUST_USE enum st unigram_add_losses(struct unigram *u, struct model *m, const struct eval_domain *d,
                                    struct err *err);

struct unigram_conf {
    double eps, tau, kappa;
};
extern const struct unigram_conf unigram_defaults; /* .5, 1e-5, 10 */

enum { UNIGRAM_LEVELS = 3, UNIGRAM_BINS = 8 };
extern const double unigram_level[UNIGRAM_LEVELS];  /* 1, 10, 100 */
extern const double unigram_edge[UNIGRAM_BINS - 1]; /* of the bins of ln(p_V / p_R), ascending */

struct unigram_score {
    double kl, kl_reverse, js, cross_entropy;
    double coverage[UNIGRAM_LEVELS], coverage_types[UNIGRAM_LEVELS];
    size_t n_blind;
    double blind_mass; /* of p_V */
    double blind_loss,
        other_loss; /* mean loss on blind spots and on the rest; NAN without a model */
    double bin_mass[UNIGRAM_BINS], bin_loss[UNIGRAM_BINS]; /* by ln(p_V / p_R); loss NAN without */
};
void unigram_compare(struct unigram_score *out, const struct unigram *r, const struct unigram *v,
                     const struct unigram_conf *c);

/* The tokens that add most to kl (over false: R has too few of them) or to kl_reverse (over true).
 */
struct unigram_token {
    uint32_t id;
    double p_domain, p_source, nats; /* nats: what it adds */
    bool is_blind;
};
size_t unigram_top(struct unigram_token *out, size_t n_max, const struct unigram *r,
                   const struct unigram *v, const struct unigram_conf *c, bool over);

#endif
