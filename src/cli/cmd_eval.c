/*
 * cli/cmd_eval.c - `eval`: held-out loss of a model, a row per domain and their mean; multiple
 * choice, a row per file.
 *
 * Run and Hugging Face folders are scored by the training engine, GGUF files and questions by the
 * generator's.
 */
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "backend/backend.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "cli/commands.h"
#include "cli/domains.h"
#include "corpus/reader.h"
#include "eval/choice.h"
#include "eval/score.h"
#include "model/model.h"
#include "tok/tok.h"

struct opts {
    const char *model, *precision, *kv;
    struct textlist domains, tasks;
    uint64_t seq_len, stride, max_bytes;
};
static const struct opts defaults = { .precision = "auto",
                                      .kv = "f16",
                                      .max_bytes = EVAL_MAX_BYTES };

static const struct field field[] = {
    { .name = "model",
      .kind = FIELD_TEXT,
      .unit = "RUN|DIR|FILE.gguf",
      .help = "a run folder, a Hugging Face folder or a GGUF file",
      .offset = offsetof(struct opts, model),
      .required = true },
    { .name = "domains",
      .kind = FIELD_LIST,
      .unit = "[NAME=]PATH",
      .help = "text, JSONL or other documents, folders of them (a domain a file; a folder made by "
              "`corpus` is one domain), or token files by their prefix",
      .offset = offsetof(struct opts, domains) },
    { .name = "tasks",
      .kind = FIELD_LIST,
      .unit = "FILE.jsonl",
      .help = "multiple-choice questions of HellaSwag, ARC or PIQA",
      .offset = offsetof(struct opts, tasks) },
    { .name = "seq_len",
      .kind = FIELD_WHOLE,
      .unit = "tokens",
      .help = "window length (default: the model's, at most 1024)",
      .offset = offsetof(struct opts, seq_len),
      .min = 2,
      .max = 65536 },
    { .name = "stride",
      .kind = FIELD_WHOLE,
      .unit = "tokens",
      .help = "windows begin so far apart and score their last so many tokens, each after more "
              "context (default: the "
              "window length)",
      .offset = offsetof(struct opts, stride),
      .min = 1,
      .max = 65536 },
    { .name = "max_bytes",
      .kind = FIELD_WHOLE,
      .unit = "bytes",
      .help = "text scored a domain, the same for every model; 0: all",
      .offset = offsetof(struct opts, max_bytes),
      .max = 1e15 },
    { .name = "precision",
      .kind = FIELD_CHOICE,
      .choices = "auto|fp32|bf16|int16|int8",
      .help = "of matrix products; int16 and int8 with the integers of a quantised GGUF file, auto "
              "there: int16, which "
              "equals fp32",
      .offset = offsetof(struct opts, precision) },
    { .name = "kv",
      .kind = FIELD_CHOICE,
      .choices = GEN_KVS,
      .help = "of the generator's engine: q8 shows what its texts lose by a cache of bytes",
      .offset = offsetof(struct opts, kv) },
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

/* The model behind one of the two engines, or both. */
struct scored {
    struct backend *b;
    struct model *m;
    struct gen *g;
    struct tok *tok; /* of m; g has its own */
};

static enum st open_generator(struct scored *s, const struct opts *o, const struct cli *cli,
                              struct err *err)
{
    struct gen_conf conf = { .n_threads = (int)cli->threads,
                             .max_seq_len = INT_MAX, /* all that the model takes */
                             .precision = GEN_INT16,
                             .kv = gen_kv_by_name(o->kv) };
    if (strcmp(o->precision, "bf16") == 0)
        return err_set(err, ST_UNSUPPORTED,
                       "--precision bf16 with GGUF files or --tasks, want fp32, int16 or int8");
    if (strcmp(cli->backend, "auto") != 0 && strcmp(cli->backend, "cpu") != 0)
        return err_set(err, ST_UNSUPPORTED,
                       "GGUF files and --tasks on backend '%s', want auto or cpu", cli->backend);
    if (strcmp(o->precision, "auto") != 0)
        conf.precision = gen_precision_by_name(o->precision);
    return gen_open(&s->g, o->model, &conf, err);
}

static enum st open_engine(struct scored *s, const struct opts *o, const struct cli *cli,
                           struct err *err)
{
    enum precision precision = strcmp(o->precision, "fp32") == 0   ? PRECISION_FP32
                               : strcmp(o->precision, "bf16") == 0 ? PRECISION_BF16
                                                                   : PRECISION_AUTO;
    char *dir = NULL, *tok_path = NULL;
    enum st st = checkpoint_dir(&dir, o->model, err);
    if (st == ST_OK) {
        tok_path = path_join(dir, "tokenizer.json");
        st = tok_load(&s->tok, tok_path, err);
    }
    if (st == ST_OK)
        st = backend_open(&s->b, cli->backend, (int)cli->threads, precision, err);
    if (st == ST_OK)
        st = model_load(&s->m, dir, s->b, err);
    if (st == ST_OK && tok_vocab_size(s->tok) > model_config(s->m)->vocab_size)
        st = err_set(err, ST_USAGE, "'%s' knows %d tokens, the model %d", tok_path,
                     tok_vocab_size(s->tok), model_config(s->m)->vocab_size);
    free(tok_path);
    free(dir);
    return st;
}

static enum st score_domain(struct bpb *out, const struct scored *m, const struct domain_source *s,
                            int seq_len, const struct opts *o, const struct cli *cli,
                            struct err *err)
{
    const struct tok *tok = m->m ? m->tok : gen_tok(m->g);
    struct eval_domain d = { 0 };
    enum st st;
    if (s->is_tokens)
        st = eval_domain_shard(&d, s->name, s->path, tok, seq_len, o->max_bytes, err);
    else
        st = read_texts(&d, s, tok, seq_len, o->max_bytes, cli->strict, err);
    if (st == ST_OK && o->stride)
        eval_domain_stride(&d, (int)o->stride);
    if (st == ST_OK)
        st = m->m ? eval_score_domain(m->m, &d, out, err)
                  : eval_score_domain_gen(m->g, &d, out, err);
    eval_domain_release(&d);
    return st;
}

static enum st score_domains(const struct opts *o, struct cli *cli, const struct scored *m,
                             struct err *err)
{
    int limit = m->m ? model_config(m->m)->max_seq_len : gen_max_text(m->g) - 1;
    int seq_len =
        o->seq_len ? (int)o->seq_len : (limit < DEFAULT_MAX_SEQ_LEN ? limit : DEFAULT_MAX_SEQ_LEN);
    if (seq_len > limit)
        return err_set(err, ST_USAGE, "--seq-len %d is longer than the model's %d", seq_len, limit);
    if (o->stride > (uint64_t)seq_len)
        return err_set(err, ST_USAGE, "--stride %d is longer than a window of %d", (int)o->stride,
                       seq_len);
    struct domain_sources all = { 0 };
    struct progress p;
    enum st st = domain_sources_list(&all, &o->domains, err);
    struct bpb *score = NEW_ARRAY(struct bpb, all.n + 1);
    progress_start(&p, "eval", all.n, "domains");
    for (size_t i = 0; i < all.n && st == ST_OK; i++) {
        st = score_domain(&score[i], m, &all.s[i], seq_len, o, cli, err);
        if (st == ST_OK)
            out_row(cli->out, row(all.s[i].name, bpb_loss(&score[i]), bpb_value(&score[i]),
                                  score[i].n_tok, score[i].n_bytes));
        progress_at(&p, i + 1);
    }
    progress_end(&p);
    if (st == ST_OK) {
        struct eval_mean mean = eval_mean(score, all.n);
        out_row(cli->out, row("mean", mean.loss, mean.bpb, mean.n_tok, mean.n_bytes));
    }
    domain_sources_release(&all);
    free(score);
    return st;
}

static enum st answer_task(struct cli *cli, struct gen *g, const char *path, struct err *err)
{
    struct questions q;
    struct choice_score score;
    enum st st = choice_read(&q, path, cli->strict, err);
    if (st < 0)
        return st;
    double start = clock_s();
    st = choice_score(&q, g, &score, NULL, err);
    if (st == ST_OK) {
        struct js *o = js_object();
        js_put_text(o, "task", q.name);
        js_put_text(o, "kind", q.kind);
        js_put_real(o, "acc", score.acc);
        js_put_real(o, "acc_stderr", score.acc_stderr);
        js_put_real(o, "acc_norm", score.acc_norm);
        js_put_real(o, "acc_norm_stderr", score.acc_norm_stderr);
        js_put_whole(o, "n_question", (int64_t)score.n_question);
        js_put_whole(o, "n_skipped", (int64_t)q.n_skipped);
        js_put_whole(o, "n_tok", (int64_t)score.n_tok);
        js_put_real(o, "wall_s", clock_s() - start);
        out_row(cli->out, o);
    }
    choice_release(&q);
    return st;
}

static enum st run(void *opts, struct cli *cli, int argc, char **argv, struct err *err)
{
    const struct opts *o = opts;
    struct scored m = { 0 };
    if (argc > 0)
        return err_set(err, ST_USAGE,
                       "'%s' belongs to no option; domains follow --domains, questions --tasks",
                       argv[0]);
    if (o->domains.n == 0 && o->tasks.n == 0)
        return err_set(err, ST_USAGE, "want --domains, --tasks or both");
    bool by_generator = (file_exists(o->model) && !file_is_dir(o->model)) ||
                        str_starts(o->precision, "int") || strcmp(o->kv, "f16") != 0;
    enum st st = ST_OK;
    if (o->tasks.n > 0 || by_generator)
        st = open_generator(&m, o, cli, err);
    if (st == ST_OK && o->domains.n > 0 && !by_generator)
        st = open_engine(&m, o, cli, err);
    if (st == ST_OK && o->domains.n > 0)
        st = score_domains(o, cli, &m, err);
    for (size_t i = 0; i < o->tasks.n && st == ST_OK; i++)
        st = answer_task(cli, m.g, o->tasks.s[i], err);
    model_free(m.m);
    backend_close(m.b);
    tok_free(m.tok);
    gen_close(m.g);
    return st;
}

const struct command cmd_eval = {
    .name = "eval",
    .summary = "score a model on held-out text, by domain, and on multiple-choice questions",
    .usage =
        "eval --model RUN|DIR|FILE.gguf [options] [--domains [NAME=]PATH...] [--tasks FILE...]",
    .detail =
        "Prints a row per domain (domain loss bpb n_tok n_bytes) and their unweighted mean as "
        "domain \"mean\". Texts are encoded with the model's own tokenizer; token files "
        "made with another tokenizer are refused. The same text is scored for every model: "
        "up to --max-bytes a domain, spread over its documents.\n"
        "For a file of questions a row says task, kind, acc (the likeliest choice is right), "
        "acc_norm (likeliest per character) and their standard errors, as lm-evaluation-harness "
        "counts them without examples in the prompt.",
    .field = field,
    .n_field = N_OF(field),
    .opts_size = sizeof(struct opts),
    .defaults = &defaults,
    .run = run,
};
