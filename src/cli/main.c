/* cli/main.c - finds the command, parses its flags, runs it, says what went wrong. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/pool.h"
#include "cli/args.h"
#include "cli/commands.h"

#define ROW(name) &cmd_##name,
const struct command *const commands[] = { COMMANDS(ROW) NULL };

/* The command with the longest name that argv begins with; *n_words are its words. */
static const struct command *find(int argc, char **argv, int *n_words)
{
    const struct command *best = NULL;
    *n_words = 0;
    for (size_t i = 0; commands[i]; i++) {
        const char *name = commands[i]->name, *space = strchr(name, ' ');
        size_t first = space ? (size_t)(space - name) : strlen(name);
        int words = space ? 2 : 1;
        if (argc < words || strlen(argv[0]) != first || strncmp(argv[0], name, first) != 0)
            continue;
        if (space && strcmp(argv[1], space + 1) != 0)
            continue;
        if (words > *n_words) {
            best = commands[i];
            *n_words = words;
        }
    }
    return best;
}

static bool is_help(const char *arg)
{
    return strcmp(arg, "--help") == 0 || strcmp(arg, "-h") == 0;
}

/* What argv begins with is no command: the first word of several, or nothing known. */
static int no_command(int argc, char **argv)
{
    if (help_group(NULL, argv[0])) {
        if (argc > 1 && is_help(argv[1]))
            return help_group(stdout, argv[0]) ? 0 : 2;
        log_error("mixlaw: '%s' wants one of its commands%s%s%s:", argv[0],
                  argc > 1 ? ", not '" : "", argc > 1 ? argv[1] : "", argc > 1 ? "'" : "");
        help_group(stderr, argv[0]);
        return 2;
    }
    log_error("mixlaw: unknown %s '%s'; 'mixlaw --help' lists the commands",
              argv[0][0] == '-' ? "option" : "command", argv[0]);
    return 2;
}

static enum st run(const struct command *c, struct cli *cli, int argc, char **argv, struct err *err)
{
    void *opts = xcalloc(1, c->opts_size ? c->opts_size : 1);
    if (c->defaults)
        memcpy(opts, c->defaults, c->opts_size);
    int n_left = 0;
    bool help = false;
    enum st st = args_parse(c, opts, cli, argc, argv, &n_left, &help, err);
    if (st == ST_OK && help) {
        help_command(c);
    } else if (st == ST_OK) {
        if (cli->threads == 0)
            cli->threads = (uint64_t)cpu_count();
        log_set_level(cli->quiet ? LOG_QUIET : cli->verbose ? LOG_VERBOSE : LOG_NORMAL);
        cli->out = out_new(cli->json || !isatty(STDOUT_FILENO));
        st = c->run(opts, cli, n_left, argv, err);
        struct err late;
        enum st printed = out_finish(cli->out, &late);
        if (st >= 0 && printed < 0) {
            st = printed;
            *err = late;
        }
        out_free(cli->out);
    }
    args_release(c, opts);
    free(opts);
    return st;
}

int main(int argc, char **argv)
{
    struct err err = { "" };
    struct cli cli = { .backend = "auto", .seed = 1 };
    char self[4096]; /* by the system, not by argv[0]: the folder may change */
    ssize_t n_self = readlink("/proc/self/exe", self, sizeof self - 1);
    if (n_self < 0)
        snprintf(self, sizeof self, "%s", argv[0]);
    else
        self[n_self] = '\0';
    cli.self = self;
    stop_on_signals();
    if (argc < 2) {
        help_all();
        return 2;
    }
    if (is_help(argv[1]) || strcmp(argv[1], "help") == 0) {
        help_all();
        return 0;
    }
    char version[] = "version";
    if (strcmp(argv[1], "--version") == 0)
        argv[1] = version;
    int n_words;
    const struct command *c = find(argc - 1, argv + 1, &n_words);
    if (!c)
        return no_command(argc - 1, argv + 1);
    enum st st = run(c, &cli, argc - 1 - n_words, argv + 1 + n_words, &err);
    if (st < 0)
        log_error("mixlaw %s: %s%s", c->name, st == ST_UNSUPPORTED ? "unsupported: " : "", err.msg);
    return st_exit(st);
}
