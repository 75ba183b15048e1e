/* cli/cmd_synth_try.c - `synth try`: what a recipe makes of a few pages, step by step. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "cli/commands.h"
#include "cli/inputs.h"
#include "cli/synth_opts.h"
#include "synth/synth.h"

static const struct field try_field[] = {
    SYNTH_WHO_FIELDS,
    { .name = "doc",
      .kind = FIELD_TEXT,
      .unit = "ID|FILE",
      .help = "the document with this id; without INPUT, a file with one",
      .offset = SYNTH_AT(doc) },
    { .name = "docs",
      .kind = FIELD_WHOLE,
      .unit = "N",
      .help = "pages to try, those that a run would begin with",
      .offset = SYNTH_AT(docs),
      .min = 1,
      .max = 1e6 },
};

static const struct synth_opts defaults = {
    SYNTH_WHO_DEFAULTS, .docs = 1, .retries = 2 /* somebody waits in front */
};

static void print_text(const char *title, const char *text)
{
    if (!text)
        return;
    printf("--- %s\n", title);
    for (const char *p = text; *p; p++)
        putchar(*p == '\n' || *p == '\t' || !iscntrl((unsigned char)*p) ? *p : '?');
    putchar('\n');
}

static void print_measures(const struct js *m)
{
    for (void *it = js_iter(m); it; it = js_next(m, it)) {
        struct strbuf b = { 0 };
        const struct js *v = js_iter_value(it);
        if (strcmp(js_iter_key(it), "verdict") == 0)
            continue;
        if (js_kind(v) == JS_REAL)
            str_printf(&b, "%.3g", js_as_real(v, 0));
        else
            js_write(v, &b);
        printf("%-16s %s\n", js_iter_key(it), b.s);
        str_release(&b);
    }
}

/* The same row for people: texts as they are, one under the other. */
static void print_row(const struct js *row)
{
    const struct js *prompt = js_get(row, "prompt");
    const char *verdict = js_get_text(row, "verdict", NULL), *why = js_get_text(row, "why", NULL);
    char title[128];
    printf("=== document '%s', piece %lld", js_get_text(row, "doc", ""),
           (long long)js_get_whole(row, "piece", 0));
    if (prompt)
        printf(", prompt '%s'", js_get_text(row, "variant", ""));
    putchar('\n');
    if (!prompt)
        print_text("source", js_get_text(row, "source", ""));
    print_text("system", js_get_text(prompt, "system", NULL));
    print_text("user", js_get_text(prompt, "user", NULL));
    print_text("the answer begins with", js_get_text(prompt, "prefill", NULL));
    snprintf(title, sizeof title, "raw answer (%s, %lld tokens, %.2f s)",
             js_get_text(row, "finish", ""), (long long)js_get_whole(row, "tokens_out", 0),
             js_get_real(row, "wall_s", 0));
    print_text(title, js_get_text(row, "raw", NULL));
    print_text("document", js_get_text(row, "document", NULL));
    if (verdict)
        printf("--- verdict: %s%s%s\n", verdict, why ? ", " : "", why ? why : "");
    print_measures(js_get(row, "measures"));
    putchar('\n');
}

static void show(void *arg, struct js *row)
{
    struct out *out = arg;
    if (out_is_json(out)) {
        out_row(out, row);
        return;
    }
    print_row(row);
    js_free(row);
}

/* --doc FILE without INPUT: the file is the input. */
static enum st find_inputs(struct strlist *input, struct synth_opts *o, struct cli *cli, int argc,
                           char **argv, struct err *err)
{
    if (argc || !o->doc)
        return inputs_files(input, (size_t)argc, argv, cli->strict, err);
    char *file = xstrdup(o->doc);
    o->doc = NULL;
    enum st st = inputs_files(input, 1, &file, cli->strict, err);
    free(file);
    return st;
}

static enum st run_try(void *opts, struct cli *cli, int argc, char **argv, struct err *err)
{
    struct synth_opts *o = opts;
    struct strlist input = { 0 };
    struct recipe *recipe = NULL;
    enum st st = recipe_open(&recipe, o->recipe, err);
    if (st == ST_OK)
        st = find_inputs(&input, o, cli, argc, argv, err);
    if (st == ST_OK) {
        const struct synth_conf conf = { .recipe = recipe,
                                         .generator = o->generator,
                                         .gen = synth_generator(o, cli),
                                         .input = input.s,
                                         .n_input = input.n,
                                         .seed = cli->seed,
                                         .max_docs = o->docs,
                                         .strict = cli->strict };
        st = synth_try(&conf, o->doc, show, cli->out, err);
        if (st == ST_OK && !recipe_needs_generator(recipe))
            log_info("recipe '%s' asks no generator: there is no prompt", recipe->name);
        else if (st == ST_OK && !o->generator)
            log_info("no --generator: prompts only");
    }
    strlist_release(&input);
    recipe_free(recipe);
    return st;
}

const struct command cmd_synth_try = {
    .name = "synth try",
    .summary = "show prompt, raw answer, document and verdict of a recipe on a few pages",
    .usage = "synth try --recipe NAME|FILE.yaml [--generator FILE.gguf|DIR|URL] [--docs N] "
             "[--doc ID] INPUT...",
    .detail =
        "For writing a recipe: change the file, look again. Without --generator the prompts are "
        "shown. "
        "Nothing is written to disk; a run with "
        "the same\nseed asks the same and, of our own engine, gets the same answers. What compares "
        "answers with each\nother or with evaluation text (duplicate, contaminated) is not judged "
        "here.",
    .field = try_field,
    .n_field = N_OF(try_field),
    .opts_size = sizeof(struct synth_opts),
    .defaults = &defaults,
    .run = run_try,
};
