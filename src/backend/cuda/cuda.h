/* backend/cuda/cuda.h - NVIDIA devices. */
#ifndef MIXLAW_BACKEND_CUDA_CUDA_H
#define MIXLAW_BACKEND_CUDA_CUDA_H

#include "backend/backend.h"

MUST_USE enum st backend_cuda_open(struct backend **out, enum precision p, struct err *err);

#endif
