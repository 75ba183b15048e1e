/*
 * backend/cpu/decode.h - the generator's kernels: products with packed weights for any small number
 * of rows, attention over a cache of keys and values, norm, and the exponentials that sampling
 * needs.
 *
 * One table of functions a processor kind, all from decode_body.h; decode_kernels() gives the one
 * that suits this processor. What a row of a result holds depends on that row of the input alone:
 * neither the number of rows in the call, nor the thread, nor the block it was computed in changes
 * a bit of it.
 *
 * Packed weights: outputs in panels of n_col columns, a panel [n_in, n_col]. A gated matrix (gate
 * and up of SwiGLU) has in each panel n_col/2 columns of gate and the same n_col/2 of up.
 *
 * The cache: blocks of DECODE_BLOCK positions; a block of one layer and key-value head holds keys
 * transposed [d_pad, DECODE_BLOCK], then values [DECODE_BLOCK, d_pad]; d_pad is d_head filled up to
 * whole groups of 32. As halves (F16), or as bytes (Q8): value = code * scale with codes of
 * -127..127, where each position's key and value have a scale for every 32 of their dimensions,
 * halves that stand behind the codes: of keys [d_pad / 32, DECODE_BLOCK], of values likewise. What
 * a position holds follows from its own key and value alone, whenever it is put there.
 *
 * Threads: kernels have no state; what they are given must not overlap between threads.
 */
#ifndef MIXLAW_BACKEND_CPU_DECODE_H
#define MIXLAW_BACKEND_CPU_DECODE_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum { DECODE_BLOCK = 32, DECODE_KV_GROUP = 32 };

enum decode_kv { DECODE_KV_F16, DECODE_KV_Q8, N_DECODE_KV };

/* How one form of the cache is written and read; `at`, and block[b] + offset, are where the block
 * of a layer and head begins. */
struct decode_kv_kernels {
    /* Key and value [d] of one position of the block. Nearest even; what is beyond +-65504 becomes
     * that. */
    void (*put)(uint8_t *at, int in_block, const float *key, const float *value, int d, int d_pad);
    /* Softmax attention of n_row <= n_attn_rows queries over one sequence's cache of one head:
     * query q[i] [d_pad], already scaled, sees positions [0, n_pos[i]) and out[i] [d_pad] gets the
     * mean of values. block[b] + offset: keys and values of positions [32 b, 32 b + 32). scores:
     * scratch of n_row * (max n_pos rounded up to 32) floats. */
    void (*attend)(float *const *out, const float *const *q, const int *n_pos, int n_row,
                   uint8_t *const *block, size_t offset, int d_pad, float *scores);
};

struct decode_packed {
    float *panel; /* owned; 64-byte aligned */
    int n_in, n_out;
    int n_panel;
    int gated; /* n_out counts the columns after gating */
};

enum decode_end {
    DECODE_STORE, /* y = x W */
    DECODE_ADD,   /* y += x W: the residual stream */
    DECODE_SWIGLU /* y = silu(x G) * (x U); only for gated weights */
};

struct decode_kernels {
    const char *name;
    int n_col;       /* columns a panel */
    int n_attn_rows; /* query rows attend() takes at once */
    struct decode_kv_kernels kv[N_DECODE_KV];

    /* Panels [first, first + n) of the product of x [n_row, n_in] into y [n_row, n_out]. */
    void (*product)(const struct decode_packed *w, int first, int n, const float *x, size_t ldx,
                    int n_row, float *y, size_t ldy, enum decode_end end);
    /* y = x / rms(x) * w */
    void (*rmsnorm)(float *y, const float *x, const float *w, int n, float eps);
    float (*max)(const float *x, int n);
    /* y = exp((x - max) * scale); returns the sum, in an order that follows from n */
    double (*exp_sum)(float *y, const float *x, int n, float max, float scale);
    /* Indexes of the elements >= least, ascending; at most cap of them. Returns how many there are.
     */
    int (*at_least)(const float *x, int n, float least, uint32_t *index, int cap);
};

/* For the processor family that isa_choose() chooses (MIXLAW_ISA forces one). */
MUST_USE enum st decode_kernels(const struct decode_kernels **out, struct err *err);
const struct decode_kernels *decode_kernels_find(const char *name); /* NULL: cannot run here */
const struct decode_kernels *decode_kernels_plain(void);            /* C, the tests' oracle */
const struct decode_kernels *decode_kernels_avx2(void);             /* NULL where not built */
const struct decode_kernels *decode_kernels_avx512(void);

/* Bytes of a block of one layer and head. */
size_t decode_kv_bytes(enum decode_kv kv, int d_pad);

/* Room for a matrix of n_out outputs. fill_panel transposes rows [n_in] into panel p: rows holds
 * n_col pointers, NULL for columns beyond the matrix (zeros). */
void decode_packed_init(struct decode_packed *w, const struct decode_kernels *k, int n_in,
                        int n_out, int gated);
void decode_packed_fill(struct decode_packed *w, const struct decode_kernels *k, int p,
                        const float *const *rows);
void decode_packed_release(struct decode_packed *w);

#endif
