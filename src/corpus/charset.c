/* corpus/charset.c - see charset.h. */
#include "corpus/charset.h"

#include <errno.h>
#include <iconv.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

#include "base/attr.h"

/*
 * Labels to iconv's names. A list, not whatever a page says: iconv would load code for any name.
 */
static const struct {
    const char *label, *name;
} charsets[] = {
    { "utf-8", "UTF-8" },           { "utf8", "UTF-8" },
    { "iso-8859-1", "CP1252" },     { "iso8859-1", "CP1252" },
    { "iso_8859-1", "CP1252" },     { "latin1", "CP1252" },
    { "us-ascii", "CP1252" },       { "ascii", "CP1252" },
    { "windows-1252", "CP1252" },   { "cp1252", "CP1252" },
    { "windows-1250", "CP1250" },   { "windows-1251", "CP1251" },
    { "cp1251", "CP1251" },         { "windows-1253", "CP1253" },
    { "windows-1254", "CP1254" },   { "windows-1255", "CP1255" },
    { "windows-1256", "CP1256" },   { "windows-1257", "CP1257" },
    { "windows-1258", "CP1258" },   { "iso-8859-2", "ISO-8859-2" },
    { "iso-8859-3", "ISO-8859-3" }, { "iso-8859-4", "ISO-8859-4" },
    { "iso-8859-5", "ISO-8859-5" }, { "iso-8859-6", "ISO-8859-6" },
    { "iso-8859-7", "ISO-8859-7" }, { "iso-8859-8", "ISO-8859-8" },
    { "iso-8859-9", "CP1254" },     { "iso-8859-15", "ISO-8859-15" },
    { "koi8-r", "KOI8-R" },         { "koi8-u", "KOI8-U" },
    { "macintosh", "MACINTOSH" },   { "shift_jis", "CP932" },
    { "shift-jis", "CP932" },       { "sjis", "CP932" },
    { "euc-jp", "EUC-JP" },         { "gb2312", "GB18030" },
    { "gbk", "GB18030" },           { "gb18030", "GB18030" },
    { "big5", "BIG5-HKSCS" },       { "euc-kr", "CP949" },
    { "utf-16", "UTF-16LE" },       { "utf-16le", "UTF-16LE" },
    { "utf-16be", "UTF-16BE" },
};

static const char *known(const char *label)
{
    for (size_t i = 0; i < sizeof charsets / sizeof *charsets; i++)
        if (strcasecmp(label, charsets[i].label) == 0)
            return charsets[i].name;
    return NULL;
}

/* The charset that <meta charset=X> or <meta ... content="text/html; charset=X"> names, or NULL. */
static const char *from_meta(const char *s, size_t n)
{
    char label[32];
    if (n > 2048)
        n = 2048;
    for (size_t i = 0; i + 8 < n; i++) {
        if ((s[i] | 0x20) != 'c' || strncasecmp(s + i, "charset", 7) != 0)
            continue;
        size_t j = i + 7, len = 0;
        while (j < n && strchr(" =\"'", s[j]) && s[j])
            j++;
        while (j < n && len < sizeof label - 1 && s[j] && !strchr("\"'; />\t\r\n", s[j]))
            label[len++] = s[j++];
        label[len] = '\0';
        const char *name = known(label);
        if (name)
            return strncmp(name, "UTF-16", 6) == 0 ? "UTF-8" : name; /* it was readable as ASCII */
    }
    return NULL;
}

static void convert(struct strbuf *out, const char *s, size_t n, const char *name)
{
    iconv_t cd = iconv_open("UTF-8", name);
    if (cd == (iconv_t)-1) { /* a C library without this table */
        utf8_repair(out, s, n);
        return;
    }
    char *from = (char *)(uintptr_t)s;
    while (n > 0) {
        str_reserve(out, 2 * n + 64);
        char *to = out->s + out->n;
        size_t room = out->cap - out->n - 1, before = room;
        size_t r = iconv(cd, &from, &n, &to, &room);
        out->n += before - room;
        if (r != (size_t)-1 || errno == E2BIG)
            continue;
        str_adds(out, "\xEF\xBF\xBD"); /* EILSEQ; EINVAL: cut at the end */
        from++;
        n--;
    }
    str_add(out, "", 0);
    iconv_close(cd);
}

void charset_to_utf8(struct strbuf *out, const char *s, size_t n, const char *label,
                     bool look_inside)
{
    const char *name = NULL;
    str_add(out, "", 0);
    if (n >= 3 && memcmp(s, "\xEF\xBB\xBF", 3) == 0) {
        utf8_repair(out, s + 3, n - 3);
        return;
    }
    if (n >= 2 && (memcmp(s, "\xFF\xFE", 2) == 0 || memcmp(s, "\xFE\xFF", 2) == 0)) {
        convert(out, s + 2, n - 2, s[0] == '\xFF' ? "UTF-16LE" : "UTF-16BE");
        return;
    }
    name = known(label);
    if (!name && look_inside)
        name = from_meta(s, n);
    bool wide = name && strncmp(name, "UTF-16", 6) == 0;
    if (!wide && utf8_valid(s, n) == n) { /* ISO-2022 and the like are not in the list */
        str_add(out, s, n);
        return;
    }
    if (name && strcmp(name, "UTF-8") == 0)
        utf8_repair(out, s, n);
    else
        convert(out, s, n, name ? name : "CP1252");
}
