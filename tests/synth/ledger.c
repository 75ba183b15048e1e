/* tests/synth/ledger.c - the ledger: torn, damaged, full, and its table. */
#include "synth_tests.h"

#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/mem.h"
#include "synth/ledger.h"

static struct digest key_of(int i)
{
    return (struct digest){ (uint64_t)i + 1, (uint64_t)i * 977 };
}

static void add_rows(struct ledger *l, int from, int to)
{
    for (int i = from; i < to; i++) {
        char raw[64];
        struct err err;
        int n = snprintf(raw, sizeof raw, "answer %d \"quoted\"\n\t%c", i, i % 5 ? 'x' : '\\');
        const struct ledger_row row = { .key = key_of(i),
                                        .prompt = { 3, (uint64_t)i },
                                        .id = "doc \"1\"",
                                        .piece = i,
                                        .variant = "after",
                                        .finish = (enum finish)(i % FINISH_N),
                                        .raw = raw,
                                        .n_raw = (size_t)n,
                                        .n_tok_prompt = 10,
                                        .n_tok = (uint32_t)i };
        CHECK(ledger_add(l, &row, &err) == ST_OK, "%s", err.msg);
    }
}

static int count_rows(struct ledger *l, int n)
{
    int have = 0;
    for (int i = 0; i < n; i++) {
        struct ledger_row row;
        struct err err;
        enum st st = ledger_get(l, key_of(i), &row, &err);
        if (st == ST_END)
            continue;
        have++;
        char want[32];
        snprintf(want, sizeof want, "answer %d \"quoted\"", i);
        CHECK(st == ST_OK && strncmp(row.raw, want, strlen(want)) == 0 && row.piece == i &&
                  row.finish == (enum finish)(i % FINISH_N) && row.n_tok == (uint32_t)i &&
                  strcmp(row.id, "doc \"1\"") == 0,
              "row %d: %s", i, row.raw);
    }
    return have;
}

/* Without file_write's fsync: thousands of times. */
static bool put_file(const char *path, const char *bytes, size_t n)
{
    FILE *f = fopen(path, "wb");
    bool fine = f && fwrite(bytes, 1, n, f) == n;
    return f && fclose(f) == 0 && fine;
}

/* Cut at every byte: the whole rows before the cut are there, the rest can be written again. */
static void test_ledger_cut(void)
{
    enum { ROWS = 12 };
    struct err err;
    struct ledger *l;
    struct strbuf all = { 0 };
    char *dir = path_join(check_dir(), "cut"), *path = path_join(dir, "ledger.jsonl");
    NEED(ledger_open(&l, dir, &err) == ST_OK, "%s", err.msg);
    add_rows(l, 0, ROWS);
    CHECK(count_rows(l, ROWS) == ROWS, "not all are there");
    struct ledger *second;
    CHECK(ledger_open(&second, dir, &err) == ST_IO, "two have it open");
    ledger_close(l);
    NEED(file_read(path, 1 << 20, &all, &err) == ST_OK, "%s", err.msg);
    for (size_t n = 0; n <= all.n; n++) {
        int whole = 0;
        for (size_t i = 0; i < n; i++)
            whole += all.s[i] == '\n';
        CHECK(put_file(path, all.s, n), "cannot write '%s'", path);
        NEED(ledger_open(&l, dir, &err) == ST_OK, "cut at %zu: %s", n, err.msg);
        CHECK(count_rows(l, ROWS) == whole, "cut at %zu: other rows than %d", n, whole);
        CHECK((ledger_stats(l).n_torn_bytes > 0) == (n > 0 && all.s[n - 1] != '\n'), "cut at %zu",
              n);
        if (n % 50 == 0) {
            add_rows(l, whole, ROWS);
            ledger_close(l);
            NEED(ledger_open(&l, dir, &err) == ST_OK, "%s", err.msg);
            CHECK(count_rows(l, ROWS) == ROWS, "cut at %zu: not all again", n);
            CHECK(ledger_stats(l).n_torn_bytes == 0 && ledger_stats(l).n_damaged == 0, "not clean");
        }
        ledger_close(l);
    }
    str_release(&all);
    free(dir);
    free(path);
}

/* A flipped byte costs its row alone (the last row: is cut off); the others stay. */
static void test_ledger_damage(void)
{
    enum { ROWS = 6 };
    struct err err;
    struct ledger *l;
    struct strbuf all = { 0 };
    char *dir = path_join(check_dir(), "damage"), *path = path_join(dir, "ledger.jsonl");
    NEED(ledger_open(&l, dir, &err) == ST_OK, "%s", err.msg);
    add_rows(l, 0, ROWS);
    ledger_close(l);
    NEED(file_read(path, 1 << 20, &all, &err) == ST_OK, "%s", err.msg);
    for (size_t i = 0; i < all.n; i += 3) {
        char was = all.s[i];
        all.s[i] ^= 0x15;
        CHECK(put_file(path, all.s, all.n), "cannot write '%s'", path);
        all.s[i] = was;
        NEED(ledger_open(&l, dir, &err) == ST_OK, "byte %zu: %s", i, err.msg);
        int have = count_rows(l, ROWS);
        CHECK(have == ROWS - 1 || (was == '\n' && have == ROWS - 2), "byte %zu: %d rows", i, have);
        ledger_close(l);
    }
    str_release(&all);
    free(dir);
    free(path);
}

/* Rows until the disk is full. */
static enum st fill(struct ledger *l, int *done, struct err *err)
{
    enum st st = ST_OK;
    while (st == ST_OK && *done < 10000) {
        const struct ledger_row row = { .key = key_of(*done),
                                        .id = "d",
                                        .variant = "v",
                                        .raw = "some text of an answer",
                                        .n_raw = 22 };
        st = ledger_add(l, &row, err);
        *done += st == ST_OK;
    }
    return st;
}

static void test_ledger_full_disk(void)
{
    struct err err;
    struct ledger *l;
    char *dir = path_join(check_dir(), "full");
    NEED(dir_make(dir, &err) == ST_OK, "%s", err.msg);
    char *command = xasprintf("mount -t tmpfs -o size=64k tmpfs %s 2>/dev/null", dir);
    if (system(command) != 0) {
        free(command);
        free(dir);
        SKIP("no small disk to fill: mounting a tmpfs needs root");
    }
    free(command);
    int done = 0;
    NEED(ledger_open(&l, dir, &err) == ST_OK, "%s", err.msg);
    enum st st = fill(l, &done, &err);
    CHECK(st == ST_IO && strstr(err.msg, "make room"), "%s", err.msg);
    ledger_close(l);
    command = xasprintf("mount -o remount,size=256k %s", dir);
    CHECK(system(command) == 0, "no larger disk");
    free(command);
    CHECK(ledger_open(&l, dir, &err) == ST_OK, "%s", err.msg);
    struct ledger_row row;
    int have = 0;
    for (int i = 0; i < done; i++)
        have += ledger_get(l, key_of(i), &row, &err) == ST_OK;
    CHECK(have == done, "%d of %d rows", have, done);
    add_rows(l, 20000, 20010);
    ledger_close(l);
    command = xasprintf("umount %s", dir);
    CHECK(system(command) == 0, "'%s' stays mounted", dir);
    free(command);
    free(dir);
}

/* A file that may not grow any more fails as a full disk does, and needs no root to be tried. */
static void test_ledger_size_limit(void)
{
    struct err err;
    struct ledger *l;
    struct rlimit was, small;
    char *dir = path_join(check_dir(), "small");
    NEED(getrlimit(RLIMIT_FSIZE, &was) == 0, "no limits");
    NEED(ledger_open(&l, dir, &err) == ST_OK, "%s", err.msg);
    small = was;
    small.rlim_cur = 40000;
    void (*handler)(int) = signal(SIGXFSZ, SIG_IGN); /* as mixlaw itself has it */
    NEED(setrlimit(RLIMIT_FSIZE, &small) == 0, "cannot set a limit");
    int done = 0;
    enum st st = fill(l, &done, &err);
    bool restored = setrlimit(RLIMIT_FSIZE, &was) == 0;
    signal(SIGXFSZ, handler);
    NEED(restored, "the limit stays");
    CHECK(st == ST_IO && strstr(err.msg, "make room") && done > 100, "%d rows: %s", done, err.msg);
    ledger_close(l);
    NEED(ledger_open(&l, dir, &err) == ST_OK, "%s", err.msg);
    CHECK(ledger_stats(l).n_rows == (uint64_t)done && ledger_stats(l).n_torn_bytes == 0,
          "%d rows were safe, %d are there", done, (int)ledger_stats(l).n_rows);
    add_rows(l, 20000, 20010);
    ledger_close(l);
    free(dir);
}

static const char *raw_of(struct ledger *l, struct digest key, bool *again)
{
    static struct ledger_row row;
    struct err err;
    if (ledger_get(l, key, &row, &err) != ST_OK)
        return "not there";
    *again = row.again;
    return row.raw;
}

/* Keys that share what the table holds of them, the same key twice, many keys; read once, and
 * again. */
static void test_ledger_table(void)
{
    enum { MANY = 5000 };
    static const struct {
        struct digest key;
        const char *raw;
    } row[] = { { { 1, 7 }, "one" }, { { 2, 7 }, "two" }, { { 3, 7 }, "three" },
                { { 4, 8 }, "old" }, { { 4, 8 }, "new" }, { { 5, 1031 }, "same place" } };
    struct err err;
    struct ledger *l;
    bool again;
    char *dir = path_join(check_dir(), "table");
    NEED(ledger_open(&l, dir, &err) == ST_OK, "%s", err.msg);
    for (size_t i = 0; i < N_OF(row); i++) {
        const struct ledger_row r = { .key = row[i].key,
                                      .id = "d",
                                      .variant = "v",
                                      .raw = row[i].raw,
                                      .n_raw = strlen(row[i].raw) };
        CHECK(ledger_add(l, &r, &err) == ST_OK, "%s", err.msg);
    }
    add_rows(l, 100, MANY);
    for (int turn = 0; turn < 3; turn++) {
        for (size_t i = 0; i < N_OF(row); i++) {
            const char *want = strcmp(row[i].raw, "old") == 0 ? "new" : row[i].raw;
            const char *raw = raw_of(l, row[i].key, &again);
            CHECK(strcmp(raw, want) == 0, "turn %d: '%s', want '%s'", turn, raw, want);
            CHECK(again == (strcmp(row[i].raw, "new") == 0), "turn %d: %s", turn, raw);
        }
        CHECK(strcmp(raw_of(l, (struct digest){ 9, 7 }, &again), "not there") == 0, "a fourth");
        CHECK(count_rows(l, MANY) == MANY - 100, "turn %d", turn);
        CHECK(strcmp(raw_of(l, row[0].key, &again), "one") == 0 && again, "got twice");
        if (turn == 0)
            ledger_rewind(l);
        if (turn == 1) {
            ledger_close(l);
            NEED(ledger_open(&l, dir, &err) == ST_OK, "%s", err.msg);
        }
    }
    ledger_close(l);
    free(dir);
}

const struct check_test ledger_test[] = {
    TEST(test_ledger_cut),        TEST(test_ledger_damage), TEST(test_ledger_full_disk),
    TEST(test_ledger_size_limit), TEST(test_ledger_table),
};
const size_t n_ledger_test = N_OF(ledger_test);
