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
    if (c->window < 0)
        return err_set(err, ST_USAGE, "model: a window of %d positions", c->window);
    if (c->window && c->bias == BIAS_QKVO)
        return err_set(err, ST_UNSUPPORTED,
                       "model: a sliding window together with a bias of the attention's output");
    const struct rope_scaling *s = &c->scaling;
    if (s->factor != 0 &&
        !(s->factor >= 1 && s->factor <= 1e6 && s->low_freq > 0 && s->high_freq > s->low_freq &&
          s->high_freq < 1e6 && s->original_len >= 1 && s->original_len <= MAX_SEQ_LEN))
        return err_set(err, ST_USAGE,
                       "model: rotary positions scaled by factor %g, frequencies %g to %g of %d "
                       "positions: want a factor from 1 and rising frequencies",
                       s->factor, s->low_freq, s->high_freq, s->original_len);
    return ST_OK;
}

/* In single precision, as Hugging Face does: the last digits of the angles decide at far positions.
 */
void model_rope_freq(const struct model_conf *c, float *freq)
{
    const float pi = 3.14159265358979323846f;
    const struct rope_scaling *s = &c->scaling;
    for (int i = 0; i < c->d_head / 2; i++) {
        float power = (float)(2 * i) / (float)c->d_head;
        freq[i] = 1.0f / (float)pow(c->rope_theta, (double)power);
        if (s->factor == 0)
            continue;
        double turns = s->original_len * (double)freq[i] / (2 * (double)pi);
        double smooth = (turns - s->low_freq) / (s->high_freq - s->low_freq);
        smooth = smooth < 0 ? 0 : smooth > 1 ? 1 : smooth;
        freq[i] = (float)((1 - smooth) * (double)freq[i] / s->factor + smooth * (double)freq[i]);
    }
}

static uint64_t layer_n_param(const struct model_conf *c)
{
    uint64_t d = (uint64_t)c->d_model, ff = (uint64_t)c->d_ff, dh = (uint64_t)c->d_head;
    uint64_t bias = c->bias == BIAS_NONE ? 0 : dh * (uint64_t)(c->n_head + 2 * c->n_kv_head);
    bias += c->bias == BIAS_QKVO ? d : 0;
    return 2 * d * dh * (uint64_t)(c->n_head + c->n_kv_head) + 3 * d * ff + 2 * d + bias;
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

/* How far a shape is from the wished size and from usual proportions (width about 50 times the
 * depth); widths that are no multiple of 128 make products a little slower. One layer alone cannot
 * look up what followed an earlier token, which needs two: in a ladder it lies off everybody else's
 * curve. */
static double misfit(const struct model_conf *c, uint64_t n_param)
{
    double size = fabs(log((double)model_n_param_nonemb(c) / (double)n_param));
    double aspect = fabs(log((double)c->d_model / c->n_layer / 50));
    return 4 * size + 0.25 * aspect + (c->d_model % 128 ? 0.1 : 0) + (c->n_layer < 2 ? 1 : 0);
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

/* Which of Hugging Face's classes computes what a configuration says. */
static const struct family {
    const char *model_type, *architecture;
} llama = { "llama", "LlamaForCausalLM" }, mistral = { "mistral", "MistralForCausalLM" },
  qwen2 = { "qwen2", "Qwen2ForCausalLM" };

static const struct family *family_of(const struct model_conf *c)
{
    return c->bias == BIAS_QKV ? &qwen2 : c->window ? &mistral : &llama;
}

static struct js *rope_json(const struct model_conf *c)
{
    struct js *rope = js_object();
    const struct rope_scaling *s = &c->scaling;
    js_put_text(rope, "rope_type", s->factor != 0 ? "llama3" : "default");
    js_put_real(rope, "rope_theta", c->rope_theta);
    if (s->factor != 0) {
        js_put_real(rope, "factor", s->factor);
        js_put_real(rope, "low_freq_factor", s->low_freq);
        js_put_real(rope, "high_freq_factor", s->high_freq);
        js_put_whole(rope, "original_max_position_embeddings", s->original_len);
    }
    return rope;
}

struct js *model_conf_json(const struct model_conf *c)
{
    struct js *o = js_object(), *a = js_array();
    const struct family *f = family_of(c);
    js_push_text(a, f->architecture);
    js_put(o, "architectures", a);
    js_put_text(o, "model_type", f->model_type);
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
    js_put(o, "rope_parameters", rope_json(c));
    if (c->scaling.factor != 0)
        js_put(o, "rope_scaling", rope_json(c)); /* for transformers 4 */
    js_put_bool(o, "tie_word_embeddings", c->tied);
    js_put_text(o, "hidden_act", "silu");
    if (f == &llama) {
        js_put_bool(o, "attention_bias", c->bias == BIAS_QKVO);
        js_put_bool(o, "mlp_bias", false);
    }
    if (c->window)
        js_put_whole(o, "sliding_window", c->window);
    if (f == &qwen2) {
        js_put_bool(o, "use_sliding_window", c->window != 0);
        js_put_whole(o, "max_window_layers", c->window ? 0 : c->n_layer);
    }
    if (c->document_mask) /* ours: how packed windows were trained; transformers keeps but ignores
                             it */
        js_put_whole(o, "document_end_mask", c->document_end);
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

static enum st unsupported(const char *path, const char *key, const char *is, struct err *err)
{
    return err_set(err, ST_UNSUPPORTED, "'%s': %s is %s, which is not supported", path, key, is);
}

/* What a config may say that this engine does not compute. */
static enum st refuse_variants(const struct js *o, const char *path, const struct family **family,
                               struct err *err)
{
    static const struct family *const known[] = { &llama, &mistral, &qwen2 };
    const char *type = js_get_text(o, "model_type", "");
    const char *act = js_get_text(o, "hidden_act", "silu");
    *family = NULL;
    for (size_t i = 0; i < N_OF(known); i++)
        if (strcmp(type, known[i]->model_type) == 0)
            *family = known[i];
    if (!*family)
        return err_set(err, ST_UNSUPPORTED,
                       "'%s': model_type is '%.60s', want llama, mistral or qwen2", path, type);
    if (strcmp(act, "silu") != 0)
        return err_set(err, ST_UNSUPPORTED, "'%s': hidden_act is '%.60s', want silu", path, act);
    if (js_get_bool(o, "mlp_bias", false))
        return unsupported(path, "mlp_bias", "true", err);
    if (js_get_bool(o, "attention_bias", false) && *family != &llama)
        return unsupported(path, "attention_bias", "true", err);
    if (js_kind(js_get(o, "quantization_config")) == JS_OBJECT)
        return unsupported(path, "quantization_config", "given", err);
    return ST_OK;
}

/* Rotary settings stand in rope_parameters (transformers 5), or in rope_scaling and rope_theta (4).
 */
static enum st parse_rope(struct model_conf *c, const struct js *o, const char *path,
                          struct err *err)
{
    static const char *const key[] = { "rope_parameters", "rope_scaling" };
    double theta = js_get_real(o, "rope_theta", 0);
    for (size_t i = 0; i < N_OF(key); i++) {
        const struct js *r = js_get(o, key[i]);
        if (js_kind(r) != JS_OBJECT)
            continue;
        const char *kind = js_get_text(r, "rope_type", js_get_text(r, "type", "default"));
        struct rope_scaling s = { .factor = js_get_real(r, "factor", 0),
                                  .low_freq = js_get_real(r, "low_freq_factor", 0),
                                  .high_freq = js_get_real(r, "high_freq_factor", 0) };
        int64_t len = js_get_whole(r, "original_max_position_embeddings", 0);
        double inner = js_get_real(r, "rope_theta", theta);
        for (void *it = js_iter(r); it; it = js_next(r, it))
            if (js_kind(js_iter_value(it)) == JS_OBJECT)
                return unsupported(path, key[i], "different from layer to layer", err);
        if (js_get_real(r, "partial_rotary_factor", 1) != 1)
            return unsupported(path, "partial_rotary_factor", "not 1", err);
        if (theta != 0 && inner != theta)
            return err_set(err, ST_FORMAT, "'%s': rope_theta is %g, and %g in %s", path, theta,
                           inner, key[i]);
        theta = inner;
        if (strcmp(kind, "default") == 0)
            continue;
        if (strcmp(kind, "llama3") != 0)
            return err_set(err, ST_UNSUPPORTED,
                           "'%s': rotary positions of type '%.60s', want default or llama3", path,
                           kind);
        s.original_len = len > 0 && len <= MAX_SEQ_LEN ? (int)len : 0;
        if (!(s.factor >= 1)) /* 0 would mean none; the rest is checked with all else */
            return err_set(err, ST_FORMAT, "'%s': %s has no factor of at least 1", path, key[i]);
        c->scaling = s;
    }
    c->rope_theta = theta != 0 ? theta : 10000;
    return ST_OK;
}

/* The layers' kinds are one of two everywhere, or not ours. 1: windows, 0: none, -1: it does not
 * say. */
static enum st parse_layer_types(const struct js *o, const char *path, int *sliding,
                                 struct err *err)
{
    const struct js *list = js_get(o, "layer_types");
    *sliding = -1;
    for (size_t i = 0; i < js_len(list); i++) {
        const char *kind = js_as_text(js_at(list, i), NULL);
        int is = kind && strcmp(kind, "sliding_attention") == 0;
        if (!is && (!kind || strcmp(kind, "full_attention") != 0))
            return unsupported(path, "a layer of layer_types", kind ? kind : "no text", err);
        if (i > 0 && is != *sliding)
            return unsupported(path, "layer_types", "a mixture", err);
        *sliding = is;
    }
    return ST_OK;
}

static enum st parse_window(struct model_conf *c, const struct js *o, const struct family *family,
                            const char *path, struct err *err)
{
    const struct js *v = js_get(o, "sliding_window");
    int64_t window = v ? js_as_whole(v, 0) : 4096 /* where it is left out */;
    int sliding;
    enum st st = parse_layer_types(o, path, &sliding, err);
    if (st < 0 || family == &llama)
        return st == ST_OK && family == &llama && sliding == 1
                   ? unsupported(path, "layer_types", "sliding_attention", err)
                   : st;
    if (sliding < 0) {
        int64_t full = js_get_whole(o, "max_window_layers", 28);
        sliding = family == &mistral || js_get_bool(o, "use_sliding_window", false);
        if (family == &qwen2 && sliding && full >= c->n_layer)
            sliding = 0;
        else if (family == &qwen2 && sliding && full > 0)
            return unsupported(path, "max_window_layers", "neither 0 nor all", err);
    }
    if (sliding && (window < 0 || window > INT32_MAX ||
                    (v && js_kind(v) != JS_WHOLE && js_kind(v) != JS_NULL)))
        return err_set(err, ST_FORMAT, "'%s': sliding_window is no whole number", path);
    c->window = sliding ? (int)window : 0;
    return ST_OK;
}

enum st hf_conf_parse(struct model_conf *out, const struct js *o, const char *path, struct err *err)
{
    struct model_conf c = { 0 };
    const struct family *family;
    enum st st;
    if (js_kind(o) != JS_OBJECT)
        return err_set(err, ST_FORMAT, "'%s': want an object", path);
    if ((st = refuse_variants(o, path, &family, err)) < 0 ||
        (st = whole(o, "hidden_size", -1, &c.d_model, path, err)) < 0 ||
        (st = whole(o, "intermediate_size", -1, &c.d_ff, path, err)) < 0 ||
        (st = whole(o, "num_hidden_layers", -1, &c.n_layer, path, err)) < 0 ||
        (st = whole(o, "num_attention_heads", -1, &c.n_head, path, err)) < 0 ||
        (st = whole(o, "num_key_value_heads", c.n_head, &c.n_kv_head, path, err)) < 0 ||
        (st = whole(o, "vocab_size", -1, &c.vocab_size, path, err)) < 0 ||
        (st = whole(o, "max_position_embeddings", 2048, &c.max_seq_len, path, err)) < 0 ||
        (st = whole(o, "head_dim", c.d_model / c.n_head, &c.d_head, path, err)) < 0 ||
        (st = parse_rope(&c, o, path, err)) < 0 ||
        (st = parse_window(&c, o, family, path, err)) < 0)
        return st;
    c.norm_eps = js_get_real(o, "rms_norm_eps", 1e-6);
    c.bias = family == &qwen2                          ? BIAS_QKV
             : js_get_bool(o, "attention_bias", false) ? BIAS_QKVO
                                                       : BIAS_NONE;
    int64_t end = js_get_whole(o, "document_end_mask", -1);
    c.document_mask = end >= 0 && end < c.vocab_size;
    c.document_end = c.document_mask ? (int)end : 0;
    c.tied = js_get_bool(o, "tie_word_embeddings", false);
    if ((st = model_conf_check(&c, err)) < 0)
        return err_in(err, st, "'%s'", path);
    *out = c;
    return ST_OK;
}
