/*
 * model/model.h - the Llama family: configuration, parameters, forward, backward, optimizer step,
 * checkpoints.
 *
 * RMSNorm, rotary positions (half-split pairs as Hugging Face) plain or stretched as Llama 3's,
 * SwiGLU, grouped-query attention over all before or a sliding window (Mistral), with biases
 * (Qwen2) or without, tied or untied head. One table of parameters (model/params.c) yields
 * allocation, checkpoint names, counts, initialisation and optimizer groups. Weights, optimizer
 * state and accumulation are fp32; products may run in bf16 (precision).
 *
 *     st = model_new(&m, &conf, backend, err);
 *     model_init(m, seed);
 *     loss = model_step_begin(...)                 see train/
 *
 * Threads: a model belongs to one thread at a time; its backend may use many inside.
 * Source: Touvron et al. 2023 (arXiv:2302.13971), section 2.2; arXiv:2307.09288.
 */
#ifndef MIXLAW_MODEL_MODEL_H
#define MIXLAW_MODEL_MODEL_H

#include <stdbool.h>
#include <stdint.h>

#include "backend/backend.h"
#include "base/err.h"
#include "base/json.h"

enum attn_bias { BIAS_NONE, BIAS_QKV, BIAS_QKVO };

/* Rotary positions as Llama 3.1 stretches them: waves longer than original_len / low_freq positions
 * become factor times longer, those shorter than original_len / high_freq stay, between the two by
 * degrees. */
struct rope_scaling {
    double factor, low_freq, high_freq; /* factor 0: not scaled */
    int original_len;
};

struct model_conf {
    int n_layer, d_model, n_head, n_kv_head, d_head, d_ff;
    int vocab_size, max_seq_len;
    double rope_theta, norm_eps;
    struct rope_scaling scaling;
    int window; /* positions a token sees, its own included; 0: all before it */
    enum attn_bias bias;
    bool tied; /* the head is the embedding's transpose */
    /* Packed documents stay apart: no token sees across one of this id, which ends a document. */
    bool document_mask;
    int document_end;
};

struct model;

/* Shapes for a number of non-embedding parameters: heads of 64 (32 below d_model 128), d_ff near
 * 8/3 d_model. */
MUST_USE enum st model_conf_for(struct model_conf *conf, uint64_t n_param_nonemb, int vocab_size,
                                int seq_len, struct err *err);
MUST_USE enum st model_conf_check(const struct model_conf *conf, struct err *err);
uint64_t model_n_param(const struct model_conf *conf);        /* all; a tied matrix counts once */
uint64_t model_n_param_nonemb(const struct model_conf *conf); /* without embedding and head */
double model_flop_per_tok(const struct model_conf *conf,
                          int seq_len); /* forward and backward: 6N + 6dV + 6LdT */
struct js *model_conf_json(const struct model_conf *conf); /* Hugging Face's config.json */
/* Angle of each pair of a head per position, as Hugging Face computes it: freq [d_head / 2]. */
void model_rope_freq(const struct model_conf *conf, float *freq);

MUST_USE enum st model_new(struct model **out, const struct model_conf *conf, struct backend *b,
                           struct err *err);
void model_free(struct model *m); /* NULL is fine */
const struct model_conf *model_config(const struct model *m);
void model_init(struct model *m,
                uint64_t seed); /* normal, std 0.02; residual outputs scaled by 1/sqrt(2 n_layer) */

/* From now on attention stays within documents that end with this token; saved with the
 * configuration. */
void model_mask_documents(struct model *m, int document_end);

/* Saves a Hugging Face folder: config.json and model.safetensors, as the class computes it that the
 * configuration fits (Llama, Mistral, Qwen2). Loads such a folder, in one file or several, of F32,
 * F16 or BF16; or a GGUF file. ST_FORMAT for tensors missing, misshapen, or not finite;
 * ST_UNSUPPORTED for what is another model. */
MUST_USE enum st model_save(struct model *m, const char *dir, struct err *err);
MUST_USE enum st model_load(struct model **out, const char *path, struct backend *b,
                            struct err *err);

/* Training. Gradients accumulate over model_forward_backward calls until model_adamw_step, which
 * clears them. Weight decay is decoupled and takes the matrices of the layers and an untied head:
 * not norms, not embeddings. Runs give the same bytes with any number of threads. A loss or norm of
 * NaN is a result, not an error. */
struct adamw_conf {
    double lr, beta1, beta2, eps, weight_decay, grad_clip; /* grad_clip 0: none */
    double muon; /* momentum of Muon, which then moves the layers' matrices; 0: AdamW moves all */
};
/* Training adds z * (log of the sum of exponentials)^2 to each token's loss, which keeps logits
 * near 0. Reported losses are without it. Source: Chowdhery et al. 2022, PaLM (arXiv:2204.02311),
 * section 5. */
void model_z_loss(struct model *m, double z);

/* Maximal update parametrization (muP) for AdamW: rate and initialisation are those of a model of
 * width base_width, and those of a wider one follow, so that the best rate of a narrow model is
 * about that of a wide one. With r = d_model / base_width: matrices of the layers begin with
 * 1/sqrt(r) of the deviation and move at 1/r of the rate; what makes the logits (the head, or with
 * a tied one the norm before it) begins at 1/r and moves at 1/r. Heads keep their size, so that
 * attention's scale needs no change; decay is by the rate alone. The model stays one that its class
 * computes. Before model_init, and for each go of training. Source: Yang et al. 2021, Tensor
 * Programs V (arXiv:2203.03466), table 8. */
void model_mup(struct model *m, int base_width);

/* Keeps a moving average of the parameters: average = decay average + (1 - decay) parameters after
 * each step, with a smaller decay at the beginning: min(decay, (1 + step) / (10 + step)).
 * model_ema_swap exchanges the two, for scoring and saving; training goes on after a second swap.
 * ST_USAGE: there is none. */
void model_ema(struct model *m, double decay);
MUST_USE enum st model_ema_swap(struct model *m, struct err *err);

/* tok [batch, seq_len + 1]: inputs and targets. loss_scale: this call's share of the step's
 * sequences. Adds the mean loss in nats, not scaled, to *loss after the call. How a step is cut
 * into calls changes no byte of its gradients when calls are whole chunks (1,024 tokens, at least a
 * sequence), else their last digits. Buffers for training are allocated on first use. */
MUST_USE enum st model_forward_backward(struct model *m, const uint32_t *tok, int batch,
                                        int seq_len, double loss_scale, double *loss,
                                        struct err *err);
MUST_USE enum st model_adamw_step(struct model *m, const struct adamw_conf *c,
                                  uint64_t step /* from 1 */, double *grad_norm, struct err *err);

/* Bytes that training takes in passes of batch sequences, as model_forward_backward cuts them: each
 * matrix lies once in weights and as the backend multiplies with it in layouts; optimizer: both
 * moments; average: of the parameters, where one is kept; activations: of one pass. The backend's
 * scratch (a few MB a thread, and the logits of some rows) is not counted. */
struct model_memory {
    size_t weights, layouts, gradients, optimizer, average, activations;
};
void model_memory(const struct model_conf *conf, const struct backend *b, int batch, int seq_len,
                  bool average, struct model_memory *out);

/* Loss of each target token, nats: losses [batch, seq_len]. Parameters stay as they are. */
MUST_USE enum st model_losses(struct model *m, const uint32_t *tok, int batch, int seq_len,
                              float *losses, struct err *err);

/* Optimizer state for exact resume: parameters, first and second moments, the average where there
 * is one, in one file, checksummed. */
MUST_USE enum st model_save_state(struct model *m, const char *path, uint64_t step,
                                  struct err *err);
MUST_USE enum st model_load_state(struct model *m, const char *path, uint64_t *step,
                                  struct err *err);

/* For tests and tools: one parameter or its gradient by Hugging Face name; *n elements. */
MUST_USE enum st model_get_param(struct model *m, const char *name, bool grad, float **out,
                                 size_t *n, struct err *err);
MUST_USE enum st model_logits(struct model *m, const uint32_t *tok, int n_tok,
                              float *logits /* [n_tok, vocab] */, struct err *err);

#endif
