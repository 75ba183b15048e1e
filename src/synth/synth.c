/* synth/synth.c - see synth.h: a run from its settings to its manifest. */
#include "synth/synth.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/manifest.h"
#include "synth/endpoint.h"
#include "synth/job.h"

#define FAILED_MAX 0.01 /* share of requests without an answer that a finished folder may have */

/* What makes the folder another one. Budgets are not in it: they only end the work earlier. */
static struct js *settings_of(const struct synth_conf *c)
{
    struct js *v = js_object();
    js_put(v, "recipe", recipe_json(c->recipe));
    js_put_text(v, "generator", recipe_needs_generator(c->recipe) ? c->generator : NULL);
    js_put_text(v, "model", c->gen.model);
    if (recipe_contrasts(c->recipe))
        js_put_text(v, "amateur", c->gen.amateur);
    if (c->gen.api == API_COMPLETION)
        js_put_text(v, "api", "completion");
    js_put_text(v, "like", c->like);
    if (recipe_imports(c->recipe)) { /* the result says what it cost */
        js_put_real(v, "price", c->price);
        js_put_real(v, "price_out", c->price_out);
    }
    js_put_whole(v, "seed", (int64_t)c->seed);
    js_put_whole(v, "max_docs", (int64_t)c->max_docs);
    js_put_bool(v, "strict", c->strict);
    return v;
}

/* A model in one file is an input like others; of a folder the requests' keys have the digest. */
static void add_model(struct strlist *all, const char *path)
{
    if (path && file_exists(path) && !file_is_dir(path))
        strlist_add(all, path);
}

static enum st inputs_of(const struct synth_conf *c, struct js **out, struct err *err)
{
    struct strlist all = { 0 };
    for (size_t i = 0; i < c->n_input; i++)
        strlist_add(&all, c->input[i]);
    for (size_t i = 0; i < c->n_decontaminate; i++)
        strlist_add(&all, c->decontaminate[i]);
    if (c->tokenizer)
        strlist_add(&all, c->tokenizer);
    if (recipe_needs_generator(c->recipe))
        add_model(&all, c->generator);
    if (recipe_contrasts(c->recipe))
        add_model(&all, c->gen.amateur);
    if (c->like) {
        char *m = path_join(c->like, "manifest.json");
        strlist_add(&all, m);
        free(m);
    }
    enum st st = manifest_inputs(out, all.s, all.n, err);
    strlist_release(&all);
    return st;
}

static struct js *budget_of(const struct synth_conf *c)
{
    struct js *v = js_object();
    js_put_whole(v, "max_tokens", (int64_t)c->max_tok);
    js_put_real(v, "max_cost", c->max_cost);
    js_put_real(v, "max_time", c->max_s);
    return v;
}

/* The budget that ended the finished run is now larger, or gone. */
static bool budget_grew(const struct js *counts, const struct synth_conf *c)
{
    const char *stopped = js_get_text(counts, "stopped", NULL);
    const struct js *was = js_get(counts, "budget");
    if (!stopped || strcmp(stopped, "collapse") == 0)
        return false;
    double now = strcmp(stopped, "max_tokens") == 0 ? (double)c->max_tok
                 : strcmp(stopped, "max_cost") == 0 ? c->max_cost
                                                    : c->max_s;
    return now == 0 || now > js_get_real(was, stopped, 0);
}

/* The same address, or lists of servers that have one in common: those serve the same model. */
static bool same_generator(const char *a, const char *b)
{
    struct endpoints x = { 0 }, y = { 0 };
    struct err ignored;
    bool same = strcmp(a, b) == 0;
    if (str_starts(a, "http") && str_starts(b, "http") &&
        endpoints_parse(&x, a, &ignored) == ST_OK && endpoints_parse(&y, b, &ignored) == ST_OK)
        for (size_t i = 0; i < x.n; i++)
            for (size_t k = 0; k < y.n; k++)
                same |= strcmp(x.e[i].base, y.e[k].base) == 0;
    endpoints_release(&x);
    endpoints_release(&y);
    return same;
}

/* ST_END: finished with these settings, *row is its result. ST_OK: work to do. A finished folder of
 * other settings is taken over when recipe and generator are the same: its ledger holds what was
 * paid. */
static enum st check_done(const struct synth_conf *c, const struct js *settings,
                          const struct js *inputs, struct js **row, struct err *err)
{
    struct js *m = NULL;
    enum st st = manifest_check(c->out, "synth", SYNTH_VERSION, settings, inputs, err);
    if (st == ST_OK || (st < 0 && st != ST_USAGE))
        return st;
    struct err other = *err;
    enum st got = manifest_read(c->out, &m, err);
    if (got < 0)
        return got;
    const struct js *counts = js_get(m, "counts"), *was = js_get(m, "settings");
    if (st == ST_END && !budget_grew(counts, c)) {
        *row = js_copy(js_get(counts, "row"));
        log_info("'%s' is up to date", c->out);
    } else if (st == ST_END) {
        st = ST_OK;
    } else if (strcmp(js_get_text(m, "stage", ""), "synth") == 0 &&
               strcmp(js_get_text(js_get(was, "recipe"), "name", ""), c->recipe->name) == 0 &&
               same_generator(js_get_text(was, "generator", ""),
                              c->generator ? c->generator : "")) {
        log_info(
            "'%s' was made with other settings or inputs: answers that still fit are used again",
            c->out);
        st = ST_OK;
    } else {
        *err = other;
    }
    js_free(m);
    return st;
}

static struct js *dropped_json(const struct rates *s)
{
    struct js *v = js_object();
    for (int k = V_KEPT + 1; k < V_N; k++)
        if (s->verdict[k])
            js_put_whole(v, verdict_name((enum verdict)k), (int64_t)s->verdict[k]);
    return v;
}

/* Of all tokens of the texts that were edited: how many were drawn anew, how many came out others.
 */
static struct js *edited_json(const struct job *j)
{
    struct js *v = js_object();
    double n = (double)j->n_tok;
    js_put_whole(v, "tokens", (int64_t)j->n_tok);
    js_put_whole(v, "redrawn", (int64_t)j->n_redrawn);
    js_put_whole(v, "changed", (int64_t)j->n_changed);
    js_put_real(v, "share_redrawn", n > 0 ? (double)j->n_redrawn / n : 0);
    js_put_real(v, "share_changed", n > 0 ? (double)j->n_changed / n : 0);
    return v;
}

/* What was paid: for an imported set its price, for others the tokens asked and answered. */
static double cost_of(const struct job *j)
{
    if (recipe_imports(j->recipe))
        return j->conf->price + j->conf->price_out * (double)j->n_kept_tok / 1e6;
    return job_cost(j, j->n_tok_prompt, j->n_tok);
}

/* In tokens of the training tokenizer; both ways where a document begins with its source: all of it
 * as synthetic, and the source as natural. */
static void put_kept_tokens(struct js *v, const struct job *j, double ask_s)
{
    double n = (double)j->n_kept_tok, cost = cost_of(j);
    js_put_whole(v, "kept_tokens", (int64_t)j->n_kept_tok);
    js_put_whole(v, "kept_tokens_synthetic", (int64_t)(j->n_kept_tok - j->n_kept_natural_tok));
    js_put_real(v, "kept_tok_per_hour", ask_s > 0 ? 3600 * n / ask_s : NAN);
    js_put_real(v, "cost_per_m_kept", n > 0 ? 1e6 * cost / n : NAN);
}

/* What collapsed, a sentence each. */
static struct js *collapse_json(const struct job *j)
{
    const struct strlist *said = monitor_said(j->monitor);
    struct js *v = js_array();
    for (size_t i = 0; i < said->n; i++)
        js_push_text(v, said->s[i]);
    return v;
}

/* {all: {...}, variants: {NAME: {...}}}, see monitor.h. */
static struct js *diversity_of(struct job *j)
{
    struct js *v = js_object(), *variants = js_object();
    js_put(v, "all", monitor_json(j->monitor, -1, &j->arena));
    for (size_t i = 0; i < j->recipe->n_prompt; i++)
        js_put(variants, j->recipe->prompt[i].name, monitor_json(j->monitor, (int)i, &j->arena));
    js_put(v, "variants", variants);
    return v;
}

static struct js *row_of(const struct job *j, const struct js *weak, const struct js *diversity,
                         double wall_s)
{
    struct js *v = js_object();
    struct ledger_stats s = j->ledger ? ledger_stats(j->ledger) : (struct ledger_stats){ 0 };
    js_put_text(v, "recipe", j->recipe->name);
    js_put_whole(v, "requests", (int64_t)j->n_requests);
    js_put_whole(v, "docs_out", (int64_t)j->n_docs);
    js_put_whole(v, "tokens_prompt", (int64_t)j->n_tok_prompt);
    js_put_whole(v, "tokens_out", (int64_t)j->n_tok);
    js_put_whole(v, "kept", (int64_t)j->rates.verdict[V_KEPT]);
    js_put(v, "dropped", dropped_json(&j->rates));
    js_put_whole(v, "bytes_out", (int64_t)j->n_bytes);
    if (j->tok)
        put_kept_tokens(v, j, s.ask_s);
    if (recipe_edits(j->recipe))
        js_put(v, "edited", edited_json(j));
    js_put_whole(v, "pending", (int64_t)j->n_pending);
    js_put_text(v, "stopped", j->stopped);
    js_put(v, "too_weak", js_copy(weak));
    if (recipe_needs_generator(j->recipe)) {
        const struct js *mean = js_get(js_get(diversity, "all"), "mean");
        js_put(v, "collapse", collapse_json(j));
        if (mean)
            js_put(v, "diversity", js_copy(mean));
        else
            js_put_text(v, "diversity", NULL); /* no answer had a text in it */
    }
    js_put_real(v, "tok_per_s", s.ask_s > 0 ? (double)s.n_tok / s.ask_s : 0);
    js_put_real(v, "generate_s", s.ask_s);
    js_put_real(v, "cost", cost_of(j));
    js_put_real(v, "wall_s", wall_s);
    return v;
}

/* {"too_weak": bool, "reasons": [...]} and a warning for the person in front. */
static struct js *judge_generator(const struct job *j)
{
    struct strlist reasons = { 0 };
    struct js *list = js_array();
    if (recipe_needs_generator(j->recipe))
        rates_weak(&j->rates, j->recipe, &reasons);
    if (reasons.n)
        log_warn("the generator is too weak for recipe '%s':", j->recipe->name);
    for (size_t i = 0; i < reasons.n; i++) {
        log_warn("  %s", reasons.s[i]);
        js_push_text(list, reasons.s[i]);
    }
    strlist_release(&reasons);
    return list;
}

static struct js *counts_of(const struct job *j, const struct js *row, const struct js *weak,
                            const struct js *diversity)
{
    struct js *v = js_object(), *variants = js_object();
    js_put(v, "row", js_copy(row));
    js_put_text(v, "stopped", j->stopped);
    js_put(v, "budget", budget_of(j->conf));
    js_put_whole(v, "docs_in", (int64_t)pages_n_docs(j->pages));
    js_put_whole(v, "pages_usable", (int64_t)pages_n_usable(j->pages));
    js_put_whole(v, "pages", (int64_t)j->n_pages);
    if (j->about)
        js_put(v, "generator", js_copy(j->about));
    js_put_bool(v, "too_weak", js_len(weak) > 0);
    js_put(v, "too_weak_reasons", js_copy(weak));
    js_put(v, "rates", rates_json(&j->rates));
    for (size_t i = 0; i < j->recipe->n_prompt; i++)
        js_put(variants, j->recipe->prompt[i].name, rates_json(&j->by_variant[i]));
    js_put(v, "variants", variants);
    if (recipe_needs_generator(j->recipe)) {
        js_put(v, "collapse", collapse_json(j));
        js_put(v, "diversity", js_copy(diversity));
    }
    return v;
}

static enum st failures(const struct job *j, struct err *err)
{
    uint64_t failed = j->rates.verdict[V_FAILED];
    if (j->n_later)
        return err_set(err, ST_NET, "%llu of %llu requests have no answer yet: %s",
                       (unsigned long long)j->n_later, (unsigned long long)j->rates.n,
                       j->why_later);
    if (!failed)
        return ST_OK;
    if ((double)failed <= FAILED_MAX * (double)j->rates.n) {
        log_warn("%llu of %llu requests got no answer, the last because: %s",
                 (unsigned long long)failed, (unsigned long long)j->rates.n, j->why);
        return ST_OK;
    }
    return err_set(
        err, ST_NET,
        "%llu of %llu requests got no answer, the last because: %s; the same command asks "
        "them again",
        (unsigned long long)failed, (unsigned long long)j->rates.n, j->why);
}

static enum st check_price(const struct synth_conf *c, struct err *err)
{
    if (recipe_imports(c->recipe) && c->price_out > 0 && !c->tokenizer)
        return err_set(err, ST_USAGE,
                       "the price of a million tokens of '%s' needs --tokenizer, which counts them",
                       c->recipe->name);
    if (!recipe_imports(c->recipe) && c->price > 0)
        return err_set(err, ST_USAGE,
                       "--price is of a ready-made set (--recipe import); generation has "
                       "--price-in and --price-out");
    return ST_OK;
}

enum st synth_run(const struct synth_conf *conf, struct js **row, struct err *err)
{
    double start = clock_s();
    struct job j;
    struct js *settings = settings_of(conf), *inputs = NULL, *weak = NULL, *diversity = NULL,
              *counts = NULL;
    enum st st = check_price(conf, err);
    if (st == ST_OK)
        st = inputs_of(conf, &inputs, err);
    if (st == ST_OK)
        st = check_done(conf, settings, inputs, row, err);
    if (st != ST_OK)
        goto out;
    st = job_open(&j, conf, err);
    if (st == ST_OK && j.generator) {
        st = job_ask(&j, err);
        js_free(j.about); /* what was learnt on the way belongs to it */
        j.about = generator_about(j.generator);
    }
    if (st == ST_OK)
        st = job_settle(&j, true, err);
    if (st == ST_OK)
        st = failures(&j, err);
    if (st == ST_OK) {
        weak = judge_generator(&j);
        diversity = diversity_of(&j);
        *row = row_of(&j, weak, diversity, clock_s() - start);
        counts = counts_of(&j, *row, weak, diversity);
        st = manifest_write(conf->out, "synth", SYNTH_VERSION, settings, inputs, counts,
                            clock_s() - start, err);
        if (st < 0) {
            js_free(*row);
            *row = NULL;
        }
    }
    job_close(&j);
out:
    js_free(settings);
    js_free(inputs);
    js_free(weak);
    js_free(diversity);
    js_free(counts);
    return st == ST_END ? ST_OK : st;
}
