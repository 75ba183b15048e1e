/* tests/synth/monitor.c - measures of diversity against what is known of texts made up here, and
 * the monitor: collapse that is planted is caught, healthy text is let be. */
#include "synth_tests.h"

#include <math.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/rng.h"
#include "base/stream.h"
#include "synth/diversity.h"
#include "synth/monitor.h"

static struct arena scratch;

/* n words out of n_vocab, the same for the same seed. */
static void words(struct strbuf *b, uint64_t seed, int n, uint64_t n_vocab)
{
    struct rng rng;
    rng_init(&rng, seed, "words", 0);
    for (int i = 0; i < n; i++)
        str_printf(b, "w%llu ", (unsigned long long)rng_below(&rng, n_vocab));
}

static void add(struct window *w, const char *text)
{
    struct look look;
    look_at(&look, text, strlen(text), &scratch);
    window_add(w, &look);
}

static struct diversity measured(const struct window *w)
{
    struct diversity d;
    window_measure(w, &d, &scratch);
    return d;
}

/* 8 texts: 3 begin alike, 2 are the same, and what is counted by hand comes out. */
static void test_measures(void)
{
    static const char *const text[] = {
        "a b c d e f one two",    "a b c d e f three four",
        "A, b c d; e f five six", "g h i j k l seven",
        "g h i j k l seven",      "m n o p q r",
        "a b c d e x nine ten x", "s",
    };
    struct window *w = window_new(8);
    struct diversity d = measured(w);
    CHECK(isnan(d.same_opening) && isnan(d.distinct[0]), "measures of nothing");
    for (size_t i = 0; i < N_OF(text); i++) {
        CHECK(!window_full(w), "full after %zu", i);
        add(w, text[i]);
    }
    CHECK(window_full(w), "not full");
    d = measured(w);
    CHECK(d.same_opening == 3 / 8.0, "same opening %g", d.same_opening);
    /* words: 8 + 8 + 8 + 7 + 7 + 6 + 9 + 1 = 54; different: a-f, one-six, g-l, seven, m-r, x, nine,
     * ten, s */
    CHECK(fabs(d.distinct[0] - 29 / 54.0) < 1e-12, "distinct 1: %g", d.distinct[0]);
    CHECK(d.distinct[1] > d.distinct[0] && d.distinct[2] > d.distinct[1], "distinct 2, 3");
    CHECK(d.self_similar >= 2 / 8.0 && d.self_similar < 0.7, "similar %g", d.self_similar);
    for (int i = 0; i < 8; i++)
        add(w, text[3]);
    d = measured(w); /* the old ones are gone */
    CHECK(d.same_opening == 1 && d.self_similar == 1, "%g %g", d.same_opening, d.self_similar);
    CHECK(d.distinct[0] == 7 / 56.0 && d.distinct[2] == 5 / 40.0, "%g", d.distinct[0]);
    window_free(w);
    window_free(NULL);
    arena_release(&scratch);
}

/* Spaces that line up a table's columns are no sign of anything. */
static void test_padding(void)
{
    struct window *plain = window_new(20), *padded = window_new(20);
    struct strbuf a = { 0 }, b = { 0 };
    struct rng rng;
    rng_init(&rng, 1, "rows", 0);
    for (int i = 0; i < 20; i++) {
        str_clear(&a);
        str_clear(&b);
        for (int row = 0; row < 6; row++) {
            unsigned x = (unsigned)rng_below(&rng, 1u << 30), y = (unsigned)rng_below(&rng, 99);
            str_printf(&a, "| %x | %u |\n", x, y);
            str_printf(&b, "| %-40x | %20u |\n", x, y);
        }
        add(plain, a.s);
        add(padded, b.s);
    }
    double want = measured(plain).compression, got = measured(padded).compression;
    CHECK(want > 1 && got == want, "padded %g, plain %g", got, want);
    window_free(plain);
    window_free(padded);
    str_release(&a);
    str_release(&b);
    arena_release(&scratch);
}

static void test_packed_size(void)
{
    char same[20000];
    struct strbuf b = { 0 };
    memset(same, 'x', sizeof same);
    words(&b, 1, 3000, 1u << 30);
    size_t packed = stream_deflated_size(same, sizeof same);
    CHECK(packed > 0 && packed < 200, "%zu bytes of one letter", packed);
    CHECK(stream_deflated_size(b.s, b.n) > b.n / 4, "random words pack too well");
    CHECK(stream_deflated_size("", 0) > 0, "nothing has a size");
    str_release(&b);
}

/* Two prompts; answers to the first begin with the prefill. */
static struct recipe *recipe_with(const char *prefill, const char *collapse)
{
    struct recipe *r = NULL;
    struct err err = { "" };
    char *yaml = xasprintf("name: x\npurpose: y\nprompts:\n  - name: a\n    user: \"{text}\"\n"
                           "    prefill: \"%s\"\n  - name: b\n    user: \"{text} go\"\n%s",
                           prefill, collapse);
    CHECK(recipe_parse_text(&r, "my.yaml", yaml, strlen(yaml), &err) == ST_OK, "%s", err.msg);
    free(yaml);
    return r;
}

static struct recipe *recipe_of(const char *collapse)
{
    return recipe_with("", collapse);
}

enum plant { HEALTHY, OPENING, FEW_WORDS, LOOP, VARIANTS };

/* Text i of a generator that is healthy before `from`, and then has the planted fault. */
static void generate(struct strbuf *b, int i, enum plant plant, int from)
{
    str_clear(b);
    if (i < from || plant == HEALTHY) {
        words(b, (uint64_t)i, 60 + i % 50, 4000);
    } else if (plant == OPENING) {
        str_adds(b, "It is important to note that the ");
        words(b, (uint64_t)i, 80, 4000);
    } else if (plant == FEW_WORDS) {
        words(b, (uint64_t)i, 100, 25);
    } else if (plant == LOOP) {
        for (int k = 0; k < 12; k++)
            str_printf(b, "%d and so it goes on and on for ever more %d ", i, i % 3);
    } else { /* one text, every time with six other words before it */
        words(b, (uint64_t)i, 6, 4000);
        words(b, 7, 100, 4000);
    }
}

/* Number of the text at which variant 0 was stopped, -1: never. Variant 1 stays healthy. */
static int stopped_at(struct monitor *m, int n, enum plant plant, int from)
{
    struct strbuf b = { 0 };
    int at = -1;
    for (int i = 0; i < n; i++) {
        generate(&b, i, plant, from);
        if (monitor_add(m, 0, b.s, b.n, &scratch) && at < 0)
            at = i;
        generate(&b, n + i, HEALTHY, 0);
        CHECK(!monitor_add(m, 1, b.s, b.n, &scratch), "the healthy variant is stopped at %d", i);
    }
    str_release(&b);
    return at;
}

static void test_collapse_is_caught(void)
{
    static const struct {
        enum plant plant;
        const char *rule, *collapse; /* settings under which the other rules are silent */
    } row[] = { { OPENING, "same_opening", "" },
                { FEW_WORDS, "distinct_2", "" },
                { LOOP, "compression", "" },
                { VARIANTS, "self_similar",
                  "collapse: {max_compression: 1000, min_distinct_2: 0}" } };
    for (size_t i = 0; i < N_OF(row); i++) {
        struct recipe *r = recipe_of(row[i].collapse);
        NEED(r, "no recipe");
        struct monitor *m = monitor_new(r);
        int at = stopped_at(m, 500, row[i].plant, 220);
        CHECK(at >= 220 && at < 350, "%s: stopped at %d", row[i].rule, at);
        CHECK((at + 1) % 50 == 0, "not at a checkpoint: %d", at);
        CHECK(monitor_stopped(m)[0] && !monitor_stopped(m)[1] && !monitor_all_stopped(m), "who");
        const struct strlist *said = monitor_said(m);
        CHECK(said->n == 1 && strstr(said->s[0], row[i].rule) && strstr(said->s[0], "variant 'a'"),
              "%zu: %s", said->n, said->n ? said->s[0] : "");
        monitor_free(m);
        recipe_free(r);
    }
    arena_release(&scratch);
}

static void test_health_is_let_be(void)
{
    struct recipe *r = recipe_of("");
    NEED(r, "no recipe");
    struct monitor *m = monitor_new(r);
    CHECK(stopped_at(m, 1000, HEALTHY, 0) < 0 && monitor_said(m)->n == 0, "healthy and stopped");
    struct js *v = monitor_json(m, 0, &scratch);
    CHECK(js_get_whole(v, "texts", 0) == 1000 && js_get_whole(v, "windows", 0) == 19, "counts");
    CHECK(js_get_real(js_get(v, "worst"), "same_opening", 1) < 0.1, "same openings");
    CHECK(js_get_real(js_get(v, "worst"), "distinct_2", 0) > 0.8, "distinct 2");
    CHECK(js_as_whole(js_at(js_at(js_get(v, "words"), 0), 0), 0) == 32 &&
              js_as_whole(js_at(js_at(js_get(v, "words"), 1), 0), 0) == 64,
          "lengths");
    js_free(v);
    monitor_free(m);
    monitor_free(NULL);
    recipe_free(r);
    arena_release(&scratch);
}

/* What the prompt lets every answer begin with is no collapse; the same words unasked are one. */
static void test_prefill(void)
{
    struct recipe *r = recipe_with("It is important to note that the", "");
    NEED(r, "no recipe");
    struct monitor *m = monitor_new(r);
    CHECK(stopped_at(m, 500, OPENING, 0) < 0, "a beginning of ours stops a variant");
    CHECK(!monitor_add(m, 0, "It is important to note that the ", 33, &scratch), "nothing but it");
    struct js *v = monitor_json(m, 0, &scratch);
    CHECK(js_get_whole(v, "texts", 0) == 500, "nothing but our beginning is a text");
    js_free(v);
    monitor_free(m);
    recipe_free(r);
    arena_release(&scratch);
}

/* Limits and actions are the recipe's. */
static void test_rules(void)
{
    struct recipe
        *warn = recipe_of("collapse: {action: warn}\n"),
        *late = recipe_of(
            "collapse: {max_same_opening: 1, min_distinct_2: 0.3, window: 40, action: stop}\n");
    NEED(warn && late, "no recipes");
    struct monitor *m = monitor_new(warn);
    CHECK(stopped_at(m, 500, OPENING, 220) < 0 && monitor_said(m)->n == 1 && !monitor_stopped(m)[0],
          "a warning stops");
    monitor_free(m);
    m = monitor_new(late);
    CHECK(stopped_at(m, 500, OPENING, 220) < 0 && monitor_said(m)->n == 0,
          "a limit of 1 is passed");
    int at = stopped_at(m, 500, FEW_WORDS, 100);
    CHECK(at >= 100 && at < 140, "a window of 40 stops at %d", at);
    CHECK(!monitor_add(m, 0, "", 0, &scratch), "an empty text counts");
    NEED(monitor_said(m)->n == 1, "%zu collapses", monitor_said(m)->n);
    CHECK(strstr(monitor_said(m)->s[0], "asked no more"), "%s", monitor_said(m)->s[0]);
    struct strbuf b = { 0 };
    for (int i = 0; i < 100; i++) {
        generate(&b, i, FEW_WORDS, 0);
        monitor_add(m, 1, b.s, b.n, &scratch);
    }
    str_release(&b);
    NEED(monitor_said(m)->n == 2, "%zu collapses", monitor_said(m)->n);
    CHECK(monitor_all_stopped(m) && strstr(monitor_said(m)->s[1], "no variant is left"), "all");
    monitor_free(m);
    recipe_free(warn);
    recipe_free(late);
    arena_release(&scratch);
}

/* Less than a window is measured for people, and never stops anything. */
static void test_few(void)
{
    struct recipe *r = recipe_of("");
    NEED(r, "no recipe");
    struct monitor *m = monitor_new(r);
    CHECK(stopped_at(m, 99, OPENING, 0) < 0, "99 texts stop a variant");
    struct js *v = monitor_json(m, 0, &scratch), *w = monitor_json(m, -1, &scratch);
    CHECK(js_get_whole(v, "windows", -1) == 0, "windows");
    CHECK(js_get_real(js_get(v, "mean"), "same_opening", 0) == 1, "openings");
    CHECK(js_get_whole(w, "texts", 0) == 198 && js_get_whole(w, "windows", 0) == 1, "of all");
    js_free(v);
    js_free(w);
    monitor_free(m);
    m = monitor_new(r);
    v = monitor_json(m, -1, &scratch);
    CHECK(js_get_whole(v, "texts", -1) == 0 && !js_get(v, "mean"), "measures of no text");
    js_free(v);
    monitor_free(m);
    recipe_free(r);
    arena_release(&scratch);
}

const struct check_test monitor_test[] = { TEST(test_measures),
                                           TEST(test_padding),
                                           TEST(test_packed_size),
                                           TEST(test_collapse_is_caught),
                                           TEST(test_health_is_let_be),
                                           TEST(test_prefill),
                                           TEST(test_rules),
                                           TEST(test_few) };
const size_t n_monitor_test = N_OF(monitor_test);
