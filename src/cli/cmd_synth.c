/* cli/cmd_synth.c - `synth`, `synth pilot`, `synth recipes`, `synth probe`. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/inputs.h"
#include "cli/synth_opts.h"
#include "synth/probe.h"
#include "synth/synth.h"

#define SYNTH_FIELDS                                                                               \
    SYNTH_WHO_FIELDS,                                                                              \
        { .name = "out",                                                                           \
          .kind = FIELD_TEXT,                                                                      \
          .unit = "DIR",                                                                           \
          .help = "folder of documents, ledger and verdicts",                                      \
          .offset = SYNTH_AT(out),                                                                 \
          .required = true },                                                                      \
        { .name = "max_docs",                                                                      \
          .kind = FIELD_WHOLE,                                                                     \
          .unit = "N",                                                                             \
          .help = "pages to use, drawn at random; a smaller draw is part of a larger one",         \
          .offset = SYNTH_AT(max_docs),                                                            \
          .min = 1,                                                                                \
          .max = 1e12 },                                                                           \
        { .name = "max_tokens",                                                                    \
          .kind = FIELD_WHOLE,                                                                     \
          .unit = "N",                                                                             \
          .help = "stop asking at so many generated tokens",                                       \
          .offset = SYNTH_AT(max_tokens),                                                          \
          .min = 1,                                                                                \
          .max = 1e15 },                                                                           \
        { .name = "max_cost",                                                                      \
          .kind = FIELD_REAL,                                                                      \
          .unit = "X",                                                                             \
          .help = "stop asking at this price",                                                     \
          .offset = SYNTH_AT(max_cost),                                                            \
          .max = 1e9 },                                                                            \
        { .name = "max_time",                                                                      \
          .kind = FIELD_TIME,                                                                      \
          .unit = "T",                                                                             \
          .help = "stop asking after this time, all runs together",                                \
          .offset = SYNTH_AT(max_time),                                                            \
          .max = 1e9 },                                                                            \
        { .name = "price_in",                                                                      \
          .kind = FIELD_REAL,                                                                      \
          .unit = "X",                                                                             \
          .help = "price of a million prompt tokens",                                              \
          .offset = SYNTH_AT(price_in),                                                            \
          .max = 1e6 },                                                                            \
        { .name = "price_out",                                                                     \
          .kind = FIELD_REAL,                                                                      \
          .unit = "X",                                                                             \
          .help = "price of a million generated tokens",                                           \
          .offset = SYNTH_AT(price_out),                                                           \
          .max = 1e6 },                                                                            \
        { .name = "price",                                                                         \
          .kind = FIELD_REAL,                                                                      \
          .unit = "X",                                                                             \
          .help =                                                                                  \
              "of a ready-made set (--recipe import); --price-out: of a million of its tokens",    \
          .offset = SYNTH_AT(price),                                                               \
          .max = 1e12 },                                                                           \
        { .name = "in_flight",                                                                     \
          .kind = FIELD_WHOLE,                                                                     \
          .unit = "N",                                                                             \
          .help = "requests at once; by default what suits the generator",                         \
          .offset = SYNTH_AT(in_flight),                                                           \
          .min = 1,                                                                                \
          .max = 4096 },                                                                           \
        { .name = "tokenizer",                                                                     \
          .kind = FIELD_TEXT,                                                                      \
          .unit = "FILE",                                                                          \
          .help = "training tokenizer: kept tokens are counted with it",                           \
          .offset = SYNTH_AT(tokenizer) },                                                         \
        { .name = "decontaminate",                                                                 \
          .kind = FIELD_LIST,                                                                      \
          .unit = "PATH",                                                                          \
          .help = "evaluation documents: what shares 13 words in a row with them is dropped",      \
          .offset = SYNTH_AT(decontaminate) },                                                     \
    {                                                                                              \
        .name = "like", .kind = FIELD_TEXT, .unit = "DIR",                                         \
        .help = "only the pieces whose answers this synth folder kept: for controls",              \
        .offset = SYNTH_AT(like)                                                                   \
    }

static const struct field synth_field[] = { SYNTH_FIELDS };
static const struct field pilot_field[] = { SYNTH_FIELDS,
                                            { .name = "docs",
                                              .kind = FIELD_WHOLE,
                                              .unit = "N",
                                              .help = "pages to begin with",
                                              .offset = SYNTH_AT(docs),
                                              .min = 4,
                                              .max = 1e6 },
                                            { .name = "within",
                                              .kind = FIELD_REAL,
                                              .unit = "X",
                                              .help = "go on until requests and tokens are known "
                                                      "to +-X of themselves, 10 times --docs at "
                                                      "most",
                                              .offset = SYNTH_AT(within),
                                              .min = 0.001,
                                              .max = 10 } };

static const struct synth_opts defaults = { SYNTH_WHO_DEFAULTS, .docs = 200, .within = 0.2,
                                            .retries = 8 };

struct generator_conf synth_generator(const struct synth_opts *o, const struct cli *cli)
{
    return (struct generator_conf){ .model = o->model,
                                    .amateur = o->amateur,
                                    .key = generator_key(),
                                    .api = gen_api_by_name(o->api),
                                    .n_threads = (int)cli->threads,
                                    .n_in_flight = (int)o->in_flight,
                                    .precision = gen_precision_by_name(o->precision),
                                    .kv = gen_kv_by_name(o->kv),
                                    .idle_s = o->idle,
                                    .backoff_s = o->backoff,
                                    .n_retry = o->retries ? (int)o->retries : -1,
                                    .seed = cli->seed };
}

static enum st run_either(const struct synth_opts *o, struct cli *cli, int argc, char **argv,
                          bool pilot, struct err *err)
{
    struct strlist input = { 0 }, domains = { 0 };
    struct recipe *recipe = NULL;
    struct js *row = NULL;
    enum st st = recipe_open(&recipe, o->recipe, err);
    if (st == ST_OK)
        st = inputs_files(&input, (size_t)argc, argv, cli->strict, err);
    if (st == ST_OK && o->decontaminate.n)
        st = inputs_files(&domains, o->decontaminate.n, (char *const *)o->decontaminate.s,
                          cli->strict, err);
    if (st == ST_OK) {
        const struct synth_conf conf = { .recipe = recipe,
                                         .generator = o->generator,
                                         .gen = synth_generator(o, cli),
                                         .out = o->out,
                                         .tokenizer = o->tokenizer,
                                         .like = o->like,
                                         .input = input.s,
                                         .n_input = input.n,
                                         .decontaminate = domains.s,
                                         .n_decontaminate = domains.n,
                                         .seed = cli->seed,
                                         .max_docs = o->max_docs,
                                         .max_tok = o->max_tokens,
                                         .max_cost = o->max_cost,
                                         .max_s = o->max_time,
                                         .price_in = o->price_in,
                                         .price_out = o->price_out,
                                         .price = o->price,
                                         .strict = cli->strict };
        st =
            pilot ? synth_pilot(&conf, o->docs, o->within, &row, err) : synth_run(&conf, &row, err);
    }
    if (st == ST_OK)
        out_row(cli->out, row);
    strlist_release(&input);
    strlist_release(&domains);
    recipe_free(recipe);
    return st;
}

static enum st run_synth(void *opts, struct cli *cli, int argc, char **argv, struct err *err)
{
    return run_either(opts, cli, argc, argv, false, err);
}

static enum st run_pilot(void *opts, struct cli *cli, int argc, char **argv, struct err *err)
{
    return run_either(opts, cli, argc, argv, true, err);
}

const struct command cmd_synth = {
    .name = "synth",
    .summary = "make synthetic text from pages, a recipe and a generator",
    .usage = "synth --recipe NAME --generator FILE.gguf|DIR|URL|batch:DIR --out DIR [options] "
             "INPUT...",
    .detail =
        "Every request and raw answer goes into DIR/ledger.jsonl before anything else happens to "
        "it, so that a\nkilled run goes on where it stopped and nothing is asked twice. Kept "
        "documents are in\nDIR/docs-*.jsonl.zst, the verdict on every answer in "
        "DIR/verdicts.jsonl.zst. A server's key is taken\nfrom MIXLAW_API_KEY or "
        "OPENAI_API_KEY.\n\n"
        "Servers that serve the same model share the work: --generator "
        "http://a:8000,http://b:8000@3, the second\nwith three times the weight; one that fails is "
        "left alone while others answer. How many requests\nare out at once follows from a "
        "server's slots, or is found out; --in-flight fixes it.\n\n"
        "--generator batch:JOBS --model NAME writes JOBS/requests-*.jsonl for OpenAI's batch "
        "service and ends; with\nthe result files in JOBS the same command goes on.",
    .field = synth_field,
    .n_field = N_OF(synth_field),
    .opts_size = sizeof(struct synth_opts),
    .defaults = &defaults,
    .run = run_synth,
};

const struct command cmd_synth_pilot = {
    .name = "synth pilot",
    .summary = "try a recipe on a few pages and forecast requests, tokens, time and price",
    .usage = "synth pilot --recipe NAME --generator FILE.gguf|DIR|URL --out DIR [options] INPUT...",
    .detail =
        "Takes the flags of synth. The answers go into the same ledger: a later run uses them. "
        "Intervals are of 90 %.",
    .field = pilot_field,
    .n_field = N_OF(pilot_field),
    .opts_size = sizeof(struct synth_opts),
    .defaults = &defaults,
    .run = run_pilot,
};

static enum st list_recipes(struct out *out, struct err *err)
{
    for (const struct recipe_builtin *k = recipe_builtin; k->name; k++) {
        struct recipe *r;
        char hex[DIGEST_HEX];
        enum st st = recipe_open(&r, k->name, err);
        if (st < 0)
            return st;
        struct js *v = js_object();
        js_put_text(v, "name", r->name);
        js_put_text(v, "input", r->input.unit);
        js_put_whole(v, "prompts", (int64_t)r->n_prompt);
        js_put_whole(v, "max_tok",
                     recipe_needs_generator(r) && !recipe_edits(r) ? (int64_t)r->sampling.max_tok
                                                                   : 0);
        digest_hex(r->version, hex);
        hex[8] = '\0';
        js_put_text(v, "version", hex);
        js_put_text(v, "purpose", r->purpose);
        out_row(out, v);
        recipe_free(r);
    }
    return ST_OK;
}

static enum st run_recipes(void *opts, struct cli *cli, int argc, char **argv, struct err *err)
{
    (void)opts;
    struct recipe *r;
    if (!argc)
        return list_recipes(cli->out, err);
    for (int i = 0; i < argc; i++) {
        enum st st = recipe_open(&r, argv[i], err);
        if (st < 0)
            return st;
        fputs(r->text, stdout);
        recipe_free(r);
    }
    return ST_OK;
}

const struct command cmd_synth_recipes = {
    .name = "synth recipes",
    .summary = "the recipes there are; with a name, its YAML",
    .usage = "synth recipes [NAME...]",
    .detail =
        "A recipe of your own: mixlaw synth recipes hq > my.yaml, change it, look at it with\n"
        "synth try --recipe my.yaml, use it with synth --recipe my.yaml.",
    .run = run_recipes,
};

static const struct field probe_field[] = {
    { .name = "generator",
      .kind = FIELD_TEXT,
      .unit = "URL[,URL...]|FILE.gguf",
      .help = "the servers, or a model file",
      .offset = SYNTH_AT(generator),
      .required = true },
    { .name = "model",
      .kind = FIELD_TEXT,
      .unit = "NAME",
      .help = "its model; the first by default",
      .offset = SYNTH_AT(model) },
    { .name = "in_flight",
      .kind = FIELD_WHOLE,
      .unit = "N",
      .help = "try at most so many requests at once",
      .offset = SYNTH_AT(in_flight),
      .min = 1,
      .max = 1024 },
    { .name = "api",
      .kind = FIELD_CHOICE,
      .choices = GEN_APIS,
      .help = "what speed is measured with: a chat, or plain text",
      .offset = SYNTH_AT(api) },
    { .name = "idle",
      .kind = FIELD_TIME,
      .unit = "T",
      .help = "a server silent for so long has failed",
      .offset = SYNTH_AT(idle),
      .min = 1,
      .max = 86400 },
};
static const struct synth_opts probe_defaults = { SYNTH_WHO_DEFAULTS, .in_flight = 64,
                                                  .retries = 2 };

static void show_probe(void *arg, struct js *row)
{
    out_row(arg, row);
}

static enum st run_probe(void *opts, struct cli *cli, int argc, char **argv, struct err *err)
{
    const struct synth_opts *o = opts;
    (void)argv;
    if (argc)
        return err_set(err, ST_USAGE, "want no arguments");
    const struct generator_conf conf = synth_generator(o, cli);
    return synth_probe(o->generator, &conf, (int)o->in_flight, show_probe, cli->out, err);
}

const struct command cmd_synth_probe = {
    .name = "synth probe",
    .summary = "what a generator is, and how fast at which concurrency",
    .usage =
        "synth probe --generator URL[,URL...]|FILE.gguf [--model NAME] [--api chat|completion]",
    .field = probe_field,
    .n_field = N_OF(probe_field),
    .opts_size = sizeof(struct synth_opts),
    .defaults = &probe_defaults,
    .run = run_probe,
};
