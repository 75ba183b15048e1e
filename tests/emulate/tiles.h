/*
 * tests/emulate/tiles.h - the AMX instructions of backend/cpu/tiles.h in plain C, for tests.
 *
 * Stands in for that header (same guard) where the compiler includes it first. Tile registers
 * belong to the thread; whatever traps on the processor ends the program here: no configuration, a
 * tile used that has none, shapes that do not fit. From the pseudo-code of Intel SDM volume 2: sums
 * of even and odd elements apart, added at the end; denormals are zero.
 */
#ifndef MIXLAW_BACKEND_CPU_TILES_H
#define MIXLAW_BACKEND_CPU_TILES_H

#include <assert.h>
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct tile_config {
    uint8_t palette, start_row, zero[14];
    uint16_t row_bytes[16];
    uint8_t rows[16];
};

static _Thread_local struct {
    struct tile_config config; /* palette 0: released */
    uint8_t byte[8][16][64];
} emulate_tiles;

static inline void tiles_configure(const struct tile_config *c)
{
    assert(c->palette == 1 && c->start_row == 0);
    for (int i = 0; i < 16; i++) {
        assert(c->rows[i] <= 16 && c->row_bytes[i] <= 64);
        assert(i < 8 || (c->rows[i] == 0 && c->row_bytes[i] == 0));
        assert((c->rows[i] == 0) == (c->row_bytes[i] == 0));
    }
    memset(&emulate_tiles, 0, sizeof emulate_tiles);
    emulate_tiles.config = *c;
}

static inline void tiles_release(void)
{
    memset(&emulate_tiles, 0xa5, sizeof emulate_tiles);
    emulate_tiles.config.palette = 0;
}

static inline void emulate_used(int t)
{
    assert(emulate_tiles.config.palette == 1 && emulate_tiles.config.rows[t] > 0);
}

static inline void emulate_zero(int t)
{
    emulate_used(t);
    memset(emulate_tiles.byte[t], 0, sizeof emulate_tiles.byte[t]);
}

static inline void emulate_load(int t, const void *p, size_t stride)
{
    emulate_zero(t);
    for (int r = 0; r < emulate_tiles.config.rows[t]; r++)
        memcpy(emulate_tiles.byte[t][r], (const char *)p + (size_t)r * stride,
               emulate_tiles.config.row_bytes[t]);
}

static inline void emulate_store(int t, void *p, size_t stride)
{
    emulate_used(t);
    for (int r = 0; r < emulate_tiles.config.rows[t]; r++)
        memcpy((char *)p + (size_t)r * stride, emulate_tiles.byte[t][r],
               emulate_tiles.config.row_bytes[t]);
}

static inline float emulate_element(const uint8_t *p) /* a bfloat16; denormals are zero */
{
    uint16_t h;
    memcpy(&h, p, sizeof h);
    uint32_t u = (h & 0x7f80) == 0 ? (uint32_t)(h & 0x8000) << 16 : (uint32_t)h << 16;
    float f;
    memcpy(&f, &u, sizeof f);
    return f;
}

static inline void emulate_dot(int c, int a, int b)
{
    const struct tile_config *g = &emulate_tiles.config;
    emulate_used(c);
    emulate_used(a);
    emulate_used(b);
    assert(g->rows[a] == g->rows[c] && g->row_bytes[b] == g->row_bytes[c]);
    assert(g->row_bytes[a] == 4 * g->rows[b]);
    int n_pair = g->row_bytes[a] / 4, n_col = g->row_bytes[c] / 4;
    for (int m = 0; m < g->rows[c]; m++)
        for (int n = 0; n < n_col; n++) {
            float even = 0, odd = 0, sum;
            for (int k = 0; k < n_pair; k++) {
                const uint8_t *x = &emulate_tiles.byte[a][m][4 * k];
                const uint8_t *y = &emulate_tiles.byte[b][k][4 * n];
                even = fmaf(emulate_element(x), emulate_element(y), even);
                odd = fmaf(emulate_element(x + 2), emulate_element(y + 2), odd);
            }
            memcpy(&sum, &emulate_tiles.byte[c][m][4 * n], sizeof sum);
            sum += even + odd;
            memcpy(&emulate_tiles.byte[c][m][4 * n], &sum, sizeof sum);
        }
}

#define TILE_ZERO(t) emulate_zero(t)
#define TILE_LOAD(t, p, stride) emulate_load(t, p, stride)
#define TILE_STORE(t, p, stride) emulate_store(t, p, stride)
#define TILE_DOT(c, a, b) emulate_dot(c, a, b)

#endif
