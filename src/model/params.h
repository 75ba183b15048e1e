/*
 * model/params.h - the one table of parameters: name, shape, initialisation, decay, place.
 *
 * Names are Hugging Face's. All parameters lie in one array in the table's order; query, key and
 * value of a layer are neighbours there, and so are gate and up, so that each group is one matrix
 * for products.
 */
#ifndef MIXLAW_MODEL_PARAMS_H
#define MIXLAW_MODEL_PARAMS_H

#include <stdbool.h>
#include <stddef.h>

#include "model/model.h"

enum init { INIT_ZERO, INIT_ONE, INIT_NORMAL, INIT_RESIDUAL /* scaled by 1/sqrt(2 n_layer) */ };

struct param {
    char name[64];
    size_t offset, n; /* elements in the array of all */
    int n_dim;
    size_t dim[2];
    enum init init;
    bool decays; /* by weight decay: the matrices, but neither embedding nor a tied head */
    double init_scale, lr_scale; /* of muP; 1 without */
};

struct params {
    struct param *row; /* final; layers in order, each a_layer rows */
    size_t n_row;
    int a_layer;
    size_t n; /* elements in all */
};

/* Rows of a layer, in order; a layer's first row is PARAM_LAYER0 + a_layer * layer. The biases
 * stand last: enum attn_bias says where a layer ends. */
enum { PARAM_EMBED, PARAM_LAYER0 };
enum {
    P_NORM1,
    P_Q,
    P_K,
    P_V,
    P_O,
    P_NORM2,
    P_GATE,
    P_UP,
    P_DOWN,
    P_Q_BIAS,
    P_K_BIAS,
    P_V_BIAS,
    P_O_BIAS,
    PARAMS_A_LAYER /* at most */
};

void params_build(struct params *p, const struct model_conf *conf); /* conf was checked */
/* The scales of muP for a model that is d_model / base_width times as wide as where its rate and
 * initialisation are from; see model_mup. */
void params_mup(struct params *p, const struct model_conf *conf, int base_width);
void params_release(struct params *p);
const struct param *params_find(const struct params *p, const char *name); /* or NULL */
const struct param *params_layer(const struct params *p, int layer, int which);
const struct param *params_final_norm(const struct params *p, const struct model_conf *conf);
const struct param *params_head(const struct params *p, const struct model_conf *conf);

#endif
