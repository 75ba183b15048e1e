/* tok/unicode.c - see unicode.h. The only file that knows utf8proc. */
#include "tok/unicode.h"

#include <utf8proc.h>

#define L CHAR_LETTER
#define N CHAR_NUMBER
#define S CHAR_SPACE
#define O CHAR_OTHER
const uint8_t ascii_class[128] = {
    O, O, O, O, O, O, O, O, O, S, S, S, S, S, O, O, /* tab to carriage return */
    O, O, O, O, O, O, O, O, O, O, O, O, O, O, O, O, /* */
    S, O, O, O, O, O, O, O, O, O, O, O, O, O, O, O, /* space and punctuation */
    N, N, N, N, N, N, N, N, N, N, O, O, O, O, O, O, /* 0-9 */
    O, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, /* A-O */
    L, L, L, L, L, L, L, L, L, L, L, O, O, O, O, O, /* P-Z */
    O, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, /* a-o */
    L, L, L, L, L, L, L, L, L, L, L, O, O, O, O, O, /* p-z */
};

static enum char_class class_of(utf8proc_int32_t c)
{
    switch (utf8proc_category(c)) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
        return L;
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_NO:
        return N;
    case UTF8PROC_CATEGORY_ZS:
    case UTF8PROC_CATEGORY_ZL:
    case UTF8PROC_CATEGORY_ZP:
        return S;
    default:
        return c == 0x85 ? S : O; /* NEL is a control character with White_Space */
    }
}

enum char_class wide_class(const uint8_t *p, const uint8_t *end, size_t *n_bytes)
{
    utf8proc_int32_t c;
    utf8proc_ssize_t n = end - p < 4 ? end - p : 4;
    utf8proc_ssize_t used = utf8proc_iterate(p, n, &c);
    if (used <= 0) {
        *n_bytes = 1;
        return O;
    }
    *n_bytes = (size_t)used;
    return class_of(c);
}
