/* backend/cpu/kernels_avx2.c - the kernels for AVX2 with FMA: tiles of 6 x 16, 12 sums in
 * registers. */
#if defined(__x86_64__)
#define KERNELS kernels_avx2
#define KERNELS_NAME "avx2"
#define MR 6
#include "backend/cpu/kernels_body.h"
#endif
