/*
 * study/study.h - a whole study: natural text and a generator in, a recommendation out.
 *
 *     st = study_open(&s, "study.yaml", &where, err);
 *     st = study_run(s, err);          run again = resume; finished stages say so and do nothing
 *     study_close(s);
 *
 * Every stage is a mixlaw command of its own, started as a child process (study/child.h) on the
 * study's folder (docs/FORMATS.md), in the order: corpus, tokenizer, token files, pilot, plan,
 * generation, frozen plan, training with evaluation, table, laws, advice, report. One study_run at
 * a time works on a folder; a second one is refused.
 *
 * Threads: one thread; the children use the others.
 */
#ifndef MIXLAW_STUDY_STUDY_H
#define MIXLAW_STUDY_STUDY_H

#include "base/json.h"
#include "study/plan.h"

/* Of plans: raised when the same plan.json would mean other runs. */
enum { STUDY_VERSION = 2 };

struct study_where {
    const char *self;    /* our own program, to start as children */
    const char *dir;     /* the study's folder; NULL: the study file without .yaml, with -study */
    const char *backend; /* handed on to train, synth */
    uint64_t threads, seed;
    bool quiet, strict;
};

struct study;
MUST_USE enum st study_open(struct study **out, const char *path, const struct study_where *where,
                            struct err *err);
void study_close(struct study *s); /* NULL is fine */
const char *study_dir(const struct study *s);

/* Everything up to the plan; *plan gets what cli.md names: runs tokens flop hours disk_bytes
 * requests price warnings[]. Nothing is trained; the pilot takes seconds. The caller frees *plan.
 */
MUST_USE enum st study_plan(struct study *s, struct js **plan, struct err *err);

/* The whole way. ST_IO when runs failed (the others are kept, and the message names one). */
MUST_USE enum st study_run(struct study *s, struct err *err);

/* {study, dir, stage, runs, finished, unfinished, damaged, diverged}: reads the folder only, also
 * while study_run works. */
MUST_USE enum st study_status(struct study *s, struct js **status, struct err *err);

/* Writes runs.csv and study.db anew from the run folders. */
MUST_USE enum st study_collect(struct study *s, struct err *err);

#endif
