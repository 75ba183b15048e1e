/* study/sweep.c - see sweep.h. */
#include "study/sweep.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/units.h"
#include "run/folder.h"
#include "study/child.h"
#include "study/stages.h"

enum { SWEEP_MIN_DEV_TOK = 4096 }; /* fewer judge nothing */

int sweep_best(double lr0, const double *loss, size_t n, double *best)
{
    size_t k = n;
    for (size_t i = 0; i < n; i++)
        if (isfinite(loss[i]) && (k == n || loss[i] < loss[k]))
            k = i;
    if (k == n || k == 0) /* all diverged: only a smaller rate can help */
        return -1;
    if (k + 1 == n)
        return 1;
    double left = loss[k - 1] - loss[k], right = loss[k + 1] - loss[k], shift = 0;
    if (isfinite(left) && isfinite(right) && left + right > 0)
        shift = 0.5 * (left - right) / (left + right); /* within half a step of k */
    *best = units_round(lr0 * exp2((double)k + shift), 2);
    return 0;
}

double sweep_between(double n0, double lr0, double n1, double lr1, double n)
{
    if (n0 == n1)
        return lr0;
    return units_round(lr0 * pow(n / n0, log(lr1 / lr0) / log(n1 / n0)), 2);
}

/* One size's rates: law 2^lo .. law 2^hi. */
struct ladder {
    size_t model;
    double law; /* train's own rate */
    int lo, hi;
    bool done;
    double lr;
};

/* The two arms that rates are judged on. */
static void ends(const struct plan *p, const struct plan_arm *arm[2])
{
    arm[0] = &p->arm[0];
    for (size_t a = 0; a < p->n_arm; a++)
        if (p->arm[a].source == 0 && p->arm[a].share == p->share[p->n_share - 1])
            arm[1] = &p->arm[a];
}

static struct trunk make_trunk(const struct study *s, const struct ladder *l,
                               const struct plan_arm *arm, int step)
{
    const struct plan *p = &s->plan;
    char size[UNITS_MAX];
    struct trunk t = { .arm = arm,
                       .n_param = p->model[l->model],
                       .seed = 1 + 2 * p->seeds, /* after those of the arms and of A/A */
                       .lr = l->law > 0 ? units_round(l->law * exp2(step), 2) : 0,
                       .budget = p->budget,
                       .n_budget = 1,
                       .folder = "sweep",
                       .dev = true };
    snprintf(t.id, sizeof t.id, "%s-n%s-d%llu-lr%g", arm->name,
             units_count(size, (double)t.n_param), (unsigned long long)p->budget[0], t.lr);
    return t;
}

/* What train would choose itself at this size and budget. */
static enum st ask_law(struct study *s, struct ladder *l, struct err *err)
{
    struct strlist argv = { 0 };
    struct js *row;
    struct trunk t = make_trunk(s, l, &s->plan.arm[0], 0);
    trunk_args(s, &t, &argv);
    strlist_add(&argv, "--dry-run");
    enum st st = err_in(err, child_json(&argv, &row, err), "the learning rate of %s", t.id);
    strlist_release(&argv);
    if (st < 0)
        return st;
    l->law = js_get_real(row, "lr", 0);
    js_free(row);
    return l->law > 0 ? ST_OK : err_set(err, ST_IO, "train names no learning rate for %s", t.id);
}

/* The loss of a finished sweep run, remembered in the plan; NaN when it diverged. */
static enum st read_loss(struct study *s, const struct trunk *t, double *loss, struct err *err)
{
    struct plan *p = &s->plan;
    struct run_entry e;
    run_look(&e, trunk_dir(s, t), &s->arena);
    if (e.state != RUN_FINISHED)
        return err_set(err, ST_IO, "sweep run '%s' has no result: %s", trunk_dir(s, t),
                       e.why ? e.why : "unfinished");
    *loss = e.rec.diverged ? NAN : e.rec.loss;
    for (size_t i = 0; i < p->n_swept; i++)
        if (p->swept[i].n_param == t->n_param && p->swept[i].lr == t->lr &&
            strcmp(p->swept[i].arm, t->arm->name) == 0)
            return ST_OK;
    if (p->n_swept == PLAN_MAX_SWEPT)
        return err_set(err, ST_LIMIT, "more than %d runs in a sweep", PLAN_MAX_SWEPT);
    struct plan_swept *w = &p->swept[p->n_swept++];
    *w = (struct plan_swept){ .n_param = t->n_param, .lr = t->lr, .loss = *loss };
    snprintf(w->arm, sizeof w->arm, "%s", t->arm->name);
    return ST_OK;
}

/* Chooses the rate, or widens the ladder. */
static enum st judge(struct study *s, struct ladder *l, struct err *err)
{
    const struct plan_arm *arm[2];
    double loss[2 * SWEEP_MAX_STEPS + 1];
    ends(&s->plan, arm);
    for (int k = l->lo; k <= l->hi; k++) {
        double each[2];
        for (int a = 0; a < 2; a++) {
            struct trunk t = make_trunk(s, l, arm[a], k);
            enum st st = read_loss(s, &t, &each[a], err);
            if (st < 0)
                return st;
        }
        loss[k - l->lo] = (each[0] + each[1]) / 2;
    }
    int side = sweep_best(l->law * exp2(l->lo), loss, (size_t)(l->hi - l->lo + 1), &l->lr);
    l->done = side == 0;
    if (side < 0 && l->lo > -SWEEP_MAX_STEPS)
        l->lo--;
    else if (side > 0 && l->hi < SWEEP_MAX_STEPS)
        l->hi++;
    else if (side != 0) { /* the last one it is; the plan warns (plan_finish) */
        l->lr = units_round(l->law * exp2(side * SWEEP_MAX_STEPS), 2);
        l->done = true;
    }
    return ST_OK;
}

/* Trains what the ladders lack, until each has its best rate inside. */
static enum st climb(struct study *s, struct ladder *l, size_t n, struct err *err)
{
    const struct plan_arm *arm[2];
    enum st st = ST_OK;
    ends(&s->plan, arm);
    for (bool done = false; !done && st == ST_OK;) {
        struct trunk trunk[2 * 2 * (2 * SWEEP_MAX_STEPS + 1)];
        size_t m = 0;
        for (size_t i = n; i-- > 0;) /* the largest first */
            for (int k = l[i].lo; k <= l[i].hi && !l[i].done; k++)
                for (int a = 0; a < 2; a++)
                    trunk[m++] = make_trunk(s, &l[i], arm[a], k);
        st = train_trunks(s, trunk, m, "learning rates", err);
        done = true;
        for (size_t i = 0; i < n && st == ST_OK; i++) {
            if (!l[i].done)
                st = judge(s, &l[i], err);
            done = done && l[i].done;
        }
    }
    return st;
}

enum st stage_sweep(struct study *s, struct err *err)
{
    struct plan *p = &s->plan;
    struct ladder l[2];
    uint64_t n_dev = 0;
    size_t n = p->n_model > 1 ? 2 : 1;
    enum st st = shard_tokens(s, "dev", &n_dev, NULL, err);
    if (st == ST_OK && n_dev < SWEEP_MIN_DEV_TOK)
        st = err_set(err, ST_USAGE,
                     "the development split has %llu tokens, too few to judge learning rates by; "
                     "give natural: {hold_out: ...} more, or training: {lr: ...}",
                     (unsigned long long)n_dev);
    p->n_swept = 0;
    for (size_t i = 0; i < n && st == ST_OK; i++) {
        l[i] = (struct ladder){ .model = i ? p->n_model - 1 : 0, .lo = -1, .hi = 1 };
        st = ask_law(s, &l[i], err);
    }
    if (st == ST_OK)
        st = climb(s, l, n, err);
    for (size_t m = 0; m < p->n_model && st == ST_OK; m++) {
        char size[UNITS_MAX];
        p->lr[m] = sweep_between((double)p->model[0], l[0].lr, (double)p->model[p->n_model - 1],
                                 l[n - 1].lr, (double)p->model[m]);
        log_info("learning rate at %s parameters: %g", units_count(size, (double)p->model[m]),
                 p->lr[m]);
    }
    return st;
}
