/* model/act.c - the buffers of a pass: which there are, how large, and what training takes in all.
 * See model/state.h. */
#include "model/state.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/attr.h"
#include "base/mem.h"

enum { N_ACT = 16 };

static void act_tensors(struct act *a, struct tensor *t[N_ACT])
{
    struct tensor *const all[] = { &a->tok, &a->target, &a->losses, &a->first, &a->x, &a->mid,
                                   &a->qkv, &a->att,    &a->gu,     &a->lse,   &a->h, &a->ff,
                                   &a->dx,  &a->dh,     &a->dqkv,   &a->dff };
    _Static_assert(N_OF(all) == N_ACT, "one place for each");
    memcpy(t, all, sizeof all);
}

void act_release(struct model *m)
{
    struct tensor *t[N_ACT];
    act_tensors(&m->act, t);
    for (int i = 0; i < N_ACT; i++)
        m->b->ops->free(m->b, t[i]);
    m->act = (struct act){ 0 };
}

/* Shapes only, of a pass over n tokens. */
static struct act act_shapes(const struct model_conf *c, size_t n, bool gradients)
{
    size_t d = (size_t)c->d_model, ff = (size_t)c->d_ff, heads = (size_t)c->n_head,
           slots = gradients ? (size_t)c->n_layer : 1, width = heads * (size_t)c->d_head,
           qkv = width + 2 * (size_t)c->n_kv_head * (size_t)c->d_head, back = gradients ? n : 0;
    return (struct act){ .n_tok = n,
                         .gradients = gradients,
                         .tok = tensor_1d(DTYPE_U32, n),
                         .target = tensor_1d(DTYPE_U32, n),
                         .losses = tensor_1d(DTYPE_F32, n),
                         .first = tensor_1d(DTYPE_U32, n),
                         .x = tensor_2d(DTYPE_F32, (gradients ? slots + 1 : 2) * n, d),
                         .mid = tensor_2d(DTYPE_F32, slots * n, d),
                         .qkv = tensor_2d(DTYPE_F32, slots * n, qkv),
                         .att = tensor_2d(DTYPE_F32, slots * n, width),
                         .gu = tensor_2d(DTYPE_F32, slots * n, 2 * ff),
                         .lse = tensor_2d(DTYPE_F32, slots * n, heads),
                         .h = tensor_2d(DTYPE_F32, n, d),
                         .ff = tensor_2d(DTYPE_F32, n, ff),
                         .dx = tensor_2d(DTYPE_F32, back, d),
                         .dh = tensor_2d(DTYPE_F32, back, d > width ? d : width),
                         .dqkv = tensor_2d(DTYPE_F32, back, qkv),
                         .dff = tensor_2d(DTYPE_F32, back, ff) };
}

static enum st rope_reserve(struct model *m, int seq_len, struct err *err)
{
    size_t half = (size_t)m->conf.d_head / 2, len = (size_t)seq_len;
    if (m->rope_len >= len)
        return ST_OK;
    m->b->ops->free(m->b, &m->rope);
    m->rope_len = 0;
    m->rope = tensor_2d(DTYPE_F32, 2 * len, half);
    enum st st = m->b->ops->alloc(m->b, &m->rope, err);
    if (st < 0)
        return st;
    float *table = xmalloc((2 * len + 1) * half * sizeof *table), *freq = table + 2 * len * half;
    model_rope_freq(&m->conf, freq);
    for (size_t t = 0; t < len; t++)
        for (size_t i = 0; i < half; i++) {
            float angle = (float)t * freq[i];
            table[t * half + i] = (float)cos((double)angle);
            table[(len + t) * half + i] = (float)sin((double)angle);
        }
    m->b->ops->upload(m->b, m->rope, table);
    free(table);
    m->rope_len = len;
    return ST_OK;
}

enum st act_reserve(struct model *m, size_t n_tok, int seq_len, bool gradients, struct err *err)
{
    struct act *a = &m->act;
    enum st st = rope_reserve(m, seq_len, err);
    if (st < 0 || (a->n_tok >= n_tok && a->gradients >= gradients))
        return st;
    size_t n = n_tok > a->n_tok ? n_tok : a->n_tok;
    gradients = gradients || a->gradients;
    act_release(m);
    struct act want = act_shapes(&m->conf, n, gradients);
    struct tensor *t[N_ACT], *shape[N_ACT];
    act_tensors(a, t);
    act_tensors(&want, shape);
    for (int i = 0; i < N_ACT; i++) {
        *t[i] = *shape[i];
        if ((st = m->b->ops->alloc(m->b, t[i], err)) < 0)
            return err_in(err, st, "memory of %zu tokens' activations", n);
    }
    a->n_tok = n;
    a->gradients = gradients;
    return ST_OK;
}

/* Each matrix of products as the backend keeps it beside the parameters, or room for the largest.
 */
static size_t layout_bytes(const struct model_conf *c, const struct backend *b)
{
    size_t d = (size_t)c->d_model, ff = (size_t)c->d_ff, width = (size_t)(c->n_head * c->d_head),
           qkv = width + 2 * (size_t)(c->n_kv_head * c->d_head);
    size_t head = b->ops->weight_bytes(b, (size_t)c->vocab_size, d), all = head, largest = head;
    size_t layer[] = { b->ops->weight_bytes(b, qkv, d), b->ops->weight_bytes(b, d, width),
                       b->ops->weight_bytes(b, 2 * ff, d), b->ops->weight_bytes(b, d, ff) };
    for (size_t i = 0; i < N_OF(layer); i++) {
        all += (size_t)c->n_layer * layer[i];
        largest = layer[i] > largest ? layer[i] : largest;
    }
    return all <= b->ops->layouts_kept(b) ? all : largest;
}

void model_memory(const struct model_conf *c, const struct backend *b, int batch, int seq_len,
                  bool average, struct model_memory *out)
{
    size_t each = (size_t)model_n_param(c) * sizeof(float);
    struct act a = act_shapes(c, (size_t)chunk_seqs(batch, seq_len) * (size_t)seq_len, true);
    struct tensor *t[N_ACT];
    act_tensors(&a, t);
    *out = (struct model_memory){ .weights = each,
                                  .layouts = layout_bytes(c, b),
                                  .gradients = each,
                                  .optimizer = 2 * each,
                                  .average = average ? each : 0 };
    for (int i = 0; i < N_ACT; i++)
        out->activations += tensor_n(*t[i]) * sizeof(float);
}
