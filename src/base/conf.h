/*
 * base/conf.h - settings tables (base/field.h) filled from a YAML map, with file and line in every
 * message.
 *
 *     static const struct conf_child child[] = { { "natural", read_natural }, ... };
 *     st = conf_map(root, "study.yaml", field, N_OF(field), &conf, child, N_OF(child), err);
 *
 * A scalar goes through its field's row; a list of scalars fills a FIELD_LIST; a nested map is read
 * by its row in the children's table. Unknown keys, wrong types and impossible values are ST_USAGE:
 * "'study.yaml' line 7: share: 1.3 is outside 0..1". Texts are borrowed from the tree.
 */
#ifndef MIXLAW_BASE_CONF_H
#define MIXLAW_BASE_CONF_H

#include "base/field.h"
#include "base/yaml.h"

struct conf_child {
    const char *key;
    enum st (*read)(const struct yml *v, const char *file, void *obj, struct err *err);
};

MUST_USE enum st conf_map(const struct yml *map, const char *file, const struct field *field,
                          size_t n_field, void *obj, const struct conf_child *child, size_t n_child,
                          struct err *err);

/* err_set with "'FILE' line N: " in front. */
enum st conf_fail(struct err *err, const char *file, const struct yml *v, const char *fmt, ...)
    PRINTF_LIKE(4, 5);

#endif
