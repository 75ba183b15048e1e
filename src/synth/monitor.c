/* synth/monitor.c - see monitor.h. */
#include "synth/monitor.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "synth/text.h"

enum { LENGTHS = 16 }; /* texts of 0, 1, 2-3, 4-7, ... words; the last of 16,384 and more */

struct watch {             /* of a variant, or of all */
    struct window *window; /* NULL before the first text */
    uint64_t n, n_measured, length[LENGTHS];
    struct diversity sum, worst, last;
    bool collapsed;
};

struct monitor {
    const struct recipe *recipe;
    struct watch *of; /* by variant; the last is of all, where there are several */
    bool *stopped;
    struct strlist said;
    struct look look; /* at the text at hand */
};

struct monitor *monitor_new(const struct recipe *r)
{
    struct monitor *m = NEW(struct monitor);
    m->recipe = r;
    m->of = NEW_ARRAY(struct watch, r->n_prompt + 1);
    m->stopped = NEW_ARRAY(bool, r->n_prompt + 1);
    return m;
}

void monitor_free(struct monitor *m)
{
    if (!m)
        return;
    for (size_t i = 0; i <= m->recipe->n_prompt; i++)
        window_free(m->of[i].window);
    strlist_release(&m->said);
    free(m->of);
    free(m->stopped);
    free(m);
}

/* A diversity as its values: the first n_low are bad when low, the rest when high. */
enum { N_MEASURE = 3 + DISTINCT_MAX, N_LOW = DISTINCT_MAX };
static double *measure(struct diversity *d, int i)
{
    double *const at[N_MEASURE] = { &d->distinct[0],  &d->distinct[1], &d->distinct[2],
                                    &d->same_opening, &d->compression, &d->self_similar };
    return at[i];
}

static void take_measures(struct watch *w, struct arena *scratch)
{
    window_measure(w->window, &w->last, scratch);
    for (int i = 0; i < N_MEASURE; i++) {
        double now = *measure(&w->last, i), *worst = measure(&w->worst, i);
        *measure(&w->sum, i) += now;
        if (!w->n_measured || (i < N_LOW ? now < *worst : now > *worst))
            *worst = now;
    }
    w->n_measured++;
}

/* True when the window was measured now, as it is every `step` texts once it is full. length: class
 * of the text's length. */
static bool watch_add(struct watch *w, uint64_t size, uint64_t step, const struct look *look,
                      int length, struct arena *scratch)
{
    if (!w->window)
        w->window = window_new((size_t)size);
    window_add(w->window, look);
    w->length[length]++;
    w->n++;
    if (!window_full(w->window) || w->n % step)
        return false;
    take_measures(w, scratch);
    return true;
}

static int length_class(size_t n_words)
{
    int at = 0;
    for (; n_words && at + 1 < LENGTHS; n_words /= 2)
        at++;
    return at;
}

/* The rule that the measures break, and its value and limit; NULL: none. */
static const char *broken(const struct recipe_collapse *c, const struct diversity *d, double *value,
                          double *limit)
{
    const struct {
        const char *name;
        double value, limit;
        bool low; /* is bad */
    } rule[] = {
        { "same_opening", d->same_opening, c->max_same_opening, false },
        { "distinct_2", d->distinct[1], c->min_distinct_2, true },
        { "compression", d->compression, c->max_compression, false },
        { "self_similar", d->self_similar, c->max_self_similar, false },
    };
    for (size_t i = 0; i < N_OF(rule); i++) {
        *value = rule[i].value;
        *limit = rule[i].limit;
        if (rule[i].low ? *value < *limit : *value > *limit)
            return rule[i].name;
    }
    return NULL;
}

static void say(struct monitor *m, int variant, const char *rule, double value, double limit)
{
    const struct recipe *r = m->recipe;
    const char *action = r->collapse.action;
    const char *then = strcmp(action, "warn") == 0 ? "it goes on"
                       : monitor_all_stopped(m)    ? "no variant is left"
                       : strcmp(action, "rotate") == 0 && !recipe_asks_all(r)
                           ? "its pieces go to the others"
                           : "it is asked no more";
    char *line = xasprintf("variant '%s' collapsed after %llu texts: %s %.3g, limit %.3g; %s",
                           r->prompt[variant].name, (unsigned long long)m->of[variant].n, rule,
                           value, limit, then);
    strlist_add(&m->said, line);
    free(line);
}

/* Moves behind the beginning that the prompt gave the answer: it is the same in all of them, and
 * ours. One with something filled in differs from page to page and may stay. */
static void skip_prefill(const struct recipe_prompt *p, const char **text, size_t *n_bytes)
{
    const char *prefill = p->prefill ? p->prefill : "";
    size_t n = strlen(prefill);
    text_trim(&prefill, &n);
    if (n > *n_bytes || memcmp(*text, prefill, n) != 0)
        return;
    *text += n;
    *n_bytes -= n;
    text_trim(text, n_bytes);
}

bool monitor_add(struct monitor *m, int variant, const char *text, size_t n_bytes,
                 struct arena *scratch)
{
    const struct recipe_collapse *c = &m->recipe->collapse;
    double value, limit;
    skip_prefill(&m->recipe->prompt[variant], &text, &n_bytes);
    if (!n_bytes)
        return false;
    int length = length_class(text_n_words(text, n_bytes));
    struct watch *w = &m->of[variant];
    look_at(&m->look, text, n_bytes, scratch);
    if (m->recipe->n_prompt > 1)
        watch_add(&m->of[m->recipe->n_prompt], c->window, c->window, &m->look, length, scratch);
    if (!watch_add(w, c->window, c->window / 2, &m->look, length, scratch) || w->collapsed)
        return false;
    const char *rule = broken(c, &w->last, &value, &limit);
    if (!rule || recipe_edits(m->recipe)) /* an edited page is as much like others as it was */
        return false;
    w->collapsed = true;
    m->stopped[variant] = strcmp(c->action, "warn") != 0;
    say(m, variant, rule, value, limit);
    return m->stopped[variant];
}

const bool *monitor_stopped(const struct monitor *m)
{
    return m->stopped;
}

bool monitor_all_stopped(const struct monitor *m)
{
    for (size_t i = 0; i < m->recipe->n_prompt; i++)
        if (!m->stopped[i])
            return false;
    return m->recipe->n_prompt > 0;
}

const struct strlist *monitor_said(const struct monitor *m)
{
    return &m->said;
}

/* [[least words, texts], ...] without the empty ends. */
static struct js *lengths_json(const struct watch *w)
{
    struct js *list = js_array();
    for (int i = 0; i < LENGTHS; i++) {
        if (!w->length[i])
            continue;
        struct js *pair = js_array();
        js_push_whole(pair, i ? 1 << (i - 1) : 0);
        js_push_whole(pair, (int64_t)w->length[i]);
        js_push(list, pair);
    }
    return list;
}

struct js *monitor_json(const struct monitor *m, int variant, struct arena *scratch)
{
    size_t n = m->recipe->n_prompt;
    struct watch w = m->of[variant >= 0 ? (size_t)variant : n > 1 ? n : 0];
    struct js *v = js_object();
    js_put_whole(v, "texts", (int64_t)w.n);
    js_put_whole(v, "windows", (int64_t)w.n_measured);
    if (!w.n_measured && w.window) /* less than a window: what there is, for people */
        take_measures(&w, scratch);
    if (w.n_measured) {
        for (int i = 0; i < N_MEASURE; i++)
            *measure(&w.sum, i) /= (double)w.n_measured;
        js_put(v, "mean", diversity_json(&w.sum));
        js_put(v, "worst", diversity_json(&w.worst));
        js_put(v, "last", diversity_json(&w.last));
    }
    js_put(v, "words", lengths_json(&w));
    return v;
}
