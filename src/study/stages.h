/*
 * study/stages.h - the study's stages, each a child process or a few; private to study/.
 */
#ifndef MIXLAW_STUDY_STAGES_H
#define MIXLAW_STUDY_STAGES_H

#include "base/file.h"
#include "study/study.h"

struct study {
    struct study_conf conf;
    struct study_where where;
    char *path, *dir; /* study file, study folder */
    struct plan plan;
    struct strlist domain; /* names, sorted; token files stand in tokens/domain-NAME */
    struct arena arena;
    struct lock lock;
    double start_s; /* clock when this process began */
};

/* "DIR/a" with the study's folder; kept in the study's arena. */
char *study_path(struct study *s, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* Appends texts up to a NULL. */
void args_add(struct strlist *argv, ...);
/* A new argument list: ourselves, then texts up to a NULL. */
void args_self(struct study *s, struct strlist *argv, ...);

MUST_USE enum st stage_corpus(struct study *s, struct err *err);    /* natural text and domains */
MUST_USE enum st stage_tokenizer(struct study *s, struct err *err); /* trained or copied */
MUST_USE enum st stage_tokens(struct study *s, const char *name, const char *docs, struct err *err);
MUST_USE enum st stage_natural_tokens(struct study *s, struct err *err); /* natural and domains */
MUST_USE enum st stage_generate(struct study *s, struct plan_source *src, struct err *err);
/* rough: a few pages, to know how many the kind needs. */
MUST_USE enum st stage_synth_pilot(struct study *s, struct plan_source *src, bool rough,
                                   struct err *err);
/* How runs of n_param are best packed: *width threads each, as many side by side as there are
 * threads and memory for; *tok_per_s of all of them together. */
MUST_USE enum st stage_train_pilot(struct study *s, uint64_t n_param, double *tok_per_s,
                                   uint64_t *width, struct err *err);
/* Widens runs of which there is not memory for so many side by side, as the plan's sizes were not
 * all measured and this machine may be another. */
MUST_USE enum st stage_fit_memory(struct study *s, struct err *err);
MUST_USE enum st stage_sweep(struct study *s, struct err *err);    /* sweep.h: fills plan.lr */
MUST_USE enum st stage_train(struct study *s, struct err *err);    /* all trunks */
MUST_USE enum st stage_conclude(struct study *s, struct err *err); /* laws, advice, report */

/* Tokens in a token file, from its manifest; n_own (may be NULL): those that are not of a source
 * which stands before what was generated. */
MUST_USE enum st shard_tokens(struct study *s, const char *name, uint64_t *n_tok, uint64_t *n_own,
                              struct err *err);

/* One trunk: an arm at one size and seed, trained up to the last of its budgets. */
struct trunk {
    const struct plan_arm *arm;
    uint64_t n_param, seed;
    double lr; /* 0: train's own law */
    const uint64_t *budget;
    size_t n_budget;
    const char *folder; /* "runs" or "sweep" */
    bool dev;           /* judged on the development split instead of the domains */
    char id[128];       /* "hq@0.33-400k-s1", its folder below runs/ */
};
/* All trunks of the plan, largest first; *trunk in the study's arena. */
size_t study_trunks(struct study *s, struct trunk **trunk);
char *trunk_dir(struct study *s, const struct trunk *t);
/* The command that trains it, but for --threads. */
void trunk_args(struct study *s, const struct trunk *t, struct strlist *argv);
/* Trains them side by side with one line of progress; those that are done cost nothing. ST_IO when
 * one failed. */
MUST_USE enum st train_trunks(struct study *s, const struct trunk *trunk, size_t n,
                              const char *label, struct err *err);

#endif
