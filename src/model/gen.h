/*
 * model/gen.h - what a generator consists of; for generate.c (new text) and logprob.c (given text).
 */
#ifndef MIXLAW_MODEL_GEN_H
#define MIXLAW_MODEL_GEN_H

#include "model/chat.h"
#include "model/generate.h"
#include "model/hf.h"
#include "model/infer.h"
#include "model/kvcache.h"
#include "model/sample.h"

enum { GEN_MAX_STOP_IDS = HF_MAX_STOPS + 8 }; /* a folder's, and what else names an end */

struct job;
struct job_list {
    struct job *first, **last;
    size_t n;
};

struct gen {
    struct weights *w;
    struct tok *tok;
    struct chat chat;
    struct pool *pool;
    const struct decode_kernels *kernels;
    struct infer *infer;
    struct kvcache *cache;
    enum gen_kv kv;            /* what it holds */
    struct weights *amateur_w; /* NULL: no amateur; all that is of it is NULL */
    struct infer *amateur;     /* its keys and values lie behind the others in the same blocks */
    float *amateur_logits;
    int n_slots, max_seq_len, max_rows, max_logits, n_vocab;
    uint32_t stop_id[GEN_MAX_STOP_IDS];
    int n_stop_id;
    struct job_list queue, done;
    struct job **active; /* in the order of admission */
    int n_active;
    struct infer_row *row;
    struct job **sampling;          /* whose logits are the i-th */
    struct sample_scratch *scratch; /* a thread's */
    float *logits;
    struct job *returned; /* its text is the caller's until the next call */
};

/* The amateur's weights, for a generator that has its own weights and tokenizer (contrast.c).
 * ST_USAGE: another vocabulary. */
MUST_USE enum st gen_open_amateur(struct gen *g, const char *path, struct err *err);

#endif
