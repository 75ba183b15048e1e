/* model/gguf_weights.c - see gguf_weights.h. Block formats: ggml's quantisation types, its docs and gguf-py. */
#include "model/gguf_weights.h"

#include <math.h>
#include <string.h>

enum { QK = 32 }; /* elements a block */

static uint16_t u16_at(const uint8_t *p)
{
    return (uint16_t)(p[0] | p[1] << 8);
}

static uint32_t u32_at(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static float from_bits(uint32_t u)
{
    float f;
    memcpy(&f, &u, sizeof f);
    return f;
}

static float f16_at(const uint8_t *p)
{
    uint16_t h = u16_at(p);
    uint32_t sign = (uint32_t)(h & 0x8000) << 16, e = (h >> 10) & 31, m = h & 0x3ff;
    if (e == 0) /* zero and subnormals: m * 2^-24 */
        return sign ? -(float)m * 0x1p-24f : (float)m * 0x1p-24f;
    return from_bits(sign | (e == 31 ? 0x7f800000u : (e + 112) << 23) | m << 13);
}

/* Blocks hold fp16 scale d (and minimum m), for the fives a word of high bits, then 16 bytes: the low
 * nibbles are elements 0-15, the high ones 16-31. */
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
        return true;
    default:
        return false;
    }
}

void gguf_row(float *out, const struct gguf_tensor *t, uint64_t i)
{
    uint64_t n = t->dim[0], n_row = t->dim[1] * t->dim[2] * t->dim[3];
    const uint8_t *p = t->data + i * (t->n_bytes / n_row);
    switch (t->type) {
    case GGUF_F32:
        for (uint64_t k = 0; k < n; k++)
            out[k] = from_bits(u32_at(p + 4 * k));
        break;
    case GGUF_F16:
        for (uint64_t k = 0; k < n; k++)
            out[k] = f16_at(p + 2 * k);
        break;
    case GGUF_BF16:
        for (uint64_t k = 0; k < n; k++)
            out[k] = from_bits((uint32_t)u16_at(p + 2 * k) << 16);
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
                       "Q5_0, Q5_1 or Q8_0",
                       gguf_path(g), name, t->type, gguf_type_name(t->type));
    *out = t;
    return ST_OK;
}

static enum st want_whole(const struct gguf *g, const char *key, uint64_t max, int *out,
                          struct err *err)
{
    uint64_t v = gguf_whole(g, key, 0);
    if (v < 1 || v > max)
        return err_set(err, ST_FORMAT, "'%s': key '%s' is %llu or missing, want 1 to %llu",
                       gguf_path(g), key, (unsigned long long)v, (unsigned long long)max);
    *out = (int)v;
    return ST_OK;
}

/* What the architecture can be told to do that we do not do. */
static enum st refuse_variants(const struct gguf *g, struct err *err)
{
    const char *scaling = gguf_text(g, "llama.rope.scaling.type", "none");
    if (strcmp(scaling, "none") != 0 || gguf_tensor(g, "rope_freqs.weight"))
        return err_set(err, ST_UNSUPPORTED, "'%s': scaled rotary positions (%s)", gguf_path(g),
                       scaling);
    if (gguf_array_len(g, "llama.attention.head_count") > 0 ||
        gguf_array_len(g, "llama.attention.head_count_kv") > 0 ||
        gguf_array_len(g, "llama.feed_forward_length") > 0)
        return err_set(err, ST_UNSUPPORTED, "'%s': layers of different shapes", gguf_path(g));
    if (gguf_whole(g, "llama.expert_count", 0) > 0)
        return err_set(err, ST_UNSUPPORTED, "'%s': a mixture of experts", gguf_path(g));
    for (size_t i = 0; i < gguf_n_tensors(g); i++) {
        const char *name = gguf_tensor_at(g, i)->name;
        size_t n = strlen(name);
        if (n > 5 && strcmp(name + n - 5, ".bias") == 0)
            return err_set(err, ST_UNSUPPORTED, "'%s': tensor '%.80s' is a bias", gguf_path(g),
                           name);
    }
    return ST_OK;
}

enum st gguf_model_conf(struct model_conf *c, const struct gguf *g, struct err *err)
{
    const char *arch = gguf_text(g, "general.architecture", NULL);
    enum st st;
    *c = (struct model_conf){ 0 };
    if (!arch)
        return err_set(err, ST_FORMAT, "'%s': no key 'general.architecture'", gguf_path(g));
    if (strcmp(arch, "llama") != 0)
        return err_set(err, ST_UNSUPPORTED, "'%s': architecture '%.60s', want 'llama'",
                       gguf_path(g), arch);
    if ((st = refuse_variants(g, err)) < 0 ||
        (st = want_whole(g, "llama.block_count", 1000, &c->n_layer, err)) < 0 ||
        (st = want_whole(g, "llama.embedding_length", 1 << 16, &c->d_model, err)) < 0 ||
        (st = want_whole(g, "llama.attention.head_count", 1 << 12, &c->n_head, err)) < 0 ||
        (st = want_whole(g, "llama.feed_forward_length", 1 << 20, &c->d_ff, err)) < 0 ||
        (st = want_whole(g, "llama.context_length", 1 << 26, &c->max_seq_len, err)) < 0)
        return st;
    c->n_kv_head = (int)gguf_whole(g, "llama.attention.head_count_kv", (uint64_t)c->n_head);
    c->d_head =
        (int)gguf_whole(g, "llama.attention.key_length", (uint64_t)(c->d_model / c->n_head));
    c->rope_theta = gguf_real(g, "llama.rope.freq_base", 10000);
    c->norm_eps = gguf_real(g, "llama.attention.layer_norm_rms_epsilon", 0);
    uint64_t n_rot = gguf_whole(g, "llama.rope.dimension_count", (uint64_t)c->d_head);
    if (c->n_kv_head < 1 || c->n_head % c->n_kv_head != 0 || c->d_head < 2 || c->d_head % 2 != 0 ||
        c->d_head > 1024 || !(c->rope_theta > 1) || !(c->norm_eps > 0 && c->norm_eps < 1))
        return err_set(err, ST_FORMAT,
                       "'%s': %d heads, %d key-value heads of %d, rope base %g, eps %g are no "
                       "Llama",
                       gguf_path(g), c->n_head, c->n_kv_head, c->d_head, c->rope_theta,
                       c->norm_eps);
    if (n_rot != (uint64_t)c->d_head ||
        gguf_whole(g, "llama.attention.value_length", n_rot) != n_rot)
        return err_set(err, ST_UNSUPPORTED,
                       "'%s': %llu rotary dimensions or other value heads in heads of %d",
                       gguf_path(g), (unsigned long long)n_rot, c->d_head);
    const struct gguf_tensor *embd = gguf_tensor(g, "token_embd.weight");
    if (!embd || embd->dim[1] > 1 << 24)
        return err_set(err, ST_FORMAT, "'%s': no tensor 'token_embd.weight' of sane size",
                       gguf_path(g));
    c->vocab_size = (int)embd->dim[1];
    c->tied = !gguf_tensor(g, "output.weight");
    return ST_OK;
}
