/*
 * corpus/pod.c - Perl's documentation format to text: commands begin with '=' at the start of a
 * paragraph, X<...> marks up words, indented paragraphs are verbatim (perlpodspec).
 */
#include <ctype.h>
#include <string.h>

#include "corpus/format.h"

static const char *const entity_name[] = { "lt", "gt", "verbar", "sol", "amp", "quot" };
static const char entity_char[] = "<>|/&\"";

static void add_entity(struct strbuf *out, const char *s, size_t n)
{
    for (size_t i = 0; i < sizeof entity_name / sizeof *entity_name; i++)
        if (strlen(entity_name[i]) == n && memcmp(s, entity_name[i], n) == 0) {
            str_addc(out, entity_char[i]);
            return;
        }
    str_add(out, s, n); /* numbers and letters with accents: rare; left as they are named */
}

/* One open formatting code: how it ends and what is shown of it. */
struct code {
    char letter;
    int n_angle;  /* brackets that close it */
    size_t start; /* of its output */
};

/* What is shown of a finished code whose raw content stands at out->s + start. */
static void finish_code(struct strbuf *out, const struct code *c)
{
    char *s = out->s + c->start;
    size_t n = out->n - c->start;
    if (c->n_angle > 1) { /* C<< x >>: the blanks inside belong to the brackets */
        size_t lead = 0;
        while (lead < n && isspace((unsigned char)s[lead]))
            lead++;
        memmove(s, s + lead, n - lead);
        n -= lead;
        while (n > 0 && isspace((unsigned char)s[n - 1]))
            n--;
    }
    if (c->letter == 'X' || c->letter == 'Z') {
        n = 0;
    } else if (c->letter == 'E') {
        char name[16];
        if (n < sizeof name) {
            memcpy(name, s, n);
            out->n = c->start;
            add_entity(out, name, n);
            return;
        }
    } else if (c->letter == 'L') { /* text|target, or the target itself */
        char *bar = memchr(s, '|', n);
        if (bar)
            n = (size_t)(bar - s);
        else if (n > 0 && s[0] == '/')
            memmove(s, s + 1, --n);
    }
    out->n = c->start + n;
    out->s[out->n] = '\0';
}

/* Appends a paragraph with its formatting codes resolved and its lines joined. */
static void add_words(struct strbuf *out, const char *s, size_t n)
{
    enum { MAX_OPEN = 32 };
    struct code open[MAX_OPEN];
    int n_open = 0;
    size_t start = out->n;
    for (size_t i = 0; i < n;) {
        if (isupper((unsigned char)s[i]) && i + 1 < n && s[i + 1] == '<' && n_open < MAX_OPEN) {
            int angle = 0;
            size_t j = i + 1;
            while (j < n && s[j] == '<')
                j++, angle++;
            if (angle > 1 && !(j < n && isspace((unsigned char)s[j])))
                angle = 1;
            open[n_open++] = (struct code){ s[i], angle, out->n };
            i += 1 + (size_t)angle;
            continue;
        }
        if (n_open > 0 && s[i] == '>') {
            int angle = open[n_open - 1].n_angle, k = 0;
            while (k < angle && i + (size_t)k < n && s[i + (size_t)k] == '>')
                k++;
            if (k == angle) {
                finish_code(out, &open[--n_open]);
                i += (size_t)angle;
                continue;
            }
        }
        char c = s[i++];
        if (c != ' ' && c != '\n' && c != '\t' && c != '\r')
            str_addc(out, c);
        else if (out->n > start && out->s[out->n - 1] != ' ')
            str_addc(out, ' ');
    }
    while (out->n > start && out->s[out->n - 1] == ' ')
        out->s[--out->n] = '\0';
}

struct pod {
    struct strbuf *out;
    bool tight;         /* the next paragraph belongs to an item's marker */
    bool skip, outside; /* inside =begin, after =cut */
};

static void new_block(struct pod *p)
{
    if (p->out->n > 0 && !p->tight)
        str_adds(p->out, "\n\n");
    p->tight = false;
}

static bool is_command(const char *s, size_t n, const char *name, const char **rest, size_t *n_rest)
{
    size_t len = strlen(name);
    if (n < len || memcmp(s, name, len) != 0 || (n > len && !isspace((unsigned char)s[len])))
        return false;
    while (len < n && isspace((unsigned char)s[len]))
        len++;
    *rest = s + len;
    *n_rest = n - len;
    return true;
}

static void add_item(struct pod *p, const char *s, size_t n)
{
    bool bullet = n == 0 || (n == 1 && *s == '*');
    new_block(p);
    if (bullet) {
        str_adds(p->out, "- ");
        p->tight = true;
        return;
    }
    if (*s == '*' && n > 2)
        str_adds(p->out, "- "), s += 2, n -= 2;
    add_words(p->out, s, n);
}

static void add_command(struct pod *p, const char *s, size_t n)
{
    const char *rest;
    size_t n_rest;
    p->outside = false;
    if (is_command(s, n, "=end", &rest, &n_rest))
        p->skip = false;
    else if (is_command(s, n, "=begin", &rest, &n_rest))
        p->skip = true;
    else if (is_command(s, n, "=cut", &rest, &n_rest))
        p->outside = true;
    else if (p->skip)
        return;
    else if (is_command(s, n, "=item", &rest, &n_rest))
        add_item(p, rest, n_rest);
    else if (n > 6 && memcmp(s, "=head", 5) == 0 && isdigit((unsigned char)s[5])) {
        new_block(p);
        size_t i = 6;
        while (i < n && isspace((unsigned char)s[i]))
            i++;
        add_words(p->out, s + i, n - i);
    }
}

/* A paragraph without its line end. */
static void add_paragraph(struct pod *p, const char *s, size_t n)
{
    if (n == 0)
        return;
    if (*s == '=' && n > 1 && isalpha((unsigned char)s[1])) {
        add_command(p, s, n);
        return;
    }
    if (p->skip || p->outside)
        return;
    bool verbatim = *s == ' ' || *s == '\t';
    new_block(p);
    if (verbatim)
        str_add(p->out, s, n);
    else
        add_words(p->out, s, n);
}

static void pod_text(struct strbuf *out, const char *s, size_t n)
{
    struct pod p = { .out = out, .outside = true };
    size_t start = 0;
    for (size_t i = 0; i <= n;) {
        const char *eol = i < n ? memchr(s + i, '\n', n - i) : NULL;
        size_t line_end = eol ? (size_t)(eol - s) : n;
        bool blank = true;
        for (size_t k = i; k < line_end && blank; k++)
            blank = isspace((unsigned char)s[k]);
        if (blank || line_end == n) {
            size_t end = blank ? i : n;
            while (end > start && isspace((unsigned char)s[end - 1]))
                end--;
            if (end > start)
                add_paragraph(&p, s + start, end - start);
            start = line_end + 1;
        }
        i = line_end + 1;
    }
    str_add(out, "", 0);
}

static enum st pod_next(struct input *in, void *state, struct doc *doc, struct err *err)
{
    (void)state;
    enum st st = input_whole(in, RECORD_MAX, err);
    if (st != ST_OK)
        return st;
    str_clear(&in->scratch);
    str_clear(&in->text);
    text_clean(&in->scratch, input_bytes(in), input_unread(in));
    input_take(in, input_unread(in));
    pod_text(&in->text, in->scratch.s, in->scratch.n);
    doc->id = input_id(in, false);
    doc->text = in->text.s;
    doc->n_bytes = in->text.n;
    return in->text.n ? ST_OK : ST_END;
}

/* A file that begins with a POD command, or with comment lines and then one. */
static bool pod_match(const char *head, size_t n)
{
    static const char *const begin[] = { "=head1 ", "=pod\n", "=encoding ", "=begin ", "=for " };
    for (size_t i = 0; i < n;) {
        if (head[i] == '=')
            for (size_t k = 0; k < sizeof begin / sizeof *begin; k++) {
                size_t len = strlen(begin[k]);
                if (n - i >= len && memcmp(head + i, begin[k], len) == 0)
                    return true;
            }
        const char *eol = memchr(head + i, '\n', n - i);
        if (!eol || !(head[i] == '#' || head[i] == '\n' || head[i] == '\r'))
            return false;
        i = (size_t)(eol + 1 - head);
    }
    return false;
}

const struct format format_pod = { .name = "pod", .match = pod_match, .next = pod_next };
