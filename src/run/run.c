/* run/run.c - see run.h. */
#include "run/run.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct run_domain *)a)->name, ((const struct run_domain *)b)->name);
}

void run_domains_sort(struct run_domain *domain, size_t n)
{
    if (n)
        qsort(domain, n, sizeof *domain, by_name);
}

const char *run_number(char buf[RUN_NUMBER], double v)
{
    if (isnan(v)) /* without the sign that printf shows on some machines */
        v = fabs(NAN);
    if (v == floor(v) && fabs(v) < 1e15) { /* 14000, not 1.4e+04 */
        snprintf(buf, RUN_NUMBER, "%.0f", v);
        return buf;
    }
    for (int digits = 1; digits <= 17; digits++) {
        snprintf(buf, RUN_NUMBER, "%.*g", digits, v);
        if (isnan(v) || strtod(buf, NULL) == v)
            break;
    }
    return buf;
}

/* The record's members by kind: one row writes and reads a member. */
enum kind { TEXT, WHOLE, REAL, BOOL };
struct member {
    const char *name;
    enum kind kind;
    size_t offset;
    bool may_be_null; /* a real that may be NaN */
};
#define AT(field) offsetof(struct run_record, field)
static const struct member member[] = {
    { "run_id", TEXT, AT(run_id), false },
    { "arm", TEXT, AT(arm), false },
    { "kind", TEXT, AT(kind), false },
    { "frac_synth", REAL, AT(frac_synth), false },
    { "n_param", WHOLE, AT(n_param), false },
    { "n_param_nonemb", WHOLE, AT(n_param_nonemb), false },
    { "n_tok", WHOLE, AT(n_tok), false },
    { "n_step", WHOLE, AT(n_step), false },
    { "n_tok_unique_natural", WHOLE, AT(n_tok_unique_natural), false },
    { "n_tok_unique_synth", WHOLE, AT(n_tok_unique_synth), false },
    { "n_epoch_natural", REAL, AT(n_epoch_natural), false },
    { "n_epoch_synth", REAL, AT(n_epoch_synth), false },
    { "flop", REAL, AT(flop), false },
    { "seed", WHOLE, AT(seed), false },
    { "lr", REAL, AT(lr), false },
    { "batch_tokens", WHOLE, AT(batch_tokens), false },
    { "seq_len", WHOLE, AT(seq_len), false },
    { "vocab_size", WHOLE, AT(vocab_size), false },
    { "schedule", TEXT, AT(schedule), false },
    { "loss", REAL, AT(loss), true },
    { "bpb", REAL, AT(bpb), true },
    { "loss_train", REAL, AT(loss_train), true },
    { "diverged", BOOL, AT(diverged), false },
    { "backend", TEXT, AT(backend), false },
};
static const struct member timing[] = {
    { "wall_s", REAL, AT(wall_s), false },
    { "tok_per_s", REAL, AT(tok_per_s), false },
    { "mfu", REAL, AT(mfu), true },
};

static void put(struct js *o, const struct run_record *r, const struct member *m)
{
    const void *p = (const char *)r + m->offset;
    switch (m->kind) {
    case TEXT:
        js_put_text(o, m->name, *(const char *const *)p);
        break;
    case WHOLE:
        js_put_whole(o, m->name, (int64_t) * (const uint64_t *)p);
        break;
    case REAL:
        js_put_real(o, m->name, *(const double *)p);
        break;
    case BOOL:
        js_put_bool(o, m->name, *(const bool *)p);
        break;
    }
}

struct js *run_record_json(const struct run_record *r, const struct js *extra)
{
    struct js *o = js_object(), *domains = js_array(), *t = js_object();
    js_put_whole(o, "schema", RUN_SCHEMA);
    for (size_t i = 0; i < N_OF(member); i++)
        put(o, r, &member[i]);
    for (size_t i = 0; i < r->n_domain; i++) {
        struct js *d = js_object();
        js_put_text(d, "domain", r->domain[i].name);
        js_put_real(d, "loss", r->domain[i].loss);
        js_put_real(d, "bpb", r->domain[i].bpb);
        js_put_whole(d, "n_tok", (int64_t)r->domain[i].n_tok);
        js_put_whole(d, "n_bytes", (int64_t)r->domain[i].n_bytes);
        js_push(domains, d);
    }
    js_put(o, "domains", domains);
    if (extra)
        for (void *it = js_iter(extra); it; it = js_next(extra, it))
            js_put(o, js_iter_key(it), js_copy(js_iter_value(it)));
    for (size_t i = 0; i < N_OF(timing); i++)
        put(t, r, &timing[i]);
    js_put(o, "timing", t);
    return o;
}

static enum st get(struct run_record *r, const struct js *o, const struct member *m,
                   struct arena *a, struct err *err)
{
    void *p = (char *)r + m->offset;
    const struct js *v = js_get(o, m->name);
    enum js_kind kind = js_kind(v);
    switch (m->kind) {
    case TEXT:
        if (kind != JS_TEXT)
            return err_set(err, ST_FORMAT, "'%s' is missing or no text", m->name);
        *(const char **)p = arena_strdup(a, js_as_text(v, NULL));
        return ST_OK;
    case WHOLE:
        if (kind != JS_WHOLE)
            return err_set(err, ST_FORMAT, "'%s' is missing or no whole number", m->name);
        *(uint64_t *)p = (uint64_t)js_as_whole(v, 0);
        return ST_OK;
    case REAL:
        if (kind != JS_REAL && kind != JS_WHOLE && !(m->may_be_null && kind == JS_NULL))
            return err_set(err, ST_FORMAT, "'%s' is missing or no number", m->name);
        *(double *)p = js_as_real(v, NAN);
        return ST_OK;
    default:
        if (kind != JS_BOOL)
            return err_set(err, ST_FORMAT, "'%s' is missing, want true or false", m->name);
        *(bool *)p = js_get_bool(o, m->name, false);
        return ST_OK;
    }
}

static enum st parse_domains(struct run_record *r, const struct js *list, struct arena *a,
                             struct err *err)
{
    if (js_kind(list) != JS_ARRAY)
        return err_set(err, ST_FORMAT, "'domains' is missing or no list");
    if (js_len(list) > RUN_MAX_DOMAINS)
        return err_set(err, ST_LIMIT, "%zu domains, at most %d are read", js_len(list),
                       (int)RUN_MAX_DOMAINS);
    r->n_domain = js_len(list);
    r->domain = ARENA_ARRAY(a, struct run_domain, r->n_domain);
    for (size_t i = 0; i < r->n_domain; i++) {
        const struct js *d = js_at(list, i);
        const char *name = js_get_text(d, "domain", NULL);
        if (!name)
            return err_set(err, ST_FORMAT, "domain %zu has no name", i);
        r->domain[i] = (struct run_domain){ .name = arena_strdup(a, name),
                                            .loss = js_get_real(d, "loss", NAN),
                                            .bpb = js_get_real(d, "bpb", NAN),
                                            .n_tok = (uint64_t)js_get_whole(d, "n_tok", 0),
                                            .n_bytes = (uint64_t)js_get_whole(d, "n_bytes", 0) };
        if (!r->diverged && !isfinite(r->domain[i].loss))
            return err_set(err, ST_FORMAT, "domain '%s' has no loss", name);
    }
    run_domains_sort(r->domain, r->n_domain);
    return ST_OK;
}

enum st run_record_parse(struct run_record *r, const struct js *v, struct arena *a, struct err *err)
{
    *r = (struct run_record){ 0 };
    if (js_kind(v) != JS_OBJECT)
        return err_set(err, ST_FORMAT, "a result must be a JSON object");
    int64_t schema = js_get_whole(v, "schema", -1);
    if (schema != RUN_SCHEMA)
        return err_set(err, ST_FORMAT, "'schema' is %lld, this program reads %d", (long long)schema,
                       (int)RUN_SCHEMA);
    enum st st = ST_OK;
    for (size_t i = 0; i < N_OF(member) && st == ST_OK; i++)
        st = get(r, v, &member[i], a, err);
    for (size_t i = 0; i < N_OF(timing) && st == ST_OK; i++)
        st = get(r, js_get(v, "timing"), &timing[i], a, err);
    if (st == ST_OK)
        st = parse_domains(r, js_get(v, "domains"), a, err);
    if (st == ST_OK && !r->diverged && r->n_domain && !isfinite(r->loss))
        st = err_set(err, ST_FORMAT, "'loss' is null in a run that did not diverge");
    return st;
}
