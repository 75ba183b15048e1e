/*
 * model/sample.h - from logits to the next token, reproducibly.
 *
 * Order, as in Hugging Face's and vLLM's generators: repetition penalty, temperature, top-k, top-p
 * over what top-k left, min-p (relative to the likeliest), then one uniform number from the
 * request's own stream. Equal probabilities are ordered by token id. Nothing is sorted but the few
 * tokens that can be chosen.
 *
 * Threads: no shared state.
 */
#ifndef MIXLAW_MODEL_SAMPLE_H
#define MIXLAW_MODEL_SAMPLE_H

#include "backend/cpu/decode.h"
#include "base/rng.h"
#include "model/generate.h"

struct sample_scratch { /* one a thread; all zero at first */
    float *p;
    struct sample_pick *pick;
    uint32_t *index;
    int cap;
};
void sample_scratch_release(struct sample_scratch *s);
float *sample_room(struct sample_scratch *s, int n_vocab); /* [n_vocab], 64-byte aligned */

/* logits [n_vocab] are changed. history: the request's new tokens so far. amateur [n_vocab]: the
 * weaker model's, for contrastive decoding (generate.h); NULL: none. Contrast comes behind the
 * repetition penalty and before the temperature. */
uint32_t sample_token(const struct decode_kernels *k, struct sample_scratch *scratch,
                      const struct sampling *s, struct rng *rng, float *logits,
                      const float *amateur, int n_vocab, const uint32_t *history, int n_history);

#endif
