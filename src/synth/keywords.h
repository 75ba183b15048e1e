/*
 * synth/keywords.h - what a page is about: its words by TF-IDF against the corpus, and its names.
 *
 * score = count on the page * ln(pages / pages with the word); words of four letters or more, names
 * are two to four capitalised words in a row inside a sentence. A word that only one page of many
 * has is left out (identifiers, typing errors).
 *
 *     keywords_learn(k, text, n_bytes);               every page once
 *     keywords_pick(k, text, n_bytes, 6, &buf);       "compiler, linker, Ada Lovelace"
 */
#ifndef MIXLAW_SYNTH_KEYWORDS_H
#define MIXLAW_SYNTH_KEYWORDS_H

#include <stddef.h>
#include <stdint.h>

#include "base/mem.h"
#include "base/str.h"

struct keywords;
struct keywords *keywords_new(void);
void keywords_free(struct keywords *k); /* NULL is fine */
void keywords_learn(struct keywords *k, const char *text, size_t n_bytes, struct arena *scratch);
void keywords_pick(const struct keywords *k, const char *text, size_t n_bytes, size_t n,
                   struct strbuf *out, struct arena *scratch);

#endif
