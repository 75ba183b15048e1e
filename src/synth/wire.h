/*
 * synth/wire.h - requests and answers as OpenAI-style servers read and write them: the bodies of
 * /v1/chat/completions and, for a prompt as it is (gen_request.raw), of /v1/completions. For
 * server.c, batch.c and probe.c.
 *
 * Every sampling field is sent, because servers' defaults differ. Some servers refuse fields that
 * are not OpenAI's, and OpenAI's newer models the old name of one: hence three sets.
 */
#ifndef MIXLAW_SYNTH_WIRE_H
#define MIXLAW_SYNTH_WIRE_H

#include "base/json.h"
#include "synth/generator.h"

enum wire_fields { WIRE_ALL, WIRE_OPENAI, WIRE_OPENAI_NEW, WIRE_N };
#define WIRE_LEFT_OUT "top_k min_p repetition_penalty" /* by those behind WIRE_ALL */

/* Behind BASE/v1: "/chat/completions" or "/completions". */
const char *wire_path(const struct gen_request *r);

struct js *wire_body(const struct gen_request *r, const char *model, enum wire_fields fields);

/* The next smaller set when an error's text names a field that `fields` has; WIRE_N: it is not
 * about fields. */
enum wire_fields wire_fewer(enum wire_fields fields, const char *error);
/* The recipe sets something that a set behind WIRE_ALL leaves out. */
bool wire_loses(const struct sampling *s);

enum wire_read { WIRE_OK, WIRE_EMPTY, WIRE_BAD };

/* Reads an answer: text (with the prefill before it), finish and tokens of out; out->text is
 * text->s. WIRE_BAD writes why. */
enum wire_read wire_read(const struct js *reply, const struct gen_request *r, struct strbuf *text,
                         struct generation *out, char *why, size_t cap);
/* The same from bytes; scratch is used on the way. */
enum wire_read wire_parse(const char *reply, size_t n_bytes, const struct gen_request *r,
                          struct strbuf *text, struct strbuf *scratch, struct generation *out,
                          char *why, size_t cap);

#endif
