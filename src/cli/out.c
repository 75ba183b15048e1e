/* cli/out.c - see out.h. */
#include "cli/out.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/units.h"

struct out {
    bool json;
    int failed; /* errno of the first write that failed, 0: none */
    struct js **row;
    size_t n, cap;
};

struct out *out_new(bool json)
{
    struct out *o = NEW(struct out);
    o->json = json;
    return o;
}

bool out_is_json(const struct out *o)
{
    return o->json;
}

void out_row(struct out *o, struct js *row)
{
    if (o->json) {
        struct strbuf b = { 0 };
        js_write(row, &b);
        str_addc(&b, '\n');
        errno = 0;
        if ((fwrite(b.s, 1, b.n, stdout) != b.n || fflush(stdout) != 0) && !o->failed)
            o->failed = errno ? errno : EIO;
        str_release(&b);
        js_free(row);
        return;
    }
    GROW(o->row, o->n, o->cap);
    o->row[o->n++] = row;
}

/* A value for people: what is nested stands in one line, as "weights 4326912, gradients 4326912".
 */
static void add_cell(struct strbuf *b, const struct js *v)
{
    switch (js_kind(v)) {
    case JS_TEXT:
        str_adds(b, js_as_text(v, NULL));
        break;
    case JS_REAL:
        str_printf(b, "%.6g", js_as_real(v, 0));
        break;
    case JS_NULL:
    case JS_NONE:
        str_addc(b, '-');
        break;
    case JS_OBJECT:
        for (void *it = js_iter(v); it; it = js_next(v, it)) {
            str_printf(b, "%s%s ", it == js_iter(v) ? "" : ", ", js_iter_key(it));
            add_cell(b, js_iter_value(it));
        }
        break;
    case JS_ARRAY:
        for (size_t i = 0; i < js_len(v); i++) {
            str_adds(b, i == 0 ? "" : js_kind(js_at(v, i)) == JS_OBJECT ? "; " : ", ");
            add_cell(b, js_at(v, i));
        }
        if (js_len(v) == 0)
            str_addc(b, '-');
        break;
    default:
        js_write(v, b);
    }
}

static char *cell(const struct js *v)
{
    struct strbuf b = { 0 };
    add_cell(&b, v);
    return str_detach(&b);
}

static bool same_keys(const struct js *a, const struct js *b)
{
    void *i = js_iter(a), *j = js_iter(b);
    for (; i && j; i = js_next(a, i), j = js_next(b, j))
        if (strcmp(js_iter_key(i), js_iter_key(j)) != 0)
            return false;
    return !i && !j;
}

static void print_one(const struct js *row)
{
    int width = 0;
    for (void *it = js_iter(row); it; it = js_next(row, it))
        if ((int)strlen(js_iter_key(it)) > width)
            width = (int)strlen(js_iter_key(it));
    for (void *it = js_iter(row); it; it = js_next(row, it)) {
        char *text = cell(js_iter_value(it));
        printf("%-*s  %s\n", width, js_iter_key(it), text);
        free(text);
    }
}

enum { MAX_COLUMNS = 64 };

static void print_table(struct js *const *row, size_t n)
{
    int width[MAX_COLUMNS] = { 0 };
    size_t c = 0;
    for (void *it = js_iter(row[0]); it && c < MAX_COLUMNS; it = js_next(row[0], it), c++)
        width[c] = (int)strlen(js_iter_key(it));
    for (size_t i = 0; i < n; i++) {
        c = 0;
        for (void *it = js_iter(row[i]); it && c < MAX_COLUMNS; it = js_next(row[i], it), c++) {
            char *text = cell(js_iter_value(it));
            if ((int)strlen(text) > width[c])
                width[c] = (int)strlen(text);
            free(text);
        }
    }
    c = 0;
    for (void *it = js_iter(row[0]); it && c < MAX_COLUMNS; it = js_next(row[0], it), c++)
        printf("%s%-*s", c ? "  " : "", width[c], js_iter_key(it));
    putchar('\n');
    for (size_t i = 0; i < n; i++) {
        c = 0;
        for (void *it = js_iter(row[i]); it && c < MAX_COLUMNS; it = js_next(row[i], it), c++) {
            char *text = cell(js_iter_value(it));
            bool number =
                js_kind(js_iter_value(it)) == JS_WHOLE || js_kind(js_iter_value(it)) == JS_REAL;
            printf(number ? "%s%*s" : "%s%-*s", c ? "  " : "", width[c], text);
            free(text);
        }
        putchar('\n');
    }
}

enum st out_finish(struct out *o, struct err *err)
{
    for (size_t i = 0; i < o->n;) {
        size_t k = i + 1;
        while (k < o->n && same_keys(o->row[i], o->row[k]))
            k++;
        if (k - i == 1)
            print_one(o->row[i]);
        else
            print_table(o->row + i, k - i);
        i = k;
        if (i < o->n)
            putchar('\n');
    }
    errno = 0;
    if ((fflush(stdout) != 0 || ferror(stdout)) && !o->failed)
        o->failed = errno ? errno : EIO;
    if (o->failed && o->failed != EPIPE) /* `| head` has seen enough */
        return err_set(err, ST_IO, "cannot write to standard output: %s", strerror(o->failed));
    return ST_OK;
}

void out_free(struct out *o)
{
    if (!o)
        return;
    for (size_t i = 0; i < o->n; i++)
        js_free(o->row[i]);
    free(o->row);
    free(o);
}
