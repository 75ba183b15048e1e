/* tests/generate/edit.c - tokens drawn anew where a model takes them for granted: against torch's
 * probabilities (tests/golden/make_contrast.py), among neighbours, over generations. */
#include <math.h>

#include "base/json.h"
#include "base/mem.h"
#include "base/rng.h"
#include "generate_tests.h"

#define EXPERT CONTRAST "expert"

enum { MAX_TEXTS = 8, MAX_LEN = 256, MAX_VOCAB = 512, DRAWS = 2000, TOP = 8 };

static const struct sampling as_paper = { .temperature = 1.5, .top_p = 1, .top_k = TOP };

struct edited {
    int n;
    uint32_t tok[MAX_LEN], drawn[MAX_LEN];
    float logp[MAX_LEN];
    double want[MAX_LEN]; /* torch's logp */
};

static struct gen_text text_of(struct edited *e, const struct gen_edit *how)
{
    return (struct gen_text){
        .tok = e->tok, .n_tok = e->n, .from = 1, .logp = e->logp, .edit = how, .drawn = e->drawn
    };
}

/* The recorded texts; returns how many. */
static int read_texts(struct edited e[MAX_TEXTS])
{
    struct js *v = contrast_golden();
    const struct js *texts = js_get(v, "texts");
    int n = (int)js_len(texts);
    CHECK(n >= 4 && n <= MAX_TEXTS, "%d texts", n);
    for (int i = 0; i < n; i++) {
        const struct js *tok = js_get(js_at(texts, (size_t)i), "tokens"),
                        *logp = js_get(js_at(texts, (size_t)i), "logp");
        e[i].n = (int)js_len(tok);
        for (int k = 0; k < e[i].n; k++)
            e[i].tok[k] = (uint32_t)js_as_whole(js_at(tok, (size_t)k), -1);
        for (int k = 0; k + 1 < e[i].n; k++)
            e[i].want[k] = js_as_real(js_at(logp, (size_t)k), NAN);
    }
    js_free(v);
    return n;
}

static bool open_expert(struct gen **g, struct gen_conf conf)
{
    struct err err = { "" };
    enum st st = gen_open(g, EXPERT, &conf, &err);
    CHECK(st == ST_OK, "%s", err.msg);
    return st == ST_OK;
}

/* Is the token among the likeliest TOP behind the tokens before place k? */
static bool is_top(const float *logits, int n_vocab, int k, uint32_t id)
{
    const float *row = logits + (size_t)(k - 1) * (size_t)n_vocab;
    int n_above = 0;
    for (int v = 0; v < n_vocab; v++)
        n_above += row[v] > row[id];
    return n_above < TOP;
}

static void check_places(struct gen *g, struct edited *e, double above)
{
    static float logits[MAX_LEN * MAX_VOCAB];
    struct err err = { "" };
    struct gen_edit how = { .above = above, .sampling = as_paper };
    struct gen_text t = text_of(e, &how);
    int n_drawn = 0, n_near = 0, n_vocab = gen_vocab_size(g);
    NEED(n_vocab <= MAX_VOCAB && e->n <= MAX_LEN, "%d tokens", n_vocab);
    NEED(gen_logprobs(g, &t, 1, &err) == ST_OK, "%s", err.msg);
    NEED(gen_logits(g, e->tok, e->n, logits, &err) == ST_OK, "%s", err.msg);
    for (int k = 0; k + 1 < e->n; k++) {
        double want = e->want[k], got = (double)e->logp[k];
        CHECK(fabs(got - want) < 5e-3 * (1 + fabs(want)), "token %d: %g, torch %g", k + 1, got,
              want);
        if (above < 1 && fabs(exp(want) - above) < 2e-3) {
            n_near++;
            continue;
        }
        bool drawn = e->drawn[k] != GEN_NOT_DRAWN;
        CHECK(drawn == (exp(want) > above), "above %g: token %d of P %g is %sdrawn", above, k + 1,
              exp(want), drawn ? "" : "not ");
        CHECK(!drawn || is_top(logits, n_vocab, k + 1, e->drawn[k]),
              "token %d: %u is not among the likeliest %d", k + 1, e->drawn[k], (int)TOP);
        n_drawn += drawn;
    }
    CHECK(above == 1 ? n_drawn == 0 : n_drawn >= 10, "above %g: %d drawn", above, n_drawn);
    CHECK(n_near < 12, "above %g: %d places are too near to tell", above, n_near);
}

/* Exactly those places where torch's probability is above the limit. */
void test_edit_places(void)
{
    static struct edited e[MAX_TEXTS];
    static const double above[] = { 0.5, 0.9, 0.99, 1 };
    struct gen *g;
    int n = read_texts(e);
    if (!open_expert(&g, (struct gen_conf){ .n_threads = 2 }))
        return;
    for (size_t a = 0; a < N_OF(above); a++)
        for (int i = 0; i < n; i++)
            check_places(g, &e[i], above[a]);
    gen_close(g);
}

/* One place drawn with many seeds has the probabilities that softmax(top 8 / 1.5) has. */
void test_edit_draws(void)
{
    static struct edited e[MAX_TEXTS];
    static float logits[MAX_LEN * MAX_VOCAB];
    struct gen *g;
    struct err err = { "" };
    int count[MAX_VOCAB] = { 0 }, n_vocab, k = 40;
    if (read_texts(e) < 1 || !open_expert(&g, (struct gen_conf){ .n_threads = 1 }))
        return;
    n_vocab = gen_vocab_size(g);
    for (uint64_t seed = 0; seed < DRAWS; seed++) {
        struct gen_edit how = { .above = 0, .sampling = as_paper };
        struct gen_text t = text_of(&e[0], &how);
        how.sampling.seed = seed;
        t.n_tok = k + 1;
        t.from = k;
        NEED(gen_logprobs(g, &t, 1, &err) == ST_OK, "%s", err.msg);
        NEED(e[0].drawn[0] < MAX_VOCAB, "token %u", e[0].drawn[0]);
        count[e[0].drawn[0]]++;
    }
    NEED(gen_logits(g, e[0].tok, k, logits, &err) == ST_OK, "%s", err.msg);
    const float *row = logits + (size_t)(k - 1) * (size_t)n_vocab;
    double sum = 0, chi2 = 0;
    int n_top = 0, n_class = 0, n_wrong = 0;
    for (int v = 0; v < n_vocab; v++) {
        bool top = is_top(logits, n_vocab, k, (uint32_t)v);
        n_top += top;
        sum += top ? exp((double)row[v] / 1.5) : 0;
        n_wrong += top ? 0 : count[v];
    }
    CHECK(n_top == TOP && n_wrong == 0, "%d likeliest, %d draws of others", n_top, n_wrong);
    for (int v = 0; v < n_vocab; v++) {
        double want = DRAWS * exp((double)row[v] / 1.5) / sum;
        if (!is_top(logits, n_vocab, k, (uint32_t)v) || want < 5)
            continue;
        chi2 += (count[v] - want) * (count[v] - want) / want;
        n_class++;
    }
    CHECK(n_class >= 3 && chi2 < n_class + 4 * sqrt(2.0 * n_class) + 6,
          "chi square %g in %d classes", chi2, n_class);
    gen_close(g);
}

/* The same draws alone and in a crowd, whatever the threads and numbers. */
void test_edit_neighbours(void)
{
    static struct edited alone[MAX_TEXTS], crowd[MAX_TEXTS];
    struct err err = { "" };
    int n = read_texts(alone);
    read_texts(crowd);
    for (size_t p = 0; p < N_NUMERICS; p++)
        for (int n_threads = 1; n_threads <= 3; n_threads++) {
            struct gen *g;
            struct gen_edit how[MAX_TEXTS];
            struct gen_text t[MAX_TEXTS];
            if (!open_expert(&g, (struct gen_conf){ .n_threads = n_threads,
                                                    .n_slots = n_threads == 2 ? 2 : 8,
                                                    .precision = numerics[p].precision,
                                                    .kv = numerics[p].kv }))
                return;
            for (int i = 0; i < n; i++) {
                how[i] = (struct gen_edit){ .above = 0.3, .sampling = as_paper };
                how[i].sampling.seed = (uint64_t)i;
                t[i] = text_of(&crowd[i], &how[i]);
            }
            NEED(gen_logprobs(g, t, (size_t)n, &err) == ST_OK, "%s", err.msg);
            for (int i = 0; i < n; i++) {
                if (n_threads == 1) {
                    struct gen_text one = text_of(&alone[i], &how[i]);
                    NEED(gen_logprobs(g, &one, 1, &err) == ST_OK, "%s", err.msg);
                }
                CHECK(memcmp(alone[i].drawn, crowd[i].drawn,
                             (size_t)(crowd[i].n - 1) * sizeof *crowd[i].drawn) == 0,
                      "numbers %zu, %d threads: text %d is drawn otherwise", p, n_threads, i);
            }
            gen_close(g);
        }
}

/* Edits a text again and again, as each generation of a corpus made from the one before would;
 * share[i]: of its tokens that are no longer the first text's after i + 1 generations. */
static void generations(struct gen *g, const struct edited *first, double above, double *share,
                        int n)
{
    struct edited e = *first;
    struct err err = { "" };
    for (int i = 0; i < n; i++) {
        struct gen_edit how = { .above = above, .sampling = as_paper };
        struct gen_text t = text_of(&e, &how);
        int n_other = 0;
        how.sampling.seed = (uint64_t)i;
        NEED(gen_logprobs(g, &t, 1, &err) == ST_OK, "%s", err.msg);
        for (int k = 1; k < e.n; k++) {
            if (e.drawn[k - 1] != GEN_NOT_DRAWN)
                e.tok[k] = e.drawn[k - 1];
            n_other += e.tok[k] != first->tok[k];
        }
        share[i] = (double)n_other / (e.n - 1);
    }
}

/* What the method is for: over generations of editing the text stays near the first one, as a token
 * that was drawn is one the model doubts and keeps from then on. When every token is drawn anew
 * nothing is left of it. */
void test_edit_generations(void)
{
    enum { N = 10 };
    static struct edited e[MAX_TEXTS];
    struct gen *g;
    double edited[N] = { 0 }, replaced[N] = { 0 }, share[N];
    int n = read_texts(e);
    if (!open_expert(&g, (struct gen_conf){ .n_threads = 2 }))
        return;
    for (int i = 0; i < n; i++) {
        generations(g, &e[i], 0.9, share, N);
        for (int k = 0; k < N; k++)
            edited[k] += share[k] / n;
        generations(g, &e[i], 0, share, N);
        for (int k = 0; k < N; k++)
            replaced[k] += share[k] / n;
    }
    printf("tokens changed after 1, 5, 10 generations: edited %.3f %.3f %.3f, replaced %.3f %.3f "
           "%.3f\n",
           edited[0], edited[4], edited[9], replaced[0], replaced[4], replaced[9]);
    CHECK(edited[0] > 0, "nothing is edited");
    CHECK(edited[N - 1] - edited[4] < edited[4], "the change grows on: %g, then %g", edited[4],
          edited[N - 1]);
    CHECK(edited[N - 1] < 0.25 && replaced[N - 1] > 0.6, "edited %g, replaced %g", edited[N - 1],
          replaced[N - 1]);
    gen_close(g);
}
