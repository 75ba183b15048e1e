/*
 * cli/command.h - what a subcommand is. To add one: cmd_NAME.c, its name in commands.h, a case
 * in tests/cli/.
 *
 * A command parses, opens, calls one library function, prints and closes. Its table of fields
 * parses its flags, prints its --help and its part of the manual page, and shell completion.
 */
#ifndef MIXLAW_CLI_COMMAND_H
#define MIXLAW_CLI_COMMAND_H

#include "base/err.h"
#include "base/field.h"
#include "cli/out.h"

/* Flags every command takes. */
struct cli {
    uint64_t threads; /* 0 on the command line: what the process may use; resolved before run() */
    uint64_t seed;
    const char *backend; /* auto, cpu, cuda */
    bool json, quiet, verbose, strict;
    const char *self; /* our own program file, to start as a child */
    struct out *out;  /* results to stdout */
};

struct command {
    const char *name;    /* "eval", or two words: "corpus cat" */
    const char *summary; /* one line, lower case, no full stop */
    const char *usage;   /* "eval --model DIR [options] --domains PATH..." */
    const char *detail;  /* paragraphs for --help and the manual; may be NULL */
    const struct field *field;
    size_t n_field;
    size_t opts_size;
    const void *defaults; /* opts_size bytes; NULL: zeros */
    /* opts: parsed flags; argv: the positional arguments. Messages in err become one line on
     * stderr. */
    enum st (*run)(void *opts, struct cli *cli, int argc, char **argv, struct err *err);
};

extern const struct command *const commands[]; /* NULL ends it */

#endif
