/* tests/law/advise.c - advice on planted studies: verdicts, controls, calibration, bad input. */
#include "check.h"

#include <math.h>
#include <stdarg.h>

#include "base/mem.h"
#include "base/rng.h"
#include "base/str.h"
#include "law/advise.h"
#include "law/share.h"
#include "law/stats.h"
#include "law_tests.h"

static void test_stats(void)
{
    static const struct {
        double p, df, t;
    } row[] = { { .975, 1, 12.7062047362 },
                { .975, 4, 2.7764451052 },
                { .95, 10, 1.8124611228 },
                { .8, 3, 0.9784723124 },
                { .975, 1e6, 1.959966 } };
    for (size_t i = 0; i < N_OF(row); i++) {
        double t = student_quantile(row[i].p, row[i].df);
        CHECK(fabs(t - row[i].t) < 1e-6, "t(%g, %g) = %.10g", row[i].p, row[i].df, t);
        CHECK(fabs(student_p(t, row[i].df) - 2 * (1 - row[i].p)) < 1e-9, "p of t");
    }
    CHECK(fabs(student_p(2, 10) - 0.0733880348) < 1e-9, "p %.10g", student_p(2, 10));
    CHECK(isnan(student_p(1, 0)) && student_p(INFINITY, 3) == 0, "edges");
    double p[] = { .01, .04, NAN, .03, .005 }, got[5];
    static const double want[] = { .03, .06, NAN, .06, .02 };
    holm(got, p, 5);
    for (size_t i = 0; i < 5; i++)
        CHECK(isnan(want[i]) ? isnan(got[i]) : fabs(got[i] - want[i]) < 1e-12, "%zu: %g", i,
              got[i]);
}

/* What a planted study looks like; losses are a natural law + the arm's effect + noise. */
struct study {
    int n_size, n_budget, n_seed;
    double sd_seed, sd_run;   /* common to a seed's arms, and the rest */
    double gain, best;        /* kind hq: gain * ((s - best)^2 / best^2 - 1), see effect() */
    double shuffle, aa, copy; /* effects of the controls */
    double steps;
    bool controls;
};

static const struct study sound = { .n_size = 2,
                                    .n_budget = 3,
                                    .n_seed = 3,
                                    .sd_seed = .02,
                                    .sd_run = .01,
                                    .gain = .08,
                                    .best = .35,
                                    .shuffle = .3,
                                    .steps = 2000,
                                    .controls = true };
static const double share_of[] = { 0, .15, .33, .67, 1 };

static double effect(const struct study *s, double share)
{
    double x = share - s->best;
    if (s->gain < 0) /* every share harms */
        return -4 * s->gain * share;
    return s->gain * (x * x / (s->best * s->best) - 1);
}

static void add_row(struct strbuf *b, const struct study *s, const char *arm, const char *kind,
                    double share, double n, double d, int seed, double loss)
{
    str_printf(b, "%s-%g-%g-%d,%s,%s,%g,%g,%g,%d,%g,%.17g,0,15000\n", arm, n, d, seed, arm, kind,
               share, n, d, seed, d / s->steps, loss);
}

static void write_study(struct strbuf *b, const struct study *s, uint64_t seed)
{
    struct rng rng;
    rng_init(&rng, seed, "planted study", 0);
    str_clear(b);
    str_adds(b, "run_id,arm,kind,frac_synth,n_param,n_tok,seed,batch_tokens,loss,diverged,"
                "tok_per_s\n");
    for (int i = 0; i < s->n_size; i++)
        for (int j = 0; j < s->n_budget; j++) {
            double n = 4e5 * pow(3, i), d = 5e5 * pow(2, j);
            double base = 1.8 + 200 / pow(n, .4) + 600 / pow(d, .4);
            bool last = i == s->n_size - 1 && j == s->n_budget - 1;
            for (int k = 1; k <= s->n_seed; k++) {
                double common = base + s->sd_seed * rng_normal(&rng);
                for (size_t a = 0; a < N_OF(share_of); a++) {
                    char arm[32];
                    double share = share_of[a];
                    snprintf(arm, sizeof arm, share > 0 ? "hq@%g" : "natural", share);
                    double e = share > 0 ? effect(s, share) : 0;
                    add_row(b, s, arm, share > 0 ? "hq" : "natural", share, n, d, k,
                            common + e + s->sd_run * rng_normal(&rng));
                }
                double other = base + s->sd_seed * rng_normal(&rng);
                if (!s->controls || !last)
                    continue;
                add_row(b, s, "aa", "natural", 0, n, d, 100 + k,
                        other + s->aa + s->sd_run * rng_normal(&rng));
                add_row(b, s, "shuffle@1", "shuffle", 1, n, d, k,
                        common + s->shuffle + s->sd_run * rng_normal(&rng));
                add_row(b, s, "copy@1", "copy", 1, n, d, k,
                        common + s->copy + s->sd_run * rng_normal(&rng));
            }
        }
}

/* The advice on a text, or NULL with the message in err. */
static struct js *ask(const char *text, const struct advise_conf *c, struct err *err)
{
    struct table t;
    struct js *out = NULL;
    struct advise_conf plain = { .n_boot = 200, .seed = 1 };
    err->msg[0] = '\0';
    if (table_parse(&t, "runs.csv", text, strlen(text), err) < 0)
        return NULL;
    if (advise(&out, &t, c ? c : &plain, err) < 0)
        out = NULL;
    table_release(&t);
    return out;
}

static bool has_reason(const struct js *advice, const char *text)
{
    const struct js *list = js_get(advice, "reasons");
    for (size_t i = 0; i < js_len(list); i++)
        if (strstr(js_as_text(js_at(list, i), NULL), text))
            return true;
    return false;
}

static void test_verdicts(void)
{
    struct study use = sound, none = sound, unclear = sound, poison = sound, aa = sound,
                 small = sound, brief = sound, lonely = sound, bare = sound, pages = sound,
                 both = sound, slight = sound, copies = sound;
    none.gain = -.08;
    slight.gain = .004; /* sure, but less than the threshold of .01 */
    slight.sd_run = .0005;
    copies.gain = 1e-9;
    copies.sd_run = copies.sd_seed = 0;
    unclear.gain = 1e-9;
    unclear.sd_run = .03;
    poison.shuffle = 0;
    aa.aa = .3;
    small.n_budget = 2;
    brief.steps = 100;
    lonely.n_seed = 1;
    bare.controls = false;
    pages.copy = -.08; /* the pages themselves gain as much as their rewriting */
    both.copy = -.03;
    const struct {
        const char *name, *verdict, *reason;
        const struct study *study;
    } row[] = {
        { "use", "use hq at 0.3", "is better than natural", &use },
        { "none", "use none", "ruled out", &none },
        { "slight", "use none", "too little to be worth having", &slight },
        { "unclear", "cannot tell", "are not visible", &unclear },
        { "poison", "cannot tell", "control 'poison'", &poison },
        { "A/A", "cannot tell", "control 'A/A'", &aa },
        { "small", "insufficient", "2 sizes, 2 budgets, 5 shares, 3 seeds", &small },
        { "brief", "insufficient", "under 500 steps", &brief },
        { "one seed", "insufficient", "1 seeds an arm", &lonely },
        { "pages", "cannot tell", "choice and cutting of the pages explain", &pages },
        { "pages and rewriting", "use hq at 0.3", "is better than natural", &both },
        { "no controls", "use hq at 0.3", "no poison control", &bare },
        { "copies", "cannot tell", "they are copies", &copies },
    };
    struct strbuf b = { 0 };
    for (size_t i = 0; i < N_OF(row); i++) {
        struct err err;
        write_study(&b, row[i].study, 7);
        struct js *a = ask(b.s, NULL, &err);
        NEED(a, "%s: %s", row[i].name, err.msg);
        const char *verdict = js_get_text(a, "verdict", "");
        CHECK(str_starts(verdict, row[i].verdict), "%s: verdict '%s'", row[i].name, verdict);
        CHECK(has_reason(a, row[i].reason), "%s: no reason '%s'", row[i].name, row[i].reason);
        bool tells = str_starts(verdict, "use");
        CHECK((js_kind(js_get(a, "share")) == JS_REAL) == tells, "%s: a share without a verdict",
              row[i].name);
        CHECK(strcmp(verdict, "cannot tell") != 0 || i > 3 || js_get_whole(a, "runs_needed", 0) > 3,
              "%s: no runs needed", row[i].name);
        js_free(a);
    }
    str_release(&b);
}

static void test_numbers(void)
{
    struct strbuf b = { 0 };
    struct err err;
    struct study quiet = sound;
    quiet.sd_seed = .002;
    quiet.sd_run = .001;
    write_study(&b, &quiet, 3);
    struct advise_cost cost = { "hq", 2e6, 1e6, NAN };
    struct advise_conf c = { .n_boot = 400,
                             .seed = 1,
                             .price_in = 1,
                             .price_out = 4,
                             .gpu_hour = 5.4,
                             .cost = &cost,
                             .n_cost = 1 };
    struct js *a = ask(b.s, &c, &err);
    NEED(a, "%s", err.msg);
    double d = 2e6, base = 600 / pow(d, .4), share = js_get_real(a, "share", 0);
    double want = pow(600 / (base - .08), 2.5) - d, saved = js_get_real(a, "tokens_saved", 0);
    CHECK(fabs(share - .35) < .02, "share %g", share);
    CHECK(js_get_real(a, "share_lo", 1) < share && share < js_get_real(a, "share_hi", 0),
          "share outside its interval");
    CHECK(fabs(saved / want - 1) < .1, "tokens saved %g, planted %g", saved, want);
    CHECK(js_get_real(a, "tokens_saved_lo", 1e99) < saved, "interval of tokens saved");
    /* Generation costs 6; a token of training costs 5.4 / 3600 / 15000 = 1e-7. */
    double even = js_get_real(a, "breakeven_tokens", 0);
    CHECK(fabs(even / (6 / (1e-7 * saved / d)) - 1) < 1e-9, "break-even %g", even);
    CHECK(js_get_real(js_get(a, "point"), "n_tok", 0) == 2e6, "decision point");
    struct advise_cost bought = { "hq", 0, 0, 12 }; /* a set for 12: no prices of tokens matter */
    struct advise_conf buys = c;
    buys.cost = &bought;
    buys.price_in = buys.price_out = NAN;
    struct js *b2 = ask(b.s, &buys, &err);
    NEED(b2, "%s", err.msg);
    CHECK(fabs(js_get_real(b2, "breakeven_tokens", 0) / even - 2) < 1e-9, "break-even %g of a set",
          js_get_real(b2, "breakeven_tokens", 0));
    js_free(b2);
    const struct js *choices = js_get(a, "choices");
    NEED(js_len(choices) == 5, "%zu choices", js_len(choices));
    for (size_t i = 1; i < 5; i++) {
        const struct js *o = js_at(choices, i);
        double planted = effect(&quiet, js_get_real(o, "share", 0));
        CHECK(fabs(js_get_real(o, "diff", 0) - planted) < .004, "diff %g, planted %g",
              js_get_real(o, "diff", 0), planted);
    }
    js_free(a);
    c.n_param = 4e5;
    c.n_tok = 1e6;
    a = ask(b.s, &c, &err);
    NEED(a, "%s", err.msg);
    CHECK(js_get_real(js_get(a, "point"), "n_tok", 0) == 1e6, "the point asked for");
    CHECK(has_reason(a, "no A/A control"), "controls of another point");
    js_free(a);
    c.n_param = 7e9;
    CHECK(!ask(b.s, &c, &err) && strstr(err.msg, "no natural run at N 7.00G"), "got '%s'", err.msg);
    str_release(&b);
}

/* Over simulated studies: false alarms, power, and how often intervals hold what was planted. */
static void test_calibration(void)
{
    enum { N_SIM = 300 };
    struct strbuf b = { 0 };
    struct err err;
    int n_false = 0, n_aa = 0, n_diff = 0, n_diff_in = 0, n_use = 0, n_share_in = 0, n_saved = 0,
        n_saved_in = 0;
    for (int i = 0; i < N_SIM; i++) {
        struct study none = sound, some = sound;
        none.gain = 0;
        none.n_seed = some.n_seed = 2 + i % 3;
        some.gain = .06;
        write_study(&b, &none, 1000 + (uint64_t)i);
        struct js *a = ask(b.s, NULL, &err);
        NEED(a, "%s", err.msg);
        const struct js *choices = js_get(a, "choices"), *controls = js_get(a, "controls");
        bool alarm = false;
        for (size_t k = 1; k < js_len(choices); k++) {
            const struct js *o = js_at(choices, k);
            alarm |= js_get_real(o, "p_holm", 1) < .05;
            n_diff_in += js_get_real(o, "diff_lo", 1) <= 0 && 0 <= js_get_real(o, "diff_hi", -1);
            n_diff++;
        }
        n_false += alarm;
        n_aa += !js_get_bool(js_at(controls, 0), "ok", true);
        js_free(a);
        write_study(&b, &some, 5000 + (uint64_t)i);
        a = ask(b.s, NULL, &err);
        NEED(a, "%s", err.msg);
        if (str_starts(js_get_text(a, "verdict", ""), "use hq")) {
            n_use++;
            n_share_in += js_get_real(a, "share_lo", 1) <= some.best &&
                          some.best <= js_get_real(a, "share_hi", 0);
            double gain = -effect(&some, js_get_real(a, "share", 0)), d = 2e6;
            double want = pow(600 / (600 / pow(d, .4) - gain), 2.5) - d;
            double lo = js_get_real(a, "tokens_saved_lo", NAN),
                   hi = js_get_real(a, "tokens_saved_hi", INFINITY);
            n_saved += !isnan(lo);
            n_saved_in += lo <= want && want <= hi;
        }
        js_free(a);
    }
    str_release(&b);
    printf("%d studies without any effect: false alarm %.1f %%, A/A alarm %.1f %%, 95 %% intervals "
           "of differences hold %.1f %%\n",
           N_SIM, 100.0 * n_false / N_SIM, 100.0 * n_aa / N_SIM, 100.0 * n_diff_in / n_diff);
    printf("%d studies with a gain of .06: advised %.1f %%, 95 %% intervals of the share hold %.1f "
           "%%\n",
           N_SIM, 100.0 * n_use / N_SIM, n_use ? 100.0 * n_share_in / n_use : 0.0);
    printf("tokens saved: 95 %% intervals hold %.1f %% of %d\n", 100.0 * n_saved_in / n_saved,
           n_saved);
    CHECK(n_saved > .9 * n_use && n_saved_in >= .92 * n_saved, "%d of %d", n_saved_in, n_saved);
    CHECK(n_false <= .08 * N_SIM, "%d false alarms", n_false);
    CHECK(n_aa <= .03 * N_SIM, "%d A/A alarms", n_aa);
    CHECK(n_diff_in >= .92 * n_diff && n_diff_in <= .98 * n_diff, "%d of %d", n_diff_in, n_diff);
    CHECK(n_use >= .8 * N_SIM, "advised %d times", n_use);
    CHECK(n_share_in >= .88 * n_use, "share held %d of %d", n_share_in, n_use);
}

static void test_best_share(void)
{
    struct share_point p[7];
    static const double at[] = { 0, .1, .2, .33, .5, .67, 1 };
    for (size_t i = 0; i < 7; i++) { /* the shape of the exponential mixture law, optimum .554 */
        double s = at[i];
        p[i] = (struct share_point){ s, 3 + .2 * exp(-4 * s) + .1106 * exp(-3 * (1 - s)), 2 };
    }
    struct share_best b = share_find(p, 7, .001, 8, .95, 500, 1);
    double best = 0, least = INFINITY;
    for (double s = 0; s <= 1; s += 1e-4) {
        double v = .2 * exp(-4 * s) + .1106 * exp(-3 * (1 - s));
        if (v < least) {
            least = v;
            best = s;
        }
    }
    CHECK(b.curve && fabs(b.share - best) < .06, "share %g, planted %g", b.share, best);
    CHECK(b.lo <= b.share && b.share <= b.hi && b.hi - b.lo < .3, "%g..%g", b.lo, b.hi);
    /* No parabola: however little noise there is, what it misses the points by widens the interval.
     */
    b = share_find(p, 7, .0001, 8, .95, 500, 1);
    CHECK(b.curve && b.lo <= best && best <= b.hi, "%g..%g, planted %g", b.lo, b.hi, best);
    /* A dip at one share: no curve may advise another, where the loss is higher. */
    struct share_point dip[4] = { { 0, 3, 3 }, { .3, 2.9, 3 }, { .6, 3, 3 }, { .9, 3.01, 3 } };
    b = share_find(dip, 4, .002, 8, .95, 500, 1);
    CHECK(!b.curve && b.share == .3 && b.loss == 2.9, "a dip at .3: share %g", b.share);
    b = share_find(p, 3, .001, 8, .95, 500, 1);
    CHECK(!b.curve && b.share == .2, "three shares: the measured best, got %g", b.share);
    for (size_t i = 0; i < 7; i++)
        p[i].loss = 3 + at[i];
    b = share_find(p, 7, .001, 8, .95, 500, 1);
    CHECK(b.share >= 0 && b.share < .05, "rising losses: share %g", b.share);
}

static void test_bad_runs(void)
{
    static const char head[] = "arm,kind,frac_synth,n_param,n_tok,seed,loss,diverged\n";
    static const struct {
        const char *rows, *want;
    } row[] = {
        { "hq,hq,1,4e5,1e6,1,5,0\n", "no usable run of kind natural" },
        { "natural,natural,0,4e5,1e6,1,nan,1\n", "no usable run of kind natural" },
        { "natural,natural,0,4e5,1e6,1,-2,0\n", "line 2: loss must be more than 0" },
        { "natural,natural,1.3,4e5,1e6,1,5,0\n", "line 2: frac_synth" },
        { "natural,,0,4e5,1e6,1,5,0\n", "line 2: kind is missing" },
        { "natural,natural,x,4e5,1e6,1,5,0\n", "line 2 column 'frac_synth': 'x'" },
    };
    struct strbuf b = { 0 };
    struct err err;
    for (size_t i = 0; i < N_OF(row); i++) {
        str_clear(&b);
        str_printf(&b, "%s%s", head, row[i].rows);
        CHECK(!ask(b.s, NULL, &err) && strstr(err.msg, row[i].want), "%zu: '%s'", i, err.msg);
    }
    CHECK(!ask("kind,frac_synth,n_param,n_tok,loss\nnatural,0,1,1,1\n", NULL, &err) &&
              strstr(err.msg, "no column 'seed'; it has: kind"),
          "got '%s'", err.msg);
    CHECK(!ask("N,D,loss\n1,1,1\n", NULL, &err) && strstr(err.msg, "no column 'kind'"), "got '%s'",
          err.msg);
    /* Two rows, and only natural: an answer in words. */
    str_clear(&b);
    str_printf(&b, "%snatural,natural,0,4e5,1e6,1,5,0\nhq,hq,1,4e5,1e6,1,nan,1\n", head);
    struct js *a = ask(b.s, NULL, &err);
    NEED(a, "%s", err.msg);
    CHECK(strcmp(js_get_text(a, "verdict", ""), "insufficient") == 0, "two rows: %s",
          js_get_text(a, "verdict", ""));
    CHECK(has_reason(a, "diverged runs left out: 1"), "diverged runs are not counted");
    js_free(a);
    str_release(&b);
}

/* natural against hq at two seeds, sizes and budgets; what differs is in the arguments. */
static void small_table(struct strbuf *b, double third, const char *extra)
{
    static const double share[] = { 0, .33, 1 }, gain[] = { 0, -.1, .1 };
    str_clear(b);
    str_adds(b, "arm,kind,frac_synth,n_param,n_param_nonemb,n_tok,seed,n_steps,loss\n");
    for (int i = 0; i < 2; i++)
        for (int j = 0; j < 3; j++)
            for (int k = 1; k <= 2; k++)
                for (size_t a = 0; a < 3; a++)
                    str_printf(b, "%s%g,%s,%.6g,%g,%g,%g,%d,1000,%.6f\n", a ? "hq" : "natural",
                               share[a], a ? "hq" : "natural", a == 1 ? third + 1e-4 * k : share[a],
                               5e5 * (i + 1), 3e5 * (i + 1), 1e6 * (j + 1), k,
                               5 - .3 * i - .2 * j + gain[a] +
                                   .002 * (k == 1 ? 1 : -1) * (a == 1 ? -1 : 1));
    str_adds(b, extra);
}

/* The table with one more column: `every` in its rows, `last` in the last one. */
static void add_lr(struct strbuf *b, const char *table, const char *every, const char *last)
{
    str_clear(b);
    for (const char *p = table, *end; *p; p = end + 1) {
        end = strchr(p, '\n');
        str_add(b, p, (size_t)(end - p));
        str_printf(b, ",%s\n", p == table ? "lr" : end[1] ? every : last);
    }
}

/* Rates that the table does not say are not rates that differ. */
static void test_settings(void)
{
    static const struct {
        const char *every, *last;
        bool differs;
    } row[] = { { "", "", false },
                { "", "0.001", false },
                { "0.001", "", false },
                { "0.001", "0.001", false },
                { "0.002", "0.001", true } };
    struct strbuf b = { 0 }, with = { 0 };
    struct err err;
    small_table(&b, .33, "");
    for (size_t i = 0; i < N_OF(row); i++) {
        add_lr(&with, b.s, row[i].every, row[i].last);
        struct js *a = ask(with.s, NULL, &err);
        NEED(a, "%s", err.msg);
        CHECK(has_reason(a, "lr differs") == row[i].differs, "rates '%s' and '%s'", row[i].every,
              row[i].last);
        js_free(a);
    }
    str_release(&b);
    str_release(&with);
}

static void test_details(void)
{
    struct strbuf b = { 0 };
    struct err err;
    /* Shares as got differ in the last digits; three shares give no curve and no interval. */
    small_table(&b, .33, "");
    struct advise_conf c = { .n_boot = 100, .seed = 1 };
    struct js *a = ask(b.s, &c, &err);
    NEED(a, "%s", err.msg);
    const struct js *choices = js_get(a, "choices");
    NEED(js_len(choices) == 3, "%zu choices", js_len(choices));
    CHECK(str_starts(js_get_text(a, "verdict", ""), "use hq at 0.33"), "%s",
          js_get_text(a, "verdict", ""));
    CHECK(js_kind(js_get(a, "share_lo")) == JS_NULL && has_reason(a, "they cannot say"),
          "an interval from three shares");
    for (size_t i = 0; i < js_len(choices); i++) {
        const struct js *o = js_at(choices, i);
        double penalty = js_get_real(o, "penalty", NAN);
        CHECK(js_get_real(o, "penalty_lo", NAN) <= penalty &&
                  penalty <= js_get_real(o, "penalty_hi", NAN),
              "choice %zu: penalty %g outside its interval", i, penalty);
    }
    js_free(a);
    /* The size asked for may be counted without embeddings. */
    c.n_param = 3e5;
    a = ask(b.s, &c, &err);
    NEED(a, "%s", err.msg);
    CHECK(js_get_real(js_get(a, "point"), "n_param", 0) == 5e5, "size without embeddings");
    js_free(a);
    c.n_param = 0;
    /* Three runs of one arm and seed weigh the same. */
    small_table(&b, .33,
                "x,natural,0,1e6,6e5,3e6,1,1000,4.5\nx,natural,0,1e6,6e5,3e6,1,1000,4.801\n");
    a = ask(b.s, &c, &err);
    NEED(a, "%s", err.msg);
    double mean = ((4.302 + 4.5 + 4.801) / 3 + 4.298) / 2;
    CHECK(fabs(js_get_real(js_at(js_get(a, "choices"), 0), "loss", 0) - mean) < 1e-9, "mean %g",
          js_get_real(js_at(js_get(a, "choices"), 0), "loss", 0));
    CHECK(has_reason(a, "2 runs repeat"), "repeats are not named");
    js_free(a);
    /* A run at the point that was too short makes the point insufficient. */
    small_table(&b, .33, "hq1,hq,1,1e6,6e5,3e6,3,400,4.4\n");
    a = ask(b.s, &c, &err);
    NEED(a, "%s", err.msg);
    CHECK(strcmp(js_get_text(a, "verdict", ""), "insufficient") == 0, "%s",
          js_get_text(a, "verdict", ""));
    js_free(a);
    small_table(&b, .33, "n,natural,.5,1e6,6e5,3e6,3,4000,4.4\n");
    CHECK(!ask(b.s, &c, &err) && strstr(err.msg, "kind is natural, but frac_synth"), "'%s'",
          err.msg);
    str_release(&b);
}

/* With so many runs an effect of that size is found four times in five: by simulation, two-sided t.
 */
static void test_detectable(void)
{
    enum { N_RUN = 6, N_SIM = 4000 };
    double sd = .02, df = 2 * N_RUN - 2, effect = detectable(sd, df, N_RUN, .95, 1);
    double t = student_quantile(.975, df);
    int n_found = 0;
    struct rng rng;
    rng_init(&rng, 1, "detectable", 0);
    for (int i = 0; i < N_SIM; i++) {
        double mean[2] = { 0 }, squares = 0, x[2][N_RUN];
        for (int a = 0; a < 2; a++) {
            for (int k = 0; k < N_RUN; k++)
                mean[a] += (x[a][k] = a * effect + sd * rng_normal(&rng)) / N_RUN;
            for (int k = 0; k < N_RUN; k++)
                squares += pow(x[a][k] - mean[a], 2);
        }
        n_found += fabs(mean[1] - mean[0]) > t * sqrt(squares / df * 2 / N_RUN);
    }
    CHECK(n_found > .77 * N_SIM && n_found < .84 * N_SIM, "found %d of %d", n_found, N_SIM);
    CHECK(detectable(sd, df, N_RUN, .95, 9) > 1.2 * effect, "many comparisons cost nothing");
    double v[] = { 1, 2, INFINITY, INFINITY };
    CHECK(quantile_sorted(v, 4, .9) == INFINITY && quantile_sorted(v, 2, 0) == 1, "quantiles");
}

/* The order of rows and the number of calls change nothing. */
static void test_same_advice(void)
{
    struct strbuf b = { 0 }, turned = { 0 }, one = { 0 }, two = { 0 };
    struct err err;
    write_study(&b, &sound, 11);
    const char *head_end = strchr(b.s, '\n') + 1, *p = b.s + b.n - 1;
    str_add(&turned, b.s, (size_t)(head_end - b.s));
    while (p > head_end) { /* lines from the last to the first */
        const char *begin = p;
        while (begin > head_end && begin[-1] != '\n')
            begin--;
        str_add(&turned, begin, (size_t)(p - begin));
        str_addc(&turned, '\n');
        p = begin - 1;
    }
    struct js *a = ask(b.s, NULL, &err), *again = ask(b.s, NULL, &err),
              *other = ask(turned.s, NULL, &err);
    NEED(a && again && other, "%s", err.msg);
    js_write(a, &one);
    js_write(again, &two);
    CHECK(strcmp(one.s, two.s) == 0, "two calls differ");
    CHECK(strcmp(js_get_text(a, "verdict", ""), js_get_text(other, "verdict", "?")) == 0 &&
              fabs(js_get_real(a, "loss", 0) - js_get_real(other, "loss", 1)) < 1e-12,
          "the order of rows matters: %s", js_get_text(other, "verdict", ""));
    js_free(a);
    js_free(again);
    js_free(other);
    str_release(&b);
    str_release(&turned);
    str_release(&one);
    str_release(&two);
}

const struct check_test test_advise[] = {
    TEST(test_stats),      TEST(test_best_share),  TEST(test_verdicts),    TEST(test_numbers),
    TEST(test_bad_runs),   TEST(test_same_advice), TEST(test_calibration), TEST(test_details),
    TEST(test_detectable), TEST(test_settings),
};
const size_t n_test_advise = N_OF(test_advise);
