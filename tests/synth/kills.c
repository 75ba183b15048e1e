/*
 * tests/synth/kills.c - kill -9 at any point: what is there in the end is byte for byte what an
 * undisturbed run makes.
 *
 * The points are system calls, counted by ptrace and drawn from a seed: all that another process
 * can see of a run happens in one of them, so a kill between two is a kill at one of them.
 */
#define _GNU_SOURCE /* ptrace and __WALL are Linux's own */
#include "synth_tests.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/hash.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/rng.h"

enum { PAGES = 48, KILLS = 50, KILLS_A_FOLDER = 5, NEVER = 1 << 30, NO_PTRACE = 125 };

static const char recipe[] =
    "name: own\npurpose: to be killed\ninput: {unit: page, min_words: 5}\n"
    "prompts: [{name: a, user: \"{text} Go.\"}, {name: b, user: \"{text} Come.\"}]\n"
    "limits: {min_words: 5, max_copied: 1, max_loop: 1, max_similar: 0.9}\n"
    "weak: {min_kept: 0, min_source_kept: 0}\n";

static void words(struct strbuf *b, struct rng *rng, int n)
{
    for (int i = 0; i < n; i++) {
        str_adds(b, i == 0 ? "The " : " ");
        for (uint64_t k = 2 + rng_below(rng, 3); k--;) {
            str_addc(b, "bdfgklmnprst"[rng_below(rng, 12)]);
            str_addc(b, "aeiou"[rng_below(rng, 5)]);
        }
    }
    str_addc(b, '.');
}

/* The command in a child that is stopped at its start, to be traced. */
static pid_t start(const char *dir, const char *out, const char *record, bool traced)
{
    char *mixlaw = getenv("MIXLAW"), *yaml = path_join(dir, "own.yaml"),
         *pages = path_join(dir, "pages.jsonl");
    pid_t pid = fork();
    if (pid == 0) {
        int nowhere = open("/dev/null", O_WRONLY);
        dup2(nowhere, 1);
        setenv("ASAN_OPTIONS", "detect_leaks=0", 1); /* its leak checker traces by itself */
        if (traced && ptrace(PTRACE_TRACEME, 0, 0, 0) != 0)
            _exit(NO_PTRACE);
        execl(mixlaw, "mixlaw", "synth", "--quiet", "--threads", "1", "--recipe", yaml,
              "--generator", record, "--out", out, pages, (char *)NULL);
        _exit(127);
    }
    free(yaml);
    free(pages);
    return pid;
}

/* Kills the run at a system call, the n-th of all its threads: true; false when it ended before,
 * with *status, after *n_calls. */
static bool killed_at(pid_t pid, long n, int *status, long *n_calls)
{
    pid_t who;
    *n_calls = 0;
    while ((who = waitpid(-1, status, __WALL)) > 0) {
        if (!WIFSTOPPED(*status)) {
            if (who == pid)
                return false;
            continue;
        }
        int sig = WSTOPSIG(*status);
        if (*n_calls == 0 && sig == SIGTRAP)
            ptrace(PTRACE_SETOPTIONS, who, 0,
                   PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL | PTRACE_O_TRACECLONE);
        bool call = sig == (SIGTRAP | 0x80);
        *n_calls += call;
        if (*n_calls == n) {
            kill(pid, SIGKILL);
            while (waitpid(-1, status, __WALL) > 0 || errno == EINTR)
                ;
            return true;
        }
        bool ours = call || sig == SIGTRAP || sig == SIGSTOP; /* no signal of the program's own */
        ptrace(PTRACE_SYSCALL, who, 0, ours ? 0 : sig);
    }
    return false;
}

static int run_whole(const char *dir, const char *out, const char *record)
{
    int status = -1;
    pid_t pid = start(dir, out, record, false);
    waitpid(pid, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* Pages, a recipe, and an answer for every prompt: what a first run with one answer for all asked
 * tells the prompts. */
static bool prepare(const char *dir, char **record)
{
    struct err err;
    struct rng rng;
    struct strbuf b = { 0 }, answers = { 0 };
    char *yaml = path_join(dir, "own.yaml"), *pages = path_join(dir, "pages.jsonl"),
         *any = path_join(dir, "any.jsonl"), *all = path_join(dir, "all.jsonl"),
         *first = path_join(dir, "first"), *ledger = path_join(first, "ledger.jsonl");
    static const char row[] = "{\"prompt\": \"*\", \"raw\": \"one for all\"}\n";
    rng_init(&rng, 50, "kills", 0);
    for (int i = 0; i < PAGES; i++) {
        str_printf(&b, "{\"id\":\"d%d\",\"text\":\"",
                   i % (PAGES - 2)); /* two ids are there twice */
        for (int k = 0; k < 4; k++) {
            str_adds(&b, k ? " " : "");
            words(&b, &rng, 8);
        }
        str_adds(&b, "\"}\n");
    }
    bool fine = dir_make(dir, &err) == ST_OK && file_write(pages, b.s, b.n, &err) == ST_OK &&
                file_write(yaml, recipe, strlen(recipe), &err) == ST_OK &&
                file_write(any, row, strlen(row), &err) == ST_OK;
    char *generator = xasprintf("record:%s", any);
    CHECK(fine && run_whole(dir, first, generator) == 0, "no first run");
    free(generator);
    str_clear(&b);
    fine = fine && file_read(ledger, 1 << 24, &b, &err) == ST_OK;
    for (size_t at = 0; fine && at < b.n;) {
        const char *end = memchr(b.s + at, '\n', b.n - at);
        struct js *v = NULL, *one = js_object();
        struct strbuf text = { 0 };
        if (!end || js_parse(&v, b.s + at, (size_t)(end - b.s) - at, &err) < 0)
            break;
        words(&text, &rng, 30);
        js_put_text(one, "prompt", js_get_text(v, "prompt", ""));
        js_put_text(one, "raw", rng_below(&rng, 8) ? text.s : "I'm sorry, I can't help with that.");
        js_write(one, &answers);
        str_addc(&answers, '\n');
        str_release(&text);
        js_free(v);
        js_free(one);
        at = (size_t)(end - b.s) + 1;
    }
    fine = fine && answers.n && file_write(all, answers.s, answers.n, &err) == ST_OK;
    *record = xasprintf("record:%s", all);
    str_release(&b);
    str_release(&answers);
    free(yaml);
    free(pages);
    free(any);
    free(all);
    free(first);
    free(ledger);
    return fine;
}

/* A file's bytes; of a manifest without what a clock said, of a ledger its keys and answers;
 * nothing of a lock, which has its holder's number. */
static char *content(const char *out, const char *name)
{
    struct err err;
    struct strbuf b = { 0 }, text = { 0 };
    if (str_ends(name, ".lock"))
        return xstrdup(name);
    char *path = path_join(out, name);
    CHECK(file_read(path, 1 << 24, &b, &err) == ST_OK, "%s", err.msg);
    free(path);
    bool manifest = strcmp(name, "manifest.json") == 0, ledger = strcmp(name, "ledger.jsonl") == 0;
    for (size_t at = 0; at < b.n && (manifest || ledger);) {
        const char *end = memchr(b.s + at, '\n', b.n - at);
        size_t n = end ? (size_t)(end - b.s) - at + 1 : b.n - at;
        char *line = xstrndup(b.s + at, n), *cut = strstr(line, ",\"wall_s\"");
        if (ledger && cut) /* times and the checksum over them; the answer stands between */
            str_printf(&text, "%.*s %s", (int)(cut - line), line, strstr(line, "\"raw\":"));
        else if (!strstr(line, "wall_s") && !strstr(line, "_per_s") && !strstr(line, "generate_s"))
            str_adds(&text, line);
        if (ledger && text.n > 26)
            text.s[text.n -= 26] = '\0';
        free(line);
        at += n;
    }
    if (!manifest && !ledger) {
        struct digest d = digest_of(b.s, b.n);
        str_printf(&text, "%zu bytes, %llx", b.n, (unsigned long long)(d.hi ^ d.lo));
    }
    str_release(&b);
    return str_detach(&text);
}

static bool same_folder(const char *want, const char *got)
{
    struct strlist a = { 0 }, b = { 0 };
    struct err err;
    bool same = dir_list(want, &a, &err) == ST_OK && dir_list(got, &b, &err) == ST_OK && a.n == b.n;
    CHECK(same, "%zu files, want %zu", b.n, a.n);
    for (size_t i = 0; i < a.n && same; i++) {
        char *x = content(want, a.s[i]), *y = content(got, b.s[i]);
        same = strcmp(a.s[i], b.s[i]) == 0 && strcmp(x, y) == 0;
        CHECK(same, "%s: '%.600s', want '%.600s'", b.s[i], y, x);
        free(x);
        free(y);
    }
    strlist_release(&a);
    strlist_release(&b);
    return same;
}

static void test_kill_anywhere(void)
{
    struct err err;
    struct rng rng;
    if (!getenv("MIXLAW"))
        SKIP("MIXLAW names no program to kill");
    char *dir = path_join(check_dir(), "kills"), *want = path_join(dir, "want"),
         *out = path_join(dir, "out"), *record = NULL;
    long n_calls = 0, n;
    int status = 0, n_kill = 0, n_folder = 0;
    NEED(prepare(dir, &record), "no input");
    bool whole = !killed_at(start(dir, want, record, true), NEVER, &status, &n_calls);
    if (WIFEXITED(status) && WEXITSTATUS(status) == NO_PTRACE)
        SKIP("ptrace is not permitted here");
    NEED(whole && WIFEXITED(status) && WEXITSTATUS(status) == 0 && n_calls > 2 * PAGES,
         "undisturbed: status %d after %ld calls", status, n_calls);
    rng_init(&rng, 9, "kills", 1);
    const uint64_t range = (uint64_t)n_calls;
    while (n_kill < KILLS) {
        for (int k = 0; k < KILLS_A_FOLDER && n_kill < KILLS; k++) {
            long at = 1 + (long)rng_below(&rng, range);
            if (!killed_at(start(dir, out, record, true), at, &status, &n))
                break;
            n_kill++;
        }
        CHECK(run_whole(dir, out, record) == 0, "after %d kills: no end", n_kill);
        NEED(same_folder(want, out), "other output after %d kills", n_kill);
        CHECK(dir_remove(out, &err) == ST_OK, "%s", err.msg);
        n_folder++;
    }
    printf("killed %d times at one of %ld points, %d folders\n", n_kill, n_calls, n_folder);
    free(dir);
    free(want);
    free(out);
    free(record);
}

const struct check_test kills_test[] = { TEST(test_kill_anywhere) };
const size_t n_kills_test = N_OF(kills_test);
