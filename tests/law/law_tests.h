/* tests/law/law_tests.h - the test tables of this folder's files, for main.c. */
#ifndef MIXLAW_TESTS_LAW_TESTS_H
#define MIXLAW_TESTS_LAW_TESTS_H

#include <stddef.h>

struct check_test;
extern const struct check_test test_fit[], test_table[], test_advise[];
extern const size_t n_test_fit, n_test_table, n_test_advise;

#endif
