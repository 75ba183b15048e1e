/* tests/data/data_tests.h - what the files of this folder share. */
#ifndef MIXLAW_TESTS_DATA_H
#define MIXLAW_TESTS_DATA_H

#include "check.h"

/* Token files of n_doc documents whose lengths cycle between shortest and longest; tokens count up
 * from 1 below vocab_size, each document ends with 0. Returns the prefix, the caller frees it. */
char *make_shard(const char *name, size_t n_doc, size_t shortest, size_t longest, int vocab_size);

extern const struct check_test shard_tests[], mixture_tests[], encode_tests[];
extern const size_t n_shard_tests, n_mixture_tests, n_encode_tests;

#endif
