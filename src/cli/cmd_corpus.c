/* cli/cmd_corpus.c - `corpus`: inputs to a folder of documents; `corpus cat`: to lines of JSON. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "cli/commands.h"
#include "cli/inputs.h"
#include "corpus/build.h"
#include "corpus/dedup.h"
#include "corpus/reader.h"

struct opts {
    const char *out, *clean, *dedup, *lang, *held;
    uint64_t min_bytes, max_bytes;
    double hold_out, max_similar;
    struct textlist decontaminate, drop_source;
};
static const struct opts defaults = {
    .clean = "none", .dedup = "none", .min_bytes = 200, .max_similar = DEDUP_SIMILAR
};

static const struct field field[] = {
    { .name = "out",
      .kind = FIELD_TEXT,
      .unit = "DIR",
      .help = "folder for the documents",
      .offset = offsetof(struct opts, out),
      .required = true },
    { .name = "clean",
      .kind = FIELD_CHOICE,
      .choices = "none|web",
      .help = "rules that drop pages; web is not built yet",
      .offset = offsetof(struct opts, clean) },
    { .name = "dedup",
      .kind = FIELD_CHOICE,
      .choices = "none|exact|minhash",
      .help = "drop documents with the same words as an earlier one; minhash: nearly the same too",
      .offset = offsetof(struct opts, dedup) },
    { .name = "max_similar",
      .kind = FIELD_REAL,
      .unit = "fraction",
      .help = "of minhash: shared runs of 5 words, over all of both, that two documents may have",
      .offset = offsetof(struct opts, max_similar),
      .min = 0.5,
      .max = 1 },
    { .name = "lang",
      .kind = FIELD_TEXT,
      .unit = "CODE",
      .help = "keep one language; not built yet",
      .offset = offsetof(struct opts, lang) },
    { .name = "min_bytes",
      .kind = FIELD_WHOLE,
      .unit = "bytes",
      .help = "drop shorter documents",
      .offset = offsetof(struct opts, min_bytes) },
    { .name = "max_bytes",
      .kind = FIELD_WHOLE,
      .unit = "bytes",
      .help = "drop longer documents; 0: none",
      .offset = offsetof(struct opts, max_bytes) },
    { .name = "decontaminate",
      .kind = FIELD_LIST,
      .unit = "PATH",
      .help = "drop documents that share 13 words in a row with these",
      .offset = offsetof(struct opts, decontaminate) },
    { .name = "drop_source",
      .kind = FIELD_LIST,
      .unit = "ID",
      .help = "drop documents of this origin (meta.source)",
      .offset = offsetof(struct opts, drop_source) },
    { .name = "hold_out",
      .kind = FIELD_REAL,
      .unit = "fraction",
      .help = "share of the documents kept apart for evaluation",
      .offset = offsetof(struct opts, hold_out),
      .min = 0,
      .max = 0.5 },
    { .name = "held",
      .kind = FIELD_TEXT,
      .unit = "DIR",
      .help = "folder for the documents kept apart",
      .offset = offsetof(struct opts, held) },
};

static enum st run_corpus(void *opts, struct cli *cli, int argc, char **argv, struct err *err)
{
    const struct opts *o = opts;
    struct js *counts = NULL;
    struct strlist inputs = { 0 }, eval = { 0 };
    enum st st = inputs_fetch(&inputs, (size_t)argc, argv, err);
    if (st == ST_OK && o->decontaminate.n)
        st = inputs_fetch(&eval, o->decontaminate.n, (char *const *)o->decontaminate.s, err);
    struct corpus_conf conf = { .out = o->out,
                                .clean = o->clean,
                                .dedup = o->dedup,
                                .max_similar = o->max_similar,
                                .lang = o->lang,
                                .min_bytes = o->min_bytes,
                                .max_bytes = o->max_bytes,
                                .hold_out = o->hold_out,
                                .held = o->held,
                                .decontaminate = eval.s,
                                .n_decontaminate = eval.n,
                                .drop_source = (char *const *)o->drop_source.s,
                                .n_drop_source = o->drop_source.n,
                                .strict = cli->strict,
                                .n_threads = (int)cli->threads };
    if (st == ST_OK)
        st = corpus_build(&counts, &conf, inputs.s, inputs.n, err);
    strlist_release(&inputs);
    strlist_release(&eval);
    if (st == ST_END)
        log_info("'%s' is up to date", o->out);
    if (st >= 0)
        out_row(cli->out, counts);
    return st == ST_END ? ST_OK : st;
}

const struct command cmd_corpus = {
    .name = "corpus",
    .summary = "web archives, JSONL, HTML and text to a folder of documents",
    .usage = "corpus --out DIR [options] INPUT...",
    .detail = "Inputs are files, folders, patterns, http(s) URLs or - (standard input); the format "
              "is recognised "
              "by content.\nDIR gets docs-00000.jsonl.zst (id text meta), dropped.jsonl.zst (id "
              "reason of) and manifest.json.\nA damaged record is skipped, counted and named; "
              "--strict makes it fatal.",
    .field = field,
    .n_field = N_OF(field),
    .opts_size = sizeof(struct opts),
    .defaults = &defaults,
    .run = run_corpus,
};

static enum st cat_file(const struct corpus_file *f, struct cli *cli, struct strbuf *line,
                        struct err *err)
{
    struct reader *r;
    struct doc d;
    struct reader_conf conf = { .strict = cli->strict, .source = f->source, .name = f->name };
    enum st st = reader_open(&r, f->path, &conf, err);
    if (st < 0 && !f->named && !cli->strict) {
        log_warn("%s; passed over", err->msg);
        return ST_OK;
    }
    if (st < 0)
        return st;
    while ((st = reader_next(r, &d, err)) == ST_OK && !stop_asked()) {
        str_clear(line);
        doc_json(line, &d);
        str_addc(line, '\n');
        if (fwrite(line->s, 1, line->n, stdout) != line->n) {
            if (errno == EPIPE) { /* `| head` has seen enough */
                clearerr(stdout);
                reader_close(r);
                return ST_END;
            }
            st = err_set(err, ST_IO, "cannot write to standard output: %s", strerror(errno));
            break;
        }
    }
    if (st == ST_OK)
        st = err_set(err, ST_INTERRUPTED, "stopped");
    reader_close(r);
    return st == ST_END ? ST_OK : st;
}

static enum st run_cat(void *opts, struct cli *cli, int argc, char **argv, struct err *err)
{
    (void)opts;
    struct corpus_files files = { 0 };
    struct strbuf line = { 0 };
    struct strlist inputs = { 0 };
    enum st st = inputs_fetch(&inputs, (size_t)argc, argv, err);
    if (st == ST_OK)
        st = corpus_files_expand(&files, inputs.s, inputs.n, err);
    strlist_release(&inputs);
    for (size_t i = 0; i < files.n && st == ST_OK; i++)
        st = cat_file(&files.file[i], cli, &line, err);
    corpus_files_release(&files);
    str_release(&line);
    return st == ST_END ? ST_OK : st;
}

const struct command cmd_corpus_cat = {
    .name = "corpus cat",
    .summary = "the documents of inputs as lines of JSON",
    .usage = "corpus cat INPUT...",
    .run = run_cat,
};
