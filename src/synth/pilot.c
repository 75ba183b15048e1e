/*
 * synth/pilot.c - a forecast from a sample. The sampled pages are those a run begins with, drawn at
 * random by their rank, so their mean estimates the mean of all pages:
 *
 *     total = n_pages * (mean +- t * sd / sqrt(n)),      rates by Wilson's interval; both 90 %
 *
 * A page that the run will surely have in common with the pilot varies no more: the finite
 * population correction sqrt(1 - n / n_pages) takes that into account.
 */
#include <math.h>
#include <stdlib.h>

#include "base/file.h"
#include "base/log.h"
#include "synth/job.h"

/* Student's t for 90 % two-sided, by degrees of freedom: Cornish-Fisher expansion about the normal.
 */
static double student90(double df)
{
    const double z = 1.6448536;
    return z + (z * z * z + z) / (4 * df) +
           (5 * pow(z, 5) + 16 * pow(z, 3) + 3 * z) / (96 * df * df);
}

static struct js *interval(double value, double lo, double hi)
{
    struct js *v = js_object();
    js_put_real(v, "value", value);
    js_put_real(v, "lo", lo);
    js_put_real(v, "hi", hi);
    return v;
}

/* Sum over all pages of what was measured on some. */
static struct js *total(const struct mean *m, uint64_t n_pages, double scale, double *mid)
{
    double n = (double)m->n, all = (double)n_pages, mu = mean_value(m), half = 0;
    if (m->n >= 2 && n < all)
        half = student90(n - 1) * mean_sd(m) / sqrt(n) * sqrt(1 - n / all);
    *mid = scale * all * mu;
    return interval(*mid, scale * all * fmax(0, mu - half), scale * all * (mu + half));
}

static struct js *wilson90(uint64_t k, uint64_t n)
{
    const double z = 1.6448536;
    if (!n)
        return interval(NAN, 0, 1);
    double p = (double)k / (double)n, z2 = z * z / (double)n;
    double mid = (p + z2 / 2) / (1 + z2);
    double half = z / (1 + z2) * sqrt(p * (1 - p) / (double)n + z2 / (4 * (double)n));
    return interval(p, fmax(0, mid - half), fmin(1, mid + half));
}

/* Tokens a second: measured when something was asked now, else what the last pilot measured. */
static double speed(const struct job *j, const char *path, double ask_s, uint64_t n_tok_before)
{
    struct js *was = NULL;
    struct err err;
    double rate = NAN;
    if (j->n_asked) {
        rate = (double)(ledger_stats(j->ledger).n_tok - n_tok_before) / ask_s;
    } else if (file_exists(path) && js_read_file(&was, path, &err) == ST_OK) {
        rate = js_get_real(was, "tok_per_s", NAN);
        js_free(was);
    }
    if (isnan(rate) && ledger_stats(j->ledger).ask_s > 0)
        rate = (double)ledger_stats(j->ledger).n_tok / ledger_stats(j->ledger).ask_s;
    return rate;
}

static struct js *forecast(const struct job *j, const struct synth_conf *conf, double rate)
{
    struct js *v = js_object(), *weak = js_array(), *drop = js_object();
    struct strlist reasons = { 0 };
    uint64_t usable = pages_n_usable(j->pages), answered = rates_answered(&j->rates);
    uint64_t n = conf->max_docs && conf->max_docs < usable ? conf->max_docs : usable;
    double requests, in, out, kept;
    js_put_text(v, "recipe", j->recipe->name);
    js_put_whole(v, "pilot_docs", (int64_t)j->n_pages);
    js_put_whole(v, "docs", (int64_t)n);
    js_put(v, "requests", total(&j->page_requests, n, 1, &requests));
    js_put(v, "tokens_prompt", total(&j->page_tok_prompt, n, 1, &in));
    js_put(v, "tokens_out", total(&j->page_tok, n, 1, &out));
    js_put(v, "discard_rate", wilson90(answered - j->rates.verdict[V_KEPT], answered));
    for (int k = V_KEPT + 1; k < V_N; k++)
        if (j->rates.verdict[k])
            js_put_whole(drop, verdict_name((enum verdict)k), (int64_t)j->rates.verdict[k]);
    js_put(v, "dropped", drop);
    js_put_real(v, "tok_per_s", rate);
    js_put(v, "hours", total(&j->page_tok, n, 1 / rate / 3600, &out));
    if (j->tok) {
        struct js *all = total(&j->page_kept_tok, n, 1, &kept);
        double per_page = mean_value(&j->page_kept_tok), tok_page = mean_value(&j->page_tok);
        js_put(v, "kept_tokens", all);
        js_put_real(v, "kept_tok_per_doc", per_page);
        js_put_real(v, "kept_tok_per_s", tok_page > 0 ? per_page * rate / tok_page : 0);
    }
    double pin = conf->price_in / 1e6, pout = conf->price_out / 1e6;
    struct js *a = total(&j->page_tok_prompt, n, pin, &in), *b = total(&j->page_tok, n, pout, &out);
    js_put(v, "price",
           interval(in + out, js_get_real(a, "lo", 0) + js_get_real(b, "lo", 0),
                    js_get_real(a, "hi", 0) + js_get_real(b, "hi", 0)));
    js_free(a);
    js_free(b);
    rates_weak(&j->rates, j->recipe, &reasons);
    for (size_t i = 0; i < reasons.n; i++)
        js_push_text(weak, reasons.s[i]);
    js_put(v, "too_weak", weak);
    js_put(v, "rates", rates_json(&j->rates));
    strlist_release(&reasons);
    return v;
}

enum st synth_pilot(const struct synth_conf *conf, uint64_t n, struct js **row, struct err *err)
{
    struct synth_conf few = *conf;
    struct job j;
    if (!recipe_needs_generator(conf->recipe))
        return err_set(err, ST_USAGE, "recipe '%s' asks no generator: there is nothing to forecast",
                       conf->recipe->name);
    few.max_docs = conf->max_docs && conf->max_docs < n ? conf->max_docs : n;
    char *path = path_join(conf->out, "pilot.json");
    enum st st = job_open(&j, &few, err);
    if (st == ST_OK) {
        uint64_t before = ledger_stats(j.ledger).n_tok;
        double start = clock_s();
        st = job_ask(&j, err);
        double ask_s = clock_s() - start;
        if (st == ST_OK)
            st = job_settle(&j, false, err);
        if (st == ST_OK && rates_answered(&j.rates) == 0)
            st = err_set(err, ST_NET, "no request of the pilot was answered: %s", j.why);
        if (st == ST_OK) {
            *row = forecast(&j, conf, speed(&j, path, ask_s, before));
            if (j.n_asked)
                st = js_write_file(*row, path, err);
        }
    }
    job_close(&j);
    free(path);
    return st;
}
