/*
 * model/codes.h - rows of weights as small integers: weight = code * scale + min, by blocks of 32
 * inputs.
 *
 * Q4_0, Q4_1, Q5_0, Q5_1 and Q8_0 are taken as they lie in the GGUF file, without loss. Other types
 * have no codes.
 *
 * Threads: no state.
 */
#ifndef MIXLAW_MODEL_CODES_H
#define MIXLAW_MODEL_CODES_H

#include <stdbool.h>
#include <stdint.h>

#include "model/weights.h"

bool codes_has(const struct weight *w);
int codes_bits(const struct weight *w);      /* 4: codes 0..15; 8: -127..127 */
bool codes_have_min(const struct weight *w); /* else every min is 0 */

/* Row i: codes [n_col], scale and min one a block. Only when codes_has(w). */
void codes_row(int8_t *code, float *scale, float *min, const struct weight *w, int i);

#endif
