/*
 * bench/kv.c - the generator's cache as halves and as bytes: memory, and tokens a second of
 * decoding alone.
 *
 *     kv_bench MODEL STREAMS PROMPT NEW ROUNDS TEXT.txt [THREADS [auto|fp32|int16|int8]]
 *
 * Both generators are open at once and take turns. Before the first round each reads its prompts,
 * consecutive pieces of PROMPT tokens; from then on they are in the cache, so that a round is NEW
 * tokens of STREAMS requests and next to nothing else. Prints a JSON line for each form, and one
 * with the ratio of each pair of rounds.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "model/generate.h"

enum { MAX_STREAMS = 256, MAX_ROUNDS = 64, N_KV = 2 };

struct bench {
    struct gen *g[N_KV];
    char *prompt[MAX_STREAMS];
    int n_stream, n_prompt, n_new, n_round;
    double rate[N_KV][MAX_ROUNDS];
};

static int fail(const struct err *err)
{
    fprintf(stderr, "%s\n", err->msg);
    return 1;
}

/* Generated tokens a second of one round. */
static double one_round(struct bench *b, struct gen *g, uint64_t seed)
{
    struct gen_result r;
    struct err err = { "" };
    int n_new = 0;
    double start = clock_s();
    for (int i = 0; i < b->n_stream; i++) {
        struct gen_request q = { .raw = b->prompt[i],
                                 .sampling = { .temperature = 0.8,
                                               .top_p = 0.95,
                                               .max_tok = b->n_new,
                                               .seed = seed + (uint64_t)i } };
        gen_submit(g, &q);
    }
    enum st st;
    while ((st = gen_next(g, &r, &err)) == ST_OK)
        n_new += r.n_tok;
    if (st < 0)
        exit(fail(&err));
    return n_new / (clock_s() - start);
}

static enum st make_prompts(struct bench *b, const char *path, struct err *err)
{
    struct strbuf text = { 0 }, piece = { 0 };
    enum st st = file_read(path, 1 << 24, &text, err);
    if (st < 0)
        return st;
    uint32_t *ids = NEW_ARRAY(uint32_t, text.n);
    size_t n_tok = tok_encode(gen_tok(b->g[0]), text.s, text.n, ids);
    if (n_tok < (size_t)b->n_stream * (size_t)b->n_prompt)
        return err_set(err, ST_USAGE, "'%s' has %zu tokens, want %d", path, n_tok,
                       b->n_stream * b->n_prompt);
    for (int i = 0; i < b->n_stream; i++) {
        str_clear(&piece);
        tok_decode(gen_tok(b->g[0]), ids + i * b->n_prompt, (size_t)b->n_prompt, &piece);
        b->prompt[i] = xstrndup(piece.s, piece.n);
    }
    free(ids);
    str_release(&text);
    str_release(&piece);
    return ST_OK;
}

static void show(const struct js *row)
{
    struct strbuf b = { 0 };
    js_write(row, &b);
    puts(b.s);
    str_release(&b);
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static struct js *median_of(double *x, int n, struct js *row, const char *name)
{
    struct js *all = js_array();
    for (int i = 0; i < n; i++)
        js_push_real(all, x[i]);
    qsort(x, (size_t)n, sizeof *x, by_size);
    js_put_real(row, name, n % 2 ? x[n / 2] : (x[n / 2 - 1] + x[n / 2]) / 2);
    js_put(row, "rounds", all);
    return row;
}

static void report(struct bench *b)
{
    double ratio[MAX_ROUNDS];
    for (int i = 0; i < b->n_round; i++)
        ratio[i] = b->rate[1][i] / b->rate[0][i];
    for (int kv = 0; kv < N_KV; kv++) {
        struct js *row = js_object();
        js_put_text(row, "kv", gen_kv(b->g[kv]));
        js_put_text(row, "kernels", gen_kernels(b->g[kv]));
        js_put_text(row, "precision", gen_precision(b->g[kv]));
        js_put_real(row, "cache_mib", (double)gen_kv_bytes(b->g[kv]) / (1 << 20));
        show(median_of(b->rate[kv], b->n_round, row, "tok_per_s"));
        js_free(row);
    }
    struct js *row = js_object();
    js_put_whole(row, "streams", b->n_stream);
    js_put_whole(row, "prompt_tokens_each", b->n_prompt);
    js_put_whole(row, "new_tokens_each", b->n_new);
    show(median_of(ratio, b->n_round, row, "q8_to_f16"));
    js_free(row);
}

int main(int argc, char **argv)
{
    struct bench b = { .n_stream = argc > 2 ? atoi(argv[2]) : 0,
                       .n_prompt = argc > 3 ? atoi(argv[3]) : 0,
                       .n_new = argc > 4 ? atoi(argv[4]) : 0,
                       .n_round = argc > 5 ? atoi(argv[5]) : 0 };
    struct err err = { "" };
    if (argc < 7 || b.n_stream < 1 || b.n_stream > MAX_STREAMS || b.n_prompt < 1 || b.n_new < 1 ||
        b.n_round < 1 || b.n_round > MAX_ROUNDS) {
        fprintf(stderr, "usage: kv_bench MODEL STREAMS PROMPT NEW ROUNDS TEXT.txt "
                        "[THREADS [" GEN_PRECISIONS "]]\n");
        return 2;
    }
    struct gen_conf conf = { .n_slots = b.n_stream,
                             .n_threads = argc > 7 ? atoi(argv[7]) : 0,
                             .max_seq_len = b.n_prompt + b.n_new + 32,
                             .precision = gen_precision_by_name(argc > 8 ? argv[8] : "auto") };
    for (int kv = 0; kv < N_KV; kv++) {
        conf.kv = (enum gen_kv)kv;
        if (gen_open(&b.g[kv], argv[1], &conf, &err) < 0)
            return fail(&err);
    }
    if (make_prompts(&b, argv[6], &err) < 0)
        return fail(&err);
    for (int kv = 0; kv < N_KV; kv++)
        one_round(&b, b.g[kv], 0);
    for (int round = 0; round < b.n_round; round++)
        for (int kv = 0; kv < N_KV; kv++)
            b.rate[kv][round] = one_round(&b, b.g[kv], 1);
    report(&b);
    for (int kv = 0; kv < N_KV; kv++)
        gen_close(b.g[kv]);
    for (int i = 0; i < b.n_stream; i++)
        free(b.prompt[i]);
    return 0;
}
