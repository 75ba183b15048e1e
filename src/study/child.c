/* study/child.c - see child.h. */
#define _GNU_SOURCE /* PR_SET_PDEATHSIG, pipe2 */
#include "study/child.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"

/* Starts argv with the given stdout and stderr (-1: inherited); returns the process, or -1. */
static pid_t start(const struct strlist *argv, int out, int errs)
{
    char **args =
        NEW_ARRAY(char *, argv->n + 1); /* made before fork: a child of threads may not allocate */
    memcpy(args, argv->s, argv->n * sizeof *args);
    pid_t parent = getpid(), pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent)
            _exit(127); /* the parent died before the line above */
        if ((out >= 0 && dup2(out, STDOUT_FILENO) < 0) ||
            (errs >= 0 && dup2(errs, STDERR_FILENO) < 0))
            _exit(127);
        signal(SIGPIPE, SIG_DFL);
        execvp(args[0], args);
        _exit(127);
    }
    free(args);
    return pid;
}

/* What a wait status means for us. */
static enum st verdict(const struct strlist *argv, int status, struct err *err)
{
    const char *what = argv->n > 1 ? argv->s[1] : argv->s[0];
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return ST_OK;
    if ((WIFEXITED(status) && WEXITSTATUS(status) == 130) || stop_asked())
        return err_set(err, ST_INTERRUPTED, "interrupted; the same command goes on from here");
    if (WIFSIGNALED(status))
        return err_set(err, ST_IO, "%s was ended by signal %d (%s)", what, WTERMSIG(status),
                       strsignal(WTERMSIG(status)));
    if (WEXITSTATUS(status) == 127)
        return err_set(err, ST_IO, "'%s' could not be started", argv->s[0]);
    return err_set(err, WEXITSTATUS(status) == 2 ? ST_USAGE : ST_IO,
                   "%s failed, see its message above", what);
}

enum st child_run(const struct strlist *argv, struct strbuf *out, struct err *err)
{
    int pipe_fd[2];
    if (pipe2(pipe_fd, O_CLOEXEC) != 0)
        return err_set(err, ST_IO, "cannot make a pipe: %s", strerror(errno));
    pid_t pid = start(argv, pipe_fd[1], -1);
    close(pipe_fd[1]);
    if (pid < 0) {
        close(pipe_fd[0]);
        return err_set(err, ST_IO, "cannot start '%s': %s", argv->s[0], strerror(errno));
    }
    char buf[4096];
    ssize_t n = 1;
    bool told = false;
    while (n > 0) { /* by poll, because a signal does not end read(): handlers restart it */
        struct pollfd p = { .fd = pipe_fd[0], .events = POLLIN };
        if (stop_asked() && !told) {
            kill(pid, SIGTERM);
            told = true;
        }
        if (poll(&p, 1, 200) <= 0)
            continue;
        n = read(pipe_fd[0], buf, sizeof buf);
        if (n > 0 && out)
            str_add(out, buf, (size_t)n);
    }
    close(pipe_fd[0]);
    int status = 0;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    return verdict(argv, status, err);
}

enum st child_json(const struct strlist *argv, struct js **row, struct err *err)
{
    struct strbuf out = { 0 };
    *row = NULL;
    enum st st = child_run(argv, &out, err);
    if (st == ST_OK) {
        while (out.n && out.s[out.n - 1] == '\n')
            out.s[--out.n] = '\0';
        const char *line = out.n ? strrchr(out.s, '\n') : NULL;
        line = line ? line + 1 : out.n ? out.s : "";
        st = err_in(err, js_parse(row, line, strlen(line), err), "the last line of %s", argv->s[1]);
    }
    str_release(&out);
    return st;
}

/* The last line of a job's log, for the person. */
static void last_line(struct child_job *j)
{
    struct strbuf text = { 0 };
    struct err err;
    snprintf(j->why, sizeof j->why, "it left no message");
    if (file_read(j->log, 64 << 20, &text, &err) == ST_OK) {
        while (text.n && text.s[text.n - 1] == '\n')
            text.s[--text.n] = '\0';
        const char *line = text.n ? strrchr(text.s, '\n') : NULL;
        if (text.n)
            snprintf(j->why, sizeof j->why, "%s", line ? line + 1 : text.s);
    }
    str_release(&text);
}

static enum st start_job(struct child_job *j, pid_t *pid, struct err *err)
{
    char threads[16];
    snprintf(threads, sizeof threads, "%d", j->n_threads);
    strlist_add(&j->argv, "--threads");
    strlist_add(&j->argv, threads);
    int fd = open(j->log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (fd < 0)
        return err_set(err, ST_IO, "cannot open '%s': %s", j->log, strerror(errno));
    *pid = start(&j->argv, fd, fd);
    close(fd);
    return *pid > 0 ? ST_OK
                    : err_set(err, ST_IO, "cannot start '%s': %s", j->argv.s[0], strerror(errno));
}

/* Threads for the first of n jobs, of n_free: its own, and its part of what they all leave idle. */
static int share_of(const struct child_job *job, size_t n, int n_free)
{
    int idle = n_free;
    for (size_t i = 0; i < n && idle > 0; i++)
        idle -= job[i].n_threads;
    return job->n_threads + (idle > 0 ? idle / (int)n : 0);
}

enum st child_run_all(struct child_job *job, size_t n_job, int n_threads,
                      void (*finished)(void *ctx), void *ctx, struct err *err)
{
    struct slot {
        pid_t pid;
        size_t job;
    } *slot = NEW_ARRAY(struct slot, (size_t)n_threads);
    size_t next = 0;
    int n_running = 0, n_free = n_threads;
    bool told = false;
    enum st st = ST_OK;
    do {
        for (int i = 0; i < n_threads && next < n_job && st == ST_OK && !stop_asked(); i++) {
            struct child_job *j = &job[next];
            if (slot[i].pid)
                continue;
            if (j->n_threads > n_free && n_running)
                break; /* in order: the wide ones are the long ones */
            j->n_threads = share_of(j, n_job - next, n_free);
            slot[i].job = next++;
            st = start_job(j, &slot[i].pid, err);
            if (st == ST_OK) {
                n_running++;
                n_free -= j->n_threads;
            } else {
                slot[i].pid = 0;
            }
        }
        if ((stop_asked() || st < 0) && !told) {
            told = true;
            for (int i = 0; i < n_threads; i++)
                if (slot[i].pid)
                    kill(slot[i].pid, SIGTERM);
        }
        for (int i = 0; i < n_threads; i++) {
            int status;
            if (!slot[i].pid || waitpid(slot[i].pid, &status, WNOHANG) != slot[i].pid)
                continue;
            struct child_job *j = &job[slot[i].job];
            slot[i].pid = 0;
            n_running--;
            n_free += j->n_threads;
            j->done = WIFEXITED(status) && WEXITSTATUS(status) == 0;
            j->failed = !j->done;
            if (j->failed)
                last_line(j);
        }
        if (finished)
            finished(ctx);
        if (n_running)
            nanosleep(&(struct timespec){ .tv_nsec = 100000000 }, NULL);
    } while (n_running || (next < n_job && st == ST_OK && !stop_asked()));
    free(slot);
    if (st == ST_OK && stop_asked())
        st = err_set(err, ST_INTERRUPTED, "interrupted; the same command goes on from here");
    return st;
}
