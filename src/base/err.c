/* base/err.c - see err.h. */
#include "base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum st err_set(struct err *err, enum st st, const char *fmt, ...)
{
    if (err) {
        va_list ap;
        va_start(ap, fmt);
        vsnprintf(err->msg, sizeof err->msg, fmt, ap);
        va_end(ap);
    }
    return st;
}

enum st err_in(struct err *err, enum st st, const char *fmt, ...)
{
    if (st >= 0 || !err)
        return st;
    char old[sizeof err->msg];
    memcpy(old, err->msg, sizeof old);
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(err->msg, sizeof err->msg, fmt, ap);
    va_end(ap);
    size_t room = n >= 0 && (size_t)n < sizeof err->msg ? sizeof err->msg - (size_t)n : 0;
    if (room > 3) /* a message too long for both keeps its context and loses its end */
        snprintf(err->msg + n, room, ": %.*s", (int)room - 3, old);
    return st;
}

int st_exit(enum st st)
{
    if (st >= 0)
        return 0;
    if (st == ST_USAGE || st == ST_UNSUPPORTED)
        return 2;
    return st == ST_INTERRUPTED ? 130 : 1;
}
