/* report/detail.c - samples and settings, whose texts are anybody's: see part.h. */
#include "report/part.h"

#include <math.h>
#include <string.h>

#include "report/escape.h"

enum {
    MAX_SAMPLES = 12,        /* a kind */
    MAX_SAMPLE_BYTES = 6000, /* a text */
    MAX_ITEMS = 60,          /* of a list in the settings */
    MAX_DEPTH = 8
};

/* ---- settings ---- */

static bool is_scalar(const struct js *v)
{
    return js_kind(v) != JS_OBJECT && js_kind(v) != JS_ARRAY;
}

static void scalar_html(struct strbuf *b, const struct js *v)
{
    size_t n;
    const char *text = js_as_text(v, &n);
    if (text) {
        esc_textn(b, text, n);
        return;
    }
    struct strbuf plain = { 0 };
    if (js_kind(v) == JS_REAL)
        str_printf(&plain, "%.8g", js_as_real(v, NAN));
    else if (v)
        js_write(v, &plain);
    esc_text(b, plain.s);
    str_release(&plain);
}

static void list_html(struct strbuf *b, const struct js *v, int depth)
{
    size_t n = js_len(v), shown = n < MAX_ITEMS ? n : MAX_ITEMS;
    bool flat = true;
    for (size_t i = 0; i < shown; i++)
        flat = flat && is_scalar(js_at(v, i));
    if (!flat)
        esc_raw(b, "<ol>");
    for (size_t i = 0; i < shown; i++) {
        esc_raw(b, flat ? (i ? ", " : "") : "<li>");
        json_html(b, js_at(v, i), depth + 1);
        esc_raw(b, flat ? "" : "</li>");
    }
    if (!flat)
        esc_raw(b, "</ol>");
    if (shown < n)
        str_printf(b, " <em>and %zu more</em>", n - shown);
}

void json_html(struct strbuf *b, const struct js *v, int depth)
{
    if (is_scalar(v)) {
        scalar_html(b, v);
        return;
    }
    if (js_len(v) == 0 || depth > MAX_DEPTH) {
        esc_raw(b, js_len(v) ? "<em>deeper than shown here</em>" : "<em>none</em>");
        return;
    }
    if (js_kind(v) == JS_ARRAY) {
        list_html(b, v, depth);
        return;
    }
    esc_raw(b, "<table class=\"kv\"><tbody>");
    size_t n = 0;
    for (void *it = js_iter(v); it && n < 10 * MAX_ITEMS; it = js_next(v, it), n++) {
        esc_raw(b, "<tr><th scope=\"row\">");
        esc_text(b, js_iter_key(it));
        esc_raw(b, "</th><td>");
        json_html(b, js_iter_value(it), depth + 1);
        esc_raw(b, "</td></tr>");
    }
    esc_raw(b, "</tbody></table>");
}

static void folded(struct strbuf *b, const char *title, const struct js *v, bool open)
{
    str_printf(b, "<details%s><summary>", open ? " open" : "");
    esc_text(b, title);
    esc_raw(b, "</summary><div class=\"scroll\">");
    json_html(b, v, 0);
    esc_raw(b, "</div></details>\n");
}

void part_settings(struct strbuf *b, const struct input *in)
{
    const struct js *warnings = js_get(in->plan, "warnings");
    if (js_len(warnings) > 0) {
        esc_raw(b, "<h3>Warnings of the plan</h3><ul>");
        for (size_t i = 0; i < js_len(warnings); i++) {
            esc_raw(b, "<li>");
            json_html(b, js_at(warnings, i), 1);
            esc_raw(b, "</li>");
        }
        esc_raw(b, "</ul>\n");
    }
    if (in->plan)
        folded(b, "The plan, frozen before training (plan.json)", in->plan, false);
    else
        esc_raw(b, "<p class=\"absent\">There is no plan.json.</p>\n");
    if (in->advice)
        folded(b, "The advice with all its numbers (advice.json)", in->advice, false);
    for (size_t i = 0; i < in->n_stage; i++) {
        struct strbuf title = { 0 };
        str_printf(&title, "Stage %s: %s", js_get_text(in->stage[i].manifest, "stage", "?"),
                   in->stage[i].path);
        folded(b, title.s, in->stage[i].manifest, false);
        str_release(&title);
    }
}

/* ---- samples ---- */

/* The first of several keys that holds a text. */
static const struct js *first_text(const struct js *row, const char *const *key)
{
    for (; *key; key++)
        if (js_kind(js_get(row, *key)) == JS_TEXT)
            return js_get(row, *key);
    return NULL;
}

static void text_box(struct strbuf *b, const char *title, const struct js *v)
{
    size_t n = 0;
    const char *text = js_as_text(v, &n);
    size_t shown = n < MAX_SAMPLE_BYTES ? n : MAX_SAMPLE_BYTES;
    while (text && shown < n && shown > 0 && ((unsigned char)text[shown] & 0xC0) == 0x80)
        shown--; /* not within a character */
    str_printf(b, "<div><h5>%s</h5><div class=\"doc\" dir=\"auto\" tabindex=\"0\">", title);
    if (text)
        esc_textn(b, text, shown);
    else
        esc_raw(b, "<em>not recorded</em>");
    if (shown < n)
        str_printf(b, "<em> \u2026 %zu more bytes</em>", n - shown);
    esc_raw(b, "</div></div>\n");
}

static void verdict_html(struct strbuf *b, const struct js *row)
{
    const struct js *v = js_get(row, "verdict");
    if (!v)
        v = js_get(row, "verdicts");
    bool kept = js_get_bool(row, "kept", false) ||
                (js_as_text(v, NULL) &&
                 (!strcmp(js_as_text(v, NULL), "kept") || !strcmp(js_as_text(v, NULL), "ok"))) ||
                (js_kind(v) == JS_ARRAY && js_len(v) == 0);
    str_printf(b, "<span class=\"badge %s\">", kept ? "kept" : "dropped");
    if (!v || (js_kind(v) == JS_ARRAY && js_len(v) == 0))
        esc_raw(b, kept ? "kept" : "not judged");
    else if (is_scalar(v) || js_kind(v) == JS_ARRAY)
        json_html(b, v, MAX_DEPTH - 1);
    else
        for (void *it = js_iter(v); it; it = js_next(v, it)) {
            esc_text(b, js_iter_key(it));
            esc_raw(b, " ");
        }
    esc_raw(b, "</span>");
}

static void sample_html(struct strbuf *b, const struct js *row, size_t k)
{
    static const char *const source[] = { "source_text", "source", "input", "prompt", NULL },
                             *const output[] = { "output", "text", "synthetic", "answer", NULL },
                             *const where[] = { "url", "source_url", "source_id", "id", NULL };
    str_printf(b, "<article class=\"sample\"><h4>Sample %zu ", k + 1);
    verdict_html(b, row);
    esc_raw(b, "</h4>");
    const struct js *from = first_text(row, where);
    if (from) {
        esc_raw(b, "<p class=\"from\">from ");
        json_html(b, from, 0);
        esc_raw(b, "</p>");
    }
    esc_raw(b, "<div class=\"pair\">");
    text_box(b, "Source", first_text(row, source));
    text_box(b, "Synthetic", first_text(row, output));
    esc_raw(b, "</div></article>\n");
}

void part_samples(struct strbuf *b, const struct input *in)
{
    for (size_t i = 0; i < in->n_kind; i++) {
        const struct js *list = in->kind[i].samples;
        if (in->kind[i].control && js_len(list) == 0)
            continue;
        if (js_kind(list) == JS_OBJECT)
            list = js_get(list, "samples");
        esc_raw(b, "<h3>");
        esc_text(b, in->kind[i].name);
        esc_raw(b, "</h3>\n");
        if (js_len(list) == 0)
            esc_raw(b, "<p class=\"absent\">No samples were kept for this kind.</p>\n");
        size_t n = js_len(list) < MAX_SAMPLES ? js_len(list) : MAX_SAMPLES;
        for (size_t k = 0; k < n; k++) {
            if (k == 2)
                str_printf(b, "<details><summary>%zu more samples of this kind</summary>\n", n - 2);
            sample_html(b, js_at(list, k), k);
        }
        if (n > 2)
            esc_raw(b, "</details>\n");
    }
}
