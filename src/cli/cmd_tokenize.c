/* cli/cmd_tokenize.c - `tokenize train|encode`: documents to a tokenizer, documents to token files.
 */
#include "base/log.h"
#include "cli/commands.h"
#include "cli/inputs.h"
#include "data/encode.h"

struct train_opts {
    uint64_t vocab_size, max_bytes;
    const char *out;
};
static const struct train_opts train_defaults = { .vocab_size = 8192, .max_bytes = 1000000000 };

static const struct field train_field[] = {
    { .name = "vocab_size",
      .kind = FIELD_WHOLE,
      .unit = "tokens",
      .help = "256 bytes, merges and the end-of-document token",
      .offset = offsetof(struct train_opts, vocab_size),
      .min = 257,
      .max = 2097152 },
    { .name = "out",
      .kind = FIELD_TEXT,
      .unit = "FILE",
      .help = "tokenizer.json to write",
      .offset = offsetof(struct train_opts, out),
      .required = true },
    { .name = "max_bytes",
      .kind = FIELD_WHOLE,
      .unit = "bytes",
      .help = "stop reading at so much text; 0: never",
      .offset = offsetof(struct train_opts, max_bytes) },
};

static enum st run_train(void *opts, struct cli *cli, int argc, char **argv, struct err *err)
{
    const struct train_opts *o = opts;
    struct strlist inputs = { 0 };
    struct train_tok_conf conf = { .vocab_size = (int)o->vocab_size,
                                   .max_bytes = o->max_bytes,
                                   .out = o->out,
                                   .strict = cli->strict };
    struct train_tok_counts counts;
    enum st st = inputs_fetch(&inputs, (size_t)argc, argv, err);
    if (st == ST_OK)
        st = train_tok_files(&counts, &conf, inputs.s, inputs.n, err);
    strlist_release(&inputs);
    if (st < 0)
        return st;
    struct js *row = js_object();
    js_put_whole(row, "vocab_size", counts.vocab_size);
    js_put_whole(row, "merges", (int64_t)counts.n_merges);
    js_put_whole(row, "docs", (int64_t)counts.n_docs);
    js_put_whole(row, "bytes_in", (int64_t)counts.n_bytes);
    js_put_real(row, "wall_s", counts.wall_s);
    out_row(cli->out, row);
    return ST_OK;
}

const struct command cmd_tokenize_train = {
    .name = "tokenize train",
    .summary = "train a byte-level BPE tokenizer on documents",
    .usage = "tokenize train --out tokenizer.json [--vocab-size N] INPUT...",
    .detail = "Text is split by the GPT-2 pattern with every digit alone, and the most frequent "
              "pair of neighbours is merged until the vocabulary is full.\nThe file loads in "
              "Hugging Face tokenizers and gives the same ids there.",
    .field = train_field,
    .n_field = N_OF(train_field),
    .opts_size = sizeof(struct train_opts),
    .defaults = &train_defaults,
    .run = run_train,
};

struct encode_opts {
    const char *tokenizer, *out, *source;
    uint64_t max_tokens;
};

static const struct field encode_field[] = {
    { .name = "tokenizer",
      .kind = FIELD_TEXT,
      .unit = "FILE",
      .help = "tokenizer.json, a folder with one, or a GGUF file",
      .offset = offsetof(struct encode_opts, tokenizer),
      .required = true },
    { .name = "out",
      .kind = FIELD_TEXT,
      .unit = "PREFIX",
      .help = "token files PREFIX.bin, PREFIX.idx and PREFIX.json",
      .offset = offsetof(struct encode_opts, out),
      .required = true },
    { .name = "source",
      .kind = FIELD_TEXT,
      .unit = "NAME",
      .help = "provenance of the documents; the prefix's name unless given",
      .offset = offsetof(struct encode_opts, source) },
    { .name = "max_tokens",
      .kind = FIELD_WHOLE,
      .unit = "tokens",
      .help = "take no further document once there are so many; 0: all",
      .offset = offsetof(struct encode_opts, max_tokens) },
};

static enum st run_encode(void *opts, struct cli *cli, int argc, char **argv, struct err *err)
{
    const struct encode_opts *o = opts;
    struct strlist inputs = { 0 };
    struct encode_conf conf = { .tokenizer = o->tokenizer,
                                .prefix = o->out,
                                .source = o->source,
                                .max_tok = o->max_tokens,
                                .strict = cli->strict,
                                .n_threads = (int)cli->threads };
    struct encode_counts counts;
    enum st st = inputs_fetch(&inputs, (size_t)argc, argv, err);
    if (st == ST_OK)
        st = encode_files(&counts, &conf, inputs.s, inputs.n, err);
    strlist_release(&inputs);
    if (st < 0)
        return st;
    if (st == ST_END)
        log_info("'%s' is up to date", o->out);
    struct js *row = js_object();
    js_put_whole(row, "docs", (int64_t)counts.n_docs);
    js_put_whole(row, "tokens", (int64_t)counts.n_tok);
    js_put_whole(row, "bytes", (int64_t)counts.n_bytes);
    js_put_whole(row, "skipped_records", (int64_t)counts.n_skipped);
    js_put_real(row, "wall_s", counts.wall_s);
    out_row(cli->out, row);
    return ST_OK;
}

const struct command cmd_tokenize_encode = {
    .name = "tokenize encode",
    .summary = "documents to token files that any Megatron-style trainer reads",
    .usage = "tokenize encode --tokenizer FILE --out PREFIX [options] INPUT...",
    .detail = "An end-of-document token closes each document. Special tokens' spellings in text "
              "are ordinary text.\nOf a folder that corpus or synth has made, docs-*.jsonl.zst are "
              "read.",
    .field = encode_field,
    .n_field = N_OF(encode_field),
    .opts_size = sizeof(struct encode_opts),
    .run = run_encode,
};
