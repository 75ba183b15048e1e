/* backend/cpu/decode_avx2.c - the generator's kernels for AVX2; called after a run-time check only.
 */
#if defined(__AVX2__)
#define DECODE_TABLE table
#define DECODE_NAME "avx2"
#include "backend/cpu/decode_body.h"

const struct decode_kernels *decode_kernels_avx2(void)
{
    return &table;
}
#else
#include "backend/cpu/decode.h"

const struct decode_kernels *decode_kernels_avx2(void)
{
    return NULL;
}
#endif
