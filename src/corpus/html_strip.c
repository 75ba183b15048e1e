/*
 * corpus/html_strip.c - what is known of a page without parsing it: whether it is hostile, and its
 * text with the tags taken away. See html.h.
 */
#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "corpus/html.h"

enum {
    DEPTH_MAX = 512,       /* as browsers: deeper elements are made siblings */
    ATTRIBUTES_MAX = 1000, /* of one tag; parsers compare each with each */
    NAME_MAX_BYTES = 16
};

/* One tag, found by the rules of the HTML tokenizer as far as they matter here. */
struct tag {
    const char *end;           /* behind '>', or the end of the page */
    char name[NAME_MAX_BYTES]; /* lower case, cut */
    bool closing, self_closing;
    int n_attributes;
};

static bool space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f';
}

/* p stands on '<'. False: not a tag but text. */
static bool read_tag(struct tag *t, const char *p, const char *end)
{
    *t = (struct tag){ .end = end };
    p++;
    if (p < end && *p == '/') {
        t->closing = true;
        p++;
    }
    if (p >= end || !isalpha((unsigned char)*p))
        return false;
    size_t n = 0;
    for (; p < end && !space(*p) && *p != '/' && *p != '>'; p++)
        if (n < NAME_MAX_BYTES - 1)
            t->name[n++] = (char)tolower((unsigned char)*p);
    while (p < end && *p != '>') {
        t->self_closing = *p == '/';
        if (space(*p) || *p == '/') {
            p++;
            continue;
        }
        t->n_attributes++;
        while (p < end && !space(*p) && *p != '/' && *p != '>' && *p != '=')
            p++;
        while (p < end && space(*p))
            p++;
        if (p >= end || *p != '=')
            continue;
        p++;
        while (p < end && space(*p))
            p++;
        if (p < end && (*p == '"' || *p == '\'')) {
            const char *q = memchr(p + 1, *p, (size_t)(end - p - 1));
            p = q ? q + 1 : end;
        } else {
            while (p < end && !space(*p) && *p != '>')
                p++;
        }
    }
    t->end = p < end ? p + 1 : end;
    return true;
}

static const char *find_nocase(const char *p, const char *end, const char *word)
{
    size_t n = strlen(word);
    for (; (size_t)(end - p) >= n; p++) {
        p = memchr(p, word[0], (size_t)(end - p));
        if (!p || (size_t)(end - p) < n)
            return NULL;
        if (strncasecmp(p, word, n) == 0)
            return p;
    }
    return NULL;
}

/* Behind a comment, declaration or raw element that starts at p, or NULL when none does. */
static const char *pass_over(const char *p, const char *end)
{
    static const char *const raw[] = { "script", "style", "textarea", "title", "xmp", "noframes" };
    if (end - p >= 4 && memcmp(p, "<!--", 4) == 0) {
        const char *q = find_nocase(p + 4, end, "-->");
        return q ? q + 3 : end;
    }
    if (end - p >= 2 && (p[1] == '!' || p[1] == '?')) {
        const char *q = memchr(p, '>', (size_t)(end - p));
        return q ? q + 1 : end;
    }
    struct tag t;
    if (!read_tag(&t, p, end) || t.closing)
        return NULL;
    for (size_t i = 0; i < sizeof raw / sizeof *raw; i++) {
        if (strcmp(t.name, raw[i]) != 0)
            continue;
        char close[NAME_MAX_BYTES + 2] = "</";
        strcat(close, raw[i]);
        const char *q = find_nocase(t.end, end, close);
        return q ? q : end; /* the closing tag itself is read as any other */
    }
    return NULL;
}

static bool in_list(const char *name, const char *const *list)
{
    for (; *list; list++)
        if (strcmp(name, *list) == 0)
            return true;
    return false;
}

/* Elements that never hold others, or that end by themselves where the next one begins. */
static const char *const shallow[] = { "p",     "li",       "br",     "img",   "hr",     "input",
                                       "meta",  "link",     "td",     "tr",    "th",     "dt",
                                       "dd",    "tbody",    "thead",  "tfoot", "option", "col",
                                       "area",  "wbr",      "source", "param", "base",   "embed",
                                       "track", "colgroup", NULL };

bool html_is_hostile(const char *page, size_t n_bytes)
{
    /* Open elements by a hash of their name: a closing tag only counts for what is open. */
    enum { BUCKETS = 256 };
    int open[BUCKETS] = { 0 };
    int depth = 0;
    bool foreign = false; /* inside svg and math everything nests */
    const char *p = page, *end = page + n_bytes;
    while (p < end && (p = memchr(p, '<', (size_t)(end - p))) != NULL) {
        const char *q = pass_over(p, end);
        struct tag t;
        if (q) {
            p = q > p ? q : p + 1;
            continue;
        }
        if (!read_tag(&t, p, end)) {
            p++;
            continue;
        }
        p = t.end;
        if (t.n_attributes > ATTRIBUTES_MAX)
            return true;
        if (strcmp(t.name, "svg") == 0 || strcmp(t.name, "math") == 0)
            foreign = true;
        if ((!foreign && in_list(t.name, shallow)) || (foreign && t.self_closing))
            continue;
        unsigned bucket = 0;
        for (const char *c = t.name; *c; c++)
            bucket = bucket * 31 + (unsigned char)*c;
        bucket %= BUCKETS;
        if (!t.closing) {
            open[bucket]++;
            depth++;
        } else if (open[bucket] > 0) {
            open[bucket]--;
            depth--;
        }
        if (depth > DEPTH_MAX)
            return true;
    }
    return false;
}

static const char *const inline_tags[] = { "a",   "b",    "i",   "em",   "strong", "span", "code",
                                           "tt",  "sub",  "sup", "u",    "small",  "big",  "font",
                                           "q",   "cite", "var", "abbr", "kbd",    "samp", "img",
                                           "dfn", "mark", "s",   "del",  "ins",    NULL };

/* The few entities that plain text is full of; others stay as they are written. */
static size_t entity(struct strbuf *out, const char *p, const char *end)
{
    static const struct {
        const char *name, *text;
    } row[] = { { "&amp;", "&" },   { "&lt;", "<" },   { "&gt;", ">" },
                { "&quot;", "\"" }, { "&nbsp;", " " }, { "&#39;", "'" } };
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        size_t n = strlen(row[i].name);
        if ((size_t)(end - p) >= n && memcmp(p, row[i].name, n) == 0) {
            str_adds(out, row[i].text);
            return n;
        }
    }
    return 0;
}

void html_strip(const char *page, size_t n_bytes, struct strbuf *text)
{
    const char *p = page, *end = page + n_bytes;
    size_t start = text->n;
    bool want_space = false, want_line = false;
    str_add(text, "", 0);
    while (p < end) {
        if (*p == '<') {
            const char *q = pass_over(p, end);
            struct tag t;
            bool is_tag = !q && read_tag(&t, p, end);
            if (is_tag && !in_list(t.name, inline_tags))
                want_line = true;
            if (q || is_tag) {
                p = q ? (q > p ? q : p + 1) : t.end;
                continue;
            }
        }
        if (space(*p) || *p == '\0') {
            want_space = true;
            p++;
            continue;
        }
        if (text->n > start && want_line)
            str_addc(text, '\n');
        else if (text->n > start && want_space)
            str_addc(text, ' ');
        want_line = want_space = false;
        size_t n = *p == '&' ? entity(text, p, end) : 0;
        if (n == 0) {
            str_addc(text, *p);
            n = 1;
        }
        p += n;
    }
}
