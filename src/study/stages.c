/* study/stages.c - corpus, tokenizer, token files, generation and the pilots, as child processes.
 */
#include "study/stages.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/units.h"
#include "study/child.h"

char *study_path(struct study *s, const char *fmt, ...)
{
    char name[1024];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(name, sizeof name, fmt, ap);
    va_end(ap);
    return arena_printf(&s->arena, "%s/%s", s->dir, name);
}

static void add_all(struct strlist *argv, va_list ap)
{
    const char *text;
    while ((text = va_arg(ap, const char *)) != NULL)
        strlist_add(argv, text);
}

void args_add(struct strlist *argv, ...)
{
    va_list ap;
    va_start(ap, argv);
    add_all(argv, ap);
    va_end(ap);
}

void args_self(struct study *s, struct strlist *argv, ...)
{
    va_list ap;
    strlist_add(argv, s->where.self);
    va_start(ap, argv);
    add_all(argv, ap);
    va_end(ap);
    if (s->where.quiet)
        strlist_add(argv, "--quiet");
    if (s->where.strict)
        strlist_add(argv, "--strict");
}

/* Runs the list and releases it. */
static enum st run(struct strlist *argv, struct err *err)
{
    enum st st = child_run(argv, NULL, err);
    strlist_release(argv);
    return st;
}

/* A domain's name: the base name up to its first dot, with letters that are safe in file names. */
static char *domain_name(struct study *s, const char *path)
{
    const char *base = path_base(path);
    char *name = arena_strndup(&s->arena, base, strcspn(base, "."));
    for (char *p = name; *p; p++)
        if (!isalnum((unsigned char)*p) && *p != '-' && *p != '_')
            *p = '-';
    return name;
}

/* The domain that natural: {hold_out: ...} makes. */
static const char held_out[] = "held-out";

/* The entries that domain paths stand for: a folder without pattern stands for what is in it. */
static enum st domain_entries(struct study *s, struct strlist *entry, struct err *err)
{
    for (size_t i = 0; i < s->conf.domain_path.n; i++) {
        const char *path = s->conf.domain_path.s[i];
        struct strlist names = { 0 };
        enum st st = ST_OK;
        if (file_is_dir(path)) {
            st = dir_list(path, &names, err);
            for (size_t k = 0; k < names.n && st == ST_OK; k++)
                if (names.s[k][0] != '.')
                    strlist_add(entry, arena_printf(&s->arena, "%s/%s", path, names.s[k]));
        } else {
            char *one[] = { (char *)(uintptr_t)path };
            st = paths_expand(entry, one, 1, err);
        }
        strlist_release(&names);
        if (st < 0)
            return err_in(err, st, "domains");
    }
    return ST_OK;
}

static enum st find_domains(struct study *s, struct strlist *entry, struct err *err)
{
    enum st st = domain_entries(s, entry, err);
    for (size_t i = 0; i < entry->n && st == ST_OK; i++) {
        char *name = domain_name(s, entry->s[i]);
        if (s->conf.hold_out > 0 && strcmp(name, held_out) == 0)
            st =
                err_set(err, ST_USAGE,
                        "domains: '%s' has the name of the natural text that hold_out keeps apart; "
                        "rename it",
                        entry->s[i]);
        for (size_t k = 0; k < s->domain.n; k++)
            if (strcmp(s->domain.s[k], name) == 0)
                st = err_set(err, ST_USAGE, "domains: '%s' and another are both named '%s'",
                             entry->s[i], name);
        strlist_add(&s->domain, name);
    }
    if (st == ST_OK && s->domain.n == 0)
        st = err_set(err, ST_USAGE, "domains: there is none");
    return st;
}

/* A third of the natural text held out is for development, the rest is one more domain. Which
 * document is held out follows from its id: those of a smaller share are among those of a larger.
 */
static enum st split_held(struct study *s, struct err *err)
{
    struct strlist argv = { 0 };
    args_self(s, &argv, "corpus", "--hold-out", arena_printf(&s->arena, "%g", s->conf.hold_out / 3),
              "--held", study_path(s, "corpus/dev"), "--out",
              study_path(s, "corpus/domains/%s", held_out),
              study_path(s, "corpus/held/docs-*.jsonl.zst"), NULL);
    return run(&argv, err);
}

enum st stage_corpus(struct study *s, struct err *err)
{
    struct strlist entry = { 0 }, argv = { 0 };
    enum st st = find_domains(s, &entry, err);
    for (size_t i = 0; i < entry.n && st == ST_OK; i++) {
        args_self(s, &argv, "corpus", "--dedup", "exact", "--min-bytes", "200", "--out",
                  study_path(s, "corpus/domains/%s", s->domain.s[i]), entry.s[i], NULL);
        st = run(&argv, err);
    }
    strlist_release(&entry);
    if (st < 0)
        return st;
    args_self(s, &argv, "corpus", "--clean", s->conf.clean, "--dedup", "exact", "--min-bytes",
              arena_printf(&s->arena, "%llu", (unsigned long long)s->conf.min_bytes), "--out",
              study_path(s, "corpus/natural"), NULL);
    bool dev = study_conf_sweeps(&s->conf);
    char *held = dev ? study_path(s, "corpus/held") : study_path(s, "corpus/domains/%s", held_out);
    if (s->conf.hold_out > 0)
        args_add(&argv, "--hold-out", arena_printf(&s->arena, "%g", s->conf.hold_out), "--held",
                 held, NULL);
    args_add(&argv, "--decontaminate", NULL);
    for (size_t i = 0; i < s->domain.n; i++)
        strlist_add(&argv, study_path(s, "corpus/domains/%s/docs-*.jsonl.zst", s->domain.s[i]));
    args_add(&argv, "--", NULL);
    for (size_t i = 0; i < s->conf.natural_path.n; i++)
        strlist_add(&argv, s->conf.natural_path.s[i]);
    st = run(&argv, err);
    if (st == ST_OK && dev) /* what judges learning rates is never reported */
        st = split_held(s, err);
    if (s->conf.hold_out > 0)
        strlist_add(&s->domain, held_out);
    strlist_sort(&s->domain);
    s->plan.n_domain = s->domain.n;
    return st;
}

enum st stage_tokenizer(struct study *s, struct err *err)
{
    struct strlist argv = { 0 };
    char *path = study_path(s, "tokenizer.json");
    if (s->conf.tok_file) { /* a copy, so that the folder is whole */
        struct strbuf text = { 0 };
        enum st st = file_read(s->conf.tok_file, 256 << 20, &text, err);
        if (st == ST_OK)
            st = file_write(path, text.s, text.n, err);
        str_release(&text);
        return st;
    }
    args_self(s, &argv, "tokenize", "train", "--vocab-size",
              arena_printf(&s->arena, "%llu", (unsigned long long)s->plan.vocab_size),
              "--max-bytes", "64MiB", "--out", path,
              study_path(s, "corpus/natural/docs-*.jsonl.zst"), NULL);
    return run(&argv, err);
}

enum st stage_tokens(struct study *s, const char *name, const char *docs, struct err *err)
{
    struct strlist argv = { 0 };
    args_self(s, &argv, "tokenize", "encode", "--tokenizer", study_path(s, "tokenizer.json"),
              "--source", name, "--out", study_path(s, "tokens/%s", name), docs, NULL);
    return run(&argv, err);
}

enum st shard_tokens(struct study *s, const char *name, uint64_t *n_tok, uint64_t *n_own,
                     struct err *err)
{
    struct js *m;
    char *path = study_path(s, "tokens/%s.json", name);
    enum st st = js_read_file(&m, path, err);
    if (st < 0)
        return st;
    int64_t n = js_get_whole(m, "tokens", -1), natural = js_get_whole(m, "tokens_natural", 0);
    js_free(m);
    if (n < 0 || natural < 0 || natural > n)
        return err_set(err, ST_FORMAT, "'%s' says no 'tokens'", path);
    *n_tok = (uint64_t)n;
    if (n_own)
        *n_own = (uint64_t)(n - natural);
    return ST_OK;
}

enum st stage_natural_tokens(struct study *s, struct err *err)
{
    enum st st = stage_tokens(s, "natural", study_path(s, "corpus/natural/docs-*.jsonl.zst"), err);
    for (size_t i = 0; i < s->domain.n && st == ST_OK; i++)
        st = stage_tokens(s, arena_printf(&s->arena, "domain-%s", s->domain.s[i]),
                          study_path(s, "corpus/domains/%s/docs-*.jsonl.zst", s->domain.s[i]), err);
    if (st == ST_OK && study_conf_sweeps(&s->conf))
        st = stage_tokens(s, "dev", study_path(s, "corpus/dev/docs-*.jsonl.zst"), err);
    return st == ST_OK ? shard_tokens(s, "natural", &s->plan.natural_tok, NULL, err) : st;
}

/* What the study file says of a source that is a kind; NULL: a control. */
static const struct study_kind *kind_of(const struct study *s, const struct plan_source *src)
{
    for (size_t i = 0; i < s->conf.n_kind; i++)
        if (strcmp(s->conf.kind[i].kind, src->name) == 0)
            return &s->conf.kind[i];
    return NULL;
}

static void add_price(struct study *s, struct strlist *argv, const char *flag, double price)
{
    if (price > 0)
        args_add(argv, flag, arena_printf(&s->arena, "%.9g", price), NULL);
}

/* Who writes, and for how much; nothing for controls. */
static void generator_args(struct study *s, struct strlist *argv, const struct study_kind *kind)
{
    const struct study_conf *c = &s->conf;
    if (!kind)
        return;
    if (study_kind_imports(kind)) {
        add_price(s, argv, "--price", kind->price);
        add_price(s, argv, "--price-out", kind->price_per_m);
        return;
    }
    args_add(argv, "--generator", c->gen_local ? c->gen_local : c->gen_server, NULL);
    if (c->gen_amateur)
        args_add(argv, "--amateur", c->gen_amateur, NULL);
    if (c->gen_model)
        args_add(argv, "--model", c->gen_model, NULL);
    add_price(s, argv, "--price-in", c->price_in);
    add_price(s, argv, "--price-out", c->price_out);
}

/* The first kind that is generated: what the control `copy` is compared with. */
static const char *first_generated(const struct study *s)
{
    for (size_t i = 0; i < s->conf.n_kind; i++)
        if (!study_kind_imports(&s->conf.kind[i]))
            return s->conf.kind[i].kind;
    return NULL;
}

/* The arguments that synth and its pilot share. */
static void synth_args(struct study *s, struct strlist *argv, const struct plan_source *src)
{
    const struct study_kind *kind = kind_of(s, src);
    args_add(argv, "--recipe", src->recipe, "--out", study_path(s, "kinds/%s", src->name),
             "--tokenizer", study_path(s, "tokenizer.json"), "--seed",
             arena_printf(&s->arena, "%llu", (unsigned long long)s->where.seed), "--threads",
             arena_printf(&s->arena, "%llu", (unsigned long long)s->where.threads), NULL);
    if (strcmp(src->name, "copy") == 0) /* what differs from those kept is the rewriting alone */
        args_add(argv, "--like", study_path(s, "kinds/%s", first_generated(s)), NULL);
    generator_args(s, argv, kind);
    args_add(argv, "--decontaminate", NULL);
    for (size_t i = 0; i < s->domain.n; i++)
        strlist_add(argv, study_path(s, "corpus/domains/%s/docs-*.jsonl.zst", s->domain.s[i]));
    strlist_add(argv, "--");
    for (size_t i = 0; kind && i < kind->import.n; i++)
        strlist_add(argv, kind->import.s[i]);
    if (!kind || !study_kind_imports(kind))
        strlist_add(argv, study_path(s, "corpus/natural/docs-*.jsonl.zst"));
}

enum st stage_generate(struct study *s, struct plan_source *src, struct err *err)
{
    struct strlist argv = { 0 };
    args_self(s, &argv, "synth", NULL);
    if (!src->imported) /* a set is taken whole */
        args_add(&argv, "--max-docs",
                 arena_printf(&s->arena, "%llu", (unsigned long long)src->n_page), NULL);
    synth_args(s, &argv, src);
    enum st st = err_in(err, run(&argv, err), "making %s", src->name);
    if (st == ST_OK)
        st = stage_tokens(s, src->name, study_path(s, "kinds/%s/docs-*.jsonl.zst", src->name), err);
    return st == ST_OK ? shard_tokens(s, src->name, &src->n_tok, &src->n_tok_own, err) : st;
}

enum st stage_synth_pilot(struct study *s, struct plan_source *src, bool rough, struct err *err)
{
    struct strlist argv = { 0 };
    struct js *row;
    args_self(s, &argv, "synth", "pilot", NULL);
    if (rough)
        args_add(&argv, "--docs", "32", "--within", "1", NULL);
    if (s->conf.gen_docs)
        args_add(&argv, "--max-docs",
                 arena_printf(&s->arena, "%llu", (unsigned long long)s->conf.gen_docs), NULL);
    synth_args(s, &argv, src);
    enum st st = err_in(err, child_json(&argv, &row, err), "the pilot of %s", src->name);
    strlist_release(&argv);
    if (st < 0)
        return st;
    src->tok_per_s = js_get_real(row, "kept_tok_per_s", 0);
    src->tok_per_page = js_get_real(row, "kept_tok_per_doc", 0);
    src->n_usable = (uint64_t)js_get_whole(row, "docs", 0); /* the forecast is for all of them */
    if (src->n_usable > 0) {
        double n = (double)src->n_usable;
        src->request_per_page = js_get_real(js_get(row, "requests"), "value", 0) / n;
        src->price_per_page = js_get_real(js_get(row, "price"), "value", 0) / n;
    }
    js_free(row);
    return ST_OK;
}
