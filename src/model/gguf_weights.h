/*
 * model/gguf_weights.h - what a GGUF file of a Llama says: shape, and its tensors as floats by row.
 *
 * llama.cpp's converter reorders the rows of attn_q and attn_k so that rotary pairs are neighbours
 * (2i, 2i + 1); here, as in Hugging Face's files, a pair is (i, i + d_head / 2). Reading such a tensor
 * through gguf_row_hf() undoes it, so that everything behind the loader knows one order only.
 */
#ifndef MIXLAW_MODEL_GGUF_WEIGHTS_H
#define MIXLAW_MODEL_GGUF_WEIGHTS_H

#include "base/err.h"
#include "base/gguf.h"
#include "model/model.h"

/* ST_UNSUPPORTED for other architectures, rope scaling, experts; ST_FORMAT for keys that are missing or disagree. */
MUST_USE enum st gguf_model_conf(struct model_conf *conf, const struct gguf *g, struct err *err);

/* The tensor by name with the shape [n_row, n_col] (n_row 1: a vector) and a type that gguf_row reads. */
MUST_USE enum st gguf_want(const struct gguf_tensor **out, const struct gguf *g, const char *name,
                           uint64_t n_row, uint64_t n_col, struct err *err);

bool gguf_type_readable(uint32_t type);
/* Row i of a tensor as dim[0] floats. The type must be readable. */
void gguf_row(float *out, const struct gguf_tensor *t, uint64_t i);

/* Where row i (Hugging Face's order) of attn_q or attn_k lies in the file. */
static inline uint64_t gguf_row_hf(uint64_t i, int d_head)
{
    uint64_t d = (uint64_t)d_head, head = i / d, in = i % d;
    return head * d + (in % (d / 2)) * 2 + in / (d / 2);
}

#endif
