/* backend/cpu/decode.c - see decode.h: the choice of kernels, and packing. */
#include "backend/cpu/decode.h"

#include <stdlib.h>

#include "base/mem.h"

const struct decode_kernels *decode_kernels(void)
{
    const struct decode_kernels *k = NULL;
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
        __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq"))
        k = decode_kernels_avx512();
    if (!k && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
        __builtin_cpu_supports("f16c"))
        k = decode_kernels_avx2();
#endif
    return k ? k : decode_kernels_plain();
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
