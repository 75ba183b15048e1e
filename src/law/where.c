/* law/where.c - the expressions of --where and --hold-out (table.h), by recursive descent. */
#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "base/units.h"
#include "law/table.h"

enum { MAX_DEPTH = 64 };

struct parser {
    const struct table *t;
    const char *text, *at;
    int depth;
    struct err *err;
};

enum op { OP_EQ, OP_NE, OP_LE, OP_GE, OP_LT, OP_GT };

static void blank(struct parser *p)
{
    while (isspace((unsigned char)*p->at))
        p->at++;
}

static bool eat(struct parser *p, const char *token)
{
    blank(p);
    if (!str_starts(p->at, token))
        return false;
    p->at += strlen(token);
    return true;
}

static enum st expected(struct parser *p, const char *what)
{
    return err_set(p->err, ST_USAGE, "'%s' at character %zu: want %s", p->text,
                   (size_t)(p->at - p->text) + 1, what);
}

static bool is_word(char c)
{
    return isalnum((unsigned char)c) || (c && strchr("_.+-@:/%", c)) || (unsigned char)c >= 0x80;
}

/* A word or a quoted text. The caller frees it. */
static enum st word(struct parser *p, char **out, bool *quoted, const char *what)
{
    blank(p);
    *out = NULL;
    *quoted = *p->at == '"' || *p->at == '\'';
    const char *begin = p->at;
    if (*quoted) {
        const char *end = strchr(begin + 1, *begin);
        if (!end)
            return expected(p, "a closing quote");
        *out = xstrndup(begin + 1, (size_t)(end - begin) - 1);
        p->at = end + 1;
        return ST_OK;
    }
    while (is_word(*p->at))
        p->at++;
    if (p->at == begin)
        return expected(p, what);
    *out = xstrndup(begin, (size_t)(p->at - begin));
    return ST_OK;
}

static bool number(const char *s, double *out)
{
    char *end;
    uint64_t whole;
    *out = strtod(s, &end);
    if (end != s && *end == '\0')
        return true;
    struct err ignored; /* not a whole with a suffix either: the caller says what was expected */
    if (units_whole(s, &whole, &ignored) != ST_OK)
        return false;
    *out = (double)whole;
    return true;
}

static bool holds(enum op op, double a, double b)
{
    if (isnan(a)) /* a missing cell differs from everything */
        return op == OP_NE;
    switch (op) {
    case OP_EQ:
        return a == b;
    case OP_NE:
        return a != b;
    case OP_LE:
        return a <= b;
    case OP_GE:
        return a >= b;
    case OP_LT:
        return a < b;
    case OP_GT:
        return a > b;
    }
    return false;
}

static double extreme(const double *v, size_t n, bool most)
{
    double best = NAN;
    for (size_t i = 0; i < n; i++)
        if (!isnan(v[i]) && (isnan(best) || (most ? v[i] > best : v[i] < best)))
            best = v[i];
    return best;
}

static enum st apply(struct parser *p, const struct table_col *c, enum op op, const char *value,
                     bool quoted, bool *keep)
{
    double v = 0;
    bool is_number = !quoted && number(value, &v);
    if (!quoted && (strcmp(value, "max") == 0 || strcmp(value, "min") == 0)) {
        const double *num;
        enum st st = table_need(p->t, c->name, &num, p->err);
        if (st < 0)
            return st;
        v = extreme(num, p->t->n_row, value[1] == 'a');
        is_number = true;
    }
    if (is_number && c->num) {
        for (size_t i = 0; i < p->t->n_row; i++)
            keep[i] = holds(op, c->num[i], v);
        return ST_OK;
    }
    if (op != OP_EQ && op != OP_NE)
        return err_set(p->err, ST_USAGE, "'%s': '%s' cannot be ordered against %s '%s'", p->text,
                       c->name, c->num ? "the text" : "column of text, value", value);
    for (size_t i = 0; i < p->t->n_row; i++)
        keep[i] = (strcmp(c->text[i], value) == 0) == (op == OP_EQ);
    return ST_OK;
}

static enum st comparison(struct parser *p, bool *keep)
{
    static const char *const token[] = { "==", "!=", "<=", ">=", "<", ">", "=" };
    static const enum op code[] = { OP_EQ, OP_NE, OP_LE, OP_GE, OP_LT, OP_GT, OP_EQ };
    char *name, *value = NULL;
    bool quoted;
    enum st st = word(p, &name, &quoted, "the name of a column");
    if (st < 0)
        return st;
    const struct table_col *c = table_find(p->t, name);
    const double *unused;
    if (!c) {
        st = table_need(p->t, name, &unused, p->err); /* says which columns there are */
        free(name);
        return st;
    }
    free(name);
    size_t i = 0;
    while (i < N_OF(token) && !eat(p, token[i]))
        i++;
    if (i == N_OF(token))
        return expected(p, "one of == != < <= > >=");
    st = word(p, &value, &quoted, "a number, a text, max or min");
    if (st == ST_OK)
        st = apply(p, c, code[i], value, quoted, keep);
    free(value);
    return st;
}

static enum st disjunction(struct parser *p, bool *keep);

static enum st factor(struct parser *p, bool *keep)
{
    if (++p->depth > MAX_DEPTH)
        return expected(p, "fewer nested parentheses");
    enum st st;
    blank(p);
    if (p->at[0] == '!' && p->at[1] != '=') {
        p->at++;
        st = factor(p, keep);
        for (size_t i = 0; i < p->t->n_row && st == ST_OK; i++)
            keep[i] = !keep[i];
    } else if (eat(p, "(")) {
        st = disjunction(p, keep);
        if (st == ST_OK && !eat(p, ")"))
            st = expected(p, "a closing parenthesis");
    } else {
        st = comparison(p, keep);
    }
    p->depth--;
    return st;
}

/* Parts joined by one operator; each part parsed by `part`. */
static enum st joined(struct parser *p, bool *keep, const char *token, bool is_and,
                      enum st (*part)(struct parser *, bool *))
{
    enum st st = part(p, keep);
    bool *next = NEW_ARRAY(bool, p->t->n_row + 1);
    while (st == ST_OK && eat(p, token)) {
        st = part(p, next);
        for (size_t i = 0; i < p->t->n_row && st == ST_OK; i++)
            keep[i] = is_and ? keep[i] && next[i] : keep[i] || next[i];
    }
    free(next);
    return st;
}

static enum st conjunction(struct parser *p, bool *keep)
{
    return joined(p, keep, "&&", true, factor);
}

static enum st disjunction(struct parser *p, bool *keep)
{
    return joined(p, keep, "||", false, conjunction);
}

enum st table_where(const struct table *t, const char *expr, bool *keep, struct err *err)
{
    struct parser p = { .t = t, .text = expr, .at = expr, .err = err };
    enum st st = disjunction(&p, keep);
    blank(&p);
    if (st == ST_OK && *p.at)
        st = expected(&p, "&& or || or the end");
    return st;
}
