/* law/advise.c - see advise.h: comparisons, controls, verdict, savings. */
#include "law/advise.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/units.h"
#include "law/arms.h"
#include "law/fit.h"
#include "law/share.h"
#include "law/stats.h"

/* A study below any of these says `insufficient` (the counts are those of the protocol). */
enum { MIN_SIZES = 2, MIN_BUDGETS = 3, MIN_SHARES = 3, MIN_SEEDS = 2, MIN_STEPS = 500 };
/* Alarm of the A/A pair: once in a hundred sound studies. */
static const double AA_LEVEL = 0.01;
/* Tokens beyond this multiple of what was trained are extrapolation, not advice. */
static const double MAX_REACH = 10;

/* An arm against natural. */
struct choice {
    int arm;
    struct difference vs_natural;
    double p_holm, p_best; /* p_best: against the best arm, corrected */
    const char *verdict;   /* better, worse, cannot tell */
};

struct advice {
    const struct advise_conf *conf;
    double level, threshold;
    struct runs runs;
    struct point point;
    struct choice *choice; /* synthetic arms at the point */
    size_t n_choice;
    int best;       /* arm with the lowest mean among natural and choices */
    bool *equal;    /* [n_arm]: cannot be told apart from the best */
    struct fit law; /* natural alone, at the point's size */
    bool has_law;
    char no_law[256];
    struct js *reasons, *controls;
    bool control_failed;
};

static void reason(struct advice *a, const char *fmt, ...) PRINTF_LIKE(2, 3);
static void reason(struct advice *a, const char *fmt, ...)
{
    char text[512];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    js_push_text(a->reasons, text);
}

static const char *judge(double value, double p, double level)
{
    return !(p < level) ? "cannot tell" : value < 0 ? "better" : "worse";
}

/* --- where --- */

static enum st unmeasured(const struct runs *r, double n, double d, struct err *err)
{
    struct strbuf b = { 0 };
    char one[UNITS_MAX], two[UNITS_MAX];
    for (size_t i = 0; i < r->n && b.n < 250; i++) {
        bool first = r->run[i].arm == r->natural;
        for (size_t j = 0; j < i && first; j++)
            first = !(r->run[j].arm == r->natural && same_size(r->run[i].n, r->run[j].n) &&
                      same_budget(r->run[i].d, r->run[j].d));
        if (first)
            str_printf(&b, " (%s, %s)", units_count(one, r->run[i].n),
                       units_count(two, r->run[i].d));
    }
    enum st st =
        err_set(err, ST_UNSUPPORTED,
                "no natural run at N %s, D %s, and advice away from the measured points is "
                "not built yet; measured:%s",
                units_count(one, n), units_count(two, d), b.s ? b.s : " none");
    str_release(&b);
    return st;
}

/* The largest measured N and, there, D of natural runs, or the point asked for. */
static enum st choose_point(struct advice *a, struct err *err)
{
    const struct runs *r = &a->runs;
    double n = a->conf->n_param, d = a->conf->n_tok, at_n = 0, at_d = 0;
    for (int pass = 0; pass < 2; pass++)
        for (size_t i = 0; i < r->n; i++) {
            const struct runs_run *run = &r->run[i];
            if (run->arm != r->natural)
                continue;
            bool ok_n = n <= 0 || fabs(run->n / n - 1) < 0.02;
            bool ok_d = d <= 0 || same_budget(run->d, d);
            if (pass == 0 && ok_n && ok_d)
                at_n = fmax(at_n, run->n);
            if (pass == 1 && same_size(run->n, at_n) && ok_d)
                at_d = fmax(at_d, run->d);
        }
    if (!(at_n > 0) || !(at_d > 0))
        return unmeasured(r, n, d, err);
    point_load(&a->point, r, at_n, at_d);
    return ST_OK;
}

/* --- comparisons --- */

static void compare_arms(struct advice *a)
{
    const struct runs *r = &a->runs;
    size_t n_arm = (size_t)r->n_arm;
    double *p = NEW_ARRAY(double, n_arm), *adjusted = NEW_ARRAY(double, n_arm);
    a->choice = NEW_ARRAY(struct choice, n_arm);
    a->equal = NEW_ARRAY(bool, n_arm);
    a->best = r->natural;
    for (int i = 0; i < r->n_arm; i++) {
        if (r->arm[i].role != ARM_SYNTH || a->point.arm[i].n == 0)
            continue;
        struct choice *c = &a->choice[a->n_choice];
        c->arm = i;
        c->vs_natural = point_compare(&a->point, i, r->natural, a->level);
        p[a->n_choice++] = c->vs_natural.p;
        if (a->point.arm[i].mean < a->point.arm[a->best].mean)
            a->best = i;
    }
    holm(adjusted, p, a->n_choice);
    for (size_t k = 0; k < a->n_choice; k++) {
        a->choice[k].p_holm = adjusted[k];
        a->choice[k].verdict = judge(a->choice[k].vs_natural.value, adjusted[k], 1 - a->level);
    }
    /* Against the best: natural stands last. */
    for (size_t k = 0; k <= a->n_choice; k++) {
        int arm = k < a->n_choice ? a->choice[k].arm : r->natural;
        p[k] = arm == a->best ? NAN : point_compare(&a->point, arm, a->best, a->level).p;
    }
    holm(adjusted, p, a->n_choice + 1);
    for (size_t k = 0; k <= a->n_choice; k++) {
        int arm = k < a->n_choice ? a->choice[k].arm : r->natural;
        a->equal[arm] = !(adjusted[k] < 1 - a->level);
        if (k < a->n_choice)
            a->choice[k].p_best = adjusted[k];
    }
    free(p);
    free(adjusted);
}

/* --- controls --- */

static void put_difference(struct js *o, const struct difference *d)
{
    js_put_real(o, "diff", d->value);
    js_put_real(o, "diff_lo", d->lo);
    js_put_real(o, "diff_hi", d->hi);
    js_put_real(o, "p", d->p);
    js_put_bool(o, "paired", d->paired);
}

static void put_arm_name(struct js *o, const struct arm *arm)
{
    js_put_textn(o, "arm", arm->name, strlen(arm->name));
    js_put_textn(o, "kind", arm->kind, strlen(arm->kind));
    js_put_real(o, "share", arm->share);
}

static void check_control(struct advice *a, int arm, const char *name, const char *want,
                          double level)
{
    struct difference d = point_compare(&a->point, arm, a->runs.natural, 1 - level);
    const char *got = judge(d.value, d.p, level);
    struct js *o = js_object();
    js_put_text(o, "control", name);
    put_arm_name(o, &a->runs.arm[arm]);
    js_put_text(o, "want", want);
    js_put_text(o, "got", got);
    put_difference(o, &d);
    js_put_whole(o, "n_seed", (int64_t)a->point.arm[arm].n);
    bool ok = !want || strcmp(got, want) == 0;
    if (want)
        js_put_bool(o, "ok", ok);
    js_push(a->controls, o);
    if (ok)
        return;
    a->control_failed = true;
    reason(
        a,
        "control '%s' (%.60s) came out '%s', not '%s': the comparison itself is not to be trusted",
        name, a->runs.arm[arm].name, got, want);
}

static void check_controls(struct advice *a)
{
    static const struct {
        enum arm_role role;
        const char *name, *want, *without;
    } control[] = {
        { ARM_AA, "A/A", "cannot tell", "no A/A control (natural with other seeds)" },
        { ARM_SHUFFLE, "poison", "worse", "no poison control (shuffled words)" },
        { ARM_COPY, "copy", NULL, "no copy control (the same pages unrewritten)" },
    };
    for (size_t k = 0; k < N_OF(control); k++) {
        bool found = false;
        for (int i = 0; i < a->runs.n_arm; i++)
            if (a->runs.arm[i].role == control[k].role && a->point.arm[i].n > 0) {
                check_control(a, i, control[k].name, control[k].want,
                              control[k].role == ARM_AA ? AA_LEVEL : 1 - a->level);
                found = true;
            }
        if (!found)
            reason(a, "%s at this size and budget", control[k].without);
    }
}

/* --- is the study large enough, and clean --- */

struct counts {
    size_t sizes, budgets, shares, seeds, short_runs;
};

static bool is_compared(const struct runs *r, const struct runs_run *run)
{
    enum arm_role role = r->arm[run->arm].role;
    return role == ARM_NATURAL || role == ARM_SYNTH;
}

/* Distinct sizes, budgets and shares among the compared runs that were trained long enough. */
static struct counts count(const struct advice *a)
{
    const struct runs *r = &a->runs;
    struct counts c = { .seeds = a->point.arm[r->natural].n };
    for (size_t i = 0; i < r->n; i++) {
        const struct runs_run *x = &r->run[i];
        bool size = true, budget = true, share = true;
        if (!is_compared(r, x))
            continue;
        if (x->steps < MIN_STEPS) {
            c.short_runs++;
            continue;
        }
        for (size_t j = 0; j < i; j++) {
            const struct runs_run *y = &r->run[j];
            if (!is_compared(r, y) || y->steps < MIN_STEPS)
                continue;
            size &= !same_size(x->n, y->n);
            budget &= !same_budget(x->d, y->d);
            share &= fabs(r->arm[x->arm].share - r->arm[y->arm].share) > 1e-6;
        }
        c.sizes += size;
        c.budgets += budget;
        c.shares += share;
    }
    for (size_t k = 0; k < a->n_choice; k++)
        if (a->point.arm[a->choice[k].arm].n < c.seeds)
            c.seeds = a->point.arm[a->choice[k].arm].n;
    return c;
}

static bool is_insufficient(struct advice *a)
{
    struct counts c = count(a);
    bool small = c.sizes < MIN_SIZES || c.budgets < MIN_BUDGETS || c.shares < MIN_SHARES ||
                 c.seeds < MIN_SEEDS || a->n_choice == 0;
    if (c.short_runs)
        reason(a, "%zu runs were trained for under %d steps and do not count", c.short_runs,
               MIN_STEPS);
    if (small)
        reason(a,
               "too small a study: %zu sizes, %zu budgets, %zu shares, %zu seeds an arm; wanted at "
               "least %d, %d, %d, %d",
               c.sizes, c.budgets, c.shares, c.seeds, MIN_SIZES, MIN_BUDGETS, MIN_SHARES,
               MIN_SEEDS);
    return small && (!a->conf->no_minimum || !(a->point.noise.df_seed > 0) || a->n_choice == 0);
}

/* What makes arms differ in more than the mixture. */
static void check_confounds(struct advice *a)
{
    const struct runs *r = &a->runs;
    const struct table *t = r->t;
    const double *epoch[] = { table_num(t, "n_epoch_natural"), table_num(t, "n_epoch_synth") };
    const double *setting[] = { table_num(t, "lr"), table_num(t, "batch_tokens"),
                                table_num(t, "vocab_size"), table_num(t, "seq_len") };
    static const char *const name[] = { "lr", "batch_tokens", "vocab_size", "seq_len" };
    size_t n_repeat = 0;
    bool differs[N_OF(setting)] = { false };
    const struct runs_run *first = NULL;
    for (size_t i = 0; i < r->n; i++) {
        const struct runs_run *x = &r->run[i];
        if (!is_compared(r, x) || !same_size(x->n, a->point.n) || !same_budget(x->d, a->point.d))
            continue;
        n_repeat += (epoch[0] && epoch[0][x->row] > 4) || (epoch[1] && epoch[1][x->row] > 4);
        if (!first)
            first = x;
        for (size_t k = 0; k < N_OF(setting); k++)
            differs[k] |= setting[k] && setting[k][x->row] != setting[k][first->row];
    }
    if (n_repeat)
        reason(a,
               "%zu runs at this point saw a source for over 4 epochs: repetition is confounded "
               "with the share",
               n_repeat);
    for (size_t k = 0; k < N_OF(setting); k++)
        if (differs[k])
            reason(
                a,
                "%s differs between the runs at this point: arms differ in more than the mixture",
                name[k]);
    if (r->n_diverged)
        reason(a, "%zu diverged runs are left out", r->n_diverged);
    if (r->n_missing)
        reason(a, "%zu runs without a loss or a setting are left out", r->n_missing);
    if (a->point.n_repeat)
        reason(a, "%zu runs repeat an arm and seed at this point and were averaged",
               a->point.n_repeat);
}

/* --- natural's law: what the same loss would have cost without synthetic text --- */

static void fit_natural(struct advice *a)
{
    const struct runs *r = &a->runs;
    double *d = NEW_ARRAY(double, r->n), *loss = NEW_ARRAY(double, r->n);
    struct fit_data data = { .n_tok = d, .loss = loss };
    struct fit_conf conf = fit_conf_default();
    struct err err;
    size_t n_budget = 0;
    conf.n_boot = a->conf->n_boot ? a->conf->n_boot : 1000;
    conf.level = a->level;
    conf.seed = a->conf->seed;
    conf.no_profile = true;
    for (size_t i = 0; i < r->n; i++) {
        const struct runs_run *x = &r->run[i];
        bool fresh = true;
        if (r->arm[x->arm].role != ARM_NATURAL || !same_size(x->n, a->point.n))
            continue;
        for (size_t j = 0; j < data.n && fresh; j++)
            fresh = !same_budget(d[j], x->d);
        n_budget += fresh;
        d[data.n] = x->d;
        loss[data.n++] = x->loss;
    }
    if (n_budget < MIN_BUDGETS)
        snprintf(a->no_law, sizeof a->no_law, "natural has %zu budgets at this size, want %d",
                 n_budget, MIN_BUDGETS);
    else if (fit_law(&a->law, law_find("data"), &data, &conf, &err) == ST_OK)
        a->has_law = true;
    else
        snprintf(a->no_law, sizeof a->no_law, "%.250s", err.msg);
    free(d);
    free(loss);
}

/* Natural tokens for a loss, with interval; NAN and why when it is out of reach. */
static double natural_tokens(const struct advice *a, double loss, double *lo, double *hi,
                             const char **why)
{
    const struct fit *f = &a->law;
    double limit = MAX_REACH * a->point.d, v;
    *lo = *hi = NAN;
    *why = a->no_law;
    if (!a->has_law)
        return NAN;
    v = law_tokens_for(f->law, f->param, a->point.n, loss);
    if (!(v <= limit)) {
        *why = "beyond ten times the trained tokens, where natural's law says nothing sure";
        return NAN;
    }
    double *draw = NEW_ARRAY(double, f->n_boot + 1);
    for (size_t b = 0; b < f->n_boot; b++)
        draw[b] = law_tokens_for(f->law, f->boot + b * (size_t)f->law->n_param, a->point.n, loss);
    sort_numbers(draw, f->n_boot);
    *lo = quantile_sorted(draw, f->n_boot, (1 - a->level) / 2);
    *hi = quantile_sorted(draw, f->n_boot, (1 + a->level) / 2);
    if (!(*hi <= limit))
        *hi = NAN; /* no upper bound */
    free(draw);
    return v;
}

static double median_speed(const struct advice *a)
{
    const double *speed = table_num(a->runs.t, "tok_per_s");
    double *v = NEW_ARRAY(double, a->runs.n + 1);
    size_t n = 0;
    for (size_t i = 0; speed && i < a->runs.n; i++)
        if (same_size(a->runs.run[i].n, a->point.n) && speed[a->runs.run[i].row] > 0)
            v[n++] = speed[a->runs.run[i].row];
    sort_numbers(v, n);
    double m = quantile_sorted(v, n, 0.5);
    free(v);
    return m;
}

/* Training tokens from which on the saved training pays for making the kind's text once. */
static double breakeven(struct advice *a, const char *kind, double tokens_saved)
{
    const struct advise_conf *c = a->conf;
    const struct advise_cost *cost = NULL;
    for (size_t i = 0; i < c->n_cost; i++)
        if (strcmp(c->cost[i].kind, kind) == 0)
            cost = &c->cost[i];
    bool priced = c->price_in > 0 || c->price_out > 0;
    const char *why = NULL;
    double speed = median_speed(a);
    if (!priced || !(c->gpu_hour > 0))
        why = "--price-in or --price-out, and --gpu-hour are not given";
    else if (!cost)
        why = "how many tokens were generated is not known";
    else if (!(speed > 0))
        why = "the runs have no tok_per_s";
    else if (!(tokens_saved > 0))
        why = "no tokens are saved";
    if (why) {
        if (priced || c->gpu_hour > 0)
            reason(a, "no break-even point: %s", why);
        return NAN;
    }
    double price = ((c->price_in > 0 ? c->price_in * cost->tokens_in : 0) +
                    (c->price_out > 0 ? c->price_out * cost->tokens_out : 0)) /
                   1e6;
    double per_token = c->gpu_hour / (3600 * speed);
    return price / (per_token * tokens_saved / a->point.d);
}

/* --- the answer --- */

struct answer {
    const char *verdict; /* "use", "use none", "cannot tell", "insufficient" */
    int arm;             /* the arm advised, or natural; -1: none */
    struct share_best share;
    double loss_lo, loss_hi;
    double runs_needed;
};

/* Points of one kind at the decision point, natural as share 0, by rising share. */
static size_t kind_points(const struct advice *a, const char *kind, struct share_point *p)
{
    size_t n = 0;
    for (int i = 0; i < a->runs.n_arm && n < SHARE_MAX_POINTS; i++) {
        const struct arm *arm = &a->runs.arm[i];
        bool mine =
            i == a->runs.natural || (arm->role == ARM_SYNTH && strcmp(arm->kind, kind) == 0);
        if (!mine || a->point.arm[i].n == 0)
            continue;
        size_t at = n++;
        for (; at > 0 && p[at - 1].share > arm->share; at--)
            p[at] = p[at - 1];
        p[at] = (struct share_point){ i == a->runs.natural ? 0 : arm->share, a->point.arm[i].mean,
                                      a->point.arm[i].n };
    }
    return n;
}

static double noise_sd(const struct advice *a, double *df)
{
    const struct noise *s = &a->point.noise;
    *df = s->df_pair > 0 ? s->df_pair : s->df_seed;
    return s->df_pair > 0 ? s->sd_pair : s->sd_seed;
}

static struct share_best best_share(const struct advice *a, const char *kind)
{
    struct share_point p[SHARE_MAX_POINTS];
    size_t n = kind_points(a, kind, p);
    double df, sd = noise_sd(a, &df);
    return share_find(p, n, sd, df, a->level, a->conf->n_boot ? a->conf->n_boot : 2000,
                      a->conf->seed);
}

/* Half the interval of an arm's mean loss. */
static double half_width(const struct advice *a, int arm)
{
    const struct noise *s = &a->point.noise;
    return student_quantile((1 + a->level) / 2, s->df_seed) * s->sd_seed /
           sqrt((double)a->point.arm[arm].n);
}

/* Smallest difference that these seeds show four times in five. */
static double smallest_effect(const struct advice *a)
{
    double df, sd = noise_sd(a, &df), n = (double)a->point.arm[a->runs.natural].n;
    return sd * sqrt(2 / n) *
           (student_quantile((1 + a->level) / 2, df) + student_quantile(0.8, df));
}

/* Runs an arm that would settle the closest promising comparison: 15.7 (s/g)^2. */
static double runs_needed(const struct advice *a)
{
    double df, sd = noise_sd(a, &df), gap = NAN, most = 0;
    for (size_t k = 0; k < a->n_choice; k++) {
        const struct choice *c = &a->choice[k];
        if (strcmp(c->verdict, "cannot tell") != 0)
            continue;
        if (isnan(gap) || c->vs_natural.value < gap)
            gap = c->vs_natural.value; /* the most promising */
        most = fmax(most, (double)a->point.arm[c->arm].n);
    }
    if (isnan(gap) || !(sd > 0))
        return NAN;
    gap = fmax(fabs(gap), a->threshold);
    return fmax(ceil(15.7 * sd * sd / (gap * gap)), most + 1);
}

/* Can a gain of at least the threshold be ruled out for every arm that is not worse? The bounds hold
 * together (Bonferroni). */
static bool none_worth_having(const struct advice *a)
{
    for (size_t k = 0; k < a->n_choice; k++) {
        const struct choice *c = &a->choice[k];
        double t =
            student_quantile(1 - (1 - a->level) / (2 * (double)a->n_choice), c->vs_natural.df);
        if (strcmp(c->verdict, "worse") != 0 &&
            !(c->vs_natural.value - t * c->vs_natural.se > -a->threshold))
            return false;
    }
    return true;
}

static void decide(struct advice *a, struct answer *w)
{
    *w = (struct answer){ .verdict = "cannot tell", .arm = -1, .runs_needed = runs_needed(a) };
    const struct choice *best = NULL;
    for (size_t k = 0; k < a->n_choice; k++)
        if (a->choice[k].arm == a->best)
            best = &a->choice[k];
    if (is_insufficient(a)) {
        w->verdict = "insufficient";
    } else if (a->control_failed) {
        reason(a, "a control failed: whatever the arms show, the verdict is 'cannot tell'");
    } else if (best && strcmp(best->verdict, "better") == 0) {
        const struct arm *arm = &a->runs.arm[a->best];
        w->verdict = "use";
        w->arm = a->best;
        w->share = best_share(a, arm->kind);
        w->runs_needed = NAN;
        reason(a, "%.60s at %.4g is better than natural by %.4f (%.4f to %.4f) nats a token",
               arm->kind, arm->share, -best->vs_natural.value, -best->vs_natural.hi,
               -best->vs_natural.lo);
    } else if (none_worth_having(a)) {
        w->verdict = "use none";
        w->arm = a->runs.natural;
        w->share = (struct share_best){ .lo = NAN, .hi = NAN };
        w->runs_needed = NAN;
        reason(a,
               "no kind and share is better than natural; a gain of %.3g nats or more is ruled out",
               a->threshold);
    } else {
        reason(a, "with this seed noise (s.d. %.4f) differences below %.4f are not visible",
               a->point.noise.sd_seed, smallest_effect(a));
    }
}

/* A copy of the source pages that does as well says that choice and cutting, not rewriting, helped. */
static void compare_with_copy(struct advice *a, const struct answer *w)
{
    for (int i = 0; i < a->runs.n_arm && strcmp(w->verdict, "use") == 0; i++) {
        if (a->runs.arm[i].role != ARM_COPY || a->point.arm[i].n == 0)
            continue;
        struct difference d = point_compare(&a->point, w->arm, i, a->level);
        if (!(d.p < 1 - a->level && d.value < 0))
            reason(a,
                   "not shown to be better than the same pages unrewritten (%.4f, %.4f to %.4f): "
                   "the gain may come from their choice and cutting",
                   d.value, d.lo, d.hi);
    }
}

/* --- JSON --- */

static struct js *choices_json(const struct advice *a, double reference)
{
    struct js *list = js_array();
    for (size_t k = 0; k <= a->n_choice; k++) { /* natural first */
        const struct choice *c = k > 0 ? &a->choice[k - 1] : NULL;
        int i = c ? c->arm : a->runs.natural;
        const struct point_arm *p = &a->point.arm[i];
        struct js *o = js_object();
        double half = half_width(a, i), lo, hi;
        const char *why;
        put_arm_name(o, &a->runs.arm[i]);
        js_put_whole(o, "n_seed", (int64_t)p->n);
        js_put_real(o, "loss", p->mean);
        js_put_real(o, "loss_lo", p->mean - half);
        js_put_real(o, "loss_hi", p->mean + half);
        if (c) {
            put_difference(o, &c->vs_natural);
            js_put_real(o, "p_holm", c->p_holm);
            js_put_text(o, "verdict", c->verdict);
        } else {
            js_put_text(o, "verdict", "reference");
        }
        struct difference d = point_compare(&a->point, i, a->best, a->level);
        js_put_real(o, "penalty", p->mean - reference);
        js_put_real(o, "penalty_lo", i == a->best ? 0 : d.lo);
        js_put_real(o, "penalty_hi", i == a->best ? 0 : d.hi);
        js_put_bool(o, "equal_to_best", a->equal[i]);
        js_put_real(o, "natural_tokens", natural_tokens(a, p->mean, &lo, &hi, &why));
        js_push(list, o);
    }
    return list;
}

static struct js *kinds_json(const struct advice *a)
{
    struct js *list = js_array();
    for (size_t k = 0; k < a->n_choice; k++) {
        const char *kind = a->runs.arm[a->choice[k].arm].kind;
        bool first = true;
        for (size_t j = 0; j < k && first; j++)
            first = strcmp(a->runs.arm[a->choice[j].arm].kind, kind) != 0;
        if (!first)
            continue;
        struct share_best b = best_share(a, kind);
        struct js *o = js_object();
        js_put_textn(o, "kind", kind, strlen(kind));
        js_put_real(o, "share", b.share);
        js_put_real(o, "share_lo", b.lo);
        js_put_real(o, "share_hi", b.hi);
        js_put_real(o, "loss", b.loss);
        js_put_text(o, "method", b.curve ? "parabola" : "lowest measured");
        js_push(list, o);
    }
    return list;
}

static struct js *noise_json(const struct advice *a)
{
    const struct noise *s = &a->point.noise;
    struct js *o = js_object();
    js_put_real(o, "sd_seed", s->sd_seed);
    js_put_real(o, "df_seed", s->df_seed);
    js_put_real(o, "sd_paired", s->sd_pair);
    js_put_real(o, "df_paired", s->df_pair);
    js_put_text(o, "pooled_over", s->pooled ? "arms and sizes" : "arms");
    return o;
}

static struct js *equal_json(const struct advice *a)
{
    struct js *list = js_array();
    for (int i = 0; i < a->runs.n_arm; i++)
        if (a->equal[i]) {
            struct js *o = js_object();
            put_arm_name(o, &a->runs.arm[i]);
            js_push(list, o);
        }
    return list;
}

/* Without a curve the best share is only bracketed: by the measured shares next to those that cannot
 * be told apart from the best. */
static void bracket(struct advice *a, const char *kind, double *lo, double *hi)
{
    struct share_point p[SHARE_MAX_POINTS];
    size_t n = kind_points(a, kind, p), first = n, last = 0;
    for (size_t k = 0; k < n; k++)
        for (int i = 0; i < a->runs.n_arm; i++) {
            bool mine = i == a->runs.natural || strcmp(a->runs.arm[i].kind, kind) == 0;
            if (mine && a->equal[i] && fabs(a->runs.arm[i].share - p[k].share) < 1e-9) {
                first = k < first ? k : first;
                last = k;
            }
        }
    *lo = p[first > 0 ? first - 1 : 0].share;
    *hi = p[last + 1 < n ? last + 1 : n - 1].share;
    reason(
        a,
        "%zu shares of %.60s only bracket its best share, between %.3g and %.3g; %d give a curve",
        n, kind, *lo, *hi, SHARE_MIN_POINTS);
}

/* Loss with interval at the advised share. */
static void put_loss(const struct advice *a, const struct answer *w, struct js *o, double *loss)
{
    bool is_used = strcmp(w->verdict, "use") == 0;
    double half = w->arm >= 0 ? half_width(a, w->arm) : NAN;
    *loss = w->arm < 0 ? NAN : is_used ? w->share.loss : a->point.arm[w->arm].mean;
    js_put_real(o, "loss", *loss);
    js_put_real(o, "loss_lo", *loss - half);
    js_put_real(o, "loss_hi", *loss + half);
}

static void put_savings(struct advice *a, const struct answer *w, struct js *o, double loss)
{
    bool is_used = strcmp(w->verdict, "use") == 0;
    double lo = NAN, hi = NAN, saved = NAN, even = NAN;
    const char *why = "nothing is advised that would save tokens";
    if (is_used) {
        saved = natural_tokens(a, loss, &lo, &hi, &why) - a->point.d;
        even = breakeven(a, a->runs.arm[w->arm].kind, saved);
    }
    if (is_used && isnan(saved))
        reason(a, "tokens saved are not known: %s", why);
    js_put_real(o, "tokens_saved", saved);
    js_put_real(o, "tokens_saved_lo", lo - a->point.d);
    js_put_real(o, "tokens_saved_hi", hi - a->point.d);
    js_put_real(o, "breakeven_tokens", even);
}

static struct js *answer_json(struct advice *a, const struct answer *w)
{
    struct js *o = js_object(), *point = js_object();
    bool is_used = strcmp(w->verdict, "use") == 0, is_none = strcmp(w->verdict, "use none") == 0;
    const char *kind = is_used ? a->runs.arm[w->arm].kind : is_none ? "natural" : NULL;
    double lo = w->share.lo, hi = w->share.hi, loss;
    char verdict[160];
    if (is_used && !w->share.curve)
        bracket(a, kind, &lo, &hi);
    if (is_none)
        lo = hi = 0;
    if (is_used)
        snprintf(verdict, sizeof verdict, "use %.80s at %.2g", kind, w->share.share);
    else
        snprintf(verdict, sizeof verdict, "%s", w->verdict);
    js_put_text(o, "verdict", verdict);
    if (kind)
        js_put_textn(o, "kind", kind, strlen(kind));
    else
        js_put_text(o, "kind", NULL);
    js_put_real(o, "share", w->arm >= 0 ? w->share.share : NAN);
    js_put_real(o, "share_lo", w->arm >= 0 ? lo : NAN);
    js_put_real(o, "share_hi", w->arm >= 0 ? hi : NAN);
    js_put(o, "equal_set", equal_json(a));
    put_loss(a, w, o, &loss);
    put_savings(a, w, o, loss);
    if (isnan(w->runs_needed))
        js_put_text(o, "runs_needed", NULL);
    else
        js_put_whole(o, "runs_needed", (int64_t)fmin(w->runs_needed, 1e12));
    js_put_real(o, "smallest_effect", smallest_effect(a));
    js_put_real(point, "n_param", a->point.n);
    js_put_real(point, "n_tok", a->point.d);
    js_put(o, "point", point);
    js_put(o, "noise", noise_json(a));
    double reference = is_used ? w->share.loss : a->point.arm[a->best].mean;
    js_put(o, "choices", choices_json(a, reference));
    js_put(o, "kinds", kinds_json(a));
    js_put(o, "controls", a->controls);
    js_put(o, "reasons", a->reasons);
    a->controls = a->reasons = NULL;
    return o;
}

enum st advise(struct js **out, const struct table *t, const struct advise_conf *c, struct err *err)
{
    struct advice a = { .conf = c,
                        .level = c->level > 0 ? c->level : 0.95,
                        .threshold = c->threshold > 0 ? c->threshold : 0.01,
                        .reasons = js_array(),
                        .controls = js_array() };
    *out = NULL;
    enum st st = runs_load(&a.runs, t, err);
    if (st == ST_OK)
        st = choose_point(&a, err);
    if (st == ST_OK) {
        struct answer w;
        compare_arms(&a);
        check_controls(&a);
        check_confounds(&a);
        fit_natural(&a);
        decide(&a, &w);
        compare_with_copy(&a, &w);
        *out = answer_json(&a, &w);
    }
    if (a.has_law)
        fit_release(&a.law);
    point_release(&a.point);
    runs_release(&a.runs);
    free(a.choice);
    free(a.equal);
    js_free(a.reasons);
    js_free(a.controls);
    return st;
}
