/* report/verdict.c - see verdict.h. */
#include "report/verdict.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "base/units.h"
#include "report/escape.h"

static struct strbuf *line(struct verdict *v, const char *label)
{
    assert(v->n_line < VERDICT_MAX_LINES); /* each label once, and there are fewer */
    v->line[v->n_line].label = label;
    return &v->line[v->n_line++].text;
}

static void add_choice(struct strbuf *b, const struct js *c)
{
    const char *text = js_as_text(c, NULL);
    if (text) {
        str_adds(b, text);
        return;
    }
    const char *kind = js_get_text(c, "kind", "natural");
    str_adds(b, kind);
    if (strcmp(kind, "natural") != 0)
        str_printf(b, " %.3g %%", 100 * js_get_real(c, "share", NAN));
}

static bool is_control_wrong(const struct js *a)
{
    const struct js *controls = js_get(a, "controls");
    for (size_t i = 0; i < js_len(controls); i++)
        if (js_get_text(js_at(controls, i), "want", NULL) &&
            !js_get_bool(js_at(controls, i), "ok", false))
            return true;
    return false;
}

/* A choice better than natural text without being advised: the pages themselves did as well. */
static bool is_pages_gain(const struct js *a)
{
    const struct js *choices = js_get(a, "choices");
    for (size_t i = 0; i < js_len(choices); i++)
        if (strcmp(js_get_text(js_at(choices, i), "verdict", ""), "better") == 0)
            return true;
    return false;
}

static void headline(struct verdict *v, const struct js *a)
{
    const char *verdict = js_get_text(a, "verdict", NULL);
    struct strbuf *b = &v->headline;
    v->mood = MOOD_OPEN;
    if (!a) {
        str_adds(b, "No recommendation yet: the study is not finished.");
    } else if (!verdict) {
        str_adds(b, "The advice holds no verdict.");
    } else if (str_starts(verdict, "use none")) {
        v->mood = MOOD_NO;
        str_adds(b, "Use none of this synthetic text: a gain worth having is ruled out.");
    } else if (str_starts(verdict, "use ")) {
        v->mood = MOOD_YES;
        str_printf(b, "Use %s for %.3g %% of the training tokens.", js_get_text(a, "kind", "?"),
                   100 * js_get_real(a, "share", NAN));
    } else if (strcmp(verdict, "cannot tell") == 0) {
        str_adds(
            b,
            is_control_wrong(a)
                ? "Cannot tell: a control came out wrong, so the comparison is not to be trusted."
            : is_pages_gain(a)
                ? "Cannot tell whether rewriting helps: the same pages unrewritten gain as much."
                : "Cannot tell: no choice is shown to be better than natural text, nor is a gain "
                  "ruled out.");
    } else if (strcmp(verdict, "insufficient") == 0) {
        str_adds(b, "Insufficient: this study is too small to recommend a share.");
    } else {
        str_printf(b, "%s.", verdict);
    }
}

static void add_interval(struct verdict *v, const struct js *a)
{
    double lo = js_get_real(a, "share_lo", NAN), hi = js_get_real(a, "share_hi", NAN);
    const struct js *equal = js_get(a, "equal_set");
    double share = js_get_real(a, "share", NAN);
    if (!(lo < hi) && !(share > 0) && js_len(equal) < 2)
        return;
    struct strbuf *b = line(v, "Interval");
    if (lo < hi)
        str_printf(b, "best share between %.3g %% and %.3g %%", 100 * lo, 100 * hi);
    else if (share > 0)
        str_printf(b, "none: of the few shares that were measured %.3g %% is the best",
                   100 * share);
    if (js_len(equal) > 1) {
        str_adds(b, b->n ? "; cannot be told apart: " : "cannot be told apart: ");
        for (size_t i = 0; i < js_len(equal); i++) {
            str_adds(b, i ? ", " : "");
            add_choice(b, js_at(equal, i));
        }
    }
}

static void add_loss(struct verdict *v, const struct input *in)
{
    const struct js *a = in->advice;
    double loss = js_get_real(a, "loss", NAN), lo = js_get_real(a, "loss_lo", NAN),
           hi = js_get_real(a, "loss_hi", NAN);
    const struct input_cell *nat = input_natural(in, in->n_max, in->d_max);
    if (isnan(loss))
        return;
    struct strbuf *b = line(v, "Loss");
    str_printf(b, "%.4f nats/token", loss);
    if (!isnan(lo) && !isnan(hi))
        str_printf(b, " (%.4f to %.4f)", lo, hi);
    if (nat)
        str_printf(b, "; natural text alone %.4f", nat->mean);
}

static void add_saving(struct verdict *v, const struct input *in)
{
    char n[UNITS_MAX];
    double saved = js_get_real(in->advice, "tokens_saved", NAN),
           lo = js_get_real(in->advice, "tokens_saved_lo", NAN),
           hi = js_get_real(in->advice, "tokens_saved_hi", NAN),
           even = js_get_real(in->advice, "breakeven_tokens", NAN);
    if (isnan(saved) && isnan(even))
        return;
    struct strbuf *b = line(v, "Saves");
    if (saved > 0) {
        str_printf(b, "%s training tokens", count_text(n, saved));
        if (!isnan(lo))
            str_printf(b, " (%s to ", count_text(n, lo));
        if (!isnan(lo))
            str_printf(b, "%s)", isnan(hi) ? "no known bound" : count_text(n, hi));
        str_adds(b, ": natural text alone would need that many more");
    } else if (!isnan(saved))
        str_adds(b, "no training tokens");
    if (!isnan(even))
        str_printf(b, "%sgeneration pays back from %s training tokens on", b->n ? "; " : "",
                   count_text(n, even));
}

static void add_cost(struct verdict *v, const struct input *in)
{
    double generate_s = 0, train_s = 0, tokens = 0;
    char a[UNITS_MAX], b[UNITS_MAX];
    for (size_t i = 0; i < in->n_kind; i++) {
        if (in->kind[i].control) /* made without a generator, in seconds */
            continue;
        double s = input_generate_s(&in->kind[i]);
        generate_s += isnan(s) ? 0 : s;
        tokens += js_get_real(input_counts(&in->kind[i]), "tokens_out", 0);
    }
    for (size_t i = 0; i < in->n_run; i++)
        if (isfinite(in->run[i].own_s))
            train_s += in->run[i].own_s;
    if (generate_s == 0 && train_s == 0)
        return;
    struct strbuf *text = line(v, "Cost");
    if (generate_s > 0)
        str_printf(text, "generation %s for %s tokens; ", units_time(a, generate_s),
                   count_text(b, tokens));
    str_printf(text, "training about %s of one process in %zu runs", units_time(a, train_s),
               in->n_run);
}

/* Whether each control came out as it must, which is what makes the rest believable. */
static void add_controls(struct verdict *v, const struct js *a)
{
    const struct js *controls = js_get(a, "controls");
    struct strbuf *b = js_len(controls) ? line(v, "Controls") : NULL;
    for (size_t i = 0; i < js_len(controls); i++) {
        const struct js *c = js_at(controls, i);
        const char *name = js_get_text(c, "control", js_get_text(c, "kind", "?"));
        if (strcmp(name, "A/A") == 0)
            name = "natural with other seeds";
        else if (strcmp(name, "poison") == 0)
            name = "shuffled words";
        else if (strcmp(name, "copy") == 0)
            name = "sources unrewritten";
        str_printf(b, "%s%s: %s", i ? "; " : "", name, js_get_text(c, "got", "not measured"));
        if (js_get_text(c, "want", NULL))
            str_adds(b, js_get_bool(c, "ok", false) ? " (right)" : " (WRONG: distrust this study)");
    }
}

/* The generator as a reason not to believe in a kind. */
static void add_weak(struct verdict *v, const struct input *in)
{
    struct strbuf *b = NULL;
    for (size_t i = 0; i < in->n_kind; i++) {
        const struct js *counts = js_get(in->kind[i].manifest, "counts"),
                        *why = js_get(counts, "too_weak_reasons");
        if (!js_get_bool(counts, "too_weak", false))
            continue;
        if (!b)
            b = line(v, "Too weak");
        str_printf(b, "%s%s: this speaks about the generator, not the recipe", b->n ? "; " : "",
                   in->kind[i].name);
        for (size_t k = 0; k < js_len(why); k++) {
            const char *text = js_as_text(js_at(why, k), NULL);
            str_printf(b, "%s%s", k ? ", " : ": ", text ? text : "?");
        }
    }
}

/* The reasons, in the words of the advice. */
static void add_reasons(struct verdict *v, const struct js *a)
{
    const struct js *reasons = js_get(a, "reasons");
    struct strbuf *b = NULL;
    for (size_t i = 0; i < js_len(reasons); i++) {
        const char *text = js_as_text(js_at(reasons, i), NULL);
        if (!text)
            continue;
        if (!b)
            b = line(v, "Why");
        str_printf(b, "%s%s", b->n ? "; " : "", text);
    }
}

static void add_limits(struct verdict *v, const struct input *in)
{
    const struct js *a = in->advice;
    double effect = js_get_real(a, "smallest_effect", NAN),
           noise = js_get_real(js_get(a, "noise"), "sd_seed", in->noise_sd);
    if (!isnan(effect) || !isnan(noise)) {
        struct strbuf *b = line(v, "Cannot tell yet");
        if (!isnan(effect))
            str_printf(b, "differences below %.3g nats/token", effect);
        if (!isnan(noise))
            str_printf(b, "%sseed noise is %.3g nats/token a run", b->n ? "; " : "", noise);
    }
    if (js_kind(js_get(a, "runs_needed")) == JS_WHOLE ||
        js_kind(js_get(a, "runs_needed")) == JS_REAL)
        str_printf(line(v, "What would tell"),
                   "about %.0f runs of each arm at this size and budget, where natural text has %d",
                   js_get_real(a, "runs_needed", NAN),
                   (int)js_get_whole(js_at(js_get(a, "choices"), 0), "n_seed", 0));
}

void verdict_make(struct verdict *v, const struct input *in)
{
    char n[UNITS_MAX], d[UNITS_MAX];
    memset(v, 0, sizeof *v);
    headline(v, in->advice);
    if (isfinite(in->n_max) && isfinite(in->d_max))
        str_printf(&v->point, "At %s parameters (without embeddings) and %s training tokens%s.",
                   count_text(n, in->n_max), count_text(d, in->d_max),
                   in->is_largest ? ", the largest measured" : "");
    add_reasons(v, in->advice);
    add_interval(v, in->advice);
    add_loss(v, in);
    add_saving(v, in);
    add_cost(v, in);
    add_controls(v, in->advice);
    add_weak(v, in);
    add_limits(v, in);
}

void verdict_release(struct verdict *v)
{
    str_release(&v->headline);
    str_release(&v->point);
    for (size_t i = 0; i < v->n_line; i++)
        str_release(&v->line[i].text);
    memset(v, 0, sizeof *v);
}
