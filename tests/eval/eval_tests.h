/* tests/eval/eval_tests.h - test functions beside main.c, which lists them. */
#ifndef MIXLAW_TESTS_EVAL_H
#define MIXLAW_TESTS_EVAL_H

#include "check.h"

void test_harness_numbers(void);
void test_question_texts(void);
void test_bad_questions(void);
void test_strides(void);

#endif
