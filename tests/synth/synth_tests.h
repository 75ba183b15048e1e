/* tests/synth/synth_tests.h - the tables of this folder's files. */
#ifndef MIXLAW_TESTS_SYNTH_H
#define MIXLAW_TESTS_SYNTH_H

#include "check.h"

extern const struct check_test recipes_test[];
extern const size_t n_recipes_test;

#endif
