/* tok/unicode.c - see unicode.h. The only file that knows utf8proc. */
#include "tok/unicode.h"

#include <stdbool.h>
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

/* Letters and numbers of Unicode 15.1 and 16, and two runs of numbers of 17, that an older utf8proc
 * does not know: ids must not depend on the library that is installed. Hugging Face tokenizers 0.23
 * has these (its digits are one version ahead of its letters). */
static const struct {
    int32_t first, last;
    uint8_t class;
} newer[] = {
    { 0x1C89, 0x1C8A, L },   { 0xA7CB, 0xA7CD, L },   { 0xA7DA, 0xA7DC, L },
    { 0x105C0, 0x105F3, L }, { 0x10D40, 0x10D49, N }, { 0x10D4A, 0x10D65, L },
    { 0x10D6F, 0x10D85, L }, { 0x10EC2, 0x10EC4, L }, { 0x11380, 0x11389, L },
    { 0x1138B, 0x1138B, L }, { 0x1138E, 0x1138E, L }, { 0x11390, 0x113B5, L },
    { 0x113B7, 0x113B7, L }, { 0x113D1, 0x113D1, L }, { 0x113D3, 0x113D3, L },
    { 0x116D0, 0x116E3, N }, { 0x11BC0, 0x11BE0, L }, { 0x11BF0, 0x11BF9, N },
    { 0x11DE0, 0x11DE9, N }, { 0x13460, 0x143FA, L }, { 0x16100, 0x1611D, L },
    { 0x16130, 0x16139, N }, { 0x16D40, 0x16D6C, L }, { 0x16D70, 0x16D79, N },
    { 0x16FF4, 0x16FF6, N }, { 0x18CFF, 0x18CFF, L }, { 0x1CCF0, 0x1CCF9, N },
    { 0x1E5D0, 0x1E5ED, L }, { 0x1E5F0, 0x1E5F0, L }, { 0x1E5F1, 0x1E5FA, N },
    { 0x2EBF0, 0x2EE5D, L },
};

static enum char_class unassigned_class(utf8proc_int32_t c)
{
    size_t lo = 0, hi = sizeof newer / sizeof *newer;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (newer[mid].last < c)
            lo = mid + 1;
        else
            hi = mid;
    }
    bool found = lo < sizeof newer / sizeof *newer && newer[lo].first <= c;
    return found ? (enum char_class)newer[lo].class : O;
}

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
    case UTF8PROC_CATEGORY_CN:
        return unassigned_class(c);
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
