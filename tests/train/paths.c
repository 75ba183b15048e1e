/* tests/train/paths.c - whole runs on every kernel path that the processor has. */
#include "train_tests.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "backend/cpu/isa.h"
#include "base/log.h"
#include "check.h"
#include "run/folder.h"

enum { STEPS = 12, BATCH = 128 };

/* One go in a child process that is asked to stop before its first step: it does that one, saves,
 * and ends. */
static enum st one_step_more(const struct asked *a)
{
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        struct err err = { "" };
        stop_on_signals();
        raise(SIGTERM);
        enum st st = run_here(a, &err);
        if (st < 0 && st != ST_INTERRUPTED)
            fprintf(stderr, "%s\n", err.msg);
        _exit(-(int)st);
    }
    int status = 0;
    waitpid(pid, &status, 0);
    return WIFEXITED(status) ? (enum st) - WEXITSTATUS(status) : ST_END;
}

/* On one thread, on two, and stopped after every step to go on with another number of threads: the
 * same bytes. */
static void check_path(const char *isa, const char *precision, const char *backend)
{
    static const char *const how[] = { "one", "two", "broken" };
    const char *dir[N_OF(how)];
    for (size_t i = 0; i < N_OF(how); i++) {
        char *name = xasprintf("path-%s-%s-%s", isa, precision, how[i]),
             *tokens = xasprintf("%d", STEPS * BATCH);
        struct asked a = ask(dir[i] = in_world(name));
        struct err err = { "" };
        a.conf.run_id = "r";
        a.conf.precision = precision;
        a.env.n_threads = i == 1 ? 2 : 1;
        ask_tokens(&a, tokens, NULL, NULL);
        for (int step = 0; i == 2 && step < STEPS; step++) {
            a.env.n_threads = 1 + step % 2;
            enum st st = one_step_more(&a);
            NEED(st == ST_INTERRUPTED, "%s: step %d ended with %d", name, step + 1, (int)st);
        }
        enum st st = run_here(&a, &err);
        NEED(st == ST_OK, "%s: %d, %s", name, (int)st, err.msg);
        asked_release(&a);
        free(tokens);
        free(name);
    }
    struct arena mem = { 0 };
    struct run_entry e;
    run_look(&e, dir[0], &mem);
    NEED(e.state == RUN_FINISHED && !e.rec.diverged, "%s: no result", dir[0]);
    CHECK(strcmp(e.rec.backend, backend) == 0, "%s: got %s", dir[0], e.rec.backend);
    arena_release(&mem);
    for (size_t i = 1; i < N_OF(dir); i++) {
        same_result(dir[i], dir[0]);
        same_file(dir[i], dir[0], "checkpoint/model.safetensors");
    }
}

void test_kernel_paths(void)
{
    static const struct {
        const char *isa, *precision, *backend;
    } row[] = {
        { "plain", "fp32", "cpu/plain fp32" },
        { "plain", "bf16", "cpu/plain bf16" },
        { "avx2", "fp32", "cpu/avx2 fp32" },
        { "avx2", "bf16", "cpu/avx2 bf16" },
        { "avx512", "fp32", "cpu/avx512 fp32" },
        { "avx512", "bf16", "cpu/avx512 bf16" },
        { "avx512bf16", "bf16", "cpu/avx512bf16 bf16" },
        { "amx", "bf16", "cpu/amx bf16" },
    };
    if (!world())
        return;
    const char *was = getenv("MIXLAW_ISA");
    char *keep = was ? xstrdup(was) : NULL;
    for (size_t i = 0; i < N_OF(row); i++)
        if (isa_find(row[i].isa)) {
            setenv("MIXLAW_ISA", row[i].isa, 1);
            check_path(row[i].isa, row[i].precision, row[i].backend);
        } else {
            printf("this processor has no %s\n", row[i].isa);
        }
    if (keep)
        setenv("MIXLAW_ISA", keep, 1);
    else
        unsetenv("MIXLAW_ISA");
    free(keep);
}
