/* backend/cpu/host.c - see host.h. */
#include "backend/cpu/host.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

static size_t type_size(enum dtype type)
{
    return type == DTYPE_F64 ? 8 : 4;
}

static void *host_bytes(struct tensor t, enum dtype type)
{
    if (!t.buf)
        return NULL;
    assert(t.type == type);
    return (char *)t.buf->bytes + t.offset * type_size(type);
}

float *host_f32(struct tensor t)
{
    return host_bytes(t, DTYPE_F32);
}

uint32_t *host_u32(struct tensor t)
{
    return host_bytes(t, DTYPE_U32);
}

double *host_f64(struct tensor t)
{
    return host_bytes(t, DTYPE_F64);
}

enum st host_sync(struct backend *b, struct err *err)
{
    return b->failed < 0 ? err_set(err, b->failed, "%s", b->reason.msg) : ST_OK;
}

enum st host_alloc(struct backend *b, struct tensor *t, struct err *err)
{
    (void)b;
    (void)err;
    t->buf = NEW(struct buffer);
    size_t n = tensor_n(*t) * type_size(t->type);
    t->buf->n_bytes = n;
    t->buf->bytes = n >= PAGES_LEAST ? xpages(n) : xaligned(n ? n : 1);
    t->offset = 0;
    return ST_OK;
}

void host_free(struct backend *b, struct tensor *t)
{
    (void)b;
    if (t->buf) {
        if (t->buf->n_bytes >= PAGES_LEAST)
            pages_free(t->buf->bytes, t->buf->n_bytes);
        else
            free(t->buf->bytes);
        free(t->buf);
    }
    *t = tensor_none;
}

void host_upload(struct backend *b, struct tensor dst, const void *src)
{
    (void)b;
    memcpy(host_bytes(dst, dst.type), src, tensor_n(dst) * type_size(dst.type));
}

void host_download(struct backend *b, void *dst, struct tensor src)
{
    (void)b;
    memcpy(dst, host_bytes(src, src.type), tensor_n(src) * type_size(src.type));
}

void host_zero(struct backend *b, struct tensor t)
{
    (void)b;
    memset(host_bytes(t, t.type), 0, tensor_n(t) * type_size(t.type));
}

void host_embed(struct backend *b, struct tensor out, struct tensor table, struct tensor tok)
{
    (void)b;
    size_t d = table.dim[1];
    float *o = host_f32(out);
    const uint32_t *t = host_u32(tok);
    for (size_t i = 0; i < tok.dim[0]; i++) {
        assert(t[i] < table.dim[0]);
        memcpy(o + i * d, host_f32(table) + t[i] * d, d * sizeof *o);
    }
}

void host_adam_coef(struct adam_coef *c, double grad_norm, const struct adamw_step *s)
{
    double clip = 1, t = (double)s->step;
    if (s->grad_clip > 0) { /* a NaN norm gives NaN weights: the run shows as diverged */
        clip = s->grad_clip / (grad_norm + 1e-6);
        clip = clip > 1 ? 1 : clip;
    }
    *c = (struct adam_coef){
        .grad_scale = (float)clip,
        .decay = (float)(1 - s->lr * s->weight_decay),
        .beta1 = (float)s->beta1,
        .beta2 = (float)s->beta2,
        .rest1 = (float)(1 - s->beta1),
        .rest2 = (float)(1 - s->beta2),
        .eps = (float)s->eps,
        .step_size = (float)(s->lr / (1 - pow(s->beta1, t))),
        .inv_sqrt_c2 = (float)(1 / sqrt(1 - pow(s->beta2, t))),
    };
}
