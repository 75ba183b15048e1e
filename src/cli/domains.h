/*
 * cli/domains.h - what follows --model and --domains in `eval` and `stats`.
 *
 * --domains: [NAME=]PATH of texts or token files, in name order.
 *
 * A file is a domain by its name up to the first dot; a folder is a domain a file, but one that
 * `corpus` made is one domain; PREFIX stands for the token files PREFIX.bin and PREFIX.idx.
 */
#ifndef MIXLAW_CLI_DOMAINS_H
#define MIXLAW_CLI_DOMAINS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/field.h"

struct domain_source {
    char *name, *path;
    bool is_tokens, is_corpus;
};
struct domain_sources {
    struct domain_source *s;
    size_t n, cap;
};

/* ST_USAGE: two of one name. Release in every case. */
MUST_USE enum st domain_sources_list(struct domain_sources *all, const struct textlist *domains,
                                     struct err *err);
void domain_sources_release(struct domain_sources *all);

/* The folder with the weights that --model RUN|DIR means: a run's checkpoint, or the folder itself.
 * The caller frees it. */
MUST_USE enum st checkpoint_dir(char **out, const char *dir, struct err *err);

#endif
