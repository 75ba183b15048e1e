/* model/codes.c - see codes.h. Blocks as in gguf_weights.c: ggml's quantisation types. */
#include "model/codes.h"

#include <assert.h>
#include <string.h>

#include "base/attr.h"
#include "base/half.h"
#include "model/gguf_weights.h"

enum { BLOCK = 32 };

/* A type's block: fp16 scale, perhaps an fp16 minimum, perhaps a word of fifth bits, then codes. */
static const struct layout {
    uint32_t type;
    int bits;      /* of a code in the file */
    int n_bytes;   /* of a block */
    int high, low; /* where fifth bits and codes begin; high 0: none */
    int zero;      /* code that stands for 0; -1: the block has a minimum */
} layout[] = {
    { GGUF_Q4_0, 4, 18, 0, 2, 8 },  { GGUF_Q4_1, 4, 20, 0, 4, -1 }, { GGUF_Q5_0, 5, 22, 2, 6, 16 },
    { GGUF_Q5_1, 5, 24, 4, 8, -1 }, { GGUF_Q8_0, 8, 34, 0, 2, 0 },
};

static const struct layout *layout_of(const struct weight *w)
{
    for (size_t i = 0; w->tensor && i < N_OF(layout); i++)
        if (layout[i].type == w->tensor->type)
            return &layout[i];
    return NULL;
}

bool codes_has(const struct weight *w)
{
    return layout_of(w) != NULL;
}

int codes_bits(const struct weight *w)
{
    const struct layout *l = layout_of(w);
    return l && l->bits == 4 ? 4 : 8;
}

bool codes_have_min(const struct weight *w)
{
    const struct layout *l = layout_of(w);
    return l && l->bits < 8;
}

static void block_codes(int8_t *code, float *scale, float *min, const struct layout *l,
                        const uint8_t *p)
{
    *scale = f16_at(p);
    *min = l->zero < 0 ? f16_at(p + 2) : -(float)l->zero * *scale;
    if (l->bits == 8) {
        memcpy(code, p + l->low, BLOCK);
        return;
    }
    uint32_t high = 0;
    for (int k = 0; l->high && k < 4; k++)
        high |= (uint32_t)p[l->high + k] << 8 * k;
    for (int i = 0; i < BLOCK / 2; i++) {
        code[i] = (int8_t)((p[l->low + i] & 15) | (high >> i & 1) << 4);
        code[i + 16] = (int8_t)(p[l->low + i] >> 4 | (high >> (i + 16) & 1) << 4);
    }
}

void codes_row(int8_t *code, float *scale, float *min, const struct weight *w, int i)
{
    const struct layout *l = layout_of(w);
    assert(l);
    uint64_t row = w->pair_rows ? gguf_row_hf((uint64_t)i, w->pair_rows) : (uint64_t)i;
    int n_block = w->n_col / BLOCK;
    const uint8_t *p = w->tensor->data + row * (uint64_t)n_block * (uint64_t)l->n_bytes;
    for (int b = 0; b < n_block; b++, p += l->n_bytes)
        block_codes(code + b * BLOCK, scale + b, min + b, l, p);
}
