/* backend/cuda/stub.c - there is no CUDA backend yet: asking for it is refused, never answered by
 * another. */
#include "backend/cuda/cuda.h"

enum st backend_cuda_open(struct backend **out, enum precision p, struct err *err)
{
    (void)p;
    *out = NULL;
    return err_set(err, ST_UNSUPPORTED, "backend 'cuda': there is none yet; use cpu");
}
