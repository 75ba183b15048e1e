/*
 * backend/backend.h - tensors on a device and the layer-sized operations on them.
 *
 * (The engine's boundary: see docs/ARCHITECTURE.md.) Calls may only enqueue and return nothing; the
 * first failure sticks to the backend and comes out of sync(). Reductions are done in an order that
 * follows from shapes, never from the number of threads.
 */
#ifndef MIXLAW_BACKEND_BACKEND_H
#define MIXLAW_BACKEND_BACKEND_H

#include "base/err.h"

struct backend;
enum precision {
    PRECISION_AUTO,
    PRECISION_FP32,
    PRECISION_BF16
}; /* of products; sums and weights are fp32 */

/* name: auto, cpu, cuda. n_threads 0: what the process may use. */
MUST_USE enum st backend_open(struct backend **out, const char *name, int n_threads,
                              enum precision p, struct err *err);
void backend_close(struct backend *b);             /* NULL is fine */
const char *backend_name(const struct backend *b); /* "cpu/avx2 fp32" */

#endif
