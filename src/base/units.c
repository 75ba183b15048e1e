/* base/units.c - see units.h. */
#include "base/units.h"

#include <ctype.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *suffix;
    uint64_t factor;
} size_suffix[] = {
    { "", 1 },
    { "k", 1000 },
    { "K", 1000 },
    { "M", 1000000 },
    { "B", 1000000000 },
    { "G", 1000000000 },
    { "T", 1000000000000 },
    { "KiB", 1ULL << 10 },
    { "MiB", 1ULL << 20 },
    { "GiB", 1ULL << 30 },
    { "TiB", 1ULL << 40 },
};

static const struct {
    const char *suffix;
    double seconds;
} time_suffix[] = {
    { "", 1 }, { "s", 1 }, { "m", 60 }, { "min", 60 }, { "h", 3600 }, { "d", 86400 }
};

enum st units_whole(const char *text, uint64_t *out, struct err *err)
{
    const char *p = text;
    uint64_t whole = 0, fraction = 0, scale = 1;
    bool overflow = false;
    if (!isdigit((unsigned char)*p))
        return err_set(err, ST_USAGE, "'%s' is not a whole number (such as 200, 200k, 1.5B, 64KiB)",
                       text);
    for (; isdigit((unsigned char)*p); p++)
        overflow |= __builtin_mul_overflow(whole, 10u, &whole) ||
                    __builtin_add_overflow(whole, (unsigned)(*p - '0'), &whole);
    if (*p == '.') {
        for (p++; isdigit((unsigned char)*p) && scale < 1000000000000ULL; p++) {
            fraction = fraction * 10 + (unsigned)(*p - '0');
            scale *= 10;
        }
    }
    for (size_t i = 0; i < N_OF(size_suffix); i++) {
        if (strcmp(p, size_suffix[i].suffix) != 0)
            continue;
        uint64_t factor = size_suffix[i].factor, part = 0;
        overflow |= __builtin_mul_overflow(whole, factor, &whole);
        __extension__ typedef unsigned __int128 wide;
        wide exact = (wide)fraction * factor;
        if (exact % scale != 0)
            return err_set(err, ST_USAGE, "'%s' is not a whole number", text);
        part = (uint64_t)(exact / scale);
        overflow |= __builtin_add_overflow(whole, part, out);
        if (overflow)
            return err_set(err, ST_USAGE, "'%s' does not fit in 64 bits", text);
        return ST_OK;
    }
    return err_set(err, ST_USAGE,
                   "'%s' is not a whole number (suffixes are k M B G T KiB MiB GiB TiB)", text);
}

enum st units_seconds(const char *text, double *out, struct err *err)
{
    char *end;
    double v = strtod(text, &end);
    if (end != text && isfinite(v) && v >= 0)
        for (size_t i = 0; i < N_OF(time_suffix); i++)
            if (strcmp(end, time_suffix[i].suffix) == 0) {
                *out = v * time_suffix[i].seconds;
                return ST_OK;
            }
    return err_set(err, ST_USAGE, "'%s' is not a time (such as 90s, 8m, 2h)", text);
}

/* Three significant digits with one of the units, each `step` times the one before. */
static const char *scaled(char *buf, double n, double step, const char *const *unit, size_t n_unit)
{
    size_t i = 0;
    while (fabs(n) >= 0.9995 * step && i + 1 < n_unit) {
        n /= step;
        i++;
    }
    if (i == 0 && n == floor(n))
        snprintf(buf, UNITS_MAX, "%.0f%s", n, unit[i]);
    else
        snprintf(buf, UNITS_MAX, "%.*f%s",
                 fabs(n) < 9.995   ? 2
                 : fabs(n) < 99.95 ? 1
                                   : 0,
                 n, unit[i]);
    return buf;
}

const char *units_count(char buf[UNITS_MAX], double n)
{
    static const char *const unit[] = { "", "k", "M", "G", "T", "P", "E" };
    return scaled(buf, n, 1000, unit, N_OF(unit));
}

const char *units_bytes(char buf[UNITS_MAX], double n)
{
    static const char *const unit[] = { " B", " kB", " MB", " GB", " TB", " PB" };
    return scaled(buf, n, 1000, unit, N_OF(unit));
}

const char *units_time(char buf[UNITS_MAX], double s)
{
    if (!isfinite(s) || s < 0)
        snprintf(buf, UNITS_MAX, "?");
    else if (s < 9.95)
        snprintf(buf, UNITS_MAX, "%.1f s", s);
    else if (s < 119.5)
        snprintf(buf, UNITS_MAX, "%.0f s", s);
    else if (s < 3600)
        snprintf(buf, UNITS_MAX, "%.0f min %02.0f s", floor(s / 60), floor(fmod(s, 60)));
    else if (s < 48 * 3600)
        snprintf(buf, UNITS_MAX, "%.0f h %02.0f min", floor(s / 3600), floor(fmod(s / 60, 60)));
    else
        snprintf(buf, UNITS_MAX, "%.1f days", s / 86400);
    return buf;
}

double units_round(double x, int n_digit)
{
    char text[40];
    snprintf(text, sizeof text, "%.*e", n_digit - 1, x);
    return strtod(text, NULL);
}
