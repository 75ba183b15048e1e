/* tests/data/shards.c - Megatron token files: there and back, and damage named with its byte. */
#include "check.h"
#include "data_tests.h"

#include <unistd.h>

#include "base/mem.h"
#include "data/shard.h"

char *make_shard(const char *name, size_t n_doc, size_t shortest, size_t longest, int vocab_size)
{
    struct err err = { "" };
    struct shard_writer *w;
    char *prefix = path_join(check_dir(), name);
    uint32_t *tok = NEW_ARRAY(uint32_t, longest + 1);
    enum st st = shard_writer_open(&w, prefix, vocab_size, &err);
    uint32_t next = 0;
    for (size_t d = 0; d < n_doc && st == ST_OK; d++) {
        size_t n = shortest + d * 7 % (longest - shortest + 1);
        for (size_t i = 0; i + 1 < n; i++)
            tok[i] = 1 + next++ % (uint32_t)(vocab_size - 1);
        if (n)
            tok[n - 1] = 0;
        st = shard_write(w, tok, n, 3 * n, &err);
    }
    if (st == ST_OK) {
        shard_writer_eod(w, 0);
        st = shard_writer_commit(w, NULL, &err);
    }
    shard_writer_close(w);
    free(tok);
    CHECK(st == ST_OK, "%s", err.msg);
    return prefix;
}

static void round_trip(int vocab_size, int width)
{
    struct err err = { "" };
    struct shard *s;
    char *prefix = make_shard("round", 20, 0, 9, vocab_size);
    NEED(shard_open(&s, prefix, &err) == ST_OK, "%s", err.msg);
    CHECK(shard_n_docs(s) == 20 && shard_width(s) == width, "got %zu, %d", shard_n_docs(s),
          shard_width(s));
    CHECK(shard_vocab_size(s) == vocab_size && shard_eod(s) == 0, "wrong manifest");
    uint64_t sum = 0;
    uint32_t next = 0, tok[16];
    for (size_t d = 0; d < 20; d++) {
        size_t n = shard_doc_len(s, d);
        CHECK(n == d * 7 % 10, "document %zu has %zu tokens", d, n);
        shard_copy(s, d, 0, n, tok);
        for (size_t i = 0; i + 1 < n; i++)
            CHECK(tok[i] == 1 + next++ % (uint32_t)(vocab_size - 1), "document %zu token %zu: %u",
                  d, i, tok[i]);
        sum += n;
    }
    CHECK(shard_n_tok(s) == sum && shard_n_bytes(s) == 3 * sum, "got %llu",
          (unsigned long long)shard_n_tok(s));
    CHECK(shard_check_ids(s, (uint32_t)vocab_size, &err) == ST_OK, "%s", err.msg);
    CHECK(shard_check_ids(s, 5, &err) == ST_FORMAT && strstr(err.msg, "token 4 is 5, want below 5"),
          "got %s", err.msg);
    shard_close(s);
    free(prefix);
}

static void test_shard_round_trip(void)
{
    round_trip(65499, 2);
    round_trip(65500, 4);
}

/* The layout byte by byte, as formats.md and Megatron's reader have it. */
static void test_shard_layout(void)
{
    static const uint8_t want[] = {
        'M', 'M', 'I', 'D', 'I', 'D', 'X', 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 8, /* header */
        2,   0,   0,   0,   0,   0,   0,   0, 3, 0, 0, 0, 0, 0, 0, 0, /* sequences, documents + 1 */
        3,   0,   0,   0,   1,   0,   0,   0,                         /* lengths */
        0,   0,   0,   0,   0,   0,   0,   0, 6, 0, 0, 0, 0, 0, 0, 0, /* offsets */
        0,   0,   0,   0,   0,   0,   0,   0, 1, 0, 0, 0, 0, 0, 0, 0, 2, 0,
        0,   0,   0,   0,   0,   0, /* documents */
    };
    static const uint8_t want_bin[] = { 5, 0, 0, 1, 0, 0, 0, 0 };
    struct err err = { "" };
    struct shard_writer *w;
    struct strbuf b = { 0 };
    char *prefix = path_join(check_dir(), "layout"), *idx = xasprintf("%s.idx", prefix);
    char *bin = xasprintf("%s.bin", prefix);
    NEED(shard_writer_open(&w, prefix, 300, &err) == ST_OK, "%s", err.msg);
    uint32_t a[] = { 5, 256, 0 }, z[] = { 0 }, bad[] = { 300 };
    CHECK(shard_write(w, a, 3, 4, &err) == ST_OK && shard_write(w, z, 1, 0, &err) == ST_OK, "%s",
          err.msg);
    CHECK(shard_write(w, bad, 1, 1, &err) == ST_FORMAT && strstr(err.msg, "token 300"), "got %s",
          err.msg);
    CHECK(!file_exists(idx) && !file_exists(bin), "there before commit");
    CHECK(shard_writer_commit(w, NULL, &err) == ST_OK, "%s", err.msg);
    shard_writer_close(w);
    CHECK(file_read(idx, 1000, &b, &err) == ST_OK && b.n == sizeof want &&
              memcmp(b.s, want, sizeof want) == 0,
          "the .idx differs (%zu bytes)", b.n);
    str_clear(&b);
    CHECK(file_read(bin, 1000, &b, &err) == ST_OK && b.n == sizeof want_bin &&
              memcmp(b.s, want_bin, sizeof want_bin) == 0,
          "the .bin differs (%zu bytes)", b.n);
    str_release(&b);
    free(idx);
    free(bin);
    free(prefix);
}

struct damage {
    const char *what;
    long at; /* byte of .idx to overwrite; -1: none; -2: truncate .idx; -3: .bin */
    uint64_t value;
    int n_bytes; /* of value, or the new size */
    enum st want;
    const char *msg;
};

static enum st damage_and_open(const struct damage *d, const char *prefix, struct err *err)
{
    struct strbuf b = { 0 };
    char *path = xasprintf("%s.%s", prefix, d->at == -3 ? "bin" : "idx");
    struct shard *s = NULL;
    enum st st = file_read(path, 1 << 20, &b, err);
    if (st == ST_OK && d->at >= 0)
        memcpy(b.s + d->at, &d->value, (size_t)d->n_bytes);
    if (st == ST_OK)
        st = file_write(path, b.s, d->at <= -2 ? (size_t)d->n_bytes : b.n, err);
    if (st == ST_OK)
        st = shard_open(&s, prefix, err);
    shard_close(s);
    str_release(&b);
    free(path);
    return st;
}

static void test_shard_damage(void)
{
    /* 3 documents of 2, 4, 3 tokens: lengths at 34, offsets at 46, document index at 70, size 102
     */
    static const struct damage row[] = {
        { "sound", -1, 0, 0, ST_OK, "" },
        { "magic", 3, 'x', 1, ST_FORMAT, "at byte 0" },
        { "version", 9, 2, 8, ST_FORMAT, "at byte 9: the version is 2, want 1" },
        { "type float", 17, 7, 1, ST_UNSUPPORTED, "at byte 17: token type 7" },
        { "type none", 17, 9, 1, ST_FORMAT, "at byte 17" },
        { "sequences", 18, 4, 8, ST_FORMAT, "" },
        { "sequences overflow", 18, UINT64_C(0x1555555555555556), 8, ST_FORMAT, "at byte 18" },
        { "sequences all ones", 18, UINT64_MAX, 8, ST_FORMAT, "at byte 18" },
        { "documents 0", 26, 0, 8, ST_FORMAT, "at byte 26" },
        { "documents overflow", 26, UINT64_C(0x2000000000000001), 8, ST_FORMAT, "at byte 26" },
        { "length", 38, 5, 4, ST_FORMAT, "at byte" },
        { "length negative", 38, UINT32_MAX, 4, ST_FORMAT, "at byte 38" },
        { "offset", 54, 5, 8, ST_FORMAT, "at byte 54: a sequence's offset is 5, want 4" },
        { "document not 0", 70, 1, 8, ST_FORMAT, "at byte 70" },
        { "document back", 86, 0, 8, ST_FORMAT, "at byte 86" },
        { "document end", 94, 2, 8, ST_FORMAT, "at byte 94" },
        { "idx empty", -2, 0, 0, ST_FORMAT, "has 0 bytes" },
        { "idx cut", -2, 0, 33, ST_FORMAT, "want at least 34" },
        { "idx cut later", -2, 0, 101, ST_FORMAT, "at byte 26" },
        { "bin cut", -3, 0, 17, ST_FORMAT, "sequences up to here is 18, want 17" },
        { "bin empty", -3, 0, 0, ST_FORMAT, "at byte 34" },
    };
    for (size_t i = 0; i < N_OF(row); i++) {
        struct err err = { "" };
        char *prefix = path_join(check_dir(), "damaged");
        struct shard_writer *w;
        uint32_t tok[] = { 1, 2, 3, 0 };
        NEED(shard_writer_open(&w, prefix, 10, &err) == ST_OK, "%s", err.msg);
        static const size_t len[] = { 2, 4, 3 };
        for (int d = 0; d < 3; d++)
            CHECK(shard_write(w, tok, len[d], 1, &err) == ST_OK, "%s", err.msg);
        CHECK(shard_writer_commit(w, NULL, &err) == ST_OK, "%s", err.msg);
        shard_writer_close(w);
        enum st st = damage_and_open(&row[i], prefix, &err);
        CHECK(st == row[i].want && strstr(err.msg, row[i].msg), "%s: got %d, %s", row[i].what,
              (int)st, err.msg);
        free(prefix);
    }
}

/* A manifest of other files beside sound ones, and files without a manifest. */
static void test_shard_manifest(void)
{
    struct err err = { "" };
    struct shard *s;
    char *prefix = make_shard("told", 5, 3, 6, 100), *json = xasprintf("%s.json", prefix);
    static const char wrong[] = "{\"docs\":5,\"tokens\":7,\"vocab_size\":100,\"eod\":0}";
    CHECK(file_write(json, wrong, sizeof wrong - 1, &err) == ST_OK, "%s", err.msg);
    CHECK(shard_open(&s, prefix, &err) == ST_FORMAT && strstr(err.msg, "7 tokens"), "got %s",
          err.msg);
    CHECK(unlink(json) == 0, "cannot remove");
    NEED(shard_open(&s, prefix, &err) == ST_OK, "%s", err.msg);
    CHECK(shard_manifest(s) == NULL && shard_vocab_size(s) == 0 && shard_eod(s) == -1,
          "a manifest from nowhere");
    shard_close(s);
    free(json);
    free(prefix);
}

const struct check_test shard_tests[] = {
    TEST(test_shard_round_trip),
    TEST(test_shard_layout),
    TEST(test_shard_damage),
    TEST(test_shard_manifest),
};
const size_t n_shard_tests = N_OF(shard_tests);
