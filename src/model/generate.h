/*
 * model/generate.h - batched text generation with a KV cache: many requests, continuous batching.
 *
 * A request's tokens depend on its prompt, sampling and seed alone, not on its neighbours in the
 * batch, nor on the number of threads. Common prompt prefixes are computed once.
 *
 *     struct gen *g;
 *     st = gen_open(&g, "model.gguf", &conf, err);            GGUF file, Hugging Face folder or run
 *     id = gen_submit(g, &request);                           as many as you like
 *     while ((st = gen_next(g, &result, err)) == ST_OK) ...   the next one done; ST_END: none left
 *
 * With an amateur, a weaker model of the same vocabulary, tokens are drawn by contrastive decoding
 * (Li et al. 2022, arXiv:2210.15097; for synthetic corpora arXiv:2510.08245): of the tokens that
 * the first model finds plausible, p(w) >= alpha max p, by the softmax of
 *     log p(w) - lambda log p_amateur(w)
 * Both models read the same tokens in the same steps.
 *
 * Threads: a struct gen belongs to one thread; it uses n_threads inside.
 */
#ifndef MIXLAW_MODEL_GENERATE_H
#define MIXLAW_MODEL_GENERATE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/hash.h"
#include "tok/tok.h"

/* What products are made of. Quantised files (Q4_0, Q4_1, Q5_0, Q5_1, Q8_0) hold small integers:
 * multiplied as such by activations rounded to 16 bits they give what floats give, rounded to 8
 * bits what llama.cpp gives. Weights of other types are multiplied as floats in any case.
 * docs/BENCHMARKS.md has speed and loss in quality. */
enum gen_precision {
    GEN_AUTO,  /* GEN_INT8 where the processor gains by it, else GEN_FP32 */
    GEN_FP32,  /* all weights unpacked to floats */
    GEN_INT16, /* activations of 16 bits */
    GEN_INT8   /* activations of 8 bits where weights have 4, else of 16 */
};
#define GEN_PRECISIONS "auto|fp32|int16|int8" /* their names, in this order */
enum gen_precision gen_precision_by_name(const char *name);

/* What the cache holds of keys and values; docs/BENCHMARKS.md has memory, speed and loss in quality
 * of both. */
enum gen_kv {
    GEN_KV_F16, /* halves */
    GEN_KV_Q8   /* bytes, and a scale for every 32 of a key or value: 53 % of the memory */
};
#define GEN_KVS "f16|q8" /* their names, in this order */
enum gen_kv gen_kv_by_name(const char *name);

struct gen_conf {
    int n_threads;   /* 0: what the process may use */
    int n_slots;     /* requests decoded at once; 0: 32 */
    int max_seq_len; /* prompt + new tokens a request; 0: the model's limit, at most 2048 */
    enum gen_precision precision;
    enum gen_kv kv;
    const char *amateur; /* path of the weaker model; NULL: none */
};

struct sampling {
    double temperature;        /* 0: greedy */
    double top_p;              /* 1: off */
    int top_k;                 /* 0: off */
    double min_p;              /* 0: off */
    double repetition_penalty; /* 1: off; over the request's own new tokens */
    double contrast_alpha;     /* of a generator with an amateur; 0 < alpha <= 1 */
    double contrast_lambda;    /* 0: the cut at alpha alone */
    int max_tok;               /* new tokens */
    uint64_t seed;
    const char *const *stop; /* texts that end the output (not part of it); n_stop of them */
    int n_stop;
};

struct gen_request {
    const char *system; /* may be NULL: then the template's own default */
    const char *user;   /* one chat turn through the model's template */
    const char *raw;    /* instead of system and user: the prompt as it is */
    bool raw_is_plain;  /* special tokens' spellings in raw are ordinary text: it is a document */
    const char
        *prefill; /* the answer's beginning, not sampled; part of the result's text; may be NULL */
    double edit_above; /* for synth/edit.h alone: raw is a text to edit, not to go on with */
    struct sampling sampling;
    struct digest key; /* in the ledger of synth; not looked at here */
    uint64_t tag;
};

enum gen_finish { GEN_STOP, GEN_LENGTH, GEN_TOO_LONG /* the prompt does not fit: no text */ };
struct gen_result {
    uint64_t tag;
    const char *text; /* valid until the next gen_ call; may hold damaged UTF-8 at a cut */
    size_t n_bytes;
    enum gen_finish finish;
    int n_tok_prompt, n_tok;
    double wall_s;
};

struct gen;
MUST_USE enum st gen_open(struct gen **out, const char *path, const struct gen_conf *conf,
                          struct err *err);
void gen_close(struct gen *g); /* NULL is fine */
uint64_t gen_submit(struct gen *g,
                    const struct gen_request *r); /* copies everything; returns the tag */
MUST_USE enum st gen_next(struct gen *g, struct gen_result *r, struct err *err);
size_t gen_n_waiting(const struct gen *g);     /* submitted and not returned */
struct digest gen_digest(const struct gen *g); /* of the model file: goes into ledgers */
bool gen_has_amateur(const struct gen *g);
struct digest gen_amateur_digest(const struct gen *g); /* of the amateur's file; none: zeros */
const struct tok *gen_tok(const struct gen *g);
const char *gen_kernels(const struct gen *g);   /* "avx2" */
const char *gen_precision(const struct gen *g); /* "fp32", "int8": what GEN_AUTO chose */
const char *gen_kv(const struct gen *g);        /* "f16" */
size_t gen_kv_bytes(const struct gen *g);       /* the cache takes now */
int gen_vocab_size(const struct gen *g);        /* of the model: logits a position */

/* Log-probabilities, in nats, of given text: for evaluation, multiple choice, filters and edits.
 * Many texts share each pass through the model, however long each is; beginnings that are alike are
 * computed once. A text's numbers do not depend on its neighbours nor on the number of threads. No
 * request may be open. ST_LIMIT: longer than gen_max_text(); ST_USAGE: nothing to score, or a token
 * that the model lacks. Not for a generator with an amateur. */
struct gen_edit { /* what is likelier than `above` is drawn anew, given the same tokens before it */
    double above;
    struct sampling sampling; /* no penalty, no stops; a draw follows from seed and place */
};
#define GEN_NOT_DRAWN UINT32_MAX
struct gen_text {
    const uint32_t *tok;
    int n_tok, from; /* tokens [from, n_tok) are scored, from >= 1: each given all before it */
    float *logp;     /* [n_tok - from], written */
    const struct gen_edit *edit; /* or NULL */
    uint32_t *drawn;             /* of an edit: [n_tok - from], written; else NULL */
    int at;                      /* of an edit: the place of tok[0] in its document */
};
MUST_USE enum st gen_logprobs(struct gen *g, struct gen_text *text, size_t n_text, struct err *err);
int gen_max_text(const struct gen *g); /* tokens of a text at most */

/* Prompt tokens' next-token log-probabilities for parity tests: logits [n_tok, vocab] after each
 * token. */
MUST_USE enum st gen_logits(struct gen *g, const uint32_t *tok, int n_tok, float *logits,
                            struct err *err);

#endif
