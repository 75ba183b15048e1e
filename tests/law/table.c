/* tests/law/table.c - CSV dialects, expressions, fit reports and their warnings. */
#include "check.h"

#include <math.h>

#include "base/str.h"
#include "law/summary.h"
#include "law_tests.h"

static enum st parse(struct table *t, const char *text, struct err *err)
{
    return table_parse(t, "t.csv", text, strlen(text), err);
}

static void test_dialects(void)
{
    static const char *const text[] = {
        "run_id,N,loss\na,1e6,3.25\nb,2000000,NA\n",
        "\xEF\xBB\xBF\"run_id\",\"N\",\"loss\"\r\n\"a\",1e6,\"3.25\"\r\n\"b\",2000000,\r\n",
        "run_id;N;loss\na;1e6;3,25\nb;2000000;nan",
        "run_id\tN\tloss\n\na\t 1e6\t3.25\nb\t2000000\tinf\n\n",
        ("{\"run_id\":\"a\",\"N\":1e6,\"loss\":3.25}\n\n"
         "{\"run_id\":\"b\",\"loss\":null,\"N\":2000000}\n"),
    };
    for (size_t i = 0; i < N_OF(text); i++) {
        struct table t;
        struct err err = { "" };
        NEED(parse(&t, text[i], &err) == ST_OK, "%zu: %s", i, err.msg);
        const double *n = table_num(&t, "N"), *loss = table_num(&t, "loss");
        NEED(t.n_row == 2 && n && loss, "%zu: %zu rows", i, t.n_row);
        CHECK(n[0] == 1e6 && n[1] == 2e6 && loss[0] == 3.25 && isnan(loss[1]), "%zu: %g %g %g %g",
              i, n[0], n[1], loss[0], loss[1]);
        CHECK(!table_num(&t, "run_id") && strcmp(table_text(&t, "run_id")[1], "b") == 0, "%zu", i);
        table_release(&t);
    }
    struct table t;
    struct err err = { "" };
    NEED(parse(&t, "a,b\n\"x,\"\"y\"\"\nz\",2\n", &err) == ST_OK, "%s", err.msg);
    CHECK(strcmp(table_text(&t, "a")[0], "x,\"y\"\nz") == 0, "got %s", table_text(&t, "a")[0]);
    table_release(&t);
}

static void test_bad_tables(void)
{
    static const struct {
        const char *text, *want;
    } row[] = {
        { "", "is empty" },
        { "  \n\n", "is empty" },
        { "N,D,loss\n", "no rows" },
        { "N,D,loss\n1,2\n", "line 2 has 2 cells, the header 3" },
        { "N,D,loss\n1,2,3,4\n", "line 2 has more than the header's 3" },
        { "N,N,loss\n1,2,3\n", "column 'N' twice" },
        { "N,D,loss\n1,\"2,3\n", "line 2: the quote" },
        { "{\"N\":1}\n{\"N\":\n", "line 2" },
        { "{\"N\":1}\n[1]\n", "line 2: want a JSON object" },
    };
    for (size_t i = 0; i < N_OF(row); i++) {
        struct table t;
        struct err err = { "" };
        CHECK(parse(&t, row[i].text, &err) == ST_FORMAT && strstr(err.msg, row[i].want),
              "'%s': got '%s'", row[i].text, err.msg);
        table_release(&t);
    }
}

static void test_where(void)
{
    static const struct {
        const char *expr;
        unsigned want; /* bit i: row i */
    } row[] = {
        { "n_tok >= 1e6", 06 },       { "n_tok>=1M", 06 },
        { "n_tok==max", 04 },         { "n_tok == min", 01 },
        { "kind == natural", 05 },    { "kind != \"natural\"", 02 },
        { "!(kind == natural)", 02 }, { "n_tok > 1 && kind == hq || loss < 3", 02 },
        { "loss == 4", 01 },          { "loss != 4", 06 },
        { "kind==a-1.b", 0 },         { "(n_tok<1M||n_tok==2000000)&&kind==natural", 05 },
    };
    struct table t;
    struct err err = { "" };
    NEED(parse(&t, "kind,n_tok,loss\nnatural,500000,4\nhq,1000000,3.5\nnatural,2e6,\n", &err) ==
             ST_OK,
         "%s", err.msg);
    for (size_t i = 0; i < N_OF(row); i++) {
        bool keep[3];
        unsigned got = 0;
        NEED(table_where(&t, row[i].expr, keep, &err) == ST_OK, "'%s': %s", row[i].expr, err.msg);
        for (unsigned k = 0; k < 3; k++)
            got |= (unsigned)keep[k] << k;
        CHECK(got == row[i].want, "'%s': rows %o, want %o", row[i].expr, got, row[i].want);
    }
    static const char *const bad[] = { "",           "n_tok",          "n_tok >",    "nope == 1",
                                       "loss > 3 3", "kind > natural", "(loss > 3",  "kind == max",
                                       "loss > 3 &", "loss > \"3",     "n_tok = = 4" };
    for (size_t i = 0; i < N_OF(bad); i++) {
        bool keep[3];
        enum st st = table_where(&t, bad[i], keep, &err);
        CHECK(st < 0 && err.msg[0], "'%s' accepted", bad[i]);
    }
    char deep[300];
    memset(deep, '(', sizeof deep - 1);
    deep[sizeof deep - 1] = '\0';
    bool keep[3];
    CHECK(table_where(&t, deep, keep, &err) == ST_USAGE, "deep nesting accepted");
    table_release(&t);
}

/* One fit of the text; the report's warnings joined, or the error. */
static void report(struct strbuf *said, const char *text, const char *law)
{
    struct table t;
    struct err err = { "" };
    struct js *fits = js_array();
    struct summary_conf c = { .laws = law, .fit = fit_conf_default() };
    c.fit.n_boot = 20;
    str_clear(said);
    if (parse(&t, text, &err) < 0 || summary_fit(fits, &t, &c, &err) < 0)
        str_adds(said, err.msg);
    for (size_t i = 0; i < js_len(fits); i++)
        js_write(js_get(js_at(fits, i), "warnings"), said);
    js_free(fits);
    table_release(&t);
}

static void test_warnings(void)
{
#define ROWS                                                                                       \
    "1e6,2e7,6.1\n4e6,2e7,5.3\n2e7,2e7,5\n1e6,8e7,5.5\n4e6,8e7,4.6\n2e7,8e7,4.2\n"                 \
    "1e6,4e8,5.1\n4e6,4e8,4.1\n2e7,4e8,3.6\n"
    static const struct {
        const char *text, *law, *want;
    } row[] = {
        { "N,D,loss\n" ROWS "1e6,2e7,6.1\n", "joint", "duplicates" },
        { "N,D,loss\n1,20,6\n4,20,5.3\n20,20,5\n1,80,5.5\n4,80,4.6\n20,80,4.2\n", "joint",
          "in millions" },
        { "N,D,loss\n1e6,2e13,6\n4e6,2e7,5.3\n1e6,2e7,5\n1e6,8e7,5.5\n4e6,8e7,4.6\n2e7,8e7,4\n",
          "joint", "implausible D/N" },
        { "N,D,loss\n" ROWS, "data", "the law ignores N" },
        { "N,D,loss\n1e6,2e7,6\n1e6,8e7,nan\n", "data", "has 3 parameters, but there are only 1" },
        { "N,D,loss\n1e6,2e7,6\n1e6,8e7,-1\n", "data", "line 3 column 'loss': -1" },
        { "N,D,loss\n1e6,2e7,6\n1e6,8e7,x\n", "data", "line 3 column 'loss': 'x'" },
        { "N,D,lss\n1e6,2e7,6\n", "data", "has no column 'loss'; it has: N D lss" },
        { "N,D,loss\n" ROWS, "joynt", "unknown law 'joynt'" },
        { "n_param_nonemb,n_tok,loss,diverged\n1e6,2e7,,1\n1e6,2e7,6,0\n1e6,4e7,5.5,0\n"
          "1e6,8e7,5.2,0\n1e6,1e8,5.1,0\n",
          "data", "diverged runs left out: 1" },
        { "run_id,n_param,n_tok,loss\na,1e6,2e7,6\na,1e6,4e7,5.5\nb,1e6,8e7,5.2\nb,1e6,1e8,5.1\n",
          "data", "share a run_id" },
        { "N,D,loss,lr\n1e6,2e7,6,1e-3\n1e6,2e7,5.5,2e-3\n1e6,8e7,5.2,1e-3\n1e6,9e7,5.1,1e-3\n",
          "data", "another learning rate" },
        { "N,D,loss\n1e6,2e7,6\n4e6,2e7,5.3\n1e6,8e7,5.5\n4e6,8e7,4.6\n1e6,4e8,5.1\n", "joint",
          "2 sizes and 3 budgets do not determine the law" },
        { "n_param,n_tok,loss,n_epoch_synth\n1e6,2e7,6,9\n1e6,3e7,5.5,1\n1e6,8e7,5.2,1\n", "data",
          "over 4 epochs" },
    };
    struct strbuf said = { 0 };
    for (size_t i = 0; i < N_OF(row); i++) {
        report(&said, row[i].text, row[i].law);
        CHECK(said.s && strstr(said.s, row[i].want), "%zu: want '%s', said '%s'", i, row[i].want,
              said.s);
    }
    str_release(&said);
}

/* A hold-out that leaves two budgets says why there is no error, and never gives one. */
static void test_hold_out(void)
{
    struct table t;
    struct err err = { "" };
    struct js *fits = js_array();
    struct summary_conf c = { .hold_out = "D == max", .fit = fit_conf_default() };
    c.fit.n_boot = 0;
    NEED(parse(&t, "N,D,loss\n" ROWS, &err) == ST_OK, "%s", err.msg);
    NEED(summary_fit(fits, &t, &c, &err) == ST_OK, "%s", err.msg);
    NEED(js_len(fits) == 3, "%zu laws", js_len(fits));
    for (size_t i = 0; i < 3; i++) {
        const struct js *fit = js_at(fits, i), *held = js_get(fit, "hold_out");
        bool tied = strcmp(js_get_text(fit, "law", ""), "joint_tied") == 0;
        CHECK(js_get_whole(held, "n", 0) == 3, "held out %d", (int)js_get_whole(held, "n", 0));
        CHECK((js_get(held, "mrae") != NULL) == tied, "%s: a number from nothing",
              js_get_text(fit, "law", ""));
        CHECK(tied || strstr(js_get_text(held, "error", ""), "3 sizes and 2 budgets"), "no reason");
        CHECK(js_get_bool(fit, "chosen", !tied) == tied, "%s chosen", js_get_text(fit, "law", ""));
    }
    js_free(fits);
    table_release(&t);
}

/* Budgets of one trunk are resampled together, and a hold-out that shares trunks says so. */
static void test_trunks(void)
{
    struct table t;
    struct err err = { "" };
    struct js *fits = js_array();
    struct summary_conf c = { .laws = "joint",
                              .hold_out = "n_tok == max",
                              .fit = fit_conf_default() };
    struct strbuf b = { 0 }, said = { 0 };
    c.fit.n_boot = 50;
    str_adds(&b, "run_id,n_param,n_param_nonemb,n_tok,seed,loss\n");
    for (int i = 0; i < 3; i++)
        for (int k = 0; k < 2; k++)
            for (int j = 0; j < 4; j++) {
                double n = 1e5 * (1 << (2 * i)), d = 1e6 * (1 << j);
                str_printf(&b, "n%d-s%d/%g,%g,%g,%.0f,%d,%.6f\n", i, k, d / 1e6, 2 * n, n, d,
                           2000 + k,
                           1.7 + 30 / pow(n, .3) + 300 / pow(d, .35) + (k ? .004 : -.004));
            }
    NEED(parse(&t, b.s, &err) == ST_OK, "%s", err.msg);
    NEED(summary_fit(fits, &t, &c, &err) == ST_OK, "%s", err.msg);
    const struct js *fit = js_at(fits, 0), *held = js_get(fit, "hold_out"),
                    *input = js_get(fit, "input"), *derived = js_get(fit, "derived"),
                    *loss = js_get(derived, "loss");
    CHECK(js_get_whole(input, "n_runs", 0) == 6 && js_get_whole(input, "n_seeds", 0) == 2,
          "%d runs", (int)js_get_whole(input, "n_runs", 0));
    CHECK(js_get_whole(js_get(input, "D"), "n_distinct", 0) == 4, "budgets");
    js_write(js_get(fit, "warnings"), &said);
    CHECK(strstr(said.s, "budgets of one trunk") && strstr(said.s, "not independent"), "said %s",
          said.s);
    /* The law was planted: far better than the nearest loss, and the noise is that of the seeds. */
    CHECK(js_get_real(held, "mrae", 9) < .3 &&
              js_get_real(held, "baseline_mrae", 0) > 3 * js_get_real(held, "mrae", 9),
          "held out %g against %g", js_get_real(held, "mrae", 9),
          js_get_real(held, "baseline_mrae", 0));
    double want = 1.7 + 30 / pow(1.6e6, .3) + 300 / pow(8e6, .35);
    CHECK(fabs(js_get_real(loss, "value", 0) - want) < .01 && js_get_real(loss, "lo", 9) < want &&
              want < js_get_real(loss, "hi", 0),
          "loss %g, planted %g", js_get_real(loss, "value", 0), want);
    CHECK(fabs(js_get_real(js_get(derived, "best_N_exponent"), "value", 0) - .35 / .65) < .1,
          "exponent of N");
    double noise = js_get_real(js_get(fit, "residuals"), "noise_log", 0);
    CHECK(noise > .0008 && noise < .003, "noise %g", noise);
    CHECK(js_get_real(js_get(js_get(js_get(fit, "with_embeddings"), "params"), "A"), "value", 0) >
              js_get_real(js_get(js_get(fit, "params"), "A"), "value", 0),
          "with embeddings N is larger, and so is A");
    js_free(fits);
    str_release(&b);
    str_release(&said);
    table_release(&t);
}

/* Fits of a study's table: one for each kind and share, the A/A arm with natural. */
static void test_mixtures(void)
{
    struct table t;
    struct err err = { "" };
    struct js *fits = js_array();
    struct summary_conf c = { .fit = fit_conf_default() };
    struct strbuf b = { 0 };
    c.fit.n_boot = 20;
    str_adds(&b, "run_id,arm,kind,frac_synth,n_param,n_tok,loss\n");
    static const char *const arm[] = { "natural,natural,0", "aa,natural,0", "hq@0.33,hq,0.33" };
    for (int i = 0; i < 12; i++)
        str_printf(&b, "r%d,%s,400000,%g,%g\n", i, arm[i / 4], 1e6 * (1 << i % 4),
                   3 + 0.5 / (1 + i % 4) + 0.1 * (i / 8));
    NEED(parse(&t, b.s, &err) == ST_OK, "%s", err.msg);
    NEED(summary_fit(fits, &t, &c, &err) == ST_OK, "%s", err.msg);
    NEED(js_len(fits) == 2, "%zu fits", js_len(fits));
    CHECK(js_get_whole(js_at(fits, 0), "n_rows", 0) == 8 &&
              strcmp(js_get_text(js_at(fits, 0), "law", ""), "data") == 0,
          "natural with A/A");
    CHECK(js_get_real(js_at(fits, 1), "share", 0) == 0.33 &&
              strcmp(js_get_text(js_at(fits, 1), "kind", ""), "hq") == 0,
          "the mixture's name");
    js_free(fits);
    str_release(&b);
    table_release(&t);
}

const struct check_test test_table[] = {
    TEST(test_hold_out),   TEST(test_trunks), TEST(test_mixtures), TEST(test_dialects),
    TEST(test_bad_tables), TEST(test_where),  TEST(test_warnings),
};
const size_t n_test_table = N_OF(test_table);
