/*
 * corpus/dict.c - dictionaries of the DICT server (.dict, .dict.dz): headwords in the first
 * column, explanations indented below, known by the entries "00-database-..." they begin with.
 *
 * An entry is too short to be a document, so consecutive entries are put together until there are
 * ENTRY_BYTES; the hard-wrapped lines of a paragraph are joined.
 */
#include <ctype.h>
#include <string.h>

#include "corpus/format.h"

enum { ENTRY_BYTES = 4096 };

static enum st next_line(struct input *in, const char **s, size_t *n, size_t *n_all,
                         struct err *err)
{
    for (size_t seen = 0;;) {
        enum st st = input_fill(in, seen + 1, err);
        if (st < 0)
            return st;
        *s = input_bytes(in);
        size_t have = input_unread(in);
        const char *eol = memchr(*s + seen, '\n', have - seen);
        if (eol || st == ST_END || have > RECORD_MAX) {
            *n = eol ? (size_t)(eol - *s) : have;
            *n_all = eol ? *n + 1 : have;
            return have ? ST_OK : ST_END;
        }
        seen = have;
    }
}

/* Cross references look {like this}: the braces go. Headwords of one entry are parted by %%%. */
static void add_line(struct strbuf *out, const char *s, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (n - i >= 3 && memcmp(s + i, "%%%", 3) == 0)
            str_adds(out, ", "), i += 2;
        else if (s[i] != '{' && s[i] != '}' && s[i] != '\r')
            str_addc(out, s[i]);
}

struct dict {
    bool in_info; /* inside a 00-database entry */
    bool in_paragraph, in_head;
};

/* Takes one line into in->text; true when a new entry begins and enough is gathered. */
static bool take_line(struct input *in, struct dict *d, const char *s, size_t n)
{
    struct strbuf *out = &in->text;
    size_t lead = 0;
    while (lead < n && isspace((unsigned char)s[lead]))
        lead++;
    if (lead == n) {
        d->in_paragraph = d->in_head = false;
        return false;
    }
    if (lead == 0 && !d->in_head) {
        if (!d->in_info && out->n >= ENTRY_BYTES)
            return true;
        d->in_info = n >= 11 && memcmp(s, "00-database", 11) == 0;
    }
    if (d->in_info)
        return false;
    if (out->n >= RECORD_MAX) /* an entry without end */
        return true;
    bool joins = lead == 0 ? d->in_head : d->in_paragraph;
    if (out->n > 0)
        str_adds(out, joins ? " " : lead == 0 ? "\n\n" : "\n");
    add_line(out, s + lead, n - lead);
    d->in_head = lead == 0; /* a list of headwords may take several lines */
    d->in_paragraph = lead > 0;
    return false;
}

static enum st dict_next(struct input *in, void *state, struct doc *doc, struct err *err)
{
    struct dict *d = state;
    str_clear(&in->text);
    in->record++;
    doc->offset = input_offset(in);
    for (;;) {
        const char *s;
        size_t n, n_all;
        enum st st = next_line(in, &s, &n, &n_all, err);
        if (st == ST_FORMAT) {
            struct err why = *err;
            st = input_damaged(in, err, "%s", why.msg);
            return st == ST_OK ? ST_END : st;
        }
        if (st < 0)
            return st;
        if (st == ST_OK && !take_line(in, d, s, n)) {
            input_take(in, n_all);
            continue;
        }
        if (in->text.n == 0)
            return ST_END;
        break;
    }
    if (!text_is_clean(in->text.s, in->text.n)) {
        str_clear(&in->scratch);
        text_clean(&in->scratch, in->text.s, in->text.n);
        struct strbuf swap = in->text;
        in->text = in->scratch;
        in->scratch = swap;
    }
    doc->id = input_id(in, true);
    doc->text = in->text.s;
    doc->n_bytes = in->text.n;
    return ST_OK;
}

static bool dict_match(const char *head, size_t n)
{
    size_t i = 0;
    while (i < n && isspace((unsigned char)head[i]))
        i++;
    return n - i >= 12 && memcmp(head + i, "00-database-", 12) == 0;
}

const struct format format_dict = {
    .name = "dict", .match = dict_match, .state_size = sizeof(struct dict), .next = dict_next
};
