/* backend/cpu/decode.c - see decode.h: the choice of kernels, and packing. */
#include "backend/cpu/decode.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "backend/cpu/features.h"
#include "backend/cpu/isa.h"
#include "base/log.h"
#include "base/mem.h"

enum { TRY_D = 64 }; /* of a head in the self-test */

const struct decode_kernels *decode_kernels_find(const char *name)
{
    const struct decode_kernels *k = NULL;
    if (!isa_find(name))
        return NULL;
    if (strcmp(name, "plain") == 0)
        k = decode_kernels_plain();
#if defined(__x86_64__)
    if (strcmp(name, "avx2") == 0 && cpu_has(FEATURE_F16C))
        k = decode_kernels_avx2();
    if (strcmp(name, "avx512") == 0)
        k = decode_kernels_avx512();
#endif
    return k;
}

size_t decode_kv_bytes(enum decode_kv kv, int d_pad)
{
    size_t n = (size_t)2 * (size_t)d_pad * DECODE_BLOCK;
    return kv == DECODE_KV_F16 ? n * 2 : n + n / DECODE_KV_GROUP * 2;
}

/* Attention by k over a few made-up positions of a form of the cache. */
static void try_attention(float *out, const struct decode_kernels *k, enum decode_kv kv)
{
    enum { POS = 45, D = TRY_D };
    float q[D], key[D], value[D], scores[64];
    uint8_t *block[2] = { xaligned(decode_kv_bytes(kv, D)), xaligned(decode_kv_bytes(kv, D)) };
    const float *qs[1] = { q };
    float *outs[1] = { out };
    int n_pos[1] = { POS };
    for (int i = 0; i < D; i++)
        q[i] = (float)((i * 6007) % 997) / 997 - 0.5f;
    for (int pos = 0; pos < POS; pos++) {
        for (int i = 0; i < D; i++) {
            key[i] = (float)((pos * 7919 + i * 6007) % 1013) / 1013 - 0.5f;
            value[i] = (float)((pos * 6007 + i * 7919) % 997) / 997 - 0.5f;
        }
        k->kv[kv].put(block[pos / DECODE_BLOCK], pos % DECODE_BLOCK, key, value, D, D);
    }
    k->kv[kv].attend(outs, qs, n_pos, 1, block, 0, D, scores);
    free(block[0]);
    free(block[1]);
}

/* A product and attentions of a few rows, the same by k and by plain C: nothing is used before it
 * passed. */
static bool agrees(const struct decode_kernels *k)
{
    enum { IN = 40, OUT = 37, ROWS = 13 };
    const struct decode_kernels *both[2] = { decode_kernels_plain(), k };
    float rows[OUT * IN], x[ROWS * IN], y[2][ROWS * OUT], out[2][N_DECODE_KV][TRY_D];
    for (int i = 0; i < OUT * IN; i++)
        rows[i] = (float)((i * 7919) % 1013) / 1013 - 0.5f;
    for (int i = 0; i < ROWS * IN; i++)
        x[i] = (float)((i * 6007) % 997) / 997 - 0.5f;
    for (int b = 0; b < 2; b++) {
        struct decode_packed w;
        decode_packed_init(&w, both[b], IN, OUT, 0);
        for (int p = 0; p < w.n_panel; p++) {
            const float *at[64] = { NULL };
            for (int c = 0; c < both[b]->n_col && p * both[b]->n_col + c < OUT; c++)
                at[c] = rows + (p * both[b]->n_col + c) * IN;
            decode_packed_fill(&w, both[b], p, at);
        }
        both[b]->product(&w, 0, w.n_panel, x, IN, ROWS, y[b], OUT, DECODE_STORE);
        decode_packed_release(&w);
        for (int kv = 0; kv < N_DECODE_KV; kv++)
            try_attention(out[b][kv], both[b], (enum decode_kv)kv);
    }
    bool same = true;
    for (int i = 0; i < ROWS * OUT; i++)
        same = same && fabsf(y[0][i] - y[1][i]) < 1e-4f;
    for (int kv = 0; kv < N_DECODE_KV; kv++)
        for (int i = 0; i < TRY_D; i++)
            same = same && fabsf(out[0][kv][i] - out[1][kv][i]) < 1e-4f;
    return same;
}

enum st decode_kernels(const struct decode_kernels **out, struct err *err)
{
    const struct isa *isa;
    enum precision p = PRECISION_FP32;
    enum st st = isa_choose(&isa, &p, err);
    if (st < 0)
        return st;
    *out = decode_kernels_find(isa->k->name);
    if (*out && !agrees(*out)) {
        log_warn("the generator's %s kernels fail their self-test here; plain C instead",
                 (*out)->name);
        *out = NULL;
    }
    if (!*out)
        *out = decode_kernels_plain();
    return ST_OK;
}

void decode_packed_init(struct decode_packed *w, const struct decode_kernels *k, int n_in,
                        int n_out, int gated)
{
    int n_col = gated ? k->n_col / 2 : k->n_col;
    *w = (struct decode_packed){
        .n_in = n_in, .n_out = n_out, .n_panel = (n_out + n_col - 1) / n_col, .gated = gated
    };
    w->panel = xaligned((size_t)w->n_panel * (size_t)n_in * (size_t)k->n_col * sizeof *w->panel);
}

void decode_packed_fill(struct decode_packed *w, const struct decode_kernels *k, int p,
                        const float *const *rows)
{
    float *out = w->panel + (size_t)p * (size_t)w->n_in * (size_t)k->n_col;
    for (int c = 0; c < k->n_col; c++)
        for (int i = 0; i < w->n_in; i++)
            out[(size_t)i * (size_t)k->n_col + (size_t)c] = rows[c] ? rows[c][i] : 0;
}

void decode_packed_release(struct decode_packed *w)
{
    free(w->panel);
    *w = (struct decode_packed){ 0 };
}
