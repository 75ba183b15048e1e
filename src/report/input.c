/* report/input.c - see input.h: the files. The cells are made in cells.c. */
#include "report/input.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "report/cells.h"

static void note(struct input *in, const char *fmt, const char *a, const char *b)
{
    struct strbuf text = { 0 };
    for (; *fmt; fmt++) {
        if (*fmt == '%') {
            str_adds(&text, a);
            a = b;
        } else {
            str_addc(&text, *fmt);
        }
    }
    strlist_add(&in->missing, text.s);
    str_release(&text);
}

/* NULL when absent; a damaged file is named on the page. `why` says what is missing without it. */
static struct js *read_json(struct input *in, const char *dir, const char *name, const char *why)
{
    struct err err = { "" };
    struct js *v = NULL;
    char *path = path_join(dir, name);
    if (!file_exists(path)) {
        if (why)
            note(in, "%: % is not there yet.", why, name);
    } else if (js_read_file(&v, path, &err) < 0) {
        note(in, "% could not be read: %.", name, err.msg);
        v = NULL;
    }
    free(path);
    return v;
}

static void add_stage(struct input *in, const char *rel)
{
    char *dir = path_join(in->dir, rel);
    struct js *m = read_json(in, dir, "manifest.json", NULL);
    free(dir);
    if (!m)
        return;
    size_t cap = in->n_stage; /* few: grow by one */
    in->stage = xrealloc(in->stage, cap + 1, sizeof *in->stage);
    in->stage[in->n_stage++] = (struct input_stage){ xstrdup(rel), m };
}

static void add_stages_below(struct input *in, const char *rel)
{
    struct strlist names = { 0 };
    char *dir = path_join(in->dir, rel);
    struct err err;
    if (file_is_dir(dir) && dir_list(dir, &names, &err) == ST_OK)
        for (size_t i = 0; i < names.n && i < 10 * INPUT_MAX_KINDS; i++) {
            char *sub = path_join(rel, names.s[i]);
            add_stage(in, sub);
            free(sub);
        }
    strlist_release(&names);
    free(dir);
}

static void read_kinds(struct input *in)
{
    struct strlist names = { 0 };
    char *dir = path_join(in->dir, "kinds");
    struct err err = { "" };
    if (file_is_dir(dir) && dir_list(dir, &names, &err) < 0)
        note(in, "% could not be listed: %.", "kinds/", err.msg);
    for (size_t i = 0; i < names.n && in->n_kind < INPUT_MAX_KINDS; i++) {
        char *sub = path_join(dir, names.s[i]);
        if (file_is_dir(sub)) {
            in->kind = xrealloc(in->kind, in->n_kind + 1, sizeof *in->kind);
            struct input_kind *k = &in->kind[in->n_kind++];
            k->name = xstrdup(names.s[i]);
            k->control = strcmp(k->name, "copy") == 0 || strcmp(k->name, "shuffle") == 0;
            k->manifest = read_json(in, sub, "manifest.json", NULL);
            k->samples = read_json(in, sub, "samples.json", NULL);
        }
        free(sub);
    }
    if (in->n_kind == 0)
        note(in, "Samples and verdicts: no folder below % has text yet.", "kinds/", "");
    strlist_release(&names);
    free(dir);
}

static void read_runs(struct input *in)
{
    struct err err = { "" };
    char *path = path_join(in->dir, "runs.csv");
    if (!file_exists(path))
        note(in, "Every measured figure: % is not there yet.", "runs.csv", "");
    else if (table_read(&in->table, path, &err) < 0) {
        note(in, "% could not be read: %.", "runs.csv", err.msg);
        memset(&in->table, 0, sizeof in->table);
    }
    free(path);
    for (size_t c = 0; c < in->table.n_col; c++)
        if (str_starts(in->table.col[c].name, "loss_") && in->table.col[c].num)
            strlist_add(&in->domain, in->table.col[c].name + strlen("loss_"));
    cells_make(in);
}

enum st input_read(struct input *in, const char *dir, struct err *err)
{
    memset(in, 0, sizeof *in);
    in->dir = dir;
    in->noise_sd = in->noise_df = in->n_max = in->d_max = NAN;
    if (!file_is_dir(dir))
        return err_set(err, ST_IO, "'%s' is not a folder; want a study's, made by 'study run'",
                       dir);
    in->plan = read_json(in, dir, "plan.json", "Settings and decision rule");
    in->fits = read_json(in, dir, "fits.json", "Fitted laws");
    in->advice = read_json(in, dir, "advice.json", "The recommendation");
    if (js_kind(in->fits) == JS_OBJECT) { /* one law alone */
        struct js *all = js_array();
        js_push(all, in->fits);
        in->fits = all;
    }
    if (js_kind(in->advice) == JS_ARRAY && js_len(in->advice) > 0) {
        struct js *first = js_copy(js_at(in->advice, 0));
        js_free(in->advice);
        in->advice = first;
    }
    read_kinds(in);
    add_stages_below(in, "corpus");
    add_stages_below(in, "corpus/domains");
    add_stages_below(in, "kinds");
    read_runs(in);
    return ST_OK;
}

const struct js *input_counts(const struct input_kind *k)
{
    const struct js *counts = js_get(k->manifest, "counts"), *row = js_get(counts, "row");
    return row ? row : counts;
}

double input_generate_s(const struct input_kind *k)
{
    double all = js_get_real(input_counts(k), "generate_s", 0);
    return all > 0 ? all : js_get_real(k->manifest, "wall_s", NAN);
}

void input_release(struct input *in)
{
    js_free(in->plan);
    js_free(in->fits);
    js_free(in->advice);
    for (size_t i = 0; i < in->n_kind; i++) {
        free(in->kind[i].name);
        js_free(in->kind[i].manifest);
        js_free(in->kind[i].samples);
    }
    free(in->kind);
    for (size_t i = 0; i < in->n_stage; i++) {
        free(in->stage[i].path);
        js_free(in->stage[i].manifest);
    }
    free(in->stage);
    free(in->run);
    free(in->cell);
    table_release(&in->table);
    strlist_release(&in->domain);
    strlist_release(&in->missing);
    memset(in, 0, sizeof *in);
}
