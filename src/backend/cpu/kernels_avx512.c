/* backend/cpu/kernels_avx512.c - the kernels for AVX-512: tiles of 14 x 32, 28 sums in registers.
 */
#if defined(__x86_64__)
#define KERNELS kernels_avx512
#define KERNELS_NAME "avx512"
#define MR 14
#include "backend/cpu/kernels_body.h"
#endif
