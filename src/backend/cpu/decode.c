/* backend/cpu/decode.c - see decode.h: the choice of kernels, and packing. */
#include "backend/cpu/decode.h"

#include <stdlib.h>
#include <string.h>

#include "backend/cpu/isa.h"
#include "base/mem.h"

const struct decode_kernels *decode_kernels_find(const char *name)
{
    const struct decode_kernels *k = NULL;
    if (!isa_find(name))
        return NULL;
    if (strcmp(name, "plain") == 0)
        k = decode_kernels_plain();
#if defined(__x86_64__)
    if (strcmp(name, "avx2") == 0 && isa_has_f16c())
        k = decode_kernels_avx2();
    if (strcmp(name, "avx512") == 0)
        k = decode_kernels_avx512();
#endif
    return k;
}

enum st decode_kernels(const struct decode_kernels **out, struct err *err)
{
    const struct kernels *family;
    enum st st = isa_choose(&family, err);
    if (st < 0)
        return st;
    *out = decode_kernels_find(family->name);
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
