/* report/page.c - see report.h: puts the parts in order, from the verdict to the detail. */
#include "report/report.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "report/assets.h"
#include "report/figure.h"
#include "report/escape.h"
#include "report/part.h"

/* 'sha256-BASE64' of an embedded script, as a content security policy names it. */
static void add_source_hash(struct strbuf *b, const struct asset *a)
{
    static const char digit[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    unsigned char raw[33] = { 0 }; /* one more, so that three bytes can always be read */
    for (size_t i = 0; i < 32; i++) {
        char two[3] = { a->sha256[2 * i], a->sha256[2 * i + 1], '\0' };
        raw[i] = (unsigned char)strtoul(two, NULL, 16);
    }
    str_adds(b, "'sha256-");
    for (size_t i = 0; i < 33; i += 3) {
        unsigned v = (unsigned)raw[i] << 16 | (unsigned)raw[i + 1] << 8 | raw[i + 2];
        str_addc(b, digit[v >> 18]);
        str_addc(b, digit[v >> 12 & 63]);
        str_addc(b, digit[v >> 6 & 63]);
        str_addc(b, i == 30 ? '=' : digit[v & 63]);
    }
    str_addc(b, '\'');
}

static void add_script(struct strbuf *b, const char *name)
{
    const struct asset *a = asset_find(name);
    esc_raw(b, "<script>");
    str_add(b, a->bytes, a->n_bytes);
    esc_raw(b, "</script>\n");
}

static const char *study_name(const struct input *in)
{
    const char *name = js_get_text(in->plan, "study", NULL);
    if (!name)
        name = js_get_text(in->plan, "name", NULL);
    if (!name)
        name = js_get_text(js_get(in->plan, "settings"), "study", NULL);
    return name ? name : path_base(in->dir);
}

/* Nothing but our two scripts may run and nothing may be loaded, even if a text got through. */
static void add_head(struct strbuf *b, const struct input *in)
{
    esc_raw(b, "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
               "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
               "script-src ");
    add_source_hash(b, asset_find("vega.js"));
    esc_raw(b, " ");
    add_source_hash(b, asset_find("report.js"));
    esc_raw(b,
            "; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'\">\n"
            "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
            "<meta name=\"color-scheme\" content=\"light dark\">\n"
            "<meta name=\"referrer\" content=\"no-referrer\">\n"
            "<meta name=\"generator\" content=\"mixlaw " MIXLAW_VERSION "\">\n<title>");
    esc_text(b, study_name(in));
    esc_raw(b, " - mixlaw</title>\n<style>");
    str_adds(b, asset_find("report.css")->bytes);
    esc_raw(b, "</style></head>\n");
}

static void add_header(struct strbuf *b, const struct input *in)
{
    size_t arms = 0, kinds = 0;
    for (size_t i = 0; i < in->n_kind; i++)
        kinds += !in->kind[i].control;
    for (size_t i = 0; i < in->n_cell; i++)
        arms += in->cell[i].n == in->n_max && in->cell[i].d == in->d_max;
    esc_raw(b, "<body>\n<a class=\"skip\" href=\"#verdict\">Skip to the verdict</a>\n<header>"
               "<p class=\"kicker\">Which synthetic data, and how much of it</p><h1>");
    esc_text(b, study_name(in));
    esc_raw(b, "</h1>");
    if (in->n_run)
        str_printf(b,
                   "<p class=\"sub\">%zu runs, %zu arms, %zu kind%s of synthetic text, %zu "
                   "evaluation domain%s</p>",
                   in->n_run, arms, kinds, kinds == 1 ? "" : "s", in->domain.n,
                   in->domain.n == 1 ? "" : "s");
    esc_raw(b, "<nav aria-label=\"Sections\"><a href=\"#verdict\">Verdict</a> "
               "<a href=\"#figures\">Figures</a> <a href=\"#laws\">Laws</a> "
               "<a href=\"#samples\">Samples</a> <a href=\"#cost\">Cost</a> "
               "<a href=\"#settings\">Settings</a> <a href=\"#runs\">Runs</a></nav></header>\n");
}

static void add_figure(struct strbuf *b, const struct figure *f, const struct input *in,
                       const struct curves *c, struct report_counts *counts)
{
    struct strbuf why = { 0 };
    struct js *spec = figure_spec(f, in, c, &why);
    str_printf(b, "<figure id=\"fig-%s\"><h3>", f->id);
    esc_text(b, f->title);
    esc_raw(b, "</h3>\n");
    if (spec) {
        esc_raw(b, "<p class=\"how\">");
        esc_text(b, f->how_to_read);
        str_printf(
            b,
            "</p>\n<div class=\"chart\" data-figure=\"%s\"></div>\n<div class=\"tools\" hidden>"
            "<button type=\"button\" data-get=\"csv\">CSV</button> <button type=\"button\" "
            "data-get=\"svg\">SVG</button> <button type=\"button\" data-get=\"json\">Vega</button>"
            "<details class=\"values\"><summary>Values</summary></details></div>\n"
            "<script type=\"application/json\" id=\"spec-%s\">",
            f->id, f->id);
        js_write_html(spec, b);
        esc_raw(b, "</script>\n");
        counts->n_figure++;
    } else {
        esc_raw(b, "<p class=\"absent\">");
        esc_text(b, why.s);
        esc_raw(b, "</p>\n");
    }
    esc_raw(b, "</figure>\n");
    js_free(spec);
    str_release(&why);
}

static void open_section(struct strbuf *b, const char *id, const char *title)
{
    str_printf(b, "<section id=\"%s\" aria-labelledby=\"h-%s\"><h2 id=\"h-%s\">%s</h2>\n", id, id,
               id, title);
}

static void add_figures(struct strbuf *b, const char *section, const struct input *in,
                        const struct curves *c, struct report_counts *counts)
{
    for (size_t i = 0; i < n_figures; i++)
        if (strcmp(figures[i].section, section) == 0)
            add_figure(b, &figures[i], in, c, counts);
}

static void add_missing(struct strbuf *b, const struct input *in)
{
    if (in->missing.n == 0)
        return;
    esc_raw(b, "<div class=\"missing\"><p>Not on this page:</p><ul>");
    for (size_t i = 0; i < in->missing.n; i++) {
        esc_raw(b, "<li>");
        esc_text(b, in->missing.s[i]);
        esc_raw(b, "</li>");
    }
    esc_raw(b, "</ul></div>\n");
}

static void add_body(struct strbuf *b, const struct input *in, const struct curves *c, bool linked,
                     struct report_counts *counts)
{
    struct verdict v;
    verdict_make(&v, in);
    esc_raw(b, "<main>\n");
    open_section(b, "verdict", "Verdict");
    part_verdict(b, &v);
    add_missing(b, in);
    add_figures(b, "verdict", in, c, counts);
    esc_raw(b, "</section>\n");
    open_section(b, "figures", "Figures");
    if (c->problem[0]) {
        esc_raw(b, "<p class=\"absent\">Some arms have no curve. ");
        esc_text(b, c->problem);
        esc_raw(b, ".</p>\n");
    }
    add_figures(b, "figures", in, c, counts);
    esc_raw(b, "</section>\n");
    open_section(b, "laws", "Laws");
    part_laws(b, in);
    esc_raw(b, "</section>\n");
    open_section(b, "samples", "Samples of the synthetic text");
    add_figures(b, "samples", in, c, counts);
    part_raw(b, in);
    part_diversity(b, in);
    part_samples(b, in);
    esc_raw(b, "</section>\n");
    open_section(b, "cost", "Cost");
    add_figures(b, "cost", in, c, counts);
    part_kinds(b, in);
    esc_raw(b, "</section>\n");
    open_section(b, "settings", "Settings and provenance");
    part_settings(b, in);
    esc_raw(b, "</section>\n");
    open_section(b, "runs", "Runs");
    part_runs(b, in, linked);
    esc_raw(b,
            "</section>\n</main>\n<footer><p>Made by mixlaw " MIXLAW_VERSION
            ". Figures are drawn by Vega, which stands in this file (BSD 3-clause, University "
            "of Washington Interactive Data Lab); nothing is loaded from anywhere.</p></footer>\n"
            "<div id=\"tip\" role=\"status\" hidden></div>\n");
    verdict_release(&v);
}

/* Links to run folders work only from within the study's folder. */
static bool lies_in(const char *path, const char *dir)
{
    size_t n = strlen(dir);
    while (n > 1 && dir[n - 1] == '/')
        n--;
    return strncmp(path, dir, n) == 0 && path[n] == '/' && !strchr(path + n + 1, '/');
}

enum st report_write(const char *study_dir, const char *out_path, struct report_counts *counts,
                     struct err *err)
{
    struct input in;
    struct curves c;
    struct strbuf b = { 0 };
    memset(counts, 0, sizeof *counts);
    enum st st = input_read(&in, study_dir, err);
    if (st < 0)
        return st;
    curves_make(&c, &in);
    add_head(&b, &in);
    add_header(&b, &in);
    add_body(&b, &in, &c, lies_in(out_path, study_dir), counts);
    add_script(&b, "vega.js");
    add_script(&b, "report.js");
    esc_raw(&b, "</body></html>\n");
    counts->n_run = in.n_run;
    counts->n_missing = in.missing.n;
    counts->n_bytes = b.n;
    st = file_write(out_path, b.s, b.n, err);
    str_release(&b);
    curves_release(&c);
    input_release(&in);
    return st;
}
