/* tests/report/main.c - the report's tests; `test_report --make WHAT DIR` writes a made-up study.
 */
#include "check.h"

#include <math.h>

#include "base/attr.h"
#include "base/json.h"
#include "base/mem.h"
#include "fixture.h"
#include "report/curves.h"
#include "report/figure.h"
#include "report/escape.h"
#include "report/input.h"
#include "report/report.h"
#include "report/summary.h"

static char *make(const char *what)
{
    struct err err = { "" };
    char *dir = path_join(check_dir(), what);
    enum st st = fixture_make(what, dir, &err);
    CHECK(st == ST_OK, "%s: %s", what, err.msg);
    return dir;
}

static void test_escape(void)
{
    static const struct {
        const char *in, *want;
    } row[] = {
        { "plain", "plain" },
        { "<script>", "&lt;script&gt;" },
        { "a&b \"c\" 'd'", "a&amp;b &quot;c&quot; &#39;d&#39;" },
        { "line\nnext\tx", "line\nnext\tx" },
        { "x\xE2\x80\xAEy", "x\u27E8U+202E\u27E9y" },
        { "x\x1By", "x\u27E8U+001B\u27E9y" },
        { "x\xEF\xBB\xBFy", "x\u27E8U+FEFF\u27E9y" },
        { "bad\xFF.", "bad\xEF\xBF\xBD." },
        { "\xF0\x9F\x99\x82 \xC3\xA4", "\xF0\x9F\x99\x82 \xC3\xA4" },
    };
    for (size_t i = 0; i < N_OF(row); i++) {
        struct strbuf b = { 0 };
        esc_text(&b, row[i].in);
        CHECK(strcmp(b.s, row[i].want) == 0, "got %s, want %s", b.s, row[i].want);
        str_release(&b);
    }
    struct strbuf id = { 0 };
    esc_id(&id, "run-", "a/b c\"<\xC3\xA4");
    CHECK(strcmp(id.s, "run-a_b_c____") == 0, "got %s", id.s);
    str_release(&id);
}

static void test_cells(void)
{
    char *dir = make("full");
    struct input in;
    struct err err = { "" };
    enum st st = input_read(&in, dir, &err);
    NEED(st == ST_OK, "%s", err.msg);
    CHECK(in.n_run == 108, "%zu runs", in.n_run);
    CHECK(in.n_cell == 5 * 9 + 3 * 3, "%zu cells", in.n_cell);
    CHECK(in.n_diverged == 1, "%zu diverged", in.n_diverged);
    CHECK(in.n_max == 2500000 && in.d_max == 9000000, "decision at %g, %g", in.n_max, in.d_max);
    CHECK(in.domain.n == 6, "%zu domains", in.domain.n);
    CHECK(in.missing.n == 0, "missing: %s", in.missing.n ? in.missing.s[0] : "");
    /* The planted noise is .2 % of a loss near 4, so .008, known from 53 pairs to within a third.
     */
    CHECK(in.noise_sd > 0.005 && in.noise_sd < 0.011, "noise %g", in.noise_sd);
    const struct input_cell *nat = input_natural(&in, 2500000, 9000000);
    NEED(nat, "no natural cell");
    CHECK(nat->n_run == 2 && !nat->control, "%zu runs", nat->n_run);
    double half, mean = input_mean(&in, (size_t)(nat - in.cell), "loss", &half);
    CHECK(fabs(mean - nat->mean) < 1e-9, "means %g and %g", mean, nat->mean);
    size_t n_branch = 0; /* a branch pays for its own steps, the longest for the trunk */
    for (size_t i = 0; i < in.n_run; i++) {
        double want = in.run[i].d < 9000000 ? 0.1 * in.run[i].wall_s : in.run[i].wall_s;
        CHECK(fabs(in.run[i].own_s - want) < 1e-9, "%s: %g s of %g", in.run[i].run_id,
              in.run[i].own_s, in.run[i].wall_s);
        n_branch += in.run[i].d < 9000000;
    }
    CHECK(n_branch == 72, "%zu branches", n_branch);
    for (size_t i = 0; i < in.n_kind; i++) { /* hq was interrupted: all its goes count */
        double want = strcmp(in.kind[i].name, "hq") == 0   ? 1045.2
                      : strcmp(in.kind[i].name, "qa") == 0 ? 992.8
                                                           : input_generate_s(&in.kind[i]);
        CHECK(input_generate_s(&in.kind[i]) == want, "%s: %g s, want %g", in.kind[i].name,
              input_generate_s(&in.kind[i]), want);
    }
    size_t n_control = 0;
    for (size_t i = 0; i < in.n_cell; i++)
        n_control += in.cell[i].control;
    CHECK(n_control == 9, "%zu control cells", n_control);
    input_release(&in);
    free(dir);
}

static void test_figures(void)
{
    char *dir = make("full");
    struct input in;
    struct curves c;
    struct err err = { "" };
    enum st st = input_read(&in, dir, &err);
    NEED(st == ST_OK, "%s", err.msg);
    curves_make(&c, &in);
    CHECK(c.n == 5 && !c.problem[0], "%zu curves, %s", c.n, c.problem);
    for (size_t i = 0; i < c.n; i++) { /* the planted law comes back where it was measured */
        double loss, lo, hi;
        NEED(c.curve[i].has_fit && c.curve[i].has_early, "no fit for %s", c.curve[i].arm->arm);
        fit_predict(&c.curve[i].fit, 1e6, 3e6, 0.95, &loss, &lo, &hi);
        CHECK(lo <= loss && loss <= hi && hi - lo < 0.1, "%g in [%g, %g]", loss, lo, hi);
    }
    CHECK(c.n_held_out >= 5 * 2, "%zu held out", c.n_held_out);
    for (size_t i = 0; i < n_figures; i++) {
        struct strbuf why = { 0 };
        struct js *spec = figure_spec(&figures[i], &in, &c, &why);
        CHECK(spec, "%s: %s", figures[i].id, why.s);
        CHECK(js_len(js_get(js_at(js_get(spec, "data"), 0), "values")) > 0, "%s has no rows",
              figures[i].id);
        js_free(spec);
        str_release(&why);
    }
    curves_release(&c);
    input_release(&in);
    free(dir);
}

static size_t count(const char *text, const char *what)
{
    size_t n = 0;
    for (const char *p = text; (p = strstr(p, what)); p += strlen(what))
        n++;
    return n;
}

/* Writes the page of a made-up study and reads it back. */
static struct report_counts page(const char *what, struct strbuf *html)
{
    struct err err = { "" };
    struct report_counts n = { 0 };
    char *dir = make(what), *out = path_join(dir, "report.html");
    enum st st = report_write(dir, out, &n, &err);
    CHECK(st == ST_OK, "%s: %s", what, err.msg);
    if (st == ST_OK)
        st = file_read(out, 16 << 20, html, &err);
    CHECK(st == ST_OK && html->n == n.n_bytes, "%s: %s", what, err.msg);
    free(out);
    free(dir);
    return n;
}

static void test_page_full(void)
{
    struct strbuf b = { 0 };
    struct report_counts n = page("full", &b);
    CHECK(n.n_figure == n_figures && n.n_run == 108 && n.n_missing == 0, "%zu figures, %zu runs",
          n.n_figure, n.n_run);
    CHECK(n.n_bytes < 5000000, "%zu bytes", n.n_bytes);
    static const char *const want[] = { "Use hq for 33 % of the training tokens.",
                                        "connect-src", /* absent, see below */
                                        "default-src &#39;none&#39;",
                                        "id=\"run-hq_0.33_n2500k-s1_9000000\"",
                                        "href=\"runs/hq%400.33/n2500k-s1/9000000/\"",
                                        "Tar is a program that combines many files",
                                        "worse (right)",
                                        "hq: paraphrase",
                                        "61.3 %",
                                        "<td class=\"num\">6.2 %</td>",
                                        "variant &#39;after&#39; collapsed &lt;early&gt;" };
    for (size_t i = 0; i < N_OF(want); i++) {
        bool is_there = strstr(b.s, want[i]) != NULL;
        bool policy = i == 1 || i == 2; /* the policy is our own markup: quotes as they are */
        CHECK(is_there == !policy, "'%s' is %s", want[i], is_there ? "there" : "missing");
    }
    CHECK(strstr(b.s, "default-src 'none'; script-src 'sha256-"), "no policy");
    str_release(&b);
}

static void test_page_pieces_missing(void)
{
    static const char *const what[] = { "empty", "planned", "broken" };
    for (size_t i = 0; i < N_OF(what); i++) {
        struct strbuf b = { 0 };
        struct report_counts n = page(what[i], &b);
        CHECK(n.n_missing >= 3, "%s: %zu missing", what[i], n.n_missing);
        CHECK(n.n_figure <= 2, "%s: %zu figures", what[i], n.n_figure);
        CHECK(strstr(b.s, "Not on this page"), "%s does not say what is missing", what[i]);
        CHECK(strstr(b.s, "No recommendation yet"), "%s has a verdict", what[i]);
        str_release(&b);
    }
    struct report_counts n;
    struct err err = { "" };
    CHECK(report_write("/nonexistent/study", "/tmp/x.html", &n, &err) == ST_IO, "accepted");
    CHECK(strstr(err.msg, "is not a folder"), "got %s", err.msg);
}

/* The page's first sentence for each kind of advice. */
static void test_headlines(void)
{
    static const struct {
        const char *advice, *want;
    } row[] = {
        { "{\"verdict\":\"use none\"}", "Use none of this synthetic text" },
        { "{\"verdict\":\"use hq at 0.5\",\"kind\":\"hq\",\"share\":0.5}", "Use hq for 50 %" },
        { "{\"verdict\":\"insufficient\"}", "too small to recommend a share" },
        { "{\"verdict\":\"cannot tell\",\"choices\":[{\"verdict\":\"worse\"}]}",
          "no choice is shown to be better" },
        { "{\"verdict\":\"cannot tell\",\"choices\":[{\"verdict\":\"better\"}]}",
          "the same pages unrewritten gain as much" },
        { "{\"verdict\":\"cannot tell\",\"choices\":[{\"verdict\":\"better\"}],"
          "\"controls\":[{\"control\":\"poison\",\"want\":\"worse\",\"ok\":false}]}",
          "a control came out wrong" },
    };
    char *dir = make("full"), *out = path_join(dir, "report.html"),
         *advice = path_join(dir, "advice.json");
    for (size_t i = 0; i < N_OF(row); i++) {
        struct err err = { "" };
        struct report_counts n;
        struct strbuf b = { 0 };
        NEED(file_write(advice, row[i].advice, strlen(row[i].advice), &err) == ST_OK &&
                 report_write(dir, out, &n, &err) == ST_OK &&
                 file_read(out, 16 << 20, &b, &err) == ST_OK,
             "%s", err.msg);
        CHECK(strstr(b.s, row[i].want), "%s: the page does not say '%s'", row[i].advice,
              row[i].want);
        str_release(&b);
    }
    free(advice);
    free(out);
    free(dir);
}

/* Lines that may not say more than the advice does. */
static void test_lines(void)
{
    static const struct {
        const char *advice, *want, *never;
    } row[] = {
        { "{\"verdict\":\"use "
          "none\",\"kind\":\"natural\",\"share\":0.0,\"share_lo\":0.0,\"share_hi\":0.0}",
          "a gain worth having is ruled out", "is the best" },
        { "{\"verdict\":\"use hq at 0.5\",\"kind\":\"hq\",\"share\":0.5,\"tokens_saved\":1e6,"
          "\"tokens_saved_lo\":2e5,\"tokens_saved_hi\":3e6}",
          "1M training tokens (200k to 3M)", "no known bound" },
        { "{\"verdict\":\"use hq at 0.5\",\"kind\":\"hq\",\"share\":0.5,\"tokens_saved\":1e6,"
          "\"tokens_saved_lo\":2e5,\"tokens_saved_hi\":null}",
          "1M training tokens (200k to no known bound)", "3M" },
    };
    char *dir = make("full"), *advice = path_join(dir, "advice.json");
    for (size_t i = 0; i < N_OF(row); i++) {
        struct err err = { "" };
        struct strbuf b = { 0 };
        NEED(file_write(advice, row[i].advice, strlen(row[i].advice), &err) == ST_OK &&
                 report_summary(&b, dir, NULL, &err) == ST_OK,
             "%s", err.msg);
        CHECK(strstr(b.s, row[i].want) && !strstr(b.s, row[i].never), "%s gives %s", row[i].advice,
              b.s);
        str_release(&b);
    }
    free(advice);
    free(dir);
}

static void test_page_hostile(void)
{
    struct strbuf plain = { 0 }, evil = { 0 };
    page("full", &plain);
    page("hostile", &evil);
    /* Our markup opens two scripts and one block of data a figure, whatever the texts say. */
    CHECK(count(evil.s, "<script") == count(plain.s, "<script"), "%zu against %zu scripts",
          count(evil.s, "<script"), count(plain.s, "<script"));
    CHECK(count(evil.s, "</script") == count(plain.s, "</script"), "a script was closed");
    CHECK(count(evil.s, "<img") == 0 && count(evil.s, "<!--") == 0, "markup got through");
    CHECK(count(evil.s, "javascript:") > 0, "the text should be visible");
    CHECK(count(evil.s, "href=\"javascript") == 0, "a link runs script");
    CHECK(count(evil.s, "\xE2\x80\xAE") == 0, "a reordering character got through");
    CHECK(count(evil.s, "\x1B") == 0, "an escape character got through");
    str_release(&plain);
    str_release(&evil);
}

static void test_summary(void)
{
    struct strbuf b = { 0 };
    struct err err = { "" };
    char *dir = make("full");
    CHECK(report_summary(&b, dir, "study/report.html", &err) == ST_OK, "%s", err.msg);
    CHECK(str_starts(b.s, "Use hq for 33 %"), "got %s", b.s);
    CHECK(strstr(b.s, "  Interval        none: of the few shares"),
          "three shares have an interval in %s", b.s);
    CHECK(strstr(b.s, "differences below") && strstr(b.s, "study/report.html"), "got %s", b.s);
    for (const char *p = b.s; *p; p += strcspn(p, "\n") + 1)
        CHECK(strcspn(p, "\n") <= 101, "a line of %zu columns", strcspn(p, "\n"));
    CHECK(count(b.s, "\n") <= 20, "%zu lines", count(b.s, "\n"));
    str_release(&b);
    free(dir);
    dir = make("hostile");
    CHECK(report_summary(&b, dir, NULL, &err) == ST_OK, "%s", err.msg);
    CHECK(!strchr(b.s, '\x1B'), "an escape reached the terminal");
    str_release(&b);
    free(dir);
}

int main(int argc, char **argv)
{
    if (argc == 4 && strcmp(argv[1], "--make") == 0) {
        struct err err = { "" };
        enum st st = fixture_make(argv[2], argv[3], &err);
        if (st < 0)
            fprintf(stderr, "%s\n", err.msg);
        return st_exit(st);
    }
    static const struct check_test tests[] = {
        TEST(test_escape),
        TEST(test_cells),
        TEST(test_figures),
        TEST(test_page_full),
        TEST(test_page_pieces_missing),
        TEST(test_page_hostile),
        TEST(test_headlines),
        TEST(test_lines),
        TEST(test_summary),
    };
    return check_main(tests, N_OF(tests), argc, argv);
}
