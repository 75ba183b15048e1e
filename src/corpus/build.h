/*
 * corpus/build.h - the `corpus` stage: inputs to a folder of clean documents.
 *
 * The folder gets docs-00000.jsonl.zst (and further shards), dropped.jsonl.zst (id and reason of
 * each document left out, and `of`, the id of the one it repeats) and, last, manifest.json.
 * Reasons, in the order in which they are tried:
 *
 *     source          its origin was asked to be dropped
 *     too_short       fewer bytes of text than min_bytes
 *     too_long        more than max_bytes
 *     duplicate       the same words as an earlier document that was kept
 *     near_duplicate  with dedup "minhash": more similar to one than max_similar
 *     contaminated    it shares a run of 13 words with a document of `decontaminate`
 *     near_held       it shares one with a document held out
 *     near_train      it was to be held out and shares runs with more than two others
 *
 * Held out is a share of the documents, chosen by a hash of the id, so that it does not depend on
 * order; they go to a folder of their own, for evaluation in domain. Both
 * folders are the same bytes for the same inputs and settings, with any number of threads: while
 * some look at a batch of documents, one reads the next; what becomes of them is decided in their
 * order.
 */
#ifndef MIXLAW_CORPUS_BUILD_H
#define MIXLAW_CORPUS_BUILD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/json.h"

enum { CORPUS_VERSION = 1, CONTAMINATION_WORDS = 13 };

struct corpus_conf {
    const char *out;               /* folder */
    const char *clean;             /* "none" or "web" */
    const char *dedup;             /* "none", "exact" or "minhash", see dedup.h */
    double max_similar;            /* of minhash; 0: DEDUP_SIMILAR */
    const char *lang;              /* NULL: any */
    uint64_t min_bytes, max_bytes; /* max_bytes 0: no limit */
    double hold_out;               /* 0..0.5 of the documents ... */
    const char *held;              /* ... go to this folder */
    char *const *decontaminate;    /* inputs */
    size_t n_decontaminate;
    char *const *drop_source; /* meta.source values */
    size_t n_drop_source;
    bool strict;   /* a damaged record ends the stage */
    int n_threads; /* 0: one */
};

/* Builds the folder. *counts: docs_in docs_out bytes_in bytes_out skipped_records dropped{}
 * [docs_held bytes_held] wall_s, which the caller frees. ST_END: the folder is up to date, *counts
 * are its own. */
MUST_USE enum st corpus_build(struct js **counts, const struct corpus_conf *c, char *const *input,
                              size_t n_input, struct err *err);

/* Names an input file: where it lies below the input it was found through, and its origin. */
struct corpus_file {
    char *path, *name, *source;
    bool named; /* the file itself was asked for, not a folder or pattern */
};
struct corpus_files {
    struct corpus_file *file;
    size_t n, cap;
};
/* Files below inputs; of a folder that a stage of ours has made only its docs-*.jsonl.zst. A file's
 * source is its own name; below a folder the folder's name, or the subfolder's where the folder
 * holds only folders. */
MUST_USE enum st corpus_files_expand(struct corpus_files *f, char *const *input, size_t n_input,
                                     struct err *err);
/* ST_USAGE when one of the files lies in the folder dir, where a stage would clear it away; dir may
 * be NULL. */
MUST_USE enum st corpus_files_outside(const struct corpus_files *f, const char *dir,
                                      struct err *err);
void corpus_files_release(struct corpus_files *f);

#endif
