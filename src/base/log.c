/* base/log.c - see log.h. */
#include "base/log.h"

#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/str.h"
#include "base/units.h"

/* Process-wide on purpose, see log.h. */
static enum log_level level = LOG_NORMAL;
static volatile sig_atomic_t stop_signal;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static bool line_open; /* a live line stands unfinished on the terminal */

void log_set_level(enum log_level l)
{
    level = l;
}

enum log_level log_get_level(void)
{
    return level;
}

static void PRINTF_LIKE(2, 0) say(const char *prefix, const char *fmt, va_list ap)
{
    struct strbuf b = { 0 };
    char text[2048];
    vsnprintf(text, sizeof text, fmt, ap);
    for (char *c = text; *c; c++) /* no terminal commands */
        if (((unsigned char)*c < 0x20 && *c != '\n' && *c != '\t') || *c == 0x7F)
            *c = '?';
    str_printf(&b, "%s%s\n", prefix, text);
    pthread_mutex_lock(&lock);
    if (line_open)
        fputs("\r\033[K", stderr);
    line_open = false;
    fputs(b.s, stderr);
    pthread_mutex_unlock(&lock);
    str_release(&b);
}

void log_info(const char *fmt, ...)
{
    if (level == LOG_QUIET)
        return;
    va_list ap;
    va_start(ap, fmt);
    say("", fmt, ap);
    va_end(ap);
}

void log_warn(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    say("mixlaw: warning: ", fmt, ap);
    va_end(ap);
}

void log_error(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    say("", fmt, ap);
    va_end(ap);
}

void log_debug(const char *fmt, ...)
{
    if (level != LOG_VERBOSE)
        return;
    va_list ap;
    va_start(ap, fmt);
    say("", fmt, ap);
    va_end(ap);
}

double clock_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

double clock_cpu_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

enum { BAR = 20 };

/* A quantity in the progress line: bytes as bytes, the rest as short counts. */
static const char *amount(char buf[UNITS_MAX], double n, const char *unit)
{
    return strcmp(unit, "B") == 0 ? units_bytes(buf, n) : units_count(buf, n);
}

static void draw(const struct progress *p, double now, bool last)
{
    char a[UNITS_MAX], b[UNITS_MAX], c[UNITS_MAX], bar[BAR + 3] = "";
    double took = now - p->start_s, rate = took > 0 ? (double)(p->done - p->first) / took : 0;
    bool bytes = strcmp(p->unit, "B") == 0;
    struct strbuf line = { 0 };
    str_printf(&line, "%-16s ", p->what);
    if (p->total) {
        size_t full = (size_t)((double)BAR * (double)p->done / (double)p->total);
        bar[0] = '[';
        memset(bar + 1, '.', BAR);
        memset(bar + 1, '#', full < BAR ? full : BAR);
        bar[BAR + 1] = ']';
        str_printf(&line, "%s  %s/%s%s%s  %s/s  ", bar, amount(a, (double)p->done, p->unit),
                   amount(b, (double)p->total, p->unit), bytes ? "" : " ", bytes ? "" : p->unit,
                   amount(c, rate, p->unit));
        if (last)
            str_printf(&line, "%s", units_time(a, took));
        else if (rate > 0)
            str_printf(
                &line, "%s left",
                units_time(a,
                           (double)(p->total - (p->done < p->total ? p->done : p->total)) / rate));
    } else {
        str_printf(&line, "%s%s%s  %s/s  %s", amount(a, (double)p->done, p->unit), bytes ? "" : " ",
                   bytes ? "" : p->unit, amount(b, rate, p->unit), units_time(c, took));
    }
    if (p->note)
        str_printf(&line, "  %s", p->note);
    pthread_mutex_lock(&lock);
    if (p->live) {
        fprintf(stderr, "\r\033[K%.*s%s", 200, line.s, last ? "\n" : "");
        line_open = !last;
    } else {
        fprintf(stderr, "%s\n", line.s);
    }
    fflush(stderr);
    pthread_mutex_unlock(&lock);
    str_release(&line);
}

void progress_start(struct progress *p, const char *what, uint64_t total, const char *unit)
{
    *p = (struct progress){
        .what = what, .unit = unit, .total = total, .live = isatty(STDERR_FILENO)
    };
    p->start_s = p->last_s = clock_s();
}

void progress_resume(struct progress *p, uint64_t done_before)
{
    p->first = p->done = done_before;
}

void progress_at(struct progress *p, uint64_t done)
{
    p->done = done;
    if (level == LOG_QUIET)
        return;
    double now = clock_s();
    if (now - p->last_s < (p->live ? 0.1 : 10.0))
        return;
    p->last_s = now;
    draw(p, now, false);
}

void progress_end(struct progress *p)
{
    if (level != LOG_QUIET && p->what)
        draw(p, clock_s(), true);
    p->what = NULL;
}

static void on_signal(int sig)
{
    if (stop_signal) /* asked twice: go at once */
        _exit(130);
    stop_signal = sig;
}

void stop_on_signals(void)
{
    struct sigaction a = { .sa_handler = on_signal, .sa_flags = SA_RESTART };
    sigemptyset(&a.sa_mask);
    sigaction(SIGINT, &a, NULL);
    sigaction(SIGTERM, &a, NULL);
    a.sa_handler = SIG_IGN;
    sigaction(SIGPIPE, &a, NULL);
    sigaction(SIGXFSZ, &a,
              NULL); /* a file past `ulimit -f` is a write that fails, as a full disk */
}

bool stop_asked(void)
{
    return stop_signal != 0;
}
