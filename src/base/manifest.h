/*
 * base/manifest.h - what makes a stage's folder finished: its manifest.json, written last.
 *
 * The key is a digest over the stage's name and version, its resolved settings and the digests of
 * its inputs. The stage's version is its own: rebuilding the program makes nothing stale.
 *
 *     st = manifest_check(dir, "corpus", CORPUS_VERSION, settings, inputs, err);
 *     if (st == ST_END)  ... up to date: nothing to do
 *     ... work ...
 *     st = manifest_write(dir, "corpus", CORPUS_VERSION, settings, inputs, counts, wall_s, err);
 */
#ifndef MIXLAW_BASE_MANIFEST_H
#define MIXLAW_BASE_MANIFEST_H

#include "base/err.h"
#include "base/hash.h"
#include "base/json.h"

/* The key as hex digits, for stages whose result is not a folder. */
void manifest_key(char hex[DIGEST_HEX], const char *stage, int version, const struct js *settings,
                  const struct js *inputs);

/* ST_END: finished with the same key. ST_OK: absent or unfinished, go on. ST_USAGE: the folder
 * holds a finished result of other settings or inputs, which is not overwritten. */
MUST_USE enum st manifest_check(const char *dir, const char *stage, int version,
                                const struct js *settings, const struct js *inputs,
                                struct err *err);

MUST_USE enum st manifest_write(const char *dir, const char *stage, int version,
                                const struct js *settings, const struct js *inputs,
                                const struct js *counts, double wall_s, struct err *err);

/* Reads manifest.json; the caller frees *out. */
MUST_USE enum st manifest_read(const char *dir, struct js **out, struct err *err);

/* {path: digest} of files; folders are refused. For large inputs this reads all of them once. */
MUST_USE enum st manifest_inputs(struct js **out, char *const *path, size_t n_path,
                                 struct err *err);

#endif
