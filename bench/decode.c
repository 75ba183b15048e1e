/*
 * bench/decode.c - generated tokens a second of whole requests: 256 prompt tokens and 128 new ones
 * each.
 *
 *     decode_bench MODEL STREAMS TEXT.txt [PROMPTS.json|- [auto|fp32|int16|int8 [AMATEUR]]]
 *
 * Prompts are consecutive pieces of the text; with PROMPTS.json they are written there as token
 * ids, for decode.py, which asks llama.cpp the same. Prints one JSON line with the best and all of
 * three rounds; beside them the prompts alone, from rounds that ask for one token each, what is
 * left of the best for the others, and log-probabilities of the same text as given: all tokens
 * scored. With AMATEUR: contrastive decoding, and no text is scored.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "model/generate.h"

enum { PROMPT = 256, NEW = 128, ROUNDS = 3, MAX_STREAMS = 256, SHIFT = 7 };

/* Text whose tokens are those PROMPT ids: special tokens do not occur in them. */
static char *piece(const struct tok *t, const uint32_t *ids)
{
    struct strbuf b = { 0 };
    tok_decode(t, ids, PROMPT, &b);
    return str_detach(&b);
}

/* Seconds; *n_prompt and *n_new: tokens of all streams. */
static double one_round(struct gen *g, char **prompt, int n, int cut, int max_tok, int *n_prompt,
                        int *n_new)
{
    struct gen_result r;
    struct err err;
    double start = clock_s();
    *n_prompt = *n_new = 0;
    for (int i = 0; i < n; i++) {
        /* Another byte is cut from the front in each round, or the prompts would still be in the
         * cache. */
        struct gen_request q = { .raw = prompt[i] + cut,
                                 .sampling = { .temperature = 0.8,
                                               .top_p = 0.95,
                                               .contrast_alpha = 0.1,
                                               .contrast_lambda = 1,
                                               .max_tok = max_tok,
                                               .seed = (uint64_t)i } };
        gen_submit(g, &q);
    }
    while (gen_next(g, &r, &err) == ST_OK) {
        *n_new += r.n_tok;
        *n_prompt += r.n_tok_prompt;
    }
    return clock_s() - start;
}

/* Seconds to score every token of n pieces but the first, cut elsewhere than the prompts were. */
static double score_round(struct gen *g, const uint32_t *ids, int n, int shift)
{
    struct gen_text text[MAX_STREAMS];
    struct err err = { "" };
    float *logp = NEW_ARRAY(float, (size_t)n *PROMPT);
    for (int i = 0; i < n; i++)
        text[i] = (struct gen_text){
            .tok = ids + i * PROMPT + shift, .n_tok = PROMPT, .from = 1, .logp = logp + i * PROMPT
        };
    double start = clock_s();
    if (gen_logprobs(g, text, (size_t)n, &err) < 0) {
        fprintf(stderr, "%s\n", err.msg);
        exit(1);
    }
    double s = clock_s() - start;
    free(logp);
    return s;
}

int main(int argc, char **argv)
{
    struct gen *g;
    struct err err;
    struct strbuf text = { 0 };
    int n = argc > 2 ? atoi(argv[2]) : 0, n_prompt = 0, n_new = 0, n_first = 0;
    if (argc < 4 || n < 1 || n > MAX_STREAMS) {
        fprintf(stderr, "usage: decode_bench MODEL STREAMS TEXT.txt "
                        "[PROMPTS.json|- [auto|fp32|int16|int8 [AMATEUR]]]\n");
        return 2;
    }
    struct gen_conf conf = { .n_slots = n,
                             .max_seq_len = 512,
                             .precision = gen_precision_by_name(argc > 5 ? argv[5] : "auto"),
                             .amateur = argc > 6 ? argv[6] : NULL };
    if (file_read(argv[3], 1 << 24, &text, &err) < 0 || gen_open(&g, argv[1], &conf, &err) < 0) {
        fprintf(stderr, "%s\n", err.msg);
        return 1;
    }
    uint32_t *ids = NEW_ARRAY(uint32_t, tok_room(gen_tok(g), text.n));
    size_t n_tok = tok_encode(gen_tok(g), text.s, text.n, ids);
    if (n_tok < (size_t)n * PROMPT + ROUNDS * SHIFT) {
        fprintf(stderr, "'%s' has %zu tokens, want %d\n", argv[3], n_tok,
                n * PROMPT + ROUNDS * SHIFT);
        return 1;
    }
    char *prompt[MAX_STREAMS];
    struct js *list = js_array(), *row = js_object(), *all = js_array();
    for (int i = 0; i < n; i++) {
        struct js *one = js_array();
        prompt[i] = piece(gen_tok(g), ids + i * PROMPT);
        for (int k = 0; k < PROMPT; k++)
            js_push_whole(one, ids[i * PROMPT + k]);
        js_push(list, one);
    }
    double best = 0, whole_s = 0, prompt_s = INFINITY, score_s = INFINITY;
    for (int round = 0; round < ROUNDS; round++) {
        prompt_s = fmin(prompt_s, one_round(g, prompt, n, 2 * round, 1, &n_prompt, &n_first));
        if (!conf.amateur)
            score_s = fmin(score_s, score_round(g, ids, n, SHIFT * (round + 1)));
        double s = one_round(g, prompt, n, 2 * round + 1, NEW, &n_prompt, &n_new);
        js_push_real(all, n_new / s);
        if (n_new / s > best) {
            best = n_new / s;
            whole_s = s;
        }
    }
    js_put_text(row, "what", "decode: generated tokens/s of whole requests, prompts included");
    js_put_text(row, "kernels", gen_kernels(g));
    js_put_text(row, "precision", gen_precision(g));
    js_put_whole(row, "streams", n);
    js_put_whole(row, "prompt_tokens", n_prompt);
    js_put_whole(row, "new_tokens_each", NEW);
    js_put_real(row, "tok_per_s", best);
    js_put(row, "rounds", all);
    js_put_real(row, "prompt_tok_per_s", n_prompt / prompt_s);
    if (!conf.amateur)
        js_put_real(row, "logprob_tok_per_s", n * (PROMPT - 1) / score_s);
    js_put_real(row, "decode_tok_per_s", (n_new - n_first) / (whole_s - prompt_s));
    str_clear(&text);
    js_write(row, &text);
    puts(text.s);
    if (argc > 4 && strcmp(argv[4], "-") != 0 && js_write_file(list, argv[4], &err) < 0)
        fprintf(stderr, "%s\n", err.msg);
    for (int i = 0; i < n; i++)
        free(prompt[i]);
    js_free(list);
    js_free(row);
    str_release(&text);
    free(ids);
    gen_close(g);
    return 0;
}
