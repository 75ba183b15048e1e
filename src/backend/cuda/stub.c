/* backend/cuda/stub.c - stands in for the CUDA backend in builds without it. */
#include "backend/cuda/cuda.h"

enum st backend_cuda_open(struct backend **out, enum precision p, struct err *err)
{
    (void)p;
    *out = NULL;
    return err_set(err, ST_UNSUPPORTED, "backend 'cuda': this build has no CUDA; use cpu");
}
