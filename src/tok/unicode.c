/* tok/unicode.c - see unicode.h. The only file that knows utf8proc. */
#include "tok/unicode.h"

#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#include "base/attr.h"
#include "base/mem.h"

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

struct range { /* of characters, in a table that ascends */
    int32_t first, last;
};

static bool is_in(const struct range *range, size_t n, int32_t c)
{
    size_t lo = 0, hi = n;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (range[mid].last < c)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < n && range[lo].first <= c;
}

/* Letters and numbers of Unicode 15.1 and 16, and two runs of numbers of 17, that an older utf8proc
 * does not know: ids must not depend on the library that is installed. Hugging Face tokenizers 0.23
 * has these (its digits are one version ahead of its letters). */
static const struct range newer_letters[] = {
    { 0x1C89, 0x1C8A },   { 0xA7CB, 0xA7CD },   { 0xA7DA, 0xA7DC },   { 0x105C0, 0x105F3 },
    { 0x10D4A, 0x10D65 }, { 0x10D6F, 0x10D85 }, { 0x10EC2, 0x10EC4 }, { 0x11380, 0x11389 },
    { 0x1138B, 0x1138B }, { 0x1138E, 0x1138E }, { 0x11390, 0x113B5 }, { 0x113B7, 0x113B7 },
    { 0x113D1, 0x113D1 }, { 0x113D3, 0x113D3 }, { 0x11BC0, 0x11BE0 }, { 0x13460, 0x143FA },
    { 0x16100, 0x1611D }, { 0x16D40, 0x16D6C }, { 0x18CFF, 0x18CFF }, { 0x1E5D0, 0x1E5ED },
    { 0x1E5F0, 0x1E5F0 }, { 0x2EBF0, 0x2EE5D },
};
static const struct range newer_numbers[] = {
    { 0x10D40, 0x10D49 }, { 0x116D0, 0x116E3 }, { 0x11BF0, 0x11BF9 },
    { 0x11DE0, 0x11DE9 }, { 0x16130, 0x16139 }, { 0x16D70, 0x16D79 },
    { 0x16FF4, 0x16FF6 }, { 0x1CCF0, 0x1CCF9 }, { 0x1E5F1, 0x1E5FA },
};

static enum char_class unassigned_class(utf8proc_int32_t c)
{
    return is_in(newer_letters, N_OF(newer_letters), c)   ? L
           : is_in(newer_numbers, N_OF(newer_numbers), c) ? N
                                                          : O;
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

/* ---- NFC. ---- */

/* Characters of Unicode 9.0 that NFC may change or join to what stands before them: those of a
 * combining class, those that are no longer themselves in NFC, and second halves of compositions.
 * Small gaps between them hold characters that never change, which costs a little time only. Before
 * 0x300 there is none; whatever a newer utf8proc knows beyond these is left alone. */
static const struct range changing[] = {
    { 0x300, 0x36F },     { 0x374, 0x374 },     { 0x37E, 0x37E },     { 0x387, 0x387 },
    { 0x483, 0x487 },     { 0x591, 0x5C5 },     { 0x5C7, 0x5C7 },     { 0x610, 0x61A },
    { 0x64B, 0x65F },     { 0x670, 0x670 },     { 0x6D6, 0x6ED },     { 0x711, 0x711 },
    { 0x730, 0x74A },     { 0x7EB, 0x7F3 },     { 0x816, 0x819 },     { 0x81B, 0x823 },
    { 0x825, 0x827 },     { 0x829, 0x82D },     { 0x859, 0x85B },     { 0x8D4, 0x8E1 },
    { 0x8E3, 0x8FF },     { 0x93C, 0x93C },     { 0x94D, 0x94D },     { 0x951, 0x954 },
    { 0x958, 0x95F },     { 0x9BC, 0x9BC },     { 0x9BE, 0x9BE },     { 0x9CD, 0x9CD },
    { 0x9D7, 0x9D7 },     { 0x9DC, 0x9DD },     { 0x9DF, 0x9DF },     { 0xA33, 0xA33 },
    { 0xA36, 0xA36 },     { 0xA3C, 0xA3C },     { 0xA4D, 0xA4D },     { 0xA59, 0xA5B },
    { 0xA5E, 0xA5E },     { 0xABC, 0xABC },     { 0xACD, 0xACD },     { 0xB3C, 0xB3E },
    { 0xB4D, 0xB4D },     { 0xB56, 0xB57 },     { 0xB5C, 0xB5D },     { 0xBBE, 0xBBE },
    { 0xBCD, 0xBCD },     { 0xBD7, 0xBD7 },     { 0xC4D, 0xC4D },     { 0xC55, 0xC56 },
    { 0xCBC, 0xCBC },     { 0xCC2, 0xCC2 },     { 0xCCD, 0xCCD },     { 0xCD5, 0xCD6 },
    { 0xD3E, 0xD3E },     { 0xD4D, 0xD4D },     { 0xD57, 0xD57 },     { 0xDCA, 0xDCA },
    { 0xDCF, 0xDCF },     { 0xDDF, 0xDDF },     { 0xE38, 0xE3A },     { 0xE48, 0xE4B },
    { 0xEB8, 0xEB9 },     { 0xEC8, 0xECB },     { 0xF18, 0xF19 },     { 0xF35, 0xF39 },
    { 0xF43, 0xF43 },     { 0xF4D, 0xF5C },     { 0xF69, 0xF69 },     { 0xF71, 0xF87 },
    { 0xF93, 0xF93 },     { 0xF9D, 0xFAC },     { 0xFB9, 0xFB9 },     { 0xFC6, 0xFC6 },
    { 0x102E, 0x102E },   { 0x1037, 0x103A },   { 0x108D, 0x108D },   { 0x1161, 0x1175 },
    { 0x11A8, 0x11C2 },   { 0x135D, 0x135F },   { 0x1714, 0x1714 },   { 0x1734, 0x1734 },
    { 0x17D2, 0x17D2 },   { 0x17DD, 0x17DD },   { 0x18A9, 0x18A9 },   { 0x1939, 0x193B },
    { 0x1A17, 0x1A18 },   { 0x1A60, 0x1A60 },   { 0x1A75, 0x1A7C },   { 0x1A7F, 0x1A7F },
    { 0x1AB0, 0x1ABD },   { 0x1B34, 0x1B35 },   { 0x1B44, 0x1B44 },   { 0x1B6B, 0x1B73 },
    { 0x1BAA, 0x1BAB },   { 0x1BE6, 0x1BE6 },   { 0x1BF2, 0x1BF3 },   { 0x1C37, 0x1C37 },
    { 0x1CD0, 0x1CD2 },   { 0x1CD4, 0x1CE0 },   { 0x1CE2, 0x1CE8 },   { 0x1CED, 0x1CED },
    { 0x1CF4, 0x1CF4 },   { 0x1CF8, 0x1CF9 },   { 0x1DC0, 0x1DF5 },   { 0x1DFB, 0x1DFF },
    { 0x1F71, 0x1F7D },   { 0x1FBB, 0x1FBE },   { 0x1FC9, 0x1FD3 },   { 0x1FDB, 0x1FDB },
    { 0x1FE3, 0x1FEF },   { 0x1FF9, 0x1FFD },   { 0x2000, 0x2001 },   { 0x20D0, 0x20F0 },
    { 0x2126, 0x212B },   { 0x2329, 0x232A },   { 0x2ADC, 0x2ADC },   { 0x2CEF, 0x2CF1 },
    { 0x2D7F, 0x2D7F },   { 0x2DE0, 0x2DFF },   { 0x302A, 0x302F },   { 0x3099, 0x309A },
    { 0xA66F, 0xA66F },   { 0xA674, 0xA67D },   { 0xA69E, 0xA69F },   { 0xA6F0, 0xA6F1 },
    { 0xA806, 0xA806 },   { 0xA8C4, 0xA8C4 },   { 0xA8E0, 0xA8F1 },   { 0xA92B, 0xA92D },
    { 0xA953, 0xA953 },   { 0xA9B3, 0xA9B3 },   { 0xA9C0, 0xA9C0 },   { 0xAAB0, 0xAAB0 },
    { 0xAAB2, 0xAAB4 },   { 0xAAB7, 0xAAB8 },   { 0xAABE, 0xAABF },   { 0xAAC1, 0xAAC1 },
    { 0xAAF6, 0xAAF6 },   { 0xABED, 0xABED },   { 0xF900, 0xFA6D },   { 0xFA70, 0xFAD9 },
    { 0xFB1D, 0xFB1F },   { 0xFB2A, 0xFB36 },   { 0xFB38, 0xFB3C },   { 0xFB3E, 0xFB3E },
    { 0xFB40, 0xFB41 },   { 0xFB43, 0xFB44 },   { 0xFB46, 0xFB4E },   { 0xFE20, 0xFE2F },
    { 0x101FD, 0x101FD }, { 0x102E0, 0x102E0 }, { 0x10376, 0x1037A }, { 0x10A0D, 0x10A0D },
    { 0x10A0F, 0x10A0F }, { 0x10A38, 0x10A3A }, { 0x10A3F, 0x10A3F }, { 0x10AE5, 0x10AE6 },
    { 0x11046, 0x11046 }, { 0x1107F, 0x1107F }, { 0x110B9, 0x110BA }, { 0x11100, 0x11102 },
    { 0x11127, 0x11127 }, { 0x11133, 0x11134 }, { 0x11173, 0x11173 }, { 0x111C0, 0x111C0 },
    { 0x111CA, 0x111CA }, { 0x11235, 0x11236 }, { 0x112E9, 0x112EA }, { 0x1133C, 0x1133C },
    { 0x1133E, 0x1133E }, { 0x1134D, 0x1134D }, { 0x11357, 0x11357 }, { 0x11366, 0x1136C },
    { 0x11370, 0x11374 }, { 0x11442, 0x11442 }, { 0x11446, 0x11446 }, { 0x114B0, 0x114B0 },
    { 0x114BA, 0x114BA }, { 0x114BD, 0x114BD }, { 0x114C2, 0x114C3 }, { 0x115AF, 0x115AF },
    { 0x115BF, 0x115C0 }, { 0x1163F, 0x1163F }, { 0x116B6, 0x116B7 }, { 0x1172B, 0x1172B },
    { 0x11C3F, 0x11C3F }, { 0x16AF0, 0x16AF4 }, { 0x16B30, 0x16B36 }, { 0x1BC9E, 0x1BC9E },
    { 0x1D15E, 0x1D18B }, { 0x1D1AA, 0x1D1AD }, { 0x1D1BB, 0x1D1C0 }, { 0x1D242, 0x1D244 },
    { 0x1E000, 0x1E006 }, { 0x1E008, 0x1E018 }, { 0x1E01B, 0x1E021 }, { 0x1E023, 0x1E024 },
    { 0x1E026, 0x1E02A }, { 0x1E8D0, 0x1E8D6 }, { 0x1E944, 0x1E94A }, { 0x2F800, 0x2FA1D },
};

static bool changes(int32_t c)
{
    return c >= changing[0].first && is_in(changing, N_OF(changing), c);
}

/* -1 for a byte that begins no character. */
static int32_t character(const uint8_t *p, const uint8_t *end, size_t *n_bytes)
{
    utf8proc_int32_t c = *p;
    *n_bytes = 1;
    if (c < 128)
        return c;
    utf8proc_ssize_t used = utf8proc_iterate(p, end - p < 4 ? end - p : 4, &c);
    if (used <= 0)
        return -1;
    *n_bytes = (size_t)used;
    return c;
}

static void decompose(struct nfc *s, int32_t c)
{
    utf8proc_int32_t part[8];
    int bound = 0;
    utf8proc_ssize_t n = utf8proc_decompose_char(c, part, (utf8proc_ssize_t)N_OF(part),
                                                 UTF8PROC_STABLE | UTF8PROC_DECOMPOSE, &bound);
    assert(n > 0 && n <= (utf8proc_ssize_t)N_OF(part)); /* canonically four at most */
    for (utf8proc_ssize_t i = 0; i < n; i++) {
        GROW(s->c, s->n, s->cap);
        s->c[s->n++] = part[i];
    }
}

static int mark_class(int32_t c)
{
    return utf8proc_get_property(c)->combining_class;
}

/* Whether marks behind c, which is none of `changing`, may join it: not where it is a mark since
 * Unicode 9.0, nor where it is one of the only two letters since that compose with older marks
 * (Todhri, of Unicode 16). */
static bool may_be_joined(int32_t c)
{
    return c >= 0 && mark_class(c) == 0 && c != 0x105D2 && c != 0x105DA;
}

/* Puts the n marks at c in the order of their classes, equal ones as they were. A text may be one
 * long run of marks, so this counts instead of comparing. */
static void sort_marks(struct nfc *s, int32_t *c, size_t n)
{
    if (n < 2)
        return;
    size_t at[256] = { 0 }, sum = 0;
    if (s->sorted_cap < n) {
        s->sorted_cap = 2 * n;
        s->sorted = xrealloc(s->sorted, s->sorted_cap, sizeof *s->sorted);
    }
    for (size_t i = 0; i < n; i++)
        at[mark_class(c[i])]++;
    for (size_t k = 0; k < N_OF(at); k++) {
        size_t here = at[k];
        at[k] = sum;
        sum += here;
    }
    for (size_t i = 0; i < n; i++)
        s->sorted[at[mark_class(c[i])]++] = c[i];
    memcpy(c, s->sorted, n * sizeof *c);
}

/* Appends the NFC of the stretch at p, a character and the changing ones behind it; returns its
 * end. */
static const uint8_t *add_stretch(struct nfc *s, const uint8_t *p, const uint8_t *end)
{
    size_t n;
    int32_t c = character(p, end, &n);
    s->n = 0;
    do {
        decompose(s, c);
        p += n;
    } while (p < end && changes(c = character(p, end, &n)));
    for (size_t i = 0, from = 0; i <= s->n; i++)
        if (i == s->n || mark_class(s->c[i]) == 0) {
            sort_marks(s, s->c + from, i - from);
            from = i + 1;
        }
    utf8proc_ssize_t n_c =
        utf8proc_normalize_utf32(s->c, (utf8proc_ssize_t)s->n, UTF8PROC_STABLE | UTF8PROC_COMPOSE);
    assert(n_c > 0);
    for (utf8proc_ssize_t i = 0; i < n_c; i++) {
        utf8proc_uint8_t b[4];
        str_add(&s->out, b, (size_t)utf8proc_encode_char(s->c[i], b));
    }
    return p;
}

const uint8_t *nfc_text(struct nfc *s, const uint8_t *text, size_t *n_bytes)
{
    const uint8_t *p = text, *end = text + *n_bytes, *done = text;
    const uint8_t *base = p; /* the character before p */
    int32_t base_c = -1;
    str_clear(&s->out);
    for (size_t n; p < end;) {
        int32_t c = character(p, end, &n);
        if (changes(c)) {
            const uint8_t *from = may_be_joined(base_c) ? base : p;
            str_add(&s->out, done, (size_t)(from - done));
            done = p = add_stretch(s, from, end);
            base_c = -1;
            continue;
        }
        base = p;
        base_c = c;
        p += n;
    }
    if (done == text)
        return text;
    str_add(&s->out, done, (size_t)(end - done));
    assert(s->out.n <= NFC_GROWTH * *n_bytes);
    *n_bytes = s->out.n;
    return (const uint8_t *)s->out.s;
}

void nfc_release(struct nfc *s)
{
    str_release(&s->out);
    free(s->c);
    free(s->sorted);
    *s = (struct nfc){ 0 };
}
