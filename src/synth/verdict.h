/*
 * synth/verdict.h - from a generator's raw answer to a document, or to the reason why it is none.
 *
 * Raw answers stay in the ledger for ever; everything here is computed from them again on every
 * run, so that another limit or another rule costs seconds and no request. Two steps:
 *
 *     answer_read     strips preambles and chatter, cuts what was cut off, parses questions
 *     answer_judge    measures and compares with the recipe's limits
 *
 * An answer has one verdict, the first in the order of enum verdict that holds; `flags` has all.
 * Measures called raw_* are of the answer before any repair: they judge the generator, the others
 * judge the document. Threads: no shared state but a read-only index.
 */
#ifndef MIXLAW_SYNTH_VERDICT_H
#define MIXLAW_SYNTH_VERDICT_H

#include "base/json.h"
#include "base/mem.h"
#include "corpus/ngram.h"
#include "synth/recipe.h"
#include "synth/survival.h"

enum verdict {
    V_KEPT,
    V_FAILED,         /* no answer: line or server failed; few stay so, many are asked again */
    V_NO_ROOM,        /* prompt too long for the generator */
    V_FILTERED,       /* the server refused the content */
    V_NO_ROUND_TRIP,  /* of an edit: the tokenizer does not give the page back as it is */
    V_EMPTY,          /* nothing but white space */
    V_TRUNCATED,      /* hit the token limit, and no whole sentence or pair is left */
    V_REFUSAL,        /* "I cannot help with that" */
    V_PROMPT_LEAK,    /* repeats our instruction */
    V_META_TALK,      /* talks about the passage or the task */
    V_FORMAT,         /* not the form that the recipe asks for */
    V_TOO_SHORT,      /* fewer than min_words */
    V_OVERLONG,       /* more than max_ratio words per word of the source */
    V_LOOP,           /* repeats itself */
    V_COPY,           /* the source again */
    V_SOURCE_LOST,    /* too little of the source is left */
    V_CONTAMINATED,   /* shares a 13-gram with an evaluation domain */
    V_DUPLICATE,      /* the same words were kept before */
    V_NEAR_DUPLICATE, /* more similar than max_similar to a text kept before */
    V_N
};
const char *verdict_name(enum verdict v);

struct answer {
    /* given */
    const char *raw; /* the generator's text, terminated */
    size_t n_raw;
    bool hit_limit; /* finish reason: token limit; the others see V_NO_ROOM and so on */
    bool no_room, filtered, no_round_trip;
    const char *source; /* the passage; "" for keywords */
    const char *frame;  /* our own words of the prompt, without what was filled in */
    /* found by answer_read */
    struct strbuf text; /* the document */
    bool stripped, cut, cut_loop;
    bool no_mark; /* the words are missing behind which the text should begin */
    uint32_t n_pairs, n_lines, n_meta_dropped;
    /* found by answer_judge */
    enum verdict verdict;
    uint32_t flags; /* bit v: verdict v holds */
    uint32_t n_words, n_source_words;
    double copied, loop; /* of the document; NaN where undefined */
    double raw_copied, raw_loop;
    struct survival survived, raw_survived;
    bool raw_meta_talk;
};

/* Fills text and what belongs to it. */
void answer_read(struct answer *a, const struct recipe *r, struct arena *scratch);
/* domains: 13-grams of the evaluation domains, or NULL. */
void answer_judge(struct answer *a, const struct recipe *r, const struct ngram_index *domains,
                  struct arena *scratch);
void answer_release(struct answer *a);

struct js *answer_json(const struct answer *a); /* verdict, flags, measures */

/* One sentence speaks of "the passage", "the author", the task: in words that the source lacks. */
bool sentence_is_meta(const char *s, size_t n_bytes, const char *source);

#endif
