/*
 * base/err.h - one status, one message: how every fallible function here reports.
 *
 * Expected failures (the outside world) return a negative `enum st` and leave one line in the
 * caller's `struct err`; our own bugs assert; exhausted host memory ends the program (base/mem.h).
 * A message names the thing, the place and the expectation, lower case, no full stop:
 *
 *     return err_set(err, ST_FORMAT, "'%s' record %zu at byte %zu: Content-Length is '%s'", ...);
 *
 * Each layer adds its context once:
 *
 *     return err_in(err, reader_open(&r, path, err), "reading the corpus");
 *
 * Threads: a struct err belongs to one thread at a time.
 */
#ifndef MIXLAW_BASE_ERR_H
#define MIXLAW_BASE_ERR_H

#include "base/attr.h"

enum st { /* >= 0 is an ordinary outcome */
          ST_OK = 0,
          ST_END = 1,          /* stream finished; no message */
          ST_IO = -1,          /* the operating system said no */
          ST_FORMAT = -2,      /* the bytes are not what the format promises */
          ST_USAGE = -3,       /* the person asked for something impossible */
          ST_LIMIT = -4,       /* a documented size limit was reached */
          ST_NET = -5,         /* server or line failed; worth retrying */
          ST_DEVICE = -6,      /* accelerator failed or is full */
          ST_UNSUPPORTED = -7, /* this build or backend lacks it */
          ST_INTERRUPTED = -8  /* a person or the system asked us to stop; state is kept */
};

struct err {
    char msg[512]; /* written only on failure */
};

/* Writes the message (err may be NULL) and returns st, so that a failure is one line. */
enum st err_set(struct err *err, enum st st, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* If st < 0, puts "context: " before the message that is there. Returns st. */
enum st err_in(struct err *err, enum st st, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* The exit code for a status: 0 done, 1 failed, 2 wrong use or unsupported, 130 interrupted. */
int st_exit(enum st st);

#endif
