/*
 * base/gguf.h - the GGUF container: metadata and a directory of tensors, mapped read-only.
 *
 * Versions 2 and 3, little-endian. Every count, length and offset is checked against the file
 * before use: a file that is cut, lies about sizes or has tensors lying over each other is
 * ST_FORMAT with the byte. What tensors and keys mean is for model/ (weights) and tok/ (vocabulary)
 * to know. Source: the GGUF specification in the ggml repository (docs/gguf.md).
 */
#ifndef MIXLAW_BASE_GGUF_H
#define MIXLAW_BASE_GGUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct gguf;

enum gguf_type { /* ggml tensor types, their numbers in files */
                 GGUF_F32 = 0,
                 GGUF_F16 = 1,
                 GGUF_Q4_0 = 2,
                 GGUF_Q4_1 = 3,
                 GGUF_Q5_0 = 6,
                 GGUF_Q5_1 = 7,
                 GGUF_Q8_0 = 8,
                 GGUF_Q2_K = 10,
                 GGUF_Q3_K = 11,
                 GGUF_Q4_K = 12,
                 GGUF_Q5_K = 13,
                 GGUF_Q6_K = 14,
                 GGUF_BF16 = 30
};

struct gguf_tensor {
    const char *name;
    int n_dim;
    uint64_t dim[4]; /* dim[0] is contiguous: a matrix [rows, cols] has dim = {cols, rows} */
    uint32_t type;   /* enum gguf_type, or one that is not supported yet */
    const uint8_t *data;
    size_t n_bytes; /* 0 when the type's size is unknown */
};

MUST_USE enum st gguf_open(struct gguf **out, const char *path, struct err *err);
void gguf_close(struct gguf *g); /* NULL is fine */
const char *gguf_path(const struct gguf *g);

size_t gguf_n_tensors(const struct gguf *g);
const struct gguf_tensor *gguf_tensor_at(const struct gguf *g, size_t i);
const struct gguf_tensor *gguf_tensor(const struct gguf *g, const char *name); /* or NULL */

const char *gguf_type_name(uint32_t type); /* "Q4_1"; "unknown" */
/* Elements and bytes of a block; false for types that we do not know. */
bool gguf_type_block(uint32_t type, uint64_t *n_elem, uint64_t *n_bytes);

/* Metadata by key; the defaults come back when it is missing or of another type. Bools are wholes 0
 * and 1. gguf_text gives a terminated copy owned by g; gguf_array_text points into the file:
 * n_bytes, no terminator. */
size_t gguf_n_keys(const struct gguf *g);
const char *gguf_key_at(const struct gguf *g, size_t i); /* in alphabetical order */
/* The value as it stands in the file, for copying. */
const uint8_t *gguf_key_bytes(const struct gguf *g, size_t i, uint32_t *type, size_t *n_bytes);
const char *gguf_text(const struct gguf *g, const char *key, const char *otherwise);
uint64_t gguf_whole(const struct gguf *g, const char *key, uint64_t otherwise);
double gguf_real(const struct gguf *g, const char *key, double otherwise);
size_t gguf_array_len(const struct gguf *g, const char *key); /* 0 when missing */
const char *gguf_array_text(const struct gguf *g, const char *key, size_t i,
                            size_t *n_bytes); /* or NULL */
int64_t gguf_array_whole(const struct gguf *g, const char *key, size_t i, int64_t otherwise);

#endif
