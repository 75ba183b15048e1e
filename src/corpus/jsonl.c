/*
 * corpus/jsonl.c - documents as one JSON object a line: {"text", "id", "url", "source", "meta"}.
 *
 * Only "text" is required. "metadata" is read as "meta"; source, url and offset may stand in
 * either place. What else stands in meta is handed on.
 */
#include <string.h>

#include "base/mem.h"
#include "corpus/format.h"

static const char bom[] = "\xEF\xBB\xBF"; /* byte order mark, which some editors write */

struct jsonl {
    struct js *line; /* the document at hand borrows from it */
};

static void jsonl_release(void *state)
{
    struct jsonl *j = state;
    js_free(j->line);
    j->line = NULL;
}

/* Passes over what is left of a line without keeping it. */
static enum st skip_line(struct input *in, struct err *err)
{
    for (;;) {
        enum st st = input_fill(in, 1, err);
        if (st != ST_OK)
            return st == ST_END ? ST_OK : st;
        const char *s = input_bytes(in), *eol = memchr(s, '\n', input_unread(in));
        input_take(in, eol ? (size_t)(eol + 1 - s) : input_unread(in));
        if (eol)
            return ST_OK;
    }
}

/* Brings a line into the window; *n is its length without the line end. ST_LIMIT: too long, nothing
 * taken. */
static enum st next_line(struct input *in, size_t *n, size_t *n_all, struct err *err)
{
    size_t seen = 0;
    for (;;) {
        enum st st = input_fill(in, seen + 1, err);
        if (st < 0)
            return st;
        const char *s = input_bytes(in);
        size_t have = input_unread(in);
        if (st == ST_END) {
            *n = *n_all = have;
            return have ? ST_OK : ST_END;
        }
        const char *eol = memchr(s + seen, '\n', have - seen);
        seen = have;
        if (eol) {
            *n = (size_t)(eol - s);
            *n_all = *n + 1;
        }
        if ((eol ? *n : have) > RECORD_MAX)
            return ST_LIMIT;
        if (eol)
            return ST_OK;
    }
}

static bool is_blank(const char *s, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (s[i] != ' ' && s[i] != '\t' && s[i] != '\r')
            return false;
    return true;
}

/* Parses a line, repairing its UTF-8 first where that is damaged. */
static enum st parse_line(struct js **out, const char *s, size_t n, struct err *err)
{
    if (utf8_valid(s, n) == n)
        return js_parse(out, s, n, err);
    struct strbuf fixed = { 0 };
    utf8_repair(&fixed, s, n);
    enum st st = js_parse(out, fixed.s, fixed.n, err);
    str_release(&fixed);
    return st;
}

/*
 * Lines are long because of their text, so it does not go through the JSON library: it is
 * unescaped where it stands and the library gets the line without it. Whatever is not plain sailing
 * (and every fault) is left to the library, whose messages are the ones people see.
 */
struct scan {
    const char *p, *end;
};

static void skip_blank(struct scan *c)
{
    while (c->p < c->end && (*c->p == ' ' || *c->p == '\t' || *c->p == '\r'))
        c->p++;
}

/* Passes over a string that begins at p; false when it does not end. */
static bool skip_string(struct scan *c)
{
    for (c->p++; c->p < c->end; c->p++) {
        if (*c->p == '\\')
            c->p++;
        else if (*c->p == '"') {
            c->p++;
            return true;
        }
    }
    return false;
}

/* Passes over any value; what it is worth is for the library to say. */
static bool skip_value(struct scan *c)
{
    int depth = 0;
    while (c->p < c->end) {
        char ch = *c->p;
        if (ch == '"') {
            if (!skip_string(c))
                return false;
            continue;
        }
        if (depth == 0 && (ch == ',' || ch == '}'))
            return true;
        depth += ch == '{' || ch == '[';
        depth -= ch == '}' || ch == ']';
        c->p++;
    }
    return false;
}

static bool hex4(const char *p, const char *end, uint32_t *out)
{
    *out = 0;
    if (end - p < 4)
        return false;
    for (int i = 0; i < 4; i++) {
        char ch = p[i];
        uint32_t d = ch >= '0' && ch <= '9'   ? (uint32_t)(ch - '0')
                     : ch >= 'a' && ch <= 'f' ? (uint32_t)(ch - 'a' + 10)
                     : ch >= 'A' && ch <= 'F' ? (uint32_t)(ch - 'A' + 10)
                                              : 16;
        if (d == 16)
            return false;
        *out = *out << 4 | d;
    }
    return true;
}

static void add_code_point(struct strbuf *out, uint32_t u)
{
    if (u < 0x80) {
        str_addc(out, (char)u);
    } else if (u < 0x800) {
        str_addc(out, (char)(0xC0 | u >> 6));
        str_addc(out, (char)(0x80 | (u & 0x3F)));
    } else if (u < 0x10000) {
        str_addc(out, (char)(0xE0 | u >> 12));
        str_addc(out, (char)(0x80 | (u >> 6 & 0x3F)));
        str_addc(out, (char)(0x80 | (u & 0x3F)));
    } else {
        str_addc(out, (char)(0xF0 | u >> 18));
        str_addc(out, (char)(0x80 | (u >> 12 & 0x3F)));
        str_addc(out, (char)(0x80 | (u >> 6 & 0x3F)));
        str_addc(out, (char)(0x80 | (u & 0x3F)));
    }
}

/* One escape, p behind the backslash. */
static bool add_escape(struct strbuf *out, struct scan *c)
{
    static const char name[] = "nrtbf\"\\/", value[] = "\n\r\t\b\f\"\\/";
    if (c->p == c->end)
        return false;
    char ch = *c->p++;
    const char *at = ch ? strchr(name, ch) : NULL;
    if (at) {
        str_addc(out, value[at - name]);
        return true;
    }
    uint32_t u, low;
    if (ch != 'u' || !hex4(c->p, c->end, &u))
        return false;
    c->p += 4;
    if (u >= 0xD800 && u < 0xE000) { /* a pair, or an error */
        if (u >= 0xDC00 || c->end - c->p < 6 || c->p[0] != '\\' || c->p[1] != 'u' ||
            !hex4(c->p + 2, c->end, &low) || low < 0xDC00 || low >= 0xE000)
            return false;
        c->p += 6;
        u = 0x10000 + ((u - 0xD800) << 10) + (low - 0xDC00);
    }
    if (u != 0) /* NUL is dropped */
        add_code_point(out, u);
    return true;
}

/* Unescapes the string that begins at p. */
static bool take_string(struct strbuf *out, struct scan *c)
{
    c->p++;
    str_reserve(out, (size_t)(c->end - c->p));
    for (;;) {
        const char *start = c->p;
        while (c->p < c->end && *c->p != '"' && *c->p != '\\' && (unsigned char)*c->p >= 0x20)
            c->p++;
        str_add(out, start, (size_t)(c->p - start));
        if (c->p == c->end || (unsigned char)*c->p < 0x20)
            return false;
        if (*c->p++ == '"')
            return true;
        if (!add_escape(out, c))
            return false;
    }
}

/* Takes the text out of an object's line: into text, the other members as an object into rest. */
static bool split_line(const char *s, size_t n, struct strbuf *text, struct strbuf *rest)
{
    struct scan c = { s, s + n };
    bool found = false;
    skip_blank(&c);
    if (c.p == c.end || *c.p++ != '{')
        return false;
    str_addc(rest, '{');
    for (;;) {
        skip_blank(&c);
        const char *member = c.p;
        if (c.p == c.end || *c.p != '"' || !skip_string(&c))
            return false;
        bool is_text = c.p - member == 6 && memcmp(member, "\"text\"", 6) == 0;
        skip_blank(&c);
        if (c.p == c.end || *c.p++ != ':')
            return false;
        skip_blank(&c);
        if (is_text) {
            if (found || c.p == c.end || *c.p != '"' || !take_string(text, &c))
                return false;
            found = true;
            skip_blank(&c);
        } else {
            if (!skip_value(&c))
                return false;
            str_adds(rest, rest->n > 1 ? "," : "");
            str_add(rest, member, (size_t)(c.p - member));
        }
        if (c.p == c.end || (*c.p != ',' && *c.p != '}'))
            return false;
        if (*c.p++ == '}')
            break;
    }
    str_addc(rest, '}');
    skip_blank(&c);
    return found && c.p == c.end;
}

static const char *either(const struct js *line, const struct js *meta, const char *key)
{
    return js_get_text(line, key, js_get_text(meta, key, NULL));
}

/* Fills doc from the parsed line, or says what is wrong with it. split: its text, taken out before.
 */
static const char *doc_of(struct input *in, const struct js *line, const struct strbuf *split,
                          uint64_t offset, struct doc *doc)
{
    if (js_kind(line) != JS_OBJECT)
        return "want a JSON object";
    size_t n = 0;
    const char *text = split ? split->s : js_as_text(js_get(line, "text"), &n);
    if (split)
        n = split->n;
    if (!text)
        return js_get(line, "text") ? "\"text\" is not a string" : "there is no \"text\"";
    const struct js *meta = js_get(line, "meta");
    if (!meta)
        meta = js_get(line, "metadata");
    if (js_kind(meta) != JS_OBJECT)
        meta = NULL;
    if (memchr(text, '\0', n)) {
        str_clear(&in->text);
        text_clean(&in->text, text, n);
        text = in->text.s;
        n = in->text.n;
    }
    const struct js *id = js_get(line, "id");
    if (js_kind(id) == JS_WHOLE) {
        str_clear(&in->id);
        str_printf(&in->id, "%lld", (long long)js_as_whole(id, 0));
        doc->id = in->id.s;
    } else {
        const char *given = js_as_text(id, NULL);
        doc->id = given && *given ? given : input_id(in, true);
    }
    doc->text = text;
    doc->n_bytes = n;
    doc->source = either(line, meta, "source");
    doc->url = either(line, meta, "url");
    doc->offset = (uint64_t)js_get_whole(meta, "offset", (int64_t)offset);
    doc->meta = meta;
    return NULL;
}

static enum st jsonl_next(struct input *in, void *state, struct doc *doc, struct err *err)
{
    struct jsonl *j = state;
    for (;;) {
        size_t n = 0, n_all = 0;
        enum st st = next_line(in, &n, &n_all, err);
        if (st == ST_END)
            return ST_END;
        in->record++;
        if (st == ST_LIMIT) {
            st = input_damaged(in, err, "the line is above the limit of %zu bytes", RECORD_MAX);
            if (st == ST_OK)
                st = skip_line(in, err);
            if (st != ST_FORMAT || in->strict)
                goto next;
        }
        if (st == ST_FORMAT) { /* damaged gzip or zstd: what was read of the line is lost */
            struct err why = *err;
            st = input_damaged(in, err, "%s", why.msg);
            if (st == ST_OK)
                st = input_skip_member(in, err);
            if (st == ST_OK) /* the member may begin in the middle of a line */
                st = skip_line(in, err);
            goto next;
        }
        if (st < 0)
            return st;
        const char *s = input_bytes(in);
        const char *what = NULL;
        struct err why = { "" };
        if (is_blank(s, n)) {
            input_take(in, n_all);
            continue;
        }
        jsonl_release(j);
        str_clear(&in->text);
        str_clear(&in->scratch);
        str_add(&in->text, "", 0);
        if (in->record == 1 && n >= 3 && memcmp(s, bom, 3) == 0) {
            s += 3;
            n -= 3;
        }
        bool split = utf8_valid(s, n) == n && split_line(s, n, &in->text, &in->scratch) &&
                     js_parse(&j->line, in->scratch.s, in->scratch.n, &why) == ST_OK;
        if (!split && parse_line(&j->line, s, n, &why) < 0)
            what = why.msg;
        else
            what = doc_of(in, j->line, split ? &in->text : NULL, input_offset(in), doc);
        if (what)
            st = input_damaged(in, err, "%s", what);
        input_take(in, n_all);
        if (st == ST_OK && !what)
            return ST_OK;
    next:
        if (st != ST_OK)
            return st;
    }
}

static bool jsonl_match(const char *head, size_t n)
{
    size_t i = n >= 3 && memcmp(head, bom, 3) == 0 ? 3 : 0;
    while (i < n && (head[i] == ' ' || head[i] == '\t' || head[i] == '\r' || head[i] == '\n'))
        i++;
    if (i == n || head[i++] != '{')
        return false;
    while (i < n && (head[i] == ' ' || head[i] == '\t'))
        i++;
    return i < n && (head[i] == '"' || head[i] == '}');
}

const struct format format_jsonl = { .name = "jsonl",
                                     .match = jsonl_match,
                                     .state_size = sizeof(struct jsonl),
                                     .next = jsonl_next,
                                     .release = jsonl_release };
