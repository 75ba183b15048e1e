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

/* A layer's weights: their places in struct weights_layer, names in both worlds, and shapes. */
enum side { SIDE_MODEL, SIDE_HEADS, SIDE_KV, SIDE_FF, SIDE_ONE };
static const struct {
    size_t offset;
    const char *gguf, *hf;
    enum side rows, cols;
    bool pairs;
} layer_weight[] = {
#define AT(member) offsetof(struct weights_layer, member)
    { AT(q), "attn_q", "self_attn.q_proj", SIDE_HEADS, SIDE_MODEL, true },
    { AT(k), "attn_k", "self_attn.k_proj", SIDE_KV, SIDE_MODEL, true },
    { AT(v), "attn_v", "self_attn.v_proj", SIDE_KV, SIDE_MODEL, false },
    { AT(o), "attn_output", "self_attn.o_proj", SIDE_MODEL, SIDE_HEADS, false },
    { AT(gate), "ffn_gate", "mlp.gate_proj", SIDE_FF, SIDE_MODEL, false },
    { AT(up), "ffn_up", "mlp.up_proj", SIDE_FF, SIDE_MODEL, false },
    { AT(down), "ffn_down", "mlp.down_proj", SIDE_MODEL, SIDE_FF, false },
    { AT(norm_attn), "attn_norm", "input_layernorm", SIDE_ONE, SIDE_MODEL, false },
    { AT(norm_ffn), "ffn_norm", "post_attention_layernorm", SIDE_ONE, SIDE_MODEL, false },
#undef AT
};

static int side(const struct model_conf *c, enum side s)
{
    switch (s) {
    case SIDE_MODEL:
        return c->d_model;
    case SIDE_HEADS:
        return c->n_head * c->d_head;
    case SIDE_KV:
        return c->n_kv_head * c->d_head;
    case SIDE_FF:
        return c->d_ff;
    case SIDE_ONE:
        break;
    }
    return 1;
}

struct source {
    struct weights *w;
    const char *path;
    struct safetensors *file; /* a folder's, while it is read */
};

static enum st find_hf(struct source *s, struct weight *out, const char *name, struct err *err)
{
    const struct safetensor *t = safetensors_find(s->file, name);
    uint64_t want = (uint64_t)out->n_row * (uint64_t)out->n_col;
    if (!t)
        return err_set(err, ST_FORMAT, "'%s': no tensor '%s'", s->path, name);
    if (t->n != want || t->n_dim < 1 || t->dim[t->n_dim - 1] != (uint64_t)out->n_col)
        return err_set(err, ST_FORMAT, "'%s': tensor '%s' has %llu elements, want %d x %d", s->path,
                       name, (unsigned long long)t->n, out->n_row, out->n_col);
    out->floats = xaligned(want * sizeof *out->floats);
    if (!safetensors_read(t, out->floats))
        return err_set(err, ST_UNSUPPORTED, "'%s': tensor '%s' has type %s, want F32, F16 or BF16",
                       s->path, name, t->dtype);
    return ST_OK;
}

static enum st find(struct source *s, struct weight *out, const char *gguf, const char *hf,
                    int n_row, int n_col, struct err *err)
{
    *out = (struct weight){ .n_row = n_row, .n_col = n_col };
    if (s->w->gguf)
        return gguf_want(&out->tensor, s->w->gguf, gguf, (uint64_t)n_row, (uint64_t)n_col, err);
    return find_hf(s, out, hf, err);
}

static enum st find_all(struct source *s, struct err *err)
{
    struct weights *w = s->w;
    const struct model_conf *c = &w->conf;
    enum st st;
    if ((st = find(s, &w->embed, "token_embd.weight", "model.embed_tokens.weight", c->vocab_size,
                   c->d_model, err)) < 0 ||
        (st = find(s, &w->norm, "output_norm.weight", "model.norm.weight", 1, c->d_model, err)) < 0)
        return st;
    if (!c->tied && (st = find(s, &w->head, "output.weight", "lm_head.weight", c->vocab_size,
                               c->d_model, err)) < 0)
        return st;
    w->layer = NEW_ARRAY(struct weights_layer, (size_t)c->n_layer);
    for (int l = 0; l < c->n_layer; l++)
        for (size_t i = 0; i < N_OF(layer_weight); i++) {
            char gguf[64], hf[96];
            snprintf(gguf, sizeof gguf, "blk.%d.%s.weight", l, layer_weight[i].gguf);
            snprintf(hf, sizeof hf, "model.layers.%d.%s.weight", l, layer_weight[i].hf);
            struct weight *at = (struct weight *)((char *)&w->layer[l] + layer_weight[i].offset);
            if ((st = find(s, at, gguf, hf, side(c, layer_weight[i].rows),
                           side(c, layer_weight[i].cols), err)) < 0)
                return st;
            if (w->gguf && layer_weight[i].pairs)
                at->pair_rows = c->d_head;
        }
    return ST_OK;
}

static enum st open_gguf(struct weights *w, const char *path, struct err *err)
{
    struct source s = { .w = w, .path = path };
    enum st st = gguf_open(&w->gguf, path, err);
    if (st == ST_OK)
        st = gguf_model_conf(&w->conf, w->gguf, err);
    if (st == ST_OK)
        st = find_all(&s, err);
    return st == ST_OK ? digest_file(&w->digest, path, err) : st;
}

static enum st open_folder(struct weights *w, const char *path, struct err *err)
{
    char *file = path_join(path, "model.safetensors");
    struct source s = { .w = w, .path = file };
    enum st st = hf_conf_read(&w->conf, path, err);
    if (st == ST_OK)
        st = safetensors_open(&s.file, file, err);
    if (st == ST_OK)
        st = find_all(&s, err);
    if (st == ST_OK)
        st = digest_file(&w->digest, file, err);
    safetensors_close(s.file);
    free(file);
    return st;
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
    free(w->embed.floats);
    free(w->head.floats);
    free(w->norm.floats);
    for (int l = 0; w->layer && l < w->conf.n_layer; l++)
        for (size_t i = 0; i < N_OF(layer_weight); i++)
            free(((struct weight *)((char *)&w->layer[l] + layer_weight[i].offset))->floats);
    free(w->layer);
    gguf_close(w->gguf);
    free(w);
}

void weight_row(float *out, const struct weight *w, int i)
{
    if (w->tensor)
        gguf_row(out, w->tensor,
                 w->pair_rows ? gguf_row_hf((uint64_t)i, w->pair_rows) : (uint64_t)i);
    else
        memcpy(out, w->floats + (size_t)i * (size_t)w->n_col, (size_t)w->n_col * sizeof *out);
}
