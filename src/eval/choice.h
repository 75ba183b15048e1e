/*
 * eval/choice.h - multiple-choice questions, answered by the likelihood a model gives to each
 * choice.
 *
 * Files are JSONL as the data sets are handed out; what a line is, its keys say:
 *
 *   HellaSwag  ctx_a ctx_b activity_label endings label    "ACTIVITY: ctx_a Ctx_b" + ending
 *   ARC        question choices{text,label} answerKey      "Question: ...\nAnswer:" + choice
 *   PIQA       goal sol1 sol2 label                        "Question: ...\nAnswer:" + solution
 *
 * Prompts, clean-up, tokens and scores are lm-evaluation-harness's without examples: a choice's
 * score is the sum of its tokens' log-probabilities after the prompt and a space; `acc` takes the
 * choice of highest score, `acc_norm` the highest score per character. Where prompt and choice
 * together exceed the model's limit, the prompt's beginning is cut off.
 *
 *     st = choice_read(&q, "hellaswag_val.jsonl", strict, err);
 *     st = choice_score(&q, gen, &score, err);
 *     choice_release(&q);
 *
 * Threads: no shared state.
 * Source: Gao et al., lm-evaluation-harness 0.4.13, tasks hellaswag, arc and piqa of version 1.0.
 */
#ifndef MIXLAW_EVAL_CHOICE_H
#define MIXLAW_EVAL_CHOICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "model/generate.h"

struct question {
    char *prompt;
    char **choice;
    int n_choice, gold;
};

struct questions {
    char *name;       /* the file's, without suffix */
    const char *kind; /* "hellaswag", "arc", "piqa" */
    struct question *q;
    size_t n, cap;
    uint64_t n_skipped; /* lines that are no question of this kind */
};

/* Lines that cannot be read are skipped, counted and named; with strict they are ST_FORMAT.
 * ST_FORMAT also for a file without a question. A choice that is empty once cleaned up cannot be
 * scored: its line cannot be read. */
MUST_USE enum st choice_read(struct questions *q, const char *path, bool strict, struct err *err);
void choice_release(struct questions *q);

struct choice_score {
    uint64_t n_question, n_tok; /* tokens scored */
    double acc, acc_norm;       /* shares */
    double acc_stderr, acc_norm_stderr;
};

/* score [n_choice] of each question in order, for tests; may be NULL. */
MUST_USE enum st choice_score(const struct questions *q, struct gen *g, struct choice_score *out,
                              double *score, struct err *err);

#endif
