/*
 * eval/score.h - a model's held-out loss on domains, and their unweighted mean.
 *
 *     st = eval_score(m, domain, n_domain, score, err);
 *     mean = eval_mean(score, n_domain);
 */
#ifndef MIXLAW_EVAL_SCORE_H
#define MIXLAW_EVAL_SCORE_H

#include "eval/bpb.h"
#include "eval/domain.h"
#include "model/generate.h"
#include "model/model.h"

struct eval_mean {
    double loss, bpb;        /* unweighted over domains; NaN for none or when one is NaN */
    uint64_t n_tok, n_bytes; /* all domains together */
};

/* One domain. Parameters stay as they are. A loss that is not finite is a result, not an error. */
MUST_USE enum st eval_score_domain(struct model *m, const struct eval_domain *d, struct bpb *out,
                                   struct err *err);
MUST_USE enum st eval_score(struct model *m, const struct eval_domain *d, size_t n, struct bpb *out,
                            struct err *err);
/* The same by the generator's engine, which reads GGUF files: only windows' scored parts go through
 * the head. */
MUST_USE enum st eval_score_domain_gen(struct gen *g, const struct eval_domain *d, struct bpb *out,
                                       struct err *err);
struct eval_mean eval_mean(const struct bpb *score, size_t n);

#endif
