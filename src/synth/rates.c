/* synth/rates.c - see rates.h. */
#include "synth/rates.h"

#include <math.h>
#include <stdio.h>

#include "base/mem.h"

enum { ENOUGH = 16 }; /* answers before a judgement */

#define RAW_LOOP 0.2   /* share of words in repeated 6-grams that makes an answer a loop */
#define RAW_COPIED 0.6 /* share of 5-grams from the source that makes it a copy */

void mean_add(struct mean *m, double x)
{
    if (isnan(x))
        return;
    m->sum += x;
    m->sum2 += x * x;
    m->n++;
}

double mean_value(const struct mean *m)
{
    return m->n ? m->sum / (double)m->n : NAN;
}

double mean_sd(const struct mean *m)
{
    if (m->n < 2)
        return NAN;
    double mu = mean_value(m), var = (m->sum2 - (double)m->n * mu * mu) / (double)(m->n - 1);
    return sqrt(fmax(0, var));
}

void rates_add(struct rates *s, const struct recipe *r, const struct answer *a)
{
    (void)r;
    s->n++;
    s->verdict[a->verdict]++;
    if (a->verdict == V_FAILED || a->verdict == V_NO_ROOM)
        return;
    s->n_length += a->hit_limit;
    s->n_meta += a->raw_meta_talk;
    s->n_loop += a->raw_loop > RAW_LOOP;
    s->n_copy += a->raw_copied > RAW_COPIED;
    s->n_refusal += a->flags >> V_REFUSAL & 1;
    s->n_leak += a->flags >> V_PROMPT_LEAK & 1;
    s->n_cut += a->cut;
    s->n_cut_loop += a->cut_loop;
    s->n_meta_dropped += a->n_meta_dropped > 0;
    s->n_stripped += a->stripped;
    mean_add(&s->raw_copied, a->raw_copied);
    for (int k = 0; k < SURVIVE_N; k++)
        mean_add(&s->raw_survives[k], survival_share(&a->raw_survived, k));
    if (a->verdict != V_KEPT)
        return;
    for (int k = 0; k < SURVIVE_N; k++)
        mean_add(&s->survives[k], survival_share(&a->survived, k));
    mean_add(&s->copied, a->copied);
    if (a->n_source_words)
        mean_add(&s->ratio, (double)a->n_words / (double)a->n_source_words);
}

uint64_t rates_answered(const struct rates *s)
{
    return s->n - s->verdict[V_FAILED] - s->verdict[V_NO_ROOM];
}

static double share(uint64_t k, uint64_t n)
{
    return n ? (double)k / (double)n : NAN;
}

struct js *rates_json(const struct rates *s)
{
    uint64_t n = rates_answered(s);
    struct js *v = js_object(), *verdict = js_object(), *raw = js_object(), *kept = js_object();
    js_put_whole(v, "n", (int64_t)s->n);
    js_put_whole(v, "kept", (int64_t)s->verdict[V_KEPT]);
    for (int k = V_KEPT + 1; k < V_N; k++)
        if (s->verdict[k])
            js_put_whole(verdict, verdict_name((enum verdict)k), (int64_t)s->verdict[k]);
    js_put(v, "dropped", verdict);
    js_put_real(raw, "length", share(s->n_length, n));
    js_put_real(raw, "meta_talk", share(s->n_meta, n));
    js_put_real(raw, "loop", share(s->n_loop, n));
    js_put_real(raw, "copy", share(s->n_copy, n));
    js_put_real(raw, "refusal", share(s->n_refusal, n));
    js_put_real(raw, "prompt_leak", share(s->n_leak, n));
    js_put_real(raw, "copied_5grams", mean_value(&s->raw_copied));
    for (int k = 0; k < SURVIVE_N; k++)
        js_put_real(raw, survivor_name(k), mean_value(&s->raw_survives[k]));
    js_put(v, "raw", raw);
    for (int k = 0; k < SURVIVE_N; k++)
        js_put_real(kept, survivor_name(k), mean_value(&s->survives[k]));
    js_put_real(kept, "copied_5grams", mean_value(&s->copied));
    js_put_real(kept, "words_ratio", mean_value(&s->ratio));
    js_put_whole(kept, "cut", (int64_t)s->n_cut);
    js_put_whole(kept, "cut_loop", (int64_t)s->n_cut_loop);
    js_put_whole(kept, "meta_sentences", (int64_t)s->n_meta_dropped);
    js_put_whole(kept, "stripped", (int64_t)s->n_stripped);
    js_put(v, "mended", kept);
    return v;
}

static void reason(struct strlist *out, bool holds, const char *fmt, double percent)
{
    if (!holds)
        return;
    struct strbuf b = { 0 };
    const char *at = fmt;
    for (; *at; at++) { /* '#' stands for the number: no format strings from tables */
        if (*at == '#')
            str_printf(&b, "%.0f %%", 100 * percent);
        else
            str_addc(&b, *at);
    }
    strlist_add(out, b.s);
    str_release(&b);
}

void rates_weak(const struct rates *s, const struct recipe *r, struct strlist *reasons)
{
    const struct recipe_weak *w = &r->weak;
    uint64_t n = rates_answered(s);
    double kept = share(s->verdict[V_KEPT], n), meta = share(s->n_meta, n);
    double loop = share(s->n_loop, n), copy = share(s->n_copy, n), length = share(s->n_length, n);
    if (n < ENOUGH)
        return;
    reason(reasons, kept < w->min_kept, "only # of the answers could be kept", kept);
    for (int k = 0; k < SURVIVE_N; k++) {
        double survives = mean_value(&s->raw_survives[k]);
        char text[80];
        snprintf(text, sizeof text, "only # of the source's %s survive", survivor_text(k));
        reason(reasons, s->raw_survives[k].n >= ENOUGH && survives < w->min_survives[k], text,
               survives);
    }
    reason(reasons, loop > w->max_loop, "# of the answers repeat themselves", loop);
    reason(reasons, meta > w->max_meta_talk, "# talk about the passage or the task", meta);
    reason(reasons, copy > w->max_copied, "# are mostly the source again", copy);
    reason(reasons, length > w->max_length, "# run into the token limit", length);
}
