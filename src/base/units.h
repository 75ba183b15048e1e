/*
 * base/units.h - quantities as people write them: 5M, 1.5B, 200k, 64KiB, 90s, 2h; and back.
 *
 * Decimal suffixes k M B G T are powers of 1000 (B and G both 10^9), KiB MiB GiB TiB of 1024.
 * Wholes are computed exactly in 64 bits and never pass through a double.
 */
#ifndef MIXLAW_BASE_UNITS_H
#define MIXLAW_BASE_UNITS_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

MUST_USE enum st units_whole(const char *text, uint64_t *out, struct err *err);
MUST_USE enum st units_seconds(const char *text, double *out,
                               struct err *err); /* s m h d; bare: s */

/* Short forms for people, written to buf and returned: "12.3M", "4 min 10 s", "1.2 GB". */
enum { UNITS_MAX = 32 };
const char *units_count(char buf[UNITS_MAX], double n);
const char *units_bytes(char buf[UNITS_MAX], double n);
const char *units_time(char buf[UNITS_MAX], double seconds);

/* x to n significant digits, 1..15: the double that the decimal text stands for. */
double units_round(double x, int n_digit);

#endif
