/*
 * base/yaml.h - YAML as a tree that knows its lines. The only file that knows libyaml is yaml.c.
 *
 * Every scalar stays text as written; the reader decides what it means (base/field.h,
 * base/units.h), so that `5M` or `0.33` keep their spelling in messages. Aliases and multiple
 * documents are refused.
 */
#ifndef MIXLAW_BASE_YAML_H
#define MIXLAW_BASE_YAML_H

#include <stddef.h>

#include "base/err.h"
#include "base/json.h"

enum yml_kind { YML_TEXT, YML_LIST, YML_MAP };

struct yml {
    enum yml_kind kind;
    int line;          /* first line is 1 */
    const char *key;   /* in a map: this entry's key; else NULL */
    const char *text;  /* YML_TEXT */
    struct yml *child; /* first element or entry */
    struct yml *next;  /* sibling */
};

/* `name` stands in messages ("study.yaml line 7: ..."). One yml_free releases the whole tree. */
MUST_USE enum st yml_parse(struct yml **out, const char *name, const char *text, size_t n_bytes,
                           struct err *err);
MUST_USE enum st yml_read(struct yml **out, const char *path, struct err *err);
void yml_free(struct yml *root);

const struct yml *yml_get(const struct yml *map, const char *key); /* or NULL */
const char *yml_text(const struct yml *map, const char *key, const char *otherwise);
size_t yml_len(const struct yml *v);
struct js *yml_json(const struct yml *v); /* the same tree as JSON; scalars become texts */

#endif
