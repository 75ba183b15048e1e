/* tok/split.c - see split.h. Alternatives are tried in the order of the pattern, as a regular
 * expression engine does; ASCII goes through one table, the rest through unicode.h. */
#include "tok/split.h"

#include <stdbool.h>

#include "tok/unicode.h"

/* End of the run of characters of one class that begins at p. */
static const uint8_t *run_of(enum char_class want, const uint8_t *p, const uint8_t *end)
{
    size_t n;
    while (p < end) {
        if (*p < 128) {
            if (ascii_class[*p] != want)
                break;
            p++;
        } else {
            if (wide_class(p, end, &n) != want)
                break;
            p += n;
        }
    }
    return p;
}

/* Length of 's 't 'm 'd 're 've 'll at p, or 0. */
static size_t contraction(const uint8_t *p, const uint8_t *end)
{
    if (end - p < 2)
        return 0;
    if (p[1] == 's' || p[1] == 't' || p[1] == 'm' || p[1] == 'd')
        return 2;
    if (end - p < 3)
        return 0;
    bool two = (p[1] == 'r' && p[2] == 'e') || (p[1] == 'v' && p[2] == 'e') ||
               (p[1] == 'l' && p[2] == 'l');
    return two ? 3 : 0;
}

/* The same in any case; the long s folds to s. */
static size_t contraction_any_case(const uint8_t *p, const uint8_t *end)
{
    uint8_t lower[3] = { '\'', 0, 0 };
    size_t n = end - p < 3 ? (size_t)(end - p) : 3;
    if (n == 3 && p[1] == 0xC5 && p[2] == 0xBF) /* U+017F */
        return 3;
    for (size_t i = 1; i < n; i++)
        lower[i] = p[i] >= 'A' && p[i] <= 'Z' ? (uint8_t)(p[i] + 32) : p[i];
    return contraction(lower, lower + n);
}

/* A run of spaces at p: all of it before the end of the text (or, with digits alone, before a
 * number), else all but its last character, which belongs to the next word or stands alone. */
static const uint8_t *spaces(const uint8_t *p, const uint8_t *end, bool stop_at_number)
{
    const uint8_t *at = p, *last = p;
    size_t n;
    while (at < end && class_at(at, end, &n) == CHAR_SPACE) {
        last = at;
        at += n;
    }
    if (at == end || last == p)
        return at;
    if (stop_at_number && class_at(at, end, &n) == CHAR_NUMBER)
        return at;
    return last;
}

static const uint8_t *next_gpt2(const uint8_t *p, const uint8_t *end, bool digits_alone)
{
    size_t n;
    if (*p == '\'') {
        size_t c = contraction(p, end);
        if (c)
            return p + c;
    }
    enum char_class class = class_at(p, end, &n);
    const uint8_t *first = p;
    if (*p == ' ' && p + 1 < end) { /* one space may lead a word */
        size_t m;
        enum char_class after = class_at(p + 1, end, &m);
        if (after == CHAR_LETTER || after == CHAR_OTHER ||
            (after == CHAR_NUMBER && !digits_alone)) {
            class = after;
            first = p + 1;
            n = m;
        }
    }
    if (class == CHAR_SPACE)
        return spaces(p, end, digits_alone);
    if (class == CHAR_NUMBER && digits_alone)
        return first + n;
    return run_of(class, first + n, end);
}

static bool is_newline(uint8_t c)
{
    return c == '\r' || c == '\n';
}

/* max_number: characters of a number that stay together. */
static const uint8_t *next_llama3(const uint8_t *p, const uint8_t *end, int max_number)
{
    size_t n, m;
    if (*p == '\'') {
        size_t c = contraction_any_case(p, end);
        if (c)
            return p + c;
    }
    enum char_class class = class_at(p, end, &n);
    if (class == CHAR_LETTER)
        return run_of(CHAR_LETTER, p + n, end);
    if (class != CHAR_NUMBER && !is_newline(*p) && p + n < end &&
        class_at(p + n, end, &m) == CHAR_LETTER)
        return run_of(CHAR_LETTER, p + n + m, end);
    if (class == CHAR_NUMBER) {
        const uint8_t *at = p + n;
        for (int i = 1; i < max_number && at < end && class_at(at, end, &n) == CHAR_NUMBER; i++)
            at += n;
        return at;
    }
    bool led = *p == ' ' && p + 1 < end && class_at(p + 1, end, &m) == CHAR_OTHER;
    if (class == CHAR_OTHER || led) {
        const uint8_t *at = run_of(CHAR_OTHER, led ? p + 1 : p, end);
        while (at < end && is_newline(*at))
            at++;
        return at;
    }
    const uint8_t *newline = NULL; /* the end of the last one in this run of spaces */
    for (const uint8_t *at = p; at < end && class_at(at, end, &n) == CHAR_SPACE; at += n)
        if (is_newline(*at))
            newline = at + 1;
    return newline ? newline : spaces(p, end, false);
}

size_t split_next(enum splitter kind, const uint8_t *p, const uint8_t *end)
{
    bool llama3 = kind == SPLIT_LLAMA3 || kind == SPLIT_QWEN2;
    const uint8_t *next = llama3 ? next_llama3(p, end, kind == SPLIT_QWEN2 ? 1 : 3)
                                 : next_gpt2(p, end, kind == SPLIT_SMOLLM);
    return (size_t)(next - p);
}
