/* tests/generate/strict.c - a request's text follows from the request alone; long prompts;
 * vocabularies that do not fit. */
#include "base/file.h"
#include "base/mem.h"
#include "generate_tests.h"
#include "model/generate.h"

static const char *const stops[] = { "qq", "the", "\n\n" };
static const struct sampling settings[] = {
    { .temperature = 0 },
    { .temperature = 1, .top_p = 1 },
    { .temperature = 0.7, .top_p = 0.9 },
    { .temperature = 1.5, .top_p = 1, .top_k = 7 },
    { .temperature = 1, .top_p = 1, .min_p = 0.05 },
    { .temperature = 1, .top_p = 0.95, .top_k = 50, .min_p = 0.01, .repetition_penalty = 1.3 },
    { .temperature = 0, .repetition_penalty = 1.5 },
    { .temperature = 1.2, .top_p = 1, .stop = stops, .n_stop = 3 },
};
enum { SEEDS = 3, REQUESTS = (int)N_OF(settings) * SEEDS };

static void submit(struct gen *g, int i)
{
    char *raw = xasprintf("%.*s%d", i % 5 * 30,
                          "Some of these requests begin alike and some of them do not: it must not "
                          "matter, neither for texts nor for ends. So, now",
                          i % SEEDS);
    struct gen_request q = { .raw = raw,
                             .sampling = settings[i % (int)N_OF(settings)],
                             .tag = (uint64_t)i };
    q.sampling.seed = (uint64_t)(i / (int)N_OF(settings));
    q.sampling.max_tok = 12 + i % 17;
    gen_submit(g, &q);
    free(raw);
}

static void take(struct gen *g, char *text[REQUESTS])
{
    struct gen_result r;
    struct err err = { "" };
    enum st st;
    while ((st = gen_next(g, &r, &err)) == ST_OK)
        text[r.tag] = xasprintf("%d %d %d %.*s", (int)r.finish, r.n_tok_prompt, r.n_tok,
                                (int)r.n_bytes, r.text);
    CHECK(st == ST_END, "%s", err.msg);
}

const struct numerics numerics[N_NUMERICS] = { { GEN_FP32, GEN_KV_F16 },
                                               { GEN_INT16, GEN_KV_F16 },
                                               { GEN_INT8, GEN_KV_F16 },
                                               { GEN_FP32, GEN_KV_Q8 },
                                               { GEN_INT8, GEN_KV_Q8 } };

/* All settings, precisions and forms of the cache: alone with one thread, in crowds of several
 * sizes, orders and numbers of threads. */
void test_settings(void)
{
    static const struct {
        int n_threads, n_slots;
        bool backwards;
    } crowd[] = { { 1, 32, false }, { 3, 32, true }, { 2, 5, true }, { 4, 1, false } };
    for (size_t p = 0; p < N_NUMERICS; p++) {
        char *alone[REQUESTS] = { NULL };
        for (int c = -1; c < (int)N_OF(crowd); c++) {
            struct gen_conf conf = { .n_threads = c < 0 ? 1 : crowd[c].n_threads,
                                     .n_slots = c < 0 ? 1 : crowd[c].n_slots,
                                     .precision = numerics[p].precision,
                                     .kv = numerics[p].kv };
            char *text[REQUESTS] = { NULL };
            struct gen *g;
            struct err err = { "" };
            NEED(gen_open(&g, TINY, &conf, &err) == ST_OK, "%s", err.msg);
            for (int i = 0; i < REQUESTS; i++) {
                submit(g, c >= 0 && crowd[c].backwards ? REQUESTS - 1 - i : i);
                if (c < 0) {
                    take(g, text); /* each in a generator that has seen nothing else */
                    gen_close(g);
                    NEED(gen_open(&g, TINY, &conf, &err) == ST_OK, "%s", err.msg);
                }
            }
            take(g, text);
            gen_close(g);
            for (int i = 0; i < REQUESTS; i++) {
                const char *got = text[i] ? text[i] : "nothing", *want = c < 0      ? got
                                                                         : alone[i] ? alone[i]
                                                                                    : "nothing";
                CHECK(text[i] && strcmp(got, want) == 0,
                      "precision %d, kv %d, crowd %d, request %d: '%s', alone '%s'",
                      (int)numerics[p].precision, (int)numerics[p].kv, c, i, got, want);
                if (c < 0)
                    alone[i] = text[i];
                else
                    free(text[i]);
            }
        }
        /* Another seed is another text, where chance has a say at all. */
        NEED(alone[1] && alone[1 + (int)N_OF(settings)], "no text");
        CHECK(strcmp(alone[1], alone[1 + (int)N_OF(settings)]) != 0, "seeds do not matter: '%s'",
              alone[1]);
        for (int i = 0; i < REQUESTS; i++)
            free(alone[i]);
    }
}

/* One that is writing goes on while long prompts are read, and a stop text that never comes ends at
 * the limit. */
void test_long_prompts(void)
{
    struct gen *g;
    struct gen_result r;
    struct err err = { "" };
    struct gen_conf conf = { .n_threads = 2, .n_slots = 24 };
    char *raw = xmalloc(251);
    const char *const never[] = { "no such text" };
    memset(raw, 'y', 250);
    raw[250] = '\0';
    NEED(gen_open(&g, TINY, &conf, &err) == ST_OK, "%s", err.msg);
    struct gen_request brief = { .raw = "x",
                                 .sampling = { .temperature = 1,
                                               .top_p = 1,
                                               .top_k = 200,
                                               .max_tok = 8,
                                               .stop = never,
                                               .n_stop = 1 } };
    gen_submit(g, &brief);
    for (uint64_t i = 1; i < 24;
         i++) { /* 23 prompts of 250 tokens: 23 steps, were it not for the prefix */
        raw[0] = (char)('a' + i);
        struct gen_request q = { .raw = raw, .sampling = { .max_tok = 30 }, .tag = i };
        gen_submit(g, &q);
    }
    int n = 0, n_before = 0;
    bool came = false;
    while (gen_next(g, &r, &err) == ST_OK) {
        n++;
        n_before += !came;
        if (r.tag != 0)
            continue;
        came = true;
        CHECK(r.finish == GEN_STOP || (r.finish == GEN_LENGTH && r.n_tok == 8), "%d after %d",
              (int)r.finish, r.n_tok);
    }
    /* It needs 9 steps, in which at most 9 of the prompts can have been read. */
    CHECK(came && n_before <= 9, "%d came before", n_before);
    CHECK(n == 24, "%d results", n);
    gen_close(g);
    free(raw);
}

/* A folder whose tokenizer knows more tokens than the model has rows for. */
void test_large_vocabulary(void)
{
    static const char *const files[] = { "config.json", "model.safetensors" };
    struct tok_trainer *tr = tok_trainer_new();
    struct tok *tok;
    struct gen *g;
    struct gen_conf conf = { .n_threads = 1 };
    struct err err = { "" };
    char *dir = path_join(check_dir(), "large_vocabulary"), *path;
    NEED(dir_make(dir, &err) == ST_OK, "%s", err.msg);
    for (size_t i = 0; i < N_OF(files); i++) {
        struct strbuf b = { 0 };
        path = path_join("tests/golden/model/gqa_tied", files[i]);
        NEED(file_read(path, 1 << 20, &b, &err) == ST_OK, "%s", err.msg);
        free(path);
        path = path_join(dir, files[i]);
        NEED(file_write(path, b.s, b.n, &err) == ST_OK, "%s", err.msg);
        free(path);
        str_release(&b);
    }
    tok_trainer_add(tr, "some words for some pairs of words", 34);
    NEED(tok_trainer_finish(tr, 262, &tok, &err) == ST_OK, "%s", err.msg);
    path = path_join(dir, "tokenizer.json");
    NEED(tok_save(tok, path, &err) == ST_OK, "%s", err.msg);
    CHECK(gen_open(&g, dir, &conf, &err) == ST_FORMAT && strstr(err.msg, "the tokenizer has") &&
              strstr(err.msg, "the model 61"),
          "%s", err.msg);
    tok_trainer_free(tr);
    tok_free(tok);
    free(path);
    free(dir);
}
