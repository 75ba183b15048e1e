/*
 * model/optim.c - the optimizer's step: clipping by the norm of all gradients, then AdamW with
 * decoupled decay, or Muon for the layers' matrices; and the average of the parameters.
 */
#include "model/state.h"

#include <math.h>
#include <stdlib.h>

#include "base/mem.h"

/* Muon's are the matrices inside layers. */
static bool by_muon(const struct params *p, const struct model_conf *c, size_t i)
{
    return p->row[i].n_dim == 2 && i >= PARAM_LAYER0 &&
           i < PARAM_LAYER0 + (size_t)(p->a_layer * c->n_layer);
}

/* Neighbours in the table that are moved alike are one call. */
static size_t run_end(const struct model *m, size_t i, bool muon)
{
    const struct params *p = &m->params;
    size_t end = i + 1;
    while (end < p->n_row && p->row[end].decays == p->row[i].decays &&
           p->row[end].lr_scale == p->row[i].lr_scale && !(muon && by_muon(p, &m->conf, end)))
        end++;
    return end;
}

static void muon_step(struct model *m, const struct param *p, const struct adamw_conf *c)
{
    const struct muon_step s = { c->lr, c->muon, p->decays ? c->weight_decay : 0, c->grad_clip };
    m->b->ops->muon(m->b, model_view(m, m->p, p), model_view(m, m->g, p), model_view(m, m->m, p),
                    m->sumsq, &s);
}

enum st model_adamw_step(struct model *m, const struct adamw_conf *c, uint64_t step,
                         double *grad_norm, struct err *err)
{
    struct backend *b = m->b;
    const struct params *p = &m->params;
    bool muon = c->muon > 0;
    if (!m->dlayer)
        return err_set(err, ST_USAGE, "model: an optimizer step before any gradient");
    b->ops->sumsq(b, m->sumsq, m->g);
    for (size_t i = 0, end; i < p->n_row; i = end) {
        if (muon && by_muon(p, &m->conf, i)) {
            muon_step(m, &p->row[i], c);
            end = i + 1;
            continue;
        }
        end = run_end(m, i, muon);
        size_t at = p->row[i].offset, n = p->row[end - 1].offset + p->row[end - 1].n - at;
        double decay = p->row[i].decays ? c->weight_decay : 0, scale = p->row[i].lr_scale;
        const struct adamw_step s = { .lr = c->lr * scale,
                                      .beta1 = c->beta1,
                                      .beta2 = c->beta2,
                                      .eps = c->eps,
                                      .weight_decay = decay / scale, /* by lr alone, of all */
                                      .grad_clip = c->grad_clip,
                                      .step = step };
        b->ops->adamw(b, tensor_part(m->p, at, n, 0), tensor_part(m->g, at, n, 0),
                      tensor_part(m->m, at, n, 0), tensor_part(m->v, at, n, 0), m->sumsq, &s);
    }
    if (m->ema > 0) {
        double early = (1 + (double)step) / (10 + (double)step);
        b->ops->ema(b, m->mean, m->p, m->ema < early ? m->ema : early);
    }
    model_changed(m);
    double sumsq = 0;
    b->ops->download(b, &sumsq, m->sumsq);
    enum st st = b->ops->sync(b, err);
    *grad_norm = sqrt(sumsq);
    return st;
}

void model_ema(struct model *m, double decay)
{
    m->ema = decay;
}

enum st model_ema_swap(struct model *m, struct err *err)
{
    if (!m->mean.buf)
        return err_set(err, ST_USAGE, "model: no average of the parameters is kept");
    size_t n = m->params.n;
    float *p = xmalloc(2 * n * sizeof *p), *mean = p + n;
    m->b->ops->download(m->b, p, m->p);
    m->b->ops->download(m->b, mean, m->mean);
    enum st st = m->b->ops->sync(m->b, err);
    if (st == ST_OK) {
        m->b->ops->upload(m->b, m->p, mean);
        m->b->ops->upload(m->b, m->mean, p);
        model_changed(m);
    }
    free(p);
    return st;
}
