/* study/pilot.c - how fast runs of a size train here, and how many of them side by side. */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "study/child.h"
#include "study/stages.h"

struct packed {
    double tok_per_s; /* of all together */
    uint64_t width;   /* threads each */
    char kernel_path[48];
};

static void pilot_args(struct study *s, uint64_t n_param, struct strlist *argv)
{
    const struct plan *p = &s->plan;
    args_add(argv, s->where.self, "train", "--pilot", "--params",
             arena_printf(&s->arena, "%llu", (unsigned long long)n_param), "--vocab-size",
             arena_printf(&s->arena, "%llu", (unsigned long long)p->vocab_size), "--seq-len",
             arena_printf(&s->arena, "%llu", (unsigned long long)p->seq_len), "--batch-tokens",
             arena_printf(&s->arena, "%llu", (unsigned long long)p->batch_tokens), "--backend",
             s->where.backend, "--precision", s->conf.precision, "--json", "--quiet", NULL);
}

/* Bytes that one run takes. */
static enum st run_memory(struct study *s, uint64_t n_param, double *n_bytes, struct err *err)
{
    struct strlist argv = { 0 };
    struct js *row;
    pilot_args(s, n_param, &argv);
    strlist_add(&argv, "--dry-run");
    enum st st = err_in(err, child_json(&argv, &row, err), "the memory of a training run");
    strlist_release(&argv);
    if (st < 0)
        return st;
    *n_bytes = js_get_real(js_get(row, "memory_bytes"), "all", 0);
    js_free(row);
    return ST_OK;
}

/* What one process of the pilot measured, from its log. */
static enum st read_pilot(const struct child_job *job, struct packed *out, struct err *err)
{
    struct strbuf text = { 0 };
    struct js *row;
    if (job->failed)
        return err_set(err, ST_IO, "the training pilot failed: %s", job->why);
    enum st st = file_read(job->log, 1 << 20, &text, err);
    if (st == ST_OK)
        st = err_in(err, js_parse(&row, text.s, strcspn(text.s, "\n"), err), "'%s'", job->log);
    if (st == ST_OK) {
        out->tok_per_s += js_get_real(row, "tok_per_s", 0);
        snprintf(out->kernel_path, sizeof out->kernel_path, "%s", js_get_text(row, "backend", ""));
        js_free(row);
    }
    str_release(&text);
    return st;
}

/* n runs side by side, with an equal part of the threads each. */
static enum st measure_packed(struct study *s, uint64_t n_param, size_t n, struct packed *out,
                              struct err *err)
{
    struct child_job *job = ARENA_ARRAY(&s->arena, struct child_job, n);
    *out = (struct packed){ .width = s->where.threads / n };
    enum st st = dir_make(study_path(s, "logs"), err);
    for (size_t i = 0; i < n; i++) {
        job[i].n_threads = (int)out->width;
        job[i].log = study_path(s, "logs/pilot-%llu-%zu.log", (unsigned long long)n_param, i);
        (void)remove(job[i].log); /* absent on the first try */
        pilot_args(s, n_param, &job[i].argv);
    }
    if (st == ST_OK)
        st = child_run_all(job, n, (int)(n * out->width), NULL, NULL, err);
    for (size_t i = 0; i < n; i++) {
        if (st == ST_OK)
            st = read_pilot(&job[i], out, err);
        strlist_release(&job[i].argv);
    }
    if (st == ST_OK && out->tok_per_s <= 0)
        st = err_set(err, ST_IO, "the training pilot measured no speed");
    return st;
}

/* Is there memory for n runs of n_bytes? A fifth is left to token files, to us and to others. */
static bool fits(double n_bytes, size_t n)
{
    double limit = mem_limit();
    return n == 1 || limit <= 0 || n_bytes * (double)n <= 0.8 * limit;
}

/* One thread a run is best below this size (docs/BENCHMARKS.md: 1.3 to 1.5 times two threads beside
 * other work, 6 % where nothing interrupts) and is not compared with others there; larger runs
 * share caches and memory. */
enum { SMALL = 1000000 };

enum st stage_train_pilot(struct study *s, uint64_t n_param, double *tok_per_s, uint64_t *width,
                          struct err *err)
{
    struct packed best = { 0 };
    double n_bytes = 0;
    enum st st = run_memory(s, n_param, &n_bytes, err);
    for (size_t n = (size_t)s->where.threads; n > 0 && st == ST_OK; n /= 2) {
        struct packed now;
        if (!fits(n_bytes, n))
            continue;
        st = measure_packed(s, n_param, n, &now, err);
        bool better = st == ST_OK && now.tok_per_s > best.tok_per_s;
        if (better)
            best = now;
        if (n_param < SMALL || !better)
            break;
    }
    *tok_per_s = best.tok_per_s;
    *width = best.width;
    if (st == ST_OK)
        snprintf(s->plan.kernel_path, sizeof s->plan.kernel_path, "%s", best.kernel_path);
    return st;
}

enum st stage_fit_memory(struct study *s, struct err *err)
{
    struct plan *p = &s->plan;
    uint64_t threads = s->where.threads;
    for (size_t i = 0; i < p->n_model; i++) {
        double n_bytes = 0;
        enum st st = run_memory(s, p->model[i], &n_bytes, err);
        if (st < 0)
            return st;
        size_t n = (size_t)(threads / (p->width[i] < threads ? p->width[i] : threads));
        while (!fits(n_bytes, n))
            n /= 2;
        p->width[i] = threads / n;
    }
    return ST_OK;
}
