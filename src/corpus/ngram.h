/*
 * corpus/ngram.h - which word n-grams stand in a set of texts: contamination checks, copy checks.
 *
 * Words are maximal runs of letters and digits, lower-cased by simple case folding; everything else
 * separates. An index keeps 64-bit hashes of all n-grams of what was added.
 *
 *     struct ngram_index *ix = ngram_new(13);
 *     ngram_add(ix, text, n_bytes);                   each evaluation document
 *     if (ngram_shared(ix, text, n_bytes) > 0) ...    drop this training document
 */
#ifndef MIXLAW_CORPUS_NGRAM_H
#define MIXLAW_CORPUS_NGRAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ngram_index;
struct ngram_index *ngram_new(int n_words);
void ngram_free(struct ngram_index *ix); /* NULL is fine */
void ngram_add(struct ngram_index *ix, const char *text, size_t n_bytes);
size_t ngram_len(const struct ngram_index *ix); /* distinct n-grams held */
size_t ngram_shared(const struct ngram_index *ix, const char *text,
                    size_t n_bytes); /* n-grams of text that are held */
size_t ngram_count(const struct ngram_index *ix, const char *text,
                   size_t n_bytes); /* n-grams of text */

/* Calls use with the hash of each run of n_words words, in order. */
typedef void ngram_use(void *arg, uint64_t hash);
void ngram_each(int n_words, const char *text, size_t n_bytes, ngram_use *use, void *arg);

/*
 * Whose n-gram it is: an index made by ngram_new_owned also keeps one owner (a number) for each. A
 * text is claimed whole or, when it shares an n-gram with another owner, not at all (false).
 */
struct ngram_index *ngram_new_owned(int n_words);
bool ngram_claim(struct ngram_index *ix, const char *text, size_t n_bytes, uint32_t owner);

/* Calls hit for each n-gram of the text that is held; the same owner may come many times. */
typedef void ngram_hit(void *arg, uint32_t owner);
void ngram_owners(const struct ngram_index *ix, const char *text, size_t n_bytes, ngram_hit *hit,
                  void *arg);

/* Walks the words of a text: returns the next word's start and length, NULL at the end. *p starts
 * as text. */
const char *word_next(const char **p, const char *end, size_t *len);

#endif
