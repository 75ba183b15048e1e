/*
 * tok/unicode.h - the four classes of characters that pre-tokenizers tell apart.
 *
 * Letters are the general categories L*, numbers N*, spaces the property White_Space (what \s means
 * to Hugging Face's regular expressions); everything else, damaged bytes included, is "other".
 * unicode.c is the only file that knows utf8proc.
 */
#ifndef MIXLAW_TOK_UNICODE_H
#define MIXLAW_TOK_UNICODE_H

#include <stddef.h>
#include <stdint.h>

enum char_class { CHAR_LETTER, CHAR_NUMBER, CHAR_SPACE, CHAR_OTHER };

extern const uint8_t ascii_class[128];

/* Class and length of the character at p < end that does not begin with an ASCII byte. A byte that
 * begins no valid character is "other" and one byte long. */
enum char_class wide_class(const uint8_t *p, const uint8_t *end, size_t *n_bytes);

static inline enum char_class class_at(const uint8_t *p, const uint8_t *end, size_t *n_bytes)
{
    if (*p < 128) {
        *n_bytes = 1;
        return (enum char_class)ascii_class[*p];
    }
    return wide_class(p, end, n_bytes);
}

#endif
