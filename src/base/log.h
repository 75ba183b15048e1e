/*
 * base/log.h - messages and progress on stderr, and the request to stop.
 *
 * Bytes that a terminal would obey (names and headers come from outside) are shown as '?'.
 *
 * The level and the stop flag belong to the process, not to a caller: they are the one exception
 * to "no mutable globals" here, set once by cli/ before threads start (a signal sets the flag).
 *
 * Progress is one live line on a terminal, redrawn ten times a second at most, and a plain line
 * every 10 s elsewhere:
 *
 *     generate hq  [#######.......]  1.2k/2.5k pages  13.1/s  1 min 40 s left
 *
 *     struct progress p;
 *     progress_start(&p, "tokenize", n_bytes, "B");
 *     progress_at(&p, done);                 cheap; call it as often as you like
 *     progress_end(&p);
 *
 * Threads: messages may come from any thread; a struct progress belongs to one thread at a time.
 */
#ifndef MIXLAW_BASE_LOG_H
#define MIXLAW_BASE_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"

enum log_level { LOG_QUIET, LOG_NORMAL, LOG_VERBOSE };
void log_set_level(enum log_level level);
enum log_level log_get_level(void);

void log_info(const char *fmt, ...) PRINTF_LIKE(1, 2);  /* shown unless quiet */
void log_warn(const char *fmt, ...) PRINTF_LIKE(1, 2);  /* "mixlaw: warning: ..."; always shown */
void log_error(const char *fmt, ...) PRINTF_LIKE(1, 2); /* as it is; for cli/, which ends with it */
void log_debug(const char *fmt, ...) PRINTF_LIKE(1, 2); /* shown when verbose */

struct progress {
    const char *what, *unit; /* borrowed */
    const char *note;        /* optional text at the end of the line; borrowed, may change */
    uint64_t total, done;    /* total 0: unknown */
    uint64_t first;          /* what was done before this run began (resume) */
    double start_s, last_s;  /* clock */
    bool live;
};
void progress_start(struct progress *p, const char *what, uint64_t total, const char *unit);
void progress_resume(struct progress *p,
                     uint64_t done_before); /* right after start: not counted in the rate */
void progress_at(struct progress *p, uint64_t done);
void progress_end(struct progress *p);

double clock_s(void);     /* monotonic, seconds */
double clock_cpu_s(void); /* processor time of this process since its start, all threads together */

/* SIGINT and SIGTERM ask for a clean stop; long loops look at stop_asked() and return
 * ST_INTERRUPTED. */
void stop_on_signals(void);
bool stop_asked(void);

#endif
