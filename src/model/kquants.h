/*
 * model/kquants.h - GGUF's K-quants: blocks of 256 weights whose scales are small integers
 * themselves.
 *
 * Source: ggml's quantisation formats (ggml-common.h, its structs block_q2_K to block_q6_K) and
 * gguf-py.
 */
#ifndef MIXLAW_MODEL_KQUANTS_H
#define MIXLAW_MODEL_KQUANTS_H

#include <stdint.h>

enum { KQUANT_BLOCK = 256 };

/* n weights, a multiple of 256, of blocks at p. */
void kquant_q2(float *out, const uint8_t *p, uint64_t n);
void kquant_q3(float *out, const uint8_t *p, uint64_t n);
void kquant_q4(float *out, const uint8_t *p, uint64_t n);
void kquant_q5(float *out, const uint8_t *p, uint64_t n);
void kquant_q6(float *out, const uint8_t *p, uint64_t n);

#endif
