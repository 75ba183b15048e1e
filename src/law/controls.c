/* law/controls.c - what makes a comparison doubtful: controls, too small a study, other
 * differences. */
#include "law/advice.h"

#include <math.h>
#include <string.h>

/* Alarm of the A/A pair: once in a hundred sound studies. */
static const double AA_LEVEL = 0.01;

static void check_control(struct advice *a, int arm, const char *name, const char *want,
                          double level)
{
    struct difference d = point_compare(&a->point, arm, a->runs.natural, 1 - level);
    const char *got = advice_judge(d.value, d.p, level);
    struct js *o = js_object();
    js_put_text(o, "control", name);
    advice_put_arm(o, &a->runs.arm[arm]);
    js_put_text(o, "want", want);
    js_put_text(o, "got", got);
    advice_put_difference(o, &d);
    js_put_whole(o, "n_seed", (int64_t)a->point.arm[arm].n);
    bool ok = !want || strcmp(got, want) == 0;
    if (want)
        js_put_bool(o, "ok", ok);
    js_push(a->controls, o);
    if (ok)
        return;
    a->control_failed = true;
    advice_reason(
        a,
        "control '%s' (%.60s) came out '%s', not '%s': the comparison itself is not to be trusted",
        name, a->runs.arm[arm].name, got, want);
}

void advice_controls(struct advice *a)
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
            advice_reason(a, "%s at this size and budget", control[k].without);
    }
}

/* --- is the study large enough, and clean --- */

struct counts {
    size_t sizes, budgets, shares, seeds, short_runs, short_here; /* here: at the point */
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
            c.short_here += run_is_at(x, &a->point);
            continue;
        }
        for (size_t j = 0; j < i; j++) {
            const struct runs_run *y = &r->run[j];
            if (!is_compared(r, y) || y->steps < MIN_STEPS)
                continue;
            size &= !same_size(x->n, y->n);
            budget &= !same_budget(x->d, y->d);
            share &= !same_share(r->arm[x->arm].share, r->arm[y->arm].share);
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

bool advice_is_insufficient(struct advice *a)
{
    struct counts c = count(a);
    bool small = c.sizes < MIN_SIZES || c.budgets < MIN_BUDGETS || c.shares < MIN_SHARES ||
                 c.seeds < MIN_SEEDS || c.short_here > 0 || a->n_choice == 0;
    if (c.short_runs)
        advice_reason(a, "%zu runs were trained for under %d steps and do not count", c.short_runs,
                      MIN_STEPS);
    if (small)
        advice_reason(
            a,
            "too small a study: %zu sizes, %zu budgets, %zu shares, %zu seeds an arm; wanted at "
            "least %d, %d, %d, %d",
            c.sizes, c.budgets, c.shares, c.seeds, MIN_SIZES, MIN_BUDGETS, MIN_SHARES, MIN_SEEDS);
    return small && (!a->conf->no_minimum || !(a->point.noise.df_seed > 0) || a->n_choice == 0);
}

/* What makes arms differ in more than the mixture. */
void advice_confounds(struct advice *a)
{
    const struct runs *r = &a->runs;
    const struct table *t = r->t;
    const double *epoch[] = { table_num(t, "n_epoch_natural"), table_num(t, "n_epoch_synth") };
    const double *setting[] = { table_num(t, "lr"), table_num(t, "batch_tokens"),
                                table_num(t, "vocab_size"), table_num(t, "seq_len") };
    static const char *const name[] = { "lr", "batch_tokens", "vocab_size", "seq_len" };
    size_t n_repeat = 0;
    double lo[N_OF(setting)], hi[N_OF(setting)]; /* of the cells that are there */
    for (size_t k = 0; k < N_OF(setting); k++)
        lo[k] = hi[k] = NAN;
    for (size_t i = 0; i < r->n; i++) {
        const struct runs_run *x = &r->run[i];
        if (!is_compared(r, x) || !run_is_at(x, &a->point))
            continue;
        n_repeat += (epoch[0] && epoch[0][x->row] > 4) || (epoch[1] && epoch[1][x->row] > 4);
        for (size_t k = 0; k < N_OF(setting); k++) {
            double v = setting[k] ? setting[k][x->row] : NAN;
            lo[k] = fmin(lo[k], v);
            hi[k] = fmax(hi[k], v);
        }
    }
    if (n_repeat)
        advice_reason(
            a,
            "%zu runs at this point saw a source for over 4 epochs: repetition is confounded "
            "with the share",
            n_repeat);
    for (size_t k = 0; k < N_OF(setting); k++)
        if (lo[k] < hi[k])
            advice_reason(
                a,
                "%s differs between the runs at this point: arms differ in more than the mixture",
                name[k]);
    if (r->merged[0])
        advice_reason(a,
                      "arms '%.60s' and '%.60s' have the same kind and share and are taken as one",
                      r->merged[0], r->merged[1]);
    if (r->n_diverged)
        advice_reason(a, "diverged runs left out: %zu", r->n_diverged);
    if (r->n_missing)
        advice_reason(a, "runs without a loss or a setting, left out: %zu", r->n_missing);
    if (a->point.n_repeat)
        advice_reason(a, "%zu runs repeat an arm and seed at this point and were averaged",
                      a->point.n_repeat);
}
