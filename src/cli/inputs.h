/*
 * cli/inputs.h - the INPUT... of a command: URLs are fetched into the cache first.
 */
#ifndef MIXLAW_CLI_INPUTS_H
#define MIXLAW_CLI_INPUTS_H

#include "base/err.h"
#include "base/str.h"

/* Appends the inputs with each http(s) URL replaced by the file it was downloaded to; one that is
 * there already is not fetched again. ST_USAGE when there is no input. */
MUST_USE enum st inputs_fetch(struct strlist *out, size_t n, char *const *input, struct err *err);

/* The same as files that can be read several times, for `synth`: folders and patterns are expanded,
 * what cannot be read in a folder is passed over, standard input or a pipe is ST_USAGE. */
MUST_USE enum st inputs_files(struct strlist *out, size_t n, char *const *input, bool strict,
                              struct err *err);

#endif
