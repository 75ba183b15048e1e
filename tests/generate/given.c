/* tests/generate/given.c - log-probabilities of given text: against logits, among neighbours, and
 * what is refused. */
#include <math.h>

#include "base/mem.h"
#include "base/rng.h"
#include "generate_tests.h"
#include "model/generate.h"

enum { N_TEXT = 70, LEN = 200 };

/* Text i: a beginning that some share, then tokens of its own. */
static void make_text(struct gen_text *t, uint32_t *tok, float *logp, int i, int n_vocab)
{
    struct rng rng;
    int n = 2 + (i * 37) % (LEN - 2), n_common = i % 3 ? 100 : 40;
    rng_init(&rng, (uint64_t)(i % 4), "beginning", 0);
    for (int k = 0; k < n; k++) {
        if (k == n_common)
            rng_init(&rng, (uint64_t)i, "rest", 0);
        tok[k] = (uint32_t)rng_below(&rng, (uint64_t)n_vocab);
    }
    *t = (struct gen_text){ .tok = tok, .n_tok = n, .from = 1 + (i * 53) % (n - 1), .logp = logp };
}

static void check_against_logits(struct gen *g, const struct gen_text *t, int i)
{
    struct err err = { "" };
    size_t n_vocab = (size_t)gen_vocab_size(g);
    float *logits = xaligned((size_t)t->n_tok * n_vocab * sizeof *logits);
    NEED(gen_logits(g, t->tok, t->n_tok, logits, &err) == ST_OK, "%s", err.msg);
    for (int k = t->from; k < t->n_tok; k++) {
        const float *row = logits + (size_t)(k - 1) * n_vocab;
        double sum = 0;
        for (size_t v = 0; v < n_vocab; v++)
            sum += exp((double)row[v]);
        double want = (double)row[t->tok[k]] - log(sum), got = (double)t->logp[k - t->from];
        CHECK(fabs(got - want) < 1e-4 * (1 + fabs(want)), "text %d token %d: %g, want %g", i, k,
              got, want);
    }
    free(logits);
}

/* Each text in a crowd of all, whatever the slots and threads, as alone with one thread. */
void test_given_text(void)
{
    static uint32_t tok[N_TEXT][LEN];
    static float crowd[N_TEXT][LEN], alone[N_TEXT][LEN];
    for (size_t p = 0; p < N_NUMERICS; p++)
        for (int n_threads = 1; n_threads <= 3; n_threads++) {
            struct gen *g;
            struct err err = { "" };
            struct gen_conf conf = { .n_threads = n_threads,
                                     .n_slots = n_threads == 2 ? 3 : 16,
                                     .precision = numerics[p].precision,
                                     .kv = numerics[p].kv };
            struct gen_text text[N_TEXT];
            if (n_threads == 1) {
                NEED(gen_open(&g, TINY, &conf, &err) == ST_OK, "%s", err.msg);
                for (int i = 0; i < N_TEXT; i++) {
                    make_text(&text[i], tok[i], alone[i], i, gen_vocab_size(g));
                    NEED(gen_logprobs(g, &text[i], 1, &err) == ST_OK, "%s", err.msg);
                    if (i % 9 == 0)
                        check_against_logits(g, &text[i], i);
                }
                gen_close(g);
            }
            NEED(gen_open(&g, TINY, &conf, &err) == ST_OK, "%s", err.msg);
            for (int i = 0; i < N_TEXT; i++)
                make_text(&text[i], tok[i], crowd[i], i, gen_vocab_size(g));
            memset(crowd, 0, sizeof crowd);
            NEED(gen_logprobs(g, text, N_TEXT, &err) == ST_OK, "%s", err.msg);
            for (int i = 0; i < N_TEXT; i++)
                CHECK(memcmp(crowd[i], alone[i],
                             (size_t)(text[i].n_tok - text[i].from) * sizeof **crowd) == 0,
                      "precision %d, kv %d, %d threads: text %d has other numbers alone",
                      (int)numerics[p].precision, (int)numerics[p].kv, n_threads, i);
            gen_close(g);
        }
}

void test_given_text_refused(void)
{
    struct gen *g;
    struct err err = { "" };
    struct gen_conf conf = { .n_threads = 1, .max_seq_len = 64 };
    uint32_t tok[80] = { 1, 2, 3 };
    float logp[80];
    NEED(gen_open(&g, TINY, &conf, &err) == ST_OK, "%s", err.msg);
    CHECK(gen_max_text(g) == 65, "%d", gen_max_text(g));
    struct gen_text fits = { .tok = tok, .n_tok = 65, .from = 64, .logp = logp }, bad = fits;
    CHECK(gen_logprobs(g, &fits, 1, &err) == ST_OK && logp[0] < 0, "%s", err.msg);
    bad.n_tok = 66;
    CHECK(gen_logprobs(g, &bad, 1, &err) == ST_LIMIT && strstr(err.msg, "takes 65 at once"), "%s",
          err.msg);
    bad = fits, bad.from = 65;
    CHECK(gen_logprobs(g, &bad, 1, &err) == ST_USAGE && strstr(err.msg, "from token 65"), "%s",
          err.msg);
    bad = fits, bad.from = 0;
    CHECK(gen_logprobs(g, &bad, 1, &err) == ST_USAGE, "%s", err.msg);
    tok[7] = (uint32_t)gen_vocab_size(g);
    CHECK(gen_logprobs(g, &fits, 1, &err) == ST_USAGE && strstr(err.msg, "holds token"), "%s",
          err.msg);
    CHECK(gen_logprobs(g, NULL, 0, &err) == ST_OK, "%s", err.msg);
    gen_close(g);
}
