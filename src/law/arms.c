/* law/arms.c - see arms.h. */
#include "law/arms.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "law/stats.h"

/* --- the table --- */

bool same_size(double a, double b)
{
    return fabs(a / b - 1) < 0.005;
}

bool same_budget(double a, double b)
{
    return fabs(a / b - 1) < 0.02;
}

bool same_share(double a, double b)
{
    return fabs(a - b) < 5e-4;
}

static enum arm_role role_of(const char *name, const char *kind, double share)
{
    if (strcmp(kind, "shuffle") == 0)
        return ARM_SHUFFLE;
    if (strcmp(kind, "copy") == 0)
        return ARM_COPY;
    if (strcmp(kind, "natural") == 0 || share == 0)
        return str_starts(name, "aa") ? ARM_AA : ARM_NATURAL;
    return ARM_SYNTH;
}

static int arm_index(struct runs *r, size_t *cap, const char *name, const char *kind, double share)
{
    enum arm_role role = role_of(name, kind, share);
    for (int i = 0; i < r->n_arm; i++) {
        const struct arm *a = &r->arm[i];
        if (a->role != role)
            continue;
        if (role == ARM_NATURAL || (role == ARM_AA && strcmp(a->name, name) == 0) ||
            (role != ARM_AA && strcmp(a->kind, kind) == 0 && same_share(a->share, share))) {
            if (strcmp(a->name, name) != 0 && !r->merged[0]) {
                r->merged[0] = a->name;
                r->merged[1] = name;
            }
            return i;
        }
    }
    size_t n = (size_t)r->n_arm;
    GROW(r->arm, n, *cap);
    r->arm[r->n_arm] = (struct arm){ name, kind, share, role };
    return r->n_arm++;
}

struct columns {
    const double *share, *n, *n_nonemb, *d, *seed, *loss, *diverged, *batch, *steps;
    char *const *kind, *const *arm;
};

static enum st find_columns(struct columns *c, const struct table *t, struct err *err)
{
    const struct {
        const char *name;
        const double **to;
    } need[] = { { "frac_synth", &c->share },
                 { table_find(t, "n_param") ? "n_param" : "n_param_nonemb", &c->n },
                 { "n_tok", &c->d },
                 { "seed", &c->seed },
                 { "loss", &c->loss } };
    const double *unused;
    if (!table_find(t, "kind"))
        return table_need(t, "kind", &unused, err);
    for (size_t i = 0; i < N_OF(need); i++) {
        enum st st = table_need(t, need[i].name, need[i].to, err);
        if (st < 0)
            return st;
    }
    c->kind = table_text(t, "kind");
    c->arm = table_text(t, "arm");
    c->diverged = table_num(t, "diverged");
    c->n_nonemb = table_num(t, "n_param_nonemb");
    c->batch = table_num(t, "batch_tokens");
    c->steps = table_num(t, "n_steps");
    return ST_OK;
}

enum st runs_load(struct runs *r, const struct table *t, struct err *err)
{
    struct columns c;
    size_t cap = 0;
    memset(r, 0, sizeof *r);
    enum st st = find_columns(&c, t, err);
    if (st < 0)
        return st;
    r->t = t;
    r->natural = -1;
    r->run = NEW_ARRAY(struct runs_run, t->n_row);
    for (size_t i = 0; i < t->n_row; i++) {
        double share = c.share[i];
        if (c.diverged && c.diverged[i] > 0) {
            r->n_diverged++;
            continue;
        }
        if (isnan(share) || isnan(c.n[i]) || isnan(c.d[i]) || isnan(c.seed[i]) ||
            isnan(c.loss[i])) {
            r->n_missing++;
            continue;
        }
        const char *wrong = c.loss[i] <= 0               ? "loss must be more than 0"
                            : c.n[i] <= 0 || c.d[i] <= 0 ? "N and n_tok must be more than 0"
                            : share < 0 || share > 1     ? "frac_synth must be within 0..1"
                            : c.kind[i][0] == '\0'       ? "kind is missing"
                            : share > 0 && strcmp(c.kind[i], "natural") == 0
                                ? "kind is natural, but frac_synth is above 0"
                                : NULL;
        if (wrong) {
            runs_release(r);
            return err_set(err, ST_FORMAT, "'%s' line %zu: %s", t->path, t->line[i], wrong);
        }
        double steps = c.steps ? c.steps[i] : c.batch ? c.d[i] / c.batch[i] : NAN;
        int arm = arm_index(r, &cap, c.arm ? c.arm[i] : c.kind[i], c.kind[i], share);
        r->run[r->n++] = (struct runs_run){ .row = i,
                                            .arm = arm,
                                            .n = c.n[i],
                                            .n_nonemb = c.n_nonemb ? c.n_nonemb[i] : NAN,
                                            .d = c.d[i],
                                            .seed = c.seed[i],
                                            .loss = c.loss[i],
                                            .steps = steps };
    }
    for (int i = 0; i < r->n_arm; i++)
        if (r->arm[i].role == ARM_NATURAL)
            r->natural = i;
    if (r->natural < 0) {
        runs_release(r);
        return err_set(err, ST_USAGE,
                       "'%s' has no usable run of kind natural (frac_synth 0): there is nothing to "
                       "compare with",
                       t->path);
    }
    return ST_OK;
}

void runs_release(struct runs *r)
{
    free(r->run);
    free(r->arm);
    r->run = NULL;
    r->arm = NULL;
}

/* --- one point --- */

static void add_cell(struct point *p, struct point_arm *a, double seed, double loss)
{
    for (size_t i = 0; i < a->n; i++)
        if (a->cell[i].seed == seed) {
            a->cell[i].loss += (loss - a->cell[i].loss) / (double)++a->cell[i].n_run;
            p->n_repeat++;
            return;
        }
    a->cell = xrealloc(a->cell, a->n + 1, sizeof *a->cell);
    a->cell[a->n++] = (struct cell){ seed, loss, 1 };
}

static void load_cells(struct point *p, const struct runs *r, double n, double d)
{
    *p = (struct point){ .n = n, .d = d, .n_arm = r->n_arm };
    p->arm = NEW_ARRAY(struct point_arm, (size_t)r->n_arm);
    for (size_t i = 0; i < r->n; i++)
        if (same_size(r->run[i].n, n) && same_budget(r->run[i].d, d))
            add_cell(p, &p->arm[r->run[i].arm], r->run[i].seed, r->run[i].loss);
    for (int a = 0; a < p->n_arm; a++) {
        double sum = 0;
        for (size_t i = 0; i < p->arm[a].n; i++)
            sum += p->arm[a].cell[i].loss;
        p->arm[a].mean = p->arm[a].n ? sum / (double)p->arm[a].n : NAN;
    }
}

struct flat {
    int arm, seed; /* numbers from 0 */
    double loss;
};

/* Labels the parts of the table that no common seed connects (arms first, then seeds; a part bears
 * the least number in it). Each part takes one degree of freedom less. Returns how many. */
static int find_parts(int *label, const struct flat *c, size_t n, int n_arm, int n_seed)
{
    int parts = 0;
    for (int i = 0; i < n_arm + n_seed; i++)
        label[i] = i;
    for (bool moved = true; moved;) {
        moved = false;
        for (size_t i = 0; i < n; i++) {
            int *a = &label[c[i].arm], *s = &label[n_arm + c[i].seed];
            moved |= *a != *s;
            *a = *s = *a < *s ? *a : *s;
        }
    }
    for (int i = 0; i < n_arm + n_seed; i++)
        parts += label[i] == i;
    return parts;
}

/* Squares left by arm + seed, by alternating means, which converges for any missing cells. */
static void two_way(const struct flat *c, size_t n, int n_arm, int n_seed, double *squares,
                    double *df)
{
    double *effect = NEW_ARRAY(double, (size_t)(n_arm + n_seed)),
           *sum = NEW_ARRAY(double, (size_t)(n_arm + n_seed));
    size_t *count = NEW_ARRAY(size_t, (size_t)(n_arm + n_seed));
    for (int round = 0; round < 2000; round++) {
        bool arms = round % 2 == 0;
        int from = arms ? 0 : n_arm, to = arms ? n_arm : n_arm + n_seed;
        double moved = 0;
        memset(sum, 0, (size_t)(n_arm + n_seed) * sizeof *sum);
        memset(count, 0, (size_t)(n_arm + n_seed) * sizeof *count);
        for (size_t i = 0; i < n; i++) {
            int own = arms ? c[i].arm : n_arm + c[i].seed,
                other = arms ? n_arm + c[i].seed : c[i].arm;
            sum[own] += c[i].loss - effect[other];
            count[own]++;
        }
        for (int k = from; k < to; k++) {
            double next = count[k] ? sum[k] / (double)count[k] : 0;
            moved = fmax(moved, fabs(next - effect[k]));
            effect[k] = next;
        }
        if (round > 2 && moved < 1e-15)
            break;
    }
    for (size_t i = 0; i < n; i++) {
        double e = c[i].loss - effect[c[i].arm] - effect[n_arm + c[i].seed];
        *squares += e * e;
    }
    *df += (double)n - n_arm - n_seed;
    free(effect);
    free(sum);
    free(count);
}

enum { MAX_PARTS = 256 };

struct spread {
    double squares_seed, df_seed, squares_pair, df_pair;
    struct part {
        double n_arm, n_seed;
    } part[MAX_PARTS];
    int n_part;
};

static void add_parts(struct spread *s, const struct flat *c, size_t n, int n_arm, int n_seed)
{
    int *label = NEW_ARRAY(int, (size_t)(n_arm + n_seed));
    s->df_pair += find_parts(label, c, n, n_arm, n_seed);
    for (int i = 0; i < n_arm && s->n_part < MAX_PARTS; i++) {
        struct part p = { 0 };
        for (int k = 0; k < n_arm && label[i] == i; k++)
            p.n_arm += label[k] == i;
        for (int k = n_arm; k < n_arm + n_seed && label[i] == i; k++)
            p.n_seed += label[k] == i;
        if (p.n_arm > 0)
            s->part[s->n_part++] = p;
    }
    free(label);
}

/*
 * Arms with the same seeds share the seed's part of the loss, so their spreads within arms are not
 * independent: with A arms and S seeds the pooled variance V is MS_seed/A + MS_rest (A-1)/A, and
 * its degrees of freedom follow by Satterthwaite, between S - 1 (all of the noise is the seed's)
 * and A (S - 1) (none is).
 */
static double effective_df(const struct spread *s)
{
    double v = s->squares_seed / s->df_seed, variance = 0, total = 0;
    double rest = s->df_pair > 0 ? fmin(v, s->squares_pair / s->df_pair) : 0;
    for (int k = 0; k < s->n_part; k++)
        total += s->part[k].n_arm * (s->part[k].n_seed - 1);
    for (int k = 0; k < s->n_part; k++) {
        double a = s->part[k].n_arm, f = s->part[k].n_seed - 1, w = a * f / total;
        if (!(f > 0))
            continue;
        double of_seed = v - rest + rest / a, of_rest = rest * (a - 1) / a;
        variance += w * w * (of_seed * of_seed + (a > 1 ? of_rest * of_rest / (a - 1) : 0)) / f;
    }
    return variance > 0 ? fmin(s->df_seed, v * v / variance) : s->df_seed;
}

/* Adds one point's noise. Shuffled words are left out: their noise may be of another size. */
static void add_noise(struct spread *s, const struct point *p, const struct runs *r)
{
    size_t n = 0, cap = 0;
    struct flat *c = NULL;
    double *seed = NULL;
    size_t n_seed = 0, cap_seed = 0;
    int n_arm = 0;
    for (int a = 0; a < p->n_arm; a++) {
        const struct point_arm *arm = &p->arm[a];
        if (arm->n == 0 || r->arm[a].role == ARM_SHUFFLE)
            continue;
        for (size_t i = 0; i < arm->n; i++) {
            size_t k = 0;
            while (k < n_seed && seed[k] != arm->cell[i].seed)
                k++;
            if (k == n_seed) {
                GROW(seed, n_seed, cap_seed);
                seed[n_seed++] = arm->cell[i].seed;
            }
            GROW(c, n, cap);
            c[n++] = (struct flat){ n_arm, (int)k, arm->cell[i].loss };
            s->squares_seed += pow(arm->cell[i].loss - arm->mean, 2);
        }
        s->df_seed += (double)arm->n - 1;
        n_arm++;
    }
    if (n > 0) {
        two_way(c, n, n_arm, (int)n_seed, &s->squares_pair, &s->df_pair);
        add_parts(s, c, n, n_arm, (int)n_seed);
    }
    free(c);
    free(seed);
}

/* The largest budget of a size. */
static double largest_budget(const struct runs *r, double n)
{
    double most = 0;
    for (size_t i = 0; i < r->n; i++)
        if (same_size(r->run[i].n, n))
            most = fmax(most, r->run[i].d);
    return most;
}

enum { ENOUGH_DF = 8 };

/* What rounding leaves of equal losses is no noise. */
static double sd_of(double squares, double df, double loss)
{
    double sd = df > 0 ? sqrt(squares / df) : NAN;
    return sd < 1e-12 * loss ? 0 : sd;
}

void point_load(struct point *p, const struct runs *r, double n, double d)
{
    load_cells(p, r, n, d);
    struct spread s = { .n_part = 0 };
    add_noise(&s, p, r);
    if (s.df_pair < ENOUGH_DF)
        for (size_t i = 0; i < r->n; i++) {
            bool first = !same_size(r->run[i].n, n);
            for (size_t j = 0; j < i && first; j++)
                first = !same_size(r->run[j].n, r->run[i].n);
            if (!first)
                continue;
            struct point other;
            double before = s.df_seed;
            load_cells(&other, r, r->run[i].n, largest_budget(r, r->run[i].n));
            add_noise(&s, &other, r);
            p->noise.pooled |= s.df_seed > before;
            point_release(&other);
        }
    p->noise.df_seed = s.df_seed > 0 ? effective_df(&s) : 0;
    p->noise.df_pair = s.df_pair;
    p->noise.sd_seed = sd_of(s.squares_seed, s.df_seed, p->arm[r->natural].mean);
    p->noise.sd_pair = sd_of(s.squares_pair, s.df_pair, p->arm[r->natural].mean);
}

bool run_is_at(const struct runs_run *run, const struct point *p)
{
    return same_size(run->n, p->n) && same_budget(run->d, p->d);
}

void point_release(struct point *p)
{
    for (int a = 0; a < p->n_arm && p->arm; a++)
        free(p->arm[a].cell);
    free(p->arm);
    p->arm = NULL;
}

struct difference point_compare(const struct point *p, int a, int b, double level)
{
    const struct point_arm *x = &p->arm[a], *y = &p->arm[b];
    struct difference d = { .value = x->mean - y->mean };
    double sum = 0;
    for (size_t i = 0; i < x->n; i++)
        for (size_t j = 0; j < y->n; j++)
            if (x->cell[i].seed == y->cell[j].seed) {
                sum += x->cell[i].loss - y->cell[j].loss;
                d.n++;
            }
    d.paired = d.n >= 2 && p->noise.df_pair > 0;
    if (d.paired) {
        d.value = sum / (double)d.n;
        d.se = p->noise.sd_pair * sqrt(2.0 / (double)d.n);
        d.df = p->noise.df_pair;
    } else {
        d.n = x->n < y->n ? x->n : y->n;
        d.se = d.n ? p->noise.sd_seed * sqrt(1.0 / (double)x->n + 1.0 / (double)y->n) : NAN;
        d.df = p->noise.df_seed;
    }
    double t = student_quantile((1 + level) / 2, d.df);
    d.lo = d.value - t * d.se;
    d.hi = d.value + t * d.se;
    d.p = d.se > 0 ? student_p(d.value / d.se, d.df) : NAN;
    return d;
}
