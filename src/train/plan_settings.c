/* train/plan_settings.c - what run folders keep of a plan: what was asked, which is the key, and
 * what was resolved. */
#include <string.h>

#include "base/hash.h"
#include "train/plan.h"

static struct js *domains_json(const struct train_plan *p)
{
    struct js *list = js_array();
    for (size_t i = 0; i < p->n_domain; i++) {
        const struct eval_domain *d = &p->domain[i];
        struct js *v = js_object();
        char hex[DIGEST_HEX];
        js_put_text(v, "domain", d->name);
        js_put_whole(v, "n_tok", (int64_t)d->n_tok_scored);
        js_put_whole(v, "n_bytes", (int64_t)d->n_bytes_scored);
        js_put_text(
            v, "windows",
            digest_hex(digest_of(d->tok, d->n_window * ((size_t)d->seq_len + 1) * sizeof *d->tok),
                       hex));
        js_push(list, v);
    }
    return list;
}

/* Is this setting told otherwise (by content, by digest), or nothing that a result depends on? */
static bool is_aside(const char *name)
{
    static const char *const aside[] = { "out",    "run_id",     "arm",
                                         "kind",   "data",       "eval",
                                         "tokens", "tokenizer",  "dry_run",
                                         "pilot",  "profile",    "shape",
                                         "init",   "vocab_size", "checkpoint_every" };
    for (size_t i = 0; i < N_OF(aside); i++)
        if (strcmp(aside[i], name) == 0)
            return true;
    return false;
}

/* Every setting that is not as always. A new one enters the key by itself and leaves old keys
 * alone. */
static void put_changed(struct js *v, const struct train_conf *c)
{
    struct js *now = field_json(train_field, N_TRAIN_FIELD, c),
              *always = field_json(train_field, N_TRAIN_FIELD, &train_defaults);
    for (void *it = js_iter(now); it; it = js_next(now, it)) {
        const char *name = js_iter_key(it);
        struct strbuf a = { 0 }, b = { 0 };
        js_write(js_iter_value(it), &a);
        js_write(js_get(always, name), &b);
        if (!is_aside(name) && strcmp(a.s, b.s) != 0)
            js_put(v, name, js_copy(js_iter_value(it)));
        str_release(&a);
        str_release(&b);
    }
    js_free(now);
    js_free(always);
}

static void put_mixture(struct js *v, const struct train_plan *p)
{
    js_put_text(v, "arm", p->arm);
    js_put_text(v, "kind", p->kind);
    js_put_real(v, "frac_synth", p->frac_synth);
    js_put_whole(v, "seed", (int64_t)p->env.seed);
}

struct js *train_plan_asked(const struct train_plan *p, const struct train_budget *budget)
{
    struct js *v = js_object();
    if (budget) {
        js_put_whole(v, "n_tok_asked", (int64_t)budget->asked);
        js_put_bool(v, "trunk", p->n_budget > 1);
    }
    /* Batch, rate and warm-up may follow from it. */
    js_put_whole(v, "n_tok_smallest", (int64_t)p->budget[0].asked);
    put_mixture(v, p);
    put_changed(v, p->conf);
    if (p->shape)
        js_put(v, "shape", js_copy(p->shape));
    if (p->init)
        js_put(v, "init", js_copy(p->init));
    js_put(v, "sources", js_copy(p->inputs));
    js_put(v, "domains", js_copy(p->held));
    return v;
}

struct js *train_plan_settings(const struct train_plan *p, const struct train_budget *budget)
{
    const struct train_conf *c = p->conf;
    struct js *v = js_object();
    if (budget) { /* NULL: of a trunk, as keys were made before there was train_plan_asked */
        js_put_whole(v, "n_tok_asked", (int64_t)budget->asked);
        js_put_whole(v, "n_tok", (int64_t)(budget->n_step * p->batch_tokens));
        js_put_whole(v, "n_step", (int64_t)budget->n_step);
        js_put_whole(v, "branch_step", (int64_t)budget->branch);
    }
    put_mixture(v, p);
    js_put(v, "model", model_conf_json(&p->model));
    js_put_text(v, "init", c->init);
    js_put_whole(v, "seq_len", (int64_t)p->seq_len);
    js_put_whole(v, "batch_tokens", (int64_t)p->batch_tokens);
    js_put_whole(v, "micro_batch_tokens", (int64_t)((uint64_t)p->pass * p->seq_len));
    js_put_text(v, "schedule", c->schedule);
    js_put_real(v, "lr", p->schedule.lr);
    js_put_whole(v, "warmup_steps", (int64_t)p->schedule.warmup);
    if (p->schedule.kind == SCHEDULE_WSD) {
        js_put_real(v, "cooldown", c->cooldown);
        js_put_text(v, "decay", c->decay);
    }
    js_put_real(v, "weight_decay", c->weight_decay);
    js_put_real(v, "beta1", c->beta1);
    js_put_real(v, "beta2", c->beta2);
    js_put_real(v, "eps", TRAIN_ADAM_EPS);
    js_put_real(v, "grad_clip", c->grad_clip);
    if (strcmp(c->optimizer, "adamw") !=
        0) { /* settings that are as always leave a run's key alone */
        js_put_text(v, "optimizer", c->optimizer);
        js_put_real(v, "muon_momentum", c->muon_momentum);
    }
    if (c->mup)
        js_put_whole(v, "mup", (int64_t)c->mup);
    if (c->z_loss > 0)
        js_put_real(v, "z_loss", c->z_loss);
    if (c->ema > 0)
        js_put_real(v, "ema", c->ema);
    js_put_text(v, "precision", c->precision);
    js_put_whole(v, "log_every", (int64_t)p->log_every);
    js_put(v, "sources", js_copy(p->inputs));
    js_put_whole(v, "eval_bytes", (int64_t)c->eval_bytes);
    js_put(v, "domains", domains_json(p));
    return v;
}
