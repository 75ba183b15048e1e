/*
 * tok/encoder.h - words already seen and memory for long ones; lent to one call at a time.
 *
 * A struct tok keeps its idle encoders, so that calls from any thread find a warm one. What they
 * remember changes the speed and never the ids.
 */
#ifndef MIXLAW_TOK_ENCODER_H
#define MIXLAW_TOK_ENCODER_H

#include "tok/tok.h"

struct encoder_pool *encoder_pool_new(void);
void encoder_pool_free(struct encoder_pool *p); /* NULL is fine */

#endif
