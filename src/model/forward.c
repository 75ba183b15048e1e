/* model/forward.c - the forward pass, losses and logits without gradients. */
#include "model/state.h"

#include <stdlib.h>

#include "base/mem.h"

/* Tokens that go through all layers together. Large enough for products, small enough that a small
 * model's activations stay in the last-level cache between forward and backward. */
enum { CHUNK_TOK = 1024 };

int chunk_seqs(int batch, int seq_len)
{
    int n = CHUNK_TOK / seq_len;
    n = n < 1 ? 1 : n;
    return n < batch ? n : batch;
}

/* Documents and a sliding window both mean that a token does not see from the sequence's beginning.
 */
static bool sees_part(const struct model *m, int seq_len)
{
    return m->conf.document_mask || (m->conf.window && m->conf.window < seq_len);
}

struct attn_shape attn_shape_of(const struct model *m, int n_seq, int seq_len)
{
    struct attn_shape s = { .batch = n_seq,
                            .seq_len = seq_len,
                            .n_head = m->conf.n_head,
                            .n_kv_head = m->conf.n_kv_head,
                            .d_head = m->conf.d_head };
    if (sees_part(m, seq_len))
        s.first = tensor_part(m->act.first, 0, (size_t)n_seq * (size_t)seq_len, 0);
    return s;
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

/* What each token of a sequence sees first. An end-of-document token belongs to the document it
 * ends. */
static void first_seen(const struct model *m, uint32_t *first, const uint32_t *tok, int seq_len)
{
    int document = 0, window = m->conf.window ? m->conf.window : seq_len;
    for (int t = 0; t < seq_len; t++) {
        if (t > 0 && m->conf.document_mask && tok[t - 1] == (uint32_t)m->conf.document_end)
            document = t;
        first[t] = (uint32_t)(t - window >= document ? t - window + 1 : document);
    }
}

static void upload_seen(struct model *m, const uint32_t *in, int n_seq, int seq_len)
{
    size_t T = (size_t)seq_len, n = (size_t)n_seq * T;
    if (!sees_part(m, seq_len))
        return;
    uint32_t *first = NEW_ARRAY(uint32_t, n);
    for (size_t s = 0; s < n; s += T)
        first_seen(m, first + s, in + s, seq_len);
    m->b->ops->upload(m->b, tensor_part(m->act.first, 0, n, 0), first);
    free(first);
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
    upload_seen(m, in, n_seq, seq_len);
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
        if (p->qkv_bias.buf)
            op->bias(b, qkv, qkv, p->qkv_bias);
        op->attn(b, att, act_rows(m, a->lse, l, n), qkv, m->rope, shape);
        op->linear(b, mid, att, w->o, x);
        if (p->o_bias.buf)
            op->bias(b, mid, mid, p->o_bias);
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
    upload_seen(m, tok, 1, n_tok);
    forward_layers(m, 1, n_tok);
    b->ops->linear(b, out, tensor_part(m->act.h, 0, n, m->act.h.dim[1]), m->head, tensor_none);
    b->ops->download(b, logits, out);
    st = b->ops->sync(b, err);
    b->ops->free(b, &out);
    return st;
}
