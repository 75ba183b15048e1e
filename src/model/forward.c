/* model/forward.c - the forward pass, losses and logits without gradients. */
#include "model/state.h"

#include <stdlib.h>

#include "base/mem.h"

/* Tokens that go through all layers together. Large enough for products, small enough that a small model's
 * activations stay in the last-level cache between forward and backward. */
enum { CHUNK_TOK = 1024 };

int chunk_seqs(int batch, int seq_len)
{
    int n = CHUNK_TOK / seq_len;
    n = n < 1 ? 1 : n;
    return n < batch ? n : batch;
}

struct attn_shape attn_shape_of(const struct model *m, int n_seq, int seq_len)
{
    return (struct attn_shape){ n_seq,          seq_len,    m->conf.n_head, m->conf.n_kv_head,
                                m->conf.d_head, tensor_none };
}

struct tensor act_rows(const struct model *m, struct tensor t, int slot, size_t n_tok)
{
    size_t s = m->act.gradients ? (size_t)slot : 0;
    return tensor_part(t, s * m->act.n_tok * t.dim[1], n_tok, t.dim[1]);
}

struct tensor act_x(const struct model *m, int layer, size_t n_tok)
{
    size_t slot = m->act.gradients ? (size_t)layer : (size_t)layer % 2;
    return tensor_part(m->act.x, slot * m->act.n_tok * m->act.x.dim[1], n_tok, m->act.x.dim[1]);
}

enum st tokens_check(const struct model *m, const uint32_t *tok, size_t n, struct err *err)
{
    for (size_t i = 0; i < n; i++)
        if (tok[i] >= (uint32_t)m->conf.vocab_size)
            return err_set(err, ST_FORMAT, "token %u at place %zu: the model's vocabulary is %d",
                           tok[i], i, m->conf.vocab_size);
    return ST_OK;
}

void tokens_upload(struct model *m, const uint32_t *tok, int first, int n_seq, int seq_len)
{
    size_t T = (size_t)seq_len, n = (size_t)n_seq * T;
    uint32_t *in = NEW_ARRAY(uint32_t, 2 * n), *target = in + n;
    for (size_t s = 0; s < (size_t)n_seq; s++)
        for (size_t t = 0; t < T; t++) {
            const uint32_t *at = tok + ((size_t)first + s) * (T + 1) + t;
            in[s * T + t] = at[0];
            target[s * T + t] = at[1];
        }
    m->b->ops->upload(m->b, tensor_part(m->act.tok, 0, n, 0), in);
    m->b->ops->upload(m->b, tensor_part(m->act.target, 0, n, 0), target);
    free(in);
}

void forward_layers(struct model *m, int n_seq, int seq_len)
{
    struct backend *b = m->b;
    const struct backend_ops *op = b->ops;
    const struct act *a = &m->act;
    size_t n = (size_t)n_seq * (size_t)seq_len;
    float eps = (float)m->conf.norm_eps;
    struct attn_shape shape = attn_shape_of(m, n_seq, seq_len);
    struct tensor h = tensor_part(a->h, 0, n, a->h.dim[1]),
                  ff = tensor_part(a->ff, 0, n, a->ff.dim[1]);
    op->embed(b, act_x(m, 0, n), model_view(m, m->p, &m->params.row[PARAM_EMBED]),
              tensor_part(a->tok, 0, n, 0));
    for (int l = 0; l < m->conf.n_layer; l++) {
        const struct layer *p = &m->layer[l];
        const struct layer_weights *w = &m->weights[l];
        struct tensor x = act_x(m, l, n), qkv = act_rows(m, a->qkv, l, n),
                      att = act_rows(m, a->att, l, n), mid = act_rows(m, a->mid, l, n),
                      gu = act_rows(m, a->gu, l, n);
        op->rmsnorm(b, h, x, p->norm1, eps);
        op->linear(b, qkv, h, w->qkv, tensor_none);
        op->attn(b, att, act_rows(m, a->lse, l, n), qkv, m->rope, shape);
        op->linear(b, mid, att, w->o, x);
        op->rmsnorm(b, h, mid, p->norm2, eps);
        op->linear(b, gu, h, w->gate_up, tensor_none);
        op->swiglu(b, ff, gu);
        op->linear(b, act_x(m, l + 1, n), ff, w->down, mid);
    }
    op->rmsnorm(b, h, act_x(m, m->conf.n_layer, n),
                model_view(m, m->p, params_final_norm(&m->params, &m->conf)), eps);
}

static enum st prepare(struct model *m, const uint32_t *tok, size_t n_in, int n_seq, int seq_len,
                       struct err *err)
{
    enum st st;
    if (n_seq < 1 || seq_len < 1)
        return err_set(err, ST_USAGE, "model: %d sequences of %d tokens", n_seq, seq_len);
    if ((st = tokens_check(m, tok, n_in, err)) < 0 || (st = model_weights(m, false, err)) < 0)
        return st;
    return act_reserve(m, (size_t)n_seq * (size_t)seq_len, seq_len, false, err);
}

enum st model_losses(struct model *m, const uint32_t *tok, int batch, int seq_len, float *losses,
                     struct err *err)
{
    struct backend *b = m->b;
    int per = chunk_seqs(batch, seq_len);
    enum st st = prepare(m, tok, (size_t)batch * ((size_t)seq_len + 1), per, seq_len, err);
    for (int s = 0; s < batch && st == ST_OK; s += per) {
        int n_seq = batch - s < per ? batch - s : per;
        size_t n = (size_t)n_seq * (size_t)seq_len;
        tokens_upload(m, tok, s, n_seq, seq_len);
        forward_layers(m, n_seq, seq_len);
        struct tensor out = tensor_part(m->act.losses, 0, n, 0);
        b->ops->head_loss(b, out, tensor_part(m->act.h, 0, n, m->act.h.dim[1]), m->head,
                          tensor_part(m->act.target, 0, n, 0));
        b->ops->download(b, losses + (size_t)s * (size_t)seq_len, out);
        st = b->ops->sync(b, err);
    }
    return st;
}

enum st model_logits(struct model *m, const uint32_t *tok, int n_tok, float *logits,
                     struct err *err)
{
    struct backend *b = m->b;
    size_t n = (size_t)(n_tok > 0 ? n_tok : 0);
    enum st st = prepare(m, tok, n, 1, n_tok, err);
    if (st < 0)
        return st;
    struct tensor out = tensor_2d(DTYPE_F32, n, (size_t)m->conf.vocab_size);
    if ((st = b->ops->alloc(b, &out, err)) < 0)
        return st;
    b->ops->upload(b, tensor_part(m->act.tok, 0, n, 0), tok);
    forward_layers(m, 1, n_tok);
    b->ops->linear(b, out, tensor_part(m->act.h, 0, n, m->act.h.dim[1]), m->head, tensor_none);
    b->ops->download(b, logits, out);
    st = b->ops->sync(b, err);
    b->ops->free(b, &out);
    return st;
}
