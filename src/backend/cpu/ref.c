/*
 * backend/cpu/ref.c - every operation as plain loops in double precision: the oracle of the fast
 * ones.
 *
 * Written from the formulas alone and sharing nothing with the kernels but memory. PRECISION_BF16
 * rounds the operands of linear layers and of the head as the fast backends do.
 */
#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/cpu/host.h"
#include "base/mem.h"

struct ref_backend {
    struct backend base;
    bool bf16;
};

struct weight {
    struct tensor w;
};

static void ref_close(struct backend *b)
{
    free(b);
}

static struct weight *weight_new(struct backend *b, struct tensor w)
{
    (void)b;
    struct weight *h = NEW(struct weight);
    h->w = w;
    return h;
}

static void weight_free(struct backend *b, struct weight *w)
{
    (void)b;
    free(w);
}

static void weights_ready(struct backend *b, struct weight *w, bool for_gradients)
{
    (void)b;
    (void)w;
    (void)for_gradients;
}

static size_t weight_bytes(const struct backend *b, size_t n_out, size_t n_in)
{
    (void)b;
    (void)n_out;
    (void)n_in;
    return 0;
}

static size_t layouts_kept(const struct backend *b)
{
    (void)b;
    return 0;
}

/* The value as an operand of a product. */
static double operand(const struct backend *b, float x)
{
    if (!((const struct ref_backend *)b)->bf16 || x != x)
        return (double)x;
    uint32_t u;
    memcpy(&u, &x, sizeof u);
    u = (u + 0x7fff + ((u >> 16) & 1)) & 0xffff0000u;
    memcpy(&x, &u, sizeof u);
    return (double)x;
}

static void embed_bwd(struct backend *b, struct tensor dtable, struct tensor dout,
                      struct tensor tok)
{
    (void)b;
    size_t d = dtable.dim[1];
    for (size_t i = 0; i < tok.dim[0]; i++)
        for (size_t j = 0; j < d; j++)
            host_f32(dtable)[host_u32(tok)[i] * d + j] += host_f32(dout)[i * d + j];
}

static double inv_rms(const float *x, size_t d, float eps)
{
    double sum = 0;
    for (size_t j = 0; j < d; j++)
        sum += (double)x[j] * (double)x[j];
    return 1 / sqrt(sum / (double)d + (double)eps);
}

static void rmsnorm(struct backend *b, struct tensor out, struct tensor x, struct tensor g,
                    float eps)
{
    (void)b;
    size_t d = x.dim[1];
    for (size_t i = 0; i < x.dim[0]; i++) {
        const float *row = host_f32(x) + i * d;
        double r = inv_rms(row, d, eps);
        for (size_t j = 0; j < d; j++)
            host_f32(out)[i * d + j] = (float)((double)row[j] * r * (double)host_f32(g)[j]);
    }
}

static void rmsnorm_bwd(struct backend *b, struct tensor dx, struct tensor dg, struct tensor dy,
                        struct tensor x, struct tensor g, float eps)
{
    (void)b;
    size_t d = x.dim[1];
    for (size_t i = 0; i < x.dim[0]; i++) {
        const float *row = host_f32(x) + i * d, *dr = host_f32(dy) + i * d, *gain = host_f32(g);
        double r = inv_rms(row, d, eps), mean = 0;
        for (size_t j = 0; j < d; j++)
            mean += (double)dr[j] * (double)gain[j] * (double)row[j] / (double)d;
        for (size_t j = 0; j < d; j++) {
            host_f32(dx)[i * d + j] +=
                (float)(r * ((double)dr[j] * (double)gain[j] - (double)row[j] * r * r * mean));
            host_f32(dg)[j] += (float)((double)dr[j] * (double)row[j] * r);
        }
    }
}

static void linear(struct backend *b, struct tensor out, struct tensor x, const struct weight *w,
                   struct tensor from)
{
    size_t n_out = w->w.dim[0], n_in = w->w.dim[1];
    for (size_t i = 0; i < x.dim[0]; i++)
        for (size_t o = 0; o < n_out; o++) {
            double sum = from.buf ? (double)host_f32(from)[i * n_out + o] : 0;
            for (size_t k = 0; k < n_in; k++)
                sum += operand(b, host_f32(x)[i * n_in + k]) *
                       operand(b, host_f32(w->w)[o * n_in + k]);
            host_f32(out)[i * n_out + o] = (float)sum;
        }
}

static void linear_dgrad(struct backend *b, struct tensor dx, struct tensor dy,
                         const struct weight *w)
{
    size_t n_out = w->w.dim[0], n_in = w->w.dim[1];
    for (size_t i = 0; i < dy.dim[0]; i++)
        for (size_t k = 0; k < n_in; k++) {
            double sum = 0;
            for (size_t o = 0; o < n_out; o++)
                sum += operand(b, host_f32(dy)[i * n_out + o]) *
                       operand(b, host_f32(w->w)[o * n_in + k]);
            host_f32(dx)[i * n_in + k] = (float)sum;
        }
}

static void linear_wgrad(struct backend *b, struct tensor dw, struct tensor dy, struct tensor x)
{
    size_t n_out = dw.dim[0], n_in = dw.dim[1];
    for (size_t o = 0; o < n_out; o++)
        for (size_t k = 0; k < n_in; k++) {
            double sum = (double)host_f32(dw)[o * n_in + k];
            for (size_t i = 0; i < x.dim[0]; i++)
                sum +=
                    operand(b, host_f32(dy)[i * n_out + o]) * operand(b, host_f32(x)[i * n_in + k]);
            host_f32(dw)[o * n_in + k] = (float)sum;
        }
}

static void bias(struct backend *b, struct tensor out, struct tensor from, struct tensor bias)
{
    (void)b;
    size_t d = out.dim[1];
    for (size_t i = 0; i < tensor_n(out); i++)
        host_f32(out)[i] = (from.buf ? host_f32(from)[i] : 0) + host_f32(bias)[i % d];
}

static void bias_bwd(struct backend *b, struct tensor dbias, struct tensor dy)
{
    (void)b;
    for (size_t j = 0; j < dy.dim[1]; j++) {
        double sum = (double)host_f32(dbias)[j];
        for (size_t i = 0; i < dy.dim[0]; i++)
            sum += (double)host_f32(dy)[i * dy.dim[1] + j];
        host_f32(dbias)[j] = (float)sum;
    }
}

static void swiglu(struct backend *b, struct tensor out, struct tensor gu)
{
    (void)b;
    size_t ff = out.dim[1];
    for (size_t i = 0; i < out.dim[0]; i++)
        for (size_t j = 0; j < ff; j++) {
            double g = (double)host_f32(gu)[2 * i * ff + j],
                   u = (double)host_f32(gu)[(2 * i + 1) * ff + j];
            host_f32(out)[i * ff + j] = (float)(g / (1 + exp(-g)) * u);
        }
}

static void swiglu_bwd(struct backend *b, struct tensor dgu, struct tensor act, struct tensor dout,
                       struct tensor gu)
{
    (void)b;
    size_t ff = dout.dim[1];
    for (size_t i = 0; i < dout.dim[0]; i++)
        for (size_t j = 0; j < ff; j++) {
            double g = (double)host_f32(gu)[2 * i * ff + j],
                   u = (double)host_f32(gu)[(2 * i + 1) * ff + j],
                   d = (double)host_f32(dout)[i * ff + j], s = 1 / (1 + exp(-g));
            host_f32(act)[i * ff + j] = (float)(g * s * u);
            host_f32(dgu)[2 * i * ff + j] = (float)(d * u * s * (1 + g * (1 - s)));
            host_f32(dgu)[(2 * i + 1) * ff + j] = (float)(d * g * s);
        }
}

/* One sequence's rotated queries or keys of a head, or its values. */
static void head_rows(double *out, const float *qkv, struct tensor rope, struct attn_shape s,
                      int batch, int column_head, bool rotated)
{
    size_t d = (size_t)s.d_head, half = d / 2, width = (size_t)(s.n_head + 2 * s.n_kv_head) * d;
    const float *cosine = host_f32(rope), *sine = cosine + tensor_n(rope) / 2;
    for (size_t t = 0; t < (size_t)s.seq_len; t++) {
        const float *x =
            qkv + ((size_t)batch * (size_t)s.seq_len + t) * width + (size_t)column_head * d;
        for (size_t i = 0; i < half; i++) {
            double c = rotated ? (double)cosine[t * half + i] : 1,
                   z = rotated ? (double)sine[t * half + i] : 0;
            out[t * d + i] = (double)x[i] * c - (double)x[i + half] * z;
            out[t * d + i + half] = (double)x[i + half] * c + (double)x[i] * z;
        }
    }
}

/* Adds a head's gradient rows to dqkv, turned back. */
static void head_rows_bwd(float *dqkv, const double *grad, struct tensor rope, struct attn_shape s,
                          int batch, int column_head, bool rotated)
{
    size_t d = (size_t)s.d_head, half = d / 2, width = (size_t)(s.n_head + 2 * s.n_kv_head) * d;
    const float *cosine = host_f32(rope), *sine = cosine + tensor_n(rope) / 2;
    for (size_t t = 0; t < (size_t)s.seq_len; t++) {
        float *x = dqkv + ((size_t)batch * (size_t)s.seq_len + t) * width + (size_t)column_head * d;
        for (size_t i = 0; i < half; i++) {
            double c = rotated ? (double)cosine[t * half + i] : 1,
                   z = rotated ? (double)sine[t * half + i] : 0;
            x[i] += (float)(grad[t * d + i] * c + grad[t * d + i + half] * z);
            x[i + half] += (float)(grad[t * d + i + half] * c - grad[t * d + i] * z);
        }
    }
}

struct head_work {
    double *q, *k, *v, *dq, *dk, *dv, *p; /* p: one row of probabilities */
    double *all;
};

static void head_work_new(struct head_work *w, struct attn_shape s)
{
    size_t n = (size_t)s.seq_len * (size_t)s.d_head;
    w->all = NEW_ARRAY(double, 6 * n + (size_t)s.seq_len);
    double **part[] = { &w->q, &w->k, &w->v, &w->dq, &w->dk, &w->dv, &w->p };
    for (size_t i = 0; i < N_OF(part); i++)
        *part[i] = w->all + i * n;
}

static void head_load(struct head_work *w, const float *qkv, struct tensor rope,
                      struct attn_shape s, int batch, int head)
{
    int kv = head / (s.n_head / s.n_kv_head);
    head_rows(w->q, qkv, rope, s, batch, head, true);
    head_rows(w->k, qkv, rope, s, batch, s.n_head + kv, true);
    head_rows(w->v, qkv, rope, s, batch, s.n_head + s.n_kv_head + kv, false);
}

/* The first key that token t of a sequence sees. */
static size_t first_key(struct attn_shape s, int batch, size_t t)
{
    return s.first.buf ? host_u32(s.first)[(size_t)batch * (size_t)s.seq_len + t] : 0;
}

/* Probabilities of query t over keys from..t in w->p; returns the log of the sum. */
static double attend(struct head_work *w, size_t from, size_t t, size_t d)
{
    double max = -HUGE_VAL, sum = 0;
    for (size_t j = from; j <= t; j++) {
        double dot = 0;
        for (size_t i = 0; i < d; i++)
            dot += w->q[t * d + i] * w->k[j * d + i];
        w->p[j] = dot / sqrt((double)d);
        max = w->p[j] > max ? w->p[j] : max;
    }
    for (size_t j = from; j <= t; j++)
        sum += w->p[j] = exp(w->p[j] - max);
    for (size_t j = from; j <= t; j++)
        w->p[j] /= sum;
    return max + log(sum);
}

static void attn(struct backend *b, struct tensor out, struct tensor lse, struct tensor qkv,
                 struct tensor rope, struct attn_shape s)
{
    (void)b;
    struct head_work w;
    size_t d = (size_t)s.d_head, T = (size_t)s.seq_len, h = (size_t)s.n_head;
    head_work_new(&w, s);
    for (int batch = 0; batch < s.batch; batch++)
        for (int head = 0; head < s.n_head; head++) {
            head_load(&w, host_f32(qkv), rope, s, batch, head);
            for (size_t t = 0; t < T; t++) {
                size_t row = ((size_t)batch * T + t) * h + (size_t)head,
                       from = first_key(s, batch, t);
                host_f32(lse)[row] = (float)attend(&w, from, t, d);
                for (size_t i = 0; i < d; i++) {
                    double sum = 0;
                    for (size_t j = from; j <= t; j++)
                        sum += w.p[j] * w.v[j * d + i];
                    host_f32(out)[row * d + i] = (float)sum;
                }
            }
        }
    free(w.all);
}

static void attn_row_bwd(struct head_work *w, const float *dout, size_t from, size_t t, size_t d)
{
    double delta = 0, scale = 1 / sqrt((double)d);
    attend(w, from, t, d);
    for (size_t j = from; j <= t; j++)
        for (size_t i = 0; i < d; i++)
            delta += w->p[j] * w->v[j * d + i] * (double)dout[i];
    for (size_t j = from; j <= t; j++) {
        double dp = 0;
        for (size_t i = 0; i < d; i++) {
            dp += (double)dout[i] * w->v[j * d + i];
            w->dv[j * d + i] += w->p[j] * (double)dout[i];
        }
        double ds = w->p[j] * (dp - delta) * scale;
        for (size_t i = 0; i < d; i++) {
            w->dq[t * d + i] += ds * w->k[j * d + i];
            w->dk[j * d + i] += ds * w->q[t * d + i];
        }
    }
}

static void attn_bwd(struct backend *b, struct tensor dqkv, struct tensor dout, struct tensor qkv,
                     struct tensor out, struct tensor lse, struct tensor rope, struct attn_shape s)
{
    (void)out;
    (void)lse;
    struct head_work w;
    size_t d = (size_t)s.d_head, T = (size_t)s.seq_len, h = (size_t)s.n_head;
    head_work_new(&w, s);
    host_zero(b, dqkv);
    for (int batch = 0; batch < s.batch; batch++)
        for (int head = 0; head < s.n_head; head++) {
            int kv = head / (s.n_head / s.n_kv_head);
            head_load(&w, host_f32(qkv), rope, s, batch, head);
            memset(w.dq, 0, 3 * T * d * sizeof *w.dq); /* dq, dk, dv lie together */
            for (size_t t = 0; t < T; t++)
                attn_row_bwd(&w, host_f32(dout) + (((size_t)batch * T + t) * h + (size_t)head) * d,
                             first_key(s, batch, t), t, d);
            head_rows_bwd(host_f32(dqkv), w.dq, rope, s, batch, head, true);
            head_rows_bwd(host_f32(dqkv), w.dk, rope, s, batch, s.n_head + kv, true);
            head_rows_bwd(host_f32(dqkv), w.dv, rope, s, batch, s.n_head + s.n_kv_head + kv, false);
        }
    free(w.all);
}

static void head_any(struct backend *b, struct tensor losses, float *dh, float *dw, struct tensor h,
                     const struct weight *w, struct tensor target, float scale, float z_loss)
{
    size_t vocab = w->w.dim[0], d = w->w.dim[1], n = h.dim[0];
    double *p = NEW_ARRAY(double, vocab);
    for (size_t r = 0; r < n; r++) {
        const float *x = host_f32(h) + r * d;
        uint32_t t = host_u32(target)[r];
        double max = -HUGE_VAL, sum = 0;
        assert(t < vocab);
        for (size_t v = 0; v < vocab; v++) {
            p[v] = 0;
            for (size_t k = 0; k < d; k++)
                p[v] += operand(b, x[k]) * operand(b, host_f32(w->w)[v * d + k]);
            max = p[v] > max ? p[v] : max;
        }
        double right = p[t];
        for (size_t v = 0; v < vocab; v++)
            sum += p[v] = exp(p[v] - max);
        double lse = max + log(sum), more = 1 + 2 * (double)z_loss * lse;
        host_f32(losses)[r] = (float)(lse - right);
        if (!dh)
            continue;
        for (size_t v = 0; v < vocab; v++)
            p[v] = operand(b, (float)((double)scale * (p[v] / sum * more - (v == t ? 1 : 0))));
        for (size_t k = 0; k < d; k++) {
            double g = 0;
            for (size_t v = 0; v < vocab; v++) {
                g += p[v] * operand(b, host_f32(w->w)[v * d + k]);
                dw[v * d + k] += (float)(p[v] * operand(b, x[k]));
            }
            dh[r * d + k] = (float)g;
        }
    }
    free(p);
}

static void head_loss(struct backend *b, struct tensor losses, struct tensor h,
                      const struct weight *w, struct tensor target)
{
    head_any(b, losses, NULL, NULL, h, w, target, 0, 0);
}

static void head_loss_bwd(struct backend *b, struct tensor losses, struct tensor dh,
                          struct tensor dw, struct tensor h, const struct weight *w,
                          struct tensor target, float scale, float z_loss)
{
    head_any(b, losses, host_f32(dh), host_f32(dw), h, w, target, scale, z_loss);
}

static void sumsq(struct backend *b, struct tensor out, struct tensor x)
{
    (void)b;
    double sum = 0;
    for (size_t i = 0; i < tensor_n(x); i++)
        sum += (double)host_f32(x)[i] * (double)host_f32(x)[i];
    *host_f64(out) = sum;
}

static void adamw(struct backend *b, struct tensor p, struct tensor g, struct tensor m,
                  struct tensor v, struct tensor grad_sumsq, const struct adamw_step *s)
{
    (void)b;
    double clip = 1, t = (double)s->step;
    if (s->grad_clip > 0 && !(s->grad_clip > sqrt(*host_f64(grad_sumsq)) + 1e-6))
        clip = s->grad_clip / (sqrt(*host_f64(grad_sumsq)) + 1e-6);
    for (size_t i = 0; i < tensor_n(p); i++) {
        double x = (double)host_f32(g)[i] * clip;
        double m1 = s->beta1 * (double)host_f32(m)[i] + (1 - s->beta1) * x,
               v1 = s->beta2 * (double)host_f32(v)[i] + (1 - s->beta2) * x * x;
        double down = sqrt(v1 / (1 - pow(s->beta2, t))) + s->eps;
        double w = (double)host_f32(p)[i] * (1 - s->lr * s->weight_decay);
        host_f32(p)[i] = (float)(w - s->lr * m1 / (1 - pow(s->beta1, t)) / down);
        host_f32(m)[i] = (float)m1;
        host_f32(v)[i] = (float)v1;
        host_f32(g)[i] = 0;
    }
}

/* out [n, n] = x [n, m] x' */
static void gram(double *out, const double *x, size_t n, size_t m)
{
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < n; j++) {
            out[i * n + j] = 0;
            for (size_t k = 0; k < m; k++)
                out[i * n + j] += x[i * m + k] * x[j * m + k];
        }
}

/* out [n, m] = a x + p [n, n] x */
static void mixed(double *out, const double *p, const double *x, double a, size_t n, size_t m)
{
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < m; j++) {
            out[i * m + j] = a * x[i * m + j];
            for (size_t k = 0; k < n; k++)
                out[i * m + j] += p[i * n + k] * x[k * m + j];
        }
}

/* x [n, m], n <= m, in place. */
static void orthogonal(double *x, size_t n, size_t m)
{
    double norm = 0, *g = NEW_ARRAY(double, 2 * n * n + n * m), *p = g + n * n, *y = p + n * n;
    for (size_t i = 0; i < n * m; i++)
        norm += x[i] * x[i];
    norm = sqrt(norm) > MUON_EPS ? sqrt(norm) : MUON_EPS;
    for (size_t i = 0; i < n * m; i++)
        x[i] /= norm;
    for (int step = 0; step < MUON_STEPS; step++) {
        gram(g, x, n, m);
        gram(p, g, n, n); /* g is symmetric: its square */
        for (size_t i = 0; i < n * n; i++)
            p[i] = MUON_B * g[i] + MUON_C * p[i];
        mixed(y, p, x, MUON_A, n, m);
        memcpy(x, y, n * m * sizeof *x);
    }
    free(g);
}

static void muon(struct backend *b, struct tensor p, struct tensor g, struct tensor m,
                 struct tensor grad_sumsq, const struct muon_step *s)
{
    (void)b;
    size_t rows = p.dim[0], cols = p.dim[1], n = rows < cols ? rows : cols, wide = rows + cols - n;
    double clip = 1, *x = NEW_ARRAY(double, rows *cols);
    if (s->grad_clip > 0 && !(s->grad_clip > sqrt(*host_f64(grad_sumsq)) + 1e-6))
        clip = s->grad_clip / (sqrt(*host_f64(grad_sumsq)) + 1e-6);
    for (size_t i = 0; i < rows * cols; i++) {
        double grad = (double)host_f32(g)[i] * clip;
        double mean = s->momentum * (double)host_f32(m)[i] + (1 - s->momentum) * grad;
        size_t at = rows <= cols ? i : i % cols * rows + i / cols; /* lying, as n <= wide */
        x[at] = (1 - s->momentum) * grad + s->momentum * mean;
        host_f32(m)[i] = (float)mean;
        host_f32(g)[i] = 0;
    }
    orthogonal(x, n, wide);
    for (size_t i = 0; i < rows * cols; i++) {
        size_t at = rows <= cols ? i : i % cols * rows + i / cols;
        double w = (double)host_f32(p)[i] * (1 - s->lr * s->weight_decay);
        host_f32(p)[i] = (float)(w - MUON_SIZE * s->lr * sqrt((double)wide) * x[at]);
    }
    free(x);
}

static void ema(struct backend *b, struct tensor mean, struct tensor x, double decay)
{
    (void)b;
    for (size_t i = 0; i < tensor_n(x); i++)
        host_f32(mean)[i] =
            (float)(decay * (double)host_f32(mean)[i] + (1 - decay) * (double)host_f32(x)[i]);
}

static void no_peak(struct backend *b, struct backend_peak *out)
{
    (void)b;
    *out = (struct backend_peak){ 0, 0, 0 };
}

static void one_thread(const struct backend *b, struct backend_threads *out)
{
    (void)b;
    *out = (struct backend_threads){ 1, 0, 0 };
}

static const struct backend_ops ops = {
    .close = ref_close,
    .sync = host_sync,
    .peak = no_peak,
    .threads = one_thread,
    .alloc = host_alloc,
    .free = host_free,
    .upload = host_upload,
    .download = host_download,
    .zero = host_zero,
    .weight_new = weight_new,
    .weight_free = weight_free,
    .weights_ready = weights_ready,
    .weight_bytes = weight_bytes,
    .layouts_kept = layouts_kept,
    .embed = host_embed,
    .embed_bwd = embed_bwd,
    .rmsnorm = rmsnorm,
    .rmsnorm_bwd = rmsnorm_bwd,
    .linear = linear,
    .linear_dgrad = linear_dgrad,
    .linear_wgrad = linear_wgrad,
    .bias = bias,
    .bias_bwd = bias_bwd,
    .swiglu = swiglu,
    .swiglu_bwd = swiglu_bwd,
    .attn = attn,
    .attn_bwd = attn_bwd,
    .head_loss = head_loss,
    .head_loss_bwd = head_loss_bwd,
    .sumsq = sumsq,
    .adamw = adamw,
    .muon = muon,
    .ema = ema,
};

enum st backend_ref_open(struct backend **out, enum precision p, struct err *err)
{
    (void)err;
    struct ref_backend *b = NEW(struct ref_backend);
    b->base.ops = &ops;
    b->bf16 = p == PRECISION_BF16;
    snprintf(b->base.name, sizeof b->base.name, "ref %s", b->bf16 ? "bf16" : "fp32");
    *out = &b->base;
    return ST_OK;
}
