/* backend/cpu/quant_plain.c - products with quantised weights in plain C: everywhere, and the
 * tests' oracle. */
#define QUANT_TABLE table
#define QUANT_NAME "plain"
#include "backend/cpu/quant_body.h"

const struct quant_kernels *quant_kernels_plain(void)
{
    return &table;
}
