/* study/plan.c - see plan.h. */
#include "study/plan.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/units.h"
#include "law/stats.h"

/* Text bytes a token stands for, in planning only: small byte-level vocabularies give 3.2 to 3.8.
 */
#define BYTES_PER_TOK 3.4
/* A token scored costs about a third of a token trained: the forward pass alone. */
#define EVAL_COST (1.0 / 3)
/* Seed noise of small runs, until the study's own is known. */
#define SEED_SD 0.025

void plan_defaults(struct plan *p, const struct study_conf *c, uint64_t largest_model)
{
    bool tiny = largest_model < 1000000;
    if (p->vocab_size == 0)
        p->vocab_size = c->vocab_size ? c->vocab_size : tiny ? 4096 : 8192;
    p->seq_len = c->seq_len ? c->seq_len : tiny ? 256 : 512;
    p->batch_tokens = c->batch_tokens ? c->batch_tokens : tiny ? 512 : 2048;
    p->eval_bytes = c->eval_bytes;
    p->sweep = study_conf_sweeps(c);
}

double plan_trunk_tok(const uint64_t *budget, size_t n_budget)
{
    double n = 0;
    for (size_t i = 0; i < n_budget; i++) /* the last branch goes on where the trunk ends */
        n += i + 1 == n_budget ? (double)budget[i] : PLAN_COOLDOWN * (double)budget[i];
    return n;
}

/* Trunks at one model: every arm and seed, and the controls at the largest. */
static double n_trunks(const struct plan *p, const struct study_conf *c, size_t n_kind,
                       bool largest)
{
    double arms = 1 + (double)n_kind * (double)(p->n_share - 1);
    if (largest)
        arms += (c->aa ? 1 : 0) + (c->shuffle ? 1 : 0) + (c->copy ? 1 : 0);
    return arms * (double)p->seeds;
}

static double eval_tok(const struct plan *p)
{
    return EVAL_COST * (double)p->n_domain * (double)p->eval_bytes / BYTES_PER_TOK;
}

static double train_seconds(const struct plan *p, const struct study_conf *c)
{
    double s = 0, tok = plan_trunk_tok(p->budget, p->n_budget) + (double)p->n_budget * eval_tok(p);
    for (size_t i = 0; i < p->n_model; i++)
        s += n_trunks(p, c, c->n_kind, i + 1 == p->n_model) * tok / p->rate[i];
    return s;
}

/* Tokens of the sweep at a size: two arms at the smallest and the largest, for the smallest budget.
 */
static double sweep_tok(const struct plan *p, size_t model)
{
    bool swept = p->sweep && (model == 0 || model + 1 == p->n_model);
    return swept ? 2.0 * PLAN_SWEEP_RATES * (double)p->budget[0] : 0;
}

static double sweep_seconds(const struct plan *p)
{
    double s = 0;
    for (size_t i = 0; i < p->n_model; i++)
        s += sweep_tok(p, i) / p->rate[i];
    return s;
}

/* Seconds to make tokens enough for the largest share and budget at the allowed repetition. */
static double generate_seconds(const struct plan *p, const struct study_conf *c)
{
    double s = 0, need = p->share[p->n_share - 1] * (double)p->budget[p->n_budget - 1] /
                         (0.97 * c->epochs_max);
    for (size_t i = 0; i < p->n_source; i++)
        if (p->source[i].tok_per_s > 0 && !p->source[i].made)
            s += need / p->source[i].tok_per_s;
    return s;
}

static void set_budgets(struct plan *p, double largest, double ratio)
{
    double batch = (double)p->batch_tokens;
    p->n_budget = 3;
    for (int i = 0; i < 3; i++) /* whole steps, a geometric ladder */
        p->budget[i] = (uint64_t)(floor(largest * pow(ratio, 0.5 * (i - 2)) / batch) * batch);
}

/* The ladders a time budget can pick from, smallest first: two sizes, a factor of two apart. */
static const uint64_t ladder[][2] = {
    { 100000, 200000 },   { 200000, 400000 },   { 400000, 800000 },    { 800000, 1600000 },
    { 1600000, 3200000 }, { 3200000, 6400000 }, { 6400000, 12800000 }, { 12800000, 25600000 },
};

double plan_most(const struct plan *p, const struct plan_source *s)
{
    return strcmp(s->name, "shuffle") == 0 ? 1 : p->share[p->n_share - 1];
}

/* The largest budget whose study fits into left_s with the plan's sizes; less than a step when none
 * does. */
static double largest_budget(struct plan *p, const struct study_conf *c, double left_s,
                             double ratio)
{
    double lo = 0, hi = 1e12;
    for (size_t i = 0; i < p->n_source; i++) { /* what is made already sets a limit */
        double d = 0.97 * c->epochs_max * (double)p->source[i].n_tok / plan_most(p, &p->source[i]);
        if (p->source[i].made && d < hi)
            hi = d;
    }
    for (int i = 0; i < 80; i++) {
        double mid = lo > 0 ? sqrt(lo * hi) : hi / 1024;
        set_budgets(p, mid, ratio);
        if (p->budget[0] == 0 || /* less than a step: larger ones are to be tried */
            train_seconds(p, c) + sweep_seconds(p) + generate_seconds(p, c) <= left_s)
            lo = mid;
        else
            hi = mid;
        if (hi < 1)
            return 0;
    }
    return lo;
}

static double rate_of(const struct plan_speeds *v, double n_param)
{
    size_t i = 0;
    while (i + 2 < v->n && n_param > v->n_param[i + 1])
        i++;
    if (v->n == 1)
        return v->tok_per_s[0] * v->n_param[0] / n_param;
    double slope =
        log(v->tok_per_s[i + 1] / v->tok_per_s[i]) / log(v->n_param[i + 1] / v->n_param[i]);
    return v->tok_per_s[i] * exp(slope * log(n_param / v->n_param[i]));
}

/* That of the largest measured size that is no larger: a run that is smaller gains less by threads.
 */
static uint64_t width_of(const struct plan_speeds *v, double n_param)
{
    uint64_t width = v->width[0];
    for (size_t i = 1; i < v->n && v->n_param[i] <= n_param; i++)
        width = v->width[i];
    return width;
}

void plan_take_speeds(struct plan *p, const struct plan_speeds *v)
{
    for (size_t i = 0; i < p->n_model; i++) {
        p->rate[i] = rate_of(v, (double)p->model[i]);
        p->width[i] = width_of(v, (double)p->model[i]);
    }
}

static bool try_ladder(struct plan *p, const struct study_conf *c, const uint64_t *pair,
                       uint64_t batch, double ratio, double left_s, const struct plan_speeds *v)
{
    if (c->n_model == 0) {
        p->n_model = 2;
        memcpy(p->model, pair, 2 * sizeof *pair);
    }
    plan_defaults(p, c, p->model[p->n_model - 1]);
    p->batch_tokens = c->batch_tokens ? c->batch_tokens : batch;
    plan_take_speeds(p, v);
    double d = largest_budget(p, c, left_s, ratio);
    set_budgets(p, d, ratio);
    return p->budget[0] >= PLAN_MIN_STEPS * p->batch_tokens &&
           d >= (double)p->model[p->n_model - 1];
}

void plan_fit_time(struct plan *p, const struct study_conf *c, double left_s,
                   const struct plan_speeds *v)
{
    static const uint64_t batch[] = { 2048, 1024, 512, 256 };
    static const double ratio[] = { 4, 2 };
    p->seeds = c->seeds ? c->seeds : left_s < 1500 ? 2 : 3;
    if (c->n_share) {
        p->n_share = c->n_share;
        memcpy(p->share, c->share, sizeof p->share);
    } else { /* around the third that the literature finds good for rephrased text */
        p->n_share = 3;
        p->share[0] = 0;
        p->share[1] = 0.15;
        p->share[2] = 0.33;
    }
    p->n_model = c->n_model;
    memcpy(p->model, c->model, sizeof p->model);
    bool found = false;
    /* First the ratio of budgets (a wide ladder makes a law), then the size, then the batch: below
     * a million tokens small batches train far better (docs/ARCHITECTURE.md). */
    for (size_t r = 0; r < N_OF(ratio) && !found; r++)
        for (size_t l = N_OF(ladder); l-- > 0 && !found;)
            for (size_t b = ladder[l][1] < 1000000 ? 2 : 0; b < N_OF(batch) && !found; b++)
                found = try_ladder(p, c, ladder[l], batch[b], ratio[r], left_s, v);
    if (!found) {
        (void)try_ladder(p, c, ladder[0], 256, 2, left_s, v);
        set_budgets(p, 2.0 * PLAN_MIN_STEPS * (double)p->batch_tokens, 2);
    }
    if (c->n_budget) {
        p->n_budget = c->n_budget;
        memcpy(p->budget, c->budget, sizeof p->budget);
    }
}

uint64_t plan_pool(const struct plan *p, const struct plan_arm *arm)
{
    if (arm->source < 0)
        return 0;
    const struct plan_source *s = &p->source[arm->source];
    double most = p->share[p->n_share - 1];
    double pool = (double)s->n_tok;
    if (arm->control) /* repeated as often as the kinds are, where that much was made of it */
        for (size_t i = 0; i < p->n_source; i++)
            pool = p->source[i].n_tok < pool ? (double)p->source[i].n_tok : pool;
    pool *= arm->share / most;
    return pool < (double)s->n_tok ? (uint64_t)pool : 0;
}

static struct plan_arm *add_arm(struct plan *p, const char *kind, int source, double share)
{
    struct plan_arm *a = &p->arm[p->n_arm++];
    *a = (struct plan_arm){ .share = share, .source = source, .first_seed = 1 };
    snprintf(a->kind, sizeof a->kind, "%s", kind);
    if (source < 0)
        snprintf(a->name, sizeof a->name, "%s", kind);
    else
        snprintf(a->name, sizeof a->name, "%s@%g", kind, share);
    return a;
}

static int source_named(const struct plan *p, const char *name)
{
    for (size_t i = 0; i < p->n_source; i++)
        if (strcmp(p->source[i].name, name) == 0)
            return (int)i;
    return -1;
}

static enum st make_arms(struct plan *p, const struct study_conf *c, struct err *err)
{
    double most = p->share[p->n_share - 1];
    p->n_arm = 0;
    if (1 + c->n_kind * (p->n_share - 1) + 3 > PLAN_MAX_ARMS)
        return err_set(err, ST_LIMIT, "%zu kinds at %zu shares are more than %d arms", c->n_kind,
                       p->n_share, PLAN_MAX_ARMS);
    add_arm(p, "natural", -1, 0);
    for (size_t k = 0; k < c->n_kind; k++)
        for (size_t s = 1; s < p->n_share; s++)
            add_arm(p, c->kind[k].kind, source_named(p, c->kind[k].kind), p->share[s]);
    if (c->aa) {
        struct plan_arm *a = add_arm(p, "natural", -1, 0);
        snprintf(a->name, sizeof a->name, "aa");
        a->first_seed = 1 + p->seeds;
        a->control = true;
    }
    if (c->shuffle) /* a harm that any study can see, whatever its shares */
        add_arm(p, "shuffle", source_named(p, "shuffle"), 1)->control = true;
    if (c->copy)
        add_arm(p, "copy", source_named(p, "copy"), most)->control = true;
    return ST_OK;
}

static void warn(struct plan *p, const char *text)
{
    strlist_add(&p->warning, text);
}

/* A rate that is the last one tried is not known to be the best. */
static void check_sweep(struct plan *p)
{
    for (size_t m = 0; m < p->n_model; m++) {
        double lo = INFINITY, hi = 0;
        for (size_t i = 0; i < p->n_swept; i++)
            if (p->swept[i].n_param == p->model[m]) {
                lo = fmin(lo, p->swept[i].lr);
                hi = fmax(hi, p->swept[i].lr);
            }
        if (hi > 0 && (p->lr[m] <= lo || p->lr[m] >= hi)) {
            char text[300], a[UNITS_MAX];
            snprintf(text, sizeof text,
                     "at %s parameters the best learning rate is the last one tried (%g): the grid "
                     "may be badly trained; more steps a run, or training: {lr: ...}",
                     units_count(a, (double)p->model[m]), p->lr[m]);
            warn(p, text);
        }
    }
}

/* What of a source's tokens is its own, where its documents begin with the natural text that they
 * were made from; 1 before it is made. */
static double own_share(const struct plan *p, int source)
{
    const struct plan_source *s = source < 0 ? NULL : &p->source[source];
    return s && s->n_tok_own && s->n_tok ? (double)s->n_tok_own / (double)s->n_tok : 1;
}

static void check_plan(struct plan *p, const struct study_conf *c)
{
    char text[400], a[UNITS_MAX], b[UNITS_MAX];
    uint64_t steps = p->budget[0] / p->batch_tokens, largest = p->budget[p->n_budget - 1];
    if (steps < PLAN_MIN_STEPS) {
        snprintf(text, sizeof text,
                 "the smallest budget is %llu steps of %llu tokens; under %d steps no share is "
                 "recommended (insufficient)",
                 (unsigned long long)steps, (unsigned long long)p->batch_tokens, PLAN_MIN_STEPS);
        warn(p, text);
    }
    if (p->n_model < 2 || p->n_budget < 3 || p->n_share < 3 || p->seeds < 2) {
        snprintf(text, sizeof text,
                 "%zu sizes x %zu budgets x %zu shares x %llu seeds; fewer than 2 x 3 x 3 x 2 is "
                 "insufficient for a share",
                 p->n_model, p->n_budget, p->n_share, (unsigned long long)p->seeds);
        warn(p, text);
    }
    for (size_t i = 0; i < p->n_model; i++) {
        double d_model = sqrt((double)p->model[i] / 36); /* about three layers of 12 d^2 */
        if (d_model * (double)p->vocab_size > (double)p->model[i]) {
            snprintf(text, sizeof text,
                     "at %s parameters the embedding of %llu tokens outweighs the rest: a smaller "
                     "vocabulary would train better",
                     units_count(a, (double)p->model[i]), (unsigned long long)p->vocab_size);
            warn(p, text);
            break;
        }
    }
    for (size_t i = 0; i < p->n_source; i++) {
        const struct plan_source *s = &p->source[i];
        double n_drawn = plan_most(p, s) * (double)largest;
        double epochs = s->n_tok ? n_drawn / (double)s->n_tok : INFINITY;
        if (own_share(p, (int)i) < 1) {
            snprintf(text, sizeof text,
                     "%s: %.0f %% of its tokens are the source that stands before the answer: with "
                     "these counted as natural, a share of %g is %.3g synthetic",
                     s->name, 100 * (1 - own_share(p, (int)i)), plan_most(p, s),
                     plan_most(p, s) * own_share(p, (int)i));
            warn(p, text);
        }
        if (epochs > 1.02 * c->epochs_max) {
            snprintf(text, sizeof text,
                     "%s: %s tokens are drawn from %s, %.1f epochs; over %g repetition confounds "
                     "the answer",
                     s->name, units_count(a, n_drawn), units_count(b, (double)s->n_tok), epochs,
                     c->epochs_max);
            warn(p, text);
        }
    }
    if (p->natural_tok && (double)largest / (double)p->natural_tok > c->epochs_max) {
        snprintf(text, sizeof text,
                 "natural: %s tokens are drawn from %s, %.1f epochs; give more natural text",
                 units_count(a, (double)largest), units_count(b, (double)p->natural_tok),
                 (double)largest / (double)p->natural_tok);
        warn(p, text);
    }
    if (p->seeds < 2)
        snprintf(text, sizeof text, "with one seed nothing can be told from noise");
    else
        snprintf(text, sizeof text,
                 "with %llu seeds an effect under about %.3f nats cannot be told from noise",
                 (unsigned long long)p->seeds, p->smallest_effect);
    warn(p, text);
}

enum st plan_finish(struct plan *p, const struct study_conf *c, struct err *err)
{
    enum st st = make_arms(p, c, err);
    if (st < 0)
        return st;
    if (p->level == 0) { /* a new plan; one that is read obeys what was frozen */
        p->level = PLAN_LEVEL;
        p->threshold = PLAN_THRESHOLD;
    }
    p->n_trunk = p->n_run = p->n_tok = p->disk_bytes = 0;
    p->flop = 0;
    double per_trunk = plan_trunk_tok(p->budget, p->n_budget);
    for (size_t i = 0; i < p->n_model; i++) {
        double trunks = n_trunks(p, c, c->n_kind, i + 1 == p->n_model),
               tok = trunks * per_trunk + sweep_tok(p, i);
        double d_model = sqrt((double)p->model[i] / 36);
        p->n_trunk += (uint64_t)trunks;
        p->n_tok += (uint64_t)tok;
        p->flop += tok * 6 * ((double)p->model[i] + (double)p->vocab_size * d_model);
        /* one checkpoint a run, in fp32, embedding and head apart */
        p->disk_bytes += (uint64_t)(trunks * (double)p->n_budget * 4 *
                                    ((double)p->model[i] + 2 * (double)p->vocab_size * d_model));
    }
    p->n_run = p->n_trunk * p->n_budget;
    for (size_t i = 0; i < p->n_model && c->lr > 0; i++)
        p->lr[i] = c->lr;
    p->train_s = train_seconds(p, c) + sweep_seconds(p);
    double n_choice = (double)c->n_kind * (double)(p->n_share - 1);
    p->smallest_effect =
        p->seeds < 2
            ? INFINITY
            : detectable(SEED_SD, (n_choice + 1) * (double)(p->seeds - 1) * (double)p->n_model,
                         (double)p->seeds, p->level, (size_t)n_choice);
    strlist_release(&p->warning);
    check_plan(p, c);
    check_sweep(p);
    return ST_OK;
}

void plan_release(struct plan *p)
{
    strlist_release(&p->warning);
    *p = (struct plan){ 0 };
}

static struct js *wholes(const uint64_t *v, size_t n)
{
    struct js *out = js_array();
    for (size_t i = 0; i < n; i++)
        js_push_whole(out, (int64_t)v[i]);
    return out;
}

static struct js *reals(const double *v, size_t n)
{
    struct js *out = js_array();
    for (size_t i = 0; i < n; i++)
        js_push_real(out, v[i]);
    return out;
}

struct js *plan_json(const struct plan *p, const struct study_conf *c)
{
    struct js *out = js_object(), *list, *row;
    js_put_text(out, "study", c->name);
    js_put(out, "settings", study_conf_json(c));
    js_put(out, "models", wholes(p->model, p->n_model));
    js_put(out, "budgets", wholes(p->budget, p->n_budget));
    js_put(out, "shares", reals(p->share, p->n_share));
    js_put_whole(out, "seeds", (int64_t)p->seeds);
    js_put_whole(out, "vocab_size", (int64_t)p->vocab_size);
    js_put_whole(out, "seq_len", (int64_t)p->seq_len);
    js_put_whole(out, "batch_tokens", (int64_t)p->batch_tokens);
    js_put_whole(out, "eval_bytes", (int64_t)p->eval_bytes);
    js_put_whole(out, "n_domain", (int64_t)p->n_domain);
    js_put_whole(out, "natural_tok", (int64_t)p->natural_tok);
    js_put_text(out, "kernel_path", p->kernel_path);
    js_put(out, "lr", reals(p->lr, p->n_model));
    js_put_bool(out, "sweep", p->sweep);
    js_put(out, "swept", list = js_array());
    for (size_t i = 0; i < p->n_swept; i++) {
        js_push(list, row = js_object());
        js_put_whole(row, "n_param_nonemb", (int64_t)p->swept[i].n_param);
        js_put_text(row, "arm", p->swept[i].arm);
        js_put_real(row, "lr", p->swept[i].lr);
        js_put_real(row, "loss", p->swept[i].loss);
    }
    js_put_text(out, "schedule",
                p->n_budget > 1 ? "wsd, one trunk with a cooldown branch a budget" : "wsd");
    js_put(out, "sources", list = js_array());
    for (size_t i = 0; i < p->n_source; i++) {
        js_push(list, row = js_object());
        js_put_text(row, "name", p->source[i].name);
        js_put_text(row, "recipe", p->source[i].recipe);
        js_put_whole(row, "n_page", (int64_t)p->source[i].n_page);
        js_put_whole(row, "n_tok", (int64_t)p->source[i].n_tok);
        js_put_whole(row, "n_tok_own", (int64_t)p->source[i].n_tok_own);
        js_put_real(row, "tok_per_s", p->source[i].tok_per_s);
        js_put_real(row, "tok_per_page", p->source[i].tok_per_page);
        js_put_bool(row, "made", p->source[i].made);
        js_put_bool(row, "imported", p->source[i].imported);
    }
    js_put(out, "arms", list = js_array());
    for (size_t i = 0; i < p->n_arm; i++) {
        const struct plan_arm *a = &p->arm[i];
        js_push(list, row = js_object());
        js_put_text(row, "arm", a->name);
        js_put_text(row, "kind", a->kind);
        js_put_real(row, "frac_synth", a->share);
        js_put_real(row, "frac_own", a->share * own_share(p, a->source));
        js_put_bool(row, "control", a->control);
        js_put_whole(row, "first_seed", (int64_t)a->first_seed);
        js_put_whole(row, "pool_tok", (int64_t)plan_pool(p, a));
    }
    js_put(out, "decision", row = js_object());
    js_put_whole(row, "n_param_nonemb", (int64_t)(p->n_model ? p->model[p->n_model - 1] : 0));
    js_put_whole(row, "n_tok", (int64_t)(p->n_budget ? p->budget[p->n_budget - 1] : 0));
    js_put_real(row, "level", p->level);
    js_put_real(row, "threshold", p->threshold);
    js_put_text(row, "correction", "Holm");
    js_put(out, "expected", row = js_object());
    js_put_whole(row, "runs", (int64_t)p->n_run);
    js_put_whole(row, "trunks", (int64_t)p->n_trunk);
    js_put_whole(row, "tokens", (int64_t)p->n_tok);
    js_put_real(row, "flop", p->flop);
    js_put_real(row, "train_s", p->train_s);
    js_put_real(row, "generate_s", p->generate_s);
    js_put_real(row, "spent_s", p->spent_s);
    js_put_whole(row, "disk_bytes", (int64_t)p->disk_bytes);
    js_put_whole(row, "requests", (int64_t)p->n_request);
    js_put_real(row, "price", p->price);
    js_put_real(row, "smallest_effect", p->smallest_effect);
    js_put(row, "tok_per_s", reals(p->rate, p->n_model));
    js_put(row, "n_threads", wholes(p->width, p->n_model));
    js_put(out, "warnings", list = js_array());
    for (size_t i = 0; i < p->warning.n; i++)
        js_push_text(list, p->warning.s[i]);
    return out;
}

/* Reads an array of numbers into whole[] or real[]. */
static enum st numbers(const struct js *v, const char *key, uint64_t *whole, double *real,
                       size_t *n, struct err *err)
{
    const struct js *list = js_get(v, key);
    if (js_kind(list) != JS_ARRAY || js_len(list) == 0 || js_len(list) > STUDY_MAX)
        return err_set(err, ST_FORMAT, "'%s' is missing or no list of 1 to %d numbers", key,
                       STUDY_MAX);
    *n = js_len(list);
    for (size_t i = 0; i < *n; i++) {
        double x = js_as_real(js_at(list, i), NAN);
        if (!(x >= 0))
            return err_set(err, ST_FORMAT, "'%s' entry %zu is no number", key, i + 1);
        if (whole)
            whole[i] = (uint64_t)js_as_whole(js_at(list, i), 0);
        else
            real[i] = x;
    }
    return ST_OK;
}

enum st plan_from_json(struct plan *p, const struct js *v, struct err *err)
{
    *p = (struct plan){ 0 };
    enum st st = numbers(v, "models", p->model, NULL, &p->n_model, err);
    if (st == ST_OK)
        st = numbers(v, "budgets", p->budget, NULL, &p->n_budget, err);
    if (st == ST_OK)
        st = numbers(v, "shares", NULL, p->share, &p->n_share, err);
    size_t n_lr = 0;
    if (st == ST_OK)
        st = numbers(v, "lr", NULL, p->lr, &n_lr, err);
    if (st == ST_OK && n_lr != p->n_model)
        st = err_set(err, ST_FORMAT, "'lr' has %zu entries for %zu models", n_lr, p->n_model);
    const struct js *sources = js_get(v, "sources"), *expected = js_get(v, "expected"),
                    *swept = js_get(v, "swept");
    if (st == ST_OK && js_len(swept) > PLAN_MAX_SWEPT)
        st = err_set(err, ST_FORMAT, "'swept' has more than %d rows", PLAN_MAX_SWEPT);
    if (st == ST_OK && js_len(sources) > N_OF(p->source))
        st = err_set(err, ST_FORMAT, "more than %zu sources", N_OF(p->source));
    if (st < 0)
        return st;
    p->seeds = (uint64_t)js_get_whole(v, "seeds", 0);
    p->vocab_size = (uint64_t)js_get_whole(v, "vocab_size", 0);
    p->seq_len = (uint64_t)js_get_whole(v, "seq_len", 0);
    p->batch_tokens = (uint64_t)js_get_whole(v, "batch_tokens", 0);
    p->eval_bytes = (uint64_t)js_get_whole(v, "eval_bytes", 0);
    p->n_domain = (size_t)js_get_whole(v, "n_domain", 0);
    p->natural_tok = (uint64_t)js_get_whole(v, "natural_tok", 0);
    if (!p->seeds || !p->vocab_size || !p->seq_len || !p->batch_tokens)
        return err_set(err, ST_FORMAT, "seeds, vocab_size, seq_len or batch_tokens is missing");
    for (size_t i = 0; i < js_len(sources); i++) {
        const struct js *row = js_at(sources, i);
        struct plan_source *s = &p->source[p->n_source++];
        snprintf(s->name, sizeof s->name, "%s", js_get_text(row, "name", ""));
        snprintf(s->recipe, sizeof s->recipe, "%s", js_get_text(row, "recipe", ""));
        s->n_page = (uint64_t)js_get_whole(row, "n_page", 0);
        s->n_tok = (uint64_t)js_get_whole(row, "n_tok", 0);
        s->tok_per_s = js_get_real(row, "tok_per_s", 0);
        s->tok_per_page = js_get_real(row, "tok_per_page", 0);
        s->n_tok_own = (uint64_t)js_get_whole(row, "n_tok_own", 0);
        s->imported = js_get_bool(row, "imported", false);
        s->made = js_get_bool(row, "made", false);
    }
    snprintf(p->kernel_path, sizeof p->kernel_path, "%s", js_get_text(v, "kernel_path", ""));
    p->level = js_get_real(js_get(v, "decision"), "level", 0);
    p->threshold = js_get_real(js_get(v, "decision"), "threshold", 0);
    if (!(p->level > 0 && p->level < 1 && p->threshold > 0))
        return err_set(err, ST_FORMAT, "'decision' has no level and threshold");
    p->sweep = js_get_bool(v, "sweep", false);
    for (size_t i = 0; i < js_len(swept); i++) {
        const struct js *row = js_at(swept, i);
        struct plan_swept *w = &p->swept[p->n_swept++];
        w->n_param = (uint64_t)js_get_whole(row, "n_param_nonemb", 0);
        w->lr = js_get_real(row, "lr", NAN);
        w->loss = js_get_real(row, "loss", NAN);
        snprintf(w->arm, sizeof w->arm, "%s", js_get_text(row, "arm", ""));
    }
    size_t n_rate;
    st = numbers(expected, "tok_per_s", NULL, p->rate, &n_rate, err);
    if (st == ST_OK && n_rate != p->n_model)
        st = err_set(err, ST_FORMAT, "'tok_per_s' has %zu entries for %zu models", n_rate,
                     p->n_model);
    size_t n_width;
    if (st == ST_OK)
        st = numbers(expected, "n_threads", p->width, NULL, &n_width, err);
    if (st == ST_OK && n_width != p->n_model)
        st = err_set(err, ST_FORMAT, "'n_threads' has %zu entries for %zu models", n_width,
                     p->n_model);
    for (size_t i = 0; i < p->n_model && st == ST_OK; i++)
        if (p->width[i] == 0)
            st = err_set(err, ST_FORMAT, "'n_threads' is 0, want at least 1");
    p->generate_s = js_get_real(expected, "generate_s", 0);
    p->spent_s = js_get_real(expected, "spent_s", 0);
    p->n_request = (uint64_t)js_get_whole(expected, "requests", 0);
    p->price = js_get_real(expected, "price", NAN);
    return st;
}
