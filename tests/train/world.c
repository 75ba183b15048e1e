/* tests/train/world.c - see train_tests.h. */
#include "train_tests.h"

#include <math.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "check.h"
#include "data/shard.h"

const char *in_world(const char *name)
{
    static struct strlist kept; /* paths are compared and kept by settings until the end */
    char *path = path_join(check_dir(), name);
    strlist_add(&kept, path);
    free(path);
    return kept.s[kept.n - 1];
}

static char *text_of(const char *kind, int i)
{
    struct strbuf b = { 0 };
    for (int k = 0; k < 10 + i % 7; k++)
        str_printf(&b, "%s line %d of page %d says %d. ", kind, k, i,
                   (i * 7919 + k * 104729) % 1000);
    return str_detach(&b);
}

static struct tok *train_tok(int n_texts, int vocab_size)
{
    struct tok_trainer *tr = tok_trainer_new();
    struct tok *tok = NULL;
    struct err err = { "" };
    for (int i = 0; i < n_texts; i++) {
        char *t = text_of(i % 2 ? "plain" : "rephrased", i);
        tok_trainer_add(tr, t, strlen(t));
        free(t);
    }
    CHECK(tok_trainer_finish(tr, vocab_size, &tok, &err) == ST_OK, "%s", err.msg);
    tok_trainer_free(tr);
    return tok;
}

static bool write_tokens(const char *name, const struct tok *tok, const char *kind, int from,
                         int to)
{
    struct shard_writer *w;
    struct err err = { "" };
    char hex[DIGEST_HEX];
    struct js *extra = js_object();
    js_put_text(extra, "tokenizer", digest_hex(tok_digest(tok), hex));
    enum st st = shard_writer_open(&w, in_world(name), tok_vocab_size(tok), &err);
    if (st == ST_OK)
        shard_writer_eod(w, tok_eod(tok));
    for (int i = from; i < to && st == ST_OK; i++) {
        char *t = text_of(kind, i);
        size_t n_bytes = strlen(t);
        uint32_t *id = NEW_ARRAY(uint32_t, n_bytes + 1);
        size_t n = tok_encode(tok, t, n_bytes, id);
        id[n++] = (uint32_t)tok_eod(tok);
        st = shard_write(w, id, n, n_bytes, &err);
        free(id);
        free(t);
    }
    if (st == ST_OK)
        st = shard_writer_commit(w, extra, &err);
    else
        js_free(extra);
    shard_writer_close(w);
    CHECK(st == ST_OK, "%s: %s", name, err.msg);
    return st == ST_OK;
}

bool world(void)
{
    static int made; /* 1: well, -1: not */
    static const char shape[] = "{\"n_layer\": 2, \"d_model\": 32, \"n_head\": 2, \"n_kv_head\": 1,"
                                " \"d_head\": 16, \"d_ff\": 64}";
    struct err err = { "" };
    if (made)
        return made > 0;
    log_set_level(LOG_QUIET);
    struct tok *tok = train_tok(60, 320), *other = train_tok(3, 270);
    made = tok && other && write_tokens("natural", tok, "plain", 0, 300) &&
                   write_tokens("hq", tok, "rephrased", 0, 300) &&
                   write_tokens("books", tok, "plain", 1000, 1010) &&
                   write_tokens("news", tok, "fresh", 1000, 1010) &&
                   write_tokens("other", other, "plain", 0, 100) &&
                   write_tokens("tiny", tok, "plain", 0, 1) &&
                   tok_save(tok, in_world("tok.json"), &err) == ST_OK &&
                   file_write(in_world("shape.json"), shape, strlen(shape), &err) == ST_OK
               ? 1
               : -1;
    CHECK(made > 0, "%s", err.msg);
    tok_free(tok);
    tok_free(other);
    return made > 0;
}

/* SOURCE=PREFIX@SHARE with a prefix in the world. */
static const char *source(const char *name, const char *rest)
{
    static struct strlist kept;
    char *s = xasprintf("%s=%s%s", name, in_world(name), rest);
    strlist_add(&kept, s);
    free(s);
    return kept.s[kept.n - 1];
}

struct asked ask(const char *out)
{
    struct asked a = { .conf = train_defaults,
                       .env = { .seed = 7, .backend = "cpu", .n_threads = 1 } };
    a.conf.shape = in_world("shape.json");
    a.conf.out = out;
    a.conf.tokenizer = in_world("tok.json");
    a.conf.seq_len = 32;
    a.conf.batch_tokens = 128;
    a.conf.lr = 0.01;
    a.conf.log_every = 10;
    a.conf.eval_bytes = 2000;
    a.conf.precision = "fp32";
    textlist_add(&a.conf.data, source("natural", "@0.67"));
    textlist_add(&a.conf.data, source("hq", "@0.33"));
    textlist_add(&a.conf.eval, source("news", ""));
    textlist_add(&a.conf.eval, source("books", ""));
    textlist_add(&a.conf.tokens, "12800");
    return a;
}

void ask_tokens(struct asked *a, const char *one, const char *two, const char *three)
{
    a->conf.tokens.n = 0;
    const char *all[] = { one, two, three };
    for (size_t i = 0; i < N_OF(all); i++)
        if (all[i])
            textlist_add(&a->conf.tokens, all[i]);
}

void asked_release(struct asked *a)
{
    textlist_release(&a->conf.data);
    textlist_release(&a->conf.eval);
    textlist_release(&a->conf.tokens);
}

enum st run_here(const struct asked *a, struct err *err)
{
    struct train_plan *p;
    enum st st = train_plan_open(&p, &a->conf, &a->env, err);
    if (st == ST_OK) {
        st = train_run(p, err);
        train_plan_close(p);
    }
    return st;
}

int run_child(const struct asked *a, double kill_after_cpu_s)
{
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        struct err err = { "" };
        double whole = floor(kill_after_cpu_s);
        struct itimerval t = { .it_value = { (time_t)whole,
                                             (suseconds_t)(1e6 * (kill_after_cpu_s - whole)) } };
        if (setitimer(ITIMER_PROF, &t, NULL) != 0)
            _exit(-ST_IO);
        enum st st = run_here(a, &err);
        if (st < 0)
            fprintf(stderr, "%s\n", err.msg);
        _exit(st < 0 ? -st : 0);
    }
    int status = 0;
    waitpid(pid, &status, 0);
    return WIFSIGNALED(status) ? ST_END : -WEXITSTATUS(status);
}

double children_cpu_s(void)
{
    struct rusage u;
    CHECK(getrusage(RUSAGE_CHILDREN, &u) == 0, "no usage");
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
           1e-6 * (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
}

char *result_of(const char *dir)
{
    struct strbuf b = { 0 };
    struct err err = { "" };
    char *path = path_join(dir, "result.json");
    enum st st = file_read(path, 1 << 20, &b, &err);
    CHECK(st == ST_OK, "%s", err.msg);
    free(path);
    char *timing = st == ST_OK ? strstr(b.s, "\"timing\"") : NULL;
    CHECK(st != ST_OK || timing, "no timing in %s", dir);
    if (!timing) {
        str_release(&b);
        return NULL;
    }
    *timing = '\0';
    return str_detach(&b);
}

void remove_world(const char *name)
{
    struct err err = { "" };
    CHECK(dir_remove(in_world(name), &err) == ST_OK, "%s", err.msg);
}
