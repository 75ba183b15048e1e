/* law/rows.c - see rows.h. */
#include "law/rows.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

/* --- columns --- */

/* The column that --map gives to the role, or the first usual name that is there. Owned by the
 * caller. */
static char *column_name(const struct table *t, const char *map, const char *role,
                         const char *const *usual)
{
    size_t n = strlen(role);
    for (const char *p = map; p && *p;) {
        size_t len = strcspn(p, ",");
        if (len > n + 1 && strncmp(p, role, n) == 0 && p[n] == '=')
            return xstrndup(p + n + 1, len - n - 1);
        p += len + (p[len] == ',');
    }
    for (; *usual; usual++)
        if (table_find(t, *usual))
            return xstrdup(*usual);
    return NULL;
}

static enum st check_map(const char *map, struct err *err)
{
    for (const char *p = map; p && *p;) {
        size_t len = strcspn(p, ","), key = strcspn(p, "=");
        if (key >= len || len == key + 1)
            return err_set(err, ST_USAGE, "--map: '%.*s', want N=COL, D=COL or loss=COL", (int)len,
                           p);
        if (strncmp(p, "w_", 2) == 0)
            return err_set(err, ST_UNSUPPORTED, "--map w_*: mixture laws are not built yet");
        if (strncmp(p, "N=", 2) != 0 && strncmp(p, "D=", 2) != 0 && strncmp(p, "loss=", 5) != 0)
            return err_set(err, ST_USAGE, "--map: '%.*s', want N=COL, D=COL or loss=COL", (int)len,
                           p);
        p += len + (p[len] == ',');
    }
    return ST_OK;
}

static enum st find_columns(struct rows *r, const char *map, struct err *err)
{
    static const char *const n[] = { "N", "n_param_nonemb", "n_param", NULL };
    static const char *const d[] = { "D", "n_tok", NULL };
    static const char *const loss[] = { "loss", NULL };
    enum st st = check_map(map, err);
    if (st < 0)
        return st;
    r->name_n = column_name(r->t, map, "N", n);
    r->name_d = column_name(r->t, map, "D", d);
    r->name_loss = column_name(r->t, map, "loss", loss);
    if ((st = table_need(r->t, r->name_loss ? r->name_loss : "loss", &r->col_loss, err)) < 0)
        return st;
    if (r->name_n && (st = table_need(r->t, r->name_n, &r->col_n, err)) < 0)
        return st;
    if (r->name_d && (st = table_need(r->t, r->name_d, &r->col_d, err)) < 0)
        return st;
    if (!r->name_n && !r->name_d)
        return table_need(r->t, "n_tok", &r->col_d, err); /* says which columns there are */
    return ST_OK;
}

/* --- rows --- */

static int by_text(const void *a, const void *b)
{
    const char *const *x = *(const char *const *const *)a, *const *y =
                                                               *(const char *const *const *)b;
    int c = strcmp(*x, *y);
    return c ? c : (x > y) - (x < y);
}

/* Numbers equal texts alike. Returns how many differ. */
static size_t number_texts(uint32_t *id, char *const *text, size_t n)
{
    char *const **order = NEW_ARRAY(char *const *, n + 1);
    uint32_t next = 0;
    for (size_t i = 0; i < n; i++)
        order[i] = &text[i];
    qsort(order, n, sizeof *order, by_text);
    for (size_t i = 0; i < n; i++) {
        next += i > 0 && strcmp(*order[i], *order[i - 1]) != 0;
        id[order[i] - text] = next;
    }
    free(order);
    return n ? next + 1 : 0;
}

size_t rows_trunk_len(const char *run_id)
{
    const char *slash = strrchr(run_id, '/');
    bool is_budget =
        slash && slash > run_id && slash[1] && strspn(slash + 1, "0123456789") == strlen(slash + 1);
    return is_budget ? (size_t)(slash - run_id) : strlen(run_id);
}

static enum st find_groups(struct rows *r, const char *column, struct err *err)
{
    const char *name = column ? column : "run_id";
    char *const *text = table_text(r->t, name), **trunk;
    const double *unused;
    size_t n_row = r->t->n_row;
    if (!text)
        return column ? table_need(r->t, column, &unused, err) : ST_OK;
    bool is_id = strcmp(name, "run_id") == 0;
    trunk = NEW_ARRAY(char *, n_row + 1);
    for (size_t i = 0; i < n_row; i++)
        trunk[i] = xstrndup(text[i], is_id ? rows_trunk_len(text[i]) : strlen(text[i]));
    uint32_t *id = NEW_ARRAY(uint32_t, n_row), *own = NEW_ARRAY(uint32_t, n_row);
    size_t n = number_texts(id, trunk, n_row);
    if (n == n_row) { /* each run has one row */
        free(id);
    } else {
        r->group = id;
        r->group_name = name;
        r->has_trunks = is_id && number_texts(own, text, n_row) > n;
    }
    free(own);
    for (size_t i = 0; i < n_row; i++)
        free(trunk[i]);
    free(trunk);
    return ST_OK;
}

/* Rows that pass --where, did not diverge and have every number; a loss that is not positive is an
 * error of the table, not something to leave out silently. */
static enum st choose_rows(struct rows *r, const char *where, struct err *err)
{
    const struct table *t = r->t;
    bool *keep = NEW_ARRAY(bool, t->n_row);
    const double *diverged = table_num(t, "diverged");
    enum st st = where ? table_where(t, where, keep, err) : ST_OK;
    r->row = NEW_ARRAY(size_t, t->n_row);
    for (size_t i = 0; i < t->n_row && st == ST_OK; i++) {
        const double *num[] = { r->col_loss, r->col_n, r->col_d };
        const char *name[] = { r->name_loss, r->name_n, r->name_d };
        bool missing = false, lost = diverged && diverged[i] > 0;
        if (where && !keep[i]) {
            r->n_where++;
            continue;
        }
        for (int k = 0; k < 3 && !lost; k++) {
            missing |= num[k] && isnan(num[k][i]);
            if (num[k] && num[k][i] <= 0)
                st = err_set(err, ST_FORMAT, "'%s' line %zu column '%s': %g, want more than 0",
                             t->path, t->line[i], name[k], num[k][i]);
        }
        r->n_diverged += lost;
        r->n_missing += !lost && missing;
        if (!lost && !missing)
            r->row[r->n++] = i;
    }
    free(keep);
    if (st == ST_OK && r->n == 0)
        st = err_set(err, ST_USAGE,
                     "'%s': no row left of %zu (%zu by --where, %zu diverged, %zu without N, D or "
                     "loss)",
                     t->path, t->n_row, r->n_where, r->n_diverged, r->n_missing);
    return st;
}

/* How many values differ by more than a thousandth; 100 means many. */
size_t rows_n_values(const double *v, size_t n)
{
    enum { MANY = 100 };
    double seen[MANY];
    size_t k = 0;
    for (size_t i = 0; i < n && k < MANY; i++) {
        size_t j = 0;
        while (j < k && fabs(seen[j] / v[i] - 1) > 1e-3)
            j++;
        if (j == k)
            seen[k++] = v[i];
    }
    return k;
}

size_t rows_distinct(const struct rows *r, const double *col)
{
    if (!col)
        return 0;
    double *v = NEW_ARRAY(double, r->n + 1);
    for (size_t i = 0; i < r->n; i++)
        v[i] = col[r->row[i]];
    size_t n = rows_n_values(v, r->n);
    free(v);
    return n;
}

/* The rows of one part (all, held in or held out) as plain arrays. */
void rows_part(struct fit_data *d, const struct rows *r, int held, double skip_n)
{
    double *n = NEW_ARRAY(double, r->n + 1), *tok = NEW_ARRAY(double, r->n + 1),
           *loss = NEW_ARRAY(double, r->n + 1);
    uint32_t *group = r->group ? NEW_ARRAY(uint32_t, r->n + 1) : NULL;
    *d = (struct fit_data){ .n_param = n, .n_tok = tok, .loss = loss, .group = group };
    for (size_t i = 0; i < r->n; i++) {
        size_t row = r->row[i];
        double size = r->col_n ? r->col_n[row] : 1;
        if (held >= 0 && r->held && r->held[row] != (held > 0))
            continue;
        if (skip_n > 0 && (fabs(size / skip_n - 1) < 1e-3) != (held > 0))
            continue;
        n[d->n] = size;
        tok[d->n] = r->col_d ? r->col_d[row] : 1;
        loss[d->n] = r->col_loss[row];
        if (group)
            group[d->n] = r->group[row];
        d->n++;
    }
}

void rows_part_release(struct fit_data *d)
{
    free((void *)(uintptr_t)d->n_param);
    free((void *)(uintptr_t)d->n_tok);
    free((void *)(uintptr_t)d->loss);
    free((void *)(uintptr_t)d->group);
}

enum st rows_take(struct rows *r, const struct table *t, const char *map, const char *group,
                  const char *where, const char *hold_out, struct err *err)
{
    *r = (struct rows){ .t = t };
    enum st st = find_columns(r, map, err);
    if (st == ST_OK)
        st = find_groups(r, group, err);
    if (st == ST_OK)
        st = choose_rows(r, where, err);
    if (st == ST_OK && hold_out) {
        r->held = NEW_ARRAY(bool, t->n_row);
        st = table_where(t, hold_out, r->held, err);
    }
    return st;
}

size_t rows_n_groups(const struct rows *r)
{
    if (!r->group)
        return r->n;
    bool *seen = NEW_ARRAY(bool, r->t->n_row + 1);
    size_t n = 0;
    for (size_t i = 0; i < r->n; i++) {
        n += !seen[r->group[r->row[i]]];
        seen[r->group[r->row[i]]] = true;
    }
    free(seen);
    return n;
}

void rows_release(struct rows *r)
{
    free((void *)(uintptr_t)r->name_n);
    free((void *)(uintptr_t)r->name_d);
    free((void *)(uintptr_t)r->name_loss);
    free(r->row);
    free(r->held);
    free(r->group);
    *r = (struct rows){ 0 };
}
