/* law/advise.c - see advise.h: the decision point, comparisons, the verdict. */
#include "law/advise.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/units.h"
#include "law/advice.h"
#include "law/stats.h"

void advice_reason(struct advice *a, const char *fmt, ...)
{
    char text[512];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    js_push_text(a->reasons, text);
}

const char *advice_judge(double value, double p, double level)
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

/* A size asked for is a measured one, counted with or without embeddings, up to the rounding of
 * shapes. */
static bool is_size(const struct runs_run *run, double asked)
{
    static const double shape_slack = 0.05;
    return fabs(run->n / asked - 1) < shape_slack || fabs(run->n_nonemb / asked - 1) < shape_slack;
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
            bool ok_n = n <= 0 || is_size(run, n);
            bool ok_d = d <= 0 || same_budget(run->d, d);
            if (pass == 0 && ok_n && ok_d)
                at_n = fmax(at_n, run->n);
            if (pass == 1 && same_size(run->n, at_n) && ok_d)
                at_d = fmax(at_d, run->d);
        }
    if (!(at_n > 0) || !(at_d > 0))
        return unmeasured(r, n, d, err);
    point_load(&a->point, r, at_n, at_d);
    a->n_nonemb = NAN;
    for (size_t i = 0; i < r->n; i++)
        if (run_is_at(&r->run[i], &a->point))
            a->n_nonemb = r->run[i].n_nonemb;
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
        a->choice[k].verdict =
            advice_judge(a->choice[k].vs_natural.value, adjusted[k], 1 - a->level);
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

/* --- the answer --- */

/* Points of one kind at the decision point, natural as share 0, by rising share. */
size_t advice_kind_points(const struct advice *a, const char *kind, struct share_point *p)
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

struct share_best advice_best_share(const struct advice *a, const char *kind)
{
    struct share_point p[SHARE_MAX_POINTS];
    size_t n = advice_kind_points(a, kind, p);
    double df, sd = noise_sd(a, &df);
    return share_find(p, n, sd, df, a->level, a->conf->n_boot ? a->conf->n_boot : 2000,
                      a->conf->seed);
}

/* Half the interval of an arm's mean loss. */
double advice_half_width(const struct advice *a, int arm)
{
    const struct noise *s = &a->point.noise;
    return student_quantile((1 + a->level) / 2, s->df_seed) * s->sd_seed /
           sqrt((double)a->point.arm[arm].n);
}

/* Smallest difference to natural that these seeds show four times in five. */
double advice_smallest_effect(const struct advice *a)
{
    double df, sd = noise_sd(a, &df), n = (double)a->point.arm[a->runs.natural].n;
    return detectable(sd, df, n, a->level, a->n_choice);
}

enum { MAX_RUNS_NEEDED = 1000000000 };

/* Runs of each arm, those there are included, that would settle the most promising comparison that
 * is open: the least n whose detectable difference is the one seen (or the threshold, if that is
 * more). */
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
    /* With all the degrees of freedom one could wish for, then up: more runs bring more of them. */
    double known = 1e6, least = pow(detectable(sd, known, 1, a->level, a->n_choice) / gap, 2);
    double n = fmax(ceil(least), most + 1);
    while (n < MAX_RUNS_NEEDED) {
        double more = df + (double)a->n_choice * (n - most);
        if (detectable(sd, fmin(more, known), n, a->level, a->n_choice) <= gap)
            break;
        n++;
    }
    return n;
}

/* Can a gain of at least the threshold be ruled out for every arm that is not worse? The bounds
 * hold together (Bonferroni). Without any noise nothing can. */
static bool none_worth_having(const struct advice *a)
{
    for (size_t k = 0; k < a->n_choice; k++) {
        const struct choice *c = &a->choice[k];
        double t =
            student_quantile(1 - (1 - a->level) / (2 * (double)a->n_choice), c->vs_natural.df);
        bool is_out =
            c->vs_natural.se > 0 && c->vs_natural.value - t * c->vs_natural.se > -a->threshold;
        if (strcmp(c->verdict, "worse") != 0 && !is_out)
            return false;
    }
    return true;
}

static void reason_better(struct advice *a, const struct choice *c)
{
    const struct arm *arm = &a->runs.arm[c->arm];
    advice_reason(a, "%.60s at %.4g is better than natural by %.4f (%.4f to %.4f) nats a token",
                  arm->kind, arm->share, -c->vs_natural.value, -c->vs_natural.hi,
                  -c->vs_natural.lo);
}

static void decide(struct advice *a, struct answer *w)
{
    *w = (struct answer){ .verdict = "cannot tell", .arm = -1, .runs_needed = runs_needed(a) };
    const struct choice *best = NULL; /* of those shown to be better */
    for (size_t k = 0; k < a->n_choice; k++) {
        const struct choice *c = &a->choice[k];
        if (strcmp(c->verdict, "better") == 0 &&
            (!best || a->point.arm[c->arm].mean < a->point.arm[best->arm].mean))
            best = c;
    }
    if (advice_is_insufficient(a)) {
        w->verdict = "insufficient";
    } else if (a->point.noise.sd_seed == 0) {
        advice_reason(a, "the seeds of each arm give one and the same loss: they are copies, not "
                         "repetitions");
    } else if (a->control_failed) {
        advice_reason(a, "a control failed: whatever the arms show, the verdict is 'cannot tell'");
    } else if (none_worth_having(a)) { /* also when one is better, by too little */
        w->verdict = "use none";
        w->arm = a->runs.natural;
        w->share = (struct share_best){ .lo = NAN, .hi = NAN };
        w->runs_needed = NAN;
        if (best)
            reason_better(a, best);
        advice_reason(a, "%s a gain of %.3g nats or more is ruled out",
                      best ? "too little to be worth having:"
                           : "no kind and share is better than natural;",
                      a->threshold);
    } else if (best) {
        const struct arm *arm = &a->runs.arm[best->arm];
        w->verdict = "use";
        w->arm = best->arm;
        w->share = advice_best_share(a, arm->kind);
        w->runs_needed = NAN;
        reason_better(a, best);
    } else {
        advice_reason(a, "with this seed noise (s.d. %.4f) differences below %.4f are not visible",
                      a->point.noise.sd_seed, advice_smallest_effect(a));
    }
}

/* The source pages themselves, unrewritten and cut alike. When they are better than natural text
 * too, and the arm advised is not shown to be better than they, choice and cutting of the pages
 * explain the gain: on that evidence nobody should pay for rewriting. */
static void compare_with_copy(struct advice *a, struct answer *w)
{
    for (int i = 0; i < a->runs.n_arm && strcmp(w->verdict, "use") == 0; i++) {
        if (a->runs.arm[i].role != ARM_COPY || a->point.arm[i].n == 0)
            continue;
        struct difference d = point_compare(&a->point, w->arm, i, a->level),
                          free_gain = point_compare(&a->point, i, a->runs.natural, a->level);
        if (d.p < 1 - a->level && d.value < 0)
            continue;
        if (!(free_gain.p < 1 - a->level && free_gain.value < 0)) {
            advice_reason(
                a,
                "not shown to be better than the same pages unrewritten (%.4f, %.4f to %.4f): "
                "the gain may come from their choice and cutting",
                d.value, d.lo, d.hi);
            continue;
        }
        advice_reason(a,
                      "but the same pages unrewritten, cut alike, gain %.4f (%.4f to %.4f) for "
                      "nothing, and rewriting is not shown to add to that (%.4f, %.4f to %.4f): "
                      "choice and cutting of the pages explain the gain",
                      -free_gain.value, -free_gain.hi, -free_gain.lo, d.value, d.lo, d.hi);
        w->verdict = "cannot tell";
        w->arm = -1;
        w->share = (struct share_best){ .lo = NAN, .hi = NAN };
    }
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
        advice_controls(&a);
        advice_confounds(&a);
        advice_fit_natural(&a);
        decide(&a, &w);
        compare_with_copy(&a, &w);
        *out = advice_json(&a, &w);
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
