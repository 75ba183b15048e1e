/*
 * cli/out.h - results on stdout: one JSON object a line, or an aligned table for people.
 *
 * JSON when stdout is no terminal or --json is given. In a table, rows with the same keys in a row
 * share a header; a single row is shown as "key  value" lines.
 */
#ifndef MIXLAW_CLI_OUT_H
#define MIXLAW_CLI_OUT_H

#include <stdbool.h>

#include "base/err.h"
#include "base/json.h"

struct out;
struct out *out_new(bool json);
bool out_is_json(const struct out *o);
void out_row(struct out *o, struct js *row); /* takes row */
MUST_USE enum st out_finish(struct out *o,
                            struct err *err); /* prints what is left; ST_IO when stdout is full */
void out_free(struct out *o);

#endif
