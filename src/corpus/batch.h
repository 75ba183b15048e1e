/*
 * corpus/batch.h - documents kept together, so that several threads can look at them while the next
 * ones are read. Each is a copy: it stays when the reader has gone on.
 */
#ifndef MIXLAW_CORPUS_BATCH_H
#define MIXLAW_CORPUS_BATCH_H

#include <stdbool.h>

#include "base/mem.h"
#include "corpus/dedup.h"
#include "corpus/doc.h"

struct batch_doc {
    struct doc doc;
    struct dedup_look look; /* filled by whoever looks at it: what tells repetitions ... */
    bool contaminated; /* ... and whether it shares a run of words with an evaluation document */
};

struct doc_batch { /* all zero is an empty one */
    struct batch_doc *doc;
    size_t n, cap, n_bytes; /* n_bytes: of texts */
    struct arena arena;     /* their strings */
};

void doc_batch_add(struct doc_batch *b, const struct doc *d);
void doc_batch_clear(struct doc_batch *b);
void doc_batch_release(struct doc_batch *b);

#endif
