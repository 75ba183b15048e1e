/* backend/cpu/kernels_bf16_plain.c - bfloat16 products in plain C, for any processor. */
#define BF16_KERNELS bf16_plain
#define BF16_NAME "plain"
#define MR 4
#include "backend/cpu/kernels_bf16_tile.h"
