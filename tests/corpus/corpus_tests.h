/* tests/corpus/corpus_tests.h - the tables of this folder's files, and what they share. */
#ifndef MIXLAW_TESTS_CORPUS_H
#define MIXLAW_TESTS_CORPUS_H

#include "check.h"
#include "corpus/reader.h"

extern const struct check_test golden_test[], damage_test[], html_test[], minhash_test[],
    stage_test[];
extern const size_t n_golden_test, n_damage_test, n_html_test, n_minhash_test, n_stage_test;

/* What reading a file to its end gave. */
struct read_result {
    enum st st; /* ST_END, or a failure of open or next */
    uint64_t n_docs, n_skipped;
    struct strbuf text; /* of all documents, one line of JSON each */
    struct err err;
};
struct read_result read_file(const char *path, bool strict);

/* Writes bytes to a scratch file and gives its path, which stays good until the next call. */
const char *scratch(const char *name, const void *bytes, size_t n);

#endif
