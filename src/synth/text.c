/* synth/text.c - see text.h. */
#include "synth/text.h"

#include <assert.h>
#include <ctype.h>
#include <string.h>
#include <strings.h>

/* By arithmetic: these see every byte of every answer, and calls into the C library for each, which
 * ask the locale, took most of the time of reading one. */
static bool is_word_byte(char c)
{
    unsigned u = (unsigned char)c;
    return (u | 32u) - 'a' < 26u || u - '0' < 10u || u >= 128u;
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + 'a' - 'A') : c;
}

struct word *text_words(struct arena *a, const char *text, size_t n_bytes, size_t *n)
{
    struct word *w = ARENA_ARRAY(a, struct word, n_bytes / 2 + 1);
    const char *p = text, *end = text + n_bytes;
    *n = 0;
    while (p < end) {
        if (!is_word_byte(*p)) {
            p++;
            continue;
        }
        uint64_t h = 0xcbf29ce484222325u; /* FNV-1a over lower-cased bytes */
        const char *s = p;
        for (; p < end && is_word_byte(*p); p++)
            h = (h ^ (unsigned char)lower(*p)) * 0x100000001b3u;
        w[(*n)++] = (struct word){ s, (uint32_t)(p - s), h };
    }
    return w;
}

size_t text_words_end(const char *text, size_t n_bytes, size_t n_words)
{
    size_t i = 0;
    for (; n_words; n_words--) {
        while (i < n_bytes && !is_word_byte(text[i]))
            i++;
        while (i < n_bytes && is_word_byte(text[i]))
            i++;
    }
    return i;
}

uint64_t words_hash(const struct word *w, size_t n)
{
    uint64_t h = 0x9e3779b97f4a7c15u;
    for (size_t i = 0; i < n; i++)
        h = (h ^ w[i].hash) * 0xff51afd7ed558ccdu + (h >> 29);
    return h;
}

size_t text_n_words(const char *text, size_t n_bytes)
{
    size_t n = 0;
    bool in = false;
    for (size_t i = 0; i < n_bytes; i++) {
        bool now = is_word_byte(text[i]) || (in && text[i] == '\'');
        n += now && !in;
        in = now;
    }
    return n;
}

/* "e.g." "Dr." "J." before the full stop at p: no end of a sentence. */
static bool is_abbreviation(const char *begin, const char *p)
{
    static const char *const known[] = { "e.g", "i.e", "etc", "vs",     "mr",  "mrs", "ms",
                                         "dr",  "st",  "fig", "cf",     "inc", "ltd", "jr",
                                         "sr",  "al",  "ca",  "approx", "sec", "vol", "prof" };
    const char *s = p;
    while (s > begin && (isalpha((unsigned char)s[-1]) || s[-1] == '.'))
        s--;
    size_t len = (size_t)(p - s);
    if (len == 1 && isupper((unsigned char)*s))
        return true;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strlen(known[i]) == len && strncasecmp(s, known[i], len) == 0)
            return true;
    return false;
}

/* The end of the sentence that begins at s: after its closing marks, or the end of its line. */
static const char *sentence_end(const char *s, const char *end, bool *whole)
{
    *whole = false;
    for (const char *p = s; p < end; p++) {
        if (*p == '\n')
            return p;
        if (*p != '.' && *p != '!' && *p != '?')
            continue;
        const char *q = p + 1;
        while (q < end && (strchr(".!?\"')]", *q) || (unsigned char)*q >= 128) && *q)
            q++; /* above 127: typographic quotes, also when a letter follows directly */
        if (q < end && !isspace((unsigned char)*q)) {
            p = q - 1; /* the marks up to there end no sentence either */
            continue;
        }
        if (*p == '.' && q < end && *q != '\n' && is_abbreviation(s, p))
            continue;
        *whole = true;
        return q;
    }
    return end;
}

struct span *text_sentences(struct arena *a, const char *text, size_t n_bytes, size_t *n)
{
    const char *p = text, *end = text + n_bytes;
    size_t cap = 1;
    for (size_t i = 0; i < n_bytes; i++)
        cap += text[i] == '\n' || text[i] == '.' || text[i] == '!' || text[i] == '?';
    struct span *s = ARENA_ARRAY(a, struct span, cap);
    *n = 0;
    while (p < end) {
        if (isspace((unsigned char)*p)) {
            p++;
            continue;
        }
        bool whole;
        const char *q = sentence_end(p, end, &whole);
        s[(*n)++] = (struct span){ p, (size_t)(q - p), whole };
        p = q;
    }
    return s;
}

size_t text_whole_sentences(const char *text, size_t n_bytes)
{
    const char *p = text, *end = text + n_bytes, *last = text;
    while (p < end) {
        if (isspace((unsigned char)*p)) {
            p++;
            continue;
        }
        bool whole;
        p = sentence_end(p, end, &whole);
        if (whole)
            last = p;
    }
    return (size_t)(last - text);
}

static struct piece piece_of(const char *from, const char *to, int index)
{
    size_t n = (size_t)(to - from);
    text_trim(&from, &n);
    return (struct piece){ from, n, text_n_words(from, n), index };
}

struct piece *text_passages(struct arena *a, const char *text, size_t n_bytes, size_t max_words,
                            size_t *n)
{
    size_t n_sentence, cap = text_n_words(text, n_bytes) + 1;
    struct span *s = text_sentences(a, text, n_bytes, &n_sentence);
    struct piece *out = ARENA_ARRAY(a, struct piece, cap);
    const char *from = NULL, *to = NULL;
    size_t have = 0;
    *n = 0;
    for (size_t i = 0; i < n_sentence; i++) {
        size_t words = text_n_words(s[i].s, s[i].n_bytes);
        if (from && have + words > max_words) {
            out[*n] = piece_of(from, to, (int)*n);
            (*n)++;
            from = NULL;
        }
        if (!from) {
            from = s[i].s;
            have = 0;
        }
        to = s[i].s + s[i].n_bytes;
        have += words;
        while (have > max_words) { /* one sentence that is too long */
            const char *p = from;
            for (size_t k = 0; k < max_words; k++) {
                while (p < to && !is_word_byte(*p))
                    p++;
                while (p < to && (is_word_byte(*p) || *p == '\''))
                    p++;
            }
            if (p >= to)
                break;
            out[*n] = piece_of(from, p, (int)*n);
            (*n)++;
            from = p;
            have -= max_words;
        }
    }
    if (from && have) {
        out[*n] = piece_of(from, to, (int)*n);
        (*n)++;
    }
    return out;
}

bool text_is_prose(struct arena *a, const char *text, size_t n_bytes)
{
    size_t n, in_sentence = 0, letters = 0, marks = 0, all = text_n_words(text, n_bytes);
    struct arena_mark mark = arena_mark(a);
    struct span *s = text_sentences(a, text, n_bytes, &n);
    for (size_t i = 0; i < n; i++) {
        size_t words = text_n_words(s[i].s, s[i].n_bytes);
        if (s[i].whole && words >= 4 && words <= 80)
            in_sentence += words;
    }
    arena_rewind(a, mark);
    for (size_t i = 0; i < n_bytes; i++) {
        letters += isalpha((unsigned char)text[i]) || (unsigned char)text[i] >= 128;
        marks += !isspace((unsigned char)text[i]);
    }
    return all && 10 * in_sentence >= 7 * all && 4 * letters >= 3 * marks;
}

void text_trim(const char **s, size_t *n)
{
    while (*n && isspace((unsigned char)**s)) {
        (*s)++;
        (*n)--;
    }
    while (*n && isspace((unsigned char)(*s)[*n - 1]))
        (*n)--;
}

const char *text_line_end(const char *p, const char *end)
{
    const char *eol = memchr(p, '\n', (size_t)(end - p));
    return eol ? eol : end;
}

/* The phrase stands at `i`, as whole words. */
static bool stands_at(const char *text, size_t n, size_t i, const char *phrase)
{
    if (i && is_word_byte(text[i - 1]))
        return false;
    for (; *phrase; phrase++, i++)
        if (i == n || lower(text[i]) != *phrase)
            return false;
    return i == n || !is_word_byte(text[i]);
}

const char *text_find(const char *text, size_t n, const char *phrase)
{
    for (size_t i = 0; i < n; i++)
        if (lower(text[i]) == *phrase && stands_at(text, n, i, phrase))
            return text + i;
    return NULL;
}

uint64_t text_find_each(const char *text, size_t n_bytes, const char *const *phrase, size_t n)
{
    uint64_t found = 0, by_letter[32] = { 0 }; /* phrases by the low bits of their first letter */
    assert(n <= 64);
    for (size_t k = 0; k < n; k++)
        by_letter[phrase[k][0] & 31] |= (uint64_t)1 << k;
    for (size_t i = 0; i < n_bytes; i++) {
        if (!is_word_byte(text[i]) || (i && is_word_byte(text[i - 1])))
            continue;
        uint64_t left = by_letter[text[i] & 31] & ~found;
        for (size_t k = 0; k < n && left >> k; k++)
            if ((left >> k & 1) && stands_at(text, n_bytes, i, phrase[k]))
                found |= (uint64_t)1 << k;
    }
    return found;
}

struct hashset hashset_new(struct arena *a, size_t n)
{
    size_t cap = 16;
    while (cap < 2 * n)
        cap *= 2;
    return (struct hashset){ ARENA_ARRAY(a, uint64_t, cap), cap - 1 };
}

bool hashset_add(struct hashset *s, uint64_t h)
{
    h += !h;
    size_t i = h & s->mask;
    for (; s->slot[i]; i = (i + 1) & s->mask)
        if (s->slot[i] == h)
            return true;
    s->slot[i] = h;
    return false;
}

bool hashset_has(const struct hashset *s, uint64_t h)
{
    h += !h;
    for (size_t i = h & s->mask; s->slot[i]; i = (i + 1) & s->mask)
        if (s->slot[i] == h)
            return true;
    return false;
}

size_t text_chat_mark(const char *text, const char **at)
{
    static const char *const known[] = { "[INST]", "[/INST]",         "<<SYS>>",
                                         "</s>",   "<start_of_turn>", "<end_of_turn>" };
    for (const char *p = strpbrk(text, "<["); p; p = strpbrk(p + 1, "<[")) {
        *at = p;
        if (str_starts(p, "<|")) {
            size_t n = 2;
            while (isalnum((unsigned char)p[n]) || p[n] == '_')
                n++;
            if (n > 2 && str_starts(p + n, "|>"))
                return n + 2;
        }
        for (size_t i = 0; i < N_OF(known); i++)
            if (str_starts(p, known[i]))
                return strlen(known[i]);
    }
    return 0;
}
