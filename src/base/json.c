/* base/json.c - see json.h. The only file that knows jansson. */
#include "base/json.h"

#include <assert.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"

static json_t *to(const struct js *v)
{
    return (json_t *)(uintptr_t)v;
}

static struct js *from(json_t *v)
{
    return (struct js *)v;
}

enum st js_parse(struct js **out, const char *text, size_t n_bytes, struct err *err)
{
    json_error_t e;
    *out = from(json_loadb(text, n_bytes, JSON_DECODE_ANY | JSON_ALLOW_NUL, &e));
    if (*out)
        return ST_OK;
    return err_set(err, ST_FORMAT, "not JSON at line %d column %d: %s", e.line, e.column, e.text);
}

enum st js_read_file(struct js **out, const char *path, struct err *err)
{
    struct strbuf text = { 0 };
    *out = NULL;
    enum st st = file_read(path, (size_t)1 << 30, &text, err);
    if (st == ST_OK)
        st = err_in(err, js_parse(out, text.s ? text.s : "", text.n, err), "'%s'", path);
    str_release(&text);
    return st;
}

void js_free(struct js *v)
{
    json_decref(to(v));
}

struct js *js_object(void)
{
    return from(json_object());
}

struct js *js_array(void)
{
    return from(json_array());
}

static json_t *text_or_null(const char *s, size_t n_bytes)
{
    if (!s)
        return json_null();
    if (utf8_valid(s, n_bytes) == n_bytes)
        return json_stringn(s, n_bytes);
    struct strbuf fixed = { 0 };
    utf8_repair(&fixed, s, n_bytes);
    json_t *v = json_stringn(fixed.s, fixed.n);
    str_release(&fixed);
    return v;
}

static json_t *real_or_null(double v)
{
    return isfinite(v) ? json_real(v) : json_null();
}

struct js *js_text(const char *s)
{
    return from(text_or_null(s, s ? strlen(s) : 0));
}

struct js *js_copy(const struct js *v)
{
    return from(json_deep_copy(to(v)));
}

/* Keys may be file names, which are any bytes: what is not UTF-8 is spelled out, so that different
 * names stay different. */
static void spell_key(struct strbuf *out, const char *key)
{
    for (size_t n = strlen(key); n > 0;) {
        size_t good = utf8_valid(key, n);
        str_add(out, key, good);
        if (good < n)
            str_printf(out, "\\x%02X", (unsigned char)key[good++]);
        key += good;
        n -= good;
    }
}

void js_put(struct js *obj, const char *key, struct js *v)
{
    struct strbuf spelled = { 0 };
    if (utf8_valid(key, strlen(key)) != strlen(key)) {
        spell_key(&spelled, key);
        key = spelled.s;
    }
    int failed = json_object_set_new(to(obj), key, to(v));
    assert(!failed);
    str_release(&spelled);
}

void js_put_text(struct js *obj, const char *key, const char *s)
{
    js_put(obj, key, js_text(s));
}

void js_put_textn(struct js *obj, const char *key, const char *s, size_t n_bytes)
{
    js_put(obj, key, from(text_or_null(s, n_bytes)));
}

void js_put_whole(struct js *obj, const char *key, int64_t v)
{
    js_put(obj, key, from(json_integer(v)));
}

void js_put_real(struct js *obj, const char *key, double v)
{
    js_put(obj, key, from(real_or_null(v)));
}

void js_put_bool(struct js *obj, const char *key, bool v)
{
    js_put(obj, key, from(json_boolean(v)));
}

void js_push(struct js *arr, struct js *v)
{
    int failed = json_array_append_new(to(arr), to(v));
    assert(!failed);
}

void js_push_text(struct js *arr, const char *s)
{
    js_push(arr, js_text(s));
}

void js_push_whole(struct js *arr, int64_t v)
{
    js_push(arr, from(json_integer(v)));
}

void js_push_real(struct js *arr, double v)
{
    js_push(arr, from(real_or_null(v)));
}

enum js_kind js_kind(const struct js *v)
{
    if (!v)
        return JS_NONE;
    switch (json_typeof(to(v))) {
    case JSON_OBJECT:
        return JS_OBJECT;
    case JSON_ARRAY:
        return JS_ARRAY;
    case JSON_STRING:
        return JS_TEXT;
    case JSON_INTEGER:
        return JS_WHOLE;
    case JSON_REAL:
        return JS_REAL;
    case JSON_TRUE:
    case JSON_FALSE:
        return JS_BOOL;
    default:
        return JS_NULL;
    }
}

struct js *js_get(const struct js *obj, const char *key)
{
    return from(json_object_get(to(obj), key));
}

const char *js_get_text(const struct js *obj, const char *key, const char *otherwise)
{
    const char *s = json_string_value(to(js_get(obj, key)));
    return s ? s : otherwise;
}

int64_t js_get_whole(const struct js *obj, const char *key, int64_t otherwise)
{
    return js_as_whole(js_get(obj, key), otherwise);
}

double js_get_real(const struct js *obj, const char *key, double otherwise)
{
    return js_as_real(js_get(obj, key), otherwise);
}

bool js_get_bool(const struct js *obj, const char *key, bool otherwise)
{
    const json_t *v = to(js_get(obj, key));
    return json_is_boolean(v) ? json_is_true(v) : otherwise;
}

size_t js_len(const struct js *v)
{
    return json_is_object(to(v)) ? json_object_size(to(v)) : json_array_size(to(v));
}

struct js *js_at(const struct js *arr, size_t i)
{
    return from(json_array_get(to(arr), i));
}

const char *js_as_text(const struct js *v, size_t *n_bytes)
{
    if (n_bytes)
        *n_bytes = json_string_length(to(v));
    return json_string_value(to(v));
}

double js_as_real(const struct js *v, double otherwise)
{
    return json_is_number(to(v)) ? json_number_value(to(v)) : otherwise;
}

int64_t js_as_whole(const struct js *v, int64_t otherwise)
{
    return json_is_integer(to(v)) ? json_integer_value(to(v)) : otherwise;
}

void *js_iter(const struct js *obj)
{
    return json_object_iter(to(obj));
}

void *js_next(const struct js *obj, void *it)
{
    return json_object_iter_next(to(obj), it);
}

const char *js_iter_key(void *it)
{
    return json_object_iter_key(it);
}

struct js *js_iter_value(void *it)
{
    return from(json_object_iter_value(it));
}

/* The shortest decimal that reads back as the same double; always with a point or an exponent. */
static void write_real(double v, struct strbuf *out)
{
    char text[40];
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, v);
        if (strtod(text, NULL) == v)
            break;
    }
    str_adds(out, text);
    if (!strpbrk(text, ".e"))
        str_adds(out, ".0");
}

static void new_line(struct strbuf *out, int depth)
{
    str_addc(out, '\n');
    for (int i = 0; i < depth; i++)
        str_adds(out, "  ");
}

/* depth < 0: all on one line; else that many levels of indent. */
static void write_value(const struct js *v, struct strbuf *out, int depth)
{
    int inside = depth < 0 ? depth : depth + 1;
    bool first = true;
    switch (js_kind(v)) {
    case JS_OBJECT:
        str_addc(out, '{');
        for (void *it = js_iter(v); it; it = js_next(v, it), first = false) {
            if (!first)
                str_addc(out, ',');
            if (depth >= 0)
                new_line(out, inside);
            js_quote(out, js_iter_key(it), strlen(js_iter_key(it)));
            str_adds(out, depth < 0 ? ":" : ": ");
            write_value(js_iter_value(it), out, inside);
        }
        if (depth >= 0 && !first)
            new_line(out, depth);
        str_addc(out, '}');
        break;
    case JS_ARRAY:
        str_addc(out, '[');
        for (size_t i = 0; i < js_len(v); i++, first = false) {
            if (!first)
                str_addc(out, ',');
            if (depth >= 0)
                new_line(out, inside);
            write_value(js_at(v, i), out, inside);
        }
        if (depth >= 0 && !first)
            new_line(out, depth);
        str_addc(out, ']');
        break;
    case JS_TEXT: {
        size_t n;
        const char *s = js_as_text(v, &n);
        js_quote(out, s, n);
        break;
    }
    case JS_WHOLE:
        str_printf(out, "%lld", (long long)js_as_whole(v, 0));
        break;
    case JS_REAL:
        write_real(js_as_real(v, 0), out);
        break;
    case JS_BOOL:
        str_adds(out, json_is_true(to(v)) ? "true" : "false");
        break;
    default:
        str_adds(out, "null");
    }
}

void js_write(const struct js *v, struct strbuf *out)
{
    write_value(v, out, -1);
}

void js_write_pretty(const struct js *v, struct strbuf *out)
{
    write_value(v, out, 0);
    str_addc(out, '\n');
}

enum st js_write_file(const struct js *v, const char *path, struct err *err)
{
    struct strbuf text = { 0 };
    js_write_pretty(v, &text);
    enum st st = file_write(path, text.s, text.n, err);
    str_release(&text);
    return st;
}

void js_quote(struct strbuf *out, const char *s, size_t n_bytes)
{
    struct strbuf fixed = { 0 };
    if (utf8_valid(s, n_bytes) != n_bytes) {
        utf8_repair(&fixed, s, n_bytes);
        s = fixed.s;
        n_bytes = fixed.n;
    }
    str_reserve(out, n_bytes + 2);
    str_addc(out, '"');
    size_t from_byte = 0;
    for (size_t i = 0; i < n_bytes; i++) {
        unsigned char c = (unsigned char)s[i];
        if (c >= 0x20 && c != '"' && c != '\\')
            continue;
        str_add(out, s + from_byte, i - from_byte);
        from_byte = i + 1;
        if (c == '"' || c == '\\')
            str_printf(out, "\\%c", c);
        else if (c == '\n')
            str_adds(out, "\\n");
        else if (c == '\t')
            str_adds(out, "\\t");
        else if (c == '\r')
            str_adds(out, "\\r");
        else
            str_printf(out, "\\u%04x", c);
    }
    str_add(out, s + from_byte, n_bytes - from_byte);
    str_addc(out, '"');
    str_release(&fixed);
}

void js_write_html(const struct js *v, struct strbuf *out)
{
    struct strbuf plain = { 0 };
    js_write(v, &plain);
    for (size_t i = 0; i < plain.n; i++) {
        char c = plain.s[i];
        if (c == '<' || c == '>' || c == '&') /* these stand only inside strings */
            str_printf(out, "\\u%04x", (unsigned)c);
        else
            str_addc(out, c);
    }
    str_release(&plain);
}
