/* tests/synth/batch.c - batch files as they are written: their limits, and their order. batch.sh
 * has the rest. */
#include "synth_tests.h"

#include "base/json.h"
#include "base/mem.h"
#include "synth/generator.h"

static void put(struct generator *g, uint64_t i, const char *text)
{
    struct gen_request r = { .user = text, .tag = i, .sampling = { .max_tok = 9 } };
    struct generation out;
    struct err err;
    r.key = (struct digest){ .hi = i + 1, .lo = i * 0x9e3779b97f4a7c15u + 1 };
    generator_submit(g, &r);
    enum st st = generator_next(g, &out, &err);
    CHECK(st == ST_OK && out.is_later && out.tag == i, "request %d: %d", (int)i, st);
}

/* Lines of requests file number i, and its bytes; 0 when it is not there. */
static size_t lines_of(const char *dir, int i, size_t *n_bytes)
{
    char path[256];
    struct strbuf b = { 0 };
    struct err err;
    size_t n = 0;
    snprintf(path, sizeof path, "%s/requests-%05d.jsonl", dir, i);
    if (file_exists(path))
        CHECK(file_read(path, 1 << 30, &b, &err) == ST_OK, "%s", err.msg);
    for (size_t k = 0; k < b.n; k++)
        n += b.s[k] == '\n';
    *n_bytes = b.n;
    str_release(&b);
    return n;
}

static struct generator *open_batch(const char *dir)
{
    const struct generator_conf conf = { .model = "m" };
    struct generator *g = NULL;
    struct err err;
    char *where = xasprintf("batch:%s", dir);
    CHECK(generator_open(&g, where, &conf, &err) == ST_OK, "%s", err.msg);
    free(where);
    return g;
}

static void test_batch_limits(void)
{
    enum { N = 50001, LONG = 3 };
    char dir[128];
    struct generation out;
    struct err err;
    size_t n_bytes;
    snprintf(dir, sizeof dir, "%s/batch", check_dir());
    struct generator *g = open_batch(dir);
    NEED(g, "no generator");
    for (uint64_t i = 0; i < N; i++)
        put(g, i, "A page.");
    CHECK(generator_next(g, &out, &err) == ST_END, "no end");
    CHECK(lines_of(dir, 0, &n_bytes) == 50000, "the first file");
    CHECK(lines_of(dir, 1, &n_bytes) == 1, "the second file");
    char *text = xcalloc(1, 40000001);
    memset(text, 'x', 40000000);
    for (uint64_t i = 0; i < LONG; i++) /* of 40 MB: two a file */
        put(g, N + i, text);
    CHECK(generator_next(g, &out, &err) == ST_END, "no end");
    CHECK(lines_of(dir, 2, &n_bytes) == 2 && n_bytes < 100000000, "%zu bytes in one file", n_bytes);
    CHECK(lines_of(dir, 3, &n_bytes) == 1, "the rest of the long ones");
    generator_close(g);
    g = open_batch(dir); /* all are out, nothing is written again, new ones get a new file */
    NEED(g, "no generator");
    put(g, 17, "A page.");
    put(g, N + LONG, "A page.");
    CHECK(generator_next(g, &out, &err) == ST_END, "no end");
    CHECK(lines_of(dir, 4, &n_bytes) == 1 && lines_of(dir, 5, &n_bytes) == 0, "after the rest");
    generator_close(g);
    free(text);
}

const struct check_test batch_test[] = { TEST(test_batch_limits) };
const size_t n_batch_test = sizeof batch_test / sizeof *batch_test;
