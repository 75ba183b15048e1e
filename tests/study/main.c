/* tests/study/main.c - study files, plans and child processes. */
#include "check.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "study/child.h"
#include "study/plan.h"
#include "study/stages.h"
#include "study/sweep.h"

/* A good study file; rows of the table below replace one line of it. */
static const char *const good[] = {
    "study: s",
    "natural: {paths: [a.txt], clean: none}",
    "kinds: {hq: {}}",
    "generator: {local: m.gguf}",
    "shares: [0, 0.33, 1]",
    "models: [200k, 400k]",
    "budgets: [256k, 512k, 1M]",
    "seeds: 2",
    "domains: {paths: [d]}",
};

static enum st read_with(struct study_conf *c, size_t line, const char *text, struct err *err)
{
    struct strbuf b = { 0 };
    char *path = path_join(check_dir(), "study.yaml");
    for (size_t i = 0; i < N_OF(good); i++)
        str_printf(&b, "%s\n", text && i == line ? text : good[i]);
    enum st st = file_write(path, b.s, b.n, err);
    if (st == ST_OK)
        st = study_conf_read(c, path, err);
    str_release(&b);
    free(path);
    return st;
}

/* One study file read from two working folders: paths lead to the same place, the settings are the
 * same text. */
static void test_conf_from_anywhere(void)
{
    struct study_conf far, near;
    struct err err = { "" };
    char here[4096];
    NEED(read_with(&far, 0, NULL, &err) == ST_OK, "%s", err.msg);
    NEED(getcwd(here, sizeof here) && chdir(check_dir()) == 0, "%s", strerror(errno));
    enum st st = study_conf_read(&near, "study.yaml", &err);
    CHECK(chdir(here) == 0, "%s", strerror(errno));
    NEED(st == ST_OK, "%s", err.msg);
    char *want = path_join(check_dir(), near.domain_path.s[0]);
    CHECK(strcmp(far.domain_path.s[0], want) == 0, "%s, want %s", far.domain_path.s[0], want);
    struct js *a = study_conf_json(&far), *b = study_conf_json(&near);
    struct strbuf x = { 0 }, y = { 0 };
    js_write(a, &x);
    js_write(b, &y);
    CHECK(strcmp(x.s, y.s) == 0, "%s and %s", x.s, y.s);
    str_release(&x);
    str_release(&y);
    js_free(a);
    js_free(b);
    free(want);
    study_conf_release(&far);
    study_conf_release(&near);
}

static void test_conf_errors(void)
{
    static const struct {
        size_t line;
        const char *text, *msg;
    } row[] = {
        { 4, "shares: [0, 1.3]", "line 5: shares: '1.3' is no share" },
        { 4, "shares: [0.1, 1]", "line 5: shares: the first must be 0" },
        { 4, "shares: [0, 0.5, 0.5]", "line 5: shares: 0.5 does not ascend" },
        { 4, "shares: 0.5", "line 5: shares: want a list" },
        { 4, "sharez: [0, 1]", "line 5: unknown setting 'sharez'" },
        { 5, "models: [200k, 1.5]", "line 6: models: '1.5' is not a whole number" },
        { 5, "models: [0]", "line 6: models: 0 does not ascend" },
        { 7, "seeds: many", "line 8: seeds: 'many' is not a whole number" },
        { 7, "seeds: {a: 1}", "line 8: seeds: want a single value, not a map" },
        { 7, "seeds: 0", "line 8: seeds: 0 is outside 1..1000" },
        { 1, "natural: {paths: [a], cleen: web}",
          "line 2: unknown setting 'cleen'; known here: paths" },
        { 1, "natural: [a]", "line 2: natural: want a map" },
        { 2, "kinds: {copy: {}}", "line 3: kinds: 'copy' is a name that every study uses" },
        { 2, "kinds: {dev: {}}", "line 3: kinds: 'dev' is a name that every study uses" },
        { 2, "kinds: {domain-a: {}}", "line 3: kinds: 'domain-a' is a name" },
        { 2, "kinds: {../x: {}}", "line 3: kinds: '../x': want letters" },
        { 2, "kinds: {set: {import: [a.jsonl], recipe: hq}}", "line 3: kinds: set: want {}, {rec" },
        { 2, "kinds: {set: {import: []}}", "line 3: kinds: set: want {}, {recipe" },
        { 2, "kinds: {hq: {price: 3}}", "line 3: kinds: hq: price and price_per_m are of a set" },
        { 2, "kinds: {set: {import: [a.jsonl], price: -1}}", "line 3: price" },
        { 3, "generator: {}", "lacks generator" },
        { 8, "domains: {paths: [d]}\ntraining: {sweep: always}", "give natural: {hold_out" },
        { 8, "domains: {paths: [d]}\ntraining: {sweep: maybe}", "line 10: " },
        { 3, "generator: {local: a, server: b}", "local or server, not both" },
        { 3, "generator: {server: a, amateur: b}", "an amateur stands beside a local model" },
        { 8, "seeds2: 1", "line 9: unknown setting 'seeds2'" },
        { 0, "study: [", "line 3" },
    };
    for (size_t i = 0; i < N_OF(row); i++) {
        struct study_conf c;
        struct err err = { "" };
        enum st st = read_with(&c, row[i].line, row[i].text, &err);
        CHECK(st == ST_USAGE || st == ST_FORMAT, "'%s' was accepted", row[i].text);
        CHECK(strstr(err.msg, row[i].msg) != NULL, "'%s': message was '%s'", row[i].text, err.msg);
        study_conf_release(&c);
    }
}

static void make_plan(struct plan *p, struct study_conf *c)
{
    struct err err = { "" };
    *p = (struct plan){ .n_domain = 4,
                        .natural_tok = 10000000,
                        .seeds = 2,
                        .n_share = 3,
                        .n_model = 2,
                        .n_budget = 3 };
    NEED(read_with(c, 0, NULL, &err) == ST_OK, "%s", err.msg);
    memcpy(p->share, c->share, sizeof p->share);
    memcpy(p->model, c->model, sizeof p->model);
    memcpy(p->budget, c->budget, sizeof p->budget);
    plan_defaults(p, c, 400000);
    static const char *const name[] = { "hq", "shuffle", "copy" };
    p->n_source = 3;
    for (size_t i = 0; i < 3; i++) {
        p->source[i] = (struct plan_source){ .n_tok = i == 0 ? 300000 : 400000,
                                             .tok_per_s = i == 0 ? 100 : 0 };
        snprintf(p->source[i].name, sizeof p->source[i].name, "%s", name[i]);
    }
    p->rate[0] = 40000;
    p->rate[1] = 20000;
    p->width[0] = 1;
    p->width[1] = 2;
    CHECK(plan_finish(p, c, &err) == ST_OK, "%s", err.msg);
}

static void test_plan(void)
{
    struct study_conf c;
    struct plan p, back;
    struct err err = { "" };
    make_plan(&p, &c);
    /* natural, hq at two shares, aa, shuffle, copy; controls at the larger model alone; two seeds,
     * three budgets */
    CHECK(p.n_arm == 6, "%zu arms", p.n_arm);
    CHECK(p.n_trunk == 2 * (3 + 6) && p.n_run == 3 * p.n_trunk, "%llu trunks, %llu runs",
          (unsigned long long)p.n_trunk, (unsigned long long)p.n_run);
    CHECK(fabs(plan_trunk_tok(p.budget, 3) - (1e6 + 0.2 * 256e3 + 0.2 * 512e3)) < 1, "%g tokens",
          plan_trunk_tok(p.budget, 3));
    /* The pool of share .33 is a third of that of share 1, and controls repeat as often as the
     * kind. */
    CHECK(plan_pool(&p, &p.arm[1]) == 99000, "pool %llu",
          (unsigned long long)plan_pool(&p, &p.arm[1]));
    CHECK(plan_pool(&p, &p.arm[2]) == 0, "the largest share uses all, got %llu",
          (unsigned long long)plan_pool(&p, &p.arm[2]));
    CHECK(plan_pool(&p, &p.arm[4]) == 300000, "control pool %llu",
          (unsigned long long)plan_pool(&p, &p.arm[4]));
    /* Shuffled words are all of their arm, whatever the shares, and repeat as often where there are
     * enough. */
    p.share[1] = 0.15;
    p.share[2] = 0.33;
    p.source[1].n_tok = 1000000;
    CHECK(plan_finish(&p, &c, &err) == ST_OK, "%s", err.msg);
    CHECK(strcmp(p.arm[4].name, "shuffle@1") == 0 && p.arm[4].share == 1, "'%s'", p.arm[4].name);
    CHECK(plan_pool(&p, &p.arm[4]) == 909090 && plan_most(&p, &p.source[1]) == 1, "pool %llu",
          (unsigned long long)plan_pool(&p, &p.arm[4]));
    plan_release(&p);
    study_conf_release(&c);
    make_plan(&p, &c);
    p.level = 0.9; /* settings frozen with others than the defaults */
    p.lr[0] = 2e-3;
    p.lr[1] = 1.5e-3;
    snprintf(p.kernel_path, sizeof p.kernel_path, "cpu/avx2 fp32");
    p.swept[0] = (struct plan_swept){ 200000, "natural", 2e-3, 5.125 };
    p.swept[1] = (struct plan_swept){ 400000, "hq@1", 3e-3, NAN };
    p.n_swept = 2;
    CHECK(plan_finish(&p, &c, &err) == ST_OK, "%s", err.msg);
    struct js *v = plan_json(&p, &c), *again;
    NEED(plan_from_json(&back, v, &err) == ST_OK, "%s", err.msg);
    CHECK(plan_finish(&back, &c, &err) == ST_OK, "%s", err.msg);
    struct strbuf a = { 0 }, b = { 0 };
    js_write(v, &a);
    js_write(again = plan_json(&back, &c), &b);
    CHECK(strcmp(a.s, b.s) == 0, "a plan changed on its way through JSON:\n%s\n%s", a.s, b.s);
    str_release(&a);
    str_release(&b);
    js_free(v);
    js_free(again);
    plan_release(&back);
    plan_release(&p);
    study_conf_release(&c);
}

/* Everything is the plan's to choose but the kinds. */
static void choose_in_time(struct plan *p, struct study_conf *c, double tok_per_s, double left_s)
{
    struct err err;
    c->n_model = c->n_budget = c->n_share = c->seeds = 0;
    c->time_budget = left_s;
    /* in inverse proportion to the size */
    const struct plan_speeds v = { 1, { 400000 }, { tok_per_s }, { 1 } };
    plan_fit_time(p, c, left_s, &v);
    CHECK(plan_finish(p, c, &err) == ST_OK, "%s", err.msg);
}

/* Whatever the speed, the chosen study fits the time, keeps to four epochs and has 500 steps, or
 * says that it is too small. */
static void test_time_budget(void)
{
    static const double speed[] = { 3000, 10000, 30000, 100000 }, generation[] = { 20, 100, 500 },
                        left[] = { 120, 400, 3000, 30000 };
    int n_enough = 0;
    for (size_t i = 0; i < N_OF(speed) * N_OF(generation) * N_OF(left); i++) {
        struct study_conf c;
        struct plan p;
        make_plan(&p, &c);
        double v = speed[i % 4], s = left[i / 12];
        p.source[0].tok_per_s = generation[i / 4 % 3];
        choose_in_time(&p, &c, v, s);
        double need =
            p.share[p.n_share - 1] * (double)p.budget[p.n_budget - 1] / (0.97 * c.epochs_max);
        bool enough = p.budget[0] / p.batch_tokens >= PLAN_MIN_STEPS &&
                      p.train_s + need / p.source[0].tok_per_s <= 1.001 * s;
        bool warned = false;
        for (size_t k = 0; k < p.warning.n; k++)
            warned |= strstr(p.warning.s[k], "insufficient") != NULL;
        CHECK(p.n_model >= 2 && p.n_budget >= 3 && p.n_share >= 3 && p.seeds >= 2,
              "too small a grid");
        CHECK(p.budget[0] % p.batch_tokens == 0, "a budget is no whole number of steps");
        CHECK(enough || p.budget[0] / p.batch_tokens == PLAN_MIN_STEPS || warned,
              "neither fits nor smallest nor warned, row %zu", i);
        n_enough += enough;
        plan_release(&p);
        study_conf_release(&c);
    }
    CHECK(n_enough >= 20, "only %d of 48 fitted", n_enough);
}

/* What is made already bounds the budgets; the time that is left is used up to that bound. */
static void test_time_is_used(void)
{
    static const uint64_t made[] = { 33000, 500000, 50000000 };
    for (size_t i = 0; i < N_OF(made); i++) {
        struct study_conf c;
        struct plan p;
        make_plan(&p, &c);
        double left = 600;
        for (size_t k = 0; k < p.n_source; k++) {
            p.source[k].made = true;
            p.source[k].n_tok = k == 1 ? 4 * made[i] : made[i]; /* of shuffled words more */
        }
        choose_in_time(&p, &c, 30000, left);
        double n_epoch =
            p.share[p.n_share - 1] * (double)p.budget[p.n_budget - 1] / (double)made[i];
        CHECK(p.train_s <= 1.001 * left && n_epoch <= c.epochs_max, "%g s, %g epochs", p.train_s,
              n_epoch);
        CHECK(p.train_s > 0.9 * left || n_epoch > 0.9 * c.epochs_max,
              "%g s of %g are used, %g epochs of %g", p.train_s, left, n_epoch, c.epochs_max);
        plan_release(&p);
        study_conf_release(&c);
    }
}

static void argv_of(struct strlist *argv, const char *script)
{
    strlist_add(argv, "/bin/sh");
    strlist_add(argv, "-c");
    strlist_add(argv, script);
}

static void test_child(void)
{
    struct strlist argv = { 0 };
    struct js *row;
    struct err err = { "" };
    argv_of(&argv, "echo noise; echo '{\"a\": 3}'");
    NEED(child_json(&argv, &row, &err) == ST_OK, "%s", err.msg);
    CHECK(js_get_whole(row, "a", 0) == 3, "lost the row");
    js_free(row);
    strlist_release(&argv);
    argv_of(&argv, "exit 3");
    CHECK(child_run(&argv, NULL, &err) == ST_IO && strstr(err.msg, "failed"), "%s", err.msg);
    strlist_release(&argv);
    argv_of(&argv, "kill -SEGV $$");
    CHECK(child_run(&argv, NULL, &err) == ST_IO && strstr(err.msg, "signal"), "%s", err.msg);
    strlist_release(&argv);
    strlist_add(&argv, "/nothing/there");
    CHECK(child_run(&argv, NULL, &err) == ST_IO && strstr(err.msg, "could not be started"), "%s",
          err.msg);
    strlist_release(&argv);
}

/* Jobs run side by side; one that fails tells why and does not stop the others. */
static void test_child_run_all(void)
{
    struct child_job job[5] = { 0 };
    struct err err = { "" };
    char *log = path_join(check_dir(), "job.log");
    for (size_t i = 0; i < N_OF(job); i++) {
        argv_of(&job[i].argv, i == 1 ? "echo it broke >&2; exit 1" : "sleep 0.2");
        job[i].log = log;
        job[i].n_threads = 1;
    }
    CHECK(child_run_all(job, N_OF(job), 3, NULL, NULL, &err) == ST_OK, "%s", err.msg);
    for (size_t i = 0; i < N_OF(job); i++) {
        CHECK(job[i].done == (i != 1) && job[i].failed == (i == 1), "job %zu", i);
        strlist_release(&job[i].argv);
    }
    CHECK(strcmp(job[1].why, "it broke") == 0, "why was '%s'", job[1].why);
    free(log);
}

/* No more threads at work than there are; the last jobs get what would be idle; one that is too
 * wide runs alone. */
static void test_child_threads(void)
{
    static const int width[] = { 8, 2, 2, 1, 1, 1 };
    struct child_job job[N_OF(width)] = { 0 };
    struct err err = { "" };
    char *at_work = path_join(check_dir(), "at-work"), *script;
    char *log = path_join(check_dir(), "threads.log");
    struct strbuf said = { 0 };
    NEED(dir_make(at_work, &err) == ST_OK, "%s", err.msg);
    /* Each says its threads, and how many of them are at work with it: a file a thread. */
    script = xasprintf("for i in $(seq $1); do : >%s/$$-$i; done; n=$(ls %s | wc -l); sleep 0.1; "
                       "rm %s/$$-*; echo $1 $n",
                       at_work, at_work, at_work);
    for (size_t i = 0; i < N_OF(job); i++) {
        argv_of(&job[i].argv, script);
        job[i].n_threads = width[i];
        job[i].log = log;
    }
    CHECK(child_run_all(job, N_OF(job), 4, NULL, NULL, &err) == ST_OK, "%s", err.msg);
    NEED(file_read(log, 1 << 16, &said, &err) == ST_OK, "%s", err.msg);
    int n_line = 0, threads, together, at = 0;
    for (const char *s = said.s; sscanf(s, "%d %d\n%n", &threads, &together, &at) == 2; s += at) {
        CHECK(together <= (threads == 8 ? 8 : 4), "%d threads at work", together);
        n_line++;
    }
    CHECK(n_line == (int)N_OF(job), "%d of %zu jobs spoke: %s", n_line, N_OF(job), said.s);
    for (size_t i = 0; i < N_OF(job); i++) {
        CHECK(job[i].done && job[i].n_threads >= width[i], "job %zu had %d threads", i,
              job[i].n_threads);
        strlist_release(&job[i].argv);
    }
    /* Three jobs on eight threads: what is left is shared. */
    struct child_job few[3] = { 0 };
    for (size_t i = 0; i < 3; i++) {
        argv_of(&few[i].argv, "true");
        few[i].n_threads = 1;
        few[i].log = log;
    }
    CHECK(child_run_all(few, 3, 8, NULL, NULL, &err) == ST_OK, "%s", err.msg);
    CHECK(few[0].n_threads == 2 && few[1].n_threads == 3 && few[2].n_threads == 3,
          "%d, %d and %d threads", few[0].n_threads, few[1].n_threads, few[2].n_threads);
    for (size_t i = 0; i < 3; i++)
        strlist_release(&few[i].argv);
    str_release(&said);
    free(script);
    free(at_work);
    free(log);
}

/* Packing by what a program says of its memory and, by threads, of its speed: a stand-in for `train
 * --pilot`. */
static void test_packing(void)
{
    static const char script[] =
        "#!/bin/sh\n"
        "for a; do [ \"$last\" = --threads ] && n=$a; [ \"$a\" = --dry-run ] && dry=1; last=$a; "
        "done\n"
        "if [ \"$dry\" ]; then echo \"{\\\"memory_bytes\\\":{\\\"all\\\":$PILOT_MEMORY}}\"; exit; "
        "fi\n"
        "set -- $PILOT_SPEED; eval speed=\\$$n\n"
        "echo \"{\\\"tok_per_s\\\":$speed,\\\"backend\\\":\\\"cpu/of $n\\\"}\"\n";
    static const struct {
        uint64_t threads, n_param;
        double memory; /* of one run, of the machine's */
        const char *speed;
        uint64_t width;
        double tok_per_s;
    } row[] = {
        { 4, 200000, 0.01, "100 150 0 900", 1, 400 }, /* small: not compared */
        { 4, 2000000, 0.01, "100 250 0 400", 2, 500 },
        { 4, 2000000, 0.01, "100 150 0 300", 1, 400 },
        { 4, 2000000, 0.01, "100 250 0 600", 4, 600 },
        { 4, 200000, 0.35, "100 150 0 300", 2, 300 }, /* four do not fit */
        { 4, 200000, 0.90, "100 150 0 300", 4, 300 },
        { 3, 2000000, 0.01, "100 0 350", 3, 350 },
        { 1, 2000000, 0.01, "100", 1, 100 },
    };
    struct err err = { "" };
    char *self = path_join(check_dir(), "pilot.sh"), *dir = path_join(check_dir(), "packing");
    FILE *f = fopen(self, "w");
    NEED(f && fputs(script, f) >= 0 && fclose(f) == 0 && chmod(self, 0700) == 0, "no script");
    for (size_t i = 0; i < N_OF(row); i++) {
        struct study s = { .dir = dir,
                           .where = { .self = self, .backend = "cpu", .threads = row[i].threads },
                           .plan = { .n_model = 1, .model = { row[i].n_param }, .width = { 1 } } };
        char memory[32], path[32];
        double tok_per_s = 0;
        uint64_t width = 0;
        s.conf.precision = "auto";
        snprintf(memory, sizeof memory, "%.0f", row[i].memory * mem_limit());
        setenv("PILOT_MEMORY", memory, 1);
        setenv("PILOT_SPEED", row[i].speed, 1);
        NEED(stage_train_pilot(&s, row[i].n_param, &tok_per_s, &width, &err) == ST_OK, "%s",
             err.msg);
        CHECK(width == row[i].width && fabs(tok_per_s - row[i].tok_per_s) < 1e-9,
              "row %zu: %llu threads, %g tokens/s", i, (unsigned long long)width, tok_per_s);
        snprintf(path, sizeof path, "cpu/of %llu", (unsigned long long)row[i].width);
        CHECK(strcmp(s.plan.kernel_path, path) == 0, "row %zu: '%s'", i, s.plan.kernel_path);
        /* A size that the pilot did not measure: widened for want of memory alone. */
        CHECK(stage_fit_memory(&s, &err) == ST_OK, "%s", err.msg);
        uint64_t want = row[i].memory > 0.8 ? 4 : row[i].memory > 0.2 ? 2 : 1;
        CHECK(s.plan.width[0] == want, "row %zu: widened to %llu", i,
              (unsigned long long)s.plan.width[0]);
        arena_release(&s.arena);
    }
    free(self);
    free(dir);
}

/* Losses that are a parabola in log rate: its lowest point is found from any grid that brackets it.
 */
static void test_sweep(void)
{
    for (int off = 0; off < 5; off++) {
        double loss[4], best = 0, want = 0.003;
        double lr0 =
            want * exp2(-1.9 + 0.2 * off); /* the lowest lies between the second and third */
        for (int i = 0; i < 4; i++)
            loss[i] = 6 + 0.02 * pow(log2(lr0 * exp2(i) / want), 2);
        CHECK(sweep_best(lr0, loss, 4, &best) == 0, "grid %d does not bracket", off);
        CHECK(fabs(best / want - 1) < 0.02, "best %g, want %g", best, want);
    }
    double best;
    CHECK(sweep_best(1e-3, (double[]){ 5, 6, 7 }, 3, &best) == -1,
          "the first is best: want a smaller rate");
    CHECK(sweep_best(1e-3, (double[]){ 7, 6, 5 }, 3, &best) == 1,
          "the last is best: want a larger rate");
    CHECK(sweep_best(1e-3, (double[]){ NAN, NAN, NAN }, 3, &best) == -1,
          "all diverged: want a smaller rate");
    CHECK(sweep_best(1e-3, (double[]){ 6, 5, NAN }, 3, &best) == 0 && best == 2e-3,
          "beside a diverged run the grid's own best, got %g", best);
    struct plan p = { .n_model = 1,
                      .model = { 400000 },
                      .lr = { 8e-3 },
                      .n_swept = 2,
                      .n_share = 1,
                      .n_budget = 1,
                      .seeds = 2,
                      .swept = { { 400000, "natural", 4e-3, 6 }, { 400000, "natural", 8e-3, 5 } } };
    p.rate[0] = p.budget[0] = p.batch_tokens = 1;
    struct study_conf c = { .epochs_max = 4 };
    struct err err;
    CHECK(plan_finish(&p, &c, &err) == ST_OK &&
              strstr(p.warning.s[p.warning.n - 1], "last one tried"),
          "no warning of a rate at the end of the sweep");
    plan_release(&p);
    CHECK(sweep_between(1e5, 4e-3, 4e5, 1e-3, 2e5) == 2e-3, "between: %g",
          sweep_between(1e5, 4e-3, 4e5, 1e-3, 2e5));
    CHECK(sweep_between(1e5, 4e-3, 1e5, 4e-3, 1e5) == 4e-3, "one size");
}

int main(int argc, char **argv)
{
    static const struct check_test test[] = {
        TEST(test_conf_from_anywhere),
        TEST(test_conf_errors),
        TEST(test_plan),
        TEST(test_time_budget),
        TEST(test_time_is_used),
        TEST(test_sweep),
        TEST(test_child),
        TEST(test_child_run_all),
        TEST(test_child_threads),
        TEST(test_packing),
    };
    return check_main(test, N_OF(test), argc, argv);
}
