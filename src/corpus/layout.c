/* corpus/layout.c - see layout.h. */
#include "corpus/layout.h"

#include <ctype.h>
#include <string.h>

void layout_lines(struct layout *l, int n)
{
    if (l->lines < n)
        l->lines = n;
    l->space = false;
}

static void settle(struct layout *l)
{
    bool begun = l->out->n > l->start;
    if (begun && l->lines > 0)
        str_add(l->out, "\n\n", (size_t)l->lines);
    else if (begun && l->cell)
        str_adds(l->out, " | ");
    else if (begun && l->space)
        str_addc(l->out, ' ');
    if (l->marker) {
        for (int i = 1; i < l->indent && i < 8; i++)
            str_adds(l->out, "  ");
        if (l->number > 0)
            str_printf(l->out, "%d. ", l->number);
        else
            str_adds(l->out, "- ");
    }
    l->lines = 0;
    l->space = l->cell = l->marker = false;
}

/* Bytes of invisible or blank characters at s: no-break space is a space, the others are nothing.
 */
static size_t odd_space(const char *s, bool *blank)
{
    *blank = false;
    if (memcmp(s, "\xC2\xA0", 2) == 0) {
        *blank = true;
        return 2;
    }
    if (memcmp(s, "\xC2\xAD", 2) == 0)
        return 2;
    if (strncmp(s, "\xE2\x80\x8B", 3) == 0 || strncmp(s, "\xEF\xBB\xBF", 3) == 0)
        return 3;
    return 0;
}

void layout_words(struct layout *l, const char *s)
{
    while (*s) {
        const char *p = s;
        bool blank = false;
        size_t odd = 0;
        while ((unsigned char)*p > ' ') {
            unsigned char c = (unsigned char)*p;
            if (c == 0x7F ||
                ((c == 0xC2 || c == 0xE2 || c == 0xEF) && (odd = odd_space(p, &blank))))
                break;
            p++;
        }
        if (p > s) {
            settle(l);
            str_add(l->out, s, (size_t)(p - s));
        }
        if (!*p)
            return;
        if (odd == 0)
            blank = *p != 0x7F;
        if (blank)
            l->space = true;
        s = p + (odd ? odd : 1);
    }
}

void layout_pre(struct layout *l, const char *s)
{
    while (*s) {
        size_t n = strcspn(s, "\r\f\v\x7F");
        if (n > 0) {
            bool owed = l->lines > 0 || l->marker;
            if (owed && s[strspn(s, " \t\n")] == '\0')
                return; /* nothing but blanks before the first word */
            if (owed)
                settle(l);
            str_add(l->out, s, n);
        }
        s += n + (s[n] != '\0');
    }
}

void layout_trim(struct layout *l)
{
    while (l->out->n > l->start && isspace((unsigned char)l->out->s[l->out->n - 1]))
        l->out->s[--l->out->n] = '\0';
}
