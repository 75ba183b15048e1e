/*
 * data/documents.h - the documents of many inputs, one after the other.
 *
 * Inputs are files, folders and patterns (base/file.h); of a folder that a stage of ours has made
 * only its docs-*.jsonl.zst are read. A file found in a folder whose format nobody knows is passed
 * over with a warning; one that was named is an error.
 *
 *     struct documents *d;
 *     st = documents_open(&d, input, n_input, strict, err);
 *     while ((st = documents_next(d, &doc, err)) == ST_OK)
 *         use(&doc);                          borrowed until the next call
 *     documents_close(d);
 */
#ifndef MIXLAW_DATA_DOCUMENTS_H
#define MIXLAW_DATA_DOCUMENTS_H

#include "base/json.h"
#include "corpus/doc.h"

struct documents;
MUST_USE enum st documents_open(struct documents **out, char *const *input, size_t n_input,
                                bool strict, struct err *err);
MUST_USE enum st documents_next(struct documents *d, struct doc *doc, struct err *err);
void documents_close(struct documents *d); /* NULL is fine */

uint64_t documents_size(const struct documents *d);      /* bytes of all files; 0 when unknown */
uint64_t documents_place(const struct documents *d);     /* bytes of them read so far */
uint64_t documents_n_skipped(const struct documents *d); /* damaged records so far */

/* {path: digest} of the files; reads all of them. *inputs is NULL when standard input or a pipe is
 * among them. */
MUST_USE enum st documents_digests(const struct documents *d, struct js **inputs, struct err *err);

#endif
