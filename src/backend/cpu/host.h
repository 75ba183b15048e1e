/*
 * backend/cpu/host.h - what the two backends in host memory share: buffers and copies.
 *
 * ref has the plain loops of ref.c for every operation; cpu replaces all of those by ops.c.
 */
#ifndef MIXLAW_BACKEND_CPU_HOST_H
#define MIXLAW_BACKEND_CPU_HOST_H

#include "backend/backend.h"
#include "backend/cpu/kernels.h"

MUST_USE enum st backend_cpu_open(struct backend **out, int n_threads, enum precision p,
                                  struct err *err);
MUST_USE enum st backend_ref_open(struct backend **out, enum precision p, struct err *err);

struct buffer {
    void *bytes;
    size_t n_bytes;
};

float *host_f32(struct tensor t); /* NULL for no tensor; asserts the type */
uint32_t *host_u32(struct tensor t);
double *host_f64(struct tensor t);

/* Rows of the table that do the same for both. */
enum st host_sync(struct backend *b, struct err *err);
enum st host_alloc(struct backend *b, struct tensor *t, struct err *err);
void host_free(struct backend *b, struct tensor *t);
void host_upload(struct backend *b, struct tensor dst, const void *src);
void host_download(struct backend *b, void *dst, struct tensor src);
void host_zero(struct backend *b, struct tensor t);
/* The step's coefficients from its settings and the gradients' norm. */
void host_adam_coef(struct adam_coef *c, double grad_norm, const struct adamw_step *s);
void host_embed(struct backend *b, struct tensor out, struct tensor table, struct tensor tok);

#endif
