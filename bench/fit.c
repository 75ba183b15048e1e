/*
 * bench/fit.c - seconds of fits and bootstraps: a JSON line a law on standard output.
 *
 *     fit_bench TABLE.csv [EXPR] [RESAMPLES]
 *
 * One thread; fit_s is the best of five whole fits (starts, polish, identifiability), bootstrap_s
 * one fit with the resamples less that. cpu_s beside each is processor time, which other work on
 * the machine disturbs less.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/attr.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "law/fit.h"
#include "law/table.h"

static double cpu_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static enum st measure(const struct law *law, const struct fit_data *data, size_t n_boot,
                       struct err *err)
{
    struct fit_conf conf = fit_conf_default();
    struct fit f;
    double best = INFINITY, best_cpu = INFINITY;
    enum st st = ST_OK;
    conf.n_boot = 0;
    for (int i = 0; i < 5 && st == ST_OK; i++) {
        double wall = clock_s(), cpu = cpu_s();
        if ((st = fit_law(&f, law, data, &conf, err)) < 0)
            return st;
        best = fmin(best, clock_s() - wall);
        best_cpu = fmin(best_cpu, cpu_s() - cpu);
        fit_release(&f);
    }
    conf.n_boot = n_boot;
    double wall = clock_s(), cpu = cpu_s();
    if ((st = fit_law(&f, law, data, &conf, err)) < 0)
        return st;
    struct js *row = js_object();
    js_put_text(row, "law", law->name);
    js_put_whole(row, "rows", (int64_t)data->n);
    js_put_real(row, "objective", f.objective);
    js_put_whole(row, "n_starts_agree", f.n_start_agree);
    js_put_real(row, "fit_s", best);
    js_put_real(row, "fit_cpu_s", best_cpu);
    js_put_whole(row, "resamples", (int64_t)n_boot);
    js_put_real(row, "bootstrap_s", clock_s() - wall - best);
    js_put_real(row, "bootstrap_cpu_s", cpu_s() - cpu - best_cpu);
    struct strbuf b = { 0 };
    js_write(row, &b);
    puts(b.s);
    str_release(&b);
    js_free(row);
    fit_release(&f);
    return ST_OK;
}

int main(int argc, char **argv)
{
    static const char *const name[] = { "joint", "joint_tied", "joint_gamma" };
    struct table t;
    struct err err = { "" };
    if (argc < 2) {
        fprintf(stderr, "usage: fit_bench TABLE.csv [EXPR] [RESAMPLES]\n");
        return 2;
    }
    enum st st = table_read(&t, argv[1], &err);
    bool *keep = st == ST_OK ? NEW_ARRAY(bool, t.n_row) : NULL;
    const double *column[3];
    static const char *const column_name[] = { "N", "D", "loss" };
    double *part[3];
    if (st == ST_OK && argc > 2)
        st = table_where(&t, argv[2], keep, &err);
    for (int k = 0; k < 3 && st == ST_OK; k++)
        st = table_need(&t, column_name[k], &column[k], &err);
    if (st < 0) {
        fprintf(stderr, "fit_bench: %s\n", err.msg);
        return 1;
    }
    size_t n = 0;
    for (int k = 0; k < 3; k++)
        part[k] = NEW_ARRAY(double, t.n_row);
    for (size_t i = 0; i < t.n_row; i++)
        if (argc <= 2 || keep[i]) {
            for (int k = 0; k < 3; k++)
                part[k][n] = column[k][i];
            n++;
        }
    struct fit_data data = { .n = n, .n_param = part[0], .n_tok = part[1], .loss = part[2] };
    for (size_t i = 0; i < N_OF(name) && st == ST_OK; i++)
        st = measure(law_find(name[i]), &data, argc > 3 ? strtoul(argv[3], NULL, 10) : 4000, &err);
    if (st < 0)
        fprintf(stderr, "fit_bench: %s\n", err.msg);
    for (int k = 0; k < 3; k++)
        free(part[k]);
    free(keep);
    table_release(&t);
    return st < 0;
}
