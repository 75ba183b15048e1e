/*
 * synth/pilot.c - a forecast from a sample (forecast.h). The sampled pages are those a run begins
 * with, drawn at random by their rank; how many pieces each page of the run has is known from the
 * survey. The pilot goes on until requests and tokens are known well enough, or as far as a pilot
 * may go; then it says how many pages would do.
 */
#include <math.h>
#include <stdlib.h>

#include "base/file.h"
#include "base/log.h"
#include "synth/job.h"

enum { GROW_MAX = 10 /* a pilot goes on to so many times its first pages at most */ };

struct pilot {
    struct job job;
    uint64_t n_all, n_wanted; /* pages of the run; pages that would do */
    double x_all, within;     /* requests of the run, none left out */
    struct pace pace;         /* of this round of asking */
    struct interval speed;    /* tokens a second */
};

static struct interval total(const struct pilot *p, const struct ratio *s)
{
    return ratio_total(s, p->x_all, p->n_all);
}

/* Requests and tokens each, and the widest of their intervals. */
static double uncertainty(const struct pilot *p)
{
    const struct job *j = &p->job;
    return fmax(
        interval_half(total(p, &j->per_requests)),
        fmax(interval_half(total(p, &j->per_tok_prompt)), interval_half(total(p, &j->per_tok))));
}

static uint64_t pages_wanted(const struct pilot *p)
{
    const struct ratio *const s[] = { &p->job.per_requests, &p->job.per_tok_prompt,
                                      &p->job.per_tok };
    uint64_t most = 0;
    for (size_t i = 0; i < N_OF(s); i++) {
        uint64_t n = ratio_pages(s[i], p->n_all, p->within);
        most = n > most ? n : most;
    }
    return most;
}

/* Asks for the first n pages and judges what came back. */
static enum st round_of(struct pilot *p, uint64_t n, struct err *err)
{
    struct job *j = &p->job;
    uint64_t n_asked = j->n_asked, n_tok = ledger_stats(j->ledger).n_tok;
    double start = clock_s();
    pages_limit(j->pages, n);
    p->pace.n = 0;
    enum st st = job_ask(j, err);
    double ask_s = clock_s() - start;
    if (st == ST_OK)
        st = job_settle(j, false, err);
    if (st == ST_OK && rates_answered(&j->rates) == 0)
        return err_set(err, ST_NET, "no request of the pilot was answered: %s", j->why);
    struct interval now = pace_rate(&p->pace);
    if (!isnan(now.value))
        p->speed = now;
    else if (isnan(p->speed.value) && j->n_asked > n_asked)
        p->speed.value = (double)(ledger_stats(j->ledger).n_tok - n_tok) / ask_s;
    return st;
}

static enum st sample_pages(struct pilot *p, uint64_t n_first, struct err *err)
{
    const uint64_t most = GROW_MAX * n_first;
    uint64_t n = n_first < p->n_all ? n_first : p->n_all;
    for (;;) {
        enum st st = round_of(p, n, err);
        if (st < 0)
            return st;
        p->n_wanted = n;
        if (n == p->n_all || p->job.stopped || uncertainty(p) <= p->within)
            return ST_OK;
        p->n_wanted = pages_wanted(p);
        if (n >= most)
            return ST_OK;
        uint64_t next = p->n_wanted + p->n_wanted / 10 + 1; /* a tenth more: it is an estimate */
        next = next > n ? next : n + 1;
        next = next < most ? next : most;
        n = next < p->n_all ? next : p->n_all;
        log_info("tokens and requests are known to +-%.0f %%: the pilot goes on to %llu pages",
                 100 * uncertainty(p), (unsigned long long)n);
    }
}

/* Nothing was asked now: the speed that the last pilot here measured, else that of the ledger. */
static struct interval known_speed(const struct job *j, const char *path)
{
    struct interval v = { NAN, NAN, NAN };
    struct js *was = NULL;
    struct err err;
    if (file_exists(path) && js_read_file(&was, path, &err) == ST_OK) {
        v.value = js_get_real(was, "tok_per_s", NAN);
        v.lo = js_get_real(was, "tok_per_s_lo", NAN);
        v.hi = js_get_real(was, "tok_per_s_hi", NAN);
        js_free(was);
    }
    struct ledger_stats s = ledger_stats(j->ledger);
    if (isnan(v.value) && s.ask_s > 0)
        v.value = (double)s.n_tok / s.ask_s;
    return v;
}

/* A number of tokens over a speed: both vary, each for itself. */
static struct interval hours(struct interval tok, struct interval speed)
{
    double mid = tok.value / speed.value / 3600;
    double a = interval_half(tok), b = isnan(speed.lo) ? 0 : interval_half(speed);
    double half = mid * sqrt(a * a + b * b);
    return (struct interval){ mid, fmax(mid / 4, mid - half), mid + half };
}

/* The budget that would end the run before its last page, or NULL. */
static const char *short_budget(const struct synth_conf *c, struct interval tok,
                                struct interval price, struct interval time)
{
    if (c->max_tok && tok.value > (double)c->max_tok)
        return "max_tokens";
    if (c->max_cost > 0 && price.value > c->max_cost)
        return "max_cost";
    return c->max_s > 0 && time.value * 3600 > c->max_s ? "max_time" : NULL;
}

static void put_kept(struct js *v, const struct pilot *p, double cost)
{
    const struct job *j = &p->job;
    struct interval kept = total(p, &j->per_kept_tok);
    double per_tok = j->per_tok.y > 0 ? j->per_kept_tok.y / j->per_tok.y : 0;
    js_put(v, "kept_tokens", interval_json(kept));
    js_put_real(v, "kept_tok_per_doc", kept.value / (double)p->n_all);
    js_put_real(v, "kept_tok_per_s", per_tok * p->speed.value);
    js_put_real(v, "kept_tok_per_hour", 3600 * per_tok * p->speed.value);
    js_put_real(v, "cost_per_m_kept", kept.value > 0 ? 1e6 * cost / kept.value : NAN);
}

static struct js *forecast(const struct pilot *p)
{
    const struct job *j = &p->job;
    struct js *v = js_object(), *weak = js_array(), *drop = js_object();
    struct strlist reasons = { 0 };
    struct interval tok = total(p, &j->per_tok), price = total(p, &j->per_cost);
    struct interval time = hours(tok, p->speed);
    js_put_text(v, "recipe", j->recipe->name);
    js_put_whole(v, "pilot_docs", (int64_t)j->n_pages);
    js_put_whole(v, "docs", (int64_t)p->n_all);
    js_put_real(v, "uncertainty", uncertainty(p));
    js_put_whole(v, "pilot_docs_wanted", (int64_t)p->n_wanted);
    js_put(v, "requests", interval_json(total(p, &j->per_requests)));
    js_put(v, "tokens_prompt", interval_json(total(p, &j->per_tok_prompt)));
    js_put(v, "tokens_out", interval_json(tok));
    js_put(v, "discard_rate", interval_json(ratio_rate(&j->discarded, p->n_all)));
    for (int k = V_KEPT + 1; k < V_N; k++)
        if (j->rates.verdict[k])
            js_put_whole(drop, verdict_name((enum verdict)k), (int64_t)j->rates.verdict[k]);
    js_put(v, "dropped", drop);
    js_put_real(v, "tok_per_s", p->speed.value);
    js_put_real(v, "tok_per_s_lo", p->speed.lo);
    js_put_real(v, "tok_per_s_hi", p->speed.hi);
    js_put(v, "hours", interval_json(time));
    if (j->tok)
        put_kept(v, p, price.value);
    js_put(v, "price", interval_json(price));
    js_put_text(v, "over_budget", short_budget(j->conf, tok, price, time));
    rates_weak(&j->rates, j->recipe, &reasons);
    if (reasons.n)
        log_warn("the generator is too weak for recipe '%s':", j->recipe->name);
    for (size_t i = 0; i < reasons.n; i++) {
        log_warn("  %s", reasons.s[i]);
        js_push_text(weak, reasons.s[i]);
    }
    js_put(v, "too_weak", weak);
    js_put(v, "rates", rates_json(&j->rates));
    strlist_release(&reasons);
    return v;
}

static void say_doubts(const struct pilot *p)
{
    double now = uncertainty(p);
    if (now > p->within)
        log_warn("tokens and requests are known to +-%.0f %% after %llu pages; about %llu would "
                 "make it +-%.0f %%",
                 100 * now, (unsigned long long)p->job.n_pages, (unsigned long long)p->n_wanted,
                 100 * p->within);
}

/* Of the run, all its pieces asked for: an equal piece is asked for once, unless its page's
 * keywords are in the prompt. */
static uint64_t n_requests(const struct job *j)
{
    uint64_t n = j->conf->count_distinct ? pages_n_distinct(j->pages) : pages_n_pieces(j->pages);
    return recipe_asks_all(j->recipe) ? n * j->recipe->n_prompt : n;
}

enum st synth_pilot(const struct synth_conf *conf, uint64_t n, double within, struct js **row,
                    struct err *err)
{
    struct pilot p = { .within = within, .speed = { NAN, NAN, NAN } };
    if (!recipe_needs_generator(conf->recipe))
        return err_set(err, ST_USAGE, "recipe '%s' asks no generator: there is nothing to forecast",
                       conf->recipe->name);
    char *path = path_join(conf->out, "pilot.json");
    struct synth_conf counting = *conf;
    counting.count_distinct = !recipe_needs_keywords(conf->recipe);
    enum st st = job_open(&p.job, &counting, err);
    if (st == ST_OK) {
        p.job.pace = &p.pace;
        p.n_all = pages_n_used(p.job.pages);
        p.x_all = (double)n_requests(&p.job);
        st = sample_pages(&p, n, err);
    }
    if (st == ST_OK) {
        if (isnan(p.speed.value))
            p.speed = known_speed(&p.job, path);
        say_doubts(&p);
        *row = forecast(&p);
        if (p.job.n_asked)
            st = js_write_file(*row, path, err);
        if (st < 0) {
            js_free(*row);
            *row = NULL;
        }
    }
    pace_release(&p.pace);
    job_close(&p.job);
    free(path);
    return st;
}
