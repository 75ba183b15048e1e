/* report/cells.c - see cells.h. */
#include "report/cells.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "law/stats.h"

static bool is_control(const char *arm, const char *kind)
{
    return strcmp(kind, "shuffle") == 0 || strcmp(kind, "copy") == 0 ||
           (strcmp(kind, "natural") == 0 && strcmp(arm, "natural") != 0 && arm[0] != '\0');
}

static int by_number(double a, double b)
{
    return a < b ? -1 : a > b;
}

static int by_cell(const struct input_cell *a, const struct input_cell *b)
{
    int c = by_number(a->n, b->n);
    if (!c)
        c = by_number(a->d, b->d);
    if (!c)
        c = (int)a->control - (int)b->control;
    if (!c) /* natural before all kinds */
        c = (strcmp(b->kind, "natural") == 0) - (strcmp(a->kind, "natural") == 0);
    if (!c)
        c = strcmp(a->kind, b->kind);
    if (!c)
        c = by_number(a->share, b->share);
    return c ? c : strcmp(a->arm, b->arm);
}

static int cmp_cell(const void *a, const void *b)
{
    return by_cell(a, b);
}

static double number_at(const double *col, size_t row)
{
    return col ? col[row] : NAN;
}

static const char *text_at(char *const *col, size_t row)
{
    return col ? col[row] : "";
}

/* The share of a branch's steps that are its own cool-down, from its run.json; NAN when that does
 * not say. */
static double own_share(const struct input *in, const char *run_id)
{
    char *path = xasprintf("%s/runs/%s/run.json", in->dir, run_id);
    struct js *v = NULL;
    struct err err;
    double share = NAN;
    if (!strstr(run_id, "..") && file_exists(path) && js_read_file(&v, path, &err) == ST_OK) {
        const struct js *settings = js_get(v, "settings");
        double n = js_get_real(settings, "n_step", NAN),
               branch = js_get_real(settings, "branch_step", NAN);
        if (n > 0 && branch >= 0 && branch <= n)
            share = (n - branch) / n;
    }
    js_free(v);
    free(path);
    return share;
}

/* A branch's wall_s counts its trunk up to where it leaves, but the trunk was trained once: only
 * the longest run of a trunk pays for it, the others for their own cool-down. */
static void share_trunks(struct input *in)
{
    size_t n_unknown = 0;
    for (size_t i = 0; i < in->n_run; i++) {
        struct input_run *r = &in->run[i];
        const char *slash = strrchr(r->run_id, '/');
        r->own_s = r->wall_s;
        for (size_t k = 0; slash && k < in->n_run; k++)
            if (in->run[k].d > r->d &&
                strncmp(in->run[k].run_id, r->run_id, (size_t)(slash + 1 - r->run_id)) == 0) {
                double share = own_share(in, r->run_id);
                n_unknown += isnan(share);
                r->own_s = isnan(share) ? r->wall_s : share * r->wall_s;
                break;
            }
    }
    if (n_unknown)
        strlist_add(&in->missing,
                    "Exact training time: some runs that share a trunk have no run.json "
                    "that says where they left it; their whole time is counted.");
}

static void read_rows(struct input *in)
{
    const struct table *t = &in->table;
    char *const *run_id = table_text(t, "run_id"), *const *arm = table_text(t, "arm"),
                *const *kind = table_text(t, "kind"), *const *diverged = table_text(t, "diverged");
    const double *share = table_num(t, "frac_synth"), *d = table_num(t, "n_tok"),
                 *n = table_num(t, "n_param_nonemb"), *loss = table_num(t, "loss"),
                 *bpb = table_num(t, "bpb"), *wall = table_num(t, "wall_s"),
                 *seed = table_num(t, "seed");
    if (!n)
        n = table_num(t, "n_param");
    in->run = NEW_ARRAY(struct input_run, t->n_row ? t->n_row : 1);
    in->n_run = t->n_row;
    for (size_t i = 0; i < t->n_row; i++) {
        struct input_run *r = &in->run[i];
        const char *bad = text_at(diverged, i);
        r->run_id = text_at(run_id, i);
        r->kind = text_at(kind, i);
        r->arm = text_at(arm, i);
        if (!r->arm[0])
            r->arm = r->kind;
        r->share = number_at(share, i);
        r->n = number_at(n, i);
        r->d = number_at(d, i);
        r->loss = number_at(loss, i);
        r->bpb = number_at(bpb, i);
        r->wall_s = number_at(wall, i);
        r->seed = number_at(seed, i);
        r->diverged = strcmp(bad, "1") == 0 || strcmp(bad, "true") == 0;
        r->cell = SIZE_MAX;
        in->n_diverged += r->diverged;
    }
    share_trunks(in);
}

static struct input_cell cell_of(const struct input_run *r)
{
    return (struct input_cell){ .arm = r->arm,
                                .kind = r->kind,
                                .share = isnan(r->share) ? 0 : r->share,
                                .n = r->n,
                                .d = r->d,
                                .sd = NAN,
                                .half = NAN,
                                .control = is_control(r->arm, r->kind) };
}

static bool usable(const struct input_run *r)
{
    return isfinite(r->loss) && isfinite(r->n) && isfinite(r->d) && r->n > 0 && r->d > 0 &&
           !r->diverged;
}

/* Sorts a cell a run, then keeps one of each. */
static void make_cells(struct input *in)
{
    size_t n = 0;
    in->cell = NEW_ARRAY(struct input_cell, in->n_run ? in->n_run : 1);
    for (size_t i = 0; i < in->n_run; i++)
        if (usable(&in->run[i]))
            in->cell[n++] = cell_of(&in->run[i]);
    if (n > 1)
        qsort(in->cell, n, sizeof *in->cell, cmp_cell);
    for (size_t i = 0; i < n; i++)
        if (in->n_cell == 0 || by_cell(&in->cell[in->n_cell - 1], &in->cell[i]) != 0)
            in->cell[in->n_cell++] = in->cell[i];
    for (size_t i = 0; i < in->n_run; i++) {
        if (!usable(&in->run[i]))
            continue;
        struct input_cell key = cell_of(&in->run[i]);
        struct input_cell *c = bsearch(&key, in->cell, in->n_cell, sizeof *c, cmp_cell);
        in->run[i].cell = (size_t)(c - in->cell);
        c->n_run++;
        c->mean += in->run[i].loss;
    }
}

/* Seed noise is pooled: two or three seeds a cell say little alone, all cells together a lot. */
static void measure(struct input *in)
{
    double *ss = NEW_ARRAY(double, in->n_cell ? in->n_cell : 1), sum = 0;
    size_t df = 0;
    for (size_t i = 0; i < in->n_cell; i++)
        in->cell[i].mean /= (double)in->cell[i].n_run;
    for (size_t i = 0; i < in->n_run; i++)
        if (in->run[i].cell != SIZE_MAX) {
            double e = in->run[i].loss - in->cell[in->run[i].cell].mean;
            ss[in->run[i].cell] += e * e;
        }
    for (size_t i = 0; i < in->n_cell; i++)
        if (in->cell[i].n_run > 1) {
            in->cell[i].sd = sqrt(ss[i] / (double)(in->cell[i].n_run - 1));
            sum += ss[i];
            df += in->cell[i].n_run - 1;
        }
    if (df > 0) {
        in->noise_sd = sqrt(sum / (double)df);
        in->noise_df = (double)df;
        double t = student_quantile(0.975, in->noise_df);
        for (size_t i = 0; i < in->n_cell; i++)
            in->cell[i].half = t * in->noise_sd / sqrt((double)in->cell[i].n_run);
    }
    free(ss);
}

void cells_make(struct input *in)
{
    read_rows(in);
    make_cells(in);
    measure(in);
    const struct js *point = js_get(in->advice, "point");
    const struct input_cell *largest = NULL; /* sorted: the last natural cell */
    for (size_t i = 0; i < in->n_cell; i++)
        if (!in->cell[i].control && strcmp(in->cell[i].kind, "natural") == 0)
            largest = &in->cell[i];
    in->n_max = js_get_real(point, "n_param_nonemb", js_get_real(point, "n_param", NAN));
    in->d_max = js_get_real(point, "n_tok", NAN);
    if (largest && !input_natural(in, in->n_max, in->d_max)) {
        in->n_max = largest->n;
        in->d_max = largest->d;
    }
    in->is_largest = largest && in->n_max == largest->n && in->d_max == largest->d;
}

const struct input_cell *input_natural(const struct input *in, double n, double d)
{
    for (size_t i = 0; i < in->n_cell; i++) {
        const struct input_cell *c = &in->cell[i];
        if (c->n == n && c->d == d && !c->control && strcmp(c->kind, "natural") == 0)
            return c;
    }
    return NULL;
}

/* Pooled s.d. of a column between the seeds of a cell, with its degrees of freedom. */
static double column_noise(const struct input *in, const double *v, double *df)
{
    double *sum = NEW_ARRAY(double, in->n_cell + 1), squares = 0;
    size_t *n = NEW_ARRAY(size_t, in->n_cell + 1);
    for (size_t i = 0; i < in->n_run; i++)
        if (in->run[i].cell != SIZE_MAX && isfinite(v[i])) {
            sum[in->run[i].cell] += v[i];
            n[in->run[i].cell]++;
        }
    for (size_t i = 0; i < in->n_run; i++)
        if (in->run[i].cell != SIZE_MAX && isfinite(v[i])) {
            double e = v[i] - sum[in->run[i].cell] / (double)n[in->run[i].cell];
            squares += e * e;
        }
    *df = 0;
    for (size_t c = 0; c < in->n_cell; c++)
        *df += n[c] > 1 ? (double)(n[c] - 1) : 0;
    free(sum);
    free(n);
    return *df > 0 ? sqrt(squares / *df) : NAN;
}

double input_mean(const struct input *in, size_t cell, const char *column, double *half)
{
    const double *v = table_num(&in->table, column);
    double sum = 0;
    size_t n = 0;
    for (size_t i = 0; v && i < in->n_run; i++)
        if (in->run[i].cell == cell && isfinite(v[i])) {
            sum += v[i];
            n++;
        }
    if (half) {
        double df, sd = v ? column_noise(in, v, &df) : NAN;
        *half = n && !isnan(sd) ? student_quantile(0.975, df) * sd / sqrt((double)n) : NAN;
    }
    return n ? sum / (double)n : NAN;
}
