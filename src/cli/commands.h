/* cli/commands.h - the list of commands. To add one, add its name here; cmd_NAME.c defines it. */
#ifndef MIXLAW_CLI_COMMANDS_H
#define MIXLAW_CLI_COMMANDS_H

#include "cli/command.h"

/* clang-format off: a line each, so that two changes do not meet */
#define COMMANDS(X)                                                                                \
    X(study_plan)                                                                                  \
    X(study_run)                                                                                   \
    X(study_status)                                                                                \
    X(study_export)                                                                                \
    X(study_next)                                                                                  \
    X(cache)                                                                                       \
    X(cache_get)                                                                                   \
    X(cache_clean)                                                                                 \
    X(man)                                                                                         \
    X(completion)                                                                                  \
    X(advise)                                                                                      \
    X(fit)                                                                                         \
    X(fit_laws)                                                                                    \
    X(corpus)                                                                                      \
    X(corpus_cat)                                                                                  \
    X(synth)                                                                                       \
    X(synth_pilot)                                                                                 \
    X(synth_try)                                                                                   \
    X(synth_recipes)                                                                               \
    X(synth_probe)                                                                                 \
    X(tokenize_train)                                                                              \
    X(tokenize_encode)                                                                             \
    X(train)                                                                                       \
    X(eval)                                                                                        \
    X(tokenize_inspect)                                                                            \
    X(tokenize_verify)                                                                             \
    X(tokenize_cat)                                                                                \
    X(tokenize_convert)                                                                            \
    X(stats)                                                                                       \
    X(report)                                                                                      \
    X(model_inspect)                                                                               \
    X(model_sample)                                                                                \
    X(model_chat)                                                                                  \
    X(model_convert)                                                                               \
    X(version)
/* clang-format on */

#define DECLARE(name) extern const struct command cmd_##name;
COMMANDS(DECLARE)
#undef DECLARE

#endif
