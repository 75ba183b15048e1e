/*
 * synth/recipe.h - a recipe: how one kind of synthetic text is made. One YAML file, no code.
 *
 * A recipe says what a generator is given (input, prompts, sampling), how its answer is read
 * (parse), which answers are dropped (limits) and when the generator as a whole is called too weak
 * (weak). The shipped ones stand in recipes/, are compiled in and double as the manual: copy one,
 * change it, pass it by --recipe FILE.yaml.
 *
 *     struct recipe *r;
 *     st = recipe_open(&r, "hq", err);             a shipped name, or a path that ends in .yaml
 *     recipe_render(r, &r->prompt[0], &slots, r->prompt[0].user, &buf);
 *     recipe_free(r);
 *
 * A recipe's version is a digest of its content without comments and spacing.
 */
#ifndef MIXLAW_SYNTH_RECIPE_H
#define MIXLAW_SYNTH_RECIPE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/field.h"
#include "base/hash.h"
#include "base/str.h"
#include "base/yaml.h"
#include "synth/survival.h"

struct recipe_input {
    /* passage: pieces of a page; page: its running text; keywords: only its keywords; document: all
     * of it, whatever it is */
    const char *unit;
    uint64_t max_words; /* of a piece, cut at sentence borders; of a page: its beginning */
    uint64_t min_words; /* shorter pieces are not asked for */
    uint64_t pieces;    /* passages a page at most; 0: all */
    const char *draw;   /* one: a prompt for each piece, by weight; all: every prompt for each */
    uint64_t keywords;  /* how many {keywords} */
};

struct recipe_sampling {
    double temperature, top_p, min_p, repetition_penalty;
    uint64_t top_k, max_tok;
    double
        tok_per_word; /* > 0: at most this many new tokens a word of the source, within max_tok */
    /* > 0: contrastive decoding against an amateur (model/generate.h). */
    double contrast_lambda, contrast_alpha;
    struct textlist stop;
};

struct recipe_parse {
    const char *form;       /* text; qa: pairs of tagged lines; lines: of one start; table */
    struct textlist tags;   /* the two of qa; none: Question and Answer */
    const char *line_start; /* of lines, '#' for a number: "- ", "Step #:"; of text: counted */
    const char *after;      /* the answer begins behind a line's start of these words */
    const char *join;       /* none: an answer is a document; page: all answers of a page are one */
    bool strip_preamble;    /* cut "Here is ...:" and closing offers */
    bool cut_at_sentence;   /* an answer that hit the limit ends at its last whole sentence */
    bool drop_meta_sentences; /* drop single sentences that talk about the passage */
    bool cut_at_loop;         /* an answer that begins to repeat itself ends there */
    bool source_first;        /* the document is the source, a blank line, the answer */
    uint64_t max_pairs;       /* of qa; 0: all */
    uint64_t max_lines;       /* of lines, rows of a table; 0: all */
};

/* Answers beyond a limit are dropped with the verdict named in verdict.h. */
struct recipe_limits {
    uint64_t min_words;
    double max_ratio;  /* words out per word of the source; 0: no limit */
    double max_copied; /* share of the answer's 5-grams that stand in the source; 1: no limit */
    double max_loop;   /* share of the answer's words inside repeated 6-grams */
    double min_survives[SURVIVE_N]; /* shares of the source's words, names, numbers */
    /* Similarity to a text kept before, by runs of 5 words (corpus/minhash.h); 1: no limit. By
     * default 0.8: there the index finds 92 of 100, and texts about different passages share few
     * runs, so that only what says the same again is dropped. */
    double max_similar;
    uint64_t min_pairs; /* of qa */
    uint64_t min_lines; /* with the line_start; rows of a table below its head */
};

/* The generator is called too weak when a rate over all answers passes one of these. */
struct recipe_weak {
    double min_kept, min_survives[SURVIVE_N], max_loop, max_meta_talk, max_copied, max_length;
};

/* A variant has collapsed when a window of its texts passes one of these (synth/monitor.h). */
struct recipe_collapse {
    const char *action; /* rotate, stop or warn */
    uint64_t window;    /* texts */
    double max_same_opening, min_distinct_2, max_compression, max_self_similar;
};

struct recipe_prompt {
    const char *name, *system, *user, *prefill; /* system and prefill may be NULL */
    const char *raw; /* instead of system and user: text to go on with, which is nobody's turn */
    double weight;
    struct digest digest; /* of the texts */
};

struct recipe_vary { /* a placeholder whose value is drawn for each request */
    const char *name;
    struct textlist value;
};

struct recipe {
    const char *name, *purpose, *transform; /* transform: none, copy, shuffle_words, import */
    struct recipe_input input;
    struct recipe_sampling sampling;
    struct recipe_parse parse;
    struct recipe_limits limits;
    struct recipe_weak weak;
    struct recipe_collapse collapse;
    bool edits; /* the pages' own text, token by token (edit.h); there are no prompts to write */
    double edit_above;
    struct recipe_prompt *prompt; /* of an edit one, which stands for the text */
    size_t n_prompt, cap_prompt;
    struct recipe_vary *vary;
    size_t n_vary, cap_vary;
    struct digest version;
    const char *text; /* the YAML, terminated */
    struct yml *tree; /* owns the texts */
    char *own_text;
};

/* The recipes that are compiled in, in name order; a NULL name ends the list. */
struct recipe_builtin {
    const char *name, *text;
};
extern const struct recipe_builtin recipe_builtin[];

/* Errors: ST_USAGE with file, line and what was expected; an unknown name lists the known ones. */
MUST_USE enum st recipe_open(struct recipe **out, const char *name_or_path, struct err *err);
MUST_USE enum st recipe_parse_text(struct recipe **out, const char *file, const char *text,
                                   size_t n_bytes, struct err *err);
void recipe_free(struct recipe *r); /* NULL is fine */

/* The word before a pair's first (0) or second part (1). */
const char *recipe_tag(const struct recipe *r, int part);

bool recipe_needs_generator(const struct recipe *r);
bool recipe_imports(const struct recipe *r);  /* takes documents that are synthetic already */
bool recipe_asks_all(const struct recipe *r); /* every prompt for each piece */
bool recipe_joins_page(const struct recipe *r);
bool recipe_needs_keywords(const struct recipe *r);
bool recipe_edits(const struct recipe *r);
bool recipe_contrasts(const struct recipe *r); /* needs an amateur beside the generator */
bool recipe_goes_on(const struct recipe *r);   /* its prompts are raw: there is no instruction */

/* What the placeholders of one request stand for. */
struct recipe_slots {
    const char *text, *keywords; /* of the source */
    uint64_t n_words;            /* of text */
    const char *const *vary;     /* one chosen value for each of recipe.vary */
};

/* Appends a prompt's text with its placeholders filled in; texts put in are not looked at again. */
void recipe_render(const struct recipe *r, const struct recipe_slots *slots, const char *text,
                   struct strbuf *out);

/* Settings that change what is asked, for a request's key and the manifest. */
struct js *recipe_json(const struct recipe *r);

#endif
