/* study/pilot.c - how fast runs of a size train here, and how many of them side by side. */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "study/child.h"
#include "study/stages.h"

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
static enum st read_pilot(struct study *s, const struct child_job *job, double *tok_per_s,
                          struct err *err)
{
    struct strbuf text = { 0 };
    struct js *row;
    if (job->failed)
        return err_set(err, ST_IO, "the training pilot failed: %s", job->why);
    enum st st = file_read(job->log, 1 << 20, &text, err);
    if (st == ST_OK)
        st = err_in(err, js_parse(&row, text.s, strcspn(text.s, "\n"), err), "'%s'", job->log);
    if (st == ST_OK) {
        *tok_per_s += js_get_real(row, "tok_per_s", 0);
        snprintf(s->plan.kernel_path, sizeof s->plan.kernel_path, "%s",
                 js_get_text(row, "backend", ""));
        js_free(row);
    }
    str_release(&text);
    return st;
}

/* Tokens per second of as many runs of `width` threads as there are threads for, together. */
static enum st measure_packed(struct study *s, uint64_t n_param, uint64_t width, double *tok_per_s,
                              struct err *err)
{
    size_t n = (size_t)(s->where.threads / width);
    struct child_job *job = ARENA_ARRAY(&s->arena, struct child_job, n);
    *tok_per_s = 0;
    enum st st = dir_make(study_path(s, "logs"), err);
    for (size_t i = 0; i < n; i++) {
        job[i].n_threads = (int)width;
        job[i].log = study_path(s, "logs/pilot-%llu-%zu.log", (unsigned long long)n_param, i);
        (void)remove(job[i].log); /* absent on the first try */
        pilot_args(s, n_param, &job[i].argv);
    }
    if (st == ST_OK)
        st = child_run_all(job, n, (int)(n * width), NULL, NULL, err);
    for (size_t i = 0; i < n; i++) {
        if (st == ST_OK)
            st = read_pilot(s, &job[i], tok_per_s, err);
        strlist_release(&job[i].argv);
    }
    if (st == ST_OK && *tok_per_s <= 0)
        st = err_set(err, ST_IO, "the training pilot measured no speed");
    return st;
}

/* One thread a run is best for small models (1.3 to 1.5 times two threads up to 1M parameters,
 * docs/BENCHMARKS.md) and is not compared with others there; larger ones share caches and memory. */
enum { SMALL = 1000000 };

enum st stage_train_pilot(struct study *s, uint64_t n_param, double *tok_per_s, uint64_t *width,
                          struct err *err)
{
    uint64_t threads = s->where.threads;
    double n_bytes = 0, limit = mem_limit();
    enum st st = run_memory(s, n_param, &n_bytes, err);
    *tok_per_s = 0;
    for (uint64_t w = 1; st == ST_OK; w = 2 * w < threads ? 2 * w : threads) {
        bool fits = limit <= 0 || n_bytes * (double)(threads / w) <= limit, last = w == threads;
        double now = 0;
        if (fits || last) /* one alone that does not fit is refused by train, with the reason */
            st = measure_packed(s, n_param, w, &now, err);
        bool better = now > *tok_per_s;
        if (better) {
            *tok_per_s = now;
            *width = w;
        }
        if (last || (fits && (n_param < SMALL || !better)))
            break;
    }
    return st;
}
