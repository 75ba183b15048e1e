/* backend/cpu/kernels_bf16_avx2.c - bfloat16 products by AVX2's fp32 multiply-adds. */
#if defined(__x86_64__)
#define BF16_KERNELS bf16_avx2
#define BF16_NAME "avx2"
#define MR 4
#include "backend/cpu/kernels_bf16_tile.h"
#endif
