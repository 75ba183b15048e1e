/*
 * synth/synth.h - synthetic documents from pages, a recipe and a generator; resumable, nothing paid
 * twice.
 *
 * A run has two phases. It asks what the ledger does not answer yet, then it goes over all pages
 * again, judges the raw answers and writes the folder:
 *
 *     ledger.jsonl              every request and raw answer (synth/ledger.h)
 *     docs-00000.jsonl.zst ...  kept documents, in the order of the plan
 *     verdicts.jsonl.zst        verdict and measures of every answer
 *     samples.json              some source/answer pairs with their verdicts, for people
 *     manifest.json             settings, input digests, counts, rates; written last
 *
 * So a changed limit or rule costs no request, a changed prompt costs that prompt's requests, and
 * after a kill at any moment the same command ends with the same documents. Budgets (tokens, cost,
 * time) end the asking cleanly; with a larger budget the same command goes on.
 *
 * Threads: one run a process at a time in a folder (locked).
 */
#ifndef MIXLAW_SYNTH_SYNTH_H
#define MIXLAW_SYNTH_SYNTH_H

#include "base/json.h"
#include "synth/generator.h"
#include "synth/recipe.h"

enum { SYNTH_VERSION = 1 }; /* of the stage: another one makes finished folders stale */

struct synth_conf {
    const struct recipe *recipe;
    const char *generator; /* where; NULL for recipes that need none */
    struct generator_conf gen;
    const char *out;
    const char *tokenizer; /* training tokenizer for counting kept tokens; NULL: not counted */
    const char *like; /* folder of another kind: only the pieces whose answers it kept; or NULL */
    char *const *input;
    size_t n_input;
    char *const *decontaminate;
    size_t n_decontaminate;
    uint64_t seed, max_docs, max_tok;            /* 0: no limit */
    double max_cost, max_s, price_in, price_out; /* prices a million tokens */
    double price; /* of an imported set, whole; price_out: of a million of its tokens */
    bool strict, count_distinct; /* count_distinct: of pieces, before anything is asked */
};

/* *row: what `synth` prints. ST_INTERRUPTED keeps everything; ST_NET when too many requests failed.
 */
MUST_USE enum st synth_run(const struct synth_conf *conf, struct js **row, struct err *err);

/* Asks for n pages (those a run would begin with), and for more until requests and tokens are known
 * to +-within of themselves (90 %), at most ten times n, and forecasts the whole: *row is what
 * `synth pilot` prints. Answers go to the same ledger. */
MUST_USE enum st synth_pilot(const struct synth_conf *conf, uint64_t n, double within,
                             struct js **row, struct err *err);

/* The requests of a few pages with their answers, documents and verdicts, for people who write a
 * recipe; nothing is written to disk, conf->out and the budgets are not looked at. doc: id of the
 * one document to use, or NULL: conf->max_docs pages, those a run would begin with. show takes a
 * row: doc piece variant source keywords prompt{} sampling{} raw finish document verdict
 * measures{}; without a generator, or for a recipe that asks none, what there is of it, the rest
 * null. */
MUST_USE enum st synth_try(const struct synth_conf *conf, const char *doc,
                           void (*show)(void *arg, struct js *row), void *arg, struct err *err);

#endif
