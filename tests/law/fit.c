/* tests/law/fit.c - optima, planted laws, intervals, and the known ways to fit badly. */
#include "check.h"

#include <math.h>
#include <time.h>

#include "base/mem.h"
#include "base/rng.h"
#include "law/fit.h"
#include "law/stats.h"
#include "law/summary.h"
#include "law_tests.h"

static bool near(double got, double want, double relative)
{
    return fabs(got / want - 1) <= relative;
}

/* Rows on a grid of sizes and budgets from a planted law, with noise in the log. */
struct planted {
    double n[512], d[512], loss[512];
    struct fit_data data;
};

static const double joint_truth[] = { 400, 1200, 1.9, 0.34, 0.37 };

static void plant(struct planted *p, const struct law *law, const double *param, size_t n_n,
                  size_t n_d, size_t n_seed, double noise, uint64_t seed)
{
    struct rng rng;
    size_t k = 0;
    rng_init(&rng, seed, "planted rows", 0);
    for (size_t i = 0; i < n_n; i++)
        for (size_t j = 0; j < n_d; j++)
            for (size_t s = 0; s < n_seed; s++, k++) {
                p->n[k] = 1e6 * pow(4, (double)i);
                p->d[k] = 2e7 * pow(4, (double)j);
                p->loss[k] =
                    law_predict(law, param, p->n[k], p->d[k]) * exp(noise * rng_normal(&rng));
            }
    p->data = (struct fit_data){ .n = k, .n_param = p->n, .n_tok = p->d, .loss = p->loss };
}

static void test_planted_exact(void)
{
    static const struct {
        const char *name;
        double param[LAW_PARAM_MAX];
    } row[] = {
        { "data", { 1200, 0.37, 1.9 } },
        { "model", { 400, 0.34, 1.9 } },
        { "joint", { 400, 1200, 1.9, 0.34, 0.37 } },
        { "joint_tied", { 400, 900, 1.9, 0.35 } },
        { "joint_gamma", { 2000, 9000, 1.75, 0.42, 0.43, 0.8 } },
    };
    struct fit_conf conf = fit_conf_default();
    conf.n_boot = 0;
    for (size_t i = 0; i < N_OF(row); i++) {
        struct planted p;
        struct fit f;
        struct err err = { "" };
        const struct law *law = law_find(row[i].name);
        plant(&p, law, row[i].param, 5, 6, 1, 0, 1);
        NEED(fit_law(&f, law, &p.data, &conf, &err) == ST_OK, "%s: %s", law->name, err.msg);
        for (int k = 0; k < law->n_param; k++)
            CHECK(near(f.param[k], row[i].param[k], 1e-4), "%s: %s is %.9g, planted %.9g",
                  law->name, law->param[k], f.param[k], row[i].param[k]);
        CHECK(f.n_param_at_start == 0, "%s: %d parameters did not move", law->name,
              f.n_param_at_start);
        fit_release(&f);
    }
}

/* Analytic gradients against central differences, through a law's evaluation. */
static void test_gradients(void)
{
    static const double theta[] = { 0.2, -0.3, 0.5, -0.8, -0.6, 0.1 };
    double zn[] = { -1.5, 0.2, 1.1 }, zd[] = { 0.7, -1.2, 0.4 };
    const struct law_points p = { .n = 3, .zn = zn, .zd = zd };
    for (size_t i = 0; i < n_laws; i++) {
        double pred[3], up[3], down[3], jac[3 * LAW_PARAM_MAX];
        laws[i].eval(theta, &p, pred, jac);
        for (int k = 0; k < laws[i].n_param; k++) {
            double t[6], h = 1e-6;
            memcpy(t, theta, sizeof t);
            t[k] = theta[k] + h;
            laws[i].eval(t, &p, up, NULL);
            t[k] = theta[k] - h;
            laws[i].eval(t, &p, down, NULL);
            for (int r = 0; r < 3; r++) {
                double want = (up[r] - down[r]) / (2 * h), got = jac[k * 3 + r];
                CHECK(fabs(got - want) < 1e-8 * (1 + fabs(want)), "%s by %s: %g, want %g",
                      laws[i].name, laws[i].param[k], got, want);
            }
        }
    }
}

/* The published refit: any early stop, mean instead of sum, or float32 misses these digits. */
static void test_epoch_optimum(void)
{
    const char *dir = getenv("MIXLAW_DATA");
    char path[512];
    snprintf(path, sizeof path, "%s/laws/chinchilla_epoch.csv", dir ? dir : "../shared/data");
    if (!file_exists(path))
        SKIP("%s is not there (MIXLAW_DATA)", path);
    struct table t;
    struct err err = { "" };
    struct js *fits = js_array();
    struct summary_conf c = { .laws = "joint",
                              .where = "used_in_fit == 1",
                              .hold_out = "C > 1e21",
                              .fit = fit_conf_default() };
    c.fit.n_boot = 400;
    NEED(table_read(&t, path, &err) == ST_OK, "%s", err.msg);
    NEED(summary_fit(fits, &t, &c, &err) == ST_OK, "%s", err.msg);
    static const struct {
        const char *name;
        double want;
    } row[] = { { "A", 477.826 },
                { "B", 2143.417 },
                { "E", 1.817218 },
                { "alpha", .347311 },
                { "beta", .367172 } };
    const struct js *fit = js_at(fits, 0), *params = js_get(fit, "params");
    for (size_t i = 0; i < N_OF(row); i++) {
        const struct js *p = js_get(params, row[i].name);
        double v = js_get_real(p, "value", 0);
        CHECK(near(v, row[i].want, 2e-6), "%s is %.9g, want %.9g", row[i].name, v, row[i].want);
        CHECK(js_get_real(p, "lo", 0) < v && v < js_get_real(p, "hi", 0), "%s outside its interval",
              row[i].name);
    }
    double objective = js_get_real(fit, "objective", 0);
    CHECK(near(objective, .0010182740178, 1e-10), "objective %.14g", objective);
    CHECK(js_get_whole(fit, "n_rows", 0) == 240, "rows %d", (int)js_get_whole(fit, "n_rows", 0));
    const struct js *held = js_get(fit, "hold_out");
    CHECK(js_get_whole(held, "n", 0) + js_get_whole(held, "n_fitted", 0) == 240, "rows lost");
    CHECK(js_get_real(js_get(js_get(held, "params"), "A"), "value", 0) !=
              js_get_real(js_get(params, "A"), "value", 0),
          "the held-out rows were in the fit");
    js_free(fits);
    table_release(&t);
}

/* Optima that scipy found (tests/golden/make_law.py) on planted tables, all laws. */
static void test_scipy_optima(void)
{
    struct table t;
    struct js *golden;
    struct err err = { "" };
    NEED(table_read(&t, "tests/golden/law_planted.csv", &err) == ST_OK, "%s", err.msg);
    NEED(js_read_file(&golden, "tests/golden/law_planted.json", &err) == ST_OK, "%s", err.msg);
    for (size_t i = 0; i < n_laws; i++) {
        const char *name = laws[i].name;
        const struct js *want = js_get(golden, name), *params = js_get(want, "params");
        struct js *fits = js_array();
        char where[64];
        snprintf(where, sizeof where, "law == %s", name);
        struct summary_conf c = { .laws = name, .where = where, .fit = fit_conf_default() };
        c.fit.n_boot = 0;
        NEED(summary_fit(fits, &t, &c, &err) == ST_OK, "%s: %s", name, err.msg);
        double got = js_get_real(js_at(fits, 0), "objective", 0);
        CHECK(near(got, js_get_real(want, "objective", 0), 1e-9), "%s: objective %.12g", name, got);
        for (void *it = js_iter(params); it; it = js_next(params, it)) {
            const struct js *p = js_get(js_get(js_at(fits, 0), "params"), js_iter_key(it));
            double v = js_get_real(p, "value", 0), w = js_as_real(js_iter_value(it), 1);
            CHECK(near(v, w, 1e-5), "%s: %s is %.9g, scipy's %.9g", name, js_iter_key(it), v, w);
        }
        js_free(fits);
    }
    const struct js *quantiles = js_get(golden, "student_t");
    for (size_t i = 0; i < js_len(quantiles); i++) {
        const struct js *q = js_at(quantiles, i);
        double t_got = student_quantile(js_as_real(js_at(q, 0), 0), js_as_real(js_at(q, 1), 0));
        CHECK(near(t_got, js_as_real(js_at(q, 2), 0), 1e-7), "t quantile %zu: %.12g", i, t_got);
    }
    js_free(golden);
    table_release(&t);
}

/* Rows shuffled, scaled weights, or another unit of N leave the optimum where it is. */
static void test_invariance(void)
{
    struct planted p;
    struct fit a, b;
    struct err err = { "" };
    struct fit_conf conf = fit_conf_default();
    const struct law *law = law_find("joint");
    conf.n_boot = 0;
    plant(&p, law, joint_truth, 5, 6, 2, 0.003, 3);
    NEED(fit_law(&a, law, &p.data, &conf, &err) == ST_OK, "%s", err.msg);
    for (size_t i = 0; i < p.data.n; i++)
        p.n[i] /= 1e6;
    NEED(fit_law(&b, law, &p.data, &conf, &err) == ST_OK, "%s", err.msg);
    CHECK(near(b.param[3], a.param[3], 1e-6) && near(b.objective, a.objective, 1e-9),
          "alpha %.9g and %.9g", a.param[3], b.param[3]);
    CHECK(near(b.param[0], a.param[0] * pow(1e6, -a.param[3]), 1e-5), "A does not scale");
    CHECK(a.n_start_agree == a.n_start, "%d of %d starts agree", a.n_start_agree, a.n_start);
    fit_release(&a);
    fit_release(&b);
}

/* Simulated studies: the 95 % interval of a predicted loss holds the truth about that often. */
static void test_coverage(void)
{
    enum { N_SIM = 200 };
    int n_in = 0, n_alpha = 0;
    const struct law *law = law_find("joint");
    struct fit_conf conf = fit_conf_default();
    conf.n_boot = 200;
    conf.n_start = 3;
    conf.no_profile = true;
    double truth = law_predict(law, joint_truth, 2.56e8, 2e10);
    for (int s = 0; s < N_SIM; s++) {
        struct planted p;
        struct fit f;
        struct err err = { "" };
        plant(&p, law, joint_truth, 4, 5, 3, 0.003, 100 + (uint64_t)s);
        NEED(fit_law(&f, law, &p.data, &conf, &err) == ST_OK, "%s", err.msg);
        double loss, lo, hi;
        fit_predict(&f, 2.56e8, 2e10, 0.95, &loss, &lo, &hi);
        n_in += lo <= truth && truth <= hi;
        n_alpha += f.lo[3] <= joint_truth[3] && joint_truth[3] <= f.hi[3];
        fit_release(&f);
    }
    printf("coverage of 95 %% intervals in %d studies of 60 runs: loss %.1f %%, alpha %.1f %%\n",
           N_SIM, 100.0 * n_in / N_SIM, 100.0 * n_alpha / N_SIM);
    CHECK(n_in >= 0.88 * N_SIM && n_in <= 0.99 * N_SIM, "loss covered %d of %d", n_in, N_SIM);
    CHECK(n_alpha >= 0.88 * N_SIM && n_alpha <= 0.99 * N_SIM, "alpha covered %d", n_alpha);
}

/* A bootstrap that starts warm ends where a whole search on the same resample ends. */
static void test_warm_start(void)
{
    enum { N_BOOT = 60 };
    struct planted p;
    struct fit all, one;
    struct err err = { "" };
    struct fit_conf conf = fit_conf_default();
    double weight[512];
    int n_apart = 0;
    conf.n_boot = N_BOOT;
    plant(&p, law_find("joint"), joint_truth, 5, 6, 4, 0.006, 21);
    NEED(fit_law(&all, law_find("joint"), &p.data, &conf, &err) == ST_OK, "%s", err.msg);
    NEED(all.n_boot == N_BOOT, "%zu bootstraps", all.n_boot);
    conf.n_boot = 0;
    conf.no_profile = true;
    p.data.weight = weight;
    for (uint64_t b = 0; b < N_BOOT; b++) {
        struct rng rng;
        rng_init(&rng, conf.seed, "bootstrap of a law", b); /* the draws of fit.c */
        memset(weight, 0, sizeof weight);
        for (size_t i = 0; i < p.data.n; i++)
            weight[rng_below(&rng, p.data.n)]++;
        NEED(fit_law(&one, law_find("joint"), &p.data, &conf, &err) == ST_OK, "%s", err.msg);
        for (int k = 0; k < 5; k++)
            n_apart += !near(all.boot[b * 5 + (size_t)k], one.param[k], 1e-3);
        fit_release(&one);
    }
    CHECK(n_apart == 0, "%d of %d parameters differ from a whole search", n_apart, 5 * N_BOOT);
    fit_release(&all);
}

/* Rows of one run share its noise: resampling rows would call the interval far too narrow. */
static void test_groups(void)
{
    enum { N_RUN = 12, N_ROW = 10 };
    double n[N_RUN * N_ROW], d[N_RUN * N_ROW], loss[N_RUN * N_ROW];
    uint32_t group[N_RUN * N_ROW];
    static const double truth[] = { 1200, 0.37, 1.9 };
    struct rng rng;
    rng_init(&rng, 5, "runs", 0);
    for (size_t r = 0, k = 0; r < N_RUN; r++) {
        double shift = 0.02 * rng_normal(&rng);
        for (size_t i = 0; i < N_ROW; i++, k++) {
            n[k] = 1e6;
            d[k] = 1e7 * pow(2, (double)i);
            loss[k] = law_predict(law_find("data"), truth, 1, d[k]) * exp(shift);
            group[k] = 1000 + (uint32_t)r;
        }
    }
    struct fit_data data = { .n = N_RUN * N_ROW, .n_param = n, .n_tok = d, .loss = loss };
    struct fit_conf conf = fit_conf_default();
    struct fit rows, runs;
    struct err err = { "" };
    NEED(fit_law(&rows, law_find("data"), &data, &conf, &err) == ST_OK, "%s", err.msg);
    data.group = group;
    NEED(fit_law(&runs, law_find("data"), &data, &conf, &err) == ST_OK, "%s", err.msg);
    CHECK(runs.n_group == N_RUN && rows.n_group == N_RUN * N_ROW, "groups %zu", runs.n_group);
    double by_row, by_run, v, lo, hi;
    fit_predict(&rows, 1e6, 1e9, 0.95, &v, &lo, &hi);
    by_row = hi - lo;
    fit_predict(&runs, 1e6, 1e9, 0.95, &v, &lo, &hi);
    by_run = hi - lo;
    CHECK(by_run > 1.8 * by_row, "interval by runs %g, by rows %g", by_run, by_row);
    fit_release(&rows);
    fit_release(&runs);
}

/* Grid corners overflow, flat or impossible tables must end in words or in a flagged fit. */
static void test_hard_tables(void)
{
    struct fit_conf conf = fit_conf_default();
    struct fit f;
    struct err err = { "" };
    struct planted p;
    conf.n_boot = 50;
    plant(&p, law_find("joint"), joint_truth, 1, 6, 2, 0.003, 9);
    CHECK(fit_law(&f, law_find("joint"), &p.data, &conf, &err) == ST_USAGE &&
              strstr(err.msg, "2 model sizes"),
          "one size: %s", err.msg);
    plant(&p, law_find("joint"), joint_truth, 4, 1, 2, 0.003, 9);
    CHECK(fit_law(&f, law_find("data"), &p.data, &conf, &err) == ST_USAGE &&
              strstr(err.msg, "2 token budgets"),
          "one budget: %s", err.msg);
    static const double near_by[] = { 1e6, 1e6, 1.1e6, 1.1e6, 1.2e6, 1.2e6 },
                        steep[] = { 5, 5.01, 3.01, 3.02, 3, 3.01 };
    const struct fit_data cliff = { .n = 6, .n_tok = near_by, .loss = steep };
    CHECK(fit_law(&f, law_find("data"), &cliff, &conf, &err) == ST_USAGE &&
              strstr(err.msg, "faster than a power law"),
          "a cliff: %s", err.msg);
    p.data.n = 2;
    CHECK(fit_law(&f, law_find("joint"), &p.data, &conf, &err) == ST_USAGE &&
              strstr(err.msg, "only 2 rows"),
          "two rows: %s", err.msg);
    plant(&p, law_find("joint"), joint_truth, 3, 4, 2, 0.003, 9);
    p.loss[5] = NAN;
    CHECK(fit_law(&f, law_find("joint"), &p.data, &conf, &err) == ST_USAGE, "NaN passed");
    /* No floor and no trend at all: E must not come out sure. */
    static const double no_floor[] = { 1200, 0.05, 1e-9 };
    plant(&p, law_find("data"), no_floor, 1, 6, 2, 0.003, 9);
    NEED(fit_law(&f, law_find("data"), &p.data, &conf, &err) == ST_OK, "%s", err.msg);
    CHECK(f.unbounded >> 2 & 1, "E %g [%g, %g] came out as determined", f.param[2], f.lo[2],
          f.hi[2]);
    fit_release(&f);
    for (size_t i = 0; i < p.data.n; i++)
        p.loss[i] = 3;
    if (fit_law(&f, law_find("data"), &p.data, &conf, &err) == ST_OK) {
        double flat = law_predict(f.law, f.param, 1, 1e9);
        CHECK(isfinite(flat) && near(flat, 3, 1e-3), "flat rows predict %g", flat);
        fit_release(&f);
    }
}

static void test_same_bytes(void)
{
    struct planted p;
    struct fit a, b;
    struct err err = { "" };
    struct fit_conf conf = fit_conf_default();
    conf.n_boot = 100;
    plant(&p, law_find("joint"), joint_truth, 4, 5, 1, 0.003, 11);
    NEED(fit_law(&a, law_find("joint"), &p.data, &conf, &err) == ST_OK, "%s", err.msg);
    NEED(fit_law(&b, law_find("joint"), &p.data, &conf, &err) == ST_OK, "%s", err.msg);
    CHECK(memcmp(a.boot, b.boot, a.n_boot * 5 * sizeof(double)) == 0, "bootstraps differ");
    double tokens = law_tokens_for(a.law, a.param, 2.56e8, 3.5);
    CHECK(near(law_predict(a.law, a.param, 2.56e8, tokens), 3.5, 1e-9), "the inverse is wrong");
    CHECK(law_tokens_for(a.law, a.param, 2.56e8, 1.0) == INFINITY, "below the floor");
    fit_release(&a);
    fit_release(&b);
}

const struct check_test test_fit[] = {
    TEST(test_gradients),    TEST(test_planted_exact), TEST(test_epoch_optimum),
    TEST(test_scipy_optima), TEST(test_invariance),    TEST(test_coverage),
    TEST(test_groups),       TEST(test_warm_start),    TEST(test_hard_tables),
    TEST(test_same_bytes),
};
const size_t n_test_fit = N_OF(test_fit);
