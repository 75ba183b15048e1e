/*
 * model/weights.h - where weights come from: a GGUF file or a Hugging Face folder.
 *
 * Opening checks everything: names, shapes, types, that nothing is missing or left over, and that
 * every number is finite. A weight is then read a row at a time as floats, in Hugging Face's order,
 * whatever it is stored as.
 *
 * Threads: read-only after opening; rows may be read from many threads.
 */
#ifndef MIXLAW_MODEL_WEIGHTS_H
#define MIXLAW_MODEL_WEIGHTS_H

#include "base/err.h"
#include "base/gguf.h"
#include "base/hash.h"
#include "model/model.h"

struct weight {                       /* all zero: the model has none of it */
    const struct gguf_tensor *tensor; /* or NULL: */
    const struct safetensor *safe;
    int n_row, n_col; /* a vector is one row */
    int pair_rows; /* > 0: heads of this size, whose rows (a bias' elements) llama.cpp has reordered
                    */
};

struct weights {
    struct model_conf conf;
    struct weight embed, head, norm; /* head: unused when conf.tied */
    struct weights_layer {
        struct weight q, k, v, o, gate, up, down, norm_attn, norm_ffn;
        struct weight q_bias, k_bias, v_bias, o_bias;
    } * layer;
    struct gguf *gguf;      /* or NULL: */
    struct hf_files *files; /* a folder's */
    struct digest digest;
};

/* Where a model lies: a run folder's checkpoint/, else the path itself. The caller frees it. */
char *weights_place(const char *path);

MUST_USE enum st weights_open(struct weights **out, const char *path, struct err *err);
void weights_close(struct weights *w); /* NULL is fine */
void weight_row(float *out, const struct weight *w, int i);

/* The weight of a row of the table of parameters (model/params.h) that was built for w->conf. */
struct params;
const struct weight *weights_param(const struct weights *w, const struct params *p, size_t row);

#endif
