/*
 * cli/cache.h - downloads kept in the cache folder (base/file.h, cache_path), for commands that
 * take URLs.
 */
#ifndef MIXLAW_CLI_CACHE_H
#define MIXLAW_CLI_CACHE_H

#include "base/err.h"

/* Downloads url unless it is there already; the caller frees *path. */
MUST_USE enum st cache_download(const char *url, char **path, struct err *err);

#endif
