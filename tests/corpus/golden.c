/* tests/corpus/golden.c - each sample of tests/golden/corpus gives exactly the documents beside it.
 */
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "corpus_tests.h"

#define GOLDEN "tests/golden/corpus"

struct read_result read_file(const char *path, bool strict)
{
    struct read_result res = { .st = ST_OK };
    struct reader *r;
    struct doc d;
    res.st = reader_open(&r, path, &(struct reader_conf){ .strict = strict }, &res.err);
    if (res.st < 0)
        return res;
    str_add(&res.text, "", 0);
    while ((res.st = reader_next(r, &d, &res.err)) == ST_OK) {
        CHECK(strlen(d.text) == d.n_bytes, "'%s' has a NUL or no end", d.id);
        CHECK(utf8_valid(d.text, d.n_bytes) == d.n_bytes, "'%s' is not UTF-8", d.id);
        doc_json(&res.text, &d);
        str_addc(&res.text, '\n');
        res.n_docs++;
    }
    res.n_skipped = reader_stats(r).n_skipped;
    reader_close(r);
    return res;
}

const char *scratch(const char *name, const void *bytes, size_t n)
{
    static char path[256];
    snprintf(path, sizeof path, "%s/%s", check_dir(), name);
    FILE *f =
        fopen(path, "wb"); /* not file_write: it waits for the disk, here thousands of times */
    CHECK(f && fwrite(bytes, 1, n, f) == n, "cannot write '%s'", path);
    if (f)
        fclose(f);
    return path;
}

static void test_golden(void)
{
    struct strlist names = { 0 };
    struct err err;
    int n = 0;
    NEED(dir_list(GOLDEN, &names, &err) == ST_OK, "%s", err.msg);
    for (size_t i = 0; i < names.n; i++) {
        if (!str_ends(names.s[i], ".want"))
            continue;
        struct strbuf want = { 0 };
        char *want_path = path_join(GOLDEN, names.s[i]);
        char *path = xstrndup(want_path, strlen(want_path) - 5);
        enum st st = file_read(want_path, 1 << 20, &want, &err);
        CHECK(st == ST_OK, "%s", err.msg);
        struct read_result got = read_file(path, true);
        CHECK(got.st == ST_END, "'%s': %d %s", path, (int)got.st, got.err.msg);
        CHECK(got.n_skipped == 0, "'%s' skipped a record", path);
        CHECK(strcmp(got.text.s ? got.text.s : "", want.s ? want.s : "") == 0,
              "'%s' gave\n%s, want\n%s", path, got.text.s, want.s);
        str_release(&want);
        str_release(&got.text);
        free(want_path);
        free(path);
        n++;
    }
    CHECK(n >= 12, "only %d samples", n);
    strlist_release(&names);
}

static void test_formats(void)
{
    static const struct {
        const char *name, *format;
    } row[] = {
        { "plain.wet", "wet" },      { "members.wet.gz", "wet" }, { "pages.warc", "warc" },
        { "lines.jsonl", "jsonl" },  { "page.html", "html" },     { "tool.pod", "pod" },
        { "small.dict.dz", "dict" }, { "notes.txt", "text" },     { "empty.txt", "empty" }
    };
    for (size_t i = 0; i < N_OF(row); i++) {
        struct reader *r;
        struct err err;
        char *path = path_join(GOLDEN, row[i].name);
        NEED(reader_open(&r, path, NULL, &err) == ST_OK, "%s", err.msg);
        CHECK(strcmp(reader_format(r), row[i].format) == 0, "'%s' is %s", path, reader_format(r));
        reader_close(r);
        free(path);
    }
}

/* The name says nothing: the same bytes are read alike under any name. */
static void test_by_content(void)
{
    struct strbuf bytes = { 0 };
    struct err err;
    NEED(file_read(GOLDEN "/members.wet.gz", 1 << 20, &bytes, &err) == ST_OK, "%s", err.msg);
    struct read_result got = read_file(scratch("wrong-name.html", bytes.s, bytes.n), true);
    CHECK(got.n_docs == 3, "%d documents", (int)got.n_docs);
    str_release(&bytes);
    str_release(&got.text);
}

static void test_refused(void)
{
    static const struct {
        const char *bytes, *say;
        enum st want;
    } row[] = {
        { "PAR1....", "Parquet", ST_UNSUPPORTED },
        { "%PDF-1.4", "PDF", ST_UNSUPPORTED },
        { "PK\x03\x04....", "zip", ST_UNSUPPORTED },
        { "\x01\x02\x03\x04\x05\x06\x07\x08", "none of the known formats", ST_FORMAT },
    };
    for (size_t i = 0; i < N_OF(row); i++) {
        struct read_result got = read_file(scratch("refused", row[i].bytes, 8), false);
        CHECK(got.st == row[i].want && strstr(got.err.msg, row[i].say), "row %zu: %d %s", i,
              (int)got.st, got.err.msg);
    }
    struct read_result got = read_file(check_dir(), false);
    CHECK(got.st == ST_IO && strstr(got.err.msg, "is a folder"), "%d %s", (int)got.st, got.err.msg);
    got = read_file("/nowhere/at/all", false);
    CHECK(got.st == ST_IO && strstr(got.err.msg, "'/nowhere/at/all'"), "%s", got.err.msg);
}

/* A document written and read again is the same; the file appears at commit only. */
static void test_writer(void)
{
    char *path = path_join(check_dir(), "w.jsonl.zst");
    struct doc_writer *w;
    struct err err;
    struct doc d = {
        .id = "i\"d", .text = "a\n\xC3\xA4\t\x01", .n_bytes = 6, .source = "s", .offset = 7
    };
    NEED(doc_writer_open(&w, path, &err) == ST_OK, "%s", err.msg);
    CHECK(doc_write(w, &d, &err) == ST_OK, "%s", err.msg);
    CHECK(!file_exists(path), "there before commit");
    CHECK(doc_writer_commit(w, &err) == ST_OK, "%s", err.msg);
    doc_writer_close(w);
    struct read_result got = read_file(path, true);
    CHECK(strcmp(got.text.s, "{\"id\":\"i\\\"d\",\"text\":\"a\\n\xC3\xA4\\t\\u0001\",\"meta\":{"
                             "\"source\":\"s\",\"offset\":7}}\n") == 0,
          "got %s", got.text.s);
    str_release(&got.text);
    free(path);
}

/* The development data, when it is there: counts that others counted. */
static void test_natural(void)
{
    const char *root = getenv("MIXLAW_DATA");
    char dir[512];
    uint64_t n = 0;
    snprintf(dir, sizeof dir, "%.400s/natural", root && *root ? root : "../shared/data");
    if (!file_is_dir(dir))
        SKIP("no folder '%s' (set MIXLAW_DATA)", dir);
    for (int i = 0; i < 6; i++) {
        struct reader *r;
        struct doc d;
        struct err err;
        char path[600];
        snprintf(path, sizeof path, "%s/natural-%05d.warc.wet.gz", dir, i);
        NEED(reader_open(&r, path, NULL, &err) == ST_OK, "%s", err.msg);
        enum st st;
        while ((st = reader_next(r, &d, &err)) == ST_OK)
            n++;
        CHECK(st == ST_END, "%s", err.msg);
        CHECK(reader_stats(r).n_skipped == 0, "'%s' skipped a record", path);
        reader_close(r);
    }
    CHECK(n == 54275, "%llu documents", (unsigned long long)n);
}

const struct check_test golden_test[] = { TEST(test_golden),     TEST(test_formats),
                                          TEST(test_by_content), TEST(test_refused),
                                          TEST(test_writer),     TEST(test_natural) };
const size_t n_golden_test = N_OF(golden_test);
