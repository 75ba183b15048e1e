/*
 * model/weights.h - where the generator's weights come from: a GGUF file or a Hugging Face folder.
 *
 * A weight is read a row at a time as floats, in Hugging Face's order, whatever it is stored as.
 *
 * Threads: read-only after opening; rows may be read from many threads.
 */
#ifndef MIXLAW_MODEL_WEIGHTS_H
#define MIXLAW_MODEL_WEIGHTS_H

#include "base/err.h"
#include "base/gguf.h"
#include "base/hash.h"
#include "model/model.h"

struct weight {
    const struct gguf_tensor *tensor; /* or NULL: */
    float *floats;                    /* [n_row, n_col], owned */
    int n_row, n_col;
    int pair_rows; /* > 0: heads of this size, whose rows llama.cpp has reordered */
};

struct weights {
    struct model_conf conf;
    struct weight embed, head, norm; /* head: unused when conf.tied */
    struct weights_layer {
        struct weight q, k, v, o, gate, up, down, norm_attn, norm_ffn;
    } * layer;
    struct gguf *gguf; /* or NULL */
    struct digest digest;
};

/* Where a model lies: a run folder's checkpoint/, else the path itself. The caller frees it. */
char *weights_place(const char *path);

MUST_USE enum st weights_open(struct weights **out, const char *path, struct err *err);
void weights_close(struct weights *w); /* NULL is fine */
void weight_row(float *out, const struct weight *w, int i);

#endif
