/* study/trunks.c - training: every arm at every size and seed, many child processes side by side.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/units.h"
#include "study/child.h"
#include "study/stages.h"

size_t study_trunks(struct study *s, struct trunk **out)
{
    struct plan *p = &s->plan;
    size_t n = 0, most = p->n_arm * p->n_model * (size_t)p->seeds;
    struct trunk *t = *out = ARENA_ARRAY(&s->arena, struct trunk, most);
    for (size_t m = p->n_model;
         m-- > 0;) /* the longest first: the processors then finish together */
        for (uint64_t seed = 0; seed < p->seeds; seed++)
            for (size_t a = 0; a < p->n_arm; a++) {
                char size[UNITS_MAX];
                if (p->arm[a].control && m + 1 != p->n_model)
                    continue;
                t[n] = (struct trunk){ .arm = &p->arm[a],
                                       .n_param = p->model[m],
                                       .seed = p->arm[a].first_seed + seed,
                                       .lr = p->lr[m],
                                       .budget = p->budget,
                                       .n_budget = p->n_budget,
                                       .folder = "runs" };
                snprintf(t[n].id, sizeof t[n].id, "%s-n%s-s%llu", p->arm[a].name,
                         units_count(size, (double)p->model[m]), (unsigned long long)t[n].seed);
                n++;
            }
    return n;
}

static void add_whole(struct study *s, struct strlist *argv, const char *flag, uint64_t v)
{
    args_add(argv, flag, arena_printf(&s->arena, "%llu", (unsigned long long)v), NULL);
}

char *trunk_dir(struct study *s, const struct trunk *t)
{
    return study_path(s, "%s/%s", t->folder, t->id);
}

/* That of the frozen kernel path: `auto` may choose otherwise on another processor. */
static const char *precision(const struct study *s)
{
    const char *space = strchr(s->plan.kernel_path, ' ');
    return space ? space + 1 : s->conf.precision;
}

void trunk_args(struct study *s, const struct trunk *t, struct strlist *argv)
{
    const struct plan *p = &s->plan;
    const struct plan_arm *a = t->arm;
    args_add(argv, s->where.self, "train", "--quiet", "--json", "--out", trunk_dir(s, t),
             "--run-id", t->id, "--arm", a->name, "--kind", a->kind, "--schedule", "wsd",
             "--tokenizer", study_path(s, "tokenizer.json"), "--backend", s->where.backend,
             "--precision", precision(s), NULL);
    add_whole(s, argv, "--params", t->n_param);
    add_whole(s, argv, "--seed", t->seed);
    add_whole(s, argv, "--seq-len", p->seq_len);
    add_whole(s, argv, "--batch-tokens", p->batch_tokens);
    add_whole(s, argv, "--eval-bytes", p->eval_bytes);
    if (t->lr > 0)
        args_add(argv, "--lr", arena_printf(&s->arena, "%.9g", t->lr), NULL);
    strlist_add(argv, "--tokens");
    for (size_t i = 0; i < t->n_budget; i++)
        strlist_add(argv, arena_printf(&s->arena, "%llu", (unsigned long long)t->budget[i]));
    strlist_add(argv, "--data");
    strlist_add(argv, arena_printf(&s->arena, "natural=%s@%.9g", study_path(s, "tokens/natural"),
                                   1 - a->share));
    if (a->source >= 0) {
        uint64_t pool = plan_pool(p, a);
        char *data = arena_printf(&s->arena, "%s=%s@%.9g", a->kind,
                                  study_path(s, "tokens/%s", a->kind), a->share);
        strlist_add(argv, pool ? arena_printf(&s->arena, "%s:%llu", data, (unsigned long long)pool)
                               : data);
    }
    strlist_add(argv, "--eval");
    if (t->dev)
        strlist_add(argv, arena_printf(&s->arena, "dev=%s", study_path(s, "tokens/dev")));
    for (size_t i = 0; i < s->domain.n && !t->dev; i++)
        strlist_add(argv, arena_printf(&s->arena, "%s=%s", s->domain.s[i],
                                       study_path(s, "tokens/domain-%s", s->domain.s[i])));
}

/* Progress in training tokens: a trunk counts by its budgets that have a result. */
struct watch {
    struct study *s;
    const struct trunk *trunk;
    size_t n_trunk;
    struct progress progress;
    double next_s;
};

/* Of its budgets, those that have a result. */
static uint64_t trunk_tok_done(const struct study *s, const struct trunk *t)
{
    uint64_t n = 0;
    for (size_t b = 0; b < t->n_budget; b++) {
        char path[1200], budget[32] = "";
        if (t->n_budget > 1) /* a single budget has no folder of its own */
            snprintf(budget, sizeof budget, "/%llu", (unsigned long long)t->budget[b]);
        snprintf(path, sizeof path, "%s/%s/%s%s/result.json", s->dir, t->folder, t->id, budget);
        if (file_exists(path))
            n += t->budget[b] - (b ? t->budget[b - 1] : 0);
    }
    return n;
}

static uint64_t tokens_done(const struct watch *w)
{
    uint64_t n = 0;
    for (size_t i = 0; i < w->n_trunk; i++)
        n += trunk_tok_done(w->s, &w->trunk[i]);
    return n;
}

static void look(void *ctx)
{
    struct watch *w = ctx;
    double now = clock_s();
    if (now < w->next_s)
        return;
    w->next_s = now + 0.5;
    progress_at(&w->progress, tokens_done(w));
}

/* Releases the jobs; the first failure, with how many more there are. */
static enum st job_failures(const struct trunk *trunk, struct child_job *job, size_t n, enum st st,
                            struct err *err)
{
    size_t n_failed = 0;
    for (size_t i = 0; i < n; i++) {
        if (job[i].failed && st == ST_OK && n_failed++ == 0)
            err_set(err, ST_IO, "training %s failed: %s (all of it in '%s')", trunk[i].id,
                    job[i].why, job[i].log);
        strlist_release(&job[i].argv);
    }
    if (n_failed > 1)
        err_in(err, ST_IO, "%zu of %zu", n_failed, n);
    return n_failed ? ST_IO : st;
}

/* Every run takes the kernels that the pilot took, "cpu/ISA PRECISION", also when the study goes on
 * elsewhere: a processor that lacks them is refused by train itself. */
static void obey_kernel_path(const struct study *s)
{
    char isa[32];
    if (sscanf(s->plan.kernel_path, "cpu/%31s", isa) == 1)
        setenv("MIXLAW_ISA", isa, 1);
}

static int width_of(const struct plan *p, const struct trunk *t, uint64_t threads)
{
    uint64_t width = 1;
    for (size_t i = 0; i < p->n_model; i++)
        if (p->model[i] == t->n_param)
            width = p->width[i];
    return (int)(width < threads ? width : threads);
}

/* Those that are done first, which end at once: the threads are then shared among the others. */
static const struct trunk *done_first(struct study *s, const struct trunk *trunk, size_t n)
{
    struct trunk *out = ARENA_ARRAY(&s->arena, struct trunk, n);
    size_t k = 0;
    for (int done = 1; done >= 0; done--)
        for (size_t i = 0; i < n; i++) {
            const struct trunk *t = &trunk[i];
            if ((trunk_tok_done(s, t) == t->budget[t->n_budget - 1]) == (done == 1))
                out[k++] = *t;
        }
    return out;
}

enum st train_trunks(struct study *s, const struct trunk *trunk, size_t n, const char *label,
                     struct err *err)
{
    trunk = done_first(s, trunk, n);
    uint64_t threads = s->where.threads;
    struct child_job *job = ARENA_ARRAY(&s->arena, struct child_job, n);
    enum st st = dir_make(study_path(s, "%s", trunk[0].folder), err);
    if (st == ST_OK)
        st = dir_make(study_path(s, "logs"), err);
    if (st < 0)
        return st;
    uint64_t n_tok = 0;
    for (size_t i = 0; i < n; i++) {
        trunk_args(s, &trunk[i], &job[i].argv);
        job[i].n_threads = width_of(&s->plan, &trunk[i], threads);
        job[i].log = study_path(s, "logs/%s.log", trunk[i].id);
        n_tok += trunk[i].budget[trunk[i].n_budget - 1];
    }
    obey_kernel_path(s);
    struct watch w = { .s = s, .trunk = trunk, .n_trunk = n };
    progress_start(&w.progress, label, n_tok, "tokens");
    progress_resume(&w.progress, tokens_done(&w));
    char note[64];
    snprintf(note, sizeof note, "%zu models on %llu threads", n, (unsigned long long)threads);
    w.progress.note = note;
    st = child_run_all(job, n, (int)threads, look, &w, err);
    progress_at(&w.progress, tokens_done(&w));
    progress_end(&w.progress);
    return job_failures(trunk, job, n, st, err);
}

enum st stage_train(struct study *s, struct err *err)
{
    struct trunk *trunk;
    size_t n = study_trunks(s, &trunk);
    return train_trunks(s, trunk, n, "train", err);
}
