/* tests/net/net_tests.h - the tables of this folder's files. */
#ifndef MIXLAW_TESTS_NET_H
#define MIXLAW_TESTS_NET_H

#include "check.h"

extern const struct check_test lane_test[];
extern const size_t n_lane_test;

#endif
