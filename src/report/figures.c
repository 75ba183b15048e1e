/* report/figures.c - see figure.h: what each figure shows, and its rows. */
#include "report/figure.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/attr.h"
#include "base/units.h"
#include "report/assets.h"
#include "report/escape.h"

/* Hues that keep 3:1 against white and against the dark page. Natural text is the grey reference.
 */
static const char natural_color[] = "#7d8590";
static const char *const kind_color[] = { "#2f7fd1", "#cf6a1f", "#2a9460",
                                          "#8e63d6", "#c9478e", "#1a93a8" };
static const char *const control_color[] = { "#a08345", "#9a7a7a", "#6f8f8f" };
static const char *const part_color[] = { "#2a9460", "#d2473d", "#cf6a1f", "#8e63d6", "#2f7fd1",
                                          "#a08345", "#c9478e", "#1a93a8", "#7d8590", "#9a7a7a" };

static void put_label(struct js *row, const char *key, const char *text)
{
    struct strbuf b = { 0 };
    label_text(&b, text);
    js_put_text(row, key, b.n ? b.s : "");
    str_release(&b);
}

/* What a cell's colour stands for. */
static const char *kind_label(const struct input_cell *c)
{
    return c->control && strcmp(c->kind, "natural") == 0 ? "natural, other seeds" : c->kind;
}

void arm_label(struct strbuf *b, const struct input_cell *c)
{
    label_text(b, kind_label(c));
    if (strcmp(c->kind, "natural") != 0)
        str_printf(b, " %.3g %%", 100 * c->share);
}

static void put_arm(struct js *row, const char *key, const struct input_cell *c)
{
    struct strbuf b = { 0 };
    arm_label(&b, c);
    js_put_text(row, key, b.s);
    str_release(&b);
}

static void put_panel(struct js *row, double n, double d)
{
    char a[UNITS_MAX], b[UNITS_MAX];
    struct strbuf text = { 0 };
    if (!isnan(n))
        str_printf(&text, "N = %s", count_text(a, n));
    if (!isnan(n) && !isnan(d))
        str_adds(&text, ", ");
    if (!isnan(d))
        str_printf(&text, "D = %s", count_text(b, d));
    js_put_text(row, "panel", text.n ? text.s : "");
    str_release(&text);
}

static void set_data(struct js *spec, const char *name, struct js *rows)
{
    struct js *data = js_get(spec, "data");
    for (size_t i = 0; i < js_len(data); i++)
        if (strcmp(js_get_text(js_at(data, i), "name", ""), name) == 0) {
            js_put(js_at(data, i), "values", rows);
            return;
        }
    assert(!"the specification lacks this data set");
}

static void set_signal(struct js *spec, const char *name, struct js *value)
{
    struct js *signals = js_get(spec, "signals");
    for (size_t i = 0; i < js_len(signals); i++)
        if (strcmp(js_get_text(js_at(signals, i), "name", ""), name) == 0) {
            js_put(js_at(signals, i), "value", value);
            return;
        }
    assert(!"the specification lacks this signal");
}

static struct js *js_number(double v)
{
    struct js *box = js_object();
    js_put_real(box, "v", v);
    struct js *n = js_copy(js_get(box, "v"));
    js_free(box);
    return n;
}

/* Shuffled words lose by so much that scales which hold them show nothing else: they are named
 * where the controls are, and drawn nowhere but at the edge of the first figure. */
static bool off_scale(const char *kind, bool control)
{
    return control && strcmp(kind, "shuffle") == 0;
}

static bool is_poison(const struct input_cell *c)
{
    return off_scale(c->kind, c->control);
}

/* The shade of each kind, natural first, in the order of the cells. */
static struct js *color_rows(const struct input *in)
{
    struct js *rows = js_array();
    size_t n_kind = 0, n_control = 0;
    for (int controls = 0; controls < 2; controls++)
        for (size_t i = 0; i < in->n_cell; i++) {
            const struct input_cell *c = &in->cell[i];
            if (c->control != (controls == 1) || is_poison(c))
                continue;
            struct js *row = js_object();
            put_label(row, "kind", kind_label(c));
            bool seen = false;
            for (size_t k = 0; k < js_len(rows) && !seen; k++)
                seen = strcmp(js_get_text(js_at(rows, k), "kind", ""),
                              js_get_text(row, "kind", "")) == 0;
            if (seen) {
                js_free(row);
                continue;
            }
            js_put_text(row, "color",
                        controls ? control_color[n_control++ % N_OF(control_color)]
                        : strcmp(c->kind, "natural") == 0
                            ? natural_color
                            : kind_color[n_kind++ % N_OF(kind_color)]);
            js_push(rows, row);
        }
    return rows;
}

static void put_run(struct js *row, const struct input_run *r)
{
    js_put_real(row, "loss", r->loss);
    put_label(row, "run_id", r->run_id);
    js_put_real(row, "seed", r->seed);
}

/* ---- the decision point: every choice against natural ---- */

static void push_choice(struct js *rows, const struct js *c, bool control)
{
    double diff = js_get_real(c, "diff", NAN);
    if (isnan(diff))
        return;
    struct js *row = js_object();
    struct strbuf name = { 0 };
    js_put_bool(row, "off_scale", off_scale(js_get_text(c, "kind", ""), control));
    label_text(&name, js_get_text(c, "kind", "?"));
    if (strcmp(js_get_text(c, "kind", ""), "natural") != 0)
        str_printf(&name, " %.3g %%", 100 * js_get_real(c, "share", NAN));
    else if (control)
        str_adds(&name, ", other seeds");
    js_put_text(row, "choice", name.s);
    js_put_real(row, "difference", diff);
    js_put_real(row, "low", js_get_real(c, "diff_lo", diff));
    js_put_real(row, "high", js_get_real(c, "diff_hi", diff));
    put_label(row, "verdict", js_get_text(c, control ? "got" : "verdict", "cannot tell"));
    js_put_real(row, "loss", js_get_real(c, "loss", NAN));
    js_put_whole(row, "seeds", js_get_whole(c, "n_seed", 0));
    js_put_real(row, "p_corrected", js_get_real(c, "p_holm", NAN));
    js_put_bool(row, "control", control);
    js_push(rows, row);
    str_release(&name);
}

static void choices_from_cells(const struct input *in, struct js *rows)
{
    const struct input_cell *nat = input_natural(in, in->n_max, in->d_max);
    for (size_t i = 0; nat && i < in->n_cell; i++) {
        const struct input_cell *c = &in->cell[i];
        if (c == nat || c->n != nat->n || c->d != nat->d)
            continue;
        double diff = c->mean - nat->mean, half = hypot(c->half, nat->half);
        struct js *row = js_object();
        js_put_bool(row, "off_scale", is_poison(c));
        put_arm(row, "choice", c);
        js_put_real(row, "difference", diff);
        js_put_real(row, "low", isnan(half) ? diff : diff - half);
        js_put_real(row, "high", isnan(half) ? diff : diff + half);
        js_put_text(row, "verdict",
                    !(fabs(diff) > half) ? "cannot tell"
                    : diff < 0           ? "better"
                                         : "worse");
        js_put_real(row, "loss", c->mean);
        js_put_whole(row, "seeds", (int64_t)c->n_run);
        js_put_bool(row, "control", c->control);
        js_push(rows, row);
    }
}

static bool fill_choices(const struct input *in, const struct curves *c, struct js *spec,
                         struct strbuf *why)
{
    (void)c;
    struct js *rows = js_array();
    const struct js *choices = js_get(in->advice, "choices"),
                    *controls = js_get(in->advice, "controls");
    for (size_t i = 0; i < js_len(choices); i++)
        push_choice(rows, js_at(choices, i), false);
    for (size_t i = 0; i < js_len(controls); i++)
        push_choice(rows, js_at(controls, i), true);
    if (js_len(rows) == 0)
        choices_from_cells(in, rows);
    bool any = js_len(rows) > 0;
    if (!any)
        str_adds(why, "No arm was measured at the same size and budget as natural text.");
    set_data(spec, "rows", rows);
    return any;
}

/* ---- loss against share ---- */

static void push_share(struct js *rows, const struct input_cell *c, const char *line,
                       const struct input_run *r)
{
    struct js *row = js_object();
    put_panel(row, c->n, c->d);
    js_put_text(row, "what", r ? "run" : "mean of seeds");
    put_arm(row, "arm", c);
    put_label(row, "kind", kind_label(c));
    put_label(row, "line", line);
    js_put_real(row, "share", c->share);
    js_put_real(row, "n_param", c->n);
    js_put_real(row, "n_tok", c->d);
    if (r) {
        put_run(row, r);
    } else {
        js_put_real(row, "loss", c->mean);
        js_put_whole(row, "seeds", (int64_t)c->n_run);
    }
    double half = r || isnan(c->half) ? 0 : c->half, at = r ? r->loss : c->mean;
    js_put_real(row, "low", at - half);
    js_put_real(row, "high", at + half);
    js_put_bool(row, "control", c->control);
    js_push(rows, row);
}

/* Natural text is the left end of every kind's line. */
static void push_natural_ends(struct js *rows, const struct input *in, const struct input_cell *nat)
{
    const char *last = "";
    for (size_t i = 0; i < in->n_cell; i++) {
        const struct input_cell *c = &in->cell[i];
        if (c->n == nat->n && c->d == nat->d && strcmp(c->kind, "natural") != 0 &&
            strcmp(c->kind, last) != 0 && !is_poison(c)) {
            push_share(rows, nat, kind_label(c), NULL);
            last = c->kind;
        }
    }
}

static bool fill_share(const struct input *in, const struct curves *c, struct js *spec,
                       struct strbuf *why)
{
    (void)c;
    struct js *rows = js_array();
    for (size_t i = 0; i < in->n_cell; i++) {
        const struct input_cell *cell = &in->cell[i];
        if (!cell->control && strcmp(cell->kind, "natural") == 0)
            push_natural_ends(rows, in, cell);
        if ((strcmp(cell->kind, "natural") != 0 || cell->control) && !is_poison(cell))
            push_share(rows, cell, kind_label(cell), NULL);
    }
    for (size_t i = 0; i < in->n_run; i++)
        if (in->run[i].cell != SIZE_MAX) {
            const struct input_cell *cell = &in->cell[in->run[i].cell];
            if (!is_poison(cell))
                push_share(rows, cell, kind_label(cell), &in->run[i]);
        }
    bool any = in->n_cell > 0;
    if (!any)
        str_adds(why, "No run has a loss yet.");
    set_data(spec, "rows", rows);
    set_data(spec, "colors", color_rows(in));
    return any;
}

/* ---- loss against budget or size, with the fitted laws ---- */

enum { CURVE_POINTS = 33 };
static const char *const shapes[] = { "circle", "square",        "triangle-up",
                                      "cross",  "triangle-down", "diamond" };

static struct js *distinct(const struct input *in, bool of_n)
{
    struct js *out = js_array();
    for (size_t i = 0; i < in->n_cell; i++) {
        double v = of_n ? in->cell[i].n : in->cell[i].d;
        size_t k = 0;
        while (k < js_len(out) && js_as_real(js_at(out, k), NAN) != v)
            k++;
        if (k == js_len(out))
            js_push_real(out, v);
    }
    return out;
}

static void put_share(struct js *row, double share)
{
    struct strbuf b = { 0 };
    str_printf(&b, "%.3g %%", 100 * share);
    js_put_text(row, "share", b.s);
    str_release(&b);
}

static struct js *shape_rows(const struct input *in)
{
    struct js *rows = js_array();
    for (double last = -1;;) { /* shares in ascending order */
        double next = INFINITY;
        for (size_t i = 0; i < in->n_cell; i++)
            if (in->cell[i].share > last && in->cell[i].share < next && !is_poison(&in->cell[i]))
                next = in->cell[i].share;
        if (!isfinite(next))
            return rows;
        struct js *row = js_object();
        put_share(row, next);
        js_put_text(row, "shape", shapes[js_len(rows) % N_OF(shapes)]);
        js_push(rows, row);
        last = next;
    }
}

static void push_curve(struct js *rows, const struct curve *v, double n, double d, bool over_n,
                       double from, double to)
{
    for (int k = 0; k < CURVE_POINTS; k++) {
        double x = from * pow(to / from, k / (double)(CURVE_POINTS - 1)), loss, lo, hi;
        fit_predict(&v->fit, over_n ? x : n, over_n ? d : x, 0.95, &loss, &lo, &hi);
        if (!isfinite(loss))
            continue;
        struct js *row = js_object();
        put_panel(row, over_n ? NAN : n, over_n ? d : NAN);
        js_put_text(row, "what", "fitted law");
        put_arm(row, "arm", v->arm);
        put_label(row, "kind", kind_label(v->arm));
        put_share(row, v->arm->share);
        js_put_real(row, "x", x);
        js_put_real(row, "loss", loss);
        js_put_real(row, "low", isfinite(lo) ? lo : loss);
        js_put_real(row, "high", isfinite(hi) ? hi : loss);
        js_put_text(row, "law", v->fit.law->formula);
        js_push(rows, row);
    }
}

static void push_points(struct js *rows, const struct input *in, const struct curves *c,
                        bool over_n)
{
    for (size_t i = 0; i < in->n_run; i++) {
        const struct input_run *r = &in->run[i];
        if (r->cell == SIZE_MAX)
            continue;
        const struct input_cell *cell = &in->cell[r->cell];
        if (is_poison(cell))
            continue;
        struct js *row = js_object();
        put_panel(row, over_n ? NAN : cell->n, over_n ? cell->d : NAN);
        js_put_text(row, "what", "run");
        put_arm(row, "arm", cell);
        put_label(row, "kind", kind_label(cell));
        put_share(row, cell->share);
        js_put_real(row, "x", over_n ? cell->n : cell->d);
        js_put_real(row, "n_param", cell->n);
        js_put_real(row, "n_tok", cell->d);
        put_run(row, r);
        js_put_bool(row, "held_out", c->held_out[i]);
        js_put_bool(row, "control", cell->control);
        js_push(rows, row);
    }
}

/* One panel for each value of the other axis. */
static bool fill_curves(const struct input *in, const struct curves *c, struct js *spec,
                        bool over_n, struct strbuf *why)
{
    struct js *xs = distinct(in, over_n), *panels = distinct(in, !over_n), *rows = js_array();
    double from = INFINITY, to = 0;
    for (size_t i = 0; i < js_len(xs); i++) {
        from = fmin(from, js_as_real(js_at(xs, i), NAN));
        to = fmax(to, js_as_real(js_at(xs, i), NAN));
    }
    bool any = js_len(xs) >= 2;
    for (size_t p = 0; any && p < js_len(panels); p++) {
        double at = js_as_real(js_at(panels, p), NAN);
        for (size_t i = 0; i < c->n; i++)
            if (c->curve[i].has_fit)
                push_curve(rows, &c->curve[i], over_n ? NAN : at, over_n ? at : NAN, over_n, from,
                           to);
    }
    push_points(rows, in, c, over_n);
    set_data(spec, "rows", rows);
    set_data(spec, "colors", color_rows(in));
    set_data(spec, "shapes", shape_rows(in));
    set_signal(spec, "x_title", js_text(over_n ? "parameters N" : "training tokens D"));
    set_signal(spec, "x_ticks", xs);
    js_free(panels);
    if (!any)
        str_adds(why,
                 over_n ? "The runs have one model size only." : "The runs have one budget only.");
    return any;
}

static bool fill_budget(const struct input *in, const struct curves *c, struct js *spec,
                        struct strbuf *why)
{
    return fill_curves(in, c, spec, false, why);
}

static bool fill_size(const struct input *in, const struct curves *c, struct js *spec,
                      struct strbuf *why)
{
    return fill_curves(in, c, spec, true, why);
}

/* ---- predicted against held out ---- */

static bool fill_heldout(const struct input *in, const struct curves *c, struct js *spec,
                         struct strbuf *why)
{
    struct js *rows = js_array();
    double error = 0;
    for (size_t i = 0; i < in->n_run; i++) {
        if (!c->held_out[i])
            continue;
        const struct input_run *r = &in->run[i];
        const struct input_cell *cell = &in->cell[r->cell];
        const struct curve *v = curves_find(c, cell);
        double loss, lo, hi;
        if (!v || !v->has_early)
            continue;
        fit_predict(&v->early, cell->n, cell->d, 0.95, &loss, &lo, &hi);
        struct js *row = js_object();
        put_arm(row, "arm", cell);
        put_label(row, "kind", kind_label(cell));
        js_put_real(row, "n_param", cell->n);
        js_put_real(row, "n_tok", cell->d);
        js_put_real(row, "measured", r->loss);
        js_put_real(row, "predicted", loss);
        js_put_real(row, "error_percent", 100 * (loss / r->loss - 1));
        error += 100 * fabs(loss / r->loss - 1);
        js_put_real(row, "low", isfinite(lo) ? lo : loss);
        js_put_real(row, "high", isfinite(hi) ? hi : loss);
        put_label(row, "run_id", r->run_id);
        js_put_real(row, "seed", r->seed);
        js_push(rows, row);
    }
    bool any = js_len(rows) > 0;
    if (any) {
        struct strbuf title = { 0 };
        str_printf(&title, "mean absolute error %.2g %% over %zu runs",
                   error / (double)js_len(rows), js_len(rows));
        js_put_text(spec, "title", title.s);
        str_release(&title);
    } else
        str_adds(why, "Without the runs held out too few are left to fit a law; "
                      "a third size or budget would allow this test.");
    set_data(spec, "rows", rows);
    set_data(spec, "colors", color_rows(in));
    return any;
}

/* ---- domains ---- */

static bool fill_domains(const struct input *in, const struct curves *c, struct js *spec,
                         struct strbuf *why)
{
    (void)c;
    const struct input_cell *nat = input_natural(in, in->n_max, in->d_max);
    struct js *rows = js_array(), *arms = js_array(), *names = js_array();
    double bound = 1e-6;
    for (size_t i = 0; nat && i < in->n_cell; i++) {
        const struct input_cell *cell = &in->cell[i];
        if (cell == nat || cell->n != nat->n || cell->d != nat->d)
            continue;
        struct js *arm = js_object();
        put_arm(arm, "arm", cell);
        js_push(arms, arm);
        for (size_t k = 0; k < in->domain.n; k++) {
            struct strbuf column = { 0 };
            double noise, noise_nat;
            str_printf(&column, "loss_%s", in->domain.s[k]);
            double loss = input_mean(in, i, column.s, &noise),
                   base = input_mean(in, (size_t)(nat - in->cell), column.s, &noise_nat);
            str_release(&column);
            if (!isfinite(loss - base))
                continue;
            struct js *row = js_object();
            put_label(row, "domain", in->domain.s[k]);
            put_arm(row, "arm", cell);
            js_put_real(row, "difference", loss - base);
            js_put_real(row, "loss", loss);
            js_put_real(row, "loss_natural", base);
            js_put_bool(row, "beyond_noise", fabs(loss - base) > hypot(noise, noise_nat));
            js_push(rows, row);
            if (!is_poison(cell))
                bound = fmax(bound, fabs(loss - base));
        }
    }
    for (size_t k = 0; k < in->domain.n; k++) {
        struct js *name = js_object();
        put_label(name, "domain", in->domain.s[k]);
        js_push(names, name);
    }
    bool any = js_len(rows) > 0;
    if (!any)
        str_adds(why, "No loss per domain was recorded at the decision point.");
    set_data(spec, "rows", rows);
    set_data(spec, "arms", arms);
    set_data(spec, "names", names);
    set_signal(spec, "bound", js_number(bound));
    return any;
}

/* ---- bars: time, verdicts ---- */

static void push_bar(struct js *rows, struct js *names, struct js *colors, const char *row_name,
                     const char *part, double value)
{
    if (!(value > 0))
        return;
    struct js *row = js_object();
    put_label(row, "row", row_name);
    put_label(row, "part", part);
    js_put_real(row, "value", value);
    js_push(rows, row);
    const struct js *last = js_at(names, js_len(names) - (js_len(names) > 0));
    if (!last || strcmp(js_get_text(last, "row", ""), js_get_text(row, "row", "")) != 0) {
        struct js *name = js_object();
        put_label(name, "row", row_name);
        js_push(names, name);
    }
    for (size_t i = 0; i < js_len(colors); i++)
        if (strcmp(js_get_text(js_at(colors, i), "part", ""), js_get_text(row, "part", "")) == 0)
            return;
    struct js *color = js_object();
    put_label(color, "part", part);
    js_put_text(color, "color", part_color[js_len(colors) % N_OF(part_color)]);
    js_push(colors, color);
}

static bool set_bars(struct js *spec, struct js *rows, struct js *names, struct js *colors)
{
    bool any = js_len(rows) > 0;
    set_data(spec, "rows", rows);
    set_data(spec, "names", names);
    set_data(spec, "colors", colors);
    return any;
}

static bool fill_cost(const struct input *in, const struct curves *c, struct js *spec,
                      struct strbuf *why)
{
    (void)c;
    struct js *rows = js_array(), *names = js_array(), *colors = js_array();
    double longest = 0;
    for (size_t i = 0; i < in->n_kind; i++)
        longest = fmax(longest, input_generate_s(&in->kind[i])); /* of a NaN: the other */
    for (size_t i = 0; i < in->n_run; i++)
        longest = fmax(longest, in->run[i].wall_s);
    double unit = longest < 60 ? 1 : longest < 7200 ? 60 : 3600;
    for (size_t i = 0; i < in->n_kind; i++) {
        struct strbuf name = { 0 };
        str_printf(&name, "%s %s", in->kind[i].control ? "make" : "generate", in->kind[i].name);
        push_bar(rows, names, colors, name.s, "synthetic text",
                 input_generate_s(&in->kind[i]) / unit);
        str_release(&name);
    }
    struct js *sizes = distinct(in, true);
    for (size_t k = 0; k < js_len(sizes); k++) {
        double sum = 0, n = js_as_real(js_at(sizes, k), NAN);
        for (size_t i = 0; i < in->n_run; i++)
            if (in->run[i].n == n && isfinite(in->run[i].own_s))
                sum += in->run[i].own_s;
        char size[UNITS_MAX];
        struct strbuf name = { 0 };
        str_printf(&name, "train N = %s", count_text(size, n));
        push_bar(rows, names, colors, name.s, "training, all runs", sum / unit);
        str_release(&name);
    }
    js_free(sizes);
    set_signal(spec, "x_title",
               js_text(unit == 1    ? "seconds of one process"
                       : unit == 60 ? "minutes of one process"
                                    : "hours of one process"));
    if (js_len(rows) == 0)
        str_adds(why, "No stage has recorded its time yet.");
    return set_bars(spec, rows, names, colors);
}

static bool fill_verdicts(const struct input *in, const struct curves *c, struct js *spec,
                          struct strbuf *why)
{
    (void)c;
    struct js *rows = js_array(), *names = js_array(), *colors = js_array();
    for (size_t i = 0; i < in->n_kind; i++) {
        if (in->kind[i].control)
            continue;
        const struct js *counts = input_counts(&in->kind[i]), *dropped = js_get(counts, "dropped");
        double kept = js_get_real(counts, "kept", js_get_real(counts, "docs_out", 0)), all = kept;
        for (void *it = js_iter(dropped); it; it = js_next(dropped, it))
            all += js_as_real(js_iter_value(it), 0);
        push_bar(rows, names, colors, in->kind[i].name, "kept", kept / all);
        for (void *it = js_iter(dropped); it; it = js_next(dropped, it))
            push_bar(rows, names, colors, in->kind[i].name, js_iter_key(it),
                     js_as_real(js_iter_value(it), 0) / all);
    }
    set_signal(spec, "x_title", js_text("share of the generator's answers"));
    set_signal(spec, "x_format", js_text(".0%"));
    if (js_len(rows) == 0)
        str_adds(why, "No generated text has been judged yet.");
    return set_bars(spec, rows, names, colors);
}

const struct figure figures[] = {
    { "choices", "verdict", "Every choice against natural text",
      "Left of the line is better than training on natural text alone. Bars are 95 % intervals, "
      "each taken alone; shape and colour are the verdict, corrected for the number of choices. "
      "Dashed rows are controls that show whether the comparison itself works; what lies beyond "
      "the scale stands at its edge with its number.",
      "choices", fill_choices },
    { "share", "figures", "Loss against synthetic share",
      "One panel a model size N and budget D. Rings are runs, discs their means over seeds, bars "
      "95 % intervals from the seed noise of all runs. Each panel has its own scale; shuffled "
      "words are left out.",
      "share", fill_share },
    { "budget", "figures", "Loss against training tokens",
      "Points are runs, lines the law fitted to each arm, bands its 95 % bootstrap interval. "
      "Hollow points were held out of the test below. Controls are not fitted.",
      "curves", fill_budget },
    { "size", "figures", "Loss against model size",
      "The same runs and laws over the number of parameters without embeddings.", "curves",
      fill_size },
    { "heldout", "figures", "Predicted against measured, on runs that the law never saw",
      "The laws were fitted without these runs, the hold-out of the plan (the largest size and "
      "budget where it names none), and then asked for them. On the "
      "dashed line the prediction is right; bars are 95 % bootstrap intervals.",
      "heldout", fill_heldout },
    { "domains", "figures", "Where it helps and where it hurts",
      "Difference to natural text on each evaluation domain at the point of the verdict. Bold "
      "numbers are larger than that domain's own seed noise, each judged alone at 95 %: among so "
      "many some are bold by chance.",
      "domains", fill_domains },
    { "cost", "cost", "What it took",
      "Time of each stage, as its manifest or its runs recorded it. Runs beside each other on "
      "several cores are added up.",
      "bars", fill_cost },
    { "verdicts", "samples", "What became of the generator's answers",
      "Every answer is judged; only kept text is trained on. A kind whose answers mostly fail is "
      "too weak to say anything about the recipe.",
      "bars", fill_verdicts },
};
const size_t n_figures = N_OF(figures);

struct js *figure_spec(const struct figure *f, const struct input *in, const struct curves *c,
                       struct strbuf *why)
{
    struct strbuf name = { 0 };
    struct js *spec = NULL;
    struct err err;
    str_printf(&name, "%s.json", f->asset);
    const struct asset *a = asset_find(name.s);
    str_release(&name);
    enum st st = js_parse(&spec, a->bytes, a->n_bytes, &err);
    assert(st == ST_OK); /* embedded at build time, drawn by the tests */
    (void)st;
    if (!f->fill(in, c, spec, why)) {
        js_free(spec);
        return NULL;
    }
    return spec;
}
