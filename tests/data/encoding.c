/* tests/data/encoding.c - documents to token files, and token files of other formats. */
#include "check.h"
#include "data_tests.h"

#include "base/json.h"
#include "base/mem.h"
#include "data/encode.h"
#include "data/shard.h"
#include "data/tokfile.h"
#include "tok/tok.h"

enum { N_DOC = 1500 };

/* Text of document i; some are long, one is empty of letters, one spells a special token. */
static void doc_text(struct strbuf *b, int i)
{
    str_clear(b);
    if (i == 7)
        str_adds(b, "  \n");
    else if (i == 8)
        str_adds(b, "an <|endoftext|> in the text");
    else
        for (int k = 0; k < 1 + i % 90 * (i % 100 == 99 ? 200 : 1); k++)
            str_printf(b, "%s %d\xC3\xA9 it's ", k % 3 ? "word" : "Other", i + k);
}

static char *write_docs(const char *name, int n_doc, const char *damaged_line)
{
    char *path = path_join(check_dir(), name);
    struct strbuf all = { 0 }, text = { 0 };
    struct err err = { "" };
    for (int i = 0; i < n_doc; i++) {
        doc_text(&text, i);
        str_printf(&all, "{\"id\":\"d%d\",\"text\":", i);
        js_quote(&all, text.s, text.n);
        str_adds(&all, "}\n");
        if (i == n_doc / 2)
            str_adds(&all, damaged_line);
    }
    CHECK(file_write(path, all.s, all.n, &err) == ST_OK, "%s", err.msg);
    str_release(&all);
    str_release(&text);
    return path;
}

static bool same_file(const char *a, const char *b, const char *suffix)
{
    struct err err;
    struct strbuf x = { 0 }, y = { 0 };
    char *pa = xasprintf("%s%s", a, suffix), *pb = xasprintf("%s%s", b, suffix);
    bool same = file_read(pa, 1 << 26, &x, &err) == ST_OK &&
                file_read(pb, 1 << 26, &y, &err) == ST_OK && x.n == y.n &&
                memcmp(x.s, y.s, x.n) == 0;
    str_release(&x);
    str_release(&y);
    free(pa);
    free(pb);
    return same;
}

static void test_encode_files(void)
{
    static char json[] = "tests/golden/tok/hf.json";
    char *docs = write_docs("docs.jsonl", N_DOC, "{\"id\": damaged\n");
    char *one = path_join(check_dir(), "enc/one"), *three = path_join(check_dir(), "enc/three");
    struct encode_conf c = { .tokenizer = json, .prefix = one, .source = "test", .n_threads = 1 };
    struct encode_counts n, again;
    struct err err = { "" };
    NEED(encode_files(&n, &c, &docs, 1, &err) == ST_OK, "%s", err.msg);
    CHECK(n.n_docs == N_DOC && n.n_skipped == 1, "%llu documents, %llu skipped",
          (unsigned long long)n.n_docs, (unsigned long long)n.n_skipped);
    CHECK(encode_files(&again, &c, &docs, 1, &err) == ST_END && again.n_tok == n.n_tok &&
              again.n_bytes == n.n_bytes && again.n_skipped == 1,
          "not up to date: %s", err.msg);
    c.prefix = three, c.n_threads = 3;
    NEED(encode_files(&again, &c, &docs, 1, &err) == ST_OK, "%s", err.msg);
    CHECK(same_file(one, three, ".bin") && same_file(one, three, ".idx"), "threads change it");
    c.source = "other";
    CHECK(encode_files(&again, &c, &docs, 1, &err) == ST_USAGE &&
              strstr(err.msg, "other inputs or settings"),
          "got %s", err.msg);
    char *strict = path_join(check_dir(), "enc/strict");
    c.prefix = strict, c.strict = true;
    CHECK(encode_files(&again, &c, &docs, 1, &err) == ST_FORMAT, "damage passed: %s", err.msg);
    char *left = xasprintf("%s.bin", strict);
    CHECK(!file_exists(left), "a file in spite of it");
    c.strict = false, c.max_tok = 1000;
    NEED(encode_files(&again, &c, &docs, 1, &err) == ST_OK, "%s", err.msg);
    CHECK(again.n_tok >= 1000 && again.n_tok < 3000, "%llu tokens",
          (unsigned long long)again.n_tok);
    free(left);
    free(strict);
    free(one);
    free(three);
    free(docs);
}

/* What the token files hold decodes to the documents, closed by the end-of-document token. */
static void test_encode_content(void)
{
    static char json[] = "tests/golden/tok/hf.json";
    char *docs = write_docs("docs.jsonl", 300, ""), *prefix = path_join(check_dir(), "content");
    struct encode_conf c = { .tokenizer = json, .prefix = prefix, .n_threads = 2 };
    struct encode_counts n;
    struct err err = { "" };
    struct shard *s;
    struct tok *t;
    NEED(encode_files(&n, &c, &docs, 1, &err) == ST_OK, "%s", err.msg);
    NEED(shard_open(&s, prefix, &err) == ST_OK, "%s", err.msg);
    NEED(tok_load(&t, json, &err) == ST_OK, "%s", err.msg);
    struct strbuf want = { 0 }, got = { 0 };
    uint64_t n_bytes = 0;
    for (int i = 0; i < 300; i++) {
        size_t len = shard_doc_len(s, (size_t)i);
        uint32_t *ids = NEW_ARRAY(uint32_t, len);
        shard_copy(s, (size_t)i, 0, len, ids);
        str_clear(&got);
        tok_decode(t, ids, len, &got);
        doc_text(&want, i);
        n_bytes += want.n;
        CHECK(ids[len - 1] == 0, "document %d is not closed", i);
        for (size_t k = 0; k + 1 < len; k++)
            CHECK(ids[k] != 0, "document %d ends early", i);
        CHECK(got.n == want.n && memcmp(got.s, want.s, want.n) == 0, "document %d is '%.50s'", i,
              got.s);
        free(ids);
    }
    CHECK(shard_n_bytes(s) == n_bytes && n.n_bytes == n_bytes, "bytes");
    CHECK(strcmp(js_get_text(shard_manifest(s), "source", ""), "content") == 0, "source");
    str_release(&want);
    str_release(&got);
    tok_free(t);
    shard_close(s);
    free(prefix);
    free(docs);
}

static struct tokfile *reopen(const char *path, int64_t eod)
{
    struct err err = { "" };
    struct tokfile *f = NULL;
    CHECK(tokfile_open(&f, path, eod, &err) == ST_OK, "%s", err.msg);
    CHECK(f == NULL || tokfile_verify(f, &err) == ST_OK, "%s", err.msg);
    return f;
}

/* Through all formats and back to the same bytes, for both widths. */
static void test_convert(void)
{
    static const int vocab[] = { 3000, 70000 };
    for (size_t i = 0; i < N_OF(vocab); i++) {
        struct err err = { "" };
        char *prefix = make_shard("first", 300, 2, 40, vocab[i]);
        char *l = path_join(check_dir(), i ? "l1" : "l0"),
             *d = path_join(check_dir(), i ? "d1" : "d0");
        char *m = path_join(check_dir(), i ? "m1" : "m0");
        const char *step[][2] = {
            { prefix, "" }, { l, "llmc" }, { d, "datatrove" }, { m, "megatron" }
        };
        for (size_t k = 1; k < N_OF(step); k++) {
            struct tokfile *f = reopen(step[k - 1][0], 0);
            NEED(f, "not open");
            CHECK(tokfile_convert(f, step[k][1], step[k][0], &err) == ST_OK, "%s", err.msg);
            CHECK(tokfile_convert(f, step[k][1], step[k - 1][0], &err) == ST_USAGE,
                  "over itself: %s", err.msg);
            CHECK(tokfile_convert(f, "mds", m, &err) == ST_UNSUPPORTED, "%s", err.msg);
            tokfile_close(f);
            f = reopen(step[k][0], -1);
            NEED(f, "not open");
            CHECK(strcmp(tokfile_format(f), step[k][1]) == 0 && tokfile_n_docs(f) == 300,
                  "%s with %zu documents", tokfile_format(f), tokfile_n_docs(f));
            tokfile_close(f);
        }
        CHECK(same_file(prefix, m, ".bin") && same_file(prefix, m, ".idx"), "not the same bytes");
        free(prefix);
        free(l);
        free(d);
        free(m);
    }
}

struct edit {
    const char *file;
    long at; /* -1: cut to n bytes */
    uint32_t value;
    size_t n;
    enum st want;
    const char *msg;
};

/* Damage in llm.c's and datatrove's files, at opening or by verify. */
static void test_tokfile_damage(void)
{
    static const struct edit row[] = {
        { "l.bin", 0, 7, 0, ST_FORMAT, "no token file we know" },
        { "l.bin", 4, 7, 0, ST_FORMAT, "at byte 4: the version is 7, want 1" },
        { "l.bin", 8, UINT32_MAX, 0, ST_FORMAT, "at byte 8: the number of tokens is -1" },
        { "l.bin", -1, 0, 1000, ST_FORMAT, "want a header of 1024" },
        { "l.bin", -1, 0, 1031, ST_FORMAT, "at byte 8" },
        { "l.bin", 1030, 0x0BB80BB8, 0, ST_FORMAT,
          "at byte 1030: token 3 is 3000, want below 3000" },
        { "d.ds.index", 8, 1, 0, ST_FORMAT, "at byte 8: document 1 ends at token 1" },
        { "d.ds.index", 12, UINT32_MAX, 0, ST_FORMAT, "at byte 8" },
        { "d.ds.index", -1, 0, 79, ST_FORMAT, "want a multiple of 8" },
        { "d.ds.index", -1, 0, 72, ST_FORMAT, "by its index" },
        { "d.ds", -1, 0, 5, ST_FORMAT, "" },
        { "d.ds.metadata", 14, '|' | '4' << 8, 0, ST_FORMAT, "says 4 bytes a token" },
        { "first.bin", 4, 0x00070007, 0, ST_FORMAT, "digest" },
    };
    for (size_t i = 0; i < N_OF(row); i++) {
        struct err err = { "" };
        struct strbuf b = { 0 };
        char *prefix = make_shard("first", 10, 2, 9, 3000),
             *path = path_join(check_dir(), row[i].file);
        char *l = path_join(check_dir(), "l"), *d = path_join(check_dir(), "d");
        struct tokfile *f = reopen(prefix, -1);
        NEED(f && tokfile_convert(f, "llmc", l, &err) == ST_OK &&
                 tokfile_convert(f, "datatrove", d, &err) == ST_OK,
             "%s", err.msg);
        tokfile_close(f);
        f = NULL;
        NEED(file_read(path, 1 << 20, &b, &err) == ST_OK, "%s", err.msg);
        if (row[i].at >= 0)
            memcpy(b.s + row[i].at, &row[i].value, 4);
        CHECK(file_write(path, b.s, row[i].at < 0 ? row[i].n : b.n, &err) == ST_OK, "%s", err.msg);
        const char *opened = row[i].file[0] == 'l' ? l : row[i].file[0] == 'd' ? d : prefix;
        enum st st = tokfile_open(&f, opened, -1, &err);
        if (st == ST_OK)
            st = tokfile_verify(f, &err);
        CHECK(st == row[i].want && strstr(err.msg, row[i].msg), "row %zu: got %d, %s", i, (int)st,
              err.msg);
        tokfile_close(f);
        str_release(&b);
        free(prefix);
        free(path);
        free(l);
        free(d);
    }
}

const struct check_test encode_tests[] = {
    TEST(test_encode_files),
    TEST(test_encode_content),
    TEST(test_convert),
    TEST(test_tokfile_damage),
};
const size_t n_encode_tests = N_OF(encode_tests);
