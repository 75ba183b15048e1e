/* cli/synth_opts.h - what the commands of `synth` are asked; for cmd_synth.c and cmd_synth_try.c.
 */
#ifndef MIXLAW_CLI_SYNTH_OPTS_H
#define MIXLAW_CLI_SYNTH_OPTS_H

#include "base/field.h"
#include "cli/command.h"
#include "synth/generator.h"

struct synth_opts {
    const char *recipe, *generator, *amateur, *model, *api, *out, *tokenizer, *like, *precision,
        *kv;
    const char *doc; /* of synth try */
    struct textlist decontaminate;
    uint64_t max_docs, max_tokens, in_flight, docs, retries;
    double max_cost, max_time, price_in, price_out, price, idle, backoff, within;
};

#define SYNTH_AT(member) offsetof(struct synth_opts, member)

/* What is made of a page, and who writes it. */
#define SYNTH_WHO_FIELDS                                                                           \
    { .name = "recipe",                                                                            \
      .kind = FIELD_TEXT,                                                                          \
      .unit = "NAME|FILE.yaml",                                                                    \
      .help = "what to make of a page; 'synth recipes' lists them",                                \
      .offset = SYNTH_AT(recipe),                                                                  \
      .required = true },                                                                          \
        { .name = "generator",                                                                     \
          .kind = FIELD_TEXT,                                                                      \
          .unit = "FILE.gguf|DIR|URL[,URL@WEIGHT...]|batch:DIR",                                   \
          .help = "who writes: a model file or folder, OpenAI-style servers, OpenAI batch files",  \
          .offset = SYNTH_AT(generator) },                                                         \
        { .name = "model",                                                                         \
          .kind = FIELD_TEXT,                                                                      \
          .unit = "NAME",                                                                          \
          .help = "a server's model; its first by default",                                        \
          .offset = SYNTH_AT(model) },                                                             \
        { .name = "amateur",                                                                       \
          .kind = FIELD_TEXT,                                                                      \
          .unit = "FILE.gguf|DIR",                                                                 \
          .help = "a weaker model of the same vocabulary, for recipes that contrast two",          \
          .offset = SYNTH_AT(amateur) },                                                           \
        { .name = "api",                                                                           \
          .kind = FIELD_CHOICE,                                                                    \
          .choices = GEN_APIS,                                                                     \
          .help = "turns of a chat, or one plain text for models without a chat template",         \
          .offset = SYNTH_AT(api) },                                                               \
        { .name = "precision",                                                                     \
          .kind = FIELD_CHOICE,                                                                    \
          .choices = GEN_PRECISIONS,                                                               \
          .help = "of a local model's products; auto: int8 for quantised files, else fp32",        \
          .offset = SYNTH_AT(precision) },                                                         \
        { .name = "kv",                                                                            \
          .kind = FIELD_CHOICE,                                                                    \
          .choices = GEN_KVS,                                                                      \
          .help = "a local model's context is kept as halves, or as bytes in 53 % of the memory",  \
          .offset = SYNTH_AT(kv) },                                                                \
        { .name = "retries",                                                                       \
          .kind = FIELD_WHOLE,                                                                     \
          .unit = "N",                                                                             \
          .help = "how often a request is tried again when the line or the server failed",         \
          .offset = SYNTH_AT(retries),                                                             \
          .max = 100 },                                                                            \
        { .name = "backoff",                                                                       \
          .kind = FIELD_TIME,                                                                      \
          .unit = "T",                                                                             \
          .help = "pause before the first such try; doubled each time, a minute at most",          \
          .offset = SYNTH_AT(backoff),                                                             \
          .min = 0.001,                                                                            \
          .max = 60 },                                                                             \
    {                                                                                              \
        .name = "idle", .kind = FIELD_TIME, .unit = "T",                                           \
        .help = "a server silent for so long has failed", .offset = SYNTH_AT(idle), .min = 1,      \
        .max = 86400                                                                               \
    }
#define SYNTH_WHO_DEFAULTS                                                                         \
    .api = "chat", .precision = "auto", .kv = "f16", .idle = 600, .backoff = 0.5

struct generator_conf synth_generator(const struct synth_opts *o, const struct cli *cli);

#endif
