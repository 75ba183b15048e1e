/* model/params.c - see params.h. */
#include "model/params.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

/* Sizes by name, so that the table below is shapes in terms of the configuration. */
enum size { SIZE_NONE, SIZE_D, SIZE_Q, SIZE_KV, SIZE_FF, SIZE_VOCAB };

static size_t size_of(enum size s, const struct model_conf *c)
{
    switch (s) {
    case SIZE_D:
        return (size_t)c->d_model;
    case SIZE_Q:
        return (size_t)c->n_head * (size_t)c->d_head;
    case SIZE_KV:
        return (size_t)c->n_kv_head * (size_t)c->d_head;
    case SIZE_FF:
        return (size_t)c->d_ff;
    case SIZE_VOCAB:
        return (size_t)c->vocab_size;
    case SIZE_NONE:
        break;
    }
    return 1;
}

struct shape {
    const char *name;
    enum size rows, cols; /* cols SIZE_NONE: a vector */
    enum init init;
    bool decays;
};

static const struct shape embed_shape = { "model.embed_tokens.weight", SIZE_VOCAB, SIZE_D,
                                          INIT_NORMAL, false };
static const struct shape layer_shape[PARAMS_A_LAYER] = {
    [P_NORM1] = { "input_layernorm.weight", SIZE_D, SIZE_NONE, INIT_ONE, false },
    [P_Q] = { "self_attn.q_proj.weight", SIZE_Q, SIZE_D, INIT_NORMAL, true },
    [P_K] = { "self_attn.k_proj.weight", SIZE_KV, SIZE_D, INIT_NORMAL, true },
    [P_V] = { "self_attn.v_proj.weight", SIZE_KV, SIZE_D, INIT_NORMAL, true },
    [P_O] = { "self_attn.o_proj.weight", SIZE_D, SIZE_Q, INIT_RESIDUAL, true },
    [P_NORM2] = { "post_attention_layernorm.weight", SIZE_D, SIZE_NONE, INIT_ONE, false },
    [P_GATE] = { "mlp.gate_proj.weight", SIZE_FF, SIZE_D, INIT_NORMAL, true },
    [P_UP] = { "mlp.up_proj.weight", SIZE_FF, SIZE_D, INIT_NORMAL, true },
    [P_DOWN] = { "mlp.down_proj.weight", SIZE_D, SIZE_FF, INIT_RESIDUAL, true },
    [P_Q_BIAS] = { "self_attn.q_proj.bias", SIZE_Q, SIZE_NONE, INIT_ZERO, false },
    [P_K_BIAS] = { "self_attn.k_proj.bias", SIZE_KV, SIZE_NONE, INIT_ZERO, false },
    [P_V_BIAS] = { "self_attn.v_proj.bias", SIZE_KV, SIZE_NONE, INIT_ZERO, false },
    [P_O_BIAS] = { "self_attn.o_proj.bias", SIZE_D, SIZE_NONE, INIT_ZERO, false },
};
static const struct shape norm_shape = { "model.norm.weight", SIZE_D, SIZE_NONE, INIT_ONE, false };
static const struct shape head_shape = { "lm_head.weight", SIZE_VOCAB, SIZE_D, INIT_NORMAL, true };

static void add_row(struct params *p, const struct shape *s, const struct model_conf *conf,
                    int layer)
{
    struct param *r = &p->row[p->n_row++];
    if (layer >= 0)
        snprintf(r->name, sizeof r->name, "model.layers.%d.%s", layer, s->name);
    else
        snprintf(r->name, sizeof r->name, "%s", s->name);
    r->n_dim = s->cols == SIZE_NONE ? 1 : 2;
    r->dim[0] = size_of(s->rows, conf);
    r->dim[1] = size_of(s->cols, conf);
    r->n = r->dim[0] * r->dim[1];
    r->offset = p->n;
    r->init = s->init;
    r->decays = s->decays;
    r->init_scale = r->lr_scale = 1;
    p->n += r->n;
}

void params_build(struct params *p, const struct model_conf *conf)
{
    static const int a_layer[] = {
        [BIAS_NONE] = P_Q_BIAS, [BIAS_QKV] = P_O_BIAS, [BIAS_QKVO] = PARAMS_A_LAYER
    };
    *p = (struct params){ .a_layer = a_layer[conf->bias] };
    p->row = NEW_ARRAY(struct param, (size_t)conf->n_layer * (size_t)p->a_layer + 3);
    add_row(p, &embed_shape, conf, -1);
    for (int l = 0; l < conf->n_layer; l++)
        for (int i = 0; i < p->a_layer; i++)
            add_row(p, &layer_shape[i], conf, l);
    add_row(p, &norm_shape, conf, -1);
    if (!conf->tied)
        add_row(p, &head_shape, conf, -1);
}

/* How often wider: the inputs of every matrix in a layer, and of the head. A multiplier of the
 * logits would do for the head, but then the model would be another one than its class computes;
 * scaling what it is trained from gives the same function. A tied head has its share in the norm
 * before it, so that the embedding stays an embedding. */
void params_mup(struct params *p, const struct model_conf *conf, int base_width)
{
    double wider = (double)conf->d_model / base_width;
    for (size_t i = 0; i < p->n_row; i++) {
        struct param *r = &p->row[i];
        bool is_last = i == p->n_row - 1; /* the head, or with a tied one the norm before it */
        bool in_layer = i != PARAM_EMBED && r->n_dim == 2 && (conf->tied || !is_last);
        if (!in_layer && !is_last)
            continue;
        r->lr_scale = 1 / wider;
        r->init_scale = in_layer ? 1 / sqrt(wider) : 1 / wider;
    }
}

void params_release(struct params *p)
{
    free(p->row);
    *p = (struct params){ 0 };
}

const struct param *params_find(const struct params *p, const char *name)
{
    for (size_t i = 0; i < p->n_row; i++)
        if (strcmp(p->row[i].name, name) == 0)
            return &p->row[i];
    return NULL;
}

const struct param *params_layer(const struct params *p, int layer, int which)
{
    return &p->row[PARAM_LAYER0 + layer * p->a_layer + which];
}

const struct param *params_final_norm(const struct params *p, const struct model_conf *conf)
{
    return params_layer(p, conf->n_layer, 0);
}

const struct param *params_head(const struct params *p, const struct model_conf *conf)
{
    return &p->row[conf->tied ? (size_t)PARAM_EMBED : p->n_row - 1];
}
