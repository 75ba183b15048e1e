/*
 * synth/text.h - words, sentences and passages of plain text, as synthesis needs them.
 *
 * A word is a run of ASCII letters and digits or bytes above 127, compared without ASCII case. A
 * sentence ends at . ! or ? (with closing quotes or brackets) before white space, not after common
 * abbreviations and initials, or at the end of a line. Passages are whole sentences in a row,
 * packed up to a number of words; they are slices of the page, never rewritten.
 */
#ifndef MIXLAW_SYNTH_TEXT_H
#define MIXLAW_SYNTH_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/mem.h"
#include "base/str.h"

struct word {
    const char *s; /* in the text */
    uint32_t n_bytes;
    uint64_t hash; /* of the lower-cased word */
};

struct word *text_words(struct arena *a, const char *text, size_t n_bytes, size_t *n);
uint64_t words_hash(const struct word *w, size_t n); /* of n words in a row */
size_t text_n_words(const char *text, size_t n_bytes);
/* Where word number n_words ends; n_bytes when there are not so many. */
size_t text_words_end(const char *text, size_t n_bytes, size_t n_words);

struct span {
    const char *s;
    size_t n_bytes;
    bool whole; /* ends in . ! ? and so on, not merely at a line's end */
};
struct span *text_sentences(struct arena *a, const char *text, size_t n_bytes, size_t *n);

/* The longest beginning of text that ends with a whole sentence; 0 when there is none. */
size_t text_whole_sentences(const char *text, size_t n_bytes);

struct piece {
    const char *s;
    size_t n_bytes, n_words;
    int index; /* 0, 1, ... within the page */
};
/* Cuts a page into passages of at most max_words; a longer sentence is cut between words. */
struct piece *text_passages(struct arena *a, const char *text, size_t n_bytes, size_t max_words,
                            size_t *n);

/* Most words stand in whole sentences of letters: worth rewriting, no menu, table or code. */
bool text_is_prose(struct arena *a, const char *text, size_t n_bytes);

/* A set of 64-bit hashes with room for n, in an arena: open addressing, zero means empty. */
struct hashset {
    uint64_t *slot;
    size_t mask;
};
struct hashset hashset_new(struct arena *a, size_t n);
bool hashset_add(struct hashset *s, uint64_t h); /* true when h was there already */
bool hashset_has(const struct hashset *s, uint64_t h);

/* Trims white space: moves *s and *n_bytes. */
void text_trim(const char **s, size_t *n_bytes);
const char *text_line_end(const char *p, const char *end); /* the newline at or behind p, or end */

/* Case-blind search for an ASCII phrase at word borders; NULL when it is not there. */
const char *text_find(const char *text, size_t n_bytes, const char *phrase);
/* The same for up to 64 phrases that begin with a letter, in one pass over the text: bit i is set
 * where phrase[i] is there. */
uint64_t text_find_each(const char *text, size_t n_bytes, const char *const *phrase, size_t n);

/* The first "<|im_end|>" or its like of a terminated text, as templates of conversations have them:
 * its length, 0 when there is none. */
size_t text_chat_mark(const char *text, const char **at);

#endif
