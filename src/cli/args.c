/* cli/args.c - see args.h. */
#include "cli/args.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

const struct field cli_field[] = {
    { .name = "threads",
      .kind = FIELD_WHOLE,
      .unit = "N",
      .help = "threads (default: what the process may use)",
      .offset = offsetof(struct cli, threads),
      .min = 1,
      .max = 4096 },
    { .name = "seed",
      .kind = FIELD_WHOLE,
      .unit = "N",
      .help = "seed of everything random",
      .offset = offsetof(struct cli, seed) },
    { .name = "backend",
      .kind = FIELD_CHOICE,
      .choices = "auto|cpu|cuda",
      .help = "where to compute",
      .offset = offsetof(struct cli, backend) },
    { .name = "json",
      .kind = FIELD_BOOL,
      .help = "results as one JSON object a line (default when stdout is no terminal)",
      .offset = offsetof(struct cli, json) },
    { .name = "quiet",
      .kind = FIELD_BOOL,
      .help = "no progress, no messages but warnings",
      .offset = offsetof(struct cli, quiet) },
    { .name = "verbose",
      .kind = FIELD_BOOL,
      .help = "more messages",
      .offset = offsetof(struct cli, verbose) },
    { .name = "strict",
      .kind = FIELD_BOOL,
      .help = "a damaged record ends the command",
      .offset = offsetof(struct cli, strict) },
};
const size_t n_cli_field = N_OF(cli_field);

static bool is_flag(const char *arg)
{
    return arg[0] == '-' && arg[1] == '-' && arg[2] != '\0';
}

/* The value of one flag: after '=', or the next arguments. *i stands on the flag and ends on its
 * last part. */
static enum st take_value(const struct field *f, void *obj, char **argv, int argc, int *i,
                          const char *value, struct err *err)
{
    if (f->kind == FIELD_BOOL)
        return field_set(f, 1, obj, f->name, value ? value : "true", err);
    if (value)
        return field_set(f, 1, obj, f->name, value, err);
    if (*i + 1 >= argc || is_flag(argv[*i + 1]))
        return err_set(err, ST_USAGE, "--%s wants a value%s%s", argv[*i] + 2, f->unit ? ": " : "",
                       f->unit ? f->unit : "");
    enum st st = field_set(f, 1, obj, f->name, argv[++*i], err);
    while (f->kind == FIELD_LIST && st == ST_OK && *i + 1 < argc && !is_flag(argv[*i + 1]) &&
           strcmp(argv[*i + 1], "--") != 0)
        st = field_set(f, 1, obj, f->name, argv[++*i], err);
    return st;
}

static bool is_set(const struct field *f, const void *obj)
{
    const void *member = (const char *)obj + f->offset;
    switch (f->kind) {
    case FIELD_TEXT:
    case FIELD_CHOICE:
        return *(const char *const *)member != NULL;
    case FIELD_LIST:
        return ((const struct textlist *)member)->n > 0;
    case FIELD_WHOLE:
        return *(const uint64_t *)member != 0;
    case FIELD_REAL:
    case FIELD_TIME:
        return *(const double *)member != 0;
    default:
        return true;
    }
}

enum st args_parse(const struct command *c, void *opts, struct cli *cli, int argc, char **argv,
                   int *n_left, bool *help, struct err *err)
{
    int left = 0;
    bool ended = false;
    *help = false;
    for (int i = 0; i < argc; i++) {
        char *arg = argv[i];
        if (ended || arg[0] != '-' || arg[1] == '\0') {
            argv[left++] = arg;
            continue;
        }
        if (strcmp(arg, "--") == 0) {
            ended = true;
            continue;
        }
        if (strcmp(arg, "--help") == 0 || strcmp(arg, "-h") == 0) {
            *help = true;
            return ST_OK;
        }
        const char *name = arg + 2, *eq = strchr(name, '=');
        size_t len = eq ? (size_t)(eq - name) : strlen(name);
        const struct field *f = NULL;
        void *obj = opts;
        if (is_flag(arg) && !(f = field_find(c->field, c->n_field, name, len))) {
            f = field_find(cli_field, n_cli_field, name, len);
            obj = cli;
        }
        if (!f)
            return err_set(err, ST_USAGE, "unknown option '%s'; see mixlaw %s --help", arg,
                           c->name);
        enum st st = take_value(f, obj, argv, argc, &i, eq ? eq + 1 : NULL, err);
        if (st < 0)
            return st;
    }
    *n_left = left;
    for (size_t i = 0; i < c->n_field; i++)
        if (c->field[i].required && !is_set(&c->field[i], opts)) {
            char flag[64];
            size_t n = 0;
            for (const char *p = c->field[i].name; *p && n + 1 < sizeof flag; p++)
                flag[n++] = *p == '_' ? '-' : *p;
            flag[n] = '\0';
            return err_set(err, ST_USAGE, "--%s is missing; usage: mixlaw %s", flag, c->usage);
        }
    return ST_OK;
}

void args_release(const struct command *c, void *opts)
{
    for (size_t i = 0; i < c->n_field; i++)
        if (c->field[i].kind == FIELD_LIST)
            textlist_release((struct textlist *)(void *)((char *)opts + c->field[i].offset));
}
