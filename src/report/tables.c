/* report/tables.c - the verdict's lines, the laws, the kinds and the runs as tables: see part.h. */
#include "report/part.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/attr.h"
#include "base/mem.h"
#include "base/units.h"
#include "report/escape.h"

void number_html(struct strbuf *b, double v)
{
    if (isnan(v))
        esc_raw(b, "\u2013");
    else
        str_printf(b, "%.5g", v);
}

static void cell_number(struct strbuf *b, double v)
{
    esc_raw(b, "<td class=\"num\">");
    number_html(b, v);
    esc_raw(b, "</td>");
}

static void cell_text(struct strbuf *b, const char *s)
{
    esc_raw(b, "<td>");
    esc_text(b, s);
    esc_raw(b, "</td>");
}

static void cell_count(struct strbuf *b, double v)
{
    char text[UNITS_MAX];
    str_printf(b, "<td class=\"num\">%s</td>", isnan(v) ? "\u2013" : count_text(text, v));
}

static void cell_percent(struct strbuf *b, double share)
{
    if (isnan(share))
        cell_number(b, share);
    else
        str_printf(b, "<td class=\"num\">%.1f %%</td>", 100 * share);
}

/* Columns of the table of runs that fit on paper. */
static bool is_key(const char *column)
{
    static const char *const key[] = { "run",   "arm",  "frac_synth", "n_param_nonemb",
                                       "n_tok", "seed", "loss" };
    for (size_t i = 0; i < N_OF(key); i++)
        if (strcmp(column, key[i]) == 0)
            return true;
    return false;
}

static void head(struct strbuf *b, const char *caption, const char *const *column, size_t n)
{
    esc_raw(b, "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"");
    esc_text(b, caption);
    esc_raw(b, "\"><table><caption>");
    esc_text(b, caption);
    esc_raw(b, "</caption><thead><tr>");
    for (size_t i = 0; i < n; i++) {
        str_printf(b, "<th scope=\"col\"%s>", is_key(column[i]) ? " class=\"key\"" : "");
        esc_text(b, column[i]);
        esc_raw(b, "</th>");
    }
    esc_raw(b, "</tr></thead><tbody>\n");
}

static void foot(struct strbuf *b)
{
    esc_raw(b, "</tbody></table></div>\n");
}

void part_verdict(struct strbuf *b, const struct verdict *v)
{
    static const char *const mood[] = { "yes", "no", "open" };
    str_printf(b, "<div class=\"verdict %s\"><p class=\"headline\">", mood[v->mood]);
    esc_text(b, v->headline.s);
    esc_raw(b, "</p><p class=\"point\">");
    esc_text(b, v->point.s);
    esc_raw(b, "</p></div>\n<dl class=\"facts\">\n");
    for (size_t i = 0; i < v->n_line; i++) {
        esc_raw(b, "<div><dt>");
        esc_text(b, v->line[i].label);
        esc_raw(b, "</dt><dd>");
        esc_text(b, v->line[i].text.s);
        esc_raw(b, "</dd></div>\n");
    }
    esc_raw(b, "</dl>\n");
}

/* ---- laws ---- */

static void params(struct strbuf *b, const struct js *p)
{
    esc_raw(b, "<td>");
    for (void *it = js_iter(p); it; it = js_next(p, it)) {
        const struct js *v = js_iter_value(it);
        esc_raw(b, "<span class=\"param\"><i>");
        esc_text(b, js_iter_key(it));
        esc_raw(b, "</i> = ");
        number_html(b, js_kind(v) == JS_OBJECT ? js_get_real(v, "value", NAN) : js_as_real(v, NAN));
        double lo = js_get_real(v, "lo", NAN), hi = js_get_real(v, "hi", NAN);
        if (!isnan(lo) && !isnan(hi))
            str_printf(b, " <small>[%.4g, %.4g]</small>", lo, hi);
        esc_raw(b, "</span> ");
    }
    esc_raw(b, "</td>");
}

static void mixture_label(struct strbuf *b, const struct js *f)
{
    const char *kind = js_get_text(f, "kind", "all");
    esc_text(b, kind);
    double share = js_get_real(f, "share", NAN);
    if (!isnan(share) && strcmp(kind, "natural") != 0)
        str_printf(b, " %.3g %%", 100 * share);
}

static void law_warnings(struct strbuf *b, const struct js *fits)
{
    size_t n = 0;
    for (size_t i = 0; i < js_len(fits); i++)
        n += js_len(js_get(js_at(fits, i), "warnings")) + (js_get(js_at(fits, i), "error") != NULL);
    if (n == 0)
        return;
    str_printf(b, "<details><summary>%zu warnings of the fits</summary><ul>\n", n);
    for (size_t i = 0; i < js_len(fits); i++) {
        const struct js *f = js_at(fits, i), *list = js_get(f, "warnings");
        const char *error = js_get_text(f, "error", NULL);
        for (size_t k = 0; k < js_len(list) + (error != NULL); k++) {
            esc_raw(b, "<li>");
            mixture_label(b, f);
            esc_raw(b, ", ");
            esc_text(b, js_get_text(f, "law", "?"));
            esc_raw(b, ": ");
            esc_text(b, k < js_len(list) ? js_as_text(js_at(list, k), NULL) : error);
            esc_raw(b, "</li>\n");
        }
    }
    esc_raw(b, "</ul></details>\n");
}

static void law_row(struct strbuf *b, const struct js *f)
{
    const struct js *hold = js_get(f, "hold_out");
    esc_raw(b, "<tr><td>");
    mixture_label(b, f);
    esc_raw(b, "</td><td><code>");
    esc_text(b, js_get_text(f, "formula", js_get_text(f, "law", "?")));
    esc_raw(b, "</code></td>");
    params(b, js_get(f, "params"));
    cell_number(b, js_get_real(f, "n_rows", NAN));
    cell_number(b, js_get_real(f, "mrae", NAN));
    cell_number(b, js_get_real(hold, "mrae", NAN));
    cell_number(b, js_get_real(f, "n_starts_agree", NAN));
    esc_raw(b, "</tr>\n");
}

void part_laws(struct strbuf *b, const struct input *in)
{
    static const char *const column[] = { "arm",
                                          "law",
                                          "parameters, 95 % interval",
                                          "rows",
                                          "error, %",
                                          "held-out error, %",
                                          "starts that agree" };
    if (js_len(in->fits) == 0) {
        esc_raw(b, "<p class=\"absent\">No laws have been fitted yet.</p>\n");
        return;
    }
    head(b, "Fitted laws: L is the loss in nats per token, N parameters, D training tokens", column,
         N_OF(column));
    for (size_t i = 0; i < js_len(in->fits); i++)
        law_row(b, js_at(in->fits, i));
    foot(b);
    law_warnings(b, in->fits);
    esc_raw(b, "<p class=\"how\">Do not compare arms by E alone: it trades against the exponents. "
               "Compare predicted losses at a size and budget that were measured.</p>\n");
}

/* ---- kinds ---- */

/* Rates of a kind's answers, or of those to one of its prompts. */
static void raw_row(struct strbuf *b, const char *kind, const char *variant, const struct js *rates)
{
    static const char *const key[] = { "length",      "meta_talk",  "loop",
                                       "copy",        "refusal",    "copied_5grams",
                                       "source_kept", "names_kept", "numbers_kept" };
    struct strbuf name = { 0 };
    str_printf(&name, "%s%s%s", kind, variant ? ": " : "", variant ? variant : "");
    esc_raw(b, "<tr>");
    cell_text(b, name.s);
    cell_count(b, js_get_real(rates, "n", NAN));
    for (size_t k = 0; k < N_OF(key); k++)
        cell_percent(b, js_get_real(js_get(rates, "raw"), key[k], NAN));
    esc_raw(b, "</tr>\n");
    str_release(&name);
}

/* How the generator's answers were before anything was repaired: its own weakness. */
void part_raw(struct strbuf *b, const struct input *in)
{
    static const char *const column[] = {
        "kind",   "answers",  "stopped at the limit", "talk about the task",       "loops",
        "copies", "refusals", "5-grams copied",       "source words that survive", "names",
        "numbers"
    };
    bool any = false;
    for (size_t i = 0; i < in->n_kind; i++) {
        const struct js *counts = js_get(in->kind[i].manifest, "counts"),
                        *rates = js_get(counts, "rates"), *variants = js_get(counts, "variants");
        const struct js *recipe = js_get(js_get(in->kind[i].manifest, "settings"), "recipe");
        bool asked = strcmp(js_get_text(recipe, "transform", "none"), "none") == 0;
        if (!js_get(rates, "raw") || in->kind[i].control || !asked)
            continue;
        if (!any)
            head(b, "Answers as they came, before anything was cut or repaired", column,
                 N_OF(column));
        any = true;
        raw_row(b, in->kind[i].name, NULL, rates);
        for (void *it = js_iter(variants); it && js_len(variants) > 1; it = js_next(variants, it))
            raw_row(b, in->kind[i].name, js_iter_key(it), js_iter_value(it));
    }
    if (any)
        foot(b);
}

/* The sentences of what collapsed, below the table. */
static void collapses(struct strbuf *b, const struct input *in)
{
    for (size_t i = 0; i < in->n_kind; i++) {
        const struct js *said = js_get(js_get(in->kind[i].manifest, "counts"), "collapse");
        for (size_t k = 0; k < js_len(said); k++) {
            esc_raw(b, "<p class=\"how\">");
            esc_text(b, in->kind[i].name);
            esc_raw(b, ": ");
            esc_text(b, js_as_text(js_at(said, k), NULL));
            esc_raw(b, "</p>\n");
        }
    }
}

void part_diversity(struct strbuf *b, const struct input *in)
{
    static const char *const column[] = { "kind",        "texts",
                                          "begin alike", "like the nearest",
                                          "new words",   "new pairs",
                                          "new triples", "packs to 1 /" },
                             *const key[] = { "same_opening", "self_similar", "distinct_1",
                                              "distinct_2", "distinct_3" };
    bool any = false;
    for (size_t i = 0; i < in->n_kind; i++) {
        const struct js *all = js_get(js_get(js_get(in->kind[i].manifest, "counts"), "diversity"),
                                      "all"),
                        *mean = js_get(all, "mean");
        if (!mean)
            continue;
        if (!any)
            head(b, "How much answers differ from one another: means over windows of them", column,
                 N_OF(column));
        any = true;
        esc_raw(b, "<tr>");
        cell_text(b, in->kind[i].name);
        cell_count(b, js_get_real(all, "texts", NAN));
        for (size_t k = 0; k < N_OF(key); k++)
            cell_percent(b, js_get_real(mean, key[k], NAN));
        cell_number(b, js_get_real(mean, "compression", NAN));
        esc_raw(b, "</tr>\n");
    }
    if (any)
        foot(b);
    collapses(b, in);
}

void part_kinds(struct strbuf *b, const struct input *in)
{
    static const char *const column[] = { "kind",
                                          "requests",
                                          "prompt tokens",
                                          "tokens written",
                                          "documents kept",
                                          "tokens kept",
                                          "without the source before them",
                                          "tokens/s",
                                          "kept tokens/hour",
                                          "time",
                                          "price",
                                          "a million kept tokens" };
    if (in->n_kind == 0)
        return;
    head(b, "Generation, by kind of synthetic text", column, N_OF(column));
    for (size_t i = 0; i < in->n_kind; i++) {
        const struct js *c = input_counts(&in->kind[i]);
        char time[UNITS_MAX];
        esc_raw(b, "<tr>");
        cell_text(b, in->kind[i].name);
        cell_count(b, js_get_real(c, "requests", NAN));
        cell_count(b, js_get_real(c, "tokens_prompt", NAN));
        cell_count(b, js_get_real(c, "tokens_out", NAN));
        cell_count(b, js_get_real(c, "kept", js_get_real(c, "docs_out", NAN)));
        cell_count(b, js_get_real(c, "kept_tokens", NAN));
        cell_count(b, js_get_real(c, "kept_tokens_synthetic", NAN));
        cell_number(b, js_get_real(c, "tok_per_s", NAN));
        cell_count(b, js_get_real(c, "kept_tok_per_hour", NAN));
        double seconds = input_generate_s(&in->kind[i]);
        str_printf(b, "<td class=\"num\">%s</td>",
                   isnan(seconds) ? "\u2013" : units_time(time, seconds));
        double cost = js_get_real(c, "cost", NAN);
        cell_number(b, cost > 0 ? cost : NAN); /* 0: no price was given */
        cell_number(b, cost > 0 ? js_get_real(c, "cost_per_m_kept", NAN) : NAN);
        esc_raw(b, "</tr>\n");
    }
    foot(b);
}

/* ---- runs ---- */

/* A relative address: percent signs for whatever could end the path or start a scheme. */
static void path_html(struct strbuf *b, const char *s)
{
    for (; *s; s++) {
        unsigned char c = (unsigned char)*s;
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                     strchr("-._/", c);
        if (plain)
            str_addc(b, (char)c);
        else
            str_printf(b, "%%%02X", c);
    }
}

static void run_row(struct strbuf *b, const struct input *in, size_t i, size_t id_col, bool linked)
{
    const struct table *t = &in->table;
    const char *id = in->run[i].run_id;
    esc_raw(b, "<tr id=\"");
    esc_id(b, "run-", id);
    esc_raw(b, in->run[i].diverged ? "\" class=\"diverged\"><th scope=\"row\">"
                                   : "\"><th scope=\"row\">");
    if (linked && id[0] && !strstr(id, "..")) {
        esc_raw(b, "<a href=\"runs/");
        path_html(b, id);
        esc_raw(b, "/\">");
        esc_text(b, id);
        esc_raw(b, "</a>");
    } else {
        esc_text(b, id);
    }
    esc_raw(b, "</th>");
    for (size_t c = 0; c < t->n_col; c++) {
        if (c == id_col)
            continue;
        str_printf(b, "<td class=\"%s%s\">", t->col[c].num ? "num" : "",
                   is_key(t->col[c].name) ? " key" : "");
        esc_text(b, t->col[c].text[i]);
        esc_raw(b, "</td>");
    }
    esc_raw(b, "</tr>\n");
}

void part_runs(struct strbuf *b, const struct input *in, bool linked)
{
    const struct table *t = &in->table;
    if (in->n_run == 0) {
        esc_raw(b, "<p class=\"absent\">No run is finished yet.</p>\n");
        return;
    }
    const struct table_col *id = table_find(t, "run_id");
    size_t id_col = id ? (size_t)(id - t->col) : SIZE_MAX, n = 0;
    const char **column = xcalloc(t->n_col + 1, sizeof *column);
    column[n++] = "run";
    for (size_t c = 0; c < t->n_col; c++)
        if (c != id_col)
            column[n++] = t->col[c].name;
    head(b, "Every run, as in runs.csv", column, n);
    free(column);
    for (size_t i = 0; i < in->n_run; i++)
        run_row(b, in, i, id_col, linked);
    foot(b);
}
