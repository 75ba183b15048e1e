/*
 * base/json.h - JSON values, read and built. The only file that knows jansson is json.c.
 *
 * A `struct js` is reference counted by its container: js_put_* and js_push_* hand the new
 * value to its parent, and js_free releases a root with all it holds. Getters borrow and never
 * fail loudly: a missing key or another type gives the default. Object keys keep their order.
 * Whole numbers are 64-bit and never pass through double; NaN and infinities become null.
 *
 *     struct js *row = js_object();
 *     js_put_text(row, "domain", "books");
 *     js_put_real(row, "loss", 3.21);
 *     js_write(row, &buf);              {"domain":"books","loss":3.21}
 *     js_free(row);
 *
 * Threads: a value belongs to one thread at a time.
 */
#ifndef MIXLAW_BASE_JSON_H
#define MIXLAW_BASE_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

struct js;

/* Parses one value that fills text. ST_FORMAT with line and column. The caller frees *out. */
MUST_USE enum st js_parse(struct js **out, const char *text, size_t n_bytes, struct err *err);
MUST_USE enum st js_read_file(struct js **out, const char *path, struct err *err);
void js_free(struct js *v); /* NULL is fine */

struct js *js_object(void);
struct js *js_array(void);
struct js *js_text(const char *s);      /* s: valid UTF-8 */
struct js *js_copy(const struct js *v); /* deep */

/* Takes v. A key that is no UTF-8 (a file name) has its odd bytes written as \xE9. */
void js_put(struct js *obj, const char *key, struct js *v);
void js_put_text(struct js *obj, const char *key, const char *s); /* NULL becomes null */
void js_put_textn(struct js *obj, const char *key, const char *s,
                  size_t n_bytes); /* repairs UTF-8 */
void js_put_whole(struct js *obj, const char *key, int64_t v);
void js_put_real(struct js *obj, const char *key, double v);
void js_put_bool(struct js *obj, const char *key, bool v);
void js_push(struct js *arr, struct js *v); /* takes v */
void js_push_text(struct js *arr, const char *s);
void js_push_whole(struct js *arr, int64_t v);
void js_push_real(struct js *arr, double v);

enum js_kind { JS_NONE, JS_OBJECT, JS_ARRAY, JS_TEXT, JS_WHOLE, JS_REAL, JS_BOOL, JS_NULL };
enum js_kind js_kind(const struct js *v); /* JS_NONE for NULL */

struct js *js_get(const struct js *obj, const char *key); /* or NULL */
const char *js_get_text(const struct js *obj, const char *key, const char *otherwise);
int64_t js_get_whole(const struct js *obj, const char *key, int64_t otherwise);
double js_get_real(const struct js *obj, const char *key, double otherwise); /* wholes too */
bool js_get_bool(const struct js *obj, const char *key, bool otherwise);

size_t js_len(const struct js *v); /* elements or members */
struct js *js_at(const struct js *arr, size_t i);
const char *js_as_text(const struct js *v, size_t *n_bytes); /* NULL if no text */
double js_as_real(const struct js *v, double otherwise);
int64_t js_as_whole(const struct js *v, int64_t otherwise);

/* Walks the members of an object in order:  for (void *it = js_iter(o); it; it = js_next(o, it)) */
void *js_iter(const struct js *obj);
void *js_next(const struct js *obj, void *it);
const char *js_iter_key(void *it);
struct js *js_iter_value(void *it);

void js_write(const struct js *v, struct strbuf *out);        /* one line, no newline */
void js_write_pretty(const struct js *v, struct strbuf *out); /* indented, ends in newline */
MUST_USE enum st js_write_file(const struct js *v, const char *path,
                               struct err *err); /* pretty, atomic */

/* Appends s as a JSON string with quotes, for writers that stream. Damaged UTF-8 is repaired. */
void js_quote(struct strbuf *out, const char *s, size_t n_bytes);

/* Writes text that is safe inside an HTML <script>: as js_write with <, > and & as \u escapes. */
void js_write_html(const struct js *v, struct strbuf *out);

#endif
