/* model/model.c - a model's memory: parameters, views, weights, buffers. See model.h. */
#include "model/state.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/rng.h"

struct tensor model_view(const struct model *m, struct tensor all, const struct param *p)
{
    (void)m;
    return tensor_part(all, p->offset, p->dim[0], p->n_dim == 2 ? p->dim[1] : 0);
}

/* Rows a..b of a layer as one matrix: they are neighbours with equal numbers of columns. */
static struct tensor group_view(struct tensor all, const struct param *a, const struct param *b)
{
    size_t n = b->offset + b->n - a->offset;
    return tensor_part(all, a->offset, n / a->dim[1], a->dim[1]);
}

static struct layer *layer_views(const struct model *m, struct tensor all)
{
    struct layer *view = NEW_ARRAY(struct layer, (size_t)m->conf.n_layer);
    for (int l = 0; l < m->conf.n_layer; l++) {
        const struct param *row = params_layer(&m->params, l, 0);
        view[l] = (struct layer){ .norm1 = model_view(m, all, &row[P_NORM1]),
                                  .qkv = group_view(all, &row[P_Q], &row[P_V]),
                                  .o = model_view(m, all, &row[P_O]),
                                  .norm2 = model_view(m, all, &row[P_NORM2]),
                                  .gate_up = group_view(all, &row[P_GATE], &row[P_UP]),
                                  .down = model_view(m, all, &row[P_DOWN]) };
        const struct param *q = &row[P_Q_BIAS], *v = &row[P_V_BIAS];
        if (m->conf.bias != BIAS_NONE) /* neighbours, as the matrices are */
            view[l].qkv_bias = tensor_part(all, q->offset, v->offset + v->n - q->offset, 0);
        if (m->conf.bias == BIAS_QKVO)
            view[l].o_bias = model_view(m, all, &row[P_O_BIAS]);
    }
    return view;
}

static enum st alloc(struct model *m, struct tensor *t, struct err *err)
{
    return m->b->ops->alloc(m->b, t, err);
}

enum st model_new(struct model **out, const struct model_conf *conf, struct backend *b,
                  struct err *err)
{
    *out = NULL;
    enum st st = model_conf_check(conf, err);
    if (st < 0)
        return st;
    struct model *m = NEW(struct model);
    m->conf = *conf;
    m->b = b;
    params_build(&m->params, conf);
    m->p = tensor_1d(DTYPE_F32, m->params.n);
    m->sumsq = tensor_1d(DTYPE_F64, 1);
    if ((st = alloc(m, &m->p, err)) < 0 || (st = alloc(m, &m->sumsq, err)) < 0)
        goto out;
    m->layer = layer_views(m, m->p);
    m->weights = NEW_ARRAY(struct layer_weights, (size_t)conf->n_layer);
    for (int l = 0; l < conf->n_layer; l++)
        m->weights[l] = (struct layer_weights){
            .qkv = b->ops->weight_new(b, m->layer[l].qkv),
            .o = b->ops->weight_new(b, m->layer[l].o),
            .gate_up = b->ops->weight_new(b, m->layer[l].gate_up),
            .down = b->ops->weight_new(b, m->layer[l].down),
        };
    m->head = b->ops->weight_new(b, model_view(m, m->p, params_head(&m->params, conf)));
    *out = m;
    m = NULL;
out:
    model_free(m);
    return st;
}

void model_free(struct model *m)
{
    if (!m)
        return;
    const struct backend_ops *ops = m->b->ops;
    if (m->weights)
        for (int l = 0; l < m->conf.n_layer; l++) {
            ops->weight_free(m->b, m->weights[l].qkv);
            ops->weight_free(m->b, m->weights[l].o);
            ops->weight_free(m->b, m->weights[l].gate_up);
            ops->weight_free(m->b, m->weights[l].down);
        }
    ops->weight_free(m->b, m->head);
    act_release(m);
    struct tensor *t[] = { &m->p, &m->g, &m->m, &m->v, &m->mean, &m->sumsq, &m->rope };
    for (size_t i = 0; i < N_OF(t); i++)
        ops->free(m->b, t[i]);
    params_release(&m->params);
    free(m->layer);
    free(m->dlayer);
    free(m->weights);
    free(m);
}

const struct model_conf *model_config(const struct model *m)
{
    return &m->conf;
}

void model_mask_documents(struct model *m, int document_end)
{
    m->conf.document_mask = true;
    m->conf.document_end = document_end;
}

void model_z_loss(struct model *m, double z)
{
    m->z_loss = z;
}

void model_mup(struct model *m, int base_width)
{
    params_mup(&m->params, &m->conf, base_width);
}

/* The beginning of a parameter, piece by piece: a piece stays in the cache on its way to the
 * device. */
static void init_param(struct model *m, const struct param *p, double std, struct rng *r)
{
    enum { PIECE = 16384 };
    float value[PIECE];
    for (size_t at = 0; at < p->n; at += PIECE) {
        size_t n = p->n - at < PIECE ? p->n - at : PIECE;
        if (p->init == INIT_ZERO || p->init == INIT_ONE)
            for (size_t i = 0; i < n; i++)
                value[i] = p->init == INIT_ONE ? (float)p->init_scale : 0;
        else
            rng_normals(r, std * p->init_scale, value, n);
        m->b->ops->upload(m->b, tensor_part(m->p, p->offset + at, n, 0), value);
    }
}

void model_init(struct model *m, uint64_t seed)
{
    for (size_t i = 0; i < m->params.n_row; i++) {
        const struct param *p = &m->params.row[i];
        double std = 0.02;
        if (p->init == INIT_RESIDUAL)
            std /= sqrt(2.0 * m->conf.n_layer);
        struct rng r; /* one stream a tensor: shapes of others do not disturb it */
        rng_init(&r, seed, p->name, 0);
        init_param(m, p, std, &r);
    }
    model_changed(m);
}

void model_changed(struct model *m)
{
    m->ready = m->ready_for_gradients = false;
}

enum st model_weights(struct model *m, bool for_gradients, struct err *err)
{
    struct backend *b = m->b;
    if (for_gradients ? !m->ready_for_gradients : !m->ready) {
        for (int l = 0; l < m->conf.n_layer; l++) {
            b->ops->weights_ready(b, m->weights[l].qkv, for_gradients);
            b->ops->weights_ready(b, m->weights[l].o, for_gradients);
            b->ops->weights_ready(b, m->weights[l].gate_up, for_gradients);
            b->ops->weights_ready(b, m->weights[l].down, for_gradients);
        }
        b->ops->weights_ready(b, m->head, for_gradients);
        m->ready = true;
        m->ready_for_gradients = for_gradients;
    }
    return b->ops->sync(b, err);
}

/* The average begins as the parameters are. */
static enum st mean_reserve(struct model *m, struct err *err)
{
    if (m->ema == 0 || m->mean.buf)
        return ST_OK;
    m->mean = tensor_1d(DTYPE_F32, m->params.n);
    enum st st = alloc(m, &m->mean, err);
    if (st == ST_OK)
        m->b->ops->ema(m->b, m->mean, m->p, 0);
    return err_in(err, st, "memory of the average");
}

enum st model_training_state(struct model *m, struct err *err)
{
    if (m->dlayer)
        return mean_reserve(m, err);
    struct tensor *t[] = { &m->g, &m->m, &m->v };
    for (size_t i = 0; i < N_OF(t); i++) {
        *t[i] = tensor_1d(DTYPE_F32, m->params.n);
        enum st st = alloc(m, t[i], err);
        if (st < 0)
            return err_in(err, st, "memory of the optimizer");
    }
    m->dlayer = layer_views(m, m->g);
    return mean_reserve(m, err);
}

enum st model_get_param(struct model *m, const char *name, bool grad, float **out, size_t *n,
                        struct err *err)
{
    const struct param *p = params_find(&m->params, name);
    *out = NULL;
    *n = 0;
    if (!p)
        return err_set(err, ST_USAGE, "model has no parameter '%s'", name);
    if (grad && !m->dlayer)
        return err_set(err, ST_USAGE, "there are no gradients yet");
    enum st st = m->b->ops->sync(m->b, err);
    if (st < 0)
        return st;
    *out = xmalloc(p->n * sizeof **out);
    *n = p->n;
    m->b->ops->download(m->b, *out, model_view(m, grad ? m->g : m->p, p));
    return m->b->ops->sync(m->b, err);
}
