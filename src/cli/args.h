/*
 * cli/args.h - flags to options through a command's table.
 *
 * --name value, --name=value, --flag, and for lists --name A B C up to the next flag. "--" ends
 * the flags, "-" alone is an argument (standard input). Flags and arguments may be mixed.
 */
#ifndef MIXLAW_CLI_ARGS_H
#define MIXLAW_CLI_ARGS_H

#include <stdio.h>

#include "cli/command.h"

extern const struct field cli_field[];
extern const size_t n_cli_field;

/* Fills opts and cli, moves the positional arguments to the front of argv and returns their number
 * in *n_left. *help is set when --help stands anywhere. */
MUST_USE enum st args_parse(const struct command *c, void *opts, struct cli *cli, int argc,
                            char **argv, int *n_left, bool *help, struct err *err);
void args_release(const struct command *c, void *opts); /* lists */

void help_command(const struct command *c); /* to stdout */
void help_all(void);
/* The commands of two words that begin with this one; returns how many. f NULL: counts only. */
size_t help_group(FILE *f, const char *word);
void help_man(void);                     /* the manual page, roff, from the same tables */
void help_completion(const char *shell); /* "bash" or "zsh" */

#endif
