/* synth/verdict.c - see verdict.h: measures and limits. Reading answers is in answer.c. */
#include "synth/verdict.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "synth/text.h"

enum {
    COPY_WORDS = 5, /* n-gram of the copy measure */
    LOOP_WORDS = 6, /* n-gram of the loop measure */
    LEAK_WORDS = 8  /* words of our prompt in a row that give it away */
};

const char *verdict_name(enum verdict v)
{
    static const char *const name[V_N] = {
        "kept",        "failed",       "no_room",   "filtered",      "no_round_trip",
        "empty",       "truncated",    "refusal",   "prompt_leak",   "meta_talk",
        "format",      "too_short",    "overlong",  "loop",          "copy",
        "source_lost", "contaminated", "duplicate", "near_duplicate"
    };
    return name[v];
}

static struct hashset ngrams_of(struct arena *a, const char *text, size_t n_bytes, size_t n_words)
{
    size_t n;
    struct word *w = text_words(a, text, n_bytes, &n);
    struct hashset s = hashset_new(a, n);
    for (size_t i = 0; i + n_words <= n; i++)
        hashset_add(&s, words_hash(w + i, n_words));
    return s;
}

/* Share of the text's n-grams that stand in `in`; NaN when it has none. */
static double share_in(struct arena *a, const char *text, size_t n_bytes, size_t n_words,
                       const struct hashset *in)
{
    size_t n, hit = 0;
    struct word *w = text_words(a, text, n_bytes, &n);
    if (n < n_words)
        return NAN;
    for (size_t i = 0; i + n_words <= n; i++)
        hit += hashset_has(in, words_hash(w + i, n_words));
    return (double)hit / (double)(n - n_words + 1);
}

static double copied_share(struct arena *a, const char *text, size_t n, const char *source)
{
    struct arena_mark mark = arena_mark(a);
    struct hashset s = ngrams_of(a, source, strlen(source), COPY_WORDS);
    double share = share_in(a, text, n, COPY_WORDS, &s);
    arena_rewind(a, mark);
    return share;
}

/* Share of the text's words that stand in a 6-gram which occurred before. */
static double loop_share(struct arena *a, const char *text, size_t n_bytes)
{
    struct arena_mark mark = arena_mark(a);
    size_t n, covered = 0, until = 0;
    struct word *w = text_words(a, text, n_bytes, &n);
    struct hashset s = hashset_new(a, n);
    for (size_t i = 0; i + LOOP_WORDS <= n; i++) {
        if (!hashset_add(&s, words_hash(w + i, LOOP_WORDS)))
            continue;
        size_t from = i > until ? i : until;
        covered += i + LOOP_WORDS - from;
        until = i + LOOP_WORDS;
    }
    double share = n ? (double)covered / (double)n : 0;
    arena_rewind(a, mark);
    return share;
}

/* Eight words in a row of our own instruction that are not the source's words. */
static bool leaks_prompt(struct arena *a, const char *text, size_t n_bytes, const char *frame,
                         const char *source)
{
    struct arena_mark mark = arena_mark(a);
    size_t n;
    bool leak = false;
    struct hashset ours = ngrams_of(a, frame, strlen(frame), LEAK_WORDS);
    struct hashset theirs = ngrams_of(a, source, strlen(source), LEAK_WORDS);
    struct word *w = text_words(a, text, n_bytes, &n);
    for (size_t i = 0; i + LEAK_WORDS <= n && !leak; i++) {
        uint64_t h = words_hash(w + i, LEAK_WORDS);
        leak = hashset_has(&ours, h) && !hashset_has(&theirs, h);
    }
    arena_rewind(a, mark);
    return leak;
}

bool sentence_is_meta(const char *s, size_t n, const char *source)
{
    static const char *const phrase[] = { "the passage",
                                          "this passage",
                                          "the given passage",
                                          "the text",
                                          "this text",
                                          "the original text",
                                          "the provided text",
                                          "the given text",
                                          "the article",
                                          "this article",
                                          "the author",
                                          "the paragraph",
                                          "this paragraph",
                                          "the excerpt",
                                          "this excerpt",
                                          "the document",
                                          "this document",
                                          "the rewritten",
                                          "rewritten version",
                                          "rewrite the",
                                          "the reader",
                                          "my response",
                                          "as an ai",
                                          "language model",
                                          "the original passage",
                                          "in summary",
                                          "to summarize",
                                          "the prompt",
                                          "the instruction",
                                          "the instructions",
                                          "the user" };
    uint64_t found = text_find_each(s, n, phrase, N_OF(phrase));
    for (size_t i = 0; i < N_OF(phrase); i++)
        if ((found >> i & 1) && !text_find(source, strlen(source), phrase[i]))
            return true;
    return false;
}

static bool has_meta(struct arena *a, const char *text, size_t n_bytes, const char *source)
{
    struct arena_mark mark = arena_mark(a);
    size_t n;
    bool meta = false;
    struct span *s = text_sentences(a, text, n_bytes, &n);
    for (size_t i = 0; i < n && !meta; i++)
        meta = sentence_is_meta(s[i].s, s[i].n_bytes, source);
    arena_rewind(a, mark);
    return meta;
}

static bool is_refusal(const char *s, size_t n)
{
    static const char *const phrase[] = {
        "as an ai",           "i cannot",          "i can't",
        "i'm sorry",          "i am sorry",        "i'm unable",
        "i am unable",        "i'm not able",      "i don't have access",
        "i'm ready to help",  "i'm here to help",  "how can i help",
        "please provide the", "i'm happy to help", "i'd be happy to",
        "i'm glad you",       "how can i assist"
    };
    size_t head = n < 200 ? n : 200;
    return text_find_each(s, head, phrase, N_OF(phrase)) != 0;
}

static bool misses_form(const struct answer *a, const struct recipe *r)
{
    const struct recipe_limits *l = &r->limits;
    if (strcmp(r->parse.form, "qa") == 0)
        return a->no_mark || a->n_pairs < l->min_pairs;
    bool needs_lines = strcmp(r->parse.form, "text") != 0;
    return a->no_mark || a->n_lines < l->min_lines || (needs_lines && !a->n_lines);
}

static void flag(struct answer *a, enum verdict v, bool holds)
{
    if (holds)
        a->flags |= 1u << v;
}

void answer_judge(struct answer *a, const struct recipe *r, const struct ngram_index *domains,
                  struct arena *scratch)
{
    const struct recipe_limits *l = &r->limits;
    const char *t = a->text.s, *raw = a->raw;
    size_t n = a->text.n, n_raw = a->n_raw;
    bool keywords = strcmp(r->input.unit, "keywords") == 0;
    text_trim(&raw, &n_raw);
    a->flags = 0;
    a->n_words = (uint32_t)text_n_words(t, n);
    a->n_source_words = (uint32_t)text_n_words(a->source, strlen(a->source));
    a->copied = copied_share(scratch, t, n, a->source);
    a->raw_copied = copied_share(scratch, raw, n_raw, a->source);
    a->loop = loop_share(scratch, t, n);
    a->raw_loop = loop_share(scratch, raw, n_raw);
    a->survived = survival_of(scratch, t, n, a->source);
    a->raw_survived = survival_of(scratch, raw, n_raw, a->source);
    a->raw_meta_talk = !recipe_goes_on(r) && has_meta(scratch, raw, n_raw, a->source);

    flag(a, V_EMPTY, n_raw == 0);
    flag(a, V_TRUNCATED, a->hit_limit && (n == 0 || (!r->parse.cut_at_sentence && !a->cut_loop)));
    flag(a, V_NO_ROOM, a->no_room);
    flag(a, V_FILTERED, a->filtered);
    bool told = !recipe_goes_on(r); /* else the text is nobody's answer: "I can't" is its own */
    flag(a, V_NO_ROUND_TRIP, a->no_round_trip);
    flag(a, V_REFUSAL, told && is_refusal(raw, n_raw));
    flag(a, V_PROMPT_LEAK, leaks_prompt(scratch, t, n, a->frame, a->source));
    flag(a, V_META_TALK,
         told && ((a->n_meta_dropped && n == 0) || has_meta(scratch, t, n, a->source)));
    flag(a, V_FORMAT, misses_form(a, r));
    flag(a, V_TOO_SHORT, a->n_words < l->min_words);
    flag(a, V_OVERLONG,
         !keywords && l->max_ratio > 0 && a->n_source_words &&
             a->n_words > l->max_ratio * a->n_source_words);
    flag(a, V_LOOP, a->loop > l->max_loop);
    flag(a, V_COPY, a->copied > l->max_copied);
    for (int k = 0; k < SURVIVE_N; k++) /* NaN: nothing to lose */
        flag(a, V_SOURCE_LOST, survival_share(&a->survived, k) < l->min_survives[k]);
    flag(a, V_CONTAMINATED, domains && ngram_shared(domains, t, n) > 0);
    a->verdict = V_KEPT;
    for (int v = V_N - 1; v > V_KEPT; v--)
        if (a->flags >> v & 1)
            a->verdict = (enum verdict)v;
}

void answer_release(struct answer *a)
{
    str_release(&a->text);
}

struct js *answer_json(const struct answer *a)
{
    struct js *v = js_object(), *flags = js_array();
    js_put_text(v, "verdict", verdict_name(a->verdict));
    for (int k = V_KEPT + 1; k < V_N; k++)
        if (a->flags >> k & 1)
            js_push_text(flags, verdict_name((enum verdict)k));
    js_put(v, "flags", flags);
    js_put_whole(v, "n_words", a->n_words);
    js_put_whole(v, "n_source_words", a->n_source_words);
    js_put_real(v, "copied", a->copied);
    js_put_real(v, "loop", a->loop);
    for (int k = 0; k < SURVIVE_N; k++)
        js_put_real(v, survivor_name(k), survival_share(&a->survived, k));
    js_put_bool(v, "hit_limit", a->hit_limit);
    js_put_bool(v, "cut", a->cut);
    js_put_bool(v, "cut_loop", a->cut_loop);
    js_put_bool(v, "stripped", a->stripped);
    js_put_whole(v, "meta_dropped", a->n_meta_dropped);
    if (a->n_pairs)
        js_put_whole(v, "pairs", a->n_pairs);
    if (a->n_lines)
        js_put_whole(v, "lines", a->n_lines);
    js_put_bool(v, "raw_meta_talk", a->raw_meta_talk);
    js_put_real(v, "raw_loop", a->raw_loop);
    js_put_real(v, "raw_copied", a->raw_copied);
    for (int k = 0; k < SURVIVE_N; k++) {
        char key[32];
        snprintf(key, sizeof key, "raw_%s", survivor_name(k));
        js_put_real(v, key, survival_share(&a->raw_survived, k));
    }
    return v;
}
