/* model/state.h - what is inside a struct model; for the files of model/ only. */
#ifndef MIXLAW_MODEL_STATE_H
#define MIXLAW_MODEL_STATE_H

#include "model/params.h"

struct layer { /* views of the parameters (or of their gradients), grouped as products take them */
    struct tensor norm1, qkv, o, norm2, gate_up, down;
    struct tensor qkv_bias, o_bias; /* none where the model has none */
};

struct layer_weights {
    struct weight *qkv, *o, *gate_up, *down;
};

/* Buffers for n_tok tokens. A training pass keeps what backward needs of every layer; without
 * gradients one layer's buffers serve all. */
struct act {
    size_t n_tok;
    bool gradients;
    struct tensor tok, target, losses;
    struct tensor first; /* what each token sees first, see attn_shape */
    struct tensor x;     /* [n_layer + 1 or 2][n_tok, d]: the stream before each layer */
    struct tensor mid, qkv, att, gu; /* [n_layer or 1][n_tok, ...] */
    struct tensor lse;
    struct tensor h, ff;             /* scratch of one layer: [n_tok, d], [n_tok, d_ff] */
    struct tensor dx, dh, dqkv, dff; /* backward's */
};

struct model {
    struct model_conf conf;
    struct backend *b;
    struct params params;
    struct tensor p, g, m, v, sumsq; /* g, m, v: on first use in training */
    struct tensor mean;              /* of p over the steps; on first use when ema is set */
    double ema;                      /* its decay; 0: none is kept */
    struct layer *layer, *dlayer;
    struct layer_weights *weights;
    struct weight *head;
    struct tensor rope;
    size_t rope_len;
    double z_loss;
    struct act act;
    bool ready, ready_for_gradients; /* weights_ready was called since the parameters changed */
};

struct tensor model_view(const struct model *m, struct tensor all, const struct param *p);
void model_changed(struct model *m); /* parameters were written */
MUST_USE enum st model_weights(struct model *m, bool for_gradients, struct err *err);
MUST_USE enum st model_training_state(struct model *m, struct err *err); /* g, m, v, mean exist */
void act_release(struct model *m);
MUST_USE enum st act_reserve(struct model *m, size_t n_tok, int seq_len, bool gradients,
                             struct err *err);

/* Layers forward over n_seq sequences whose tokens are in act.tok, and act.first where it is used:
 * the final norm's output to act.h. */
void forward_layers(struct model *m, int n_seq, int seq_len);
struct attn_shape attn_shape_of(const struct model *m, int n_seq, int seq_len);
/* The part of a layered buffer: n_tok rows of a layer's slot. */
struct tensor act_rows(const struct model *m, struct tensor t, int slot, size_t n_tok);
struct tensor act_x(const struct model *m, int layer, size_t n_tok);

/* Sequences that go through the model at once: follows from the shapes alone. */
int chunk_seqs(int batch, int seq_len);
MUST_USE enum st tokens_check(const struct model *m, const uint32_t *tok, size_t n,
                              struct err *err);
/* Inputs and targets of sequences [first, first + n_seq) of tok [batch, seq_len + 1] to the device,
 * and what each sees. */
void tokens_upload(struct model *m, const uint32_t *tok, int first, int n_seq, int seq_len);

#endif
