/* tests/base/main.c - the base folder's tests. */
#include "check.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/field.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/pool.h"
#include "base/rng.h"
#include "base/stream.h"
#include "base/units.h"
#include "base/yaml.h"

static void test_units(void)
{
    static const struct {
        const char *text;
        enum st want;
        uint64_t value;
    } row[] = {
        { "5M", ST_OK, 5000000 },
        { "1.5B", ST_OK, 1500000000 },
        { "200k", ST_OK, 200000 },
        { "64KiB", ST_OK, 65536 },
        { "0", ST_OK, 0 },
        { "18446744073709551615", ST_OK, UINT64_MAX },
        { "18446744073709551616", ST_USAGE, 0 },
        { "1.5", ST_USAGE, 0 },
        { "-3", ST_USAGE, 0 },
        { "", ST_USAGE, 0 },
        { "5Q", ST_USAGE, 0 },
        { "99999999T", ST_USAGE, 0 },
    };
    for (size_t i = 0; i < N_OF(row); i++) {
        struct err err = { "" };
        uint64_t v = 0;
        enum st st = units_whole(row[i].text, &v, &err);
        CHECK(st == row[i].want, "'%s': got %d (%s)", row[i].text, (int)st, err.msg);
        if (st == ST_OK)
            CHECK(v == row[i].value, "'%s': got %llu", row[i].text, (unsigned long long)v);
    }
    double s;
    struct err err;
    CHECK(units_seconds("2h", &s, &err) == ST_OK && s == 7200, "got %g", s);
    CHECK(units_seconds("1.5x", &s, &err) == ST_USAGE, "accepted 1.5x");
    char buf[UNITS_MAX];
    CHECK(strcmp(units_count(buf, 12345678), "12.3M") == 0, "got %s", buf);
    CHECK(units_round(0.00095412, 2) == 9.5e-4 && units_round(-1234.5, 3) == -1230, "rounding");
    CHECK(strcmp(units_time(buf, 250), "4 min 10 s") == 0, "got %s", buf);
}

static void test_utf8(void)
{
    struct strbuf b = { 0 };
    CHECK(utf8_valid("plain \xC3\xA4", 8) == 8, "valid text refused");
    CHECK(utf8_valid("a\xC0\xAF", 3) == 1, "an overlong form passed");
    CHECK(utf8_valid("a\xED\xA0\x80", 4) == 1, "a surrogate passed");
    CHECK(utf8_repair(&b, "x\xFFy\xE2\x82", 5) == 2, "wrong count");
    CHECK(strcmp(b.s, "x\xEF\xBF\xBDy\xEF\xBF\xBD") == 0, "got %s", b.s);
    str_release(&b);
}

static void test_json(void)
{
    struct js *v;
    struct err err = { "" };
    struct strbuf b = { 0 };
    const char *text = "{\"a\":[1,2.5,\"x<\"],\"big\":9007199254740993}";
    NEED(js_parse(&v, text, strlen(text), &err) == ST_OK, "%s", err.msg);
    CHECK(js_get_whole(v, "big", 0) == 9007199254740993, "went through double");
    CHECK(js_as_real(js_at(js_get(v, "a"), 1), 0) == 2.5, "lost the real");
    js_put_real(v, "nan", NAN);
    js_put_real(v, "third", 1.0 / 3);
    js_put_real(v, "one", 1);
    js_put_real(v, "share", 0.33);
    js_write_html(v, &b);
    CHECK(strstr(b.s, "x\\u003c") && strstr(b.s, "\"nan\":null"), "got %s", b.s);
    CHECK(strstr(b.s, "\"third\":0.3333333333333333,\"one\":1.0,\"share\":0.33}"), "got %s", b.s);
    js_free(v);
    CHECK(js_parse(&v, "{\"a\":", 5, &err) == ST_FORMAT && strstr(err.msg, "line 1"), "got %s",
          err.msg);
    str_clear(&b);
    js_quote(&b, "a\"\n\x01", 4);
    CHECK(strcmp(b.s, "\"a\\\"\\n\\u0001\"") == 0, "got %s", b.s);
    str_release(&b);
}

static void test_yaml(void)
{
    struct yml *y;
    struct err err = { "" };
    const char *good = "study: a\nshares: [0, 0.33]\nhq: {x: 1}\n", *twice = "a: 1\nb: 2\na: 3\n",
               *alias = "a: &x 1\nb: *x\n";
    NEED(yml_parse(&y, "s.yaml", good, strlen(good), &err) == ST_OK, "%s", err.msg);
    CHECK(yml_len(yml_get(y, "shares")) == 2 && yml_get(y, "shares")->line == 2, "wrong list");
    yml_free(y);
    CHECK(yml_parse(&y, "s.yaml", twice, strlen(twice), &err) == ST_FORMAT &&
              strstr(err.msg, "line 3"),
          "%s", err.msg);
    CHECK(yml_parse(&y, "s.yaml", alias, strlen(alias), &err) == ST_FORMAT, "an alias passed");
    CHECK(yml_parse(&y, "s.yaml", "a: [", 4, &err) == ST_FORMAT, "a cut list passed");
    CHECK(yml_parse(&y, "s.yaml", "", 0, &err) == ST_FORMAT, "an empty file passed");
}

struct conf {
    uint64_t seq_len;
    double lr;
    const char *kind;
};

static const struct field conf_field[] = {
    { .name = "seq_len",
      .kind = FIELD_WHOLE,
      .unit = "tokens",
      .offset = offsetof(struct conf, seq_len),
      .min = 2,
      .max = 65536 },
    { .name = "lr",
      .kind = FIELD_REAL,
      .unit = "X",
      .offset = offsetof(struct conf, lr),
      .min = 0,
      .max = 1 },
    { .name = "kind",
      .kind = FIELD_CHOICE,
      .choices = "none|web",
      .offset = offsetof(struct conf, kind) },
};

static void test_field_set(void)
{
    static const struct {
        const char *name, *text;
        enum st want;
        const char *msg;
    } row[] = {
        { "seq_len", "1024", ST_OK, "" },
        { "seq-len", "1k", ST_OK, "" },
        { "seq_len", "1", ST_USAGE, "outside 2..65536 tokens" },
        { "lr", "1e400", ST_USAGE, "not a number" },
        { "lr", "2", ST_USAGE, "lr: 2 is outside 0..1" },
        { "kind", "web", ST_OK, "" },
        { "kind", "we", ST_USAGE, "none of none|web" },
        { "n_head", "4", ST_USAGE, "unknown setting 'n_head'" },
    };
    for (size_t i = 0; i < N_OF(row); i++) {
        struct conf c = { 0 };
        struct err err = { "" };
        enum st st = field_set(conf_field, N_OF(conf_field), &c, row[i].name, row[i].text, &err);
        CHECK(st == row[i].want, "row %zu: got %d", i, (int)st);
        CHECK(strstr(err.msg, row[i].msg) != NULL, "row %zu: message was '%s'", i, err.msg);
        CHECK(!strchr(err.msg, 'X'), "a word for a value is no unit: '%s'", err.msg);
    }
}

static void square(void *job, size_t i, int thread)
{
    (void)thread;
    ((uint64_t *)job)[i] = i * i;
}

static void test_pool(void)
{
    uint64_t out[1000];
    struct pool *p = pool_new(3);
    for (int round = 0; round < 200; round++) {
        memset(out, 0, sizeof out);
        pool_run(p, N_OF(out), square, out);
        for (size_t i = 0; i < N_OF(out); i++)
            NEED(out[i] == i * i, "round %d item %zu", round, i);
    }
    pool_free(p);
}

static void sleep_a_bit(void *job, size_t i, int thread)
{
    const struct timespec t = { 0, 20000000 };
    (void)job, (void)i, (void)thread;
    nanosleep(&t, NULL);
}

/* Three items of 20 ms on two threads: whatever else runs, at least that long at work and in
 * pool_run. */
static void test_pool_time(void)
{
    struct pool *p = pool_new(2);
    pool_run(p, 1, sleep_a_bit, NULL);
    struct pool_time t = pool_time(p);
    CHECK(t.busy_s == 0 && t.run_s == 0, "one item is the caller's own work");
    pool_run(p, 3, sleep_a_bit, NULL);
    t = pool_time(p);
    CHECK(pool_size(p) == 2, "no second thread");
    CHECK(t.busy_s >= 0.06 && t.run_s >= 0.04 && t.busy_s <= 2 * t.run_s, "busy %g, run %g",
          t.busy_s, t.run_s);
    pool_free(p);
    t = pool_time(NULL);
    CHECK(t.busy_s == 0 && t.run_s == 0, "no pool");
}

/* Zeroed to both ends, aligned, and given back: a second block after a full first one is zeroed
 * too. */
static void test_pages(void)
{
    static const size_t size[] = { PAGES_LEAST, 2 << 20, (2 << 20) + 1, 7000000 };
    for (size_t i = 0; i < 2 * N_OF(size); i++) {
        size_t n = size[i % N_OF(size)];
        char *p = xpages(n);
        NEED((uintptr_t)p % 64 == 0, "%zu bytes at %p", n, (void *)p);
        for (size_t k = 0; k < n; k++)
            NEED(p[k] == 0, "byte %zu of %zu", k, n);
        memset(p, 1, n);
        pages_free(p, n);
    }
    pages_free(NULL, PAGES_LEAST);
}

static void test_rng(void)
{
    struct rng a, b, c;
    rng_init(&a, 1, "init", 0);
    rng_init(&b, 1, "init", 0);
    rng_init(&c, 1, "init", 1);
    CHECK(rng_u64(&a) == rng_u64(&b), "the same stream differs");
    CHECK(rng_u64(&a) != rng_u64(&c), "two streams agree");
    double sum = 0, sum2 = 0;
    for (int i = 0; i < 100000; i++) {
        double v = rng_normal(&a);
        sum += v;
        sum2 += v * v;
    }
    CHECK(fabs(sum / 1e5) < 0.02 && fabs(sum2 / 1e5 - 1) < 0.03, "mean %g, variance %g", sum / 1e5,
          sum2 / 1e5);
}

/* Whatever way they are computed: every bit, odd lengths, and the state after them. */
static void test_rng_normals(void)
{
    enum { N = 3000001 };
    struct rng a, b;
    float *got = NEW_ARRAY(float, N);
    rng_init(&a, 3, "init", 0);
    b = a;
    for (size_t n = 1, at = 0; at < N; at += n, n = n < 300 ? n + 1 : N - at)
        rng_normals(&a, 0.02, got + at, n < N - at ? n : N - at);
    for (size_t i = 0; i < N; i++) {
        float want = (float)(0.02 * rng_normal(&b));
        NEED(memcmp(&got[i], &want, sizeof want) == 0, "value %zu is %a, want %a", i,
             (double)got[i], (double)want);
    }
    CHECK(rng_u64(&a) == rng_u64(&b), "the stream stands elsewhere");
    free(got);
}

static void test_stream(void)
{
    static const char *const name[] = { "a.txt", "a.gz", "a.zst" };
    for (size_t i = 0; i < N_OF(name); i++) {
        struct err err = { "" };
        struct outstream *o;
        struct stream *s;
        char *path = path_join(check_dir(), name[i]), buf[1000];
        struct strbuf got = { 0 };
        size_t n;
        NEED(outstream_open(&o, path, &err) == ST_OK, "%s", err.msg);
        for (int k = 0; k < 50000; k++) {
            int len = snprintf(buf, sizeof buf, "line %d\n", k);
            NEED(outstream_write(o, buf, (size_t)len, &err) == ST_OK, "%s", err.msg);
        }
        CHECK(!file_exists(path), "%s is there before commit", path);
        NEED(outstream_commit(o, &err) == ST_OK, "%s", err.msg);
        outstream_close(o);
        NEED(stream_open(&s, path, &err) == ST_OK, "%s", err.msg);
        enum st st;
        while ((st = stream_read(s, buf, sizeof buf, &n, &err)) == ST_OK)
            str_add(&got, buf, n);
        CHECK(st == ST_END && got.n == 538890 && strstr(got.s, "line 49999\n"),
              "%s: st %d, %zu bytes", name[i], (int)st, got.n);
        stream_close(s);
        /* Cut it: a clear failure, never a silent end. */
        struct strbuf raw = { 0 };
        NEED(file_read(path, 1 << 20, &raw, &err) == ST_OK, "%s", err.msg);
        NEED(file_write(path, raw.s, raw.n / 2, &err) == ST_OK, "%s", err.msg);
        NEED(stream_open(&s, path, &err) == ST_OK, "%s", err.msg);
        while ((st = stream_read(s, buf, sizeof buf, &n, &err)) == ST_OK)
            ;
        CHECK(i == 0 ? st == ST_END : st == ST_FORMAT && strstr(err.msg, "cut off"),
              "%s cut: st %d %s", name[i], (int)st, err.msg);
        stream_close(s);
        str_release(&raw);
        str_release(&got);
        free(path);
    }
}

/* A reader that is stopped while it waits behind a whole gzip member has not reached the end. */
static void test_stream_stopped(void)
{
    struct err err = { "" };
    struct outstream *o;
    struct strbuf packed = { 0 };
    char *path = path_join(check_dir(), "member.gz");
    int ends[2], status = 0;
    NEED(outstream_open(&o, path, &err) == ST_OK && outstream_write(o, "text", 4, &err) == ST_OK &&
             outstream_commit(o, &err) == ST_OK,
         "%s", err.msg);
    outstream_close(o);
    NEED(file_read(path, 1000, &packed, &err) == ST_OK && pipe(ends) == 0, "%s", err.msg);
    CHECK(write(ends[1], packed.s, packed.n) == (ssize_t)packed.n, "the pipe is full");
    pid_t pid = fork(); /* being stopped stays */
    if (pid == 0) {
        struct stream *s;
        char buf[100], name[64];
        size_t n = 0;
        snprintf(name, sizeof name, "/proc/self/fd/%d", ends[0]);
        stop_on_signals();
        raise(SIGINT);
        if (stream_open(&s, name, &err) < 0 || stream_read(s, buf, sizeof buf, &n, &err) < 0)
            _exit(100);
        _exit(n == 4 && stream_read(s, buf, sizeof buf, &n, &err) == ST_INTERRUPTED ? 0 : 101);
    }
    CHECK(waitpid(pid, &status, 0) == pid && status == 0, "status %#x", status);
    close(ends[0]);
    close(ends[1]);
    str_release(&packed);
    free(path);
}

static void test_digest(void)
{
    char hex[DIGEST_HEX];
    struct digest d, back;
    struct err err;
    d = digest_of("", 0); /* XXH3-128 of nothing, from its specification */
    CHECK(strcmp(digest_hex(d, hex), "99aa06d3014798d86001c324468d497f") == 0, "got %s", hex);
    CHECK(digest_parse(&back, hex, &err) == ST_OK && digest_cmp(d, back) == 0, "no round trip");
    CHECK(digest_parse(&back, "xyz", &err) == ST_FORMAT, "xyz passed");
}

static void test_odd_input(void)
{
    struct err err = { "" };
    struct yml *tree = NULL;
    struct strbuf b = { 0 };
    enum st st = yml_parse(&tree, "f.yaml", "a: 1\nb: \xFF\n", 11, &err);
    CHECK(st == ST_FORMAT && strstr(err.msg, "'f.yaml' line 2"), "%s", err.msg);
    const char nul[] = "a: \"x\\0y\"\n";
    st = yml_parse(&tree, "f.yaml", nul, sizeof nul - 1, &err);
    CHECK(st == ST_FORMAT && strstr(err.msg, "line 1: a text with a NUL"), "%s", err.msg);
    for (int i = 0; i < 3000; i++)
        str_printf(&b, "key%d: 1\n", i);
    st = yml_parse(&tree, "f.yaml", b.s, b.n, &err);
    CHECK(st == ST_LIMIT && strstr(err.msg, "line 1025: more than 1024"), "%s", err.msg);

    struct js *v = js_object();
    js_put_whole(v, "caf\xE9", 1);
    js_put_whole(v, "caf\xE8", 2);
    str_clear(&b);
    js_write(v, &b);
    CHECK(strcmp(b.s, "{\"caf\\\\xE9\":1,\"caf\\\\xE8\":2}") == 0, "%s", b.s);
    js_free(v);
    str_release(&b);

    CHECK(path_is_unfinished("a/docs-00000.jsonl.zst.tmp-17"), "ours");
    CHECK(!path_is_unfinished("notes.tmp-old") && !path_is_unfinished("a.tmp-"), "not ours");
    CHECK(dir_holds("tests", "tests/base/main.c") && dir_holds(".", "tests"), "inside");
    CHECK(!dir_holds("tests", "src/base/file.c") && !dir_holds("tests/base", "tests"), "outside");
}

static void test_paths(void)
{
    struct strlist l = { 0 };
    struct err err = { "" };
    char *dir = path_join(check_dir(), "p/q"), *f = path_join(dir, "b.txt"),
         *missing = path_join(dir, "nothing");
    CHECK(dir_make(dir, &err) == ST_OK, "%s", err.msg);
    CHECK(file_write(f, "x", 1, &err) == ST_OK, "%s", err.msg);
    char *input[] = { dir };
    CHECK(paths_expand(&l, input, 1, &err) == ST_OK && l.n == 1 && strcmp(l.s[0], f) == 0,
          "%zu files", l.n);
    CHECK(paths_expand(&l, &missing, 1, &err) == ST_IO && strstr(err.msg, "nothing"), "%s",
          err.msg);
    struct lock a, b;
    char *lock = path_join(dir, "lock");
    CHECK(lock_take(&a, lock, &err) == ST_OK, "%s", err.msg);
    CHECK(lock_take(&b, lock, &err) == ST_IO && strstr(err.msg, "another mixlaw"), "%s", err.msg);
    lock_drop(&a);
    strlist_release(&l);
    free(lock);
    free(missing);
    free(f);
    free(dir);
}

/* What is no plain file is written into and stays what it is; a link stays and its file is
 * replaced. */
static void test_special_files(void)
{
    struct err err = { "" };
    struct stat s;
    char *fifo = path_join(check_dir(), "pipe"), *file = path_join(check_dir(), "real"),
         *link = path_join(check_dir(), "link"), got[4] = "";
    NEED(mkfifo(fifo, 0600) == 0 && symlink("real", link) == 0, "%s", strerror(errno));
    int fd = open(fifo, O_RDWR | O_NONBLOCK | O_CLOEXEC); /* so that neither end waits */
    CHECK(file_write(fifo, "abc", 3, &err) == ST_OK, "%s", err.msg);
    CHECK(read(fd, got, 3) == 3 && memcmp(got, "abc", 3) == 0, "the pipe got '%s'", got);
    CHECK(lstat(fifo, &s) == 0 && S_ISFIFO(s.st_mode), "the pipe was replaced");
    close(fd);
    CHECK(file_write(file, "old", 3, &err) == ST_OK && file_write(link, "new", 3, &err) == ST_OK,
          "%s", err.msg);
    CHECK(lstat(link, &s) == 0 && S_ISLNK(s.st_mode), "the link was replaced");
    struct strbuf b = { 0 };
    CHECK(file_read(file, 10, &b, &err) == ST_OK && strcmp(b.s, "new") == 0, "the file has '%s'",
          b.s ? b.s : "");
    CHECK(file_rename(file, fifo, &err) == ST_IO && strstr(err.msg, "no plain file"), "%s",
          err.msg);
    /* As /dev/stdout in `mixlaw ... --out /dev/stdout | gzip`: a link to what has no name. */
    int ends[2];
    NEED(pipe(ends) == 0, "%s", strerror(errno));
    char *nameless = path_join(check_dir(), "nameless"),
         *target = xasprintf("/proc/self/fd/%d", ends[1]);
    NEED(symlink(target, nameless) == 0, "%s", strerror(errno));
    CHECK(path_is_stream(nameless) && !path_is_stream(file), "what is a stream");
    CHECK(file_write(nameless, "xyz", 3, &err) == ST_OK, "%s", err.msg);
    CHECK(lstat(nameless, &s) == 0 && S_ISLNK(s.st_mode), "the link was replaced");
    memset(got, 0, sizeof got);
    close(ends[1]);
    CHECK(read(ends[0], got, 3) == 3 && memcmp(got, "xyz", 3) == 0, "the pipe got '%s'", got);
    close(ends[0]);
    free(nameless);
    free(target);
    str_release(&b);
    free(fifo);
    free(file);
    free(link);
}

int main(int argc, char **argv)
{
    static const struct check_test test[] = {
        TEST(test_units),         TEST(test_utf8),      TEST(test_json),
        TEST(test_yaml),          TEST(test_field_set), TEST(test_pool),
        TEST(test_pool_time),     TEST(test_pages),     TEST(test_rng),
        TEST(test_rng_normals),   TEST(test_stream),    TEST(test_stream_stopped),
        TEST(test_digest),        TEST(test_paths),     TEST(test_odd_input),
        TEST(test_special_files),
    };
    return check_main(test, N_OF(test), argc, argv);
}
