/* law/warnings.c - what is doubtful about a table, its rates and a fit, in sentences. */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "law/summary_parts.h"

void warn(struct js *list, const char *fmt, ...)
{
    char text[512];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    js_push_text(list, text);
}

struct triple {
    double n, d, loss;
};

static int by_triple(const void *a, const void *b)
{
    return memcmp(a, b, sizeof(struct triple));
}

void warn_of_table(struct js *list, const struct rows *r)
{
    struct triple *v = NEW_ARRAY(struct triple, r->n + 1);
    size_t n_twice = 0, n_small = 0, n_ratio = 0, n_repeat = 0, n_unique = 0;
    const double *epoch_n = table_num(r->t, "n_epoch_natural"),
                 *epoch_s = table_num(r->t, "n_epoch_synth"),
                 *unique_n = table_num(r->t, "n_tok_unique_natural"),
                 *unique_s = table_num(r->t, "n_tok_unique_synth");
    for (size_t i = 0; i < r->n; i++) {
        size_t row = r->row[i];
        double n = r->col_n ? r->col_n[row] : 0, d = r->col_d ? r->col_d[row] : 0;
        v[i] = (struct triple){ n, d, r->col_loss[row] };
        n_small += (r->col_n && n < 1000) || (r->col_d && d < 1000);
        n_ratio += r->col_n && r->col_d && (d / n < 0.01 || d / n > 1e5);
        n_repeat += (epoch_n && epoch_n[row] > 4) || (epoch_s && epoch_s[row] > 4);
        n_unique += d > 0 && ((unique_n && unique_n[row] > 1.01 * d) ||
                              (unique_s && unique_s[row] > 1.01 * d));
    }
    qsort(v, r->n, sizeof *v, by_triple);
    for (size_t i = 1; i < r->n; i++)
        n_twice += memcmp(&v[i], &v[i - 1], sizeof *v) == 0;
    free(v);
    double least = INFINITY, most = 0;
    for (size_t i = 0; i < r->n; i++) {
        least = fmin(least, r->col_loss[r->row[i]]);
        most = fmax(most, r->col_loss[r->row[i]]);
    }
    if (r->n > 1 && most <= least * (1 + 1e-9))
        warn(list, "all %zu rows have the same loss: there is nothing that N or D could explain",
             r->n);
    if (n_twice)
        warn(list,
             "%zu rows repeat another row's N, D and loss exactly: duplicates make intervals too "
             "narrow",
             n_twice);
    if (n_small)
        warn(list,
             "%zu rows have N or D below 1000: are they in millions? parameters and tokens are "
             "wanted",
             n_small);
    else if (n_ratio)
        warn(list, "%zu rows have an implausible D/N (outside .01 to 100000): check the units",
             n_ratio);
    if (n_unique)
        warn(list, "%zu rows have more unique tokens than training tokens: check the columns",
             n_unique);
    if (n_repeat)
        warn(list, "%zu rows saw a source for over 4 epochs: repetition is confounded with D",
             n_repeat);
    if (r->has_trunks)
        warn(list,
             "budgets of one trunk (run_id TRUNK/TOKENS) are resampled together: they are not "
             "independent");
    else if (r->group)
        warn(list,
             "several rows share a %s: whole runs are resampled; early checkpoints of a run whose "
             "schedule ends later are no runs of their own",
             r->group_name);
    if (r->name_n && strcmp(r->name_n, "n_param_nonemb") == 0)
        warn(list, "N is without embeddings (n_param_nonemb); --map N=n_param counts them");
    if (r->n_diverged)
        warn(list, "diverged runs left out: %zu", r->n_diverged);
    if (r->n_missing)
        warn(list, "rows without N, D or loss, left out: %zu", r->n_missing);
}

/* Rows of the same N and D trained at other rates: exponents move. */
void warn_of_rates(struct js *list, const struct rows *r)
{
    const double *lr = table_num(r->t, "lr");
    size_t n = 0;
    for (size_t i = 0; lr && i < r->n && r->n < 5000; i++)
        for (size_t j = 0; j < i; j++) {
            size_t a = r->row[i], b = r->row[j];
            bool same = (!r->col_n || r->col_n[a] == r->col_n[b]) &&
                        (!r->col_d || r->col_d[a] == r->col_d[b]);
            if (same && fabs(lr[a] - lr[b]) > 1e-6 * fabs(lr[a])) {
                n++;
                break;
            }
        }
    if (n)
        warn(list,
             "%zu rows share N and D with a row trained at another learning rate: keep the best "
             "rate for each N and D (--where)",
             n);
}

void warn_of_fit(struct js *list, const struct fit *f, const struct rows *r)
{
    const struct law *law = f->law;
    size_t n_n = rows_distinct(r, r->col_n), n_d = rows_distinct(r, r->col_d);
    if (!law->uses_n && n_n > 1)
        warn(list, "the law ignores N, but the rows have %zu sizes", n_n);
    if (!law->uses_d && n_d > 1)
        warn(list, "the law ignores D, but the rows have %zu budgets", n_d);
    if (!law_is_determined(law, n_n, n_d))
        warn(list,
             "%zu sizes and %zu budgets do not determine the law: single parameters mean nothing, "
             "do not extrapolate",
             law->uses_n ? n_n : 1, law->uses_d ? n_d : 1);
    if (f->n_row < (size_t)law->n_param + 3)
        warn(list, "%zu rows for %d parameters: the residual says little", f->n_row, law->n_param);
    if (2 * f->n_start_agree < f->n_start)
        warn(list, "only %d of %d starts agree on the optimum", f->n_start_agree, f->n_start);
    if (f->n_param_at_start)
        warn(list, "%d parameters equal their start: the fit did not move", f->n_param_at_start);
    for (int k = 0; k < law->n_param; k++)
        if (f->unbounded >> k & 1)
            warn(list, "%s is unbounded: the rows do not determine it", law->param[k]);
    if (f->condition > 1e12)
        warn(list, "condition number %.1g: single parameters mean nothing, compare predictions",
             f->condition);
    if (f->n_boot_failed)
        warn(list, "%zu of %zu bootstraps could not be fitted", f->n_boot_failed,
             f->n_boot + f->n_boot_failed);
}
