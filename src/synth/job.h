/*
 * synth/job.h - the state of one run, shared by its phases: ask.c, settle.c, synth.c, pilot.c. For
 * synth/ only.
 */
#ifndef MIXLAW_SYNTH_JOB_H
#define MIXLAW_SYNTH_JOB_H

#include "base/file.h"
#include "corpus/ngram.h"
#include "synth/forecast.h"
#include "synth/item.h"
#include "synth/ledger.h"
#include "synth/monitor.h"
#include "synth/rates.h"
#include "synth/synth.h"
#include "tok/tok.h"

struct digests { /* a set: open addressing, a digest of zeros marks an empty place */
    struct digest *d;
    size_t n, cap;
};
void digests_add(struct digests *s, struct digest d);
bool digests_has(const struct digests *s, struct digest d);

struct job {
    const struct synth_conf *conf;
    const struct recipe *recipe;
    struct recipe_input input; /* the recipe's, or that of --like */
    struct pages *pages;
    struct ledger *ledger;
    struct generator *generator;
    struct js *about; /* the generator, for records */
    struct digest model;
    struct ngram_index *domains;
    struct tok *tok;
    struct digests like; /* pieces to use; all when conf->like is NULL */
    struct digests failed;
    struct monitor *monitor; /* of the walk through the plan at hand */
    char why_later[512];
    char why[512];       /* of the last failure */
    const char *stopped; /* the budget that ended the asking, "collapse", or NULL */
    uint64_t n_asked;    /* requests of this run */
    uint64_t n_later;    /* of them, those whose answers are to come (batch files) */
    struct lock lock;    /* of the folder */
    struct arena arena;  /* one item */
    struct arena_mark base;
    struct pace *pace; /* where the pilot notes how answers come; else NULL */
    /* of settle */
    struct rates rates, *by_variant;
    uint64_t n_docs, n_bytes, n_kept_tok, n_kept_natural_tok, n_tok_prompt, n_tok, n_pending,
        n_pages, n_requests;
    uint64_t n_redrawn, n_changed; /* tokens of edits */
    /* Of pages: what was made a piece that was asked for; of answers: how many were discarded. */
    struct ratio per_requests, per_tok_prompt, per_tok, per_kept_tok, per_cost, discarded;
};

/* Opens pages, ledger and, when anything must be asked, the generator. */
MUST_USE enum st job_open(struct job *j, const struct synth_conf *conf, struct err *err);
void job_close(struct job *j);

/* Begins a walk through the plan: pages from the first, a monitor that has seen nothing. */
void job_rewind(struct job *j);

/* Number i of a page's items; false when --like leaves its piece out or its variant has collapsed.
 * In the job's arena. */
bool job_item(struct job *j, const struct page *page, size_t i, struct item *it);

/* Asks everything that the ledger does not hold yet, within the budgets. */
MUST_USE enum st job_ask(struct job *j, struct err *err);

/* Judges every answer; writes documents, verdicts and samples when write is set. */
MUST_USE enum st job_settle(struct job *j, bool write, struct err *err);

bool job_over_budget(const struct job *j, uint64_t n_tok_prompt, uint64_t n_tok);
double job_cost(const struct job *j, uint64_t n_tok_prompt, uint64_t n_tok);

#endif
