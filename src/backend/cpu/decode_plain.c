/* backend/cpu/decode_plain.c - the generator's kernels in plain C: everywhere, and the tests'
 * oracle. */
#define DECODE_TABLE table
#define DECODE_NAME "plain"
#include "backend/cpu/decode_body.h"

const struct decode_kernels *decode_kernels_plain(void)
{
    return &table;
}
