/*
 * train/plan.h - from what was asked to what is done: sources, shape, steps, rates, folders.
 *
 *     st = train_plan_open(&p, conf, env, err);   opens token files and tokenizer, checks them all
 *     js = train_plan_json(p, budget, backend);   --dry-run
 *     train_plan_close(p);
 *
 * What was asked, with digests of the inputs, goes into train_plan_asked, whose digest is the run's
 * key: a begun folder goes on only under the same key. Paths, threads and processor are not part of
 * it. What it left open is resolved here, or taken from the folder when it was begun before, and
 * goes into train_plan_settings.
 */
#ifndef MIXLAW_TRAIN_PLAN_H
#define MIXLAW_TRAIN_PLAN_H

#include "base/json.h"
#include "base/mem.h"
#include "data/mixture.h"
#include "eval/domain.h"
#include "model/model.h"
#include "train/conf.h"
#include "train/schedule.h"

/* Of training as a stage: raised when the same settings would give another result, as when a
 * default in conf.c changes. What is merely chosen otherwise (a default rate) does not raise it. */
enum { TRAIN_VERSION = 2 };

struct train_budget {
    uint64_t asked;  /* tokens */
    uint64_t n_step; /* asked, rounded up to whole batches */
    uint64_t branch; /* step after which it leaves the trunk; 0 without trunk */
    const char *dir, *run_id;
};

struct train_plan {
    const struct train_conf *conf;
    struct train_env env;
    struct model_conf model;
    struct schedule schedule;
    uint64_t seq_len, batch_tokens, n_window; /* windows a step */
    int pass; /* windows in one pass; the last of a step may have fewer */
    uint64_t log_every;
    int64_t document_end; /* the sources' token that ends a document; -1 without --document-mask */
    struct mixture_source *source; /* natural first */
    size_t n_source, n_natural;    /* n_natural: 0 or 1 of them are natural */
    double frac_synth;
    const char *arm, *kind;
    struct train_budget *budget; /* from the smallest */
    size_t n_budget;
    struct mixture *mixture;
    struct tok *tok; /* NULL without --tokenizer */
    struct eval_domain *domain;
    size_t n_domain;
    struct js *inputs; /* what is known of the token files, without paths */
    struct js *held;   /* the same of the domains' */
    struct js *shape;  /* --shape's file; NULL without */
    struct js *init;   /* --init's configuration and the digest of its weights; NULL without */
    struct js *frozen; /* settings of the folder when it was begun before; NULL otherwise */
    struct arena memory;
};

MUST_USE enum st train_plan_open(struct train_plan **out, const struct train_conf *conf,
                                 const struct train_env *env, struct err *err);
void train_plan_close(struct train_plan *p); /* NULL is fine */

/* What decides the key: of one budget, or (NULL) of the trunk. The caller frees it. */
struct js *train_plan_asked(const struct train_plan *p, const struct train_budget *budget);
/* Resolved settings of one budget. The caller frees it. */
struct js *train_plan_settings(const struct train_plan *p, const struct train_budget *budget);
struct js *train_plan_paths(const struct train_plan *p);

/* What --dry-run says of one budget, trained on that backend. */
struct js *train_plan_json(const struct train_plan *p, const struct train_budget *budget,
                           const struct backend *b);

/* The shape that --params or --shape asks for; train_plan_open reads --init's itself. */
MUST_USE enum st train_shape(struct model_conf *out, const struct train_conf *conf, int vocab_size,
                             uint64_t seq_len, struct err *err);

/* Memory that training takes on that backend. */
void train_memory(const struct train_plan *p, const struct backend *b, struct model_memory *m);
/* Part by part and in all, bytes. */
struct js *train_memory_json(const struct model_memory *m);
/* ST_USAGE where it is more than limit_bytes (0: unknown), which would end in the kernel's killing
 * of the run. */
MUST_USE enum st train_memory_check(const struct model_memory *m, double limit_bytes,
                                    struct err *err);

#define TRAIN_ADAM_EPS 1e-8

/* Windows in one pass: whole chunks of the model, so that how a step is cut changes no byte of its
 * result. */
int train_pass(uint64_t n_window, uint64_t seq_len);

#endif
