/*
 * model/export.h - a model of any source (model/weights.h) as files for others.
 *
 *     Hugging Face folder   config.json, model.safetensors (F32, F16, BF16), tokenizer
 *     GGUF file             F32, F16, BF16 or Q8_0, with the tokenizer; for llama.cpp
 *     llm.c checkpoint      F32 or BF16, the layout of llm.c's train_llama3.py
 *
 * Weights go through one row at a time. Rounding is to nearest even; a number beyond the type is
 * ST_LIMIT by name, what the other side could not compute alike is ST_UNSUPPORTED.
 *
 * Sources: the safetensors README; ggml's docs/gguf.md and llama.cpp's convert_hf_to_gguf.py for
 * names and order; llm.c's train_llama3.py (write_model).
 */
#ifndef MIXLAW_MODEL_EXPORT_H
#define MIXLAW_MODEL_EXPORT_H

#include "model/weights.h"

struct export_conf {
    const struct weights *w;
    const char *from;      /* where w was opened: its tokenizer is taken from there */
    const char *tokenizer; /* instead: a tokenizer.json; "none": without */
    enum gguf_type type;   /* of matrices; vectors stay F32 in GGUF files */
};

/* out: a folder, made when it is not there; must hold no config.json yet. */
MUST_USE enum st export_hf(const struct export_conf *c, const char *out, struct err *err);
/* out: a file. */
MUST_USE enum st export_gguf(const struct export_conf *c, const char *out, struct err *err);
MUST_USE enum st export_llmc(const struct export_conf *c, const char *out, struct err *err);

/* For export*.c. Row r of a weight as type to out; the row's bytes. */
struct param;
size_t export_row_bytes(enum gguf_type type, int n_col);
MUST_USE enum st export_row(void *out, float *scratch, const struct weight *w, int r,
                            enum gguf_type type, const char *name, struct err *err);

/* n floats as blocks of Q8_0 (n a multiple of 32), as ggml's reference quantises. False: a block's
 * scale is beyond F16. */
bool export_q8_0(uint8_t *out, const float *x, int n);

/* The header of a safetensors file with all parameters in the table's order, every one of dtype:
 * length and JSON. */
struct params;
void safetensors_header(struct strbuf *out, const struct params *p, const char *dtype, int n_bytes);

#endif
