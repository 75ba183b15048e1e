/*
 * data/encode.h - the `tokenize` stage: documents to a tokenizer, documents to token files.
 *
 * Documents are read in batches; while threads encode one, the next is read. What is written
 * follows from the inputs alone, never from the number of threads.
 */
#ifndef MIXLAW_DATA_ENCODE_H
#define MIXLAW_DATA_ENCODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum { ENCODE_VERSION = 1 };

struct encode_conf {
    const char *tokenizer; /* tokenizer.json, a folder with one, or GGUF */
    const char *prefix;    /* of the token files */
    const char *source;    /* provenance id; NULL: the prefix's base name */
    uint64_t max_tok;      /* no further document once there are so many; 0: all */
    bool strict;           /* a damaged record ends the stage */
    int n_threads;
};

struct encode_counts {
    uint64_t n_docs, n_tok, n_bytes, n_skipped; /* tokens with end-of-document; bytes of text */
    uint64_t n_tok_natural; /* of generated documents: the source that stands before (meta.spans) */
    double wall_s;
};

/* Writes PREFIX.bin, .idx and .json. ST_END: they are up to date, *counts are theirs. ST_USAGE:
 * they hold other inputs or settings, or the tokenizer has no end-of-document token. */
MUST_USE enum st encode_files(struct encode_counts *counts, const struct encode_conf *c,
                              char *const *input, size_t n_input, struct err *err);

struct train_tok_conf {
    int vocab_size;
    uint64_t max_bytes; /* of text; 0: all */
    const char *out;    /* tokenizer.json */
    bool strict;
};

struct train_tok_counts {
    int vocab_size;
    uint64_t n_merges, n_bytes, n_docs;
    double wall_s;
};

MUST_USE enum st train_tok_files(struct train_tok_counts *counts, const struct train_tok_conf *c,
                                 char *const *input, size_t n_input, struct err *err);

#endif
