/* tests/train/train_tests.h - a small world for whole runs: tokenizer, token files, runs in child
 * processes. */
#ifndef MIXLAW_TESTS_TRAIN_TESTS_H
#define MIXLAW_TESTS_TRAIN_TESTS_H

#include "train/plan.h"
#include "train/train.h"

/* Makes once, in check_dir(): tok.json, natural.*, hq.*, books.*, news.*, other.* (another
 * tokenizer), shape.json. Returns false, with failed checks, when that did not work. */
bool world(void);
const char *in_world(const char *name); /* path, valid until the end */

/* A run's settings with lists that are released by asked_release. */
struct asked {
    struct train_conf conf;
    struct train_env env;
};
struct asked ask(const char *out); /* 100 steps, two sources, two domains */
void ask_tokens(struct asked *a, const char *one, const char *two, const char *three);
void asked_release(struct asked *a);

enum st run_here(const struct asked *a, struct err *err);

/* In a child process that the kernel ends, with no handler run, after kill_after_cpu_s of its own
 * processor time (0: never); not of the clock's, so that a busy machine does not move the moment.
 * Returns what the child returned, or 1 (ST_END) when it was killed. */
int run_child(const struct asked *a, double kill_after_cpu_s);
double children_cpu_s(void); /* of the children that have ended */

/* result.json without its timing; the caller frees it. NULL, with a failed check, when absent. */
char *result_of(const char *dir);
void remove_world(const char *name);

/* Two folders' results, and a file in them, are the same; timing aside. */
void same_result(const char *dir, const char *want_dir);
void same_file(const char *dir, const char *want_dir, const char *name);

void test_run(void);
void test_memory_refused(void);
void test_up_to_date(void);
void test_threads(void);
void test_kernel_paths(void);
void test_branches(void);
void test_options(void);
void test_resume(void);
void test_torn_state(void);
void test_interrupted(void);
void test_diverged(void);
void test_full_disk(void);
void test_lock(void);
void test_bad_input(void);
void test_metrics_and_events(void);

#endif
