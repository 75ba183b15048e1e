/* model/weights.c - see weights.h. */
#include "model/weights.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "model/gguf_weights.h"
#include "model/hf.h"
#include "model/params.h"

/* Places in struct weights_layer and llama.cpp's names; shapes and Hugging Face's names are in
 * params.c. */
static const struct {
    size_t offset;
    const char *gguf;
    bool pairs; /* turned by position: llama.cpp's llama has their rows in another order */
} layer_weight[PARAMS_A_LAYER] = {
#define AT(member) offsetof(struct weights_layer, member)
    [P_NORM1] = { AT(norm_attn), "attn_norm.weight", false },
    [P_Q] = { AT(q), "attn_q.weight", true },
    [P_K] = { AT(k), "attn_k.weight", true },
    [P_V] = { AT(v), "attn_v.weight", false },
    [P_O] = { AT(o), "attn_output.weight", false },
    [P_NORM2] = { AT(norm_ffn), "ffn_norm.weight", false },
    [P_GATE] = { AT(gate), "ffn_gate.weight", false },
    [P_UP] = { AT(up), "ffn_up.weight", false },
    [P_DOWN] = { AT(down), "ffn_down.weight", false },
    [P_Q_BIAS] = { AT(q_bias), "attn_q.bias", true },
    [P_K_BIAS] = { AT(k_bias), "attn_k.bias", true },
    [P_V_BIAS] = { AT(v_bias), "attn_v.bias", false },
    [P_O_BIAS] = { AT(o_bias), "attn_output.bias", false },
#undef AT
};

static struct weight *place(const struct weights *w, const struct params *p, size_t row)
{
    size_t layers = (size_t)(p->a_layer * w->conf.n_layer), i = row - PARAM_LAYER0;
    if (row == PARAM_EMBED)
        return (struct weight *)&w->embed;
    if (i == layers)
        return (struct weight *)&w->norm;
    if (i > layers)
        return (struct weight *)&w->head;
    return (struct weight *)((char *)&w->layer[i / (size_t)p->a_layer] +
                             layer_weight[i % (size_t)p->a_layer].offset);
}

const struct weight *weights_param(const struct weights *w, const struct params *p, size_t row)
{
    return place(w, p, row);
}

bool gguf_swaps_rows(const struct params *p, const struct model_conf *c, size_t row)
{
    size_t i = row - PARAM_LAYER0;
    return row >= PARAM_LAYER0 && i < (size_t)(p->a_layer * c->n_layer) &&
           layer_weight[i % (size_t)p->a_layer].pairs;
}

void gguf_param_name(char name[64], const struct params *p, const struct model_conf *c, size_t row)
{
    size_t layers = (size_t)(p->a_layer * c->n_layer), i = row - PARAM_LAYER0;
    if (row == PARAM_EMBED || i >= layers)
        snprintf(name, 64, "%s",
                 row == PARAM_EMBED ? "token_embd.weight"
                 : i == layers      ? "output_norm.weight"
                                    : "output.weight");
    else
        snprintf(name, 64, "blk.%zu.%s", i / (size_t)p->a_layer,
                 layer_weight[i % (size_t)p->a_layer].gguf);
}

static enum st find_hf(struct weights *w, struct weight *out, const struct param *p,
                       const char *path, struct err *err)
{
    const struct safetensor *t = hf_files_find(w->files, p->name);
    if (!t)
        return err_set(err, ST_FORMAT, "'%s': no tensor '%s'", path, p->name);
    bool same = t->n_dim == p->n_dim;
    for (int i = 0; same && i < p->n_dim; i++)
        same = t->dim[i] == p->dim[i];
    if (!same && p->n_dim == 2)
        return err_set(err, ST_FORMAT, "'%s': tensor '%s' has not the shape [%zu, %zu]", path,
                       p->name, p->dim[0], p->dim[1]);
    if (!same)
        return err_set(err, ST_FORMAT, "'%s': tensor '%s' has not the shape [%zu]", path, p->name,
                       p->dim[0]);
    if (!safetensors_readable(t))
        return err_set(err, ST_UNSUPPORTED, "'%s': tensor '%s' is %s, want F32, F16 or BF16", path,
                       p->name, t->dtype);
    out->safe = t;
    return ST_OK;
}

static enum st find_gguf(struct weights *w, struct weight *out, const struct params *p, size_t row,
                         struct err *err)
{
    char name[64];
    gguf_param_name(name, p, &w->conf, row);
    bool llama = strcmp(gguf_text(w->gguf, "general.architecture", ""), "llama") == 0;
    if (llama && gguf_swaps_rows(p, &w->conf, row))
        out->pair_rows = w->conf.d_head;
    return gguf_want(&out->tensor, w->gguf, name, (uint64_t)out->n_row, (uint64_t)out->n_col, err);
}

/* Numbers that are none would pass through training and generation unseen. */
static enum st want_finite(const struct weight *w, const char *name, const char *path,
                           struct err *err)
{
    int64_t at;
    if (w->tensor)
        at = gguf_not_finite(w->tensor);
    else if (strcmp(w->safe->dtype, "F32") == 0)
        at = bits_not_finite(w->safe->data, w->safe->n, 4, 0x7f800000);
    else
        at = bits_not_finite(w->safe->data, w->safe->n, 2,
                             strcmp(w->safe->dtype, "F16") == 0 ? 0x7c00 : 0x7f80);
    if (at < 0)
        return ST_OK;
    return err_set(err, ST_FORMAT, "'%s': tensor '%s' holds NaN or infinity at element %lld", path,
                   name, (long long)at);
}

static enum st find_all(struct weights *w, const struct params *p, const char *path,
                        struct err *err)
{
    enum st st = ST_OK;
    w->layer = NEW_ARRAY(struct weights_layer, (size_t)w->conf.n_layer);
    for (size_t i = 0; i < p->n_row && st == ST_OK; i++) {
        const struct param *r = &p->row[i];
        struct weight *at = place(w, p, i);
        at->n_row = r->n_dim == 2 ? (int)r->dim[0] : 1;
        at->n_col = r->n_dim == 2 ? (int)r->dim[1] : (int)r->dim[0];
        st = w->gguf ? find_gguf(w, at, p, i, err) : find_hf(w, at, r, path, err);
        if (st == ST_OK)
            st = want_finite(at, r->name, path, err);
    }
    return st;
}

/* Tensors beside the table: those that old exporters write along are fine, any other means another
 * model. */
static enum st refuse_strangers(const struct weights *w, const struct params *p, const char *path,
                                struct err *err)
{
    size_t n = w->gguf ? gguf_n_tensors(w->gguf) : hf_files_n_tensor(w->files), n_ours = 0;
    for (size_t i = 0; i < n; i++) {
        const char *name =
            w->gguf ? gguf_tensor_at(w->gguf, i)->name : hf_files_tensor_at(w->files, i)->name;
        bool fine = w->gguf ? strcmp(name, "rope_freqs.weight") == 0
                            : str_ends(name, "rotary_emb.inv_freq") ||
                                  (w->conf.tied && strcmp(name, "lm_head.weight") == 0);
        for (size_t k = 0; k < p->n_row && !fine; k++) {
            size_t row = (n_ours + k) % p->n_row; /* most stand in the table's order */
            char ours[64];
            gguf_param_name(ours, p, &w->conf, row);
            fine = strcmp(name, w->gguf ? ours : p->row[row].name) == 0;
            n_ours = fine ? row : n_ours;
        }
        if (!fine)
            return err_set(err, ST_UNSUPPORTED, "'%s': tensor '%.200s' is not part of such a model",
                           path, name);
    }
    return ST_OK;
}

static enum st check_tensors(struct weights *w, const char *path, struct err *err)
{
    struct params p;
    enum st st = err_in(err, model_conf_check(&w->conf, err), "'%s'", path);
    if (st < 0)
        return st;
    params_build(&p, &w->conf);
    st = refuse_strangers(w, &p, path, err);
    if (st == ST_OK)
        st = find_all(w, &p, path, err);
    params_release(&p);
    return st;
}

static enum st open_gguf(struct weights *w, const char *path, struct err *err)
{
    enum st st = gguf_open(&w->gguf, path, err);
    if (st == ST_OK)
        st = gguf_model_conf(&w->conf, w->gguf, err);
    if (st == ST_OK)
        st = check_tensors(w, path, err);
    return st == ST_OK ? digest_file(&w->digest, path, err) : st;
}

static enum st open_folder(struct weights *w, const char *path, struct err *err)
{
    enum st st = hf_conf_read(&w->conf, path, err);
    if (st == ST_OK)
        st = hf_files_open(&w->files, path, err);
    if (st == ST_OK)
        st = check_tensors(w, path, err);
    return st == ST_OK ? hf_files_digest(&w->digest, w->files, err) : st;
}

char *weights_place(const char *path)
{
    char *inner = path_join(path, "checkpoint"), *conf = path_join(path, "config.json");
    char *place = xstrdup(file_is_dir(inner) && !file_exists(conf) ? inner : path);
    free(inner);
    free(conf);
    return place;
}

enum st weights_open(struct weights **out, const char *path, struct err *err)
{
    struct weights *w = NEW(struct weights);
    *out = NULL;
    enum st st = file_is_dir(path) ? open_folder(w, path, err) : open_gguf(w, path, err);
    if (st < 0) {
        weights_close(w);
        return st;
    }
    *out = w;
    return ST_OK;
}

void weights_close(struct weights *w)
{
    if (!w)
        return;
    free(w->layer);
    gguf_close(w->gguf);
    hf_files_close(w->files);
    free(w);
}

/* A bias whose elements lie as llama.cpp has the rows of its matrix. */
static void unswap(float *x, int n, int d_head)
{
    float *as_read = xmalloc((size_t)n * sizeof *x);
    memcpy(as_read, x, (size_t)n * sizeof *x);
    for (int i = 0; i < n; i++)
        x[i] = as_read[gguf_row_hf((uint64_t)i, d_head)];
    free(as_read);
}

void weight_row(float *out, const struct weight *w, int i)
{
    bool vector = w->n_row == 1;
    if (!w->tensor) {
        safetensors_read_part(w->safe, (uint64_t)i * (uint64_t)w->n_col, (uint64_t)w->n_col, out);
        return;
    }
    gguf_row(out, w->tensor,
             w->pair_rows && !vector ? gguf_row_hf((uint64_t)i, w->pair_rows) : (uint64_t)i);
    if (w->pair_rows && vector)
        unswap(out, w->n_col, w->pair_rows);
}
