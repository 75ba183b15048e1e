/* law/table.c - see table.h: CSV and JSON lines into columns. */
#include "law/table.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/stream.h"
#include "base/str.h"

void table_release(struct table *t)
{
    for (size_t c = 0; c < t->n_col; c++) {
        for (size_t r = 0; r < t->n_row && t->col[c].text; r++)
            free(t->col[c].text[r]);
        free(t->col[c].text);
        free(t->col[c].num);
        free(t->col[c].name);
    }
    free(t->col);
    free(t->line);
    free(t->path);
    memset(t, 0, sizeof *t);
}

const struct table_col *table_find(const struct table *t, const char *name)
{
    for (size_t c = 0; c < t->n_col; c++)
        if (strcmp(t->col[c].name, name) == 0)
            return &t->col[c];
    return NULL;
}

const double *table_num(const struct table *t, const char *name)
{
    const struct table_col *c = table_find(t, name);
    return c ? c->num : NULL;
}

char *const *table_text(const struct table *t, const char *name)
{
    const struct table_col *c = table_find(t, name);
    return c ? c->text : NULL;
}

enum st table_need(const struct table *t, const char *name, const double **num, struct err *err)
{
    const struct table_col *c = table_find(t, name);
    if (!c) {
        struct strbuf b = { 0 };
        for (size_t i = 0; i < t->n_col && b.n < 300; i++)
            str_printf(&b, "%s%.60s", i ? " " : "", t->col[i].name);
        enum st st = err_set(err, ST_USAGE, "'%s' has no column '%s'; it has: %s", t->path, name,
                             b.s ? b.s : "none");
        str_release(&b);
        return st;
    }
    if (!c->num)
        return err_set(err, ST_FORMAT, "'%s' line %zu column '%s': '%.60s' is not a number",
                       t->path, t->line[c->bad], name, c->text[c->bad]);
    *num = c->num;
    return ST_OK;
}

static bool is_missing(const char *s)
{
    static const char *const word[] = { "", "na", "n/a", "nan", "null", "none", "-nan" };
    for (size_t i = 0; i < N_OF(word); i++)
        if (strcasecmp(s, word[i]) == 0)
            return true;
    return false;
}

/* A cell as a number; NAN for missing. False when it is something else. */
static bool cell_number(const char *s, bool decimal_comma, double *out)
{
    char copy[64];
    *out = NAN;
    if (is_missing(s))
        return true;
    if (strcasecmp(s, "true") == 0 || strcasecmp(s, "false") == 0) {
        *out = tolower((unsigned char)s[0]) == 't';
        return true;
    }
    if (strlen(s) >= sizeof copy)
        return false;
    strcpy(copy, s);
    char *comma = decimal_comma ? strchr(copy, ',') : NULL;
    if (comma && !strchr(copy, '.'))
        *comma = '.';
    char *end;
    double v = strtod(copy, &end);
    if (end == copy || *end || strpbrk(copy, "xXpP"))
        return false;
    *out = isfinite(v) ? v : NAN;
    return true;
}

static void make_numbers(struct table *t, bool decimal_comma)
{
    for (size_t c = 0; c < t->n_col; c++) {
        struct table_col *col = &t->col[c];
        col->num = NEW_ARRAY(double, t->n_row + 1);
        for (size_t r = 0; r < t->n_row; r++)
            if (!cell_number(col->text[r], decimal_comma, &col->num[r])) {
                col->bad = r;
                free(col->num);
                col->num = NULL;
                break;
            }
    }
}

/* --- CSV --- */

struct csv {
    const char *at, *end;
    char delimiter;
    size_t line; /* of the record's begin */
    size_t next_line;
    struct strbuf cell;
    bool record_done;
};

/* The next cell of the record into c->cell, trimmed of blanks outside quotes. */
static enum st csv_cell(struct csv *c, const char *path, struct err *err)
{
    str_clear(&c->cell);
    str_add(&c->cell, "", 0);
    while (c->at < c->end && (*c->at == ' ' || (*c->at == '\t' && c->delimiter != '\t')))
        c->at++;
    bool quoted = c->at < c->end && *c->at == '"';
    if (quoted) {
        for (c->at++;; c->at++) {
            if (c->at == c->end)
                return err_set(err, ST_FORMAT,
                               "'%s' line %zu: the quote that begins here is never closed", path,
                               c->line);
            if (*c->at == '"' && (c->at + 1 == c->end || c->at[1] != '"'))
                break;
            if (*c->at == '"')
                c->at++;
            c->next_line += *c->at == '\n';
            str_addc(&c->cell, *c->at);
        }
        c->at++;
    }
    const char *begin = c->at;
    while (c->at < c->end && *c->at != c->delimiter && *c->at != '\n' && *c->at != '\r')
        c->at++;
    const char *stop = c->at;
    while (stop > begin && (stop[-1] == ' ' || stop[-1] == '\t'))
        stop--;
    if (quoted && stop > begin)
        return err_set(err, ST_FORMAT, "'%s' line %zu: text after a closing quote", path,
                       c->next_line);
    if (!quoted)
        str_add(&c->cell, begin, (size_t)(stop - begin));
    c->record_done = c->at == c->end || *c->at != c->delimiter;
    if (c->at < c->end && *c->at == c->delimiter) {
        c->at++;
        return ST_OK;
    }
    if (c->at < c->end && *c->at == '\r')
        c->at++;
    if (c->at < c->end && *c->at == '\n')
        c->at++;
    c->next_line++;
    return ST_OK;
}

/* The delimiter that the first line uses most, outside quotes. */
static char guess_delimiter(const char *s, const char *end)
{
    size_t n[3] = { 0 };
    static const char candidate[] = ",;\t";
    bool quoted = false;
    for (; s < end && (quoted || *s != '\n'); s++) {
        quoted ^= *s == '"';
        for (int i = 0; i < 3 && !quoted; i++)
            n[i] += *s == candidate[i];
    }
    int best = 0;
    for (int i = 1; i < 3; i++)
        if (n[i] > n[best])
            best = i;
    return candidate[best];
}

static enum st add_column(struct table *t, size_t *cap, const char *name, size_t n_name,
                          struct err *err)
{
    if (t->n_col == TABLE_MAX_COLS)
        return err_set(err, ST_LIMIT, "'%s' has more than %d columns", t->path, TABLE_MAX_COLS);
    GROW(t->col, t->n_col, *cap);
    t->col[t->n_col++] = (struct table_col){ .name = xstrndup(name, n_name) };
    return ST_OK;
}

static enum st add_row(struct table *t, size_t *cap, size_t line, struct err *err)
{
    if (t->n_row == TABLE_MAX_ROWS)
        return err_set(err, ST_LIMIT, "'%s' has more than %d rows", t->path, TABLE_MAX_ROWS);
    if (t->n_row == *cap) {
        *cap = *cap ? 2 * *cap : 64;
        t->line = xrealloc(t->line, *cap, sizeof *t->line);
        for (size_t c = 0; c < t->n_col; c++)
            t->col[c].text = xrealloc(t->col[c].text, *cap, sizeof *t->col[c].text);
    }
    t->line[t->n_row++] = line;
    for (size_t c = 0; c < t->n_col; c++)
        t->col[c].text[t->n_row - 1] = NULL;
    return ST_OK;
}

static void skip_blank_lines(struct csv *c)
{
    while (c->at < c->end && (*c->at == '\n' || *c->at == '\r')) {
        c->next_line += *c->at == '\n';
        c->at++;
    }
}

static enum st parse_csv(struct table *t, struct csv *c, struct err *err)
{
    size_t cap_col = 0, cap_row = 0;
    enum st st = ST_OK;
    skip_blank_lines(c);
    c->line = c->next_line;
    do {
        if ((st = csv_cell(c, t->path, err)) < 0)
            return st;
        if (table_find(t, c->cell.s) && c->cell.n > 0)
            return err_set(err, ST_FORMAT, "'%s' names the column '%.60s' twice", t->path,
                           c->cell.s);
        if ((st = add_column(t, &cap_col, c->cell.s, c->cell.n, err)) < 0)
            return st;
    } while (!c->record_done);
    for (skip_blank_lines(c); c->at < c->end; skip_blank_lines(c)) {
        c->line = c->next_line;
        if ((st = add_row(t, &cap_row, c->line, err)) < 0)
            return st;
        size_t k = 0;
        do {
            if ((st = csv_cell(c, t->path, err)) < 0)
                return st;
            if (k < t->n_col)
                t->col[k].text[t->n_row - 1] = xstrndup(c->cell.s, c->cell.n);
            else if (c->cell.n > 0 || k > t->n_col)
                return err_set(err, ST_FORMAT, "'%s' line %zu has more than the header's %zu cells",
                               t->path, c->line, t->n_col);
            k++;
        } while (!c->record_done);
        if (k < t->n_col)
            return err_set(err, ST_FORMAT, "'%s' line %zu has %zu cells, the header %zu", t->path,
                           c->line, k, t->n_col);
    }
    return ST_OK;
}

/* --- JSON lines --- */

static char *value_text(const struct js *v)
{
    struct strbuf b = { 0 };
    size_t n;
    const char *s = js_as_text(v, &n);
    if (s)
        str_add(&b, s, n);
    else if (js_kind(v) != JS_NULL)
        js_write(v, &b);
    return str_detach(&b);
}

static enum st json_row(struct table *t, size_t *cap_col, size_t *cap_row, const struct js *row,
                        size_t line, struct err *err)
{
    enum st st = add_row(t, cap_row, line, err);
    for (void *it = js_iter(row); it && st == ST_OK; it = js_next(row, it)) {
        const char *key = js_iter_key(it);
        if (!table_find(t, key)) {
            if ((st = add_column(t, cap_col, key, strlen(key), err)) < 0)
                return st;
            t->col[t->n_col - 1].text = NEW_ARRAY(char *, *cap_row);
        }
        struct table_col *col = &t->col[table_find(t, key) - t->col];
        free(col->text[t->n_row - 1]);
        col->text[t->n_row - 1] = value_text(js_iter_value(it));
    }
    return st;
}

static enum st parse_jsonl(struct table *t, const char *s, const char *end, struct err *err)
{
    size_t cap_col = 0, cap_row = 0, line = 1;
    enum st st = ST_OK;
    for (; s < end && st == ST_OK; line++) {
        const char *stop = memchr(s, '\n', (size_t)(end - s));
        if (!stop)
            stop = end;
        const char *first = s;
        while (first < stop && isspace((unsigned char)*first))
            first++;
        if (first < stop) {
            struct js *row;
            st = js_parse(&row, s, (size_t)(stop - s), err);
            if (st < 0)
                return err_in(err, st, "'%s' line %zu", t->path, line);
            if (js_kind(row) != JS_OBJECT)
                st = err_set(err, ST_FORMAT, "'%s' line %zu: want a JSON object", t->path, line);
            else
                st = json_row(t, &cap_col, &cap_row, row, line, err);
            js_free(row);
        }
        s = stop < end ? stop + 1 : end;
    }
    for (size_t c = 0; c < t->n_col; c++)
        for (size_t r = 0; r < t->n_row; r++)
            if (!t->col[c].text[r])
                t->col[c].text[r] = xstrdup("");
    return st;
}

enum st table_parse(struct table *t, const char *name, const char *bytes, size_t n_bytes,
                    struct err *err)
{
    memset(t, 0, sizeof *t);
    t->path = xstrdup(name);
    if (n_bytes >= 3 && memcmp(bytes, "\xEF\xBB\xBF", 3) == 0) {
        bytes += 3;
        n_bytes -= 3;
    }
    size_t first = 0;
    while (first < n_bytes && isspace((unsigned char)bytes[first]))
        first++;
    enum st st = ST_OK;
    if (memchr(bytes, '\0', n_bytes)) {
        st = err_set(err, ST_FORMAT, "'%s' is no table: it has NUL bytes", name);
    } else if (first == n_bytes) {
        st = err_set(err, ST_FORMAT, "'%s' is empty, want a CSV with a header line", name);
    } else if (bytes[first] == '{') {
        st = parse_jsonl(t, bytes, bytes + n_bytes, err);
        if (st == ST_OK)
            make_numbers(t, false);
    } else {
        struct csv c = { .at = bytes,
                         .end = bytes + n_bytes,
                         .delimiter = guess_delimiter(bytes + first, bytes + n_bytes),
                         .next_line = 1 };
        st = parse_csv(t, &c, err);
        if (st == ST_OK)
            make_numbers(t, c.delimiter == ';');
        str_release(&c.cell);
    }
    if (st == ST_OK && t->n_row == 0)
        st = err_set(err, ST_FORMAT, "'%s' has a header but no rows", name);
    if (st < 0)
        table_release(t);
    return st;
}

enum st table_read(struct table *t, const char *path, struct err *err)
{
    memset(t, 0, sizeof *t);
    char *inside = file_is_dir(path) ? path_join(path, "runs.csv") : xstrdup(path);
    struct stream *s = NULL;
    struct strbuf b = { 0 };
    static const size_t block = 1 << 16;
    size_t n;
    enum st st = stream_open(&s, inside, err);
    while (st == ST_OK) {
        str_reserve(&b, block);
        st = stream_read(s, b.s + b.n, block, &n, err);
        if (st == ST_OK)
            b.n += n;
        if (st == ST_OK && b.n > TABLE_MAX_BYTES)
            st = err_set(err, ST_LIMIT, "'%s' is larger than %d bytes", inside, TABLE_MAX_BYTES);
    }
    if (st == ST_END) {
        str_add(&b, "", 0);
        st = table_parse(t, inside, b.s, b.n, err);
    }
    stream_close(s);
    str_release(&b);
    free(inside);
    return st;
}
