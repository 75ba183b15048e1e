/*
 * model/chat.h - one turn of conversation as tokens.
 *
 * The only template known is ChatML, recognised in the template text that a model brings along:
 *
 *     <|im_start|>system\nSYSTEM<|im_end|>\n
 *     <|im_start|>user\nUSER<|im_end|>\n
 *     <|im_start|>assistant\nPREFILL
 *
 * Without a system message the template's own default stands there (SmolLM2, Qwen have one), or
 * nothing. The marks are special tokens; the same characters inside a message are ordinary text, so
 * that a document cannot end its turn.
 */
#ifndef MIXLAW_MODEL_CHAT_H
#define MIXLAW_MODEL_CHAT_H

#include <stdint.h>

#include "base/err.h"
#include "tok/tok.h"

struct chat {
    char *system;       /* the template's default; NULL: none */
    char *problem;      /* why a conversation cannot be had with this model; NULL: it can */
    int64_t start, end; /* ids of the marks */
};

/* template: its text, or NULL when the model has none. */
void chat_init(struct chat *c, const char *template, const struct tok *t);
void chat_release(struct chat *c);

/* Appends the turn's tokens to *tok (owned by the caller, reallocated). ST_UNSUPPORTED: c->problem.
 */
MUST_USE enum st chat_tokens(const struct chat *c, const struct tok *t, const char *system,
                             const char *user, const char *prefill, uint32_t **tok, int *n_tok,
                             struct err *err);

#endif
