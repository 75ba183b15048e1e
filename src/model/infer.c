/* model/infer.c - see infer.h. */
#include "model/infer.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "backend/cpu/decode.h"
#include "base/mem.h"
#include "model/kvcache.h"

_Static_assert((int)KV_BLOCK == (int)DECODE_BLOCK, "the cache and the kernels agree on blocks");
_Static_assert((int)GEN_KV_F16 == (int)DECODE_KV_F16 && (int)GEN_KV_Q8 == (int)DECODE_KV_Q8,
               "settings and kernels agree on forms");

enum {
    ROWS_AN_ITEM = 8,    /* of element-wise work */
    TOKENS_AN_ITEM = 16, /* of attention */
    MAX_GROUP = 8        /* query rows a call of attend(), whatever the kernels */
};

struct layer {
    struct matrix qkv, o, gate_up, down;
    float *norm_attn, *norm_ffn;
    float *qkv_bias, *o_bias; /* or NULL */
};

struct span { /* rows of one sequence that one item attends for */
    int row, n;
};

struct infer {
    const struct weights *w;
    const struct decode_kernels *k;
    struct pool *pool;
    struct matrix_tools tools;
    struct layer *layer;
    struct matrix head;
    float *norm;
    float *cos, *sin; /* [max_seq_len, d_head / 2] */
    int max_seq_len, max_rows, max_logits;
    const struct decode_kv_kernels *kv;
    size_t kv_bytes; /* of a block of one layer and head */
    size_t kv_at;    /* where this model's part of a block begins */
    int d_pad;       /* heads padded to whole blocks of the attention kernel */

    float *x, *h, *qkv, *q, *attn, *act, *logits; /* [max_rows, ...] */
    float **scores;                               /* a thread's scratch */
    struct span *span;
    int n_span;

    /* The call under way. */
    const struct infer_row *row;
    int n_row, l, n_wanted;
};

static float *vector(const struct weight *w)
{
    float *v = xaligned((size_t)w->n_col * sizeof *v);
    weight_row(v, w, 0);
    return v;
}

/* The vectors one behind the other; NULL where the model has none. */
static float *joined(const struct weight *const *w, int n)
{
    int all = 0;
    for (int i = 0; i < n; i++)
        all += w[i]->n_col;
    float *v = all ? xaligned((size_t)all * sizeof *v) : NULL, *at = v;
    for (int i = 0; v && i < n; at += w[i++]->n_col)
        weight_row(at, w[i], 0);
    return v;
}

static void load(struct infer *f, struct matrix *to, struct matrix_source from)
{
    matrix_load(to, &f->tools, &from);
}

static void load_layer(struct infer *f, struct layer *to, const struct weights_layer *from)
{
    const struct model_conf *c = &f->w->conf;
    int n_qkv = (c->n_head + 2 * c->n_kv_head) * c->d_head;
    load(f, &to->qkv,
         (struct matrix_source){
             .from = { &from->q, &from->k, &from->v }, .n_in = c->d_model, .n_out = n_qkv });
    load(f, &to->o,
         (struct matrix_source){ .from = { &from->o },
                                 .n_in = c->n_head * f->d_pad,
                                 .n_out = c->d_model,
                                 .pad_from = c->d_head,
                                 .pad_to = f->d_pad });
    load(f, &to->gate_up,
         (struct matrix_source){ .from = { &from->gate, &from->up },
                                 .n_in = c->d_model,
                                 .n_out = c->d_ff,
                                 .gated = true });
    load(f, &to->down,
         (struct matrix_source){ .from = { &from->down }, .n_in = c->d_ff, .n_out = c->d_model });
    to->norm_attn = vector(&from->norm_attn);
    to->norm_ffn = vector(&from->norm_ffn);
    to->qkv_bias =
        joined((const struct weight *[]){ &from->q_bias, &from->k_bias, &from->v_bias }, 3);
    to->o_bias = joined((const struct weight *[]){ &from->o_bias }, 1);
}

static void make_rotations(struct infer *f)
{
    const struct model_conf *c = &f->w->conf;
    int half = c->d_head / 2;
    f->cos = xaligned((size_t)f->max_seq_len * (size_t)half * sizeof *f->cos);
    f->sin = xaligned((size_t)f->max_seq_len * (size_t)half * sizeof *f->sin);
    float *freq = xaligned((size_t)half * sizeof *freq);
    model_rope_freq(c, freq);
    for (int pos = 0; pos < f->max_seq_len; pos++)
        for (int i = 0; i < half; i++) {
            float angle = (float)pos * freq[i];
            f->cos[(size_t)pos * (size_t)half + (size_t)i] = (float)cos((double)angle);
            f->sin[(size_t)pos * (size_t)half + (size_t)i] = (float)sin((double)angle);
        }
    free(freq);
}

static float *floats(int rows, int cols)
{
    return xaligned((size_t)rows * (size_t)cols * sizeof(float));
}

struct infer *infer_new(const struct weights *w, const struct decode_kernels *k, struct pool *pool,
                        enum gen_precision precision, enum gen_kv kv, int max_seq_len, int max_rows,
                        int max_logits)
{
    const struct model_conf *c = &w->conf;
    struct infer *f = NEW(struct infer);
    *f = (struct infer){ .w = w,
                         .k = k,
                         .pool = pool,
                         .max_seq_len = max_seq_len,
                         .max_rows = max_rows,
                         .max_logits = max_logits,
                         .d_pad = (c->d_head + DECODE_BLOCK - 1) / DECODE_BLOCK * DECODE_BLOCK };
    f->kv = &k->kv[kv];
    f->kv_bytes = decode_kv_bytes((enum decode_kv)kv, f->d_pad);
    assert(f->k->n_attn_rows <= MAX_GROUP);
    int max_in = c->n_head * f->d_pad > c->d_ff ? c->n_head * f->d_pad : c->d_ff;
    matrix_tools_init(&f->tools, k, pool, precision, max_rows,
                      max_in > c->d_model ? max_in : c->d_model);
    f->layer = NEW_ARRAY(struct layer, (size_t)c->n_layer);
    for (int l = 0; l < c->n_layer; l++)
        load_layer(f, &f->layer[l], &w->layer[l]);
    load(f, &f->head,
         (struct matrix_source){ .from = { c->tied ? &w->embed : &w->head },
                                 .n_in = c->d_model,
                                 .n_out = c->vocab_size });
    f->norm = vector(&w->norm);
    make_rotations(f);
    f->x = floats(max_rows, c->d_model);
    f->h = floats(max_rows, c->d_model);
    f->qkv = floats(max_rows, (c->n_head + 2 * c->n_kv_head) * c->d_head);
    f->q = floats(max_rows, c->n_head * f->d_pad);
    f->attn = floats(max_rows, c->n_head * f->d_pad);
    f->act = floats(max_rows, c->d_ff);
    f->logits = floats(max_logits, c->vocab_size);
    f->scores = NEW_ARRAY(float *, (size_t)pool_size(pool));
    for (int t = 0; t < pool_size(pool); t++)
        f->scores[t] = floats(f->k->n_attn_rows, max_seq_len + DECODE_BLOCK);
    f->span = NEW_ARRAY(struct span, (size_t)max_rows);
    return f;
}

void infer_free(struct infer *f)
{
    if (!f)
        return;
    for (int l = 0; l < f->w->conf.n_layer; l++) {
        matrix_release(&f->layer[l].qkv);
        matrix_release(&f->layer[l].o);
        matrix_release(&f->layer[l].gate_up);
        matrix_release(&f->layer[l].down);
        free(f->layer[l].norm_attn);
        free(f->layer[l].norm_ffn);
        free(f->layer[l].qkv_bias);
        free(f->layer[l].o_bias);
    }
    free(f->layer);
    matrix_release(&f->head);
    matrix_tools_release(&f->tools);
    free(f->norm);
    free(f->cos);
    free(f->sin);
    free(f->x);
    free(f->h);
    free(f->qkv);
    free(f->q);
    free(f->attn);
    free(f->act);
    free(f->logits);
    for (int t = 0; t < pool_size(f->pool); t++)
        free(f->scores[t]);
    free(f->scores);
    free(f->span);
    free(f);
}

void infer_share_blocks(struct infer *f, size_t n_bytes)
{
    f->kv_at = n_bytes;
}

int infer_row_bits(const struct infer *f)
{
    return f->layer[0].gate_up.row_bits;
}

size_t infer_block_bytes(const struct infer *f)
{
    return (size_t)f->w->conf.n_layer * (size_t)f->w->conf.n_kv_head * f->kv_bytes;
}

/* ---- The layers. ---- */

static void product(struct infer *f, const struct matrix *w, const float *x, int n_row, float *y,
                    enum decode_end end)
{
    matrix_product(&f->tools, w, x, n_row, y, end);
}

static void add(float *x, const float *y, int n)
{
    for (int i = 0; i < n; i++)
        x[i] += y[i];
}

struct norm_job {
    struct infer *f;
    const float *w, *bias; /* bias: added to x before; or NULL */
    int n_row;
    bool embed; /* the tokens' embeddings go into x first */
};

static void norm_item(void *job, size_t item, int thread)
{
    const struct norm_job *j = job;
    struct infer *f = j->f;
    (void)thread;
    size_t d = (size_t)f->w->conf.d_model;
    for (int r = (int)item * ROWS_AN_ITEM; r < j->n_row && r < ((int)item + 1) * ROWS_AN_ITEM;
         r++) {
        float *x = f->x + (size_t)r * d;
        if (j->embed)
            weight_row(x, &f->w->embed, (int)f->row[r].tok);
        if (j->bias)
            add(x, j->bias, (int)d);
        f->k->rmsnorm(f->h + (size_t)r * d, x, j->w, (int)d, (float)f->w->conf.norm_eps);
    }
}

static void norm(struct infer *f, const float *w, const float *bias, int n_row, bool embed)
{
    struct norm_job j = { f, w, bias, n_row, embed };
    pool_run(f->pool, (size_t)(n_row + ROWS_AN_ITEM - 1) / ROWS_AN_ITEM, norm_item, &j);
}

static void rotate(float *out, const float *x, const float *cosine, const float *sine, int d_head,
                   float scale)
{
    int half = d_head / 2;
    for (int i = 0; i < half; i++) {
        float a = x[i], b = x[i + half];
        out[i] = (a * cosine[i] - b * sine[i]) * scale;
        out[i + half] = (b * cosine[i] + a * sine[i]) * scale;
    }
}

/* Rotates queries and keys of a few rows, and puts keys and values into the cache. */
static void rope_item(void *job, size_t item, int thread)
{
    struct infer *f = job;
    const struct model_conf *c = &f->w->conf;
    (void)thread;
    int d = c->d_head, n_qkv = (c->n_head + 2 * c->n_kv_head) * d;
    float scale = 1.0f / sqrtf((float)d), key[1024];
    assert(d <= (int)N_OF(key));
    for (int r = (int)item * ROWS_AN_ITEM; r < f->n_row && r < ((int)item + 1) * ROWS_AN_ITEM;
         r++) {
        float *from = f->qkv + (size_t)r * (size_t)n_qkv;
        if (f->layer[f->l].qkv_bias)
            add(from, f->layer[f->l].qkv_bias, n_qkv);
        int pos = f->row[r].pos, in_block = pos % DECODE_BLOCK;
        const float *cosine = f->cos + (size_t)pos * (size_t)(d / 2);
        const float *sine = f->sin + (size_t)pos * (size_t)(d / 2);
        for (int h = 0; h < c->n_head; h++, from += d)
            rotate(f->q + ((size_t)r * (size_t)c->n_head + (size_t)h) * (size_t)f->d_pad, from,
                   cosine, sine, d, scale);
        uint8_t *at = f->row[r].block[pos / DECODE_BLOCK] + f->kv_at +
                      (size_t)f->l * (size_t)c->n_kv_head * f->kv_bytes;
        for (int h = 0; h < c->n_kv_head; h++, from += d, at += f->kv_bytes) {
            rotate(key, from, cosine, sine, d, 1);
            f->kv->put(at, in_block, key, from + c->n_kv_head * d, d, f->d_pad);
        }
    }
}

/* One key-value head of one span: its queries, a group at a time. */
static void attend_item(void *job, size_t item, int thread)
{
    struct infer *f = job;
    const struct model_conf *c = &f->w->conf;
    int n_kv = c->n_kv_head, n_rep = c->n_head / n_kv, kv = (int)(item % (size_t)n_kv);
    const struct span *s = &f->span[item / (size_t)n_kv];
    size_t offset = f->kv_at + ((size_t)f->l * (size_t)n_kv + (size_t)kv) * f->kv_bytes;
    float *out[MAX_GROUP];
    const float *q[MAX_GROUP];
    int n_pos[MAX_GROUP], n = 0;
    for (int i = 0; i < s->n * n_rep; i++) {
        int r = s->row + i / n_rep, h = kv * n_rep + i % n_rep;
        size_t at = ((size_t)r * (size_t)c->n_head + (size_t)h) * (size_t)f->d_pad;
        out[n] = f->attn + at;
        q[n] = f->q + at;
        n_pos[n++] = f->row[r].pos + 1;
        if (n == f->k->n_attn_rows || i + 1 == s->n * n_rep) {
            f->kv->attend(out, q, n_pos, n, f->row[r].block, offset, f->d_pad, f->scores[thread]);
            n = 0;
        }
    }
}

static void make_spans(struct infer *f)
{
    f->n_span = 0;
    for (int r = 0; r < f->n_row; r++) {
        struct span *s = f->n_span ? &f->span[f->n_span - 1] : NULL;
        if (s && f->row[s->row].block == f->row[r].block && s->n < TOKENS_AN_ITEM)
            s->n++;
        else
            f->span[f->n_span++] = (struct span){ r, 1 };
    }
}

/* The rows that want logits move to the front of x. */
static int gather(struct infer *f)
{
    int n = 0;
    size_t d = (size_t)f->w->conf.d_model;
    for (int r = 0; r < f->n_row; r++)
        if (f->row[r].logits) {
            memmove(f->x + (size_t)n * d, f->x + (size_t)r * d, d * sizeof *f->x);
            n++;
        }
    return n;
}

int infer_layers(struct infer *f, const struct infer_row *row, int n_row)
{
    assert(n_row > 0 && n_row <= f->max_rows);
    size_t n_item = (size_t)(n_row + ROWS_AN_ITEM - 1) / ROWS_AN_ITEM;
    f->row = row;
    f->n_row = n_row;
    make_spans(f);
    for (f->l = 0; f->l < f->w->conf.n_layer; f->l++) {
        struct layer *l = &f->layer[f->l];
        norm(f, l->norm_attn, NULL, n_row, f->l == 0);
        product(f, &l->qkv, f->h, n_row, f->qkv, DECODE_STORE);
        pool_run(f->pool, n_item, rope_item, f);
        pool_run(f->pool, (size_t)f->n_span * (size_t)f->w->conf.n_kv_head, attend_item, f);
        product(f, &l->o, f->attn, n_row, f->x, DECODE_ADD);
        norm(f, l->norm_ffn, l->o_bias, n_row, false);
        product(f, &l->gate_up, f->h, n_row, f->act, DECODE_SWIGLU);
        product(f, &l->down, f->act, n_row, f->x, DECODE_ADD);
    }
    f->n_wanted = gather(f);
    if (f->n_wanted > 0)
        norm(f, f->norm, NULL, f->n_wanted, false);
    return f->n_wanted;
}

float *infer_logits(struct infer *f, int first, int n)
{
    assert(first >= 0 && n > 0 && n <= f->max_logits && first + n <= f->n_wanted);
    product(f, &f->head, f->h + (size_t)first * (size_t)f->w->conf.d_model, n, f->logits,
            DECODE_STORE);
    return f->logits;
}

float *infer_forward(struct infer *f, const struct infer_row *row, int n_row)
{
    int n = infer_layers(f, row, n_row);
    return n > 0 ? infer_logits(f, 0, n) : f->logits;
}
