/* tests/train/runs.c - whole runs: results, threads, branches, killing and going on, bad input. */
#include "train_tests.h"

#include <errno.h>
#include <math.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "base/rng.h"
#include "check.h"
#include "run/folder.h"
#include "run/metrics.h"

static bool there(const char *dir, const char *name)
{
    char *path = path_join(dir, name);
    bool yes = file_exists(path);
    free(path);
    return yes;
}

void same_result(const char *dir, const char *want_dir)
{
    char *got = result_of(dir), *want = result_of(want_dir);
    CHECK(got && want && strcmp(got, want) == 0, "%s:\n%s\nwant %s:\n%s", dir, got, want_dir, want);
    free(got);
    free(want);
}

void same_file(const char *dir, const char *want_dir, const char *name)
{
    struct strbuf a = { 0 }, b = { 0 };
    struct err err = { "" };
    char *p = path_join(dir, name), *q = path_join(want_dir, name);
    CHECK(file_read(p, 1 << 30, &a, &err) == ST_OK && file_read(q, 1 << 30, &b, &err) == ST_OK,
          "%s", err.msg);
    CHECK(a.n == b.n && a.n && memcmp(a.s, b.s, a.n) == 0, "%s and %s differ", p, q);
    str_release(&a);
    str_release(&b);
    free(p);
    free(q);
}

/* The losses of two folders' metrics are the same, step for step. */
static void same_metrics(const char *dir, const char *want_dir)
{
    struct run_metric *a, *b;
    size_t n_a, n_b;
    struct err err = { "" };
    NEED(run_metrics_read(dir, &a, &n_a, &err) == ST_OK, "%s", err.msg);
    NEED(run_metrics_read(want_dir, &b, &n_b, &err) == ST_OK, "%s", err.msg);
    CHECK(n_a == n_b && n_a > 0, "%zu lines, want %zu", n_a, n_b);
    for (size_t i = 0; i < n_a && i < n_b; i++)
        CHECK(a[i].step == b[i].step && a[i].loss == b[i].loss && a[i].lr == b[i].lr &&
                  a[i].grad_norm == b[i].grad_norm,
              "%s line %zu: step %llu loss %.17g, want %llu %.17g", dir, i,
              (unsigned long long)a[i].step, a[i].loss, (unsigned long long)b[i].step, b[i].loss);
    free(a);
    free(b);
}

/* The run that others are compared with, made once. */
static const char *reference(void)
{
    const char *dir = in_world("reference");
    if (!there(dir, "result.json")) {
        struct asked a = ask(dir);
        struct err err = { "" };
        a.conf.run_id = "r";
        CHECK(run_here(&a, &err) == ST_OK, "%s", err.msg);
        asked_release(&a);
    }
    return dir;
}

void test_run(void)
{
    if (!world())
        return;
    const char *dir = reference();
    struct arena mem = { 0 };
    struct run_entry e;
    run_look(&e, dir, &mem);
    NEED(e.state == RUN_FINISHED, "%s", e.why ? e.why : "unfinished");
    const struct run_record *r = &e.rec;
    CHECK(r->n_step == 100 && r->n_tok == 12800 && r->batch_tokens == 128 && r->seq_len == 32,
          "size");
    CHECK(fabs(r->frac_synth - 0.33) < 1e-12 && strcmp(r->kind, "hq") == 0 &&
              strcmp(r->arm, "hq@0.33") == 0,
          "arm %s", r->arm);
    CHECK(r->n_param > r->n_param_nonemb && r->n_param_nonemb > 10000 && r->vocab_size > 257 &&
              r->vocab_size <= 320,
          "%llu parameters, %llu tokens", (unsigned long long)r->n_param,
          (unsigned long long)r->vocab_size);
    CHECK(r->loss_train < 4 && r->loss < log(320) && r->bpb > 0, "it must learn: %g %g",
          r->loss_train, r->loss);
    CHECK(r->n_domain == 2 && strcmp(r->domain[0].name, "books") == 0 &&
              fabs(r->loss - (r->domain[0].loss + r->domain[1].loss) / 2) < 1e-12,
          "the unweighted mean");
    CHECK(r->domain[0].loss < r->domain[1].loss, "text like the training text is easier");
    CHECK(r->n_tok_unique_natural + r->n_tok_unique_synth == 12800 && r->n_epoch_natural > 0 &&
              r->n_epoch_natural < 1,
          "%llu unique", (unsigned long long)r->n_tok_unique_natural);
    static const char *const file[] = { "run.json",
                                        "metrics.jsonl",
                                        "events.out.tfevents.mixlaw",
                                        "checkpoint/config.json",
                                        "checkpoint/model.safetensors",
                                        "checkpoint/tokenizer.json" };
    for (size_t i = 0; i < N_OF(file); i++)
        CHECK(there(dir, file[i]), "no %s", file[i]);
    CHECK(!there(dir, "state"), "states must go when the result stands");
    arena_release(&mem);
}

void test_up_to_date(void)
{
    if (!world())
        return;
    const char *dir = reference();
    char *path = path_join(dir, "result.json");
    struct stat first, again;
    struct asked a = ask(dir);
    struct err err = { "" };
    a.conf.run_id = "r";
    NEED(stat(path, &first) == 0, "no result");
    CHECK(run_here(&a, &err) == ST_OK, "%s", err.msg);
    NEED(stat(path, &again) == 0, "no result");
    CHECK(first.st_ino == again.st_ino, "it was written again");
    a.conf.lr = 0.02;
    CHECK(run_here(&a, &err) == ST_USAGE && strstr(err.msg, "other settings"), "got '%s'", err.msg);
    asked_release(&a);
    free(path);
}

void test_threads(void)
{
    if (!world())
        return;
    const char *dir = in_world("threads");
    struct asked a = ask(dir);
    struct err err = { "" };
    a.conf.run_id = "r";
    a.env.n_threads = 3;
    NEED(run_here(&a, &err) == ST_OK, "%s", err.msg);
    same_result(dir, reference());
    same_metrics(dir, reference());
    same_file(dir, reference(), "checkpoint/model.safetensors");
    asked_release(&a);
}

/* Each of three branches ends exactly as a run of its own with the same rate would. */
void test_branches(void)
{
    if (!world())
        return;
    static const char *const tokens[] = { "5120", "8960", "12800" };
    const char *dir = in_world("trunk-run");
    struct asked a = ask(dir);
    struct err err = { "" };
    a.conf.schedule = "wsd";
    a.conf.warmup = 5;
    ask_tokens(&a, tokens[1], tokens[0], tokens[2]); /* any order */
    NEED(run_here(&a, &err) == ST_OK, "%s", err.msg);
    CHECK(!there(dir, "trunk"), "the trunk's files must go");
    for (size_t i = 0; i < N_OF(tokens); i++) {
        struct arena mem = { 0 };
        struct run_entry branch, alone;
        char *name = xasprintf("alone-%s", tokens[i]), *sub = path_join(dir, tokens[i]);
        struct asked one = ask(in_world(name));
        one.conf.schedule = "wsd";
        one.conf.warmup = 5;
        ask_tokens(&one, tokens[i], NULL, NULL);
        NEED(run_here(&one, &err) == ST_OK, "%s", err.msg);
        run_look(&branch, sub, &mem);
        run_look(&alone, in_world(name), &mem);
        NEED(branch.state == RUN_FINISHED && alone.state == RUN_FINISHED, "unfinished");
        CHECK(branch.rec.loss == alone.rec.loss && branch.rec.loss_train == alone.rec.loss_train &&
                  branch.rec.bpb == alone.rec.bpb && branch.rec.n_tok == alone.rec.n_tok,
              "%s tokens: %.17g, alone %.17g", tokens[i], branch.rec.loss, alone.rec.loss);
        same_metrics(sub, in_world(name));
        same_file(sub, in_world(name), "checkpoint/model.safetensors");
        char *id = xasprintf("trunk-run/%s", tokens[i]);
        CHECK(strcmp(branch.rec.run_id, id) == 0, "got %s", branch.rec.run_id);
        free(id);
        asked_release(&one);
        free(name);
        free(sub);
        arena_release(&mem);
    }
    CHECK(run_here(&a, &err) == ST_OK, "again: %s", err.msg);
    CHECK(!there(dir, "trunk"), "nothing to do the second time");
    asked_release(&a);
}

/* Killed at ten random moments, saving at every step, a trunk with branches ends as if never
 * stopped. */
void test_resume(void)
{
    if (!world())
        return;
    struct rng rng;
    struct asked a = ask(in_world("whole"));
    a.conf.schedule = "wsd";
    a.conf.warmup = 5;
    a.conf.run_id = "t";
    ask_tokens(&a, "5120", "8960", "12800");
    double cpu = children_cpu_s();
    NEED(run_child(&a, 0) == 0, "the unbroken run failed");
    double took = children_cpu_s() - cpu;
    a.conf.checkpoint_every = 0; /* a state at every step: more moments to be killed in */
    a.conf.out = in_world("killed");
    rng_init(&rng, 1, "test/kill", 0);
    int n_killed = 0;
    for (int i = 0; i < 10; i++)
        n_killed += run_child(&a, 0.01 + rng_uniform(&rng) * took / 5) == ST_END;
    CHECK(n_killed >= 1, "%d of 10 were killed at work", n_killed);
    NEED(run_child(&a, 0) == 0, "the last go failed");
    static const char *const tokens[] = { "5120", "8960", "12800" };
    for (size_t i = 0; i < N_OF(tokens); i++) {
        char *got = path_join(in_world("killed"), tokens[i]);
        char *want = path_join(in_world("whole"), tokens[i]);
        same_result(got, want);
        same_metrics(got, want);
        same_file(got, want, "checkpoint/model.safetensors");
        free(got);
        free(want);
    }
    asked_release(&a);
}

static char *newest(const char *dir, const char *suffix)
{
    struct strlist names = { 0 };
    struct err err = { "" };
    char *path = NULL;
    CHECK(dir_list(dir, &names, &err) == ST_OK, "%s", err.msg);
    for (size_t i = 0; i < names.n; i++)
        if (str_ends(names.s[i], suffix)) {
            free(path);
            path = path_join(dir, names.s[i]);
        }
    strlist_release(&names);
    return path;
}

/* Starts a run and stops it, so that it leaves two states behind. */
static bool leave_states(struct asked *a)
{
    char *dir = path_join(a->conf.out, "state");
    a->conf.checkpoint_every = 0;
    for (int i = 0; i < 50; i++) {
        struct strlist names = { 0 };
        struct err err;
        int got = run_child(a, 0.02 + 0.01 * i);
        size_t n = file_is_dir(dir) && dir_list(dir, &names, &err) == ST_OK ? names.n : 0;
        strlist_release(&names);
        if (got == 0)
            break;
        if (n >= 4) {
            free(dir);
            return true;
        }
    }
    CHECK(false, "the run was over before it could be stopped");
    free(dir);
    return false;
}

void test_torn_state(void)
{
    if (!world())
        return;
    const char *dir = in_world("torn");
    struct asked a = ask(dir);
    struct err err = { "" };
    a.conf.run_id = "r";
    if (leave_states(&a)) {
        char *states = path_join(dir, "state"), *bin = newest(states, ".bin");
        NEED(bin, "no state");
        CHECK(truncate(bin, 1000) == 0, "%s", strerror(errno));
        CHECK(run_here(&a, &err) == ST_OK, "%s", err.msg);
        same_result(dir, reference());
        same_file(dir, reference(), "checkpoint/model.safetensors");
        free(bin);
        free(states);
    }
    asked_release(&a);
}

/* A signal: the state is saved, the status says so, and the same call goes on. */
void test_interrupted(void)
{
    if (!world())
        return;
    const char *dir = in_world("interrupted");
    struct asked a = ask(dir);
    struct err err = { "" };
    a.conf.run_id = "r";
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        stop_on_signals();
        raise(SIGTERM); /* asked before the first step: it ends after it */
        _exit(-run_here(&a, &err));
    }
    int status = 0;
    waitpid(pid, &status, 0);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == -ST_INTERRUPTED, "got %d", status);
    CHECK(there(dir, "state/state-000000000001.bin") && !there(dir, "result.json"), "no state");
    CHECK(run_here(&a, &err) == ST_OK, "%s", err.msg);
    same_result(dir, reference());
    asked_release(&a);
}

static void check_trunk(const char *optimizer, uint64_t mup)
{
    char *own_name = xasprintf("own-%s", optimizer), *trunk_name = xasprintf("trunk-%s", optimizer);
    const char *own_dir = in_world(own_name), *trunk_dir = in_world(trunk_name);
    struct asked own = ask(own_dir), trunk = ask(trunk_dir);
    struct asked *both[] = { &own, &trunk };
    struct err err = { "" };
    for (size_t i = 0; i < N_OF(both); i++) {
        struct train_conf *c = &both[i]->conf;
        c->run_id = "r";
        c->schedule = "wsd";
        c->warmup = 5;
        c->optimizer = optimizer;
        c->mup = mup;
        c->z_loss = 1e-3;
        c->ema = 0.9;
        c->document_mask = true;
    }
    ask_tokens(&own, "12800", NULL, NULL);
    ask_tokens(&trunk, "5120", "12800", NULL);
    trunk.conf.checkpoint_every = 0;
    CHECK(run_here(&own, &err) == ST_OK, "%s", err.msg);
    (void)run_child(&trunk, 0.15);
    CHECK(run_here(&trunk, &err) == ST_OK, "%s", err.msg);
    char *last = path_join(trunk_dir, "12800");
    same_file(last, own_dir, "checkpoint/model.safetensors");
    /* The mask goes with the checkpoint, so that scoring it elsewhere is the same. */
    struct strbuf conf = { 0 };
    char *path = path_join(last, "checkpoint/config.json");
    CHECK(file_read(path, 1 << 20, &conf, &err) == ST_OK && strstr(conf.s, "document_end_mask"),
          "config.json: %s", conf.s);
    str_release(&conf);
    free(path);
    free(last);
    asked_release(&own);
    asked_release(&trunk);
    free(own_name);
    free(trunk_name);
}

/* All that one may ask of the optimizer and the attention: each changes the run, and a trunk with
 * branches, stopped and gone on, ends as runs of their own do. */
void test_options(void)
{
    static const struct {
        const char *name, *optimizer, *schedule;
        double z_loss, ema;
        bool document_mask;
        uint64_t mup;
    } row[] = {
        { "muon", "muon", "cosine", 0, 0, false, 0 },
        { "linear", "adamw", "linear", 0, 0, false, 0 },
        { "z", "adamw", "cosine", 1e-2, 0, false, 0 },
        { "ema", "adamw", "cosine", 0, 0.95, false, 0 },
        { "mask", "adamw", "cosine", 0, 0, true, 0 },
        { "mup", "adamw", "cosine", 0, 0, false, 8 },
        { "all", "muon", "linear", 1e-3, 0.9, true, 0 },
    };
    if (!world())
        return;
    char *plain = result_of(reference());
    for (size_t i = 0; i < N_OF(row); i++) {
        char *name = xasprintf("options-%s", row[i].name);
        const char *dir = in_world(name);
        struct asked a = ask(dir);
        struct err err = { "" };
        struct arena mem = { 0 };
        struct run_entry e;
        a.conf.run_id = "r";
        a.conf.optimizer = row[i].optimizer;
        a.conf.schedule = row[i].schedule;
        a.conf.z_loss = row[i].z_loss;
        a.conf.ema = row[i].ema;
        a.conf.document_mask = row[i].document_mask;
        a.conf.mup = row[i].mup;
        NEED(run_here(&a, &err) == ST_OK, "%s: %s", name, err.msg);
        char *got = result_of(dir);
        CHECK(strcmp(got, plain) != 0, "%s changes nothing", name);
        run_look(&e, dir, &mem);
        CHECK(e.state == RUN_FINISHED && e.rec.loss < log(320) && e.rec.loss_train < 4.5,
              "%s: it must learn: %g %g", name, e.rec.loss_train, e.rec.loss);
        arena_release(&mem);
        asked_release(&a);
        free(got);
        free(name);
    }
    free(plain);
    check_trunk("muon", 0);
    check_trunk("adamw", 8);
}

/* Finite weights that give NaN: all floats after the header of the reference's safetensors. */
static bool spoiled_weights(const char *dir)
{
    struct strbuf b = { 0 };
    struct err err = { "" };
    char *from = path_join(reference(), "checkpoint/model.safetensors");
    char *conf = path_join(reference(), "checkpoint/config.json");
    char *to = path_join(dir, "model.safetensors"), *to_conf = path_join(dir, "config.json");
    bool done = dir_make(dir, &err) == ST_OK && file_read(from, 1 << 30, &b, &err) == ST_OK;
    if (done) {
        uint64_t head;
        memcpy(&head, b.s, sizeof head);
        for (size_t i = 8 + (size_t)head; i + 4 <= b.n; i += 4) { /* products of them overflow */
            static const float large = 1e18f;
            memcpy(b.s + i, &large, 4);
        }
        done = file_write(to, b.s, b.n, &err) == ST_OK;
        str_clear(&b);
        done = done && file_read(conf, 1 << 20, &b, &err) == ST_OK &&
               file_write(to_conf, b.s, b.n, &err) == ST_OK;
    }
    CHECK(done, "%s", err.msg);
    str_release(&b);
    free(from);
    free(conf);
    free(to);
    free(to_conf);
    return done;
}

void test_diverged(void)
{
    if (!world() || !spoiled_weights(in_world("spoiled")))
        return;
    struct asked a = ask(in_world("diverged"));
    struct err err = { "" };
    struct arena mem = { 0 };
    struct run_entry e;
    a.conf.shape = NULL;
    a.conf.init = in_world("spoiled");
    a.conf.schedule = "wsd";
    a.conf.warmup = 5;
    ask_tokens(&a, "5120", "12800", NULL);
    NEED(run_here(&a, &err) == ST_OK, "a result, not an error: %s", err.msg);
    static const char *const tokens[] = { "5120", "12800" };
    for (size_t i = 0; i < N_OF(tokens); i++) {
        char *dir = path_join(in_world("diverged"), tokens[i]);
        run_look(&e, dir, &mem);
        CHECK(e.state == RUN_FINISHED && e.rec.diverged && isnan(e.rec.loss) &&
                  isnan(e.rec.loss_train) && e.rec.n_domain == 2,
              "%s: %s", tokens[i], e.why ? e.why : "not recorded as diverged");
        CHECK(!there(dir, "checkpoint"), "no weights of a diverged run");
        free(dir);
    }
    asked_release(&a);
    arena_release(&mem);
}

/* A disk that fills up while a state is saved: by a small tmpfs as root, by a limit on file sizes
 * else. */
void test_full_disk(void)
{
    if (!world())
        return;
    const char *dir = in_world("small"), *out = in_world("small/run");
    struct err err = { "" };
    NEED(dir_make(dir, &err) == ST_OK, "%s", err.msg);
    bool mounted = geteuid() == 0 && mount("tmpfs", dir, "tmpfs", 0, "size=512k") == 0;
    struct asked a = ask(out);
    a.conf.run_id = "r";
    a.conf.checkpoint_every = 0;
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        struct rlimit small = { 64 * 1024, 64 * 1024 };
        if (!mounted) {
            signal(SIGXFSZ, SIG_IGN);
            setrlimit(RLIMIT_FSIZE, &small);
        }
        enum st st = run_here(&a, &err);
        bool clear = st == ST_IO && strstr(err.msg, "saving the state of step") &&
                     strstr(err.msg, mounted ? "No space" : "too large");
        if (!clear)
            fprintf(stderr, "got %d '%s'\n", (int)st, err.msg);
        _exit(clear ? 0 : 1);
    }
    int status = 0;
    waitpid(pid, &status, 0);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0, "the message must name the disk");
    CHECK(!there(out, "result.json"), "no result yet");
    if (mounted)
        CHECK(mount("tmpfs", dir, "tmpfs", MS_REMOUNT, "size=64m") == 0, "%s", strerror(errno));
    CHECK(run_here(&a, &err) == ST_OK, "goes on after space is made: %s", err.msg);
    same_result(out, reference());
    if (mounted)
        CHECK(umount(dir) == 0, "%s", strerror(errno));
    asked_release(&a);
}

void test_lock(void)
{
    if (!world())
        return;
    const char *dir = in_world("locked");
    struct asked a = ask(dir);
    struct err err = { "" };
    struct lock l;
    char *path = path_join(dir, ".lock");
    NEED(dir_make(dir, &err) == ST_OK && lock_take(&l, path, &err) == ST_OK, "%s", err.msg);
    CHECK(run_here(&a, &err) == ST_IO && strstr(err.msg, "another mixlaw"), "got '%s'", err.msg);
    CHECK(!there(dir, "run.json"), "the second one must touch nothing");
    lock_drop(&l);
    asked_release(&a);
    free(path);
}

static void refused(struct asked *a, enum st want, const char *words)
{
    struct err err = { "" };
    struct train_plan *p = NULL;
    enum st st = train_plan_open(&p, &a->conf, &a->env, &err);
    CHECK(st == want && strstr(err.msg, words), "want '%s', got %d '%s'", words, (int)st, err.msg);
    train_plan_close(p);
    asked_release(a);
}

static struct asked ask_data(const char *one, const char *two)
{
    struct asked a = ask(in_world("bad"));
    a.conf.data.n = 0;
    textlist_add(&a.conf.data, one);
    if (two)
        textlist_add(&a.conf.data, two);
    return a;
}

void test_bad_input(void)
{
    if (!world())
        return;
    static const struct {
        const char *data;
        const char *words;
    } row[] = { { "natural", "want SOURCE=PREFIX@SHARE" },
                { "=x@1", "want SOURCE=PREFIX@SHARE" },
                { "natural=x@1.3", "share '1.3' is no number from 0 to 1" },
                { "natural=x@nan", "no number from 0 to 1" },
                { "natural=x@1:many", "MAXTOK" },
                { "natural=x@0.5", "shares sum to 0.5, want 1" } };
    for (size_t i = 0; i < N_OF(row); i++) {
        struct asked a = ask_data(row[i].data, NULL);
        refused(&a, ST_USAGE, row[i].words);
    }
    struct asked a = ask_data("natural=/nowhere/x@1", NULL);
    refused(&a, ST_IO, "/nowhere/x");
    char *natural = xasprintf("natural=%s@0.5", in_world("natural"));
    char *other = xasprintf("hq=%s@0.5", in_world("other"));
    a = ask_data(natural, other);
    a.conf.tokenizer = NULL;
    a.conf.eval.n = 0;
    refused(&a, ST_USAGE, "vocabulary of");
    a = ask_data(natural, natural);
    refused(&a, ST_USAGE, "two sources are called 'natural'");
    a = ask(in_world("bad"));
    ask_tokens(&a, "100", NULL, NULL);
    refused(&a, ST_USAGE, "less than one batch of 128");
    a = ask(in_world("bad"));
    a.conf.batch_tokens = 100;
    refused(&a, ST_USAGE, "no multiple of --seq-len 32");
    a = ask(in_world("bad"));
    ask_tokens(&a, "1280", "12800", NULL);
    refused(&a, ST_USAGE, "--schedule wsd");
    a = ask(in_world("bad"));
    a.conf.params = 100000;
    refused(&a, ST_USAGE, "one of --params, --shape and --init");
    a = ask(in_world("bad"));
    a.conf.tokenizer = NULL;
    refused(&a, ST_USAGE, "--eval wants --tokenizer");
    a = ask(in_world("bad"));
    textlist_add(&a.conf.eval, "books");
    refused(&a, ST_USAGE, "want NAME=PREFIX");
    free(natural);
    free(other);
}

/* Ours against an independent decoder in Python: the same scalars, checksums right. */
void test_metrics_and_events(void)
{
    if (!world())
        return;
    if (system("python3 -c '' 2>/dev/null") != 0)
        SKIP("no python3 to decode the event file with");
    char *out = xstrdup(in_world("events.jsonl"));
    char *cmd = xasprintf("python3 tests/run/events.py '%s/events.out.tfevents.mixlaw' > '%s'",
                          reference(), out);
    CHECK(system(cmd) == 0, "the event file cannot be decoded");
    struct strbuf text = { 0 };
    struct err err = { "" };
    struct run_metric *m;
    size_t n, n_loss = 0, n_eval = 0;
    NEED(file_read(out, 1 << 24, &text, &err) == ST_OK, "%s", err.msg);
    NEED(run_metrics_read(reference(), &m, &n, &err) == ST_OK && n == 10, "%zu lines", n);
    for (char *p = text.s, *end; (end = strchr(p, '\n')) != NULL; p = end + 1) {
        struct js *v;
        NEED(js_parse(&v, p, (size_t)(end - p), &err) == ST_OK, "%s", err.msg);
        const char *tag = js_get_text(v, "tag", "");
        if (strcmp(tag, "train/loss") == 0 && n_loss < n) {
            CHECK(js_get_whole(v, "step", 0) == (int64_t)m[n_loss].step &&
                      js_get_real(v, "value", 0) == (double)(float)m[n_loss].loss,
                  "line %zu", n_loss);
            n_loss++;
        }
        n_eval += str_starts(tag, "eval/");
        js_free(v);
    }
    CHECK(n_loss == n && n_eval == 5, "%zu losses, %zu scores", n_loss, n_eval);
    free(m);
    str_release(&text);
    free(cmd);
    free(out);
}
