/*
 * backend/backend.h - tensors on a device and the layer-sized operations on them.
 *
 * A model is written once against `struct backend_ops`: not a graph, not single arithmetic
 * operations, but about 25 steps of a Llama's forward and backward pass, each large enough that a
 * device may fuse and tile inside it. Weights are handed over once as `struct weight`;
 * weights_ready() after a change makes whatever layouts and casts the device wants, and nobody else
 * knows them.
 *
 *     struct backend *b;
 *     st = backend_open(&b, "auto", 0, PRECISION_AUTO, err);
 *     st = b->ops->alloc(b, &x, err);                         x: shape set by tensor_1d, _2d
 *     b->ops->rmsnorm(b, h, x, gain, 1e-5f);                  kernels are queued and return nothing
 *     st = b->ops->sync(b, err);                              the first failure since open
 *
 * Determinism: reductions are done in an order that follows from shapes, never from the number of
 * threads; the same calls give the same bytes with 1 or N.
 *
 * Backends: cpu (kernels for AMX, AVX512-BF16, AVX-512, AVX2 or plain C, chosen at run time;
 * MIXLAW_ISA forces one, see cpu/isa.h), ref (plain loops, slow: the oracle that every other
 * backend is tested against), cuda (not built yet: its open says ST_UNSUPPORTED).
 *
 * Threads: one thread at a time uses a backend; it may use many inside.
 */
#ifndef MIXLAW_BACKEND_BACKEND_H
#define MIXLAW_BACKEND_BACKEND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum dtype { DTYPE_F32, DTYPE_U32, DTYPE_F64 };

struct buffer; /* memory of one device */
struct tensor {
    struct buffer *buf; /* NULL: no tensor, where an operation takes one optionally */
    size_t offset;      /* elements */
    enum dtype type;
    int n_dim;
    size_t dim[2];
}; /* row-major view; owns nothing, but alloc and free follow the buffer of the whole */

struct weight; /* a matrix [n_out, n_in] with the device's layouts of it */

struct attn_shape {
    int batch, seq_len, n_head, n_kv_head, d_head;
    /* U32 [n_tok]: the first position of its sequence that a token sees, never falling within a
     * sequence; how documents and sliding windows are kept apart. None: all see from 0 on. */
    struct tensor first;
};

struct adamw_step {
    double lr, beta1, beta2, eps, weight_decay;
    double grad_clip; /* 0: none; else gradients are scaled by min(1, grad_clip / (norm + 1e-6)) */
    uint64_t step;    /* from 1 */
};

struct muon_step {
    double lr, momentum, weight_decay;
    double grad_clip; /* as in adamw_step */
};

/* FLOP/s that products can reach at most with all of the backend's threads; 0: unknown, or nothing
 * for it. */
struct backend_peak {
    double fp32, bf16;
    double used; /* of the precision that this backend multiplies in */
};

/* n threads on the host. Since open, seconds: of the caller in work that it shares out, and of all
 * of them busy in it. */
struct backend_threads {
    int n;
    double run_s, busy_s;
};

struct backend;

/* qkv is [n_tok, (n_head + 2 n_kv_head) d_head]: query heads, key heads, value heads of a token,
 * before rotation. Rotary tables rope [2][seq_len or more][d_head / 2]: cosines, then sines. n_tok
 * = batch seq_len. */
struct backend_ops {
    void (*close)(struct backend *b);
    enum st (*sync)(struct backend *b, struct err *err);
    void (*peak)(struct backend *b, struct backend_peak *out); /* measured now: about 10 ms */
    void (*threads)(const struct backend *b, struct backend_threads *out);

    /* Tensors. alloc gives zeroed memory to a shape; upload and download move whole tensors. */
    enum st (*alloc)(struct backend *b, struct tensor *t, struct err *err);
    void (*free)(struct backend *b, struct tensor *t); /* an empty one is fine */
    void (*upload)(struct backend *b, struct tensor dst, const void *src);
    void (*download)(struct backend *b, void *dst, struct tensor src);
    void (*zero)(struct backend *b, struct tensor t);

    /* Weights. w is a view that outlives the handle. */
    struct weight *(*weight_new)(struct backend *b, struct tensor w);
    void (*weight_free)(struct backend *b, struct weight *w); /* NULL is fine */
    void (*weights_ready)(struct backend *b, struct weight *w, bool for_gradients);
    /* Bytes of a matrix's layouts, for passes with gradients. They are kept beside the views while
     * those of all weights that there are together take at most layouts_kept bytes; of larger
     * models each is made anew for the product that wants it. */
    size_t (*weight_bytes)(const struct backend *b, size_t n_out, size_t n_in);
    size_t (*layouts_kept)(const struct backend *b);

    /* out[n, d] = table[tok[n]]; and dtable += */
    void (*embed)(struct backend *b, struct tensor out, struct tensor table, struct tensor tok);
    void (*embed_bwd)(struct backend *b, struct tensor dtable, struct tensor dout,
                      struct tensor tok);
    /* out[n, d] = x[n, d] * g[d] / sqrt(mean_d(x^2) + eps); backward: dx += and dg += */
    void (*rmsnorm)(struct backend *b, struct tensor out, struct tensor x, struct tensor g,
                    float eps);
    void (*rmsnorm_bwd)(struct backend *b, struct tensor dx, struct tensor dg, struct tensor dy,
                        struct tensor x, struct tensor g, float eps);
    /* out[n, n_out] = from + x[n, n_in] w'; dx = dy w; dw += dy' x. from: none, another tensor or
     * out itself */
    void (*linear)(struct backend *b, struct tensor out, struct tensor x, const struct weight *w,
                   struct tensor from);
    void (*linear_dgrad)(struct backend *b, struct tensor dx, struct tensor dy,
                         const struct weight *w);
    void (*linear_wgrad)(struct backend *b, struct tensor dw, struct tensor dy, struct tensor x);
    /* out[n, d] = from[n, d] + bias[d], from: none or a tensor; dbias[d] += sums over rows of dy[n,
     * d] */
    void (*bias)(struct backend *b, struct tensor out, struct tensor from, struct tensor bias);
    void (*bias_bwd)(struct backend *b, struct tensor dbias, struct tensor dy);
    /* out[n, ff] = silu(gu[:, :ff]) * gu[:, ff:]; backward gives the forward's result again in act;
     * dgu may be gu */
    void (*swiglu)(struct backend *b, struct tensor out, struct tensor gu);
    void (*swiglu_bwd)(struct backend *b, struct tensor dgu, struct tensor act, struct tensor dout,
                       struct tensor gu);
    /* Rotation and causal attention. out [n_tok, n_head d_head], lse [n_tok, n_head] log-sums for
     * backward */
    void (*attn)(struct backend *b, struct tensor out, struct tensor lse, struct tensor qkv,
                 struct tensor rope, struct attn_shape s);
    void (*attn_bwd)(struct backend *b, struct tensor dqkv, struct tensor dout, struct tensor qkv,
                     struct tensor out, struct tensor lse, struct tensor rope, struct attn_shape s);
    /* losses[n] in nats of target[n] under logits h[n, d] w'; logits are never stored whole. The
     * second form also gives dh[n, d] and adds to dw[vocab, d] the gradients of scale * sum of
     * (losses + z_loss * lse^2), lse being the log of the sum of the exponentials: z_loss holds it
     * near 0. losses come without it. */
    void (*head_loss)(struct backend *b, struct tensor losses, struct tensor h,
                      const struct weight *w, struct tensor target);
    void (*head_loss_bwd)(struct backend *b, struct tensor losses, struct tensor dh,
                          struct tensor dw, struct tensor h, const struct weight *w,
                          struct tensor target, float scale, float z_loss);
    /* out[1] (F64) = sum of squares of x; adamw reads it for clipping and clears g */
    void (*sumsq)(struct backend *b, struct tensor out, struct tensor x);
    void (*adamw)(struct backend *b, struct tensor p, struct tensor g, struct tensor m,
                  struct tensor v, struct tensor grad_sumsq, const struct adamw_step *s);
    /* p [rows, cols]: m becomes momentum m + (1 - momentum) g; p is decayed by lr and moves by
     * -.2 lr sqrt(max(rows, cols)) N((1 - momentum) g + momentum m), where N brings all singular
     * values near 1 by five Newton-Schulz steps (in fp32, whatever products are made in). Clears g.
     */
    void (*muon)(struct backend *b, struct tensor p, struct tensor g, struct tensor m,
                 struct tensor grad_sumsq, const struct muon_step *s);
    /* mean = decay mean + (1 - decay) x */
    void (*ema)(struct backend *b, struct tensor mean, struct tensor x, double decay);
};

/* N(x): x over its norm, then five times a x + (b x x' + c (x x')^2) x. Source: Jordan et al. 2024,
 * Muon (kellerjordan.github.io/posts/muon); the step's size as AdamW's: Liu et al. 2025
 * (arXiv:2502.16982). */
#define MUON_STEPS 5
#define MUON_A 3.4445
#define MUON_B (-4.7750)
#define MUON_C 2.0315
#define MUON_EPS 1e-7
#define MUON_SIZE 0.2

struct backend { /* first member of each implementation */
    const struct backend_ops *ops;
    char name[48];
    enum st failed;    /* the first failure, kept */
    struct err reason; /* of it */
};

enum precision {
    PRECISION_AUTO,
    PRECISION_FP32,
    PRECISION_BF16
}; /* of products; sums and weights are fp32 */

/* name: auto, cpu, cuda, ref. n_threads 0: what the process may use. PRECISION_AUTO is fp32 where
 * bf16 is not faster. ST_USAGE for an unknown name, ST_UNSUPPORTED for a device that this build or
 * machine lacks. */
MUST_USE enum st backend_open(struct backend **out, const char *name, int n_threads,
                              enum precision p, struct err *err);
void backend_close(struct backend *b);             /* NULL is fine */
const char *backend_name(const struct backend *b); /* "cpu/avx2 fp32" */

/* Shapes and views; no memory yet. */
struct tensor tensor_1d(enum dtype type, size_t n);
struct tensor tensor_2d(enum dtype type, size_t rows, size_t cols);
struct tensor tensor_part(struct tensor t, size_t offset, size_t rows,
                          size_t cols); /* [rows, cols] at an element; cols 0: 1-d of rows */
size_t tensor_n(struct tensor t);
extern const struct tensor tensor_none;

#endif
