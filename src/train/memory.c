/* train/memory.c - what a run takes of memory, part by part, and whether the machine has it. See
 * plan.h. */
#include "base/log.h"
#include "base/units.h"
#include "train/plan.h"

struct part {
    const char *name;
    size_t n_bytes;
};
enum { N_PART = 6 };

static size_t parts(const struct model_memory *m, struct part out[N_PART])
{
    const struct part row[N_PART] = {
        { "weights", m->weights },     { "layouts", m->layouts }, { "gradients", m->gradients },
        { "optimizer", m->optimizer }, { "average", m->average }, { "activations", m->activations },
    };
    size_t all = 0;
    for (int i = 0; i < N_PART; i++) {
        out[i] = row[i];
        all += row[i].n_bytes;
    }
    return all;
}

void train_memory(const struct train_plan *p, const struct backend *b, struct model_memory *m)
{
    model_memory(&p->model, b, p->pass, (int)p->seq_len, p->conf->ema > 0, m);
}

struct js *train_memory_json(const struct model_memory *m)
{
    struct part part[N_PART];
    size_t all = parts(m, part);
    struct js *v = js_object();
    for (int i = 0; i < N_PART; i++)
        js_put_whole(v, part[i].name, (int64_t)part[i].n_bytes);
    js_put_whole(v, "all", (int64_t)all);
    return v;
}

enum st train_memory_check(const struct model_memory *m, double limit_bytes, struct err *err)
{
    struct part part[N_PART];
    char want[UNITS_MAX], has[UNITS_MAX];
    struct strbuf text = { 0 };
    size_t all = parts(m, part);
    enum st st = ST_OK;
    for (int i = 0; i < N_PART; i++)
        if (part[i].n_bytes)
            str_printf(&text, "%s%s %s", text.n ? ", " : "", part[i].name,
                       units_bytes(want, (double)part[i].n_bytes));
    units_bytes(want, (double)all);
    if (limit_bytes > 0 && (double)all > limit_bytes)
        st = err_set(err, ST_USAGE,
                     "training takes %s of memory (%s) and there are %s: want a smaller model, "
                     "--seq-len or vocabulary",
                     want, text.s, units_bytes(has, limit_bytes));
    else
        log_debug("memory: %s (%s)", want, text.s);
    str_release(&text);
    return st;
}
