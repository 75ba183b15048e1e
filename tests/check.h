/*
 * tests/check.h - the test harness: CHECK counts, check_main closes with "N passed, N failed".
 *
 *     static void test_units(void) { CHECK(v == 5, "got %d", v); }
 *
 * A test function passes when all its checks hold. SKIP("why") ends it as skipped. Scratch files
 * belong into check_dir(), a fresh folder that is removed at the end.
 */
#ifndef MIXLAW_TESTS_CHECK_H
#define MIXLAW_TESTS_CHECK_H

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/file.h"

/* One copy for all files of a test program (weak: each file defines them, the linker keeps one),
 * or failures of a file without main() would count nowhere. */
#define CHECK_SHARED __attribute__((weak))
CHECK_SHARED int check_n_failed; /* in the running test */
CHECK_SHARED bool check_skipped;
CHECK_SHARED char check_tmp[64];

#define CHECK(cond, ...)                                                                           \
    do {                                                                                           \
        if (!(cond)) {                                                                             \
            printf("%s:%d: %s: ", __FILE__, __LINE__, #cond);                                      \
            printf(__VA_ARGS__);                                                                   \
            putchar('\n');                                                                         \
            check_n_failed++;                                                                      \
        }                                                                                          \
    } while (0)

/* Stops the test when a later check would only crash. */
#define NEED(cond, ...)                                                                            \
    do {                                                                                           \
        int before = check_n_failed;                                                               \
        CHECK(cond, __VA_ARGS__);                                                                  \
        if (check_n_failed != before)                                                              \
            return;                                                                                \
    } while (0)

#define SKIP(...)                                                                                  \
    do {                                                                                           \
        printf("skipped: ");                                                                       \
        printf(__VA_ARGS__);                                                                       \
        putchar('\n');                                                                             \
        check_skipped = true;                                                                      \
        return;                                                                                    \
    } while (0)

static inline const char *check_dir(void)
{
    if (!check_tmp[0]) {
        const char *base = getenv("TMPDIR");
        snprintf(check_tmp, sizeof check_tmp, "%.40s/mixlaw-XXXXXX", base && *base ? base : "/tmp");
        if (!mkdtemp(check_tmp)) {
            perror(check_tmp);
            exit(1);
        }
    }
    return check_tmp;
}

/* Processor time of this process, seconds: for bounds on work, which a busy machine does not move.
 */
static inline double check_cpu_s(void)
{
    return (double)clock() / CLOCKS_PER_SEC;
}

struct check_test {
    const char *name;
    void (*run)(void);
};

static inline int check_main(const struct check_test *test, size_t n, int argc, char **argv)
{
    int n_pass = 0, n_fail = 0, n_skip = 0;
    for (size_t i = 0; i < n; i++) {
        if (argc > 1 && !strstr(test[i].name, argv[1]))
            continue;
        check_n_failed = 0;
        check_skipped = false;
        test[i].run();
        fflush(stdout);
        if (check_n_failed) {
            printf("FAILED %s\n", test[i].name);
            n_fail++;
        } else if (check_skipped) {
            n_skip++;
        } else {
            n_pass++;
        }
    }
    struct err err;
    if (check_tmp[0] && dir_remove(check_tmp, &err) < 0)
        printf("%s\n", err.msg);
    printf("%d passed, %d failed, %d skipped\n", n_pass, n_fail, n_skip);
    return n_fail > 0;
}

/* A folder's test files each define a table; the one with main() lists them: see tests/base/main.c.
 */
#define TEST(name)                                                                                 \
    {                                                                                              \
#name, name                                                                                \
    }

#endif
