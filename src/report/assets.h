/*
 * report/assets.h - the files that the page is made of, embedded by embed.cmake: report.css,
 * report.js, vega.js and figures/NAME.json.
 */
#ifndef MIXLAW_REPORT_ASSETS_H
#define MIXLAW_REPORT_ASSETS_H

#include <stddef.h>

struct asset {
    const char *name;  /* "report.css"; NULL ends the table */
    const char *bytes; /* followed by a zero byte */
    size_t n_bytes;
    const char *sha256; /* 64 hexadecimal digits */
};
extern const struct asset assets[];

/* The asset of that name, which must exist: a missing one is a bug of the build. */
const struct asset *asset_find(const char *name);

#endif
