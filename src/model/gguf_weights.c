/* model/gguf_weights.c - see gguf_weights.h. Block formats: ggml's quantisation types, its docs and
 * gguf-py. */
#include "model/gguf_weights.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/half.h"
#include "model/kquants.h"

enum { QK = 32 /* elements a block */, MAX_PAIRS = 512 /* of a head */ };

static uint16_t u16_at(const uint8_t *p)
{
    return (uint16_t)(p[0] | p[1] << 8);
}

static uint32_t u32_at(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

/* Blocks hold fp16 scale d (and minimum m), for the fives a word of high bits, then 16 bytes: the
 * low nibbles are elements 0-15, the high ones 16-31. */
static void row_q4_0(float *out, const uint8_t *p, uint64_t n)
{
    for (; n; n -= QK, out += QK, p += 18) {
        float d = f16_at(p);
        for (int j = 0; j < 16; j++) {
            out[j] = (float)((p[2 + j] & 15) - 8) * d;
            out[j + 16] = (float)((p[2 + j] >> 4) - 8) * d;
        }
    }
}

static void row_q4_1(float *out, const uint8_t *p, uint64_t n)
{
    for (; n; n -= QK, out += QK, p += 20) {
        float d = f16_at(p), m = f16_at(p + 2);
        for (int j = 0; j < 16; j++) {
            out[j] = (float)(p[4 + j] & 15) * d + m;
            out[j + 16] = (float)(p[4 + j] >> 4) * d + m;
        }
    }
}

static void row_q5_0(float *out, const uint8_t *p, uint64_t n)
{
    for (; n; n -= QK, out += QK, p += 22) {
        float d = f16_at(p);
        uint32_t high = u32_at(p + 2);
        for (int j = 0; j < 16; j++) {
            int lo = (p[6 + j] & 15) | (int)(high >> j & 1) << 4;
            int hi = p[6 + j] >> 4 | (int)(high >> (j + 16) & 1) << 4;
            out[j] = (float)(lo - 16) * d;
            out[j + 16] = (float)(hi - 16) * d;
        }
    }
}

static void row_q5_1(float *out, const uint8_t *p, uint64_t n)
{
    for (; n; n -= QK, out += QK, p += 24) {
        float d = f16_at(p), m = f16_at(p + 2);
        uint32_t high = u32_at(p + 4);
        for (int j = 0; j < 16; j++) {
            int lo = (p[8 + j] & 15) | (int)(high >> j & 1) << 4;
            int hi = p[8 + j] >> 4 | (int)(high >> (j + 16) & 1) << 4;
            out[j] = (float)lo * d + m;
            out[j + 16] = (float)hi * d + m;
        }
    }
}

static void row_q8_0(float *out, const uint8_t *p, uint64_t n)
{
    for (; n; n -= QK, out += QK, p += 34) {
        float d = f16_at(p);
        for (int j = 0; j < QK; j++)
            out[j] = (float)(int8_t)p[2 + j] * d;
    }
}

int64_t bits_not_finite(const uint8_t *p, size_t n, int n_bytes, uint32_t exponent)
{
    for (size_t i = 0; i < n; i++) {
        uint32_t u = n_bytes == 4 ? u32_at(p + 4 * i) : u16_at(p + 2 * i);
        if ((u & exponent) == exponent)
            return (int64_t)i;
    }
    return -1;
}

bool gguf_type_readable(uint32_t type)
{
    switch (type) {
    case GGUF_F32:
    case GGUF_F16:
    case GGUF_BF16:
    case GGUF_Q4_0:
    case GGUF_Q4_1:
    case GGUF_Q5_0:
    case GGUF_Q5_1:
    case GGUF_Q8_0:
    case GGUF_Q2_K:
    case GGUF_Q3_K:
    case GGUF_Q4_K:
    case GGUF_Q5_K:
    case GGUF_Q6_K:
        return true;
    default:
        return false;
    }
}

/* Where a block has numbers that could be infinite or none: its half floats. Quantised weights are
 * whole. */
static const struct {
    uint32_t type;
    int n_elem, n_bytes, n_half, half[2];
} block_halves[] = {
    { GGUF_F16, 1, 2, 1, { 0 } },          { GGUF_Q4_0, QK, 18, 1, { 0 } },
    { GGUF_Q4_1, QK, 20, 2, { 0, 2 } },    { GGUF_Q5_0, QK, 22, 1, { 0 } },
    { GGUF_Q5_1, QK, 24, 2, { 0, 2 } },    { GGUF_Q8_0, QK, 34, 1, { 0 } },
    { GGUF_Q2_K, 256, 84, 2, { 80, 82 } }, { GGUF_Q3_K, 256, 110, 1, { 108 } },
    { GGUF_Q4_K, 256, 144, 2, { 0, 2 } },  { GGUF_Q5_K, 256, 176, 2, { 0, 2 } },
    { GGUF_Q6_K, 256, 210, 1, { 208 } },
};

int64_t gguf_not_finite(const struct gguf_tensor *t)
{
    size_t n = t->n_bytes;
    if (t->type == GGUF_F32)
        return bits_not_finite(t->data, n / 4, 4, 0x7f800000);
    if (t->type == GGUF_BF16)
        return bits_not_finite(t->data, n / 2, 2, 0x7f80);
    for (size_t i = 0; i < N_OF(block_halves); i++) {
        if (block_halves[i].type != t->type)
            continue;
        size_t size = (size_t)block_halves[i].n_bytes;
        for (size_t b = 0; b < n / size; b++)
            for (int h = 0; h < block_halves[i].n_half; h++)
                if ((u16_at(t->data + b * size + block_halves[i].half[h]) & 0x7c00) == 0x7c00)
                    return (int64_t)(b * (size_t)block_halves[i].n_elem);
    }
    return -1;
}

void gguf_row(float *out, const struct gguf_tensor *t, uint64_t i)
{
    uint64_t n = t->dim[0], n_row = t->dim[1] * t->dim[2] * t->dim[3];
    const uint8_t *p = t->data + i * (t->n_bytes / n_row);
    switch (t->type) {
    case GGUF_F32:
        for (uint64_t k = 0; k < n; k++)
            out[k] = float_from_bits(u32_at(p + 4 * k));
        break;
    case GGUF_F16:
        for (uint64_t k = 0; k < n; k++)
            out[k] = f16_at(p + 2 * k);
        break;
    case GGUF_BF16:
        for (uint64_t k = 0; k < n; k++)
            out[k] = float_from_bf16(u16_at(p + 2 * k));
        break;
    case GGUF_Q4_0:
        row_q4_0(out, p, n);
        break;
    case GGUF_Q4_1:
        row_q4_1(out, p, n);
        break;
    case GGUF_Q5_0:
        row_q5_0(out, p, n);
        break;
    case GGUF_Q5_1:
        row_q5_1(out, p, n);
        break;
    case GGUF_Q8_0:
        row_q8_0(out, p, n);
        break;
    case GGUF_Q2_K:
        kquant_q2(out, p, n);
        break;
    case GGUF_Q3_K:
        kquant_q3(out, p, n);
        break;
    case GGUF_Q4_K:
        kquant_q4(out, p, n);
        break;
    case GGUF_Q5_K:
        kquant_q5(out, p, n);
        break;
    case GGUF_Q6_K:
        kquant_q6(out, p, n);
        break;
    default:
        break; /* gguf_want refuses others */
    }
}

enum st gguf_want(const struct gguf_tensor **out, const struct gguf *g, const char *name,
                  uint64_t n_row, uint64_t n_col, struct err *err)
{
    const struct gguf_tensor *t = gguf_tensor(g, name);
    if (!t)
        return err_set(err, ST_FORMAT, "'%s': no tensor '%s'", gguf_path(g), name);
    uint64_t rows = t->dim[1] * t->dim[2] * t->dim[3];
    if (t->dim[0] != n_col || rows != n_row)
        return err_set(err, ST_FORMAT,
                       "'%s': tensor '%s' is %llu x %llu, the file's keys want %llu x %llu",
                       gguf_path(g), name, (unsigned long long)rows, (unsigned long long)t->dim[0],
                       (unsigned long long)n_row, (unsigned long long)n_col);
    if (!gguf_type_readable(t->type))
        return err_set(err, ST_UNSUPPORTED,
                       "'%s': tensor '%s' has type %u (%s), want F32, F16, BF16, Q4_0, Q4_1, "
                       "Q5_0, Q5_1, Q8_0 or Q2_K to Q6_K",
                       gguf_path(g), name, t->type, gguf_type_name(t->type));
    *out = t;
    return ST_OK;
}

/* Keys begin with the architecture's name. */
struct source {
    const struct gguf *g;
    const char *arch;
};

static const char *key_of(const struct source *s, const char *name, char key[96])
{
    snprintf(key, 96, "%s.%s", s->arch, name);
    return key;
}

static uint64_t whole(const struct source *s, const char *name, uint64_t otherwise)
{
    char key[96];
    return gguf_whole(s->g, key_of(s, name, key), otherwise);
}

static double real(const struct source *s, const char *name, double otherwise)
{
    char key[96];
    return gguf_real(s->g, key_of(s, name, key), otherwise);
}

static enum st want_whole(const struct source *s, const char *name, uint64_t max, int *out,
                          struct err *err)
{
    uint64_t v = whole(s, name, 0);
    if (v < 1 || v > max)
        return err_set(err, ST_FORMAT, "'%s': key '%s.%s' is %llu or missing, want 1 to %llu",
                       gguf_path(s->g), s->arch, name, (unsigned long long)v,
                       (unsigned long long)max);
    *out = (int)v;
    return ST_OK;
}

/* What the architecture can be told to do that we do not do. */
static enum st refuse_variants(const struct source *s, struct err *err)
{
    static const char *const by_layer[] = { "attention.head_count", "attention.head_count_kv",
                                            "feed_forward_length",
                                            "attention.sliding_window_pattern" };
    char key[96];
    const char *scaling = gguf_text(s->g, key_of(s, "rope.scaling.type", key), "none");
    if (strcmp(scaling, "none") != 0)
        return err_set(err, ST_UNSUPPORTED, "'%s': rotary positions scaled by '%.60s'",
                       gguf_path(s->g), scaling);
    for (size_t i = 0; i < N_OF(by_layer); i++)
        if (gguf_array_len(s->g, key_of(s, by_layer[i], key)) > 0)
            return err_set(err, ST_UNSUPPORTED, "'%s': layers of different shapes ('%s')",
                           gguf_path(s->g), key);
    if (whole(s, "expert_count", 0) > 0)
        return err_set(err, ST_UNSUPPORTED, "'%s': a mixture of experts", gguf_path(s->g));
    return ST_OK;
}

/* Do these settings divide the frequencies as the file's factors do? */
static bool scaling_fits(const struct model_conf *c, const float *factor)
{
    struct model_conf plain = *c;
    float slow[MAX_PAIRS], fast[MAX_PAIRS];
    plain.scaling = (struct rope_scaling){ 0 };
    model_rope_freq(c, slow);
    model_rope_freq(&plain, fast);
    for (int i = 0; i < c->d_head / 2; i++)
        if (!(fabsf(fast[i] / slow[i] / factor[i] - 1) < 1e-4f))
            return false;
    return true;
}

/*
 * llama.cpp's files hold what each frequency is divided by, not Llama 3's settings. Those settings
 * are sought: between the frequencies that stay and those that become `factor` times slower,
 * 1/divisor rises linearly with the number of turns in original_len positions, so two points of the
 * rise give the line. Only the ratios of original_len to low_freq and high_freq matter, so low_freq
 * is 1.
 */
static enum st find_scaling(struct model_conf *c, const struct source *s, struct err *err)
{
    const struct gguf_tensor *t;
    uint64_t n = (uint64_t)c->d_head / 2;
    float factor[MAX_PAIRS], freq[MAX_PAIRS];
    double most = 1, w[2] = { 0 }, y[2] = { 0 };
    int n_rise = 0;
    if (!gguf_tensor(s->g, "rope_freqs.weight"))
        return ST_OK;
    enum st st = gguf_want(&t, s->g, "rope_freqs.weight", 1, n, err);
    if (st < 0)
        return st;
    gguf_row(factor, t, 0);
    model_rope_freq(c, freq);
    for (uint64_t i = 0; i < n; i++)
        most = (double)factor[i] > most ? (double)factor[i] : most;
    for (uint64_t i = 0; i < n; i++)
        if (factor[i] > 1.001f && (double)factor[i] < 0.999 * most) {
            int at = n_rise++ > 0; /* the first and the last point of the rise */
            w[at] = (double)freq[i] / 6.283185307179586;
            y[at] = (1 / (double)factor[i] - 1 / most) / (1 - 1 / most);
        }
    c->scaling = (struct rope_scaling){ most, 1, 4, 8192 }; /* Llama 3.1's, where nothing tells */
    if (n_rise > 1 && w[0] != w[1]) {
        double slope = (y[1] - y[0]) / (w[1] - w[0]), zero = w[0] - y[0] / slope;
        double len = 1 / zero;
        c->scaling.original_len = len >= 1 && len < 1e6 ? (int)(len + 0.5) : 8192;
        c->scaling.high_freq = 1 + c->scaling.original_len / slope;
        if (fabs(c->scaling.high_freq - round(c->scaling.high_freq)) < 1e-3)
            c->scaling.high_freq = round(c->scaling.high_freq);
    }
    if (!scaling_fits(c, factor))
        return err_set(err, ST_UNSUPPORTED,
                       "'%s': the factors of 'rope_freqs.weight' are not of Llama 3's kind",
                       gguf_path(s->g));
    return ST_OK;
}

/* A bias of the first layer stands for all; find_all sees that they are all there. */
static enum attn_bias find_bias(const struct gguf *g)
{
    if (gguf_tensor(g, "blk.0.attn_output.bias"))
        return BIAS_QKVO;
    return gguf_tensor(g, "blk.0.attn_q.bias") ? BIAS_QKV : BIAS_NONE;
}

enum st gguf_model_conf(struct model_conf *c, const struct gguf *g, struct err *err)
{
    struct source src = { g, gguf_text(g, "general.architecture", NULL) }, *s = &src;
    enum st st;
    *c = (struct model_conf){ 0 };
    if (!s->arch)
        return err_set(err, ST_FORMAT, "'%s': no key 'general.architecture'", gguf_path(g));
    if (strcmp(s->arch, "llama") != 0 && strcmp(s->arch, "qwen2") != 0)
        return err_set(err, ST_UNSUPPORTED, "'%s': architecture '%.60s', want 'llama' or 'qwen2'",
                       gguf_path(g), s->arch);
    if ((st = refuse_variants(s, err)) < 0 ||
        (st = want_whole(s, "block_count", 1000, &c->n_layer, err)) < 0 ||
        (st = want_whole(s, "embedding_length", 1 << 16, &c->d_model, err)) < 0 ||
        (st = want_whole(s, "attention.head_count", 1 << 12, &c->n_head, err)) < 0 ||
        (st = want_whole(s, "feed_forward_length", 1 << 20, &c->d_ff, err)) < 0 ||
        (st = want_whole(s, "context_length", 1 << 26, &c->max_seq_len, err)) < 0)
        return st;
    uint64_t n_kv = whole(s, "attention.head_count_kv", (uint64_t)c->n_head),
             d_head = whole(s, "attention.key_length", (uint64_t)(c->d_model / c->n_head)),
             window = whole(s, "attention.sliding_window", 0);
    c->n_kv_head = n_kv <= (uint64_t)c->n_head ? (int)n_kv : 0;
    c->d_head = d_head <= 2 * MAX_PAIRS ? (int)d_head : 0;
    c->rope_theta = real(s, "rope.freq_base", 10000);
    c->norm_eps = real(s, "attention.layer_norm_rms_epsilon", 0);
    c->window = window < (uint64_t)c->max_seq_len ? (int)window : 0;
    c->bias = find_bias(g);
    if (c->n_kv_head < 1 || c->n_head % c->n_kv_head != 0 || c->d_head < 2 || c->d_head % 2 != 0 ||
        !(c->rope_theta > 1) || !(c->norm_eps > 0 && c->norm_eps < 1))
        return err_set(err, ST_FORMAT,
                       "'%s': %d heads, %d key-value heads of %d, rope base %g, eps %g are no "
                       "Llama",
                       gguf_path(g), c->n_head, c->n_kv_head, c->d_head, c->rope_theta,
                       c->norm_eps);
    uint64_t n_rot = whole(s, "rope.dimension_count", (uint64_t)c->d_head);
    if (n_rot != (uint64_t)c->d_head || whole(s, "attention.value_length", n_rot) != n_rot)
        return err_set(err, ST_UNSUPPORTED,
                       "'%s': %llu rotary dimensions or other value heads in heads of %d",
                       gguf_path(g), (unsigned long long)n_rot, c->d_head);
    const struct gguf_tensor *embd = gguf_tensor(g, "token_embd.weight");
    if (!embd || embd->dim[1] > 1 << 24)
        return err_set(err, ST_FORMAT, "'%s': no tensor 'token_embd.weight' of sane size",
                       gguf_path(g));
    c->vocab_size = (int)embd->dim[1];
    c->tied = !gguf_tensor(g, "output.weight");
    return find_scaling(c, s, err);
}
