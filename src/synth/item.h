/*
 * synth/item.h - one request: a piece of a page under one prompt of a recipe, and its key.
 *
 * Which prompt and which values of `vary` follow from the piece's text and the seed alone, so that
 * the same piece asks the same thing in every run.
 */
#ifndef MIXLAW_SYNTH_ITEM_H
#define MIXLAW_SYNTH_ITEM_H

#include "model/generate.h"
#include "synth/ledger.h"
#include "synth/pages.h"
#include "synth/verdict.h"

struct item {
    const struct doc *doc; /* of the page */
    int piece;             /* number within the page */
    char *source;          /* the piece's text, terminated */
    size_t n_source;
    char *keywords;                /* "" when the recipe uses none */
    int variant;                   /* index of recipe.prompt; -1: the recipe asks nothing */
    char *system, *user, *prefill; /* as sent; system and prefill may be NULL */
    bool raw;                      /* user is text to go on with, not a turn of a conversation */
    char *frame;                   /* our own words: the prompt with nothing filled in */
    double edit_above;             /* > 0 of an edit */
    struct sampling sampling;
    struct digest prompt, key;
};

/* Requests that a page makes: its pieces, times the prompts where the recipe asks under all of
 * them. Number `i` is of piece item_piece: all pieces under the first prompt, then under the
 * second. */
size_t item_n(const struct recipe *r, const struct page *page);
size_t item_piece(const struct page *page, size_t i);

/* model: digest of the generator's model. Everything is in the arena. */
void item_make(struct item *it, const struct recipe *r, const struct page *page, size_t i,
               const struct keywords *k, struct digest model, uint64_t seed, struct arena *a);

/* The request for an item that has a prompt. Texts are borrowed. */
struct gen_request item_request(const struct item *it, uint64_t tag);

/* What came back for an item, to be read and judged (verdict.h). Texts are borrowed. */
struct answer item_answer(const struct item *it, enum finish finish, const char *raw, size_t n_raw);

/* The same piece under another prompt, drawn by weight from those that are not stopped; false: none
 * is left. */
bool item_rotate(struct item *it, const struct recipe *r, const struct page *page, size_t i,
                 const bool *stopped, struct digest model, uint64_t seed, struct arena *a);

/* The document of a recipe that asks nothing: the piece, or its words in random order. */
const char *item_transform(const struct item *it, const struct recipe *r, uint64_t seed,
                           struct arena *a);

#endif
