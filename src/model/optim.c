/* model/optim.c - the optimizer's step: clipping by the norm of all gradients, then AdamW with decoupled decay. */
#include "model/state.h"

#include <math.h>

/* Neighbours in the table that decay alike are one call. */
static size_t run_end(const struct params *p, size_t i)
{
    size_t end = i + 1;
    while (end < p->n_row && p->row[end].decays == p->row[i].decays)
        end++;
    return end;
}

enum st model_adamw_step(struct model *m, const struct adamw_conf *c, uint64_t step,
                         double *grad_norm, struct err *err)
{
    struct backend *b = m->b;
    const struct params *p = &m->params;
    if (!m->dlayer)
        return err_set(err, ST_USAGE, "model: an optimizer step before any gradient");
    b->ops->sumsq(b, m->sumsq, m->g);
    for (size_t i = 0, end; i < p->n_row; i = end) {
        end = run_end(p, i);
        size_t at = p->row[i].offset, n = p->row[end - 1].offset + p->row[end - 1].n - at;
        const struct adamw_step s = { .lr = c->lr,
                                      .beta1 = c->beta1,
                                      .beta2 = c->beta2,
                                      .eps = c->eps,
                                      .weight_decay = p->row[i].decays ? c->weight_decay : 0,
                                      .grad_clip = c->grad_clip,
                                      .step = step };
        b->ops->adamw(b, tensor_part(m->p, at, n, 0), tensor_part(m->g, at, n, 0),
                      tensor_part(m->m, at, n, 0), tensor_part(m->v, at, n, 0), m->sumsq, &s);
    }
    model_changed(m);
    double sumsq = 0;
    b->ops->download(b, &sumsq, m->sumsq);
    enum st st = b->ops->sync(b, err);
    *grad_norm = sqrt(sumsq);
    return st;
}
