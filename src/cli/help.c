/* cli/help.c - help, the manual page and shell completion, all from the commands' tables. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "cli/args.h"

static void flag_name(const struct field *f, struct strbuf *out)
{
    str_adds(out, "--");
    for (const char *p = f->name; *p; p++)
        str_addc(out, *p == '_' ? '-' : *p);
}

static void flag_usage(const struct field *f, struct strbuf *out)
{
    flag_name(f, out);
    if (f->kind == FIELD_CHOICE)
        str_printf(out, " %s", f->choices);
    else if (f->kind != FIELD_BOOL)
        str_printf(out, " %s%s", f->unit ? f->unit : "VALUE", f->kind == FIELD_LIST ? "..." : "");
}

static void print_fields(const struct field *f, size_t n, const void *defaults)
{
    for (size_t i = 0; i < n; i++) {
        struct strbuf flag = { 0 }, value = { 0 };
        flag_usage(&f[i], &flag);
        if (defaults)
            field_show(&f[i], defaults, &value);
        printf("  %-34s %s%s%s%s\n", flag.s, f[i].help ? f[i].help : "",
               value.n ? " (default " : "", value.n ? value.s : "", value.n ? ")" : "");
        str_release(&flag);
        str_release(&value);
    }
}

void help_command(const struct command *c)
{
    printf("mixlaw %s - %s\n\nusage: mixlaw %s\n", c->name, c->summary, c->usage);
    if (c->detail)
        printf("\n%s\n", c->detail);
    if (c->n_field) {
        puts("\noptions:");
        print_fields(c->field, c->n_field, c->defaults);
    }
    puts("\noptions of every command:");
    print_fields(cli_field, n_cli_field, NULL);
}

size_t help_group(FILE *f, const char *word)
{
    size_t n = 0, len = strlen(word);
    for (size_t i = 0; commands[i]; i++) {
        if (strncmp(commands[i]->name, word, len) != 0 || commands[i]->name[len] != ' ')
            continue;
        if (f)
            fprintf(f, "  mixlaw %-18s %s\n", commands[i]->name, commands[i]->summary);
        n++;
    }
    return n;
}

void help_all(void)
{
    puts("mixlaw - which synthetic data to pre-train a language model on, and how much of it\n\n"
         "usage: mixlaw COMMAND [options]\n\ncommands:");
    for (size_t i = 0; commands[i]; i++)
        printf("  %-18s %s\n", commands[i]->name, commands[i]->summary);
    puts("\n'mixlaw COMMAND --help' says more; 'mixlaw --version' says what this build and "
         "processor can do.\n"
         "Start with ./quickstart, or with 'mixlaw study plan STUDY.yaml'.");
}

/* Text for roff: a leading dot or quote and every backslash would be commands. */
static void roff(const char *s)
{
    for (bool start = true; *s; s++) {
        if (start && (*s == '.' || *s == '\''))
            fputs("\\&", stdout);
        if (*s == '\\')
            fputs("\\e", stdout);
        else if (*s == '-')
            fputs("\\-", stdout);
        else
            putchar(*s);
        start = *s == '\n';
    }
    putchar('\n');
}

static void man_fields(const struct field *f, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct strbuf flag = { 0 };
        flag_usage(&f[i], &flag);
        puts(".TP");
        fputs(".B ", stdout);
        roff(flag.s);
        roff(f[i].help ? f[i].help : "");
        str_release(&flag);
    }
}

void help_man(void)
{
    printf(".TH MIXLAW 1 \"\" \"mixlaw %s\" \"User Commands\"\n.SH NAME\n", MIXLAW_VERSION);
    roff("mixlaw - which synthetic data to pre-train a language model on, and how much of it");
    puts(".SH SYNOPSIS\n.B mixlaw\n.I COMMAND\n[options]\n.SH COMMANDS");
    for (size_t i = 0; commands[i]; i++) {
        printf(".SS ");
        roff(commands[i]->usage);
        roff(commands[i]->summary);
        if (commands[i]->detail) {
            puts(".PP");
            roff(commands[i]->detail);
        }
        man_fields(commands[i]->field, commands[i]->n_field);
    }
    puts(".SH OPTIONS OF EVERY COMMAND");
    man_fields(cli_field, n_cli_field);
    puts(".SH EXIT STATUS\n0 done, 1 failed, 2 wrong use or unsupported, 130 interrupted (state is "
         "kept; the same "
         "command goes on).");
}

void help_completion(const char *shell)
{
    bool zsh = strcmp(shell, "zsh") == 0;
    if (zsh)
        puts("#compdef mixlaw\nautoload -U +X bashcompinit && bashcompinit");
    puts("_mixlaw() {\n  local cur=${COMP_WORDS[COMP_CWORD]} words\n  case \"${COMP_WORDS[1]} "
         "${COMP_WORDS[2]}\" in");
    for (int two_words = 1; two_words >= 0;
         two_words--) /* 'corpus cat' must be tried before 'corpus' */
        for (size_t i = 0; commands[i]; i++) {
            const struct command *c = commands[i];
            if ((strchr(c->name, ' ') != NULL) != (two_words != 0))
                continue;
            printf("  \"%s%s) words=\"", c->name, two_words ? "\"" : " \"*");
            for (size_t k = 0; k < c->n_field + n_cli_field; k++) {
                struct strbuf flag = { 0 };
                flag_name(k < c->n_field ? &c->field[k] : &cli_field[k - c->n_field], &flag);
                printf("%s ", flag.s);
                str_release(&flag);
            }
            puts("--help\" ;;");
        }
    fputs("  *) words=\"", stdout);
    for (size_t i = 0; commands[i]; i++)
        if (!strchr(commands[i]->name, ' '))
            printf("%s ", commands[i]->name);
    puts("--help --version\" ;;\n  esac\n"
         "  if [[ $cur == -* || $COMP_CWORD == 1 ]]; then mapfile -t COMPREPLY < <(compgen -W "
         "\"$words\" -- \"$cur\"); "
         "fi\n}\n"
         "complete -o default -F _mixlaw mixlaw");
}
