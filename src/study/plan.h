/*
 * study/plan.h - which runs a study makes: sizes, budgets, shares, seeds, arms; and what they cost.
 *
 * The plan is frozen in plan.json before anything is trained, and a resumed study obeys it
 * (docs/ARCHITECTURE.md, rule 6). An arm is a mixture; a trunk is one child process: an arm at one
 * size and seed, trained once with a constant rate and cooled down at each budget (WSD), which
 * gives one run a budget.
 *
 * Arms: natural; KIND@SHARE; and the controls at the largest size: aa (natural, other seeds: must
 * come out "cannot tell"), shuffle@1 (words shuffled, and nothing else: must come out worse), and
 * copy@SHARE (the same source pages cut alike, unrewritten).
 *
 * The learning rate belongs to the size, never to the arm: given, or swept on the smallest and the
 * largest size (study/sweep.h), or train's own law.
 *
 * Repetition is matched: for a share s the synthetic pool is cut to s / s_max of it, so that all
 * shares repeat it equally often.
 */
#ifndef MIXLAW_STUDY_PLAN_H
#define MIXLAW_STUDY_PLAN_H

#include "base/json.h"
#include "study/conf.h"

enum {
    PLAN_MIN_STEPS = 500,
    PLAN_MAX_ARMS = 256,
    PLAN_SWEEP_RATES = 3, /* planned a size; more are tried when the best is the last */
    PLAN_MAX_SWEPT = 64,
};
#define PLAN_LEVEL 0.95     /* of every interval and verdict */
#define PLAN_THRESHOLD 0.01 /* nats: a gain below it is not worth having */
#define PLAN_COOLDOWN 0.2   /* share of a budget that a branch cools down for; train's default */

struct plan_source { /* a pool of training text that is made: a kind or a control */
    char name[48], recipe[256];
    uint64_t n_page;     /* source pages to work on */
    uint64_t n_tok;      /* tokens it has: expected before, counted after it was made */
    uint64_t n_tok_own;  /* of these, generated or bought: not of the source that stands before */
    double tok_per_s;    /* kept tokens per second while it is made, 0: no generator needed */
    double tok_per_page; /* kept tokens a page */
    bool made;           /* n_tok is counted: budgets must not repeat it too often */
    bool imported;       /* a ready-made set; no page of ours is used */

    /* What the pilot says; not kept in plan.json. */
    uint64_t n_usable; /* source pages that there are; 0: not known */
    double request_per_page, price_per_page;
};

struct plan_arm {
    char name[64], kind[48]; /* "hq@0.33", "hq" */
    double share;
    int source;   /* index into source[], -1: natural alone */
    bool control; /* at the largest model only */
    uint64_t first_seed;
};

/* One short run of the learning-rate sweep (study/sweep.h). */
struct plan_swept {
    uint64_t n_param;
    char arm[64];
    double lr, loss; /* nats a token on the development split; NaN: diverged */
};

struct plan {
    uint64_t vocab_size, seq_len, batch_tokens, eval_bytes, seeds;
    char kernel_path[48]; /* as train's pilot names it, "cpu/avx2 fp32": every run trains on it */
    double lr[STUDY_MAX]; /* per model; 0: train's own law */
    bool sweep;           /* rates are swept before training */
    struct plan_swept swept[PLAN_MAX_SWEPT];
    size_t n_swept;
    double level, threshold; /* of the decision, frozen; see PLAN_LEVEL, PLAN_THRESHOLD */
    size_t n_domain;
    uint64_t natural_tok; /* tokens of the natural pool */
    uint64_t model[STUDY_MAX], budget[STUDY_MAX];
    double rate[STUDY_MAX];    /* training tokens per second of all processes together, per model */
    uint64_t width[STUDY_MAX]; /* threads a run, per model: as many runs side by side as fit */
    double share[STUDY_MAX];
    size_t n_model, n_budget, n_share;
    struct plan_source source[STUDY_MAX + 2];
    size_t n_source;
    struct plan_arm arm[PLAN_MAX_ARMS];
    size_t n_arm;

    double train_s, generate_s, spent_s; /* expected, expected, already gone before training */
    uint64_t n_trunk, n_run, n_tok;      /* n_tok: trained on, all branches and the sweep */
    double flop;
    uint64_t disk_bytes, n_request;
    double price;           /* of all requests; NaN: the study file gives no prices */
    double smallest_effect; /* nats that these seeds can detect, at a seed s.d. of .025; INFINITY:
                               none */
    struct strlist warning;
};

/* Settings that follow from the largest model when the study file leaves them open. */
void plan_defaults(struct plan *p, const struct study_conf *c, uint64_t largest_model);

/* Tokens one trunk draws for its budgets, cooldown branches included. */
double plan_trunk_tok(const uint64_t *budget, size_t n_budget);

/* How fast models train here: measured sizes, ascending, and a power law between them. */
struct plan_speeds {
    size_t n;
    double n_param[STUDY_MAX];
    double tok_per_s[STUDY_MAX]; /* of all runs side by side */
    uint64_t width[STUDY_MAX];   /* threads a run, as in struct plan */
};
/* Rates and widths of the plan's models. */
void plan_take_speeds(struct plan *p, const struct plan_speeds *v);

/* With a time budget: chooses models, budgets, shares, seeds and the size of the sources for
 * `left_s` seconds. */
void plan_fit_time(struct plan *p, const struct study_conf *c, double left_s,
                   const struct plan_speeds *v);

/* Fills arms, counts, expectations and warnings from sizes, budgets, shares, seeds and sources. */
MUST_USE enum st plan_finish(struct plan *p, const struct study_conf *c, struct err *err);

/* The largest share at which a source is drawn: the plan's, but for shuffled words, which are all
 * of their arm. */
double plan_most(const struct plan *p, const struct plan_source *s);

/* Tokens of a source that an arm may draw from, for matched repetition; 0: all. */
uint64_t plan_pool(const struct plan *p, const struct plan_arm *arm);

struct js *plan_json(const struct plan *p, const struct study_conf *c);
MUST_USE enum st plan_from_json(struct plan *p, const struct js *v, struct err *err);
void plan_release(struct plan *p);

#endif
