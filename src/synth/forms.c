/* synth/forms.c - see forms.h. */
#include "synth/forms.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "synth/text.h"

enum { PARTS_MAX = 1024, CELLS_MAX = 32 };

/* What was written already, to leave it out the second time. */
struct seen {
    uint64_t hash[PARTS_MAX];
    size_t n;
};

static uint64_t hash_of(const char *s, size_t n_bytes, struct arena *scratch)
{
    struct arena_mark mark = arena_mark(scratch);
    size_t n;
    struct word *w = text_words(scratch, s, n_bytes, &n);
    uint64_t h = words_hash(w, n);
    arena_rewind(scratch, mark);
    return h;
}

static bool was_seen(const struct seen *s, uint64_t h)
{
    for (size_t i = 0; i < s->n; i++)
        if (s->hash[i] == h)
            return true;
    return false;
}

static void see(struct seen *s, uint64_t h)
{
    if (s->n < PARTS_MAX)
        s->hash[s->n++] = h;
}

static void squeeze(struct strbuf *b) /* white space to single spaces, trimmed */
{
    size_t k = 0;
    for (size_t i = 0; i < b->n; i++) {
        bool space = isspace((unsigned char)b->s[i]);
        if (!space)
            b->s[k++] = b->s[i];
        else if (k && b->s[k - 1] != ' ')
            b->s[k++] = ' ';
    }
    while (k && b->s[k - 1] == ' ')
        k--;
    b->n = k;
    if (b->s)
        b->s[k] = '\0';
}

/* The last part of an answer that hit the token limit: its whole sentences are left. */
static void cut_last(struct answer *a, const struct recipe *r, struct strbuf *part)
{
    if (!a->hit_limit || !part->n)
        return;
    a->cut = true;
    part->n = r->parse.cut_at_sentence ? text_whole_sentences(part->s, part->n) : 0;
    part->s[part->n] = '\0';
}

static bool is_meta(const struct answer *a, const struct recipe *r, const struct strbuf *part)
{
    return r->parse.drop_meta_sentences && sentence_is_meta(part->s, part->n, a->source);
}

/* ---- qa ---- */

struct pair {
    struct strbuf part[2];
};

/* "Question", "Question 2", "**Q1**" and so on before a colon at p, or NULL: behind the colon. */
static const char *tag_end(const char *p, const char *end, const char *word, size_t len)
{
    if ((size_t)(end - p) < len || strncasecmp(p, word, len) != 0)
        return NULL;
    for (p += len; p < end && (isdigit((unsigned char)*p) || *p == ' ' || *p == '*'); p++)
        ;
    if (p == end || *p != ':')
        return NULL;
    for (p++; p < end && *p == '*'; p++)
        ;
    return p;
}

/* The part that a line begins, -1: none; moves *line behind the tag. Marks of lists, headings and
 * emphasis before the tag are passed over; a tag's first letter stands for it. */
static int pair_tag(const struct recipe *r, const char **line, const char *end)
{
    static const char article[] = "the ";
    const char *p = *line;
    while (p < end && (strchr("*#->_ \t.)", *p) || isdigit((unsigned char)*p)) && *p)
        p++;
    if ((size_t)(end - p) >= strlen(article) && strncasecmp(p, article, strlen(article)) == 0)
        p += strlen(article);
    for (int part = 0; part < 2; part++) {
        const char *word = recipe_tag(r, part), *q = tag_end(p, end, word, strlen(word));
        if (!q)
            q = tag_end(p, end, word, 1);
        if (q) {
            *line = q;
            return part;
        }
    }
    return -1;
}

/* Writes a pair to the document when it is whole, new and no talk about the passage. */
static void pair_end(struct answer *a, const struct recipe *r, struct pair *p, bool last,
                     struct seen *seen, struct arena *scratch)
{
    struct strbuf *first = &p->part[0], *second = &p->part[1];
    squeeze(first);
    squeeze(second);
    if (last)
        cut_last(a, r, second);
    if (first->n && second->n && (!r->parse.max_pairs || a->n_pairs < r->parse.max_pairs)) {
        uint64_t h = hash_of(first->s, first->n, scratch);
        uint64_t h_second = hash_of(second->s, second->n, scratch);
        if (is_meta(a, r, first) || is_meta(a, r, second)) {
            a->n_meta_dropped++;
        } else if (was_seen(seen, h) || was_seen(seen, h_second)) {
            a->cut_loop = true;
        } else {
            see(seen, h);
            see(seen, h_second);
            str_printf(&a->text, "%s%s: %s\n%s: %s", a->n_pairs ? "\n\n" : "", recipe_tag(r, 0),
                       first->s, recipe_tag(r, 1), second->s);
            a->n_pairs++;
        }
    }
    str_clear(first);
    str_clear(second);
}

void form_pairs(struct answer *a, const struct recipe *r, const char *s, size_t n,
                struct arena *scratch)
{
    struct pair pair = { 0 };
    struct seen seen = { .n = 0 };
    int in = -1;
    for (const char *p = s, *end = s + n; p < end;) {
        const char *eol = text_line_end(p, end), *body = p;
        int tag = pair_tag(r, &body, eol);
        if (tag == 0) /* also ends the pair before */
            pair_end(a, r, &pair, false, &seen, scratch);
        in = tag >= 0 ? tag : in;
        if (in >= 0) {
            str_add(&pair.part[in], body, (size_t)(eol - body));
            str_addc(&pair.part[in], ' ');
        }
        p = eol < end ? eol + 1 : end;
    }
    pair_end(a, r, &pair, true, &seen, scratch);
    str_release(&pair.part[0]);
    str_release(&pair.part[1]);
}

/* ---- lines ---- */

/* "- ", "* ", "• ", "1. " and "1) " at p: any mark of a list; 0: none. */
static size_t list_mark_len(const char *p, size_t n)
{
    static const char bullet[] = "\xe2\x80\xa2"; /* • */
    size_t k = 0;
    while (k < n && isdigit((unsigned char)p[k]))
        k++;
    if (k && k < n && (p[k] == '.' || p[k] == ')'))
        k++;
    else if (n && (*p == '-' || *p == '*'))
        k = 1;
    else if (n >= strlen(bullet) && memcmp(p, bullet, strlen(bullet)) == 0)
        k = strlen(bullet);
    else
        return 0;
    return k < n && (p[k] == ' ' || p[k] == '\t') ? k + 1 : 0;
}

size_t line_start_len(const char *line, size_t n, const char *start)
{
    const char *p = line, *end = line + n;
    while (p < end && (*p == ' ' || *p == '\t'))
        p++;
    if (strcmp(start, "- ") == 0) {
        size_t mark = list_mark_len(p, (size_t)(end - p));
        return mark ? (size_t)(p - line) + mark : 0;
    }
    while (p < end && (*p == '*' || *p == '#' || *p == ' '))
        p++;
    for (; *start; start++) {
        if (*start == ' ' && !start[1]) /* a space at the end is ours to write */
            break;
        while (p < end && *p == '*' && *start != '*')
            p++;
        const char *from = p;
        if (*start == '#')
            while (p < end && isdigit((unsigned char)*p))
                p++;
        else if (p < end && tolower((unsigned char)*p) == tolower((unsigned char)*start))
            p++;
        if (p == from)
            return 0;
    }
    while (p < end && *p == '*')
        p++;
    return (size_t)(p - line);
}

static void add_start(struct strbuf *b, const char *start, uint32_t number)
{
    for (; *start; start++)
        if (*start == '#')
            str_printf(b, "%u", number);
        else
            str_addc(b, *start);
    if (b->s[b->n - 1] != ' ')
        str_addc(b, ' ');
}

static void item_end(struct answer *a, const struct recipe *r, struct strbuf *item, bool last,
                     struct seen *seen, struct arena *scratch)
{
    squeeze(item);
    if (last)
        cut_last(a, r, item);
    if (item->n && (!r->parse.max_lines || a->n_lines < r->parse.max_lines)) {
        uint64_t h = hash_of(item->s, item->n, scratch);
        if (is_meta(a, r, item)) {
            a->n_meta_dropped++;
        } else if (was_seen(seen, h)) {
            a->cut_loop = true;
        } else {
            see(seen, h);
            if (a->n_lines++)
                str_addc(&a->text, '\n');
            add_start(&a->text, r->parse.line_start, a->n_lines);
            str_add(&a->text, item->s, item->n);
        }
    }
    str_clear(item);
}

void form_lines(struct answer *a, const struct recipe *r, const char *s, size_t n,
                struct arena *scratch)
{
    struct strbuf item = { 0 };
    struct seen seen = { .n = 0 };
    bool in = false;
    for (const char *p = s, *end = s + n; p < end;) {
        const char *eol = text_line_end(p, end), *body = p;
        size_t len = (size_t)(eol - p);
        size_t start = line_start_len(p, len, r->parse.line_start);
        text_trim(&body, &len);
        if (start || !len) { /* a blank line ends an item as well */
            item_end(a, r, &item, false, &seen, scratch);
            in = start > 0;
            body = p + start;
        }
        if (in) {
            str_add(&item, body, (size_t)(eol - body));
            str_addc(&item, ' ');
        }
        p = eol < end ? eol + 1 : end;
    }
    item_end(a, r, &item, true, &seen, scratch);
    str_release(&item);
}

/* ---- table ---- */

struct cells {
    const char *s[CELLS_MAX];
    size_t n_bytes[CELLS_MAX], n;
    bool closed; /* ends in '|' */
};

/* "| a | b |", the closing mark may be missing; no cells when the line is no row. */
static void read_row(struct cells *c, const char *s, size_t n)
{
    c->n = 0;
    c->closed = false;
    text_trim(&s, &n);
    if (!n || *s != '|')
        return;
    c->closed = n > 1 && s[n - 1] == '|';
    const char *p = s + 1, *end = s + n - c->closed;
    while (p <= end && c->n < CELLS_MAX) {
        const char *bar = p < end ? memchr(p, '|', (size_t)(end - p)) : NULL;
        c->s[c->n] = p;
        c->n_bytes[c->n] = (size_t)((bar ? bar : end) - p);
        text_trim(&c->s[c->n], &c->n_bytes[c->n]);
        c->n++;
        p = bar ? bar + 1 : end + 1;
    }
}

/* "|---|:--:|", and rows without a word. */
static bool is_rule(const struct cells *c)
{
    for (size_t i = 0; i < c->n; i++)
        for (size_t k = 0; k < c->n_bytes[i]; k++)
            if (!strchr("-: ", c->s[i][k]))
                return false;
    return true;
}

static void add_row(struct strbuf *b, const struct cells *c)
{
    for (size_t i = 0; i < c->n; i++) {
        str_adds(b, i ? " " : "| ");
        str_add(b, c->s[i], c->n_bytes[i]);
        str_adds(b, " |");
    }
    str_addc(b, '\n');
}

void form_table(struct answer *a, const struct recipe *r, const char *s, size_t n,
                struct arena *scratch)
{
    struct seen seen = { .n = 0 };
    struct cells row;
    size_t n_cell = 0; /* of the head; 0: none yet */
    for (const char *p = s, *end = s + n; p < end;) {
        const char *eol = text_line_end(p, end);
        read_row(&row, p, (size_t)(eol - p));
        bool cut_off = a->hit_limit && eol == end && !row.closed;
        uint64_t h = hash_of(p, (size_t)(eol - p), scratch);
        p = eol < end ? eol + 1 : end;
        if (row.n < 2 || is_rule(&row))
            continue;
        if (cut_off) {
            a->cut = true;
        } else if (!n_cell) {
            n_cell = row.n;
            add_row(&a->text, &row);
            for (size_t i = 0; i < n_cell; i++)
                str_adds(&a->text, i ? "---|" : "|---|");
            str_addc(&a->text, '\n');
        } else if (row.n == n_cell && (!r->parse.max_lines || a->n_lines < r->parse.max_lines)) {
            if (was_seen(&seen, h)) {
                a->cut_loop = true;
                continue;
            }
            see(&seen, h);
            add_row(&a->text, &row);
            a->n_lines++;
        }
    }
    if (!a->n_lines) /* a head alone is no table */
        str_clear(&a->text);
}
