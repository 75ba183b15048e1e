/*
 * backend/cpu/tiles.h - the AMX instructions that the kernels use, as assembler.
 *
 * Not the compiler's intrinsics: gcc 12's do not say that they read and write memory, so that
 * stores before a load may be dropped or moved behind it. Tile registers are numbered 0-7 by
 * literals, a stride is in bytes. A thread loads a configuration before and releases the tiles
 * after use; without it any of these traps. Source: Intel SDM volume 2, LDTILECFG, TILELOADD,
 * TDPBF16PS.
 */
#ifndef MIXLAW_BACKEND_CPU_TILES_H
#define MIXLAW_BACKEND_CPU_TILES_H

#include <stddef.h>
#include <stdint.h>

struct tile_config { /* 64 bytes, as the processor reads them */
    uint8_t palette, start_row, zero[14];
    uint16_t row_bytes[16];
    uint8_t rows[16];
};

static inline void tiles_configure(const struct tile_config *c)
{
    __asm__ volatile("ldtilecfg %0" : : "m"(*c) : "memory");
}

static inline void tiles_release(void)
{
    __asm__ volatile("tilerelease" : : : "memory");
}

#define TILE_ZERO(t) __asm__ volatile("tilezero %%tmm" #t : : : "memory")
#define TILE_LOAD(t, p, stride)                                                                    \
    __asm__ volatile("tileloadd (%0,%1,1), %%tmm" #t                                               \
                     :                                                                             \
                     : "r"((const void *)(p)), "r"((size_t)(stride))                               \
                     : "memory")
#define TILE_STORE(t, p, stride)                                                                   \
    __asm__ volatile("tilestored %%tmm" #t ", (%0,%1,1)"                                           \
                     :                                                                             \
                     : "r"((void *)(p)), "r"((size_t)(stride))                                     \
                     : "memory")
/* c += a b: 16 x 16 sums of 16 pairs */
#define TILE_DOT(c, a, b)                                                                          \
    __asm__ volatile("tdpbf16ps %%tmm" #b ", %%tmm" #a ", %%tmm" #c : : : "memory")

#endif
