/* cli/cmd_eval.c - `eval`: held-out loss of a checkpoint; one row per domain, then their mean. */
#include <stdlib.h>
#include <string.h>

#include "backend/backend.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "cli/commands.h"
#include "cli/domains.h"
#include "corpus/reader.h"
#include "eval/score.h"
#include "model/model.h"
#include "tok/tok.h"

struct opts {
    const char *model, *precision;
    struct textlist domains;
    uint64_t seq_len, max_bytes;
};
static const struct opts defaults = { .precision = "auto", .max_bytes = EVAL_MAX_BYTES };

static const struct field field[] = {
    { .name = "model",
      .kind = FIELD_TEXT,
      .unit = "RUN|DIR",
      .help = "a run folder or a Hugging Face folder",
      .offset = offsetof(struct opts, model),
      .required = true },
    { .name = "domains",
      .kind = FIELD_LIST,
      .unit = "[NAME=]PATH",
      .help = "text, JSONL or other documents, folders of them (a domain a file; a folder made by "
              "`corpus` is one domain), or token files by their prefix",
      .offset = offsetof(struct opts, domains),
      .required = true },
    { .name = "seq_len",
      .kind = FIELD_WHOLE,
      .unit = "tokens",
      .help = "window length (default: the model's, at most 1024)",
      .offset = offsetof(struct opts, seq_len),
      .min = 2,
      .max = 65536 },
    { .name = "max_bytes",
      .kind = FIELD_WHOLE,
      .unit = "bytes",
      .help = "text scored a domain, the same for every model; 0: all",
      .offset = offsetof(struct opts, max_bytes),
      .max = 1e15 },
    { .name = "precision",
      .kind = FIELD_CHOICE,
      .choices = "auto|fp32|bf16",
      .help = "of matrix products",
      .offset = offsetof(struct opts, precision) },
};

enum { DEFAULT_MAX_SEQ_LEN = 1024 };

static enum st read_file(struct eval_texts *t, const char *path, bool strict, struct err *err)
{
    struct reader_conf conf = { .strict = strict };
    struct reader *r;
    struct doc doc;
    enum st st = reader_open(&r, path, &conf, err);
    if (st < 0)
        return st;
    while ((st = reader_next(r, &doc, err)) == ST_OK)
        if (!eval_texts_add(t, doc.text, doc.n_bytes)) {
            log_warn("'%s': only the first documents, up to %d MiB, are looked at", path,
                     (int)(EVAL_MAX_TEXT >> 20));
            st = ST_END;
            break;
        }
    reader_close(r);
    return st == ST_END ? ST_OK : st;
}

static enum st read_texts(struct eval_domain *d, const struct domain_source *s,
                          const struct tok *tok, int seq_len, uint64_t max_bytes, bool strict,
                          struct err *err)
{
    struct eval_texts *t = eval_texts_new(tok);
    struct strlist files = { 0 };
    enum st st = paths_expand(&files, &(char *const){ s->path }, 1, err);
    for (size_t i = 0; i < files.n && st == ST_OK; i++)
        if (!s->is_corpus || str_starts(path_base(files.s[i]), "docs-"))
            st = read_file(t, files.s[i], strict, err);
    if (st == ST_OK)
        st = eval_texts_domain(t, d, s->name, seq_len, max_bytes, err);
    strlist_release(&files);
    eval_texts_free(t);
    return st;
}

static struct js *row(const char *domain, double loss, double bpb, uint64_t n_tok, uint64_t n_bytes)
{
    struct js *o = js_object();
    js_put_text(o, "domain", domain);
    js_put_real(o, "loss", loss);
    js_put_real(o, "bpb", bpb);
    js_put_whole(o, "n_tok", (int64_t)n_tok);
    js_put_whole(o, "n_bytes", (int64_t)n_bytes);
    return o;
}

static enum st score_all(const struct opts *o, struct cli *cli, struct model *m,
                         const struct tok *tok, const struct domain_sources *all, struct err *err)
{
    int limit = model_config(m)->max_seq_len;
    int seq_len =
        o->seq_len ? (int)o->seq_len : (limit < DEFAULT_MAX_SEQ_LEN ? limit : DEFAULT_MAX_SEQ_LEN);
    if (seq_len > limit)
        return err_set(err, ST_USAGE, "--seq-len %d is longer than the model's %d", seq_len, limit);
    struct bpb *score = NEW_ARRAY(struct bpb, all->n);
    struct progress p;
    enum st st = ST_OK;
    progress_start(&p, "eval", all->n, "domains");
    for (size_t i = 0; i < all->n && st == ST_OK; i++) {
        struct eval_domain d = { 0 };
        const struct domain_source *s = &all->s[i];
        if (s->is_tokens)
            st = eval_domain_shard(&d, s->name, s->path, tok, seq_len, o->max_bytes, err);
        else
            st = read_texts(&d, s, tok, seq_len, o->max_bytes, cli->strict, err);
        if (st == ST_OK)
            st = eval_score_domain(m, &d, &score[i], err);
        if (st == ST_OK)
            out_row(cli->out, row(s->name, bpb_loss(&score[i]), bpb_value(&score[i]),
                                  score[i].n_tok, score[i].n_bytes));
        eval_domain_release(&d);
        progress_at(&p, i + 1);
    }
    progress_end(&p);
    if (st == ST_OK) {
        struct eval_mean mean = eval_mean(score, all->n);
        out_row(cli->out, row("mean", mean.loss, mean.bpb, mean.n_tok, mean.n_bytes));
    }
    free(score);
    return st;
}

static enum st run(void *opts, struct cli *cli, int argc, char **argv, struct err *err)
{
    struct opts *o = opts;
    struct backend *b = NULL;
    struct model *m = NULL;
    struct tok *tok = NULL;
    struct domain_sources all = { 0 };
    char *dir = NULL, *tok_path = NULL;
    if (argc > 0)
        return err_set(err, ST_USAGE, "'%s' belongs to no option; domains follow --domains",
                       argv[0]);
    enum precision precision = strcmp(o->precision, "fp32") == 0   ? PRECISION_FP32
                               : strcmp(o->precision, "bf16") == 0 ? PRECISION_BF16
                                                                   : PRECISION_AUTO;
    enum st st = checkpoint_dir(&dir, o->model, err);
    if (st == ST_OK) {
        tok_path = path_join(dir, "tokenizer.json");
        st = tok_load(&tok, tok_path, err);
    }
    if (st == ST_OK)
        st = domain_sources_list(&all, &o->domains, err);
    if (st == ST_OK)
        st = backend_open(&b, cli->backend, (int)cli->threads, precision, err);
    if (st == ST_OK)
        st = model_load(&m, dir, b, err);
    if (st == ST_OK && tok_vocab_size(tok) > model_config(m)->vocab_size)
        st = err_set(err, ST_USAGE, "'%s' knows %d tokens, the model %d", tok_path,
                     tok_vocab_size(tok), model_config(m)->vocab_size);
    if (st == ST_OK)
        st = score_all(o, cli, m, tok, &all, err);
    domain_sources_release(&all);
    model_free(m);
    backend_close(b);
    tok_free(tok);
    free(tok_path);
    free(dir);
    return st;
}

const struct command cmd_eval = {
    .name = "eval",
    .summary = "score a checkpoint on held-out text: nats per token and bits per byte, by domain",
    .usage = "eval --model RUN|DIR [options] --domains [NAME=]PATH...",
    .detail =
        "Prints a row per domain (domain loss bpb n_tok n_bytes) and their unweighted mean as "
        "domain \"mean\". Texts are encoded with the model's own tokenizer.json; token files "
        "made with another tokenizer are refused. The same text is scored for every model: "
        "up to --max-bytes a domain, spread over its documents.",
    .field = field,
    .n_field = N_OF(field),
    .opts_size = sizeof(struct opts),
    .defaults = &defaults,
    .run = run,
};
