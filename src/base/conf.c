/* base/conf.c - see conf.h. */
#include "base/conf.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum st conf_fail(struct err *err, const char *file, const struct yml *v, const char *fmt, ...)
{
    char text[400];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    return err_set(err, ST_USAGE, "'%s' line %d: %s", file, v->line, text);
}

/* "a, b and c" of everything that may stand here, for the message about an unknown key. */
static void known_keys(char *out, size_t cap, const struct field *field, size_t n_field,
                       const struct conf_child *child, size_t n_child)
{
    size_t n = 0;
    out[0] = '\0';
    for (size_t i = 0; i < n_field + n_child && n + 1 < cap; i++) {
        const char *name = i < n_field ? field[i].name : child[i - n_field].key;
        int w = snprintf(out + n, cap - n, "%s%s", i ? ", " : "", name);
        n += w > 0 ? (size_t)w : 0;
    }
}

static enum st read_field(const struct yml *v, const char *file, const struct field *f, void *obj,
                          struct err *err)
{
    struct err inner;
    if (f->kind == FIELD_LIST) {
        if (v->kind == YML_MAP)
            return conf_fail(err, file, v, "%s: want a list", f->name);
        for (const struct yml *e = v->kind == YML_LIST ? v->child : v; e; e = e->next) {
            if (e->kind != YML_TEXT)
                return conf_fail(err, file, e, "%s: want a list of plain values", f->name);
            if (field_set(f, 1, obj, f->name, e->text, &inner) < 0)
                return conf_fail(err, file, e, "%s", inner.msg);
            if (v->kind == YML_TEXT)
                break; /* one value without brackets is a list of one */
        }
        return ST_OK;
    }
    if (v->kind != YML_TEXT)
        return conf_fail(err, file, v, "%s: want a single value, not a %s", f->name,
                         v->kind == YML_MAP ? "map" : "list");
    if (field_set(f, 1, obj, f->name, v->text, &inner) < 0)
        return conf_fail(err, file, v, "%s", inner.msg);
    return ST_OK;
}

enum st conf_map(const struct yml *map, const char *file, const struct field *field, size_t n_field,
                 void *obj, const struct conf_child *child, size_t n_child, struct err *err)
{
    if (map->kind != YML_MAP)
        return conf_fail(err, file, map, "%s%swant a map of settings", map->key ? map->key : "",
                         map->key ? ": " : "");
    for (const struct yml *v = map->child; v; v = v->next) {
        enum st st = ST_OK;
        const struct field *f = field_find(field, n_field, v->key, strlen(v->key));
        size_t i = 0;
        while (i < n_child && strcmp(child[i].key, v->key) != 0)
            i++;
        if (f) {
            st = read_field(v, file, f, obj, err);
        } else if (i < n_child) {
            st = child[i].read(v, file, obj, err);
        } else {
            char known[300];
            known_keys(known, sizeof known, field, n_field, child, n_child);
            st = conf_fail(err, file, v, "unknown setting '%s'; known here: %s", v->key, known);
        }
        if (st < 0)
            return st;
    }
    return ST_OK;
}
