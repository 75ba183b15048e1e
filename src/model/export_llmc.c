/*
 * model/export_llmc.c - checkpoints of llm.c's train_llama3.py. See export.h.
 *
 * 256 whole numbers of 32 bits (magic 20240803, version 3 for F32 or 5 for BF16, shape), 256 floats
 * (width factor of the MLP, eps, rope base), then the tensors by kind over all layers: embedding,
 * first norms, query-key-value matrices, output matrices, second norms, up, gate, down, final norm,
 * head. Rotary pairs are neighbours there.
 */
#include "model/export.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "model/params.h"

enum { N_HEADER = 256, MAGIC = 20240803 };

struct writer {
    const struct export_conf *e;
    struct params p;
    struct outfile f;
    struct err *err;
};

/* What that program can say of a model; other models would come out wrong without a word. */
static enum st refuse(const struct model_conf *c, struct err *err)
{
    const struct rope_scaling *s = &c->scaling;
    const char *why = NULL;
    if (c->bias != BIAS_NONE)
        why = "biases";
    else if (c->window)
        why = "a sliding window";
    else if (c->d_head * c->n_head != c->d_model)
        why = "heads that together are not as wide as the model";
    else if (s->factor != 0 &&
             (s->factor != 8 || s->low_freq != 1 || s->high_freq != 4 || s->original_len != 8192))
        why = "rotary positions scaled otherwise than Llama 3.1's";
    return why ? err_set(err, ST_UNSUPPORTED, "llm.c's checkpoints have no place for %s", why)
               : ST_OK;
}

/* It computes the MLP's width: int(factor * int(8 d / 3)), rounded up to a multiple. */
static int mlp_width(int d, float factor, int multiple)
{
    int hidden = (int)(2.0 * (4 * d) / 3.0);
    hidden = (int)((double)factor * hidden);
    return (hidden + multiple - 1) / multiple * multiple;
}

static enum st find_width(const struct model_conf *c, float *factor, int *multiple, struct err *err)
{
    const struct {
        float factor;
        int multiple;
    } usual[] = { { 1.3f, 1024 }, { 1, 256 }, { 1, 32 } };
    for (size_t i = 0; i < N_OF(usual); i++) {
        *factor = usual[i].factor;
        *multiple = usual[i].multiple;
        if (mlp_width(c->d_model, *factor, *multiple) == c->d_ff)
            return ST_OK;
    }
    *multiple = 1;
    *factor = (float)((c->d_ff + 0.5) / (int)(2.0 * (4 * c->d_model) / 3.0));
    if (mlp_width(c->d_model, *factor, 1) != c->d_ff)
        return err_set(err, ST_UNSUPPORTED, "llm.c cannot express an MLP of %d at width %d",
                       c->d_ff, c->d_model);
    return ST_OK;
}

static enum st write_header(struct writer *w)
{
    const struct model_conf *c = &w->e->w->conf;
    int32_t whole[N_HEADER] = { 0 };
    float real[N_HEADER] = { 0 };
    int multiple;
    enum st st = find_width(c, &real[0], &multiple, w->err);
    const int32_t first[] = { MAGIC,
                              w->e->type == GGUF_BF16 ? 5 : 3,
                              c->max_seq_len,
                              c->vocab_size,
                              c->n_layer,
                              c->n_head,
                              c->n_kv_head,
                              c->d_model,
                              multiple,
                              c->scaling.factor != 0,
                              3,
                              1 };
    memcpy(whole, first, sizeof first);
    real[1] = (float)c->norm_eps;
    real[2] = (float)c->rope_theta;
    if (st == ST_OK)
        st = outfile_write(&w->f, whole, sizeof whole, w->err);
    return st == ST_OK ? outfile_write(&w->f, real, sizeof real, w->err) : st;
}

/* One parameter; the rows of queries and keys as pairs of neighbours. */
static enum st write_param(struct writer *w, size_t row, bool pairs)
{
    const struct weight *from = weights_param(w->e->w, &w->p, row);
    size_t n_bytes = export_row_bytes(w->e->type, from->n_col);
    int d = w->e->w->conf.d_head;
    float *scratch = xmalloc((size_t)from->n_col * sizeof *scratch);
    void *out = xmalloc(n_bytes);
    enum st st = ST_OK;
    for (int r = 0; r < from->n_row && st == ST_OK; r++) {
        int at = pairs ? r / d * d + r % d % 2 * (d / 2) + r % d / 2 : r;
        st = export_row(out, scratch, from, at, w->e->type, w->p.row[row].name, w->err);
        if (st == ST_OK)
            st = outfile_write(&w->f, out, n_bytes, w->err);
    }
    free(scratch);
    free(out);
    return st;
}

static enum st write_tensors(struct writer *w)
{
    /* Groups of rows of a layer that stand together there. */
    static const int group[][4] = { { P_NORM1, -1 }, { P_Q, P_K, P_V, -1 }, { P_O, -1 },
                                    { P_NORM2, -1 }, { P_UP, -1 },          { P_GATE, -1 },
                                    { P_DOWN, -1 } };
    size_t a_layer = (size_t)w->p.a_layer, n_layer = (size_t)w->e->w->conf.n_layer;
    enum st st = write_param(w, PARAM_EMBED, false);
    for (size_t g = 0; g < N_OF(group); g++)
        for (size_t l = 0; l < n_layer; l++)
            for (int i = 0; group[g][i] >= 0 && st == ST_OK; i++)
                st = write_param(w, PARAM_LAYER0 + l * a_layer + (size_t)group[g][i],
                                 group[g][i] == P_Q || group[g][i] == P_K);
    if (st == ST_OK)
        st = write_param(w, PARAM_LAYER0 + n_layer * a_layer, false);
    if (st == ST_OK) /* a tied head is written again: it has none */
        st = write_param(w, w->e->w->conf.tied ? (size_t)PARAM_EMBED : w->p.n_row - 1, false);
    return st;
}

enum st export_llmc(const struct export_conf *e, const char *out, struct err *err)
{
    struct writer w = { .e = e, .err = err };
    enum st st = refuse(&e->w->conf, err);
    if (st < 0)
        return st;
    params_build(&w.p, &e->w->conf);
    st = outfile_open(&w.f, out, err);
    if (st == ST_OK)
        st = write_header(&w);
    if (st == ST_OK)
        st = write_tensors(&w);
    if (st == ST_OK)
        st = outfile_commit(&w.f, err);
    outfile_abort(&w.f);
    params_release(&w.p);
    return st;
}
