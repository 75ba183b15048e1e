/* study/study.c - see study.h: from the study file to the frozen plan, and the whole way. */
#include "study/study.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/units.h"
#include "run/folder.h"
#include "run/index.h"
#include "run/table.h"
#include "study/stages.h"

enum {
    PILOT_PAGES = 400, /* a kind of so many pages is worth a pilot of 200 */
    PASSAGE_TOK = 80   /* tokens of a passage of 50 words and more, at least */
};

enum st study_open(struct study **out, const char *path, const struct study_where *where,
                   struct err *err)
{
    struct study *s = NEW(struct study);
    *out = NULL;
    s->start_s = clock_s();
    s->where = *where;
    s->lock.fd = -1;
    s->path = xstrdup(path);
    enum st st = study_conf_read(&s->conf, path, err);
    if (st == ST_OK) {
        s->dir = where->dir ? xstrdup(where->dir) : xasprintf("%s-study", s->conf.name);
        *out = s;
        s = NULL;
    }
    study_close(s);
    return st;
}

void study_close(struct study *s)
{
    if (!s)
        return;
    lock_drop(&s->lock);
    plan_release(&s->plan);
    study_conf_release(&s->conf);
    strlist_release(&s->domain);
    arena_release(&s->arena);
    free(s->path);
    free(s->dir);
    free(s);
}

const char *study_dir(const struct study *s)
{
    return s->dir;
}

static enum st take_lock(struct study *s, struct err *err)
{
    if (s->lock.fd >= 0)
        return ST_OK;
    enum st st = dir_make(s->dir, err);
    return st == ST_OK ? lock_take(&s->lock, study_path(s, ".lock"), err) : st;
}

/* Seconds this study has taken so far, earlier goes included. */
static double spent(const struct study *s)
{
    return s->plan.spent_s + clock_s() - s->start_s;
}

/* For the plan: a tenth is kept, for a pilot that met the machine at a better moment than training
 * does. */
static double time_left(const struct study *s)
{
    return 0.9 * s->conf.time_budget - spent(s);
}

static enum st write_plan(struct study *s, const char *phase, struct err *err)
{
    double before = s->plan.spent_s;
    s->plan.spent_s = spent(s);
    struct js *v = plan_json(&s->plan, &s->conf);
    s->plan.spent_s = before;
    js_put_text(v, "phase", phase);
    js_put_whole(v, "version", STUDY_VERSION);
    js_put_text(v, "backend", s->where.backend);
    js_put_whole(v, "seed", (int64_t)s->where.seed);
    enum st st = js_write_file(v, study_path(s, "plan.json"), err);
    js_free(v);
    return st;
}

/* The plan that is frozen in the folder, if there is one: ST_OK with *phase, or ST_END. */
static enum st read_plan(struct study *s, char phase[16], struct err *err)
{
    const char *path = study_path(s, "plan.json");
    struct js *v, *now;
    if (!file_exists(path))
        return ST_END;
    enum st st = js_read_file(&v, path, err);
    if (st < 0)
        return st;
    if (js_get_whole(v, "version", 0) != STUDY_VERSION) {
        st = err_set(err, ST_USAGE,
                     "'%s' was planned by another version of mixlaw (%lld, this is %d): finish it "
                     "there, or delete plan.json and runs/ to plan anew with the texts it has",
                     s->dir, (long long)js_get_whole(v, "version", 0), STUDY_VERSION);
        js_free(v);
        return st;
    }
    struct strbuf a = { 0 }, b = { 0 };
    js_write(js_get(v, "settings"), &a);
    js_write(now = study_conf_json(&s->conf), &b);
    if (strcmp(a.s, b.s) != 0)
        st = err_set(err, ST_USAGE,
                     "'%s' was changed since the plan in '%s' was frozen; choose another folder "
                     "with --out, or delete that one",
                     s->path, s->dir);
    else
        st = err_in(err, plan_from_json(&s->plan, v, err), "'%s'", path);
    snprintf(phase, 16, "%s", js_get_text(v, "phase", ""));
    s->where.seed = (uint64_t)js_get_whole(v, "seed", (int64_t)s->where.seed);
    str_release(&a);
    str_release(&b);
    js_free(now);
    js_free(v);
    if (st == ST_OK)
        st = plan_finish(&s->plan, &s->conf, err);
    return st;
}

static void list_sources(struct study *s)
{
    struct plan *p = &s->plan;
    p->n_source = 0;
    for (size_t k = 0; k < s->conf.n_kind; k++) {
        struct plan_source *src = &p->source[p->n_source++];
        *src = (struct plan_source){ 0 };
        snprintf(src->name, sizeof src->name, "%s", s->conf.kind[k].kind);
        snprintf(src->recipe, sizeof src->recipe, "%s", s->conf.kind[k].recipe);
        src->imported = study_kind_imports(&s->conf.kind[k]);
    }
    for (int control = 0; control < 2; control++) {
        const char *name = control ? "copy" : "shuffle";
        if (control ? !s->conf.copy : !s->conf.shuffle)
            continue;
        struct plan_source *src = &p->source[p->n_source++];
        *src = (struct plan_source){ 0 };
        snprintf(src->name, sizeof src->name, "%s", name);
        snprintf(src->recipe, sizeof src->recipe, "%s", name);
    }
}

static enum st measure_speeds(struct study *s, struct plan_speeds *v, struct err *err)
{
    static const uint64_t probe[] = { 200000, 800000, 6400000 };
    bool chosen = s->conf.n_model > 0;
    size_t n_probe = s->conf.time_budget < 3600 ? 2 : N_OF(probe); /* the last for long studies */
    v->n = chosen ? s->conf.n_model : n_probe;
    for (size_t i = 0; i < v->n; i++) {
        uint64_t n = chosen ? s->conf.model[i] : probe[i];
        enum st st = stage_train_pilot(s, n, &v->tok_per_s[i], &v->width[i], err);
        if (st < 0)
            return st;
        v->n_param[i] = (double)n;
        char a[UNITS_MAX], b[UNITS_MAX];
        log_info("pilot: %s parameters train at %s tokens/s, %llu side by side with %llu thread%s "
                 "each",
                 units_count(a, (double)n), units_count(b, v->tok_per_s[i]),
                 (unsigned long long)(s->where.threads / v->width[i]),
                 (unsigned long long)v->width[i], v->width[i] == 1 ? "" : "s");
    }
    return ST_OK;
}

static void take_explicit(struct plan *p, const struct study_conf *c, const struct plan_speeds *v)
{
    p->n_model = c->n_model;
    p->n_budget = c->n_budget;
    p->n_share = c->n_share;
    memcpy(p->model, c->model, sizeof p->model);
    memcpy(p->budget, c->budget, sizeof p->budget);
    memcpy(p->share, c->share, sizeof p->share);
    p->seeds = c->seeds;
    plan_take_speeds(p, v);
}

/* What a set cost that is imported whole. */
static double import_price(const struct study_kind *k, const struct plan_source *src)
{
    return k->price + k->price_per_m * (double)src->n_tok / 1e6;
}

static bool has_prices(const struct study_conf *c)
{
    bool any = c->price_in > 0 || c->price_out > 0;
    for (size_t i = 0; i < c->n_kind; i++)
        any |= c->kind[i].price > 0 || c->kind[i].price_per_m > 0;
    return any;
}

/* Source pages for each kind: enough tokens for the largest share and budget at the allowed
 * repetition. */
static void choose_pages(struct study *s)
{
    struct plan *p = &s->plan;
    double need = p->share[p->n_share - 1] * (double)p->budget[p->n_budget - 1] /
                  (0.97 * s->conf.epochs_max),
           most = 0;
    p->generate_s = 0;
    p->n_request = 0;
    p->price = has_prices(&s->conf) ? 0 : NAN;
    for (size_t i = 0; i < s->conf.n_kind; i++) {
        struct plan_source *src = &p->source[i];
        if (src->imported) {
            p->price += import_price(&s->conf.kind[i], src);
            continue;
        }
        double pages = src->tok_per_page > 0 ? ceil(1.08 * need / src->tok_per_page) : 0;
        src->n_page = s->conf.gen_docs ? s->conf.gen_docs : (uint64_t)fmax(pages, 16);
        if (src->n_usable > 0 &&
            src->n_page > src->n_usable) /* more are not there to be asked for */
            src->n_page = src->n_usable;
        src->n_tok = (uint64_t)((double)src->n_page * src->tok_per_page);
        if (src->tok_per_s > 0)
            p->generate_s += (double)src->n_tok / src->tok_per_s;
        p->n_request += (uint64_t)ceil((double)src->n_page * src->request_per_page);
        p->price += (double)src->n_page * src->price_per_page;
        most = fmax(most, (double)src->n_page);
    }
    if (most == 0) /* all kinds are imported: shuffled passages, one a page */
        most = ceil(need / PASSAGE_TOK);
    for (size_t i = s->conf.n_kind; i < p->n_source; i++) {
        /* the controls work on the same pages; shuffled words on more, for a larger share */
        double more = plan_most(p, &p->source[i]) / p->share[p->n_share - 1];
        p->source[i].n_page = (uint64_t)ceil(most * more);
        p->source[i].n_tok = (uint64_t)(need * more);
    }
}

static enum st vocabulary(struct study *s, struct err *err)
{
    struct js *m;
    enum st st = js_read_file(&m, study_path(s, "tokens/natural.json"), err);
    if (st < 0)
        return st;
    s->plan.vocab_size = (uint64_t)js_get_whole(m, "vocab_size", (int64_t)s->plan.vocab_size);
    js_free(m);
    return ST_OK;
}

/* Makes or imports a source; ST_IO when nothing of it could be kept. */
static enum st make_source(struct study *s, struct plan_source *src, struct err *err)
{
    enum st st = stage_generate(s, src, err);
    src->made = true;
    if (st == ST_OK && src->n_tok == 0)
        st = err_set(err, ST_IO, "%s: nothing of it could be kept; '%s' says why (use another %s)",
                     src->name, study_path(s, "kinds/%s/manifest.json", src->name),
                     src->imported ? "set" : "generator or recipe");
    return st;
}

/* Text, tokenizer, pilots, sizes: everything before generation. */
static enum st first_plan(struct study *s, struct err *err)
{
    struct plan *p = &s->plan;
    const struct study_conf *c = &s->conf;
    struct plan_speeds speeds = { 0 };
    uint64_t largest = c->n_model              ? c->model[c->n_model - 1]
                       : c->time_budget < 3600 ? 400000
                                               : 3200000;
    plan_defaults(p, c, largest);
    enum st st = stage_corpus(s, err);
    if (st == ST_OK)
        st = stage_tokenizer(s, err);
    if (st == ST_OK)
        st = stage_natural_tokens(s, err);
    if (st == ST_OK)
        st = vocabulary(s, err);
    if (st == ST_OK)
        st = measure_speeds(s, &speeds, err);
    list_sources(s);
    for (size_t k = 0; k < c->n_kind && st == ST_OK; k++)
        st = p->source[k].imported ? make_source(s, &p->source[k], err)
                                   : stage_synth_pilot(s, &p->source[k], true, err);
    if (st < 0)
        return st;
    if (c->time_budget > 0)
        plan_fit_time(p, c, time_left(s), &speeds);
    else
        take_explicit(p, c, &speeds);
    choose_pages(s);
    for (size_t k = 0; k < c->n_kind && st == ST_OK && c->time_budget == 0; k++)
        if (!p->source[k].imported &&
            p->source[k].n_page >= PILOT_PAGES) /* worth a forecast that can be relied on */
            st = stage_synth_pilot(s, &p->source[k], false, err);
    if (st < 0)
        return st;
    choose_pages(s);
    return plan_finish(p, c, err);
}

/* Everything is made: sizes and budgets that the real token counts allow, and the learning rates
 * that are best at them; then nothing changes any more. */
static enum st freeze(struct study *s, struct err *err)
{
    struct plan *p = &s->plan;
    if (s->conf.time_budget > 0) {
        struct plan_speeds speeds = { .n = p->n_model };
        for (size_t i = 0; i < p->n_model; i++) {
            speeds.n_param[i] = (double)p->model[i];
            speeds.tok_per_s[i] = p->rate[i];
            speeds.width[i] = p->width[i];
        }
        plan_fit_time(p, &s->conf, time_left(s), &speeds);
    }
    enum st st = plan_finish(p, &s->conf, err);
    if (st == ST_OK)
        st = stage_fit_memory(s, err);
    if (st == ST_OK && p->sweep)
        st = stage_sweep(s, err);
    if (st == ST_OK) /* with what the sweep warns of */
        st = plan_finish(p, &s->conf, err);
    return st == ST_OK ? write_plan(s, "train", err) : st;
}

static enum st generate(struct study *s, struct err *err)
{
    enum st st = ST_OK;
    for (size_t i = 0; i < s->plan.n_source && st == ST_OK; i++)
        st = make_source(s, &s->plan.source[i], err);
    return st;
}

/* Domains as the folder has them, when the corpus stage is not run again. */
static enum st known_domains(struct study *s, struct err *err)
{
    struct strlist names = { 0 };
    enum st st = dir_list(study_path(s, "tokens"), &names, err);
    strlist_release(&s->domain);
    for (size_t i = 0; i < names.n; i++)
        if (str_starts(names.s[i], "domain-") && str_ends(names.s[i], ".idx"))
            strlist_addn(&s->domain, names.s[i] + 7, strlen(names.s[i]) - 11);
    strlist_release(&names);
    strlist_sort(&s->domain); /* as at first: the files' suffix sorts "a-b" before "a" */
    if (st == ST_OK && s->domain.n == 0)
        st = err_set(err, ST_IO,
                     "'%s' has no token files of domains; delete its plan.json to start anew",
                     s->dir);
    return st;
}

/* Brings the study to a frozen plan of at least the first phase. */
static enum st ensure_plan(struct study *s, char phase[16], struct err *err)
{
    enum st st = take_lock(s, err);
    if (st == ST_OK)
        st = read_plan(s, phase, err);
    if (st == ST_OK)
        return known_domains(s, err);
    if (st < 0)
        return st;
    st = first_plan(s, err);
    snprintf(phase, 16, "generate");
    return st == ST_OK ? write_plan(s, phase, err) : st;
}

enum st study_plan(struct study *s, struct js **out, struct err *err)
{
    char phase[16];
    enum st st = ensure_plan(s, phase, err);
    if (st < 0)
        return st;
    const struct plan *p = &s->plan;
    struct js *v = *out = js_object(), *list = js_array();
    js_put_whole(v, "runs", (int64_t)p->n_run);
    js_put_whole(v, "tokens", (int64_t)p->n_tok);
    js_put_real(v, "flop", p->flop);
    js_put_real(v, "hours", (p->train_s + p->generate_s) / 3600);
    js_put_whole(v, "disk_bytes", (int64_t)p->disk_bytes);
    js_put_whole(v, "requests", (int64_t)p->n_request);
    js_put_real(v, "price", p->price);
    js_put_real(v, "smallest_effect", p->smallest_effect);
    for (size_t i = 0; i < p->warning.n; i++)
        js_push_text(list, p->warning.s[i]);
    js_put(v, "warnings", list);
    return ST_OK;
}

static void say_plan(const struct study *s)
{
    const struct plan *p = &s->plan;
    char a[UNITS_MAX], b[UNITS_MAX], c[UNITS_MAX], d[UNITS_MAX];
    log_info("plan: %llu runs of %zu arms, models up to %s parameters, budgets %s to %s tokens, "
             "%llu seeds; training takes about %s",
             (unsigned long long)p->n_run, p->n_arm,
             units_count(a, (double)p->model[p->n_model - 1]), units_count(b, (double)p->budget[0]),
             units_count(c, (double)p->budget[p->n_budget - 1]), (unsigned long long)p->seeds,
             units_time(d, p->train_s));
    for (size_t i = 0; i < p->warning.n; i++)
        log_info("  note: %s", p->warning.s[i]);
}

enum st study_run(struct study *s, struct err *err)
{
    char phase[16];
    enum st st = ensure_plan(s, phase, err);
    bool frozen = strcmp(phase, "train") == 0;
    if (st == ST_OK && !frozen)
        st = generate(s, err);
    if (st == ST_OK)
        st = frozen ? stage_fit_memory(s, err) : freeze(s, err);
    if (st < 0)
        return st;
    say_plan(s);
    st = stage_train(s, err);
    struct err late;
    enum st collected = study_collect(s, &late); /* what there is, also after failed runs */
    if (st == ST_OK && collected < 0) {
        *err = late;
        st = collected;
    }
    return st == ST_OK ? stage_conclude(s, err) : st;
}

enum st study_collect(struct study *s, struct err *err)
{
    struct run_index *ix = NULL;
    struct run_list list = { 0 };
    const char *runs = study_path(s, "runs");
    if (!file_is_dir(s->dir))
        return err_set(err, ST_USAGE,
                       "there is no folder '%s' yet; 'study run' makes it (or give --out)", s->dir);
    enum st st = run_index_open(&ix, study_path(s, "study.db"), err);
    if (st == ST_OK)
        st = run_index_rebuild(ix, runs, err);
    if (st == ST_OK)
        st = run_index_list(ix, &list, err);
    if (st == ST_OK) {
        const struct run_record **rec = NEW_ARRAY(const struct run_record *, list.n);
        size_t n = 0;
        for (size_t i = 0; i < list.n; i++)
            if (list.run[i].state == RUN_FINISHED)
                rec[n++] = &list.run[i].rec;
        st = run_table_write(study_path(s, "runs.csv"), rec, n, err);
        free(rec);
    }
    run_list_release(&list);
    run_index_close(ix);
    return st;
}

enum st study_status(struct study *s, struct js **out, struct err *err)
{
    char phase[16];
    struct run_list list = { 0 };
    snprintf(phase, sizeof phase, file_is_dir(s->dir) ? "corpus" : "not begun");
    enum st st = read_plan(s, phase, err);
    if (st >= 0)
        st = run_scan(&list, study_path(s, "runs"), err);
    if (st < 0) {
        run_list_release(&list);
        return st;
    }
    int64_t n_of[3] = { 0 }, n_diverged = 0;
    for (size_t i = 0; i < list.n; i++) {
        n_of[list.run[i].state]++;
        n_diverged += list.run[i].state == RUN_FINISHED && list.run[i].rec.diverged;
    }
    struct js *v = *out = js_object();
    js_put_text(v, "study", s->conf.name);
    js_put_text(v, "dir", s->dir);
    bool is_done = file_exists(study_path(s, "report.html")) &&
                   n_of[RUN_FINISHED] >= (int64_t)s->plan.n_run; /* an older report may stand */
    js_put_text(v, "stage", is_done ? "done" : phase);
    js_put_whole(v, "runs", (int64_t)s->plan.n_run);
    js_put_whole(v, "finished", n_of[RUN_FINISHED]);
    js_put_whole(v, "unfinished", n_of[RUN_UNFINISHED]);
    js_put_whole(v, "damaged", n_of[RUN_DAMAGED]);
    js_put_whole(v, "diverged", n_diverged);
    run_list_release(&list);
    return ST_OK;
}
