/* tests/corpus/stage.c - the corpus stage and the n-grams it uses. */
#include <ctype.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/stream.h"
#include "corpus/build.h"
#include "corpus/ngram.h"
#include "corpus_tests.h"

/* Sentences without repetition, so that documents share nothing by accident. */
static void sentences(struct strbuf *out, unsigned seed, int n_words)
{
    uint64_t x = seed * 0x9E3779B97F4A7C15u + 1;
    for (int i = 0; i < n_words; i++) {
        x = x * 6364136223846793005u + 1442695040888963407u;
        str_printf(out, "w%05u ", (unsigned)(x >> 44));
    }
}

static char *input_file(int n_docs)
{
    struct strbuf b = { 0 };
    for (int i = 0; i < n_docs; i++) {
        str_printf(&b, "{\"id\":\"d%d\",\"source\":\"%s\",\"text\":\"", i, i % 10 ? "good" : "bad");
        if (i % 7 == 0)
            str_adds(&b, "short");
        else
            sentences(&b, i % 11 == 0 ? 3 : (unsigned)i, 60); /* every 11th is the same */
        str_adds(&b, "\"}\n");
    }
    char *path = xstrdup(scratch("in.jsonl", b.s, b.n));
    str_release(&b);
    return path;
}

static char *tree_bytes(const char *dir)
{
    struct strbuf all = { 0 };
    struct strlist names = { 0 };
    struct err err;
    CHECK(dir_list(dir, &names, &err) == ST_OK, "%s", err.msg);
    for (size_t i = 0; i < names.n; i++) {
        if (!str_ends(names.s[i], ".zst"))
            continue;
        char *path = path_join(dir, names.s[i]);
        struct strbuf one = { 0 };
        CHECK(file_read(path, 1 << 24, &one, &err) == ST_OK, "%s", err.msg);
        str_adds(&all, names.s[i]);
        for (size_t k = 0; k < one.n; k++)
            str_printf(&all, "%02x", (unsigned char)one.s[k]);
        str_release(&one);
        free(path);
    }
    strlist_release(&names);
    return str_detach(&all);
}

static int64_t dropped(const struct js *counts, const char *why)
{
    return js_get_whole(js_get(counts, "dropped"), why, 0);
}

static void test_stage(void)
{
    char *in = input_file(500), *out = path_join(check_dir(), "out");
    char bad[] = "bad", *sources[] = { bad };
    struct corpus_conf conf = { .out = out,
                                .clean = "none",
                                .dedup = "exact",
                                .min_bytes = 200,
                                .drop_source = sources,
                                .n_drop_source = 1 };
    struct js *counts;
    struct err err = { "" };
    NEED(corpus_build(&counts, &conf, &in, 1, &err) == ST_OK, "%s", err.msg);
    int64_t n_bad = 50, n_short = 0, n_dup = -1;
    for (int i = 0; i < 500; i++) {
        n_short += i % 10 != 0 && i % 7 == 0;
        n_dup += i % 10 != 0 && i % 7 != 0 && (i % 11 == 0 || i == 3);
    }
    CHECK(js_get_whole(counts, "docs_in", 0) == 500, "docs_in");
    CHECK(dropped(counts, "source") == n_bad, "source %d", (int)dropped(counts, "source"));
    CHECK(dropped(counts, "too_short") == n_short, "short %d", (int)dropped(counts, "too_short"));
    CHECK(dropped(counts, "duplicate") == n_dup, "dup %d", (int)dropped(counts, "duplicate"));
    CHECK(js_get_whole(counts, "docs_out", 0) == 500 - n_bad - n_short - n_dup, "docs_out");
    CHECK(js_get_whole(counts, "skipped_records", -1) == 0, "skipped");
    js_free(counts);

    char *shard = path_join(out, "docs-00000.jsonl.zst");
    struct read_result got = read_file(shard, true);
    CHECK((int64_t)got.n_docs == 500 - n_bad - n_short - n_dup, "%d in the shard", (int)got.n_docs);
    str_release(&got.text);
    free(shard);
    shard = path_join(out, "dropped.jsonl.zst");
    struct strbuf lines = { 0 };
    got = read_file(shard, false); /* no "text": each line is named as damaged; they are counted */
    CHECK((int64_t)got.n_skipped == n_bad + n_short + n_dup, "%d dropped", (int)got.n_skipped);
    str_release(&got.text);
    str_release(&lines);
    free(shard);

    char *first = tree_bytes(out);
    CHECK(corpus_build(&counts, &conf, &in, 1, &err) == ST_END, "not up to date");
    CHECK(js_get_whole(counts, "docs_in", 0) == 500, "counts of the folder");
    js_free(counts);
    conf.min_bytes = 100;
    CHECK(corpus_build(&counts, &conf, &in, 1, &err) == ST_USAGE &&
              strstr(err.msg, "other settings"),
          "%s", err.msg);
    conf.min_bytes = 200;
    CHECK(dir_remove(out, &err) == ST_OK, "%s", err.msg);
    NEED(corpus_build(&counts, &conf, &in, 1, &err) == ST_OK, "%s", err.msg);
    js_free(counts);
    char *after = tree_bytes(out);
    CHECK(strcmp(first, after) == 0, "the same inputs gave other bytes");
    free(first);
    free(after);
    free(in);
    free(out);
}

/* Lines of dropped.jsonl.zst as "id reason of", each with a blank after it. */
static char *dropped_lines(const char *dir)
{
    struct strbuf all = { 0 }, out = { 0 };
    char *path = path_join(dir, "dropped.jsonl.zst"), piece[4096];
    struct stream *in;
    struct err err;
    size_t n;
    CHECK(stream_open(&in, path, &err) == ST_OK, "%s", err.msg);
    while (stream_read(in, piece, sizeof piece, &n, &err) == ST_OK)
        str_add(&all, piece, n);
    stream_close(in);
    str_adds(&out, "");
    for (char *line = all.s, *end; line && (end = strchr(line, '\n')); line = end + 1) {
        struct js *v = NULL;
        CHECK(js_parse(&v, line, (size_t)(end - line), &err) == ST_OK, "%s", err.msg);
        str_printf(&out, "%s %s %s ", js_get_text(v, "id", "?"), js_get_text(v, "reason", "?"),
                   js_get_text(v, "of", "-"));
        js_free(v);
    }
    str_release(&all);
    free(path);
    return str_detach(&out);
}

/* The first wins and is named; a document like one that fell for another reason stays. */
static void test_near_duplicates(void)
{
    struct strbuf text[3] = { { 0 } }, b = { 0 };
    for (unsigned i = 0; i < N_OF(text); i++)
        sentences(&text[i], 500 + i, 100);
    char *near[3];
    for (unsigned i = 0; i < N_OF(text); i++) { /* one word of a hundred is another one */
        near[i] = xstrdup(text[i].s);
        near[i][7 * 40 + 2] = near[i][7 * 40 + 2] == '7' ? '8' : '7';
    }
    str_printf(&b, "{\"id\":\"a\",\"text\":\"%s\"}\n", text[0].s);
    str_printf(&b, "{\"id\":\"a2\",\"text\":\"%s\"}\n", near[0]);
    str_printf(&b, "{\"id\":\"a3\",\"text\":\"  %s\"}\n", text[0].s);
    str_printf(&b, "{\"id\":\"b\",\"text\":\"%s\",\"source\":\"bad\"}\n", text[1].s);
    str_printf(&b, "{\"id\":\"b2\",\"text\":\"%s\"}\n", near[1]);
    str_printf(&b, "{\"id\":\"b3\",\"text\":\"%s\"}\n", near[1]);
    str_printf(&b, "{\"id\":\"c\",\"text\":\"%s\"}\n", text[2].s);
    str_printf(&b, "{\"id\":\"s\",\"text\":\"one two three\"}\n");
    str_printf(&b, "{\"id\":\"s2\",\"text\":\"one two four\"}\n");
    char *in = xstrdup(scratch("near.jsonl", b.s, b.n)), *out = path_join(check_dir(), "near");
    char bad[] = "bad", *sources[] = { bad };
    struct corpus_conf conf = { .out = out,
                                .clean = "none",
                                .dedup = "minhash",
                                .min_bytes = 1,
                                .drop_source = sources,
                                .n_drop_source = 1 };
    static const char *const want[] = {
        "a2 near_duplicate a a3 duplicate a b source - b3 duplicate b2 ",
        "a3 duplicate a b source - b3 duplicate b2 ", /* with max_similar 0.95 */
    };
    for (size_t i = 0; i < N_OF(want); i++) {
        struct js *counts;
        struct err err = { "" };
        NEED(corpus_build(&counts, &conf, &in, 1, &err) == ST_OK, "%s", err.msg);
        char *got = dropped_lines(out);
        CHECK(strcmp(got, want[i]) == 0, "%s", got);
        CHECK(dropped(counts, "near_duplicate") == (i == 0) && dropped(counts, "duplicate") == 2,
              "counts");
        js_free(counts);
        free(got);
        CHECK(dir_remove(out, &err) == ST_OK, "%s", err.msg);
        conf.max_similar = 0.95;
    }
    for (unsigned i = 0; i < N_OF(text); i++) {
        str_release(&text[i]);
        free(near[i]);
    }
    str_release(&b);
    free(in);
    free(out);
}

/* Whether any run of 13 words of one folder stands in the other. */
static size_t overlap(const char *a, const char *b)
{
    struct ngram_index *ix = ngram_new(CONTAMINATION_WORDS);
    const char *dir[2] = { a, b };
    size_t n = 0;
    for (int i = 0; i < 2; i++) {
        char *path = path_join(dir[i], "docs-00000.jsonl.zst");
        struct reader *r;
        struct doc d;
        struct err err;
        CHECK(reader_open(&r, path, NULL, &err) == ST_OK, "%s", err.msg);
        while (r && reader_next(r, &d, &err) == ST_OK) {
            if (i == 0)
                ngram_add(ix, d.text, d.n_bytes);
            else
                n += ngram_shared(ix, d.text, d.n_bytes);
        }
        reader_close(r);
        free(path);
    }
    ngram_free(ix);
    return n;
}

static void test_hold_out(void)
{
    struct strbuf b = { 0 };
    for (int i = 0; i < 400; i++) { /* pairs share a passage, every 20th holds boilerplate */
        str_printf(&b, "{\"id\":\"d%d\",\"text\":\"", i);
        sentences(&b, (unsigned)i + 1000, 40);
        if (i % 9 == 0)
            sentences(&b, (unsigned)i / 18, 20);
        if (i % 20 == 0)
            sentences(&b, 999999, 20);
        str_adds(&b, "\"}\n");
    }
    char *in = xstrdup(scratch("held.jsonl", b.s, b.n));
    char *out = path_join(check_dir(), "train"), *held = path_join(check_dir(), "held");
    struct corpus_conf conf = {
        .out = out, .held = held, .hold_out = 0.2, .clean = "none", .dedup = "none", .min_bytes = 1
    };
    struct js *counts;
    struct err err = { "" };
    NEED(corpus_build(&counts, &conf, &in, 1, &err) == ST_OK, "%s", err.msg);
    int64_t n_out = js_get_whole(counts, "docs_out", 0),
            n_held = js_get_whole(counts, "docs_held", 0);
    CHECK(n_held > 40 && n_held < 120, "%d held", (int)n_held);
    CHECK(n_out + n_held + dropped(counts, "near_held") + dropped(counts, "near_train") == 400,
          "%d + %d do not add up", (int)n_out, (int)n_held);
    CHECK(dropped(counts, "near_train") > 0 && dropped(counts, "near_held") > 0,
          "nothing was near");
    CHECK(overlap(held, out) == 0, "training text stands in what was held out");
    js_free(counts);
    char *spool = path_join(out, "spool.jsonl.zst");
    CHECK(!file_exists(spool), "the temporary file stayed");

    /* The other way to the same end: the held folder given as evaluation documents. */
    char *again = path_join(check_dir(), "again");
    struct corpus_conf other = {
        .out = again, .clean = "none", .dedup = "none", .decontaminate = &held, .n_decontaminate = 1
    };
    NEED(corpus_build(&counts, &other, &in, 1, &err) == ST_OK, "%s", err.msg);
    CHECK(dropped(counts, "contaminated") >= n_held, "held documents were not found again");
    CHECK(overlap(held, again) == 0, "contaminated documents stayed");
    js_free(counts);
    free(spool);
    free(again);
    free(in);
    free(out);
    free(held);
    str_release(&b);
}

static void test_sources(void)
{
    char *top = path_join(check_dir(), "tree"), *sub = path_join(top, "pkg-a");
    char *deep = path_join(top, "pkg-b/x"), *glob = path_join(top, "*");
    char *one = path_join(sub, "one.txt"), *two = path_join(deep, "two.txt");
    struct err err;
    CHECK(dir_make(sub, &err) == ST_OK && dir_make(deep, &err) == ST_OK, "%s", err.msg);
    CHECK(file_write(one, "1", 1, &err) == ST_OK && file_write(two, "2", 1, &err) == ST_OK, "%s",
          err.msg);
    const struct {
        char *input;
        const char *name[2], *source[2];
    } row[] = {
        { top, { "tree/pkg-a/one.txt", "tree/pkg-b/x/two.txt" }, { "pkg-a", "pkg-b" } },
        { sub, { "pkg-a/one.txt", NULL }, { "pkg-a", NULL } },
        { one, { "one.txt", NULL }, { "one.txt", NULL } },
        { glob, { "pkg-a/one.txt", "pkg-b/x/two.txt" }, { "pkg-a", "x" } },
    };
    for (size_t i = 0; i < N_OF(row); i++) {
        struct corpus_files f = { 0 };
        char *input = row[i].input;
        NEED(corpus_files_expand(&f, &input, 1, &err) == ST_OK, "%s", err.msg);
        for (size_t k = 0; k < f.n; k++)
            CHECK(row[i].name[k] && strcmp(f.file[k].name, row[i].name[k]) == 0 &&
                      strcmp(f.file[k].source, row[i].source[k]) == 0,
                  "row %zu: '%s' from '%s'", i, f.file[k].name, f.file[k].source);
        CHECK(f.n == (row[i].name[1] ? 2 : 1), "row %zu: %zu files", i, f.n);
        corpus_files_release(&f);
    }
    char url[] = "https://example.org/x.wet.gz", *inputs = url;
    struct corpus_files f = { 0 };
    CHECK(corpus_files_expand(&f, &inputs, 1, &err) == ST_UNSUPPORTED, "a URL was taken");
    corpus_files_release(&f);
    free(top), free(sub), free(deep), free(glob), free(one), free(two);
}

static void test_refusals(void)
{
    char *in = xstrdup(scratch("x.jsonl", "{}\n", 3)), *out = path_join(check_dir(), "none");
    struct corpus_conf conf = { .out = out, .clean = "none", .dedup = "none" };
    struct js *counts;
    struct err err;
    CHECK(corpus_build(&counts, &conf, &in, 1, &err) == ST_FORMAT && strstr(err.msg, "no document"),
          "%s", err.msg);
    char *manifest = path_join(out, "manifest.json");
    CHECK(!file_exists(manifest), "a manifest of nothing");
    free(manifest);
    conf.dedup = "minhash";
    conf.max_similar = 1.5;
    CHECK(corpus_build(&counts, &conf, &in, 1, &err) == ST_USAGE, "max_similar 1.5");
    conf.dedup = "none";
    conf.max_similar = 0;
    conf.clean = "web";
    CHECK(corpus_build(&counts, &conf, &in, 1, &err) == ST_UNSUPPORTED, "web");
    conf.clean = "none";
    conf.lang = "en";
    CHECK(corpus_build(&counts, &conf, &in, 1, &err) == ST_UNSUPPORTED, "lang");
    conf.lang = NULL;
    conf.hold_out = 0.1;
    CHECK(corpus_build(&counts, &conf, &in, 1, &err) == ST_USAGE, "hold_out without held");
    free(in);
    free(out);
}

/* Word by word from the definition, for comparison: lower-cased words joined by blanks. */
static size_t plain_shared(const char *a, const char *b, int n)
{
    char *word[2][256];
    int count[2] = { 0, 0 };
    const char *text[2] = { a, b };
    for (int t = 0; t < 2; t++) {
        const char *p = text[t], *end = p + strlen(p), *w;
        size_t len;
        while ((w = word_next(&p, end, &len)) != NULL) {
            char *s = xstrndup(w, len);
            for (char *c = s; *c; c++)
                *c = (char)tolower((unsigned char)*c);
            word[t][count[t]++] = s;
        }
    }
    size_t shared = 0;
    for (int j = 0; j + n <= count[1]; j++) {
        bool found = false;
        for (int i = 0; i + n <= count[0] && !found; i++) {
            found = true;
            for (int k = 0; k < n && found; k++)
                found = strcmp(word[0][i + k], word[1][j + k]) == 0;
        }
        shared += found;
    }
    for (int t = 0; t < 2; t++)
        for (int i = 0; i < count[t]; i++)
            free(word[t][i]);
    return shared;
}

static void test_ngrams(void)
{
    static const char *const text[] = {
        "The quick brown fox jumps over the lazy dog and the quick brown fox sleeps.",
        "the QUICK, brown (fox) jumps; over",
        "a quick brown fox jumped over it",
        "the the the the the the the the",
        "",
        "one",
        "x1 2y don't stop",
    };
    for (size_t i = 0; i < N_OF(text); i++)
        for (size_t j = 0; j < N_OF(text); j++)
            for (int n = 1; n <= 5; n++) {
                struct ngram_index *ix = ngram_new(n);
                ngram_add(ix, text[i], strlen(text[i]));
                size_t got = ngram_shared(ix, text[j], strlen(text[j]));
                size_t want = plain_shared(text[i], text[j], n);
                CHECK(got == want, "%zu %zu n=%d: %zu, want %zu", i, j, n, got, want);
                ngram_free(ix);
            }
    struct ngram_index *ix = ngram_new(2);
    ngram_add(ix, "\xC3\x84pfel \xD0\x9C\xD0\x98\xD0\xA0", 12);
    CHECK(ngram_shared(ix, "\xC3\xA4PFEL \xD0\xBC\xD0\xB8\xD1\x80", 12) == 1,
          "case of other letters");
    CHECK(ngram_count(ix, "a b c d", 7) == 3, "count");
    CHECK(ngram_len(ix) == 1, "len");
    ngram_free(ix);
}

static void count_owner(void *arg, uint32_t owner)
{
    ((int *)arg)[owner]++;
}

static void test_owners(void)
{
    struct ngram_index *ix = ngram_new_owned(2);
    int n[3] = { 0 };
    CHECK(ngram_claim(ix, "a b c", 5, 0), "first claim");
    CHECK(ngram_claim(ix, "d e f", 5, 1), "second claim");
    CHECK(!ngram_claim(ix, "x y b c", 7, 2), "what another holds was claimed");
    ngram_owners(ix, "a b c d e x y", 13, count_owner, n);
    CHECK(n[0] == 2 && n[1] == 1 && n[2] == 0, "%d %d %d", n[0], n[1], n[2]);
    ngram_free(ix);
}

const struct check_test stage_test[] = { TEST(test_stage),    TEST(test_near_duplicates),
                                         TEST(test_hold_out), TEST(test_sources),
                                         TEST(test_refusals), TEST(test_ngrams),
                                         TEST(test_owners) };
const size_t n_stage_test = N_OF(stage_test);
