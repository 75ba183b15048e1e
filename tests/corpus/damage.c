/* tests/corpus/damage.c - input that is cut, lies, or is not what it says. */
#include <sys/resource.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/stream.h"
#include "corpus_tests.h"

#define GOLDEN "tests/golden/corpus"

static void load(struct strbuf *out, const char *name)
{
    struct err err;
    char *path = path_join(GOLDEN, name);
    str_clear(out);
    enum st st = file_read(path, 1 << 20, out, &err);
    CHECK(st == ST_OK, "%s", err.msg);
    free(path);
}

/* Whether each line of part is a line of whole, in order. */
static bool lines_within(const char *part, const char *whole)
{
    while (*part) {
        size_t n = strcspn(part, "\n") + 1;
        const char *at = whole;
        while (*at && strncmp(at, part, n) != 0)
            at += strcspn(at, "\n") + 1;
        if (!*at)
            return false;
        whole = at + n;
        part += n;
    }
    return true;
}

/*
 * Cut at every byte: what is delivered are documents of the whole file, in order, and what is
 * missing is counted, except where the cut falls between records and cannot be seen.
 */
static void test_cut_everywhere(void)
{
    static const char *const name[] = { "plain.wet", "members.wet.gz", "one-member.wet.gz",
                                        "pages.warc", "lines.jsonl" };
    struct strbuf bytes = { 0 };
    for (size_t i = 0; i < N_OF(name); i++) {
        load(&bytes, name[i]);
        struct read_result whole = read_file(scratch(name[i], bytes.s, bytes.n), false);
        for (size_t n = 0; n < bytes.n; n++) {
            struct read_result cut = read_file(scratch(name[i], bytes.s, n), false);
            CHECK(cut.st == ST_END || cut.st == ST_FORMAT, "%s cut at %zu: %d", name[i], n,
                  (int)cut.st);
            if (cut.st == ST_END && n > 16 && cut.n_skipped == 0)
                CHECK(lines_within(cut.text.s, whole.text.s), "%s cut at %zu gave\n%s", name[i], n,
                      cut.text.s);
            /* one sample holds lines that look like records */
            CHECK(cut.n_skipped <= 3, "%s cut at %zu: %d skipped", name[i], n, (int)cut.n_skipped);
            str_release(&cut.text);
        }
        str_release(&whole.text);
    }
    str_release(&bytes);
}

/* Strict reading ends with a message that names file, record and byte. */
static void test_strict(void)
{
    struct strbuf bytes = { 0 };
    load(&bytes, "members.wet.gz");
    struct read_result got = read_file(scratch("cut.wet.gz", bytes.s, bytes.n - 30), true);
    CHECK(got.st == ST_FORMAT && strstr(got.err.msg, "cut.wet.gz' record 4 at byte") &&
              strstr(got.err.msg, "cut off"),
          "%d %s", (int)got.st, got.err.msg);
    str_release(&got.text);
    str_release(&bytes);
}

/* Each byte of the archive flipped: no crash, no endless loop, only documents that could be. */
static void test_flipped_bytes(void)
{
    static const char *const name[] = { "members.wet.gz", "pages.warc", "lines.jsonl",
                                        "small.dict.dz" };
    struct strbuf bytes = { 0 };
    for (size_t i = 0; i < N_OF(name); i++) {
        load(&bytes, name[i]);
        for (size_t n = 0; n < bytes.n; n++) {
            bytes.s[n] = (char)(bytes.s[n] ^ 0x55);
            struct read_result got = read_file(scratch(name[i], bytes.s, bytes.n), false);
            CHECK(got.st == ST_END || got.st == ST_FORMAT || got.st == ST_UNSUPPORTED,
                  "%s byte %zu: %d", name[i], n, (int)got.st);
            str_release(&got.text);
            bytes.s[n] = (char)(bytes.s[n] ^ 0x55);
        }
    }
    str_release(&bytes);
}

/* A damaged member costs its own record and no other. */
static void test_damaged_member(void)
{
    struct strbuf bytes = { 0 };
    load(&bytes, "members.wet.gz");
    size_t second = 0, n_member = 0;
    for (size_t i = 0; i + 3 < bytes.n; i++)
        if (memcmp(bytes.s + i, "\x1f\x8b\x08", 3) == 0 && ++n_member == 2)
            second = i;
    memset(bytes.s + second + 60, 0x7E, 12);
    struct read_result got = read_file(scratch("damaged.wet.gz", bytes.s, bytes.n), false);
    CHECK(got.n_docs == 2 && got.n_skipped == 1, "%d documents, %d skipped", (int)got.n_docs,
          (int)got.n_skipped);
    str_release(&got.text);
    str_release(&bytes);
}

static void test_content_length(void)
{
    static const struct {
        const char *length; /* of the first of two records, whose text has 5 bytes */
        uint64_t n_docs, n_skipped;
        const char *say;
    } row[] = {
        { "5", 2, 0, "" },
        { "4", 1, 1, "no record or end follows" },
        { "7", 2, 0, "" }, /* takes in the line end: no harm */
        { "6", 1, 1, "no record or end follows" },
        { "500", 1, 1, "bytes follow" },
        { "20", 1, 1, "no record or end follows" },
        { "99999999999999", 1, 1, "above the limit" },
        { "99999999999999999999999999", 1, 1, "want a number" },
        { "-5", 1, 1, "'-5', want a number" },
        { "x", 1, 1, "'x', want a number" },
        { "", 1, 1, "want a number" },
    };
    for (size_t i = 0; i < N_OF(row); i++) {
        char *file = xasprintf("WARC/1.0\r\nWARC-Type: conversion\r\nContent-Type: text/plain\r\n"
                               "Content-Length: %s\r\n\r\nfirst\r\n\r\n"
                               "WARC/1.0\r\nWARC-Type: conversion\r\nContent-Type: text/plain\r\n"
                               "Content-Length: 6\r\n\r\nsecond\r\n\r\n",
                               row[i].length);
        const char *path = scratch("length.warc", file, strlen(file));
        struct read_result got = read_file(path, false);
        CHECK(got.n_docs == row[i].n_docs && got.n_skipped == row[i].n_skipped,
              "'%s': %d documents, %d skipped", row[i].length, (int)got.n_docs, (int)got.n_skipped);
        CHECK(strstr(got.text.s, "\"second\""), "'%s': second record lost", row[i].length);
        str_release(&got.text);
        got = read_file(path, true);
        CHECK(row[i].n_skipped ? got.st == ST_FORMAT && strstr(got.err.msg, row[i].say) &&
                                     strstr(got.err.msg, "record 1 at byte 0")
                               : got.st == ST_END,
              "'%s': %d %s", row[i].length, (int)got.st, got.err.msg);
        str_release(&got.text);
        free(file);
    }
}

static void test_jsonl_lines(void)
{
    static const struct {
        const char *line, *say;
    } row[] = {
        { "{\"text\":\"x\"", "not JSON" },        { "{\"txt\":\"x\"}", "there is no \"text\"" },
        { "{\"text\":5}", "\"text\" is not" },    { "[1]", "want a JSON object" },
        { "{\"text\":\"\\ud800\"}", "not JSON" }, { "}", "not JSON" },
    };
    for (size_t i = 0; i < N_OF(row); i++) {
        char *file = xasprintf("{\"text\":\"a\"}\n%s\n{\"text\":\"b\"}", row[i].line);
        const char *path = scratch("bad.jsonl", file, strlen(file));
        struct read_result got = read_file(path, false);
        CHECK(got.n_docs == 2 && got.n_skipped == 1, "row %zu: %d, %d", i, (int)got.n_docs,
              (int)got.n_skipped);
        str_release(&got.text);
        got = read_file(path, true);
        CHECK(got.st == ST_FORMAT && strstr(got.err.msg, row[i].say) &&
                  strstr(got.err.msg, "record 2 at byte 13"),
              "row %zu: %s", i, got.err.msg);
        str_release(&got.text);
        free(file);
    }
    /* As deep as it likes: the parser has its own limit. */
    struct strbuf deep = { 0 };
    str_adds(&deep, "{\"text\":\"a\"}\n{\"text\":\"b\",\"meta\":{\"x\":");
    for (int i = 0; i < 200000; i++)
        str_addc(&deep, '[');
    struct read_result got = read_file(scratch("deep.jsonl", deep.s, deep.n), false);
    CHECK(got.n_docs == 1 && got.n_skipped == 1, "%d, %d", (int)got.n_docs, (int)got.n_skipped);
    str_release(&got.text);
    str_release(&deep);
}

static UNUSED uint64_t peak_kib(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return (uint64_t)u.ru_maxrss;
}

/* One line of 100 MB, as text, as JSONL and as a record: skipped and counted, what follows is read.
 */
static void test_long_line(void)
{
    static const struct {
        const char *name, *before, *after;
        uint64_t n_docs;
    } row[] = {
        { "long.txt", "first line\n", "\nlast line\n", 2 },
        { "long.jsonl", "{\"text\":\"first line\"}\n{\"text\":\"",
          "\"}\n{\"text\":\"last line\"}\n", 2 },
        { "only.txt", "", "", 0 },
        { "long.warc",
          "WARC/1.0\r\nWARC-Type: conversion\r\nContent-Type: text/plain\r\nContent-Length: "
          "100000000\r\n\r\n",
          "\r\n\r\nWARC/1.0\r\nWARC-Type: conversion\r\nContent-Type: text/plain\r\n"
          "Content-Length: 9\r\n\r\nlast line\r\n\r\n",
          1 },
        { "long.html", "<html><body><p>", "</p></body></html>", 0 },
    };
    char *block = xmalloc(1000000);
    memset(block, 'x', 1000000);
    for (size_t i = 0; i < N_OF(row); i++) {
        struct err err;
        struct outstream *o; /* packed, to spare the disk */
        char *path = xasprintf("%s/%s.gz", check_dir(), row[i].name);
        NEED(outstream_open(&o, path, &err) == ST_OK, "%s", err.msg);
        enum st st = outstream_write(o, row[i].before, strlen(row[i].before), &err);
        for (int k = 0; k < 100 && st == ST_OK; k++)
            st = outstream_write(o, block, 1000000, &err);
        if (st == ST_OK)
            st = outstream_write(o, row[i].after, strlen(row[i].after), &err);
        if (st == ST_OK)
            st = outstream_commit(o, &err);
        outstream_close(o);
        NEED(st == ST_OK, "%s", err.msg);
        struct read_result got = read_file(path, false);
        CHECK(got.st == ST_END && got.n_docs == row[i].n_docs && got.n_skipped == 1,
              "%s: %d, %d documents, %d skipped", row[i].name, (int)got.st, (int)got.n_docs,
              (int)got.n_skipped);
        CHECK(got.n_docs == 0 || strstr(got.text.s, "last line"), "%s: what follows is lost",
              row[i].name);
        unlink(path);
        str_release(&got.text);
        free(path);
    }
    free(block);
#if !defined(__SANITIZE_ADDRESS__)
    CHECK(peak_kib() < 400 * 1024, "%llu KiB at most", (unsigned long long)peak_kib());
#endif
}

static void test_odd_bytes(void)
{
    char nul[5000];
    memset(nul, 0, sizeof nul);
    struct read_result got = read_file(scratch("nul.txt", nul, sizeof nul), false);
    CHECK(got.st == ST_FORMAT, "a file of NULs: %d", (int)got.st);
    got = read_file(scratch("some.txt", "text with a\0NUL and \xFF\xFE bytes in it", 34), false);
    CHECK(got.n_docs == 1 && strstr(got.text.s, "aNUL"), "got %s", got.text.s);
    str_release(&got.text);
    got = read_file(scratch("none.txt", "", 0), true);
    CHECK(got.st == ST_END && got.n_docs == 0, "an empty file: %d", (int)got.st);
    str_release(&got.text);
}

/* Damaged gzip and zstd around formats without members. */
static void test_damaged_stream(void)
{
    static const char *const name[] = { "d.jsonl.gz", "d.jsonl.zst", "d.txt.gz" };
    for (size_t i = 0; i < N_OF(name); i++) {
        char *path = path_join(check_dir(), name[i]);
        struct outstream *o;
        struct strbuf bytes = { 0 };
        struct err err;
        NEED(outstream_open(&o, path, &err) == ST_OK, "%s", err.msg);
        uint64_t x = 1;
        for (int k = 0; k < 20000; k++) {
            char line[64];
            x = x * 6364136223846793005u + 1442695040888963407u;
            int n = snprintf(line, sizeof line, "{\"text\":\"%016llx\"}\n", (unsigned long long)x);
            CHECK(outstream_write(o, line, (size_t)n, &err) == ST_OK, "%s", err.msg);
        }
        CHECK(outstream_commit(o, &err) == ST_OK, "%s", err.msg);
        outstream_close(o);
        CHECK(file_read(path, 1 << 24, &bytes, &err) == ST_OK, "%s", err.msg);
        struct read_result got = read_file(scratch(name[i], bytes.s, bytes.n / 2), false);
        CHECK(got.st == ST_END && got.n_skipped == 1, "%s: %d, %d skipped", name[i], (int)got.st,
              (int)got.n_skipped);
        CHECK(got.n_docs < 20000, "%s: all %d there", name[i], (int)got.n_docs);
        str_release(&got.text);
        str_release(&bytes);
        free(path);
    }
}

const struct check_test damage_test[] = { TEST(test_cut_everywhere), TEST(test_strict),
                                          TEST(test_flipped_bytes),  TEST(test_damaged_member),
                                          TEST(test_content_length), TEST(test_jsonl_lines),
                                          TEST(test_long_line),      TEST(test_odd_bytes),
                                          TEST(test_damaged_stream) };
const size_t n_damage_test = N_OF(damage_test);
