/* tests/run/main.c - records, tables, folders, metrics, the index. */
#include "check.h"

#include <math.h>

#include "base/file.h"
#include "base/hash.h"
#include "base/str.h"
#include "run/folder.h"
#include "run/index.h"
#include "run/metrics.h"
#include "run/table.h"
#include "run/tfevents.h"

static struct run_domain two[2];

static struct run_record sample(const char *id)
{
    two[0] = (struct run_domain){ "books", 3.25, 1.1, 1000, 4100 };
    two[1] = (struct run_domain){ "code, C", 2.0 / 3, 0.1, 900, 2000 };
    return (struct run_record){ .run_id = id,
                                .arm = "hq@0.33",
                                .kind = "hq",
                                .schedule = "wsd",
                                .backend = "cpu/test fp32",
                                .frac_synth = 1.0 / 3,
                                .n_param = 1500000,
                                .n_param_nonemb = 400000,
                                .n_tok = 9007199254740993u,
                                .n_tok_unique_natural = 7,
                                .n_tok_unique_synth = 8,
                                .n_epoch_natural = 1.25,
                                .n_epoch_synth = 0,
                                .flop = 1e15,
                                .lr = 0.002,
                                .seed = 3,
                                .batch_tokens = 512,
                                .seq_len = 256,
                                .vocab_size = 4096,
                                .loss = 1.9583333333333333,
                                .bpb = 0.6,
                                .wall_s = 12.5,
                                .tok_per_s = 14000,
                                .domain = two,
                                .n_domain = 2,
                                .n_step = 1953,
                                .loss_train = 3.5,
                                .mfu = NAN };
}

static char *under(const char *name)
{
    return path_join(check_dir(), name);
}

static void test_number(void)
{
    static const struct {
        double v;
        const char *want;
    } row[] = { { 0.1, "0.1" },    { 1.0 / 3, "0.3333333333333333" },
                { 1e15, "1e+15" }, { 0, "0" },
                { -2.5, "-2.5" },  { 1e300, "1e+300" },
                { NAN, "nan" },    { -NAN, "nan" } };
    for (size_t i = 0; i < N_OF(row); i++) {
        char buf[RUN_NUMBER];
        CHECK(strcmp(run_number(buf, row[i].v), row[i].want) == 0, "row %zu: got %s", i, buf);
    }
}

static void test_table(void)
{
    struct run_record a = sample("a"), b = sample("b");
    struct run_domain one = { "arxiv", 2.5, 1.5, 1, 1 };
    b.domain = &one;
    b.n_domain = 1;
    b.diverged = true;
    b.loss = b.bpb = NAN;
    const struct run_record *const rows[] = { &a, &b };
    struct strbuf out = { 0 };
    run_table_csv(&out, rows, 2);
    static const char want[] =
        "run_id,arm,kind,frac_synth,n_param,n_param_nonemb,n_tok,n_tok_unique_natural,"
        "n_tok_unique_synth,n_epoch_natural,n_epoch_synth,flop,seed,lr,batch_tokens,seq_len,"
        "vocab_size,schedule,loss,bpb,loss_arxiv,loss_books,\"loss_code, C\",bpb_arxiv,bpb_books,"
        "\"bpb_code, C\",diverged,wall_s,tok_per_s,backend\n"
        "a,hq@0.33,hq,0.3333333333333333,1500000,400000,9007199254740993,7,8,1.25,0,1e+15,3,0.002,"
        "512,256,4096,wsd,1.9583333333333333,0.6,nan,3.25,0.6666666666666666,nan,1.1,0.1,0,12.5,"
        "14000,cpu/test fp32\n"
        "b,hq@0.33,hq,0.3333333333333333,1500000,400000,9007199254740993,7,8,1.25,0,1e+15,3,0.002,"
        "512,256,4096,wsd,nan,nan,2.5,nan,nan,1.5,nan,nan,1,12.5,14000,cpu/test fp32\n";
    CHECK(strcmp(out.s, want) == 0, "got:\n%s", out.s);
    str_release(&out);
}

static void check_same(const struct run_record *got, const struct run_record *want)
{
    const struct run_record *const g[] = { got }, *const w[] = { want };
    struct strbuf a = { 0 }, b = { 0 };
    run_table_csv(&a, g, 1);
    run_table_csv(&b, w, 1);
    CHECK(strcmp(a.s, b.s) == 0, "got\n%s\nwant\n%s", a.s, b.s);
    CHECK(got->n_step == want->n_step && got->loss_train == want->loss_train,
          "n_step or loss_train");
    str_release(&a);
    str_release(&b);
}

static void test_record_json(void)
{
    struct run_record want = sample("a"), got;
    struct js *extra = js_object();
    js_put_text(extra, "note", "kept");
    struct js *v = run_record_json(&want, extra);
    struct arena a = { 0 };
    struct err err = { "" };
    const char *last = NULL;
    for (void *it = js_iter(v); it; it = js_next(v, it))
        last = js_iter_key(it);
    CHECK(strcmp(last, "timing") == 0, "timing must come last, got '%s'", last);
    CHECK(strcmp(js_get_text(v, "note", ""), "kept") == 0, "lost an extra member");
    NEED(run_record_parse(&got, v, &a, &err) == ST_OK, "%s", err.msg);
    check_same(&got, &want);
    CHECK(isnan(got.mfu), "mfu must be unknown");
    js_put_text(v, "n_tok", "many");
    CHECK(run_record_parse(&got, v, &a, &err) == ST_FORMAT && strstr(err.msg, "'n_tok'"), "got %s",
          err.msg);
    js_put_whole(v, "schema", 99);
    CHECK(run_record_parse(&got, v, &a, &err) == ST_FORMAT && strstr(err.msg, "99"), "got %s",
          err.msg);
    js_free(v);
    js_free(extra);
    arena_release(&a);
}

/* A finished folder NAME with the sample record; settings {"lr": lr}. */
static enum st make_run(const char *dir, const char *id, double lr, bool finish, struct err *err)
{
    struct js *settings = js_object();
    char hex[DIGEST_HEX];
    js_put_real(settings, "lr", lr);
    const struct run_begun begun = { 1, settings, settings, NULL };
    enum st st = run_begin(dir, id, &begun, hex, err);
    js_free(settings);
    if (st == ST_OK && finish) {
        struct run_record r = sample(id);
        st = run_finish(dir, &r, NULL, err);
    }
    return st;
}

static void spoil(const char *dir, const char *name)
{
    char *path = path_join(dir, name);
    struct err err;
    CHECK(file_write(path, "{\"run_id\": \"x", 13, &err) == ST_OK, "%s", err.msg);
    free(path);
}

static void test_folder(void)
{
    struct err err = { "" };
    struct arena a = { 0 };
    struct run_entry e;
    char *dir = under("one");
    NEED(make_run(dir, "one", 0.1, false, &err) == ST_OK, "%s", err.msg);
    run_look(&e, dir, &a);
    CHECK(e.state == RUN_UNFINISHED && strcmp(e.rec.run_id, "one") == 0, "state %d", e.state);
    CHECK(make_run(dir, "one", 0.1, true, &err) == ST_OK, "must go on: %s", err.msg);
    CHECK(make_run(dir, "one", 0.1, false, &err) == ST_END, "must be finished");
    CHECK(make_run(dir, "one", 0.2, false, &err) == ST_USAGE && strstr(err.msg, "other settings"),
          "got %s", err.msg);
    run_look(&e, dir, &a);
    struct run_record want = sample("one");
    CHECK(e.state == RUN_FINISHED, "state %d: %s", e.state, e.why);
    check_same(&e.rec, &want);

    spoil(dir, "result.json");
    run_look(&e, dir, &a);
    CHECK(e.state == RUN_DAMAGED && strstr(e.why, "one/result.json"), "state %d: %s", e.state,
          e.why ? e.why : "");
    CHECK(make_run(dir, "one", 0.1, false, &err) == ST_OK, "damaged counts as unfinished");
    char *aside = path_join(dir, "result.json.damaged");
    CHECK(file_exists(aside), "the damaged file must be kept");
    spoil(dir, "run.json");
    run_look(&e, dir, &a);
    CHECK(e.state == RUN_DAMAGED && strstr(e.why, "one/run.json"), "state %d", e.state);
    CHECK(make_run(dir, "one", 0.1, true, &err) == ST_OK, "%s", err.msg);
    run_look(&e, dir, &a);
    CHECK(e.state == RUN_FINISHED, "state %d", e.state);
    free(aside);
    free(dir);
    arena_release(&a);
}

static struct js *lr_json(double lr)
{
    struct js *v = js_object();
    js_put_real(v, "lr", lr);
    return v;
}

/* What was asked decides; a program that resolves it otherwise makes nothing stale. */
static void test_rebuilt_program(void)
{
    struct err err = { "" };
    char hex[DIGEST_HEX], again[DIGEST_HEX], *dir = under("rebuilt"),
                                             *path = path_join(dir, "run.json");
    struct js *open_lr = lr_json(NAN), *first = lr_json(0.1), *second = lr_json(0.3), *frozen, *v;
    struct run_begun begun = { 1, open_lr, first, NULL };
    CHECK(run_frozen(dir, 1, open_lr, &frozen) == ST_END, "nothing is frozen yet");
    NEED(run_begin(dir, "r", &begun, hex, &err) == ST_OK, "%s", err.msg);
    begun.settings = second;
    CHECK(run_begin(dir, "r", &begun, again, &err) == ST_OK && strcmp(hex, again) == 0, "%s",
          err.msg);
    NEED(run_frozen(dir, 1, open_lr, &frozen) == ST_OK, "not frozen");
    CHECK(js_get_real(frozen, "lr", 0) == 0.1, "lr %g", js_get_real(frozen, "lr", 0));
    js_free(frozen);
    begun.asked = second; /* asked for now */
    CHECK(run_begin(dir, "r", &begun, again, &err) == ST_USAGE &&
              strstr(err.msg, "lr is null there and 0.3"),
          "got '%s'", err.msg);
    begun.asked = open_lr;
    begun.version = 2;
    CHECK(run_begin(dir, "r", &begun, again, &err) == ST_USAGE && strstr(err.msg, "by version 1"),
          "got '%s'", err.msg);
    /* A folder of the time before "asked": its key was a digest of the resolved settings. */
    char old[DIGEST_HEX];
    digest_hex(digest_of("run 1 {\"lr\":0.1}", 16), old);
    v = js_object();
    js_put_text(v, "run_id", "r");
    js_put_text(v, "key", old);
    js_put(v, "settings", js_copy(first));
    NEED(js_write_file(v, path, &err) == ST_OK, "%s", err.msg);
    begun = (struct run_begun){ 1, open_lr, first, NULL };
    CHECK(run_begin(dir, "r", &begun, hex, &err) == ST_OK && strcmp(hex, old) == 0, "%s", err.msg);
    begun.settings = second;
    CHECK(run_begin(dir, "r", &begun, hex, &err) == ST_USAGE && strstr(err.msg, "lr is 0.1 there"),
          "got '%s'", err.msg);
    js_free(v);
    js_free(open_lr);
    js_free(first);
    js_free(second);
    free(path);
    free(dir);
}

static void test_result_cut_anywhere(void)
{
    struct err err = { "" };
    struct strbuf whole = { 0 };
    char *dir = under("cut"), *path = path_join(dir, "result.json");
    NEED(make_run(dir, "cut", 0.1, true, &err) == ST_OK, "%s", err.msg);
    NEED(file_read(path, 1 << 20, &whole, &err) == ST_OK, "%s", err.msg);
    for (size_t n = 0; n + 2 < whole.n; n += 7) { /* + 2: the last brace and newline */
        struct arena a = { 0 };
        struct run_entry e;
        FILE *f = fopen(path, "wb");
        fwrite(whole.s, 1, n, f);
        fclose(f);
        run_look(&e, dir, &a);
        CHECK(e.state == RUN_DAMAGED, "cut at byte %zu passed", n);
        arena_release(&a);
    }
    str_release(&whole);
    free(path);
    free(dir);
}

static struct run_metric metric(uint64_t step)
{
    return (struct run_metric){ step, step * 512, 9.0 - (double)step / 100, 0.002,
                                1.5,  14000,      (double)step / 10,        1.7e9 + (double)step };
}

static void test_metrics(void)
{
    struct err err = { "" };
    struct run_log *l;
    struct run_metric *m;
    size_t n;
    char *dir = under("metrics"), *path = path_join(dir, "metrics.jsonl");
    NEED(dir_make(dir, &err) == ST_OK, "%s", err.msg);
    NEED(run_log_open(&l, dir, UINT64_MAX, &err) == ST_OK, "%s", err.msg);
    for (uint64_t s = 10; s <= 50; s += 10) {
        struct run_metric one = metric(s);
        CHECK(run_log_add(l, &one, &err) == ST_OK, "%s", err.msg);
    }
    CHECK(run_log_close(l, &err) == ST_OK, "%s", err.msg);
    FILE *f = fopen(path, "ab"); /* a line that a crash cut */
    fputs("{\"step\": 60, \"n_", f);
    fclose(f);
    NEED(run_metrics_read(dir, &m, &n, &err) == ST_OK, "%s", err.msg);
    CHECK(n == 5 && m[4].step == 50 && m[0].loss == 8.9, "got %zu lines", n);
    free(m);
    NEED(run_log_open(&l, dir, 30, &err) == ST_OK, "%s", err.msg);
    struct run_metric one = metric(35);
    CHECK(run_log_add(l, &one, &err) == ST_OK, "%s", err.msg);
    CHECK(run_log_close(l, &err) == ST_OK, "%s", err.msg);
    NEED(run_metrics_read(dir, &m, &n, &err) == ST_OK, "%s", err.msg);
    CHECK(n == 4 && m[3].step == 35, "got %zu lines", n);
    free(m);
    free(path);
    free(dir);
}

static void test_events(void)
{
    struct strbuf b = { 0 };
    CHECK(crc32c("123456789", 9) == 0xe3069283u, "the published check value");
    CHECK(crc32c("", 0) == 0, "of nothing");
    tfevents_begin(&b, 1.5);
    /* length 24, then wall_time 1.5 (field 1, double) and file_version (field 3). */
    static const unsigned char want[] = { 24, 0, 0, 0, 0, 0, 0, 0 };
    static const unsigned char event[] = "\x09\x00\x00\x00\x00\x00\x00\xf8\x3f\x1a\x0d"
                                         "brain.Event:2";
    CHECK(b.n == 8 + 4 + 24 + 4 && memcmp(b.s, want, 8) == 0, "got %zu bytes", b.n);
    CHECK(memcmp(b.s + 12, event, 24) == 0, "event bytes");
    str_release(&b);
}

static void test_index(void)
{
    struct err err = { "" };
    struct run_index *ix;
    char *runs = under("runs"), *db = under("study.db");
    char *a = path_join(runs, "a"), *b = path_join(runs, "b/250000"), *c = path_join(runs, "c");
    NEED(make_run(a, "a", 0.1, true, &err) == ST_OK, "%s", err.msg);
    NEED(make_run(b, "b", 0.1, true, &err) == ST_OK, "%s", err.msg);
    NEED(make_run(c, "c", 0.1, false, &err) == ST_OK, "%s", err.msg);
    NEED(run_index_open(&ix, db, &err) == ST_OK, "%s", err.msg);
    CHECK(run_index_rebuild(ix, runs, &err) == ST_OK, "%s", err.msg);
    CHECK(run_index_rebuild(ix, runs, &err) == ST_OK, "twice: %s", err.msg);
    struct run_list l = { 0 };
    NEED(run_index_list(ix, &l, &err) == ST_OK, "%s", err.msg);
    NEED(l.n == 3, "got %zu", l.n);
    struct run_record want = sample("a");
    check_same(&l.run[0].rec, &want);
    CHECK(l.run[0].state == RUN_FINISHED && l.run[2].state == RUN_UNFINISHED, "states");
    CHECK(strcmp(l.run[1].dir, b) == 0, "got %s", l.run[1].dir);
    run_list_release(&l);

    struct run_entry e = { .dir = c, .state = RUN_FINISHED, .rec = sample("c") };
    e.rec.loss = NAN;
    CHECK(run_index_put(ix, &e, &err) == ST_OK, "%s", err.msg);
    NEED(run_index_list(ix, &l, &err) == ST_OK && l.n == 3, "%s", err.msg);
    CHECK(isnan(l.run[2].rec.loss) && l.run[2].rec.n_domain == 2, "the entry was not replaced");
    run_list_release(&l);
    run_index_close(ix);

    NEED(file_write(db, "no database", 11, &err) == ST_OK, "%s", err.msg);
    NEED(run_index_open(&ix, db, &err) == ST_OK, "a damaged index is made anew: %s", err.msg);
    CHECK(run_index_rebuild(ix, runs, &err) == ST_OK, "%s", err.msg);
    NEED(run_index_list(ix, &l, &err) == ST_OK && l.n == 3, "%s", err.msg);
    run_list_release(&l);
    run_index_close(ix);
    free(a);
    free(b);
    free(c);
    free(runs);
    free(db);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        TEST(test_number),
        TEST(test_table),
        TEST(test_record_json),
        TEST(test_folder),
        TEST(test_rebuilt_program),
        TEST(test_metrics),
        TEST(test_result_cut_anywhere),
        TEST(test_events),
        TEST(test_index),
    };
    return check_main(tests, N_OF(tests), argc, argv);
}
