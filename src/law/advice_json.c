/* law/advice_json.c - the advice as JSON: what advise.h names. */
#include "law/advice.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

void advice_put_difference(struct js *o, const struct difference *d)
{
    js_put_real(o, "diff", d->value);
    js_put_real(o, "diff_lo", d->lo);
    js_put_real(o, "diff_hi", d->hi);
    js_put_real(o, "p", d->p);
    js_put_bool(o, "paired", d->paired);
}

void advice_put_arm(struct js *o, const struct arm *arm)
{
    js_put_textn(o, "arm", arm->name, strlen(arm->name));
    js_put_textn(o, "kind", arm->kind, strlen(arm->kind));
    js_put_real(o, "share", arm->share);
}

static struct js *choices_json(const struct advice *a)
{
    struct js *list = js_array();
    for (size_t k = 0; k <= a->n_choice; k++) { /* natural first */
        const struct choice *c = k > 0 ? &a->choice[k - 1] : NULL;
        int i = c ? c->arm : a->runs.natural;
        const struct point_arm *p = &a->point.arm[i];
        struct js *o = js_object();
        double half = advice_half_width(a, i), lo, hi;
        const char *why;
        advice_put_arm(o, &a->runs.arm[i]);
        js_put_whole(o, "n_seed", (int64_t)p->n);
        js_put_real(o, "loss", p->mean);
        js_put_real(o, "loss_lo", p->mean - half);
        js_put_real(o, "loss_hi", p->mean + half);
        if (c) {
            advice_put_difference(o, &c->vs_natural);
            js_put_real(o, "p_holm", c->p_holm);
            js_put_text(o, "verdict", c->verdict);
        } else {
            js_put_text(o, "verdict", "reference");
        }
        struct difference d = point_compare(&a->point, i, a->best, a->level);
        js_put_real(o, "penalty", i == a->best ? 0 : d.value);
        js_put_real(o, "penalty_lo", i == a->best ? 0 : d.lo);
        js_put_real(o, "penalty_hi", i == a->best ? 0 : d.hi);
        js_put_bool(o, "equal_to_best", a->equal[i]);
        js_put_real(o, "natural_tokens", advice_natural_tokens(a, p->mean, p->n, &lo, &hi, &why));
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
        struct share_best b = advice_best_share(a, kind);
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
            advice_put_arm(o, &a->runs.arm[i]);
            js_push(list, o);
        }
    return list;
}

/* Without a curve the best share is only bracketed: by the measured shares next to those that
 * cannot be told apart from the best. A bracket from the first to the last of them says nothing:
 * NAN. */
static void bracket(struct advice *a, const char *kind, double measured, double *lo, double *hi)
{
    struct share_point p[SHARE_MAX_POINTS];
    size_t n = advice_kind_points(a, kind, p), first = n, last = 0;
    for (size_t k = 0; k < n; k++)
        for (int i = 0; i < a->runs.n_arm; i++) {
            bool mine = i == a->runs.natural || strcmp(a->runs.arm[i].kind, kind) == 0;
            if (mine && a->equal[i] && fabs(a->runs.arm[i].share - p[k].share) < 1e-9) {
                first = k < first ? k : first;
                last = k;
            }
        }
    size_t from = first > 0 ? first - 1 : 0, to = last + 1 < n ? last + 1 : n - 1;
    bool is_bracket = from > 0 || to + 1 < n;
    *lo = is_bracket ? p[from].share : NAN;
    *hi = is_bracket ? p[to].share : NAN;
    char why[64];
    if (n < SHARE_MIN_POINTS)
        snprintf(why, sizeof why, "%d give a curve", SHARE_MIN_POINTS);
    else
        snprintf(why, sizeof why, "their losses follow no parabola");
    if (is_bracket)
        advice_reason(a,
                      "%zu shares of %.60s only bracket its best share, between %.3g and %.3g; %s",
                      n, kind, *lo, *hi, why);
    else
        advice_reason(
            a,
            "%.3g is the best of the %zu measured shares of %.60s; where between %.3g and "
            "%.3g the best lies, they cannot say (%s)",
            measured, n, kind, p[0].share, p[n - 1].share, why);
}

/* Loss with interval at the advised share. */
static void put_loss(const struct advice *a, const struct answer *w, struct js *o, double *loss)
{
    bool is_used = strcmp(w->verdict, "use") == 0;
    double half = w->arm >= 0 ? advice_half_width(a, w->arm) : NAN;
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
        saved = advice_natural_tokens(a, loss, a->point.arm[w->arm].n, &lo, &hi, &why) - a->point.d;
        even = advice_breakeven(a, w->arm, saved);
    }
    if (is_used && isnan(saved))
        advice_reason(a, "tokens saved are not known: %s", why);
    js_put_real(o, "tokens_saved", saved);
    js_put_real(o, "tokens_saved_lo", lo - a->point.d);
    js_put_real(o, "tokens_saved_hi", hi - a->point.d);
    js_put_real(o, "breakeven_tokens", even);
}

struct js *advice_json(struct advice *a, const struct answer *w)
{
    struct js *o = js_object(), *point = js_object();
    bool is_used = strcmp(w->verdict, "use") == 0, is_none = strcmp(w->verdict, "use none") == 0;
    const char *kind = is_used ? a->runs.arm[w->arm].kind : is_none ? "natural" : NULL;
    double lo = w->share.lo, hi = w->share.hi, loss;
    char verdict[160];
    if (is_used && !w->share.curve)
        bracket(a, kind, w->share.share, &lo, &hi);
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
    js_put_real(o, "smallest_effect", advice_smallest_effect(a));
    js_put_real(o, "level", a->level);
    js_put_real(o, "threshold", a->threshold);
    js_put_real(point, "n_param", a->point.n);
    js_put_real(point, "n_param_nonemb", a->n_nonemb);
    js_put_real(point, "n_tok", a->point.d);
    js_put(o, "point", point);
    js_put(o, "noise", noise_json(a));
    js_put(o, "choices", choices_json(a));
    js_put(o, "kinds", kinds_json(a));
    js_put(o, "controls", a->controls);
    js_put(o, "reasons", a->reasons);
    a->controls = a->reasons = NULL;
    return o;
}
