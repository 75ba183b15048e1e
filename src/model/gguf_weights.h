/*
 * model/gguf_weights.h - what a GGUF file of a Llama says: shape, and its tensors as floats by row.
 *
 * llama.cpp's converter reorders the rows of attn_q and attn_k so that rotary pairs are neighbours
 * (2i, 2i + 1); here, as in Hugging Face's files, a pair is (i, i + d_head / 2). Reading such a
 * tensor through gguf_row_hf() undoes it, so that everything behind the loader knows one order
 * only.
 */
#ifndef MIXLAW_MODEL_GGUF_WEIGHTS_H
#define MIXLAW_MODEL_GGUF_WEIGHTS_H

#include "base/err.h"
#include "base/gguf.h"
#include "model/model.h"

/* Architectures llama and qwen2. ST_UNSUPPORTED for others, rope scaling other than Llama 3's,
 * experts; ST_FORMAT for keys that are missing or disagree. */
MUST_USE enum st gguf_model_conf(struct model_conf *conf, const struct gguf *g, struct err *err);

/* The tensor by name with the shape [n_row, n_col] (n_row 1: a vector) and a type that gguf_row
 * reads. */
MUST_USE enum st gguf_want(const struct gguf_tensor **out, const struct gguf *g, const char *name,
                           uint64_t n_row, uint64_t n_col, struct err *err);

bool gguf_type_readable(uint32_t type);
/* Row i of a tensor as dim[0] floats. The type must be readable. */
void gguf_row(float *out, const struct gguf_tensor *t, uint64_t i);

/* The first element that is no finite number (of a block: its first), or -1. Reads the tensor once.
 */
int64_t gguf_not_finite(const struct gguf_tensor *t);
/* The same of n floats of n_bytes (2 or 4) with these exponent bits. */
int64_t bits_not_finite(const uint8_t *p, size_t n, int n_bytes, uint32_t exponent);

/* Where row i (Hugging Face's order) of attn_q or attn_k lies in the file. */
static inline uint64_t gguf_row_hf(uint64_t i, int d_head)
{
    uint64_t d = (uint64_t)d_head, head = i / d, in = i % d;
    return head * d + (in % (d / 2)) * 2 + in / (d / 2);
}

/* llama.cpp's name of a row of the table of parameters; and whether its llama has the rows in that
 * order. */
struct params;
void gguf_param_name(char name[64], const struct params *p, const struct model_conf *c, size_t row);
bool gguf_swaps_rows(const struct params *p, const struct model_conf *c, size_t row);

#endif
