/*
 * tok/unicode.h - the four classes of characters that pre-tokenizers tell apart, and NFC.
 *
 * Letters are the general categories L*, numbers N*, spaces the property White_Space (what \s means
 * to Hugging Face's regular expressions); everything else, damaged bytes included, is "other".
 *
 * NFC is that of Hugging Face tokenizers 0.23, whose tables are Unicode 9.0's: marks and letters
 * that came later neither move nor compose. Damaged bytes stay what and where they are.
 *
 * unicode.c is the only file that knows utf8proc.
 */
#ifndef MIXLAW_TOK_UNICODE_H
#define MIXLAW_TOK_UNICODE_H

#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

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

enum { NFC_GROWTH = 3 }; /* a text's NFC has at most so many times its bytes (U+1D160 has) */

struct nfc { /* memory for one text at a time; begins as zeros */
    struct strbuf out;
    int32_t *c, *sorted; /* characters of a stretch */
    size_t n, cap, sorted_cap;
};
/* The text in NFC, and its length: the text itself when nothing in it could change, else valid
 * until the next call. */
const uint8_t *nfc_text(struct nfc *s, const uint8_t *text, size_t *n_bytes);
void nfc_release(struct nfc *s);

#endif
