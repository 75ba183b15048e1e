/* backend/cpu/kernels_plain.c - the kernels in plain C, for any processor. */
#define KERNELS kernels_plain
#define KERNELS_NAME "plain"
#define MR 4
#include "backend/cpu/kernels_body.h"
