/* backend/cpu/kernels_bf16_avx512.c - bfloat16 products by VDPBF16PS: tiles of 14 x 32, 28 sums in
 * registers. */
#if defined(__x86_64__)
#define BF16_KERNELS bf16_avx512
#define BF16_NAME "avx512bf16"
#define BF16_INSTRUCTION
#define MR 14
#include "backend/cpu/kernels_bf16_tile.h"
#endif
