/* base/field.c - see field.h. */
#include "base/field.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "base/units.h"

void textlist_add(struct textlist *l, const char *s)
{
    GROW(l->s, l->n, l->cap);
    l->s[l->n++] = s;
}

void textlist_release(struct textlist *l)
{
    free(l->s);
    *l = (struct textlist){ 0 };
}

static bool same_name(const char *name, const char *given, size_t len)
{
    if (strlen(name) != len)
        return false;
    for (size_t i = 0; i < len; i++)
        if (name[i] != given[i] && !(name[i] == '_' && given[i] == '-'))
            return false;
    return true;
}

const struct field *field_find(const struct field *f, size_t n, const char *name, size_t name_len)
{
    for (; n; f++, n--)
        if (same_name(f->name, name, name_len))
            return f;
    return NULL;
}

static bool is_choice(const char *choices, const char *text)
{
    size_t len = strlen(text);
    for (const char *p = choices; p; p = strchr(p, '|') ? strchr(p, '|') + 1 : NULL)
        if (strcspn(p, "|") == len && strncmp(p, text, len) == 0)
            return true;
    return false;
}

static enum st check_range(const struct field *f, double v, const char *text, struct err *err)
{
    bool is_unit = f->unit && *f->unit >= 'a' && *f->unit <= 'z'; /* capitals stand for a value */
    if ((f->min != 0 || f->max != 0) && (v < f->min || v > f->max))
        return err_set(err, ST_USAGE, "%s: %s is outside %g..%g%s%s", f->name, text, f->min, f->max,
                       is_unit ? " " : "", is_unit ? f->unit : "");
    return ST_OK;
}

enum st field_set(const struct field *table, size_t n_field, void *obj, const char *name,
                  const char *text, struct err *err)
{
    const struct field *f = field_find(table, n_field, name, strlen(name));
    if (!f)
        return err_set(err, ST_USAGE, "unknown setting '%s'", name);
    void *member = (char *)obj + f->offset;
    enum st st = ST_OK;
    switch (f->kind) {
    case FIELD_BOOL:
        if (strcmp(text, "true") != 0 && strcmp(text, "false") != 0)
            return err_set(err, ST_USAGE, "%s: '%s' is neither true nor false", f->name, text);
        *(bool *)member = text[0] == 't';
        return ST_OK;
    case FIELD_WHOLE: {
        uint64_t v;
        st = err_in(err, units_whole(text, &v, err), "%s", f->name);
        if (st == ST_OK)
            st = check_range(f, (double)v, text, err);
        if (st == ST_OK)
            memcpy(member, &v, sizeof v);
        return st;
    }
    case FIELD_REAL:
    case FIELD_TIME: {
        double v;
        if (f->kind == FIELD_TIME) {
            st = err_in(err, units_seconds(text, &v, err), "%s", f->name);
        } else {
            char *end;
            v = strtod(text, &end);
            if (end == text || *end != '\0' || !isfinite(v))
                st = err_set(err, ST_USAGE, "%s: '%s' is not a number", f->name, text);
        }
        if (st == ST_OK)
            st = check_range(f, v, text, err);
        if (st == ST_OK)
            memcpy(member, &v, sizeof v);
        return st;
    }
    case FIELD_CHOICE:
        if (!is_choice(f->choices, text))
            return err_set(err, ST_USAGE, "%s: '%s' is none of %s", f->name, text, f->choices);
        *(const char **)member = text;
        return ST_OK;
    case FIELD_TEXT:
        *(const char **)member = text;
        return ST_OK;
    case FIELD_LIST:
        textlist_add(member, text);
        return ST_OK;
    }
    return ST_OK;
}

struct js *field_json(const struct field *f, size_t n, const void *obj)
{
    struct js *out = js_object();
    for (; n; f++, n--) {
        const void *member = (const char *)obj + f->offset;
        switch (f->kind) {
        case FIELD_BOOL:
            js_put_bool(out, f->name, *(const bool *)member);
            break;
        case FIELD_WHOLE:
            js_put_whole(out, f->name, (int64_t) * (const uint64_t *)member);
            break;
        case FIELD_REAL:
        case FIELD_TIME:
            js_put_real(out, f->name, *(const double *)member);
            break;
        case FIELD_TEXT:
        case FIELD_CHOICE:
            js_put_text(out, f->name, *(const char *const *)member);
            break;
        case FIELD_LIST: {
            const struct textlist *l = member;
            struct js *arr = js_array();
            for (size_t i = 0; i < l->n; i++)
                js_push_text(arr, l->s[i]);
            js_put(out, f->name, arr);
            break;
        }
        }
    }
    return out;
}

void field_show(const struct field *f, const void *obj, struct strbuf *out)
{
    const void *member = (const char *)obj + f->offset;
    switch (f->kind) {
    case FIELD_BOOL:
        break;
    case FIELD_WHOLE:
        if (*(const uint64_t *)member)
            str_printf(out, "%llu", (unsigned long long)*(const uint64_t *)member);
        break;
    case FIELD_REAL:
    case FIELD_TIME:
        if (*(const double *)member != 0)
            str_printf(out, "%g%s", *(const double *)member, f->kind == FIELD_TIME ? "s" : "");
        break;
    case FIELD_TEXT:
    case FIELD_CHOICE:
        if (*(const char *const *)member)
            str_adds(out, *(const char *const *)member);
        break;
    case FIELD_LIST:
        break;
    }
}
