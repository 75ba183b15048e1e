/* backend/cpu/decode_avx512.c - the generator's kernels for AVX-512; called after a run-time check
 * only. */
#if defined(__AVX512F__)
#define DECODE_TABLE table
#define DECODE_NAME "avx512"
#include "backend/cpu/decode_body.h"

const struct decode_kernels *decode_kernels_avx512(void)
{
    return &table;
}
#else
#include "backend/cpu/decode.h"

const struct decode_kernels *decode_kernels_avx512(void)
{
    return NULL;
}
#endif
