/* tests/synth/forecast.c - totals from samples, and the pilot: its intervals hold the real run. */
#include "synth_tests.h"

#include <math.h>

#include "base/mem.h"
#include "base/rng.h"
#include "synth/forecast.h"
#include "synth/synth.h"

enum { N_PAGE = 2000, N_SAMPLE = 100, N_DRAW = 2000 };

/* A skewed population: few pages with many pieces, answers whose length varies by page and piece.
 */
static void make_population(double *x, double *y, double *x_all, double *y_all)
{
    struct rng rng;
    rng_init(&rng, 3, "population", 0);
    *x_all = *y_all = 0;
    for (int i = 0; i < N_PAGE; i++) {
        x[i] = floor(1 + exp(0.9 * rng_normal(&rng)));
        double mean = 120 * exp(0.4 * rng_normal(&rng));
        y[i] = x[i] * mean * exp(0.3 * rng_normal(&rng));
        *x_all += x[i];
        *y_all += y[i];
    }
}

static void draw(struct ratio *s, const double *x, const double *y, uint32_t *order,
                 struct rng *rng, size_t n)
{
    for (uint32_t i = 0; i < N_PAGE; i++)
        order[i] = i;
    rng_shuffle(rng, order, N_PAGE);
    *s = (struct ratio){ 0 };
    for (size_t i = 0; i < n; i++)
        ratio_add(s, x[order[i]], y[order[i]]);
}

static void test_totals(void)
{
    double *x = NEW_ARRAY(double, N_PAGE), *y = NEW_ARRAY(double, N_PAGE), x_all, y_all;
    uint32_t *order = NEW_ARRAY(uint32_t, N_PAGE);
    struct rng rng;
    struct ratio s;
    int hit = 0, close = 0;
    double bias = 0, wanted = 0;
    make_population(x, y, &x_all, &y_all);
    rng_init(&rng, 4, "draws", 0);
    for (int i = 0; i < N_DRAW; i++) {
        draw(&s, x, y, order, &rng, N_SAMPLE);
        struct interval v = ratio_total(&s, x_all, N_PAGE);
        hit += v.lo <= y_all && y_all <= v.hi;
        bias += (v.value / y_all - 1) / N_DRAW;
        wanted += (double)ratio_pages(&s, N_PAGE, 0.05) / N_DRAW;
    }
    CHECK(hit > 0.87 * N_DRAW && hit < 0.93 * N_DRAW, "%d of %d intervals hold the total", hit,
          N_DRAW);
    CHECK(fabs(bias) < 0.01, "bias %.4f", bias);
    for (int i = 0; i < 200; i++) { /* that many pages do what was said of them, on average */
        draw(&s, x, y, order, &rng, (size_t)wanted);
        close += interval_half(ratio_total(&s, x_all, N_PAGE)) < 0.05;
    }
    CHECK(close > 60 && close < 160, "%d of 200 samples of %.0f pages are within 5 %%", close,
          wanted);
    draw(&s, x, y, order, &rng, N_PAGE);
    struct interval all = ratio_total(&s, x_all, N_PAGE);
    CHECK(fabs(all.lo / y_all - 1) < 1e-9 && fabs(all.hi / y_all - 1) < 1e-9,
          "all pages are no sample: %g %g of %g", all.lo, all.hi, y_all);
    free(x);
    free(y);
    free(order);
}

/* Four equal pages: the textbook's interval with Student's t, 2.3534 for 3 degrees of freedom. */
static void test_total_by_hand(void)
{
    static const double y[] = { 10, 12, 14, 16 };
    struct ratio s = { 0 };
    for (size_t i = 0; i < N_OF(y); i++)
        ratio_add(&s, 1, y[i]);
    struct interval v = ratio_total(&s, 16, 16);
    double sd = sqrt(20.0 / 3), half = 16 * 2.3534 * sd / 2 * sqrt(1 - 4.0 / 16);
    CHECK(fabs(v.value - 208) < 1e-9, "%g", v.value);
    CHECK(fabs((v.hi - v.lo) / 2 / half - 1) < 0.03, "+-%g, want %g", (v.hi - v.lo) / 2, half);
    CHECK(fabs(interval_half(v) - (v.hi - v.lo) / 2 / 208) < 1e-9, "%g", interval_half(v));
    s = (struct ratio){ 0 };
    ratio_add(&s, 1, 10);
    CHECK(isnan(ratio_total(&s, 16, 16).lo) && isinf(interval_half(ratio_total(&s, 16, 16))),
          "one page of sixteen tells no width");
    CHECK(ratio_pages(&s, 16, 0.2) == 16, "%llu", (unsigned long long)ratio_pages(&s, 16, 0.2));
}

static void test_rates_of_pages(void)
{
    struct ratio alone = { 0 }, clustered = { 0 };
    for (int i = 0; i < 100; i++) {
        ratio_add(&alone, 1, i % 4 == 0);
        ratio_add(&clustered, 10, i % 4 == 0 ? 10 : 0); /* a page is good or bad as a whole */
    }
    struct interval a = ratio_rate(&alone, 1000000), c = ratio_rate(&clustered, 1000000);
    /* Wilson's interval of 25 in 100, 90 %: by the formula .1861 .3271 */
    CHECK(fabs(a.lo - 0.1861) < 0.002 && fabs(a.hi - 0.3271) < 0.002, "%g %g", a.lo, a.hi);
    CHECK(fabs(c.lo - a.lo) < 0.005 && fabs(c.hi - a.hi) < 0.005,
          "1,000 answers of 100 pages know no more than 100 do: %g %g", c.lo, c.hi);
    struct ratio none = { 0 };
    for (int i = 0; i < 50; i++)
        ratio_add(&none, 1, 0);
    struct interval n = ratio_rate(&none, 1000);
    CHECK(n.value == 0 && n.lo == 0 && n.hi > 0.04 && n.hi < 0.07, "none of 50: %g %g", n.lo, n.hi);
}

static void test_pace(void)
{
    struct pace p = { 0 };
    struct rng rng;
    double at = 0;
    rng_init(&rng, 5, "pace", 0);
    CHECK(isnan(pace_rate(&p).value), "no answers, no pace");
    for (int i = 0; i < 400; i++) /* 100 tokens every tenth of a second, 64 requests out */
        pace_add(&p, at += 0.1 * (0.5 + rng_uniform(&rng)), 100, 64);
    for (int i = 63; i > 0; i--) /* the end, slower and slower */
        pace_add(&p, at += 6.4 / i, 100, (size_t)i);
    struct interval v = pace_rate(&p);
    CHECK(v.value > 900 && v.value < 1050, "%g tokens a second", v.value);
    CHECK(v.lo < v.value && v.value < v.hi, "%g %g %g", v.lo, v.value, v.hi);
    pace_release(&p);
}

/* Pages of 1 to 12 passages; some passages stand on several pages. */
enum { PILOT_PAGES = 600, SEEDS = 60 };

static void add_words(struct strbuf *b, struct rng *rng, int n)
{
    static const char *const part[] = { "lan", "har", "tern", "bour", "se", "mo", "rin", "ka" };
    for (int i = 0; i < n; i++) {
        str_adds(b, i ? " " : "");
        for (int k = 0; k < 4; k++)
            str_adds(b, part[rng_below(rng, N_OF(part))]);
    }
}

static void add_page(struct strbuf *b, struct rng *rng, int i)
{
    struct strbuf text = { 0 };
    int n = 1 + (int)fmin(11, floor(exp(0.9 * rng_normal(rng))));
    for (int k = 0; k < n; k++) {
        if (k == 0 && i % 100 == 0) { /* boilerplate */
            str_adds(&text, "We use cookies that remember what you like about this harbour and "
                            "its lighthouse, so that we can show it to you again. ");
            continue;
        }
        for (int w = 0; w < 3; w++) {
            str_adds(&text, "The ");
            add_words(&text, rng, 8 + (int)rng_below(rng, 8));
            str_adds(&text, " was seen by all of them there. ");
        }
        str_adds(&text, "\n");
    }
    struct js *v = js_object();
    char id[16];
    snprintf(id, sizeof id, "d%d", i);
    js_put_text(v, "id", id);
    js_put_textn(v, "text", text.s, text.n);
    js_write(v, b);
    str_addc(b, '\n');
    js_free(v);
    str_release(&text);
}

static const char own_recipe[] = "name: own\npurpose: a test\n"
                                 "input: {unit: passage, max_words: 60, min_words: 15, pieces: 0}\n"
                                 "limits: {min_words: 20, max_similar: 1}\n"
                                 "weak: {min_kept: 0, min_source_kept: 0}\n"
                                 "prompts:\n  - name: a\n    user: \"{text} Say it again.\"\n";

struct answers {
    struct strbuf file;
    double n, tok_prompt, tok, discarded;
};

/* An answer to every prompt: lengths vary, a fifth is too short to be kept. */
static void record(void *arg, struct js *row)
{
    struct answers *a = arg;
    const struct js *prompt = js_get(row, "prompt");
    const char *digest = js_get_text(prompt, "digest", "");
    if (!a->file.n || !strstr(a->file.s, digest)) {
        struct rng rng;
        struct strbuf text = { 0 };
        rng_init(&rng, 6, digest, 0);
        int n_words = rng_uniform(&rng) < 0.2 ? 5 : 30 + (int)(30 * exp(0.5 * rng_normal(&rng)));
        add_words(&text, &rng, n_words);
        struct js *v = js_object();
        js_put_text(v, "prompt", digest);
        js_put_text(v, "raw", text.s);
        js_put_whole(v, "n_tok", 2 * n_words);
        js_put_whole(v, "n_tok_prompt", (int64_t)strlen(js_get_text(prompt, "user", "")) / 3);
        js_write(v, &a->file);
        str_addc(&a->file, '\n');
        js_free(v);
        str_release(&text);
    }
    js_free(row);
}

static bool holds(const struct js *forecast, const char *key, double truth)
{
    const struct js *v = js_get(forecast, key);
    double eps = 1e-9 * truth; /* sums in another order */
    return js_get_real(v, "lo", NAN) <= truth + eps && truth - eps <= js_get_real(v, "hi", NAN);
}

static double half_of(const struct js *forecast, const char *key)
{
    const struct js *v = js_get(forecast, key);
    return (js_get_real(v, "hi", NAN) - js_get_real(v, "lo", NAN)) / 2 /
           js_get_real(v, "value", NAN);
}

/* Repeated pilots of 60 pages against the run they forecast. */
static void test_pilot_calibration(void)
{
    static const char *const key[] = { "requests", "tokens_prompt", "tokens_out", "discard_rate",
                                       "price" };
    struct err err;
    struct recipe *r = NULL;
    struct strbuf pages = { 0 };
    struct answers a = { 0 };
    struct rng rng;
    char input[96], answers[96], generator[112], dir[96];
    int hit[N_OF(key)] = { 0 };
    rng_init(&rng, 7, "pages", 0);
    for (int i = 0; i < PILOT_PAGES; i++)
        add_page(&pages, &rng, i);
    snprintf(input, sizeof input, "%s/pilot.jsonl", check_dir());
    snprintf(answers, sizeof answers, "%s/answers.jsonl", check_dir());
    snprintf(generator, sizeof generator, "record:%s", answers);
    NEED(recipe_parse_text(&r, "own.yaml", own_recipe, strlen(own_recipe), &err) == ST_OK, "%s",
         err.msg);
    NEED(file_write(input, pages.s, pages.n, &err) == ST_OK, "%s", err.msg);
    char *inputs[] = { input };
    struct synth_conf c = {
        .recipe = r, .input = inputs, .n_input = 1, .price_in = 1, .price_out = 5
    };
    NEED(synth_try(&c, NULL, record, &a, &err) == ST_OK, "%s", err.msg);
    NEED(file_write(answers, a.file.s, a.file.n, &err) == ST_OK, "%s", err.msg);
    c.generator = generator;
    c.out = dir;

    struct js *forecast = NULL, *run = NULL;
    snprintf(dir, sizeof dir, "%s/run", check_dir());
    NEED(synth_pilot(&c, 20, 0.2, &forecast, &err) == ST_OK, "%s", err.msg);
    NEED(synth_run(&c, &run, &err) == ST_OK, "%s", err.msg);
    double n = (double)js_get_whole(run, "requests", 0);
    const double truth[N_OF(key)] = { n, (double)js_get_whole(run, "tokens_prompt", 0),
                                      (double)js_get_whole(run, "tokens_out", 0),
                                      1 - (double)js_get_whole(run, "kept", 0) / n,
                                      js_get_real(run, "cost", 0) };
    CHECK(truth[3] > 0.2 && truth[3] < 0.3, "%g of the answers discarded", truth[3]);
    CHECK(js_get_whole(forecast, "pilot_docs", 0) >= 20 &&
              js_get_whole(forecast, "docs", 0) > PILOT_PAGES * 0.9,
          "pages");
    for (size_t k = 0; k < N_OF(key); k++) {
        CHECK(holds(forecast, key[k], truth[k]), "the run's %s, %g, is outside", key[k], truth[k]);
        CHECK(k == 3 || half_of(forecast, key[k]) <= 0.2 + 1e-9, "%s is known to +-%.2f", key[k],
              half_of(forecast, key[k]));
    }
    js_free(run);
    js_free(forecast);
    double half = 0;
    for (int seed = 1; seed <= SEEDS; seed++) {
        snprintf(dir, sizeof dir, "%s/pilot-%d", check_dir(), seed);
        c.seed = (uint64_t)seed;
        NEED(synth_pilot(&c, 60, 0.2, &forecast, &err) == ST_OK, "%s", err.msg);
        for (size_t k = 0; k < N_OF(key); k++)
            hit[k] += holds(forecast, key[k], truth[k]);
        half += half_of(forecast, "tokens_out") / SEEDS;
        js_free(forecast);
    }
    for (size_t k = 0; k < N_OF(key); k++)
        CHECK(hit[k] >= 0.8 * SEEDS && (k == 0 || hit[k] <= 0.97 * SEEDS),
              "%s: %d of %d intervals hold the run", key[k], hit[k], SEEDS);
    CHECK(half < 0.2, "tokens are known to +-%.3f", half);
    printf("pilot: requests %d, prompt tokens %d, tokens %d, discards %d, price %d of %d intervals "
           "hold the run; tokens to +-%.1f %%\n",
           hit[0], hit[1], hit[2], hit[3], hit[4], SEEDS, 100 * half);
    str_release(&pages);
    str_release(&a.file);
    recipe_free(r);
}

const struct check_test forecast_test[] = {
    TEST(test_totals), TEST(test_total_by_hand),     TEST(test_rates_of_pages),
    TEST(test_pace),   TEST(test_pilot_calibration),
};
const size_t n_forecast_test = N_OF(forecast_test);
