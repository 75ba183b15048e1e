/* model/conf.c - configurations: limits, counts, shapes for a size, Hugging Face's config.json. */
#include <math.h>
#include <string.h>

#include "model/hf.h"
#include "model/model.h"

/* Named maxima: what a file may ask for before anything is allocated. */
enum {
    MAX_LAYERS = 512,
    MAX_D_MODEL = 32768,
    MAX_HEADS = 1024,
    MAX_D_HEAD = 256,
    MAX_D_FF = 262144,
    MAX_VOCAB = 1048576,
    MAX_SEQ_LEN = 1048576
};

enum st model_conf_check(const struct model_conf *c, struct err *err)
{
    const struct {
        const char *name;
        int value, max;
    } row[] = {
        { "n_layer", c->n_layer, MAX_LAYERS },      { "d_model", c->d_model, MAX_D_MODEL },
        { "n_head", c->n_head, MAX_HEADS },         { "n_kv_head", c->n_kv_head, MAX_HEADS },
        { "d_head", c->d_head, MAX_D_HEAD },        { "d_ff", c->d_ff, MAX_D_FF },
        { "vocab_size", c->vocab_size, MAX_VOCAB }, { "max_seq_len", c->max_seq_len, MAX_SEQ_LEN },
    };
    for (size_t i = 0; i < N_OF(row); i++)
        if (row[i].value < 1 || row[i].value > row[i].max)
            return err_set(err, ST_LIMIT, "model: %s is %d, want 1..%d", row[i].name, row[i].value,
                           row[i].max);
    if (c->n_head % c->n_kv_head != 0)
        return err_set(err, ST_USAGE, "model: n_head %d is not a multiple of n_kv_head %d",
                       c->n_head, c->n_kv_head);
    if (c->d_head % 2 != 0)
        return err_set(err, ST_USAGE, "model: d_head is %d, want an even number", c->d_head);
    if (!(c->rope_theta > 1 && c->rope_theta < 1e12))
        return err_set(err, ST_USAGE, "model: rope_theta is %g, want 1..1e12", c->rope_theta);
    if (!(c->norm_eps > 0 && c->norm_eps < 1))
        return err_set(err, ST_USAGE, "model: norm_eps is %g, want 0..1", c->norm_eps);
    return ST_OK;
}

static uint64_t layer_n_param(const struct model_conf *c)
{
    uint64_t d = (uint64_t)c->d_model, ff = (uint64_t)c->d_ff, dh = (uint64_t)c->d_head;
    return 2 * d * dh * (uint64_t)(c->n_head + c->n_kv_head) + 3 * d * ff + 2 * d;
}

uint64_t model_n_param_nonemb(const struct model_conf *c)
{
    return (uint64_t)c->n_layer * layer_n_param(c) + (uint64_t)c->d_model;
}

uint64_t model_n_param(const struct model_conf *c)
{
    return model_n_param_nonemb(c) +
           (uint64_t)c->vocab_size * (uint64_t)c->d_model * (c->tied ? 1 : 2);
}

double model_flop_per_tok(const struct model_conf *c, int seq_len)
{
    double width = (double)c->n_head * c->d_head;
    return 6 * (double)model_n_param_nonemb(c) + 6.0 * c->d_model * (double)c->vocab_size +
           6 * c->n_layer * width * (double)seq_len;
}

static void shape_for(struct model_conf *c, int d, uint64_t n_param)
{
    c->d_model = d;
    c->d_head = d < 128 ? 32 : 64;
    c->n_head = c->n_kv_head = d / c->d_head;
    c->d_ff = (8 * d / 3 + 31) / 32 * 32;
    c->n_layer = (int)((double)n_param / (double)layer_n_param(c) + 0.5);
    c->n_layer = c->n_layer < 1 ? 1 : c->n_layer;
}

/* How far a shape is from the wished size and from usual proportions (width about 50 times the depth);
 * widths that are no multiple of 128 make products a little slower. */
static double misfit(const struct model_conf *c, uint64_t n_param)
{
    double size = fabs(log((double)model_n_param_nonemb(c) / (double)n_param));
    double aspect = fabs(log((double)c->d_model / c->n_layer / 50));
    return 4 * size + 0.25 * aspect + (c->d_model % 128 ? 0.1 : 0);
}

enum st model_conf_for(struct model_conf *conf, uint64_t n_param_nonemb, int vocab_size,
                       int seq_len, struct err *err)
{
    const uint64_t least = 10000, most = 4000000000;
    if (n_param_nonemb < least || n_param_nonemb > most)
        return err_set(err, ST_USAGE, "%llu parameters without embeddings: want 10k to 4B",
                       (unsigned long long)n_param_nonemb);
    struct model_conf c = { .vocab_size = vocab_size,
                            .max_seq_len = seq_len,
                            .rope_theta = 10000,
                            .norm_eps = 1e-5 },
                      best = { 0 };
    double best_misfit = HUGE_VAL;
    for (int d = 32; d <= 4096; d += d < 128 ? 32 : d < 1024 ? 64 : 128) {
        shape_for(&c, d, n_param_nonemb);
        if (c.n_layer <= MAX_LAYERS && misfit(&c, n_param_nonemb) < best_misfit) {
            best_misfit = misfit(&c, n_param_nonemb);
            best = c;
        }
    }
    enum st st = model_conf_check(&best, err);
    if (st == ST_OK)
        *conf = best;
    return st;
}

struct js *model_conf_json(const struct model_conf *c)
{
    struct js *o = js_object(), *a = js_array(), *rope = js_object();
    js_put_text(rope, "rope_type", "default");
    js_put_real(rope, "rope_theta", c->rope_theta);
    js_push_text(a, "LlamaForCausalLM");
    js_put(o, "architectures", a);
    js_put_text(o, "model_type", "llama");
    js_put_whole(o, "hidden_size", c->d_model);
    js_put_whole(o, "intermediate_size", c->d_ff);
    js_put_whole(o, "num_hidden_layers", c->n_layer);
    js_put_whole(o, "num_attention_heads", c->n_head);
    js_put_whole(o, "num_key_value_heads", c->n_kv_head);
    js_put_whole(o, "head_dim", c->d_head);
    js_put_whole(o, "vocab_size", c->vocab_size);
    js_put_whole(o, "max_position_embeddings", c->max_seq_len);
    js_put_real(o, "rms_norm_eps", c->norm_eps);
    js_put_real(o, "rope_theta", c->rope_theta); /* transformers 4 reads this, 5 the object */
    js_put(o, "rope_parameters", rope);
    js_put_bool(o, "tie_word_embeddings", c->tied);
    js_put_text(o, "hidden_act", "silu");
    js_put_bool(o, "attention_bias", false);
    js_put_bool(o, "mlp_bias", false);
    js_put_text(o, "torch_dtype", "float32");
    return o;
}

/* A whole number of a config, with the other key's value or a default where it may be missing. */
static enum st whole(const struct js *o, const char *key, int64_t otherwise, int *out,
                     const char *path, struct err *err)
{
    const struct js *v = js_get(o, key);
    int64_t n = otherwise;
    if (v && js_kind(v) != JS_NULL) {
        if (js_kind(v) != JS_WHOLE)
            return err_set(err, ST_FORMAT, "'%s': %s is not a whole number", path, key);
        n = js_as_whole(v, 0);
    } else if (otherwise < 0) {
        return err_set(err, ST_FORMAT, "'%s': no %s", path, key);
    }
    if (n < 1 || n > INT32_MAX)
        return err_set(err, ST_LIMIT, "'%s': %s is %lld, want 1..%d", path, key, (long long)n,
                       INT32_MAX);
    *out = (int)n;
    return ST_OK;
}

/* What a Llama's config may say that this engine does not compute. */
static enum st refuse_variants(const struct js *o, const char *path, struct err *err)
{
    const char *type = js_get_text(o, "model_type", ""), *act;
    if (strcmp(type, "llama") != 0)
        return err_set(err, ST_UNSUPPORTED, "'%s': model_type is '%s', want llama", path, type);
    act = js_get_text(o, "hidden_act", "silu");
    if (strcmp(act, "silu") != 0)
        return err_set(err, ST_UNSUPPORTED, "'%s': hidden_act is '%s', want silu", path, act);
    if (js_get_bool(o, "attention_bias", false) || js_get_bool(o, "mlp_bias", false))
        return err_set(err, ST_UNSUPPORTED, "'%s': layers with biases", path);
    static const char *const key[] = { "rope_scaling", "rope_parameters" };
    for (size_t i = 0; i < N_OF(key); i++) {
        const struct js *r = js_get(o, key[i]);
        const char *kind = js_get_text(r, "rope_type", js_get_text(r, "type", "default"));
        if (js_kind(r) == JS_OBJECT && strcmp(kind, "default") != 0)
            return err_set(err, ST_UNSUPPORTED, "'%s': rotary positions of type '%s'", path, kind);
    }
    return ST_OK;
}

enum st hf_conf_parse(struct model_conf *out, const struct js *o, const char *path, struct err *err)
{
    struct model_conf c = { 0 };
    enum st st;
    if (js_kind(o) != JS_OBJECT)
        return err_set(err, ST_FORMAT, "'%s': want an object", path);
    if ((st = refuse_variants(o, path, err)) < 0 ||
        (st = whole(o, "hidden_size", -1, &c.d_model, path, err)) < 0 ||
        (st = whole(o, "intermediate_size", -1, &c.d_ff, path, err)) < 0 ||
        (st = whole(o, "num_hidden_layers", -1, &c.n_layer, path, err)) < 0 ||
        (st = whole(o, "num_attention_heads", -1, &c.n_head, path, err)) < 0 ||
        (st = whole(o, "num_key_value_heads", c.n_head, &c.n_kv_head, path, err)) < 0 ||
        (st = whole(o, "vocab_size", -1, &c.vocab_size, path, err)) < 0 ||
        (st = whole(o, "max_position_embeddings", 2048, &c.max_seq_len, path, err)) < 0 ||
        (st = whole(o, "head_dim", c.d_model / c.n_head, &c.d_head, path, err)) < 0)
        return st;
    c.norm_eps = js_get_real(o, "rms_norm_eps", 1e-6);
    c.rope_theta = js_get_real(o, "rope_theta",
                               js_get_real(js_get(o, "rope_parameters"), "rope_theta", 10000));
    c.tied = js_get_bool(o, "tie_word_embeddings", false);
    if ((st = model_conf_check(&c, err)) < 0)
        return err_in(err, st, "'%s'", path);
    *out = c;
    return ST_OK;
}
