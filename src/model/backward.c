/* model/backward.c - forward and backward of a batch: losses, and gradients added to m->g. */
#include "model/state.h"

#include <stdlib.h>

#include "base/mem.h"

static struct tensor rows(struct tensor t, size_t n)
{
    return tensor_part(t, 0, n, t.dim[1]);
}

static void backward_mlp(struct model *m, int l, size_t n)
{
    struct backend *b = m->b;
    const struct backend_ops *op = b->ops;
    const struct act *a = &m->act;
    const struct layer *p = &m->layer[l], *g = &m->dlayer[l];
    float eps = (float)m->conf.norm_eps;
    struct tensor dx = rows(a->dx, n), dh = tensor_part(a->dh, 0, n, (size_t)m->conf.d_model),
                  h = rows(a->h, n), ff = rows(a->ff, n), dff = rows(a->dff, n),
                  gu = act_rows(m, a->gu, l, n), mid = act_rows(m, a->mid, l, n);
    op->linear_dgrad(b, dff, dx, m->weights[l].down);
    op->swiglu_bwd(b, gu, ff, dff, gu);
    op->linear_wgrad(b, g->down, dx, ff);
    op->rmsnorm(b, h, mid, p->norm2, eps);
    op->linear_wgrad(b, g->gate_up, gu, h);
    op->linear_dgrad(b, dh, gu, m->weights[l].gate_up);
    op->rmsnorm_bwd(b, dx, g->norm2, dh, mid, p->norm2, eps);
}

static void backward_attn(struct model *m, int l, size_t n, struct attn_shape shape)
{
    struct backend *b = m->b;
    const struct backend_ops *op = b->ops;
    const struct act *a = &m->act;
    const struct layer *p = &m->layer[l], *g = &m->dlayer[l];
    float eps = (float)m->conf.norm_eps;
    struct tensor dx = rows(a->dx, n), dh = tensor_part(a->dh, 0, n, (size_t)m->conf.d_model),
                  datt = tensor_part(a->dh, 0, n, a->att.dim[1]), h = rows(a->h, n),
                  dqkv = rows(a->dqkv, n), att = act_rows(m, a->att, l, n), x = act_x(m, l, n);
    op->linear_dgrad(b, datt, dx, m->weights[l].o);
    op->linear_wgrad(b, g->o, dx, att);
    if (g->o_bias.buf)
        op->bias_bwd(b, g->o_bias, dx);
    op->attn_bwd(b, dqkv, datt, act_rows(m, a->qkv, l, n), att, act_rows(m, a->lse, l, n), m->rope,
                 shape);
    if (g->qkv_bias.buf)
        op->bias_bwd(b, g->qkv_bias, dqkv);
    op->rmsnorm(b, h, x, p->norm1, eps);
    op->linear_wgrad(b, g->qkv, dqkv, h);
    op->linear_dgrad(b, dh, dqkv, m->weights[l].qkv);
    op->rmsnorm_bwd(b, dx, g->norm1, dh, x, p->norm1, eps);
}

/* One chunk; scale is of each token's loss in the gradients. */
static void chunk(struct model *m, int n_seq, int seq_len, float scale)
{
    struct backend *b = m->b;
    const struct backend_ops *op = b->ops;
    const struct act *a = &m->act;
    const struct params *p = &m->params;
    const struct param *norm = params_final_norm(p, &m->conf);
    size_t n = (size_t)n_seq * (size_t)seq_len;
    struct tensor dh = tensor_part(a->dh, 0, n, (size_t)m->conf.d_model), dx = rows(a->dx, n);
    forward_layers(m, n_seq, seq_len);
    op->head_loss_bwd(b, tensor_part(a->losses, 0, n, 0), dh,
                      model_view(m, m->g, params_head(p, &m->conf)), rows(a->h, n), m->head,
                      tensor_part(a->target, 0, n, 0), scale, (float)m->z_loss);
    op->zero(b, dx);
    op->rmsnorm_bwd(b, dx, model_view(m, m->g, norm), dh, act_x(m, m->conf.n_layer, n),
                    model_view(m, m->p, norm), (float)m->conf.norm_eps);
    for (int l = m->conf.n_layer - 1; l >= 0; l--) {
        backward_mlp(m, l, n);
        backward_attn(m, l, n, attn_shape_of(m, n_seq, seq_len));
    }
    op->embed_bwd(b, model_view(m, m->g, &p->row[PARAM_EMBED]), dx, tensor_part(a->tok, 0, n, 0));
}

enum st model_forward_backward(struct model *m, const uint32_t *tok, int batch, int seq_len,
                               double loss_scale, double *loss, struct err *err)
{
    struct backend *b = m->b;
    enum st st;
    if (batch < 1 || seq_len < 1)
        return err_set(err, ST_USAGE, "model: %d sequences of %d tokens", batch, seq_len);
    int per = chunk_seqs(batch, seq_len);
    size_t T = (size_t)seq_len, n_tok = (size_t)batch * T;
    if ((st = tokens_check(m, tok, (size_t)batch * (T + 1), err)) < 0 ||
        (st = model_weights(m, true, err)) < 0 || (st = model_training_state(m, err)) < 0 ||
        (st = act_reserve(m, (size_t)per * T, seq_len, true, err)) < 0)
        return st;
    float *losses = xmalloc((size_t)per * T * sizeof *losses);
    double sum = 0;
    for (int s = 0; s < batch && st == ST_OK; s += per) {
        int n_seq = batch - s < per ? batch - s : per;
        tokens_upload(m, tok, s, n_seq, seq_len);
        chunk(m, n_seq, seq_len, (float)(loss_scale / (double)n_tok));
        b->ops->download(b, losses, tensor_part(m->act.losses, 0, (size_t)n_seq * T, 0));
        st = b->ops->sync(b, err);
        for (size_t i = 0; i < (size_t)n_seq * T; i++)
            sum += (double)losses[i];
    }
    free(losses);
    if (st == ST_OK)
        *loss += sum / (double)n_tok;
    return st;
}
