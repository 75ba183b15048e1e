/*
 * model/hf.h - Hugging Face folders: config.json, and weights in one or several safetensors files.
 *
 * A safetensors file is 8 bytes of length (little-endian), a JSON header of names, types, shapes
 * and byte ranges, then the data. The reader trusts nothing: lengths, ranges, overlaps, gaps and
 * shapes are checked before a tensor is used. Source: the safetensors README (format section).
 *
 *     struct safetensors *s;
 *     st = safetensors_open(&s, path, err);
 *     t = safetensors_find(s, "model.norm.weight");        NULL when missing
 *     safetensors_read(t, values);                         F32, F16 or BF16 to float
 *     safetensors_close(s);
 *
 * hf_files is all of a folder: model.safetensors, or the files that model.safetensors.index.json
 * names, in which every tensor stands once and where the index says.
 */
#ifndef MIXLAW_MODEL_HF_H
#define MIXLAW_MODEL_HF_H

#include "base/hash.h"
#include "model/model.h"

/* o: a parsed config.json; path names it in messages. */
MUST_USE enum st hf_conf_parse(struct model_conf *out, const struct js *o, const char *path,
                               struct err *err);
MUST_USE enum st hf_conf_read(struct model_conf *out, const char *dir, struct err *err);

enum { SAFETENSORS_DIMS = 8 };
struct safetensor {
    char *name;
    char dtype[8]; /* as in the file */
    int n_dim;
    uint64_t dim[SAFETENSORS_DIMS];
    uint64_t n; /* elements */
    const uint8_t *data;
};

struct safetensors;
MUST_USE enum st safetensors_open(struct safetensors **out, const char *path, struct err *err);
void safetensors_close(struct safetensors *s); /* NULL is fine */
size_t safetensors_n(const struct safetensors *s);
const struct safetensor *safetensors_at(const struct safetensors *s, size_t i);
const struct safetensor *safetensors_find(const struct safetensors *s, const char *name);
/* t->n floats, or those of [first, first + n); false when the type is not F32, F16 or BF16. */
bool safetensors_read(const struct safetensor *t, float *out);
bool safetensors_read_part(const struct safetensor *t, uint64_t first, uint64_t n, float *out);
bool safetensors_readable(const struct safetensor *t);

struct hf_files;
MUST_USE enum st hf_files_open(struct hf_files **out, const char *dir, struct err *err);
void hf_files_close(struct hf_files *f); /* NULL is fine */
size_t hf_files_n(const struct hf_files *f);
const char *hf_files_path(const struct hf_files *f, size_t i);
size_t hf_files_n_tensor(const struct hf_files *f);
const struct safetensor *hf_files_tensor_at(const struct hf_files *f, size_t i);    /* by name */
const struct safetensor *hf_files_find(const struct hf_files *f, const char *name); /* or NULL */
/* Of the file's bytes; of several files, of their digests in the order of names. */
MUST_USE enum st hf_files_digest(struct digest *d, const struct hf_files *f, struct err *err);

/* What a folder says about texts: tokenizer_config.json, chat_template.jinja,
 * special_tokens_map.json and generation_config.json, which may all be missing, and config.json. */
enum { HF_MAX_STOPS = 32 };
struct hf_marks {
    char *begin, *end; /* tokens by spelling, owned; NULL: none is named */
    char *chat;        /* template of conversations, owned; NULL: none */
    int adds_begin;    /* 1: tokenizing puts `begin` before a text, 0: not, -1: it does not say */
    /* Generation ends at any of these: eos_token_id of generation_config.json, or else of
     * config.json. */
    uint32_t stop_id[HF_MAX_STOPS];
    int n_stop_id;
};
MUST_USE enum st hf_marks_read(struct hf_marks *m, const char *dir, struct err *err);
void hf_marks_release(struct hf_marks *m);
/* The token that the post-processor of a tokenizer.json puts before a text; the caller frees it.
 * NULL: none. */
MUST_USE enum st hf_first_token(char **out, const char *tokenizer, struct err *err);

#endif
