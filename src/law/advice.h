/*
 * law/advice.h - the parts of advise(): one table at one decision point. Private to law/.
 */
#ifndef MIXLAW_LAW_ADVICE_H
#define MIXLAW_LAW_ADVICE_H

#include "base/attr.h"
#include "law/advise.h"
#include "law/arms.h"
#include "law/fit.h"
#include "law/share.h"

/* A study below any of these says `insufficient` (the counts are those of the protocol). */
enum { MIN_SIZES = 2, MIN_BUDGETS = 3, MIN_SHARES = 3, MIN_SEEDS = 2, MIN_STEPS = 500 };

/* An arm against natural. */
struct choice {
    int arm;
    struct difference vs_natural;
    double p_holm, p_best; /* p_best: against the best arm, corrected */
    const char *verdict;   /* better, worse, cannot tell */
};

struct advice {
    const struct advise_conf *conf;
    double level, threshold;
    struct runs runs;
    struct point point;
    double n_nonemb;       /* the point's size without embeddings; NAN unknown */
    struct choice *choice; /* synthetic arms at the point */
    size_t n_choice;
    int best;       /* arm with the lowest mean among natural and choices */
    bool *equal;    /* [n_arm]: cannot be told apart from the best */
    struct fit law; /* natural alone, at the point's size */
    bool has_law;
    char no_law[256];
    struct js *reasons, *controls;
    bool control_failed;
};

struct answer {
    const char *verdict; /* "use", "use none", "cannot tell", "insufficient" */
    int arm;             /* the arm advised, or natural; -1: none */
    struct share_best share;
    double
        runs_needed; /* of each arm compared, all seeds together; NAN: none needed or not known */
};

void advice_reason(struct advice *a, const char *fmt, ...) PRINTF_LIKE(2, 3);
const char *advice_judge(double value, double p, double level); /* better, worse, cannot tell */

/* law/controls.c: what makes the comparison itself doubtful, with a reason for each doubt. */
void advice_controls(struct advice *a);
void advice_confounds(struct advice *a);
bool advice_is_insufficient(struct advice *a);

/* law/savings.c */
void advice_fit_natural(struct advice *a);
double advice_natural_tokens(const struct advice *a, double loss, size_t n_run, double *lo,
                             double *hi, const char **why);
double advice_breakeven(struct advice *a, int arm, double tokens_saved);

/* law/advise.c, for the JSON */
size_t advice_kind_points(const struct advice *a, const char *kind, struct share_point *p);
struct share_best advice_best_share(const struct advice *a, const char *kind);
double advice_half_width(const struct advice *a, int arm);
double advice_smallest_effect(const struct advice *a);
void advice_put_difference(struct js *o, const struct difference *d);
void advice_put_arm(struct js *o, const struct arm *arm);

/* law/advice_json.c: takes reasons and controls. */
struct js *advice_json(struct advice *a, const struct answer *w);

#endif
