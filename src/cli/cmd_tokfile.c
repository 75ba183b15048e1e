/* cli/cmd_tokfile.c - `tokenize inspect|verify|cat|convert`: token files of every known format. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "cli/commands.h"
#include "data/tokfile.h"
#include "tok/tok.h"

struct opts {
    uint64_t eod; /* NO_EOD: not given */
    bool decode;
    const char *tokenizer, *to, *out;
    uint64_t max_docs;
};
#define NO_EOD UINT64_MAX
static const struct opts defaults = { .eod = NO_EOD };

#define EOD_FIELD                                                                                  \
    {                                                                                              \
        .name = "eod", .kind = FIELD_WHOLE, .unit = "ID",                                          \
        .help = "end-of-document token; the manifest's, or for llm.c that of its vocabulary, "     \
                "unless given",                                                                    \
        .offset = offsetof(struct opts, eod)                                                       \
    }

static const struct field look_field[] = { EOD_FIELD };

static enum st open_one(struct tokfile **f, const struct opts *o, int argc, char **argv,
                        struct err *err)
{
    if (argc != 1)
        return err_set(err, ST_USAGE, "want one FILE or PREFIX");
    if (o->eod != NO_EOD && o->eod > INT32_MAX)
        return err_set(err, ST_USAGE, "--eod: want a token id");
    return tokfile_open(f, argv[0], o->eod == NO_EOD ? -1 : (int64_t)o->eod, err);
}

static struct js *describe(const struct tokfile *f)
{
    const struct js *m = tokfile_manifest(f);
    struct js *row = js_object();
    js_put_text(row, "file", tokfile_path(f));
    js_put_text(row, "format", tokfile_format(f));
    js_put_whole(row, "token_bytes", tokfile_width(f));
    js_put_whole(row, "docs", (int64_t)tokfile_n_docs(f));
    js_put_whole(row, "tokens", (int64_t)tokfile_n_tok(f));
    js_put_whole(row, "bytes", js_get_whole(m, "bytes", 0));
    js_put_whole(row, "vocab_size", tokfile_vocab_size(f));
    js_put_whole(row, "eod", tokfile_eod(f));
    js_put_text(row, "tokenizer", js_get_text(m, "tokenizer", NULL));
    js_put_text(row, "source", js_get_text(m, "source", NULL));
    return row;
}

static enum st run_inspect(void *opts, struct cli *cli, int argc, char **argv, struct err *err)
{
    struct tokfile *f = NULL;
    enum st st = open_one(&f, opts, argc, argv, err);
    if (st == ST_OK)
        out_row(cli->out, describe(f));
    tokfile_close(f);
    return st;
}

const struct command cmd_tokenize_inspect = {
    .name = "tokenize inspect",
    .summary = "what a token file holds",
    .usage = "tokenize inspect [--eod ID] FILE|PREFIX",
    .detail = "Formats: Megatron (.bin with .idx), llm.c (.bin), datatrove and nanotron (.ds).",
    .field = look_field,
    .n_field = N_OF(look_field),
    .opts_size = sizeof(struct opts),
    .defaults = &defaults,
    .run = run_inspect,
};

static enum st run_verify(void *opts, struct cli *cli, int argc, char **argv, struct err *err)
{
    struct tokfile *f = NULL;
    enum st st = open_one(&f, opts, argc, argv, err);
    if (st == ST_OK)
        st = tokfile_verify(f, err);
    if (st == ST_OK) {
        struct js *row = describe(f);
        js_put_bool(row, "ok", true);
        out_row(cli->out, row);
    }
    tokfile_close(f);
    return st;
}

const struct command cmd_tokenize_verify = {
    .name = "tokenize verify",
    .summary = "check every byte of a token file; names the first fault and its byte",
    .usage = "tokenize verify [--eod ID] FILE|PREFIX",
    .detail = "Sizes, lengths and offsets always; ids against the vocabulary, the end of each "
              "document and the digest of the ids where a manifest (PREFIX.json) tells them.",
    .field = look_field,
    .n_field = N_OF(look_field),
    .opts_size = sizeof(struct opts),
    .defaults = &defaults,
    .run = run_verify,
};

static const struct field cat_field[] = {
    EOD_FIELD,
    { .name = "decode",
      .kind = FIELD_BOOL,
      .help = "text instead of token ids",
      .offset = offsetof(struct opts, decode) },
    { .name = "tokenizer",
      .kind = FIELD_TEXT,
      .unit = "FILE",
      .help = "tokenizer.json or GGUF to decode with; the manifest's unless given",
      .offset = offsetof(struct opts, tokenizer) },
    { .name = "max_docs",
      .kind = FIELD_WHOLE,
      .unit = "documents",
      .help = "stop after so many; 0: all",
      .offset = offsetof(struct opts, max_docs) },
};

/* The tokenizer to decode with; it must be the one that the file was made with, where that is
 * known. */
static enum st open_tokenizer(struct tok **tok, const struct opts *o, const struct tokfile *f,
                              struct err *err)
{
    const struct js *m = tokfile_manifest(f);
    const char *path = o->tokenizer ? o->tokenizer : js_get_text(m, "tokenizer_file", NULL);
    const char *want = js_get_text(m, "tokenizer", NULL);
    char hex[DIGEST_HEX];
    if (!path)
        return err_set(err, ST_USAGE, "'%s' does not tell its tokenizer; want --tokenizer FILE",
                       tokfile_path(f));
    enum st st = tok_open(tok, path, err);
    if (st == ST_OK && want && strcmp(digest_hex(tok_digest(*tok), hex), want) != 0)
        st = err_set(err, ST_USAGE, "'%s' was made with another tokenizer than '%s'",
                     tokfile_path(f), path);
    return st;
}

static enum st run_cat(void *opts, struct cli *cli, int argc, char **argv, struct err *err)
{
    (void)cli;
    const struct opts *o = opts;
    struct tokfile *f = NULL;
    struct tok *tok = NULL;
    struct strbuf line = { 0 };
    enum st st = open_one(&f, o, argc, argv, err);
    if (st == ST_OK && o->decode)
        st = open_tokenizer(&tok, o, f, err);
    size_t n = st == ST_OK ? tokfile_n_docs(f) : 0;
    if (o->max_docs && o->max_docs < n)
        n = o->max_docs;
    for (size_t d = 0; d < n && st == ST_OK && !stop_asked(); d++) {
        str_clear(&line);
        tokfile_line(f, d, tok, &line);
        if (fwrite(line.s, 1, line.n, stdout) == line.n)
            continue;
        if (errno == EPIPE) { /* `| head` has seen enough */
            clearerr(stdout);
            break;
        }
        st = err_set(err, ST_IO, "cannot write to standard output: %s", strerror(errno));
    }
    if (st == ST_OK && stop_asked())
        st = err_set(err, ST_INTERRUPTED, "stopped");
    str_release(&line);
    tok_free(tok);
    tokfile_close(f);
    return st;
}

const struct command cmd_tokenize_cat = {
    .name = "tokenize cat",
    .summary = "the documents of a token file as lines of JSON",
    .usage = "tokenize cat [--decode] [--tokenizer FILE] FILE|PREFIX",
    .detail = "A line is {\"doc\",\"tokens\"}, with --decode {\"doc\",\"text\"}.",
    .field = cat_field,
    .n_field = N_OF(cat_field),
    .opts_size = sizeof(struct opts),
    .defaults = &defaults,
    .run = run_cat,
};

static const struct field convert_field[] = {
    EOD_FIELD,
    { .name = "to",
      .kind = FIELD_CHOICE,
      .choices = "megatron|llmc|datatrove|mds|litdata",
      .help = "format to write; mds and litdata are not supported yet",
      .offset = offsetof(struct opts, to),
      .required = true },
    { .name = "out",
      .kind = FIELD_TEXT,
      .unit = "PREFIX",
      .help = "files to write: PREFIX.bin, .idx, .ds, .json",
      .offset = offsetof(struct opts, out),
      .required = true },
};

static enum st run_convert(void *opts, struct cli *cli, int argc, char **argv, struct err *err)
{
    const struct opts *o = opts;
    struct tokfile *f = NULL, *made = NULL;
    enum st st = open_one(&f, o, argc, argv, err);
    if (st == ST_OK)
        st = tokfile_convert(f, o->to, o->out, err);
    if (st == ST_OK)
        st = tokfile_open(&made, o->out, -1, err);
    if (st == ST_OK) {
        struct js *row = js_object();
        js_put_whole(row, "docs", (int64_t)tokfile_n_docs(made));
        js_put_whole(row, "tokens", (int64_t)tokfile_n_tok(made));
        js_put_whole(row, "bytes", js_get_whole(tokfile_manifest(made), "bytes", 0));
        out_row(cli->out, row);
    }
    tokfile_close(made);
    tokfile_close(f);
    return st;
}

const struct command cmd_tokenize_convert = {
    .name = "tokenize convert",
    .summary = "a token file in another format",
    .usage = "tokenize convert --to megatron|llmc|datatrove --out PREFIX FILE|PREFIX",
    .detail = "The end-of-document token closes each document, in llm.c it opens them.",
    .field = convert_field,
    .n_field = N_OF(convert_field),
    .opts_size = sizeof(struct opts),
    .defaults = &defaults,
    .run = run_convert,
};
