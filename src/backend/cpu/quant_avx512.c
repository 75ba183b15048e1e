/* backend/cpu/quant_avx512.c - products with quantised weights for AVX-512; called after a run-time
 * check only. */
#if defined(__AVX512F__)
#define QUANT_TABLE table
#define QUANT_NAME "avx512"
#include "backend/cpu/quant_body.h"

const struct quant_kernels *quant_kernels_avx512(void)
{
    return &table;
}
#else
#include "backend/cpu/quant.h"

const struct quant_kernels *quant_kernels_avx512(void)
{
    return NULL;
}
#endif
