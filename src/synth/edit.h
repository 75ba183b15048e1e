/*
 * synth/edit.h - token editing (ToEdit, arXiv 2412.14689): in a natural text, tokens that a model
 * takes for granted are drawn anew.
 *
 * Every token but the first is judged in one pass over the text as it was, not as it is edited:
 * where P(token | tokens before) > above, a token is drawn by the request's sampling (the paper:
 * top 8, temperature 1.5); else it stays. What the model is unsure of, the text's content, is never
 * touched, so the error that generations of editing add up to stays bounded.
 *
 * A text longer than the model's context is judged in windows that overlap by half: each token
 * with at least half a context before it. So that text stays text, a token is not exchanged when it
 * or the drawn one is no whole characters (a part of one, NUL, a special token).
 *
 *     editor_submit(e, &request);             request.raw is the text, request.edit_above the limit
 *     while ((st = editor_next(e, &out, err)) == ST_OK) ...   ST_END: none waiting
 *
 * A text that the tokenizer does not give back byte for byte (it lacks some bytes, or brings text
 * to NFC) comes back unedited as FINISH_NO_ROUND_TRIP. Draws follow from the request's seed and
 * the place in the text, so neither neighbours nor threads matter.
 *
 * Threads: as the generator's.
 */
#ifndef MIXLAW_SYNTH_EDIT_H
#define MIXLAW_SYNTH_EDIT_H

#include "synth/generator.h"

struct editor;
struct editor *editor_new(struct gen *g); /* keeps g, which has no amateur and no other requests */
void editor_free(struct editor *e);       /* NULL is fine */
void editor_submit(struct editor *e, const struct gen_request *r);
size_t editor_n_waiting(const struct editor *e);
/* The text is valid until the next call. */
MUST_USE enum st editor_next(struct editor *e, struct generation *out, struct err *err);

#endif
