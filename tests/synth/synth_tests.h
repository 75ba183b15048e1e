/* tests/synth/synth_tests.h - the tables of this folder's files. */
#ifndef MIXLAW_TESTS_SYNTH_H
#define MIXLAW_TESTS_SYNTH_H

#include "check.h"

extern const struct check_test recipes_test[], ledger_test[], kills_test[], odd_pages_test[],
    edit_test[], batch_test[];
extern const size_t n_recipes_test, n_ledger_test, n_kills_test, n_odd_pages_test, n_edit_test,
    n_batch_test;
extern const struct check_test forecast_test[];
extern const size_t n_forecast_test;
extern const struct check_test survival_test[];
extern const size_t n_survival_test;
extern const struct check_test monitor_test[];
extern const size_t n_monitor_test;

#endif
