/*
 * base/gguf_write.h - writes the GGUF container, version 3: keys, a directory of tensors, their
 * data.
 *
 *     struct gguf_writer *w = gguf_writer_new();
 *     gguf_put_text(w, "general.architecture", "llama");
 *     gguf_put_array(w, "tokens", GGUF_ITEM_TEXT, n);           then n times gguf_add_text
 *     gguf_put_tensor(w, "output_norm.weight", GGUF_F32, 1, dim);
 *     st = gguf_writer_open(w, path, err);              header and directory are written here
 *     st = gguf_writer_data(w, bytes, n_bytes, err);    in the directory's order, in any pieces
 *     st = gguf_writer_commit(w, err);                  the file appears whole or not at all
 *     gguf_writer_free(w);
 *
 * Source: the GGUF specification in the ggml repository (docs/gguf.md).
 */
#ifndef MIXLAW_BASE_GGUF_WRITE_H
#define MIXLAW_BASE_GGUF_WRITE_H

#include <stdbool.h>

#include "base/gguf.h"

struct gguf_writer;
struct gguf_writer *gguf_writer_new(void);
void gguf_writer_free(struct gguf_writer *w); /* NULL is fine; an uncommitted file is gone */

void gguf_put_text(struct gguf_writer *w, const char *key, const char *s);
void gguf_put_u32(struct gguf_writer *w, const char *key, uint32_t v);
void gguf_put_f32(struct gguf_writer *w, const char *key, float v);
void gguf_put_bool(struct gguf_writer *w, const char *key, bool v);
enum gguf_item { GGUF_ITEM_I32, GGUF_ITEM_TEXT };
void gguf_put_array(struct gguf_writer *w, const char *key, enum gguf_item item, uint64_t n);
void gguf_add_text(struct gguf_writer *w, const char *s, size_t n_bytes);
void gguf_add_i32(struct gguf_writer *w, int32_t v);
/* Key i of another file as it is. */
void gguf_put_copy(struct gguf_writer *w, const struct gguf *from, size_t i);

/* dim[0] is contiguous and a multiple of the type's block. */
void gguf_put_tensor(struct gguf_writer *w, const char *name, enum gguf_type type, int n_dim,
                     const uint64_t *dim);

MUST_USE enum st gguf_writer_open(struct gguf_writer *w, const char *path, struct err *err);
MUST_USE enum st gguf_writer_data(struct gguf_writer *w, const void *bytes, size_t n,
                                  struct err *err);
MUST_USE enum st gguf_writer_commit(struct gguf_writer *w, struct err *err);

#endif
