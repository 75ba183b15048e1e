/* model/export_gguf.c - GGUF files that llama.cpp runs. See export.h. */
#include "model/export.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/gguf_write.h"
#include "base/log.h"
#include "base/mem.h"
#include "model/gguf_weights.h"
#include "model/hf.h"
#include "model/params.h"
#include "tok/tok.h"

/* llama.cpp's class of file, for people. */
static uint32_t file_type(enum gguf_type t)
{
    return t == GGUF_F32 ? 0 : t == GGUF_F16 ? 1 : t == GGUF_BF16 ? 32 : 7;
}

static bool swaps(const struct model_conf *c)
{
    return c->bias != BIAS_QKV; /* llama.cpp's qwen2 pairs positions as we do */
}

static void put_conf(struct gguf_writer *w, const struct export_conf *e)
{
    const struct model_conf *c = &e->w->conf;
    const char *arch = swaps(c) ? "llama" : "qwen2";
    int context = c->max_seq_len;
    if (c->window && c->window < context) {
        log_warn("llama.cpp knows no sliding windows of such models: the file's context ends with "
                 "the window of %d tokens, inside which there is no difference",
                 c->window);
        context = c->window;
    }
    const struct {
        const char *name;
        int value;
    } whole[] = {
        { "block_count", c->n_layer },         { "context_length", context },
        { "embedding_length", c->d_model },    { "feed_forward_length", c->d_ff },
        { "attention.head_count", c->n_head }, { "attention.head_count_kv", c->n_kv_head },
        { "attention.key_length", c->d_head }, { "attention.value_length", c->d_head },
        { "rope.dimension_count", c->d_head }, { "vocab_size", c->vocab_size }
    };
    char key[96], *from = path_join(e->from, "");
    while (strlen(from) > 1 && str_ends(from, "/"))
        from[strlen(from) - 1] = '\0';
    gguf_put_text(w, "general.architecture", arch);
    gguf_put_text(w, "general.type", "model");
    gguf_put_text(w, "general.name",
                  e->w->gguf ? gguf_text(e->w->gguf, "general.name", path_base(from))
                             : path_base(from));
    gguf_put_u32(w, "general.file_type", file_type(e->type));
    if (e->type == GGUF_Q8_0)
        gguf_put_u32(w, "general.quantization_version", 2);
    for (size_t i = 0; i < N_OF(whole); i++) {
        snprintf(key, sizeof key, "%s.%s", arch, whole[i].name);
        gguf_put_u32(w, key, (uint32_t)whole[i].value);
    }
    snprintf(key, sizeof key, "%s.rope.freq_base", arch);
    gguf_put_f32(w, key, (float)c->rope_theta);
    snprintf(key, sizeof key, "%s.attention.layer_norm_rms_epsilon", arch);
    gguf_put_f32(w, key, (float)c->norm_eps);
    free(from);
}

static bool is_tokenizer_key(const char *key)
{
    return str_starts(key, "tokenizer.");
}

/* The tokenizer.json that the tokenizer was read from; NULL: from something else. The caller frees
 * it. */
static char *tokenizer_file(const struct export_conf *e)
{
    const char *from = e->tokenizer ? e->tokenizer : e->from;
    char *file = file_is_dir(from) ? path_join(from, "tokenizer.json") : xstrdup(from);
    if (str_ends(file, ".json"))
        return file;
    free(file);
    return NULL;
}

/* What ends generation besides the token `end`, where llama.cpp does not know it by its spelling.
 */
static void put_other_ends(struct gguf_writer *w, const struct hf_marks *m, const struct tok *t,
                           int64_t end)
{
    static const char *const key[] = { "tokenizer.ggml.eot_token_id",
                                       "tokenizer.ggml.eom_token_id" };
    size_t n = 0;
    for (int i = 0; i < m->n_stop_id; i++) {
        int64_t id = m->stop_id[i];
        if (id == end || id == tok_eod(t) || id == tok_id(t, "<|im_end|>") ||
            id >= tok_vocab_size(t)) /* such ids are never written */
            continue;
        if (n < N_OF(key))
            gguf_put_u32(w, key[n++], (uint32_t)id);
        else
            log_warn("a GGUF file names three ends of generation at most: token %lld is left out",
                     (long long)id);
    }
}

/* Without add_bos_token llama.cpp would decide by the pre-tokenizer's name. */
static enum st put_folder_marks(struct gguf_writer *w, const struct export_conf *e,
                                const struct tok *t, struct err *err)
{
    struct hf_marks m;
    char *file = tokenizer_file(e), *first = NULL;
    enum st st = hf_marks_read(&m, e->from, err);
    if (st == ST_OK && m.adds_begin < 0 && file)
        st = hf_first_token(&first, file, err);
    if (st == ST_OK) {
        const char *bos = m.begin ? m.begin : first;
        bool adds = m.adds_begin > 0 || (first && strcmp(first, bos) == 0);
        int64_t begin = bos ? tok_id(t, bos) : -1, end = m.end ? tok_id(t, m.end) : tok_eod(t);
        if (begin >= 0)
            gguf_put_u32(w, "tokenizer.ggml.bos_token_id", (uint32_t)begin);
        if (end >= 0)
            gguf_put_u32(w, "tokenizer.ggml.eos_token_id", (uint32_t)end);
        put_other_ends(w, &m, t, end);
        gguf_put_bool(w, "tokenizer.ggml.add_bos_token", begin >= 0 && adds);
        if (m.chat)
            gguf_put_text(w, "tokenizer.chat_template", m.chat);
    }
    hf_marks_release(&m);
    free(first);
    free(file);
    return st;
}

static enum st put_tokenizer(struct gguf_writer *w, const struct export_conf *e, struct err *err)
{
    const struct gguf *g = e->w->gguf;
    struct tok *t = NULL;
    if (e->tokenizer && strcmp(e->tokenizer, "none") == 0) {
        gguf_put_text(w, "tokenizer.ggml.model", "none");
        return ST_OK;
    }
    if (!e->tokenizer && g) {
        for (size_t i = 0; i < gguf_n_keys(g); i++)
            if (is_tokenizer_key(gguf_key_at(g, i)))
                gguf_put_copy(w, g, i);
        return ST_OK;
    }
    enum st st = tok_open(&t, e->tokenizer ? e->tokenizer : e->from, err);
    if (st < 0)
        return err_in(err, st, "the file needs a tokenizer (--tokenizer FILE, or none)");
    if (tok_vocab_size(t) > e->w->conf.vocab_size)
        st = err_set(err, ST_FORMAT, "the tokenizer has %d tokens, the model %d", tok_vocab_size(t),
                     e->w->conf.vocab_size);
    if (st == ST_OK)
        st = tok_to_gguf(t, w, e->w->conf.vocab_size, err);
    if (st == ST_OK && tok_normalizes(t))
        log_warn("the tokenizer brings text to NFC, which llama.cpp does not: text that is not in "
                 "NFC gets other tokens there");
    if (st == ST_OK)
        st = put_folder_marks(w, e, t, err);
    tok_free(t);
    return st;
}

/* Vectors stay F32, as llama.cpp wants them; rows that no block fits are halves. */
static enum gguf_type type_of(const struct export_conf *e, const struct param *p)
{
    if (p->n_dim == 1)
        return GGUF_F32;
    return e->type == GGUF_Q8_0 && p->dim[1] % 32 != 0 ? GGUF_F16 : e->type;
}

static bool scaled(const struct model_conf *c)
{
    return c->scaling.factor != 0;
}

static void put_tensors(struct gguf_writer *w, const struct export_conf *e, const struct params *p)
{
    const struct model_conf *c = &e->w->conf;
    int n_other = 0;
    if (scaled(c))
        gguf_put_tensor(w, "rope_freqs.weight", GGUF_F32, 1,
                        (const uint64_t[]){ (uint64_t)c->d_head / 2 });
    for (size_t i = 0; i < p->n_row; i++) {
        const struct param *r = &p->row[i];
        char name[64];
        uint64_t dim[2] = { r->n_dim == 2 ? r->dim[1] : r->dim[0], r->dim[0] };
        gguf_param_name(name, p, c, i);
        gguf_put_tensor(w, name, type_of(e, r), r->n_dim, dim);
        n_other += r->n_dim == 2 && type_of(e, r) != e->type;
    }
    if (n_other)
        log_info("%d matrices have rows that are no multiple of 32: they are F16", n_other);
}

/* What llama.cpp divides the angles by. */
static enum st write_factors(struct gguf_writer *w, const struct model_conf *c, struct err *err)
{
    struct model_conf plain = *c;
    size_t n = (size_t)c->d_head / 2;
    float *slow = NEW_ARRAY(float, n), *fast = NEW_ARRAY(float, n);
    plain.scaling = (struct rope_scaling){ 0 };
    model_rope_freq(c, slow);
    model_rope_freq(&plain, fast);
    for (size_t i = 0; i < n; i++)
        fast[i] /= slow[i];
    enum st st = gguf_writer_data(w, fast, n * sizeof *fast, err);
    free(slow);
    free(fast);
    return st;
}

/* Which of our rows (or of a bias' elements) stands at place i of llama.cpp's: the reverse of
 * gguf_row_hf. */
static int row_at(int i, int d_head)
{
    int head = i / d_head, in = i % d_head;
    return head * d_head + in % 2 * (d_head / 2) + in / 2;
}

static enum st write_param(struct gguf_writer *w, const struct export_conf *e,
                           const struct params *p, size_t i, struct err *err)
{
    const struct param *r = &p->row[i];
    const struct weight *from = weights_param(e->w, p, i);
    enum gguf_type type = type_of(e, r);
    size_t n_bytes = export_row_bytes(type, from->n_col);
    float *row = xmalloc((size_t)from->n_col * sizeof *row);
    void *out = xmalloc(n_bytes);
    bool swap = swaps(&e->w->conf) && gguf_swaps_rows(p, &e->w->conf, i);
    int d_head = e->w->conf.d_head;
    enum st st = ST_OK;
    for (int k = 0; k < from->n_row && st == ST_OK; k++) {
        int at = swap && r->n_dim == 2 ? row_at(k, d_head) : k;
        st = export_row(out, row, from, at, type, r->name, err);
        for (int j = 0; swap && r->n_dim == 1 && j < from->n_col; j++)
            ((float *)out)[j] = row[row_at(j, d_head)];
        if (st == ST_OK)
            st = gguf_writer_data(w, out, n_bytes, err);
    }
    free(row);
    free(out);
    return st;
}

enum st export_gguf(const struct export_conf *e, const char *out, struct err *err)
{
    struct gguf_writer *w = gguf_writer_new();
    struct params p;
    params_build(&p, &e->w->conf);
    put_conf(w, e);
    enum st st = put_tokenizer(w, e, err);
    if (st == ST_OK) {
        put_tensors(w, e, &p);
        st = gguf_writer_open(w, out, err);
    }
    if (st == ST_OK && scaled(&e->w->conf))
        st = write_factors(w, &e->w->conf, err);
    for (size_t i = 0; i < p.n_row && st == ST_OK; i++)
        st = write_param(w, e, &p, i, err);
    if (st == ST_OK)
        st = gguf_writer_commit(w, err);
    gguf_writer_free(w);
    params_release(&p);
    return st;
}
