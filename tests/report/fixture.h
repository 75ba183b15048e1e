/*
 * tests/report/fixture.h - made-up studies with planted laws, in the layout of a real one.
 *
 *     test_report --make full DIR       also for the browser's test
 *
 * empty    a folder with nothing in it
 * planned  a plan and nothing else
 * full     108 runs of two kinds and the controls, fits, advice, samples: "use hq at 33 %"
 * hostile  the same with markup, scripts and reordering characters in every text
 * broken   the same with every JSON file cut in the middle and a bad cell in runs.csv
 */
#ifndef MIXLAW_TESTS_REPORT_FIXTURE_H
#define MIXLAW_TESTS_REPORT_FIXTURE_H

#include "base/err.h"

enum st fixture_make(const char *what, const char *dir, struct err *err);

#endif
