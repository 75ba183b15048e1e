/*
 * law/advise.h - from a table of runs to advice: which kind, which share, how sure.
 *
 * At the decision point (the largest measured N and D unless asked otherwise) every (kind, share)
 * is compared with natural at the same seeds; intervals by t with the seed noise pooled over arms,
 * many comparisons corrected by Holm. Controls: kind `shuffle` must come out worse, arms `aa*` of
 * kind natural must come out "cannot tell", kind `copy` is reported beside; none is ever advised.
 *
 * Result keys: kind share share_lo share_hi equal_set[] loss loss_lo loss_hi tokens_saved
 * breakeven_tokens verdict runs_needed reasons[] controls[] choices[] smallest_effect level
 * threshold kinds[] noise{} point{}
 *
 *     verdict   "use KIND at SHARE" | "use none" | "cannot tell" | "insufficient"; "use none" says
 *               that a gain of the threshold or more is ruled out, for every kind and share
 *     choices[] kind share n_seed loss loss_lo loss_hi diff diff_lo diff_hi p p_holm verdict
 *               penalty penalty_lo penalty_hi; verdict better | worse | cannot tell, against
 * natural
 */
#ifndef MIXLAW_LAW_ADVISE_H
#define MIXLAW_LAW_ADVISE_H

#include <stdint.h>

#include "base/json.h"
#include "law/table.h"

/* What making a kind's text cost, for the break-even point. */
struct advise_cost {
    const char *kind;
    double tokens_in, tokens_out; /* prompt and generated tokens, all requests */
    double price;                 /* paid, where it is known: of sets that were bought; or NAN */
};

struct advise_conf {
    double n_param, n_tok; /* decision point; 0: the largest measured */
    double level;          /* of all intervals, .95 when 0 */
    double threshold;      /* smallest gain in nats worth having, .01 when 0 */
    size_t n_boot;         /* 2000 when 0 */
    uint64_t seed;
    double price_in, price_out; /* per million tokens of generation; NAN: not given */
    double gpu_hour;            /* price of an hour of training; NAN: not given */
    const struct advise_cost *cost;
    size_t n_cost;
    bool no_minimum; /* judge studies that are too small by the counts (for planted tests) */
};

/* ST_USAGE: a needed column or every natural run is missing. ST_UNSUPPORTED: a point that was not
 * measured. A study that is too small is no error: its verdict says so. */
MUST_USE enum st advise(struct js **out, const struct table *t, const struct advise_conf *c,
                        struct err *err);

#endif
