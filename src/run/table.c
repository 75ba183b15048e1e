/* run/table.c - see table.h. */
#include "run/table.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"

static void text_cell(struct strbuf *out, const char *s)
{
    if (!s)
        return;
    if (!strpbrk(s, ",\"\r\n")) {
        str_adds(out, s);
        return;
    }
    str_addc(out, '"');
    for (; *s; s++) {
        if (*s == '"')
            str_addc(out, '"');
        str_addc(out, *s);
    }
    str_addc(out, '"');
}

static void real_cell(struct strbuf *out, double v)
{
    char buf[RUN_NUMBER];
    str_adds(out, run_number(buf, v));
}

static void whole_cell(struct strbuf *out, uint64_t v)
{
    str_printf(out, "%llu", (unsigned long long)v);
}

#define BEFORE_DOMAINS                                                                             \
    "run_id,arm,kind,frac_synth,n_param,n_param_nonemb,n_tok,n_tok_unique_natural,"                \
    "n_tok_unique_synth,n_epoch_natural,n_epoch_synth,flop,seed,lr,batch_tokens,seq_len,"          \
    "vocab_size,schedule,loss,bpb"
#define AFTER_DOMAINS ",diverged,wall_s,tok_per_s,backend\n"

/* The names of all runs' domains, sorted, each once. */
static void domain_names(struct strlist *names, const struct run_record *const *run, size_t n)
{
    struct strlist all = { 0 };
    for (size_t i = 0; i < n; i++)
        for (size_t d = 0; d < run[i]->n_domain; d++)
            strlist_add(&all, run[i]->domain[d].name);
    strlist_sort(&all);
    for (size_t i = 0; i < all.n; i++)
        if (i == 0 || strcmp(all.s[i], all.s[i - 1]) != 0)
            strlist_add(names, all.s[i]);
    strlist_release(&all);
}

static const struct run_domain *domain_find(const struct run_record *r, const char *name)
{
    for (size_t d = 0; d < r->n_domain; d++)
        if (strcmp(r->domain[d].name, name) == 0)
            return &r->domain[d];
    return NULL;
}

static void row_before_domains(struct strbuf *out, const struct run_record *r)
{
    const char *text[] = { r->run_id, r->arm, r->kind };
    for (size_t i = 0; i < N_OF(text); i++) {
        text_cell(out, text[i]);
        str_addc(out, ',');
    }
    real_cell(out, r->frac_synth);
    const uint64_t count[] = { r->n_param, r->n_param_nonemb, r->n_tok, r->n_tok_unique_natural,
                               r->n_tok_unique_synth };
    for (size_t i = 0; i < N_OF(count); i++) {
        str_addc(out, ',');
        whole_cell(out, count[i]);
    }
    const double real[] = { r->n_epoch_natural, r->n_epoch_synth, r->flop };
    for (size_t i = 0; i < N_OF(real); i++) {
        str_addc(out, ',');
        real_cell(out, real[i]);
    }
    str_addc(out, ',');
    whole_cell(out, r->seed);
    str_addc(out, ',');
    real_cell(out, r->lr);
    const uint64_t shape[] = { r->batch_tokens, r->seq_len, r->vocab_size };
    for (size_t i = 0; i < N_OF(shape); i++) {
        str_addc(out, ',');
        whole_cell(out, shape[i]);
    }
    str_addc(out, ',');
    text_cell(out, r->schedule);
    str_addc(out, ',');
    real_cell(out, r->loss);
    str_addc(out, ',');
    real_cell(out, r->bpb);
}

void run_table_csv(struct strbuf *out, const struct run_record *const *run, size_t n)
{
    struct strlist names = { 0 };
    domain_names(&names, run, n);
    str_adds(out, BEFORE_DOMAINS);
    for (int bpb = 0; bpb < 2; bpb++)
        for (size_t d = 0; d < names.n; d++) {
            struct strbuf column = { 0 };
            str_printf(&column, "%s_%s", bpb ? "bpb" : "loss", names.s[d]);
            str_addc(out, ',');
            text_cell(out, column.s);
            str_release(&column);
        }
    str_adds(out, AFTER_DOMAINS);
    for (size_t i = 0; i < n; i++) {
        const struct run_record *r = run[i];
        row_before_domains(out, r);
        for (int bpb = 0; bpb < 2; bpb++)
            for (size_t d = 0; d < names.n; d++) {
                const struct run_domain *got = domain_find(r, names.s[d]);
                str_addc(out, ',');
                real_cell(out, !got ? NAN : bpb ? got->bpb : got->loss);
            }
        str_printf(out, ",%d,", r->diverged ? 1 : 0);
        real_cell(out, r->wall_s);
        str_addc(out, ',');
        real_cell(out, r->tok_per_s);
        str_addc(out, ',');
        text_cell(out, r->backend);
        str_addc(out, '\n');
    }
    strlist_release(&names);
}

enum st run_table_write(const char *path, const struct run_record *const *run, size_t n,
                        struct err *err)
{
    struct strbuf text = { 0 };
    run_table_csv(&text, run, n);
    enum st st = file_write(path, text.s, text.n, err);
    str_release(&text);
    return st;
}
