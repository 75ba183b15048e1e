/*
 * synth/answer.c - reading a raw answer: what is the document in it? Conservative: a rule cuts only
 * what is surely not part of the text, and reading an already clean text changes nothing.
 */
#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "synth/forms.h"
#include "synth/text.h"
#include "synth/verdict.h"

enum { PREAMBLE_MAX = 300 }; /* bytes within which an announcement must end */

static bool begins(const char *s, size_t n, const char *with)
{
    size_t len = strlen(with);
    return n >= len && strncasecmp(s, with, len) == 0;
}

static bool begins_with_any(const char *s, size_t n, const char *const *list, size_t n_list)
{
    for (size_t i = 0; i < n_list; i++)
        if (begins(s, n, list[i]))
            return true;
    return false;
}

/* "Here is a rewritten version of the passage:" + blank: an opener, a word about the task and a
 * colon at the line's end. Returns the bytes to cut. */
static size_t preamble_len(const char *s, size_t n)
{
    static const char *const opener[] = {
        "here is",   "here's",  "here are",         "sure",         "certainly", "of course",
        "below is",  "okay",    "the following is", "this is a re", "i have re", "i've re",
        "rewritten", "revised", "paraphrased",      "based on the"
    };
    static const char *const about[] = { "rewrit",  "rewrote",   "rephras",  "paraphras",
                                         "version", "passage",   "summar",   "entry",
                                         "article", "paragraph", "question", "answer",
                                         "lesson",  "chapter",   "text",     "explanation" };
    size_t line = 0;
    while (line < n && s[line] != '\n')
        line++;
    size_t last = line;
    while (last && (isspace((unsigned char)s[last - 1]) || s[last - 1] == '*'))
        last--;
    if (line > PREAMBLE_MAX || !last || s[last - 1] != ':' ||
        !begins_with_any(s, n, opener, N_OF(opener)))
        return 0;
    for (size_t i = 0; i < N_OF(about); i++)
        for (size_t k = 0; k < last; k++)
            if (begins(s + k, last - k, about[i]))
                return line;
    return 0;
}

/* A last paragraph that offers more help is no part of the text. */
static size_t without_closing(const char *s, size_t n)
{
    static const char *const closing[] = { "i hope",          "let me know",
                                           "feel free",       "if you need",
                                           "if you have any", "please let me know",
                                           "would you like",  "is there anything" };
    size_t at = n;
    while (at && !(s[at - 1] == '\n'))
        at--;
    if (at && begins_with_any(s + at, n - at, closing, N_OF(closing)))
        return at;
    return n;
}

/* Fences and quotes around the whole text, leftovers of reasoning before it. */
static void unwrap(const char **s, size_t *n)
{
    static const char think[] = "</think>";
    for (size_t i = 0; i + sizeof think - 1 <= *n; i++)
        if (memcmp(*s + i, think, sizeof think - 1) == 0) {
            *s += i + sizeof think - 1;
            *n -= i + sizeof think - 1;
            break;
        }
    text_trim(s, n);
    if (*n > 6 && memcmp(*s, "```", 3) == 0 && memcmp(*s + *n - 3, "```", 3) == 0) {
        const char *line = memchr(*s, '\n', *n);
        if (line && line < *s + *n - 3) {
            *n = (size_t)(*s + *n - 3 - line);
            *s = line;
            text_trim(s, n);
        }
    }
    if (*n > 2 && (*s)[0] == '"' && (*s)[*n - 1] == '"' && !memchr(*s + 1, '"', *n - 2)) {
        (*s)++;
        *n -= 2;
        text_trim(s, n);
    }
}

/* Where the text begins to say again what it said: the first sentence of four words or more that
 * stood there before. n when it never does. */
static size_t loop_begin(const char *s, size_t n, struct arena *scratch)
{
    struct arena_mark mark = arena_mark(scratch);
    size_t n_sentence, at = n;
    struct span *sent = text_sentences(scratch, s, n, &n_sentence);
    struct hashset seen = hashset_new(scratch, n_sentence);
    for (size_t i = 0; i < n_sentence && at == n; i++) {
        struct arena_mark inner = arena_mark(scratch);
        size_t n_word;
        struct word *w = text_words(scratch, sent[i].s, sent[i].n_bytes, &n_word);
        uint64_t h = n_word >= 4 ? words_hash(w, n_word) : 0;
        arena_rewind(scratch, inner);
        if (n_word >= 4 && hashset_add(&seen, h))
            at = (size_t)(sent[i].s - s);
    }
    arena_rewind(scratch, mark);
    return at;
}

/* Copies all sentences but those that talk about the passage, with the white space between them. */
static void drop_meta(struct answer *a, const char *s, size_t n, struct arena *scratch)
{
    struct arena_mark mark = arena_mark(scratch);
    size_t n_sentence;
    struct span *sent = text_sentences(scratch, s, n, &n_sentence);
    const char *from = s;
    for (size_t i = 0; i < n_sentence; i++) {
        if (sentence_is_meta(sent[i].s, sent[i].n_bytes, a->source))
            a->n_meta_dropped++;
        else
            str_add(&a->text, from, (size_t)(sent[i].s + sent[i].n_bytes - from));
        from = sent[i].s + sent[i].n_bytes;
    }
    arena_rewind(scratch, mark);
}

static void read_text(struct answer *a, const struct recipe *r, const char *s, size_t n,
                      struct arena *scratch)
{
    if (r->parse.cut_at_loop) {
        size_t at = loop_begin(s, n, scratch);
        a->cut_loop = at < n;
        n = at;
    }
    if (a->hit_limit && !a->cut_loop) {
        size_t whole = r->parse.cut_at_sentence ? text_whole_sentences(s, n) : n;
        a->cut = whole < n;
        n = whole;
    }
    if (r->parse.drop_meta_sentences)
        drop_meta(a, s, n, scratch);
    else
        str_add(&a->text, s, n);
}

static uint32_t count_lines(const char *s, size_t n, const char *start)
{
    uint32_t count = 0;
    for (const char *p = s, *end = s + n; p < end;) {
        const char *eol = text_line_end(p, end);
        count += line_start_len(p, (size_t)(eol - p), start) > 0;
        p = eol < end ? eol + 1 : end;
    }
    return count;
}

/* Moves behind the last line's start that says `mark`: a plan before it is no part of the text.
 * False when there is none. */
static bool skip_to(const char **s, size_t *n, const char *mark)
{
    const char *found = NULL, *end = *s + *n;
    for (const char *p = *s; p < end;) {
        const char *eol = text_line_end(p, end);
        size_t len = line_start_len(p, (size_t)(eol - p), mark);
        found = len ? p + len : found;
        p = eol < end ? eol + 1 : end;
    }
    if (!found)
        return false;
    *n = (size_t)(end - found);
    *s = found;
    text_trim(s, n);
    return true;
}

static void read_form(struct answer *a, const struct recipe *r, const char *s, size_t n,
                      struct arena *scratch)
{
    const char *form = r->parse.form;
    if (strcmp(form, "qa") == 0)
        form_pairs(a, r, s, n, scratch);
    else if (strcmp(form, "lines") == 0)
        form_lines(a, r, s, n, scratch);
    else if (strcmp(form, "table") == 0)
        form_table(a, r, s, n, scratch);
    else
        read_text(a, r, s, n, scratch);
    if (strcmp(form, "text") == 0 && r->limits.min_lines)
        a->n_lines = count_lines(a->text.s, a->text.n, r->parse.line_start);
}

void answer_read(struct answer *a, const struct recipe *r, struct arena *scratch)
{
    const char *s = a->raw;
    size_t n = a->n_raw;
    str_clear(&a->text);
    str_adds(&a->text, "");
    a->stripped = a->cut = a->cut_loop = false;
    a->n_pairs = a->n_lines = a->n_meta_dropped = 0;
    if (recipe_edits(r)) { /* the page's own text: what looks like chatter is the page's */
        str_add(&a->text, s, n);
        return;
    }
    text_trim(&s, &n);
    a->no_mark = r->parse.after && !skip_to(&s, &n, r->parse.after);
    if (a->no_mark)
        n = 0;
    if (r->parse.strip_preamble) {
        const char *before = s;
        size_t len = n;
        unwrap(&s, &n);
        size_t skip = preamble_len(s, n);
        s += skip;
        n -= skip;
        text_trim(&s, &n);
        n = without_closing(s, n);
        unwrap(&s, &n);
        a->stripped = s != before || n != len;
    }
    read_form(a, r, s, n, scratch);
    const char *t = a->text.s;
    size_t k = a->text.n;
    text_trim(&t, &k);
    memmove(a->text.s, t, k);
    a->text.n = k;
    a->text.s[k] = '\0';
}
