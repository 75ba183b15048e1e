/* backend/cpu/quant_avx2.c - products with quantised weights for AVX2; called after a run-time
 * check only. */
#if defined(__AVX2__)
#define QUANT_TABLE table
#define QUANT_NAME "avx2"
#include "backend/cpu/quant_body.h"

const struct quant_kernels *quant_kernels_avx2(void)
{
    return &table;
}
#else
#include "backend/cpu/quant.h"

const struct quant_kernels *quant_kernels_avx2(void)
{
    return NULL;
}
#endif
