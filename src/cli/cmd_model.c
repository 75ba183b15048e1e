/* cli/cmd_model.c - `model inspect|sample|chat|convert`: what a model file is, and text from it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/gguf.h"
#include "base/log.h"
#include "base/mem.h"
#include "cli/commands.h"
#include "model/export.h"
#include "model/generate.h"
#include "model/gguf_weights.h"
#include "model/hf.h"
#include "model/weights.h"

static void put_shape(struct js *row, const struct model_conf *c)
{
    js_put_whole(row, "n_param", (int64_t)model_n_param(c));
    js_put_whole(row, "n_param_nonemb", (int64_t)model_n_param_nonemb(c));
    js_put_whole(row, "n_layer", c->n_layer);
    js_put_whole(row, "d_model", c->d_model);
    js_put_whole(row, "n_head", c->n_head);
    js_put_whole(row, "n_kv_head", c->n_kv_head);
    js_put_whole(row, "d_head", c->d_head);
    js_put_whole(row, "d_ff", c->d_ff);
    js_put_whole(row, "vocab_size", c->vocab_size);
    js_put_whole(row, "max_seq_len", c->max_seq_len);
    js_put_real(row, "rope_theta", c->rope_theta);
    js_put_real(row, "norm_eps", c->norm_eps);
    js_put_bool(row, "tied", c->tied);
    static const char *const bias[] = { "none", "qkv", "qkvo" };
    js_put_text(row, "attention_bias", bias[c->bias]);
    if (c->window)
        js_put_whole(row, "window", c->window);
    if (c->scaling.factor != 0)
        js_put_real(row, "rope_factor", c->scaling.factor);
}

/* {"F32":61,"Q4_1":210}, in the order of their first appearance. */
static void count_type(struct js *types, const char *name)
{
    js_put_whole(types, name, js_get_whole(types, name, 0) + 1);
}

static enum st inspect_gguf(struct js *row, const char *path, struct err *err)
{
    struct gguf *g;
    struct model_conf c;
    enum st st = gguf_open(&g, path, err);
    if (st < 0)
        return st;
    struct js *types = js_object();
    for (size_t i = 0; i < gguf_n_tensors(g); i++)
        count_type(types, gguf_type_name(gguf_tensor_at(g, i)->type));
    js_put_text(row, "format", "gguf");
    js_put_text(row, "name", gguf_text(g, "general.name", NULL));
    js_put_text(row, "license", gguf_text(g, "general.license", NULL));
    js_put_text(row, "architecture", gguf_text(g, "general.architecture", NULL));
    js_put_whole(row, "n_tensor", (int64_t)gguf_n_tensors(g));
    js_put(row, "types", types);
    js_put_text(row, "tokenizer", gguf_text(g, "tokenizer.ggml.pre", NULL));
    const char *chat = gguf_text(g, "tokenizer.chat_template", NULL);
    js_put_text(row, "chat", !chat ? NULL : strstr(chat, "<|im_start|>") ? "chatml" : "other");
    struct err why = { "" };
    st = gguf_model_conf(&c, g, &why);
    if (st == ST_OK)
        put_shape(row, &c);
    else
        js_put_text(row, "problem", why.msg);
    gguf_close(g);
    return ST_OK;
}

static enum st inspect_folder(struct js *row, const char *dir, struct err *err)
{
    struct model_conf c;
    struct hf_files *f;
    enum st st = hf_conf_read(&c, dir, err);
    if (st == ST_OK)
        st = hf_files_open(&f, dir, err);
    if (st < 0)
        return st;
    struct js *types = js_object();
    for (size_t i = 0; i < hf_files_n_tensor(f); i++)
        count_type(types, hf_files_tensor_at(f, i)->dtype);
    js_put_text(row, "format", "huggingface");
    js_put_whole(row, "n_file", (int64_t)hf_files_n(f));
    js_put_whole(row, "n_tensor", (int64_t)hf_files_n_tensor(f));
    js_put(row, "types", types);
    put_shape(row, &c);
    hf_files_close(f);
    return ST_OK;
}

static enum st one_model(int argc, struct err *err)
{
    return argc == 1 ? ST_OK
                     : err_set(err, ST_USAGE,
                               "want one MODEL: a GGUF file, a Hugging Face folder or a run");
}

static enum st run_inspect(void *opts, struct cli *cli, int argc, char **argv, struct err *err)
{
    (void)opts;
    enum st st = one_model(argc, err);
    if (st < 0)
        return st;
    struct js *row = js_object();
    char *place = weights_place(argv[0]);
    js_put_text(row, "path", place);
    st = file_is_dir(place) ? inspect_folder(row, place, err) : inspect_gguf(row, place, err);
    free(place);
    if (st == ST_OK)
        out_row(cli->out, row);
    else
        js_free(row);
    return st;
}

const struct command cmd_model_inspect = {
    .name = "model inspect",
    .summary = "shape, types and origin of a model",
    .usage = "model inspect MODEL",
    .detail = "MODEL is a GGUF file, a Hugging Face folder or a run.\nA GGUF file that cannot be "
              "run here is shown with the reason as its problem.",
    .run = run_inspect,
};

struct sample_opts {
    const char *prompt, *system, *prefill, *precision, *kv;
    bool raw;
    uint64_t max_tokens, n, top_k;
    double temperature, top_p, min_p, repetition_penalty;
    struct textlist stop;
};
static const struct sample_opts sample_defaults = { .precision = "auto",
                                                    .kv = "f16",
                                                    .max_tokens = 128,
                                                    .n = 1,
                                                    .temperature = 0.7,
                                                    .top_p = 0.95,
                                                    .repetition_penalty = 1 };

#define AT(member) offsetof(struct sample_opts, member)
/* The first three are sample's alone, see cmd_model_chat. */
static const struct field sample_field[] = {
    { .name = "prompt",
      .kind = FIELD_TEXT,
      .unit = "TEXT",
      .help = "what the user says, or with --raw the text to go on from",
      .offset = AT(prompt),
      .required = true },
    { .name = "raw",
      .kind = FIELD_BOOL,
      .help = "no chat template: the prompt as it is, marks like <|im_start|> included",
      .offset = AT(raw) },
    { .name = "n",
      .kind = FIELD_WHOLE,
      .unit = "samples",
      .help = "how many, with seeds --seed, --seed + 1, ...",
      .offset = AT(n),
      .min = 1,
      .max = 100000 },
    { .name = "system",
      .kind = FIELD_TEXT,
      .unit = "TEXT",
      .help = "system message; default: the template's own",
      .offset = AT(system) },
    { .name = "prefill",
      .kind = FIELD_TEXT,
      .unit = "TEXT",
      .help = "the answer's first words",
      .offset = AT(prefill) },
    { .name = "max_tokens",
      .kind = FIELD_WHOLE,
      .unit = "tokens",
      .help = "new tokens at most",
      .offset = AT(max_tokens),
      .min = 1,
      .max = 1000000 },
    { .name = "temperature",
      .kind = FIELD_REAL,
      .help = "0: always the likeliest token",
      .offset = AT(temperature),
      .min = 0,
      .max = 100 },
    { .name = "top_p",
      .kind = FIELD_REAL,
      .help = "only the likeliest tokens of this total probability; 1: all",
      .offset = AT(top_p),
      .min = 0,
      .max = 1 },
    { .name = "top_k",
      .kind = FIELD_WHOLE,
      .unit = "tokens",
      .help = "only so many of the likeliest tokens; 0: all",
      .offset = AT(top_k),
      .min = 0,
      .max = 1000000 },
    { .name = "min_p",
      .kind = FIELD_REAL,
      .help = "only tokens at least so likely as this part of the likeliest; 0: all",
      .offset = AT(min_p),
      .min = 0,
      .max = 1 },
    { .name = "repetition_penalty",
      .kind = FIELD_REAL,
      .help = "above 1: tokens of the answer become less likely; 1: off",
      .offset = AT(repetition_penalty),
      .min = 0.01,
      .max = 100 },
    { .name = "precision",
      .kind = FIELD_CHOICE,
      .choices = GEN_PRECISIONS,
      .help = "of products; auto: int8 for quantised files, else fp32",
      .offset = AT(precision) },
    { .name = "kv",
      .kind = FIELD_CHOICE,
      .choices = GEN_KVS,
      .help =
          "keys and values of the context are kept as halves, or as bytes in 53 % of the memory",
      .offset = AT(kv) },
    { .name = "stop",
      .kind = FIELD_LIST,
      .unit = "TEXT...",
      .help = "end the answer before any of these",
      .offset = AT(stop) },
};
enum { SAMPLE_ONLY = 3 };

static void submit(struct gen *g, const struct sample_opts *o, const char *prompt, uint64_t seed)
{
    struct gen_request r = { .system = o->system,
                             .user = o->raw ? NULL : prompt,
                             .raw = o->raw ? prompt : NULL,
                             .prefill = o->prefill,
                             .sampling = { .temperature = o->temperature,
                                           .top_p = o->top_p,
                                           .top_k = (int)o->top_k,
                                           .min_p = o->min_p,
                                           .repetition_penalty = o->repetition_penalty,
                                           .max_tok = (int)o->max_tokens,
                                           .seed = seed,
                                           .stop = o->stop.s,
                                           .n_stop = (int)o->stop.n },
                             .tag = seed };
    gen_submit(g, &r);
}

static const char *finish_name(enum gen_finish f)
{
    return f == GEN_STOP ? "stop" : f == GEN_LENGTH ? "length" : "too_long";
}

static struct js *result_row(const struct gen_result *r)
{
    struct js *row = js_object();
    js_put_whole(row, "seed", (int64_t)r->tag);
    js_put_textn(row, "text", r->text, r->n_bytes);
    js_put_text(row, "finish", finish_name(r->finish));
    js_put_whole(row, "tokens_prompt", r->n_tok_prompt);
    js_put_whole(row, "tokens_out", r->n_tok);
    js_put_real(row, "tok_per_s", r->wall_s > 0 ? r->n_tok / r->wall_s : 0);
    js_put_real(row, "wall_s", r->wall_s);
    return row;
}

static enum st open_model(struct gen **g, const struct cli *cli, const char *path,
                          const struct sample_opts *o, struct err *err)
{
    struct gen_conf conf = { .n_threads = (int)cli->threads,
                             .precision = gen_precision_by_name(o->precision),
                             .kv = gen_kv_by_name(o->kv) };
    if (strcmp(cli->backend, "auto") != 0 && strcmp(cli->backend, "cpu") != 0)
        return err_set(err, ST_UNSUPPORTED, "generation on backend '%s', want auto or cpu",
                       cli->backend);
    return gen_open(g, path, &conf, err);
}

/* Rows come out in the order of seeds, whichever sample was finished first. */
static enum st run_sample(void *opts, struct cli *cli, int argc, char **argv, struct err *err)
{
    const struct sample_opts *o = opts;
    struct gen *g;
    struct gen_result r;
    enum st st = one_model(argc, err);
    if (st == ST_OK)
        st = open_model(&g, cli, argv[0], o, err);
    if (st < 0)
        return st;
    double start = clock_s();
    uint64_t n_tok = 0, n_out = 0;
    struct js **row = xcalloc(o->n, sizeof *row);
    for (uint64_t i = 0; i < o->n; i++)
        submit(g, o, o->prompt, cli->seed + i);
    while ((st = gen_next(g, &r, err)) == ST_OK) {
        n_tok += (uint64_t)r.n_tok;
        row[r.tag - cli->seed] = result_row(&r);
        for (; n_out < o->n && row[n_out]; n_out++)
            out_row(cli->out, row[n_out]);
    }
    for (; n_out < o->n; n_out++)
        js_free(row[n_out]);
    free(row);
    if (st == ST_END && o->n > 1)
        log_info("%llu tokens in %.1f s: %.0f tokens/s (%s kernels, %s)", (unsigned long long)n_tok,
                 clock_s() - start, (double)n_tok / (clock_s() - start), gen_kernels(g),
                 gen_precision(g));
    gen_close(g);
    return st < 0 ? st : ST_OK;
}

const struct command cmd_model_sample = {
    .name = "model sample",
    .summary = "text from a model, one prompt, one or many samples",
    .usage = "model sample MODEL --prompt TEXT [options]",
    .detail = "MODEL is a GGUF file, a Hugging Face folder or a run. The same prompt, settings and "
              "seed give the same text, however many samples are made at once.",
    .field = sample_field,
    .n_field = N_OF(sample_field),
    .opts_size = sizeof(struct sample_opts),
    .defaults = &sample_defaults,
    .run = run_sample,
};

/* Each line is a conversation of its own: nothing is remembered. */
static enum st run_chat(void *opts, struct cli *cli, int argc, char **argv, struct err *err)
{
    const struct sample_opts *o = opts;
    struct gen *g;
    struct gen_result r;
    enum st st = one_model(argc, err);
    if (st == ST_OK)
        st = open_model(&g, cli, argv[0], o, err);
    if (st < 0)
        return st;
    char *line = NULL;
    size_t cap = 0;
    ssize_t n;
    uint64_t seed = cli->seed;
    bool people = !out_is_json(cli->out);
    for (;;) {
        if (people)
            fputs("> ", stderr);
        if ((n = getline(&line, &cap, stdin)) <= 0)
            break;
        if (line[n - 1] == '\n')
            line[n - 1] = '\0';
        if (!*line)
            continue;
        submit(g, o, line, seed++);
        if ((st = gen_next(g, &r, err)) < 0)
            break;
        if (people)
            printf("%.*s\n", (int)r.n_bytes, r.text);
        else
            out_row(cli->out, result_row(&r));
        fflush(stdout);
    }
    free(line);
    gen_close(g);
    return st < 0 ? st : ST_OK;
}

const struct command cmd_model_chat = {
    .name = "model chat",
    .summary = "answers each line of standard input through the model's chat template",
    .usage = "model chat MODEL [options]",
    .detail = "Every line is a question of its own; earlier ones are not remembered.",
    .field = sample_field + SAMPLE_ONLY,
    .n_field = N_OF(sample_field) - SAMPLE_ONLY,
    .opts_size = sizeof(struct sample_opts),
    .defaults = &sample_defaults,
    .run = run_chat,
};

struct convert_opts {
    const char *to, *tokenizer;
};
static const struct convert_opts convert_defaults = { 0 };

typedef enum st export_fn(const struct export_conf *c, const char *out, struct err *err);
static const struct target {
    const char *name;
    export_fn *run;
    enum gguf_type type;
} targets[] = {
    { "hf", export_hf, GGUF_F32 },           { "hf-bf16", export_hf, GGUF_BF16 },
    { "hf-f16", export_hf, GGUF_F16 },       { "gguf-f32", export_gguf, GGUF_F32 },
    { "gguf-f16", export_gguf, GGUF_F16 },   { "gguf-bf16", export_gguf, GGUF_BF16 },
    { "gguf-q8_0", export_gguf, GGUF_Q8_0 }, { "llmc", export_llmc, GGUF_F32 },
    { "llmc-bf16", export_llmc, GGUF_BF16 },
};

static const struct field convert_field[] = {
    { .name = "to",
      .kind = FIELD_CHOICE,
      .choices = "hf|hf-bf16|hf-f16|gguf-f32|gguf-f16|gguf-bf16|gguf-q8_0|llmc|llmc-bf16",
      .help = "Hugging Face folder, GGUF file or llm.c checkpoint, and the type of its weights",
      .offset = offsetof(struct convert_opts, to),
      .required = true },
    { .name = "tokenizer",
      .kind = FIELD_TEXT,
      .unit = "FILE",
      .help = "tokenizer.json to put in instead of the model's own; none: without",
      .offset = offsetof(struct convert_opts, tokenizer) },
};

static enum st run_convert(void *opts, struct cli *cli, int argc, char **argv, struct err *err)
{
    const struct convert_opts *o = opts;
    struct weights *w = NULL;
    if (argc != 2)
        return err_set(err, ST_USAGE, "want MODEL and OUT");
    const struct target *t = targets;
    while (strcmp(t->name, o->to) != 0) /* one of the choices */
        t++;
    double start = clock_s();
    char *place = weights_place(argv[0]);
    enum st st = weights_open(&w, place, err);
    if (st == ST_OK) {
        struct export_conf c = {
            .w = w, .from = place, .tokenizer = o->tokenizer, .type = t->type
        };
        st = t->run(&c, argv[1], err);
    }
    if (st == ST_OK) {
        struct js *row = js_object();
        js_put_text(row, "path", argv[1]);
        js_put_text(row, "format", o->to);
        js_put_whole(row, "n_param", (int64_t)model_n_param(&w->conf));
        js_put_real(row, "wall_s", clock_s() - start);
        out_row(cli->out, row);
    }
    weights_close(w);
    free(place);
    return st;
}

const struct command cmd_model_convert = {
    .name = "model convert",
    .summary = "a model as a Hugging Face folder, a GGUF file or an llm.c checkpoint",
    .usage = "model convert MODEL --to FORMAT OUT",
    .detail =
        "MODEL is a GGUF file, a Hugging Face folder or a run. OUT is a folder for hf, else a "
        "file. Norms and biases stay F32 in GGUF files. What the other side could not compute "
        "alike is refused: llm.c has no biases or sliding windows; llama.cpp has no windows "
        "either, there the file's context ends with the window.",
    .field = convert_field,
    .n_field = N_OF(convert_field),
    .opts_size = sizeof(struct convert_opts),
    .defaults = &convert_defaults,
    .run = run_convert,
};
