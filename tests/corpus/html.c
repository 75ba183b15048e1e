/* tests/corpus/html.c - pages: what is kept, and that hostile ones cost little. */
#include "base/mem.h"
#include "corpus/html.h"
#include "corpus_tests.h"

static char *text_of(const char *page, size_t n)
{
    struct html *h = html_new();
    struct strbuf text = { 0 }, title = { 0 };
    html_text(h, page, n, &text, &title);
    html_free(h);
    str_release(&title);
    return str_detach(&text);
}

static void test_text(void)
{
    static const struct {
        const char *page, *want;
    } row[] = {
        { "", "" },
        { "plain", "plain" },
        { "<p>a<p>b", "a\n\nb" },
        { "a<br>b<br><br>c", "a\nb\n\nc" },
        { "<p>x&lt;script&gt;y", "x<script>y" },
        { "<script>x</script>y<style>z</style>", "y" },
        { "<p>one <b>two</b><i> three</i>.", "one two three." },
        { "<pre>a\n  b\n</pre>c", "a\n  b\n\nc" },
        { "<p>a\xC2\xA0 b\xC2\xAD"
          "c\xE2\x80\x8B",
          "a bc" },
        { "<dl><dt>term<dd>meaning</dl>", "term\nmeaning" },
        { "<table><tr><td><p>a</p></td><td>b</td></tr></table>", "a\nb" },
        { "<p>keep</p><div style='display: none'>x</div>", "keep" },
        { "<p>keep this sentence</p><div role=navigation>x</div>", "keep this sentence" },
        { "<form><p>The whole page is in a form, as some servers do it.</p></form>",
          "The whole page is in a form, as some servers do it." },
        { "<ul><li>a<ul><li>b<ol><li>c</ol></ul></ul>", "- a\n  - b\n    1. c" },
        { "<p>a</p><!-- no --><p>b</p>", "a\n\nb" },
    };
    for (size_t i = 0; i < N_OF(row); i++) {
        char *got = text_of(row[i].page, strlen(row[i].page));
        CHECK(strcmp(got, row[i].want) == 0, "row %zu: got '%s', want '%s'", i, got, row[i].want);
        free(got);
    }
}

/* n copies of one thing, then a tail. */
static char *repeat(const char *what, size_t n, const char *tail, size_t *len)
{
    struct strbuf b = { 0 };
    for (size_t i = 0; i < n; i++)
        str_adds(&b, what);
    str_adds(&b, tail);
    *len = b.n;
    return str_detach(&b);
}

static void test_hostile(void)
{
    static const struct {
        const char *what;
        size_t n;
    } row[] = {
        { "<div>", 300000 },
        { "<b>", 100000 },
        { "<a x=1>", 100000 },
        { "<svg><li>", 100000 },
        { "<table><tr><td>", 100000 },
        { "<", 1000000 },
        { "<p><b>", 100000 },
        { "&lt;", 100000 },
        { "<!--", 100000 },
        { "<script>", 100000 },
        { "</p>", 100000 },
        { "<li>", 100000 },
        { "<select><option>", 100000 },
        { "<x ", 100000 },
    };
    double start = check_cpu_s();
    for (size_t i = 0; i < N_OF(row); i++) {
        size_t n;
        double t0 = check_cpu_s();
        char *page = repeat(row[i].what, row[i].n, "<p>the end</p>", &n);
        char *got = text_of(page, n);
        CHECK(check_cpu_s() - t0 < 30, "'%s' took %.1f s", row[i].what, check_cpu_s() - t0);
        free(got);
        free(page);
    }
    /* Attributes that a parser compares each with each. */
    struct strbuf b = { 0 };
    str_adds(&b, "<p");
    for (int i = 0; i < 300000; i++)
        str_printf(&b, " a%d=1", i);
    str_adds(&b, ">kept");
    char *got = text_of(b.s, b.n);
    CHECK(strstr(got, "kept"), "got '%.40s'", got);
    free(got);
    str_clear(&b);
    /* Formatting elements that are opened again in every paragraph: the tree would be huge. */
    for (int i = 0; i < 500; i++)
        str_printf(&b, "<font size=%d>", i);
    for (int i = 0; i < 100000; i++)
        str_adds(&b, "<p>x</p>");
    got = text_of(b.s, b.n);
    CHECK(strlen(got) > 100000, "got %zu bytes", strlen(got));
    free(got);
    str_release(&b);
    CHECK(check_cpu_s() - start < 300, "%.1f s in all", check_cpu_s() - start);
}

const struct check_test html_test[] = { TEST(test_text), TEST(test_hostile) };
const size_t n_html_test = N_OF(html_test);
