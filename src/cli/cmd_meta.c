/* cli/cmd_meta.c - `version`, `man` and `completion`: the program about itself. */
#include <stdio.h>
#include <string.h>

#include "backend/backend.h"
#include "cli/args.h"
#include "cli/commands.h"

static enum st run_version(void *opts, struct cli *cli, int argc, char **argv, struct err *err)
{
    (void)opts, (void)argc, (void)argv;
    printf("mixlaw %s\n", MIXLAW_VERSION);
    fflush(stdout);
    struct backend *b;
    struct backend_peak peak;
    enum st st = backend_open(&b, cli->backend, (int)cli->threads, PRECISION_AUTO, err);
    if (st < 0)
        return st;
    b->ops->peak(b, &peak);
    printf("%s, %d threads, peak fp32 %.0f GFLOP/s", backend_name(b), (int)cli->threads,
           peak.fp32 * 1e-9);
    if (peak.bf16 > 0)
        printf(", bf16 %.0f GFLOP/s", peak.bf16 * 1e-9);
    printf("\n");
    backend_close(b);
    return ST_OK;
}

const struct command cmd_version = {
    .name = "version",
    .summary = "version, processor and kernels in use",
    .usage = "version",
    .run = run_version,
};

static enum st run_man(void *opts, struct cli *cli, int argc, char **argv, struct err *err)
{
    (void)opts, (void)cli, (void)argc, (void)argv, (void)err;
    help_man();
    return ST_OK;
}

const struct command cmd_man = {
    .name = "man",
    .summary = "the manual page, as roff: mixlaw man | man -l -",
    .usage = "man",
    .run = run_man,
};

static enum st run_completion(void *opts, struct cli *cli, int argc, char **argv, struct err *err)
{
    (void)opts, (void)cli;
    if (argc != 1 || (strcmp(argv[0], "bash") != 0 && strcmp(argv[0], "zsh") != 0))
        return err_set(err, ST_USAGE, "want one of: bash zsh");
    help_completion(argv[0]);
    return ST_OK;
}

const struct command cmd_completion = {
    .name = "completion",
    .summary = "shell completion: eval \"$(mixlaw completion bash)\"",
    .usage = "completion bash|zsh",
    .run = run_completion,
};
