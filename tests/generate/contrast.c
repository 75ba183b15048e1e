/* tests/generate/contrast.c - contrastive decoding: against what torch computed
 * (tests/golden/make_contrast.py), among neighbours, and which amateurs are refused. */
#include <math.h>

#include "base/json.h"
#include "base/mem.h"
#include "generate_tests.h"

#define EXPERT CONTRAST "expert"
#define AMATEUR CONTRAST "amateur"

enum { MANY = 24, DRAWS = 3000, MAX_VOCAB = 512 };

static bool open_two(struct gen **g, struct gen_conf conf, const char *amateur)
{
    struct err err = { "" };
    conf.amateur = amateur;
    enum st st = gen_open(g, EXPERT, &conf, &err);
    CHECK(st == ST_OK, "%s", err.msg);
    return st == ST_OK;
}

struct js *contrast_golden(void)
{
    struct js *v = NULL;
    struct err err = { "" };
    CHECK(js_read_file(&v, CONTRAST "golden.json", &err) == ST_OK, "%s", err.msg);
    return v;
}

static struct gen_request request(const struct js *c, int max_tok, double temperature, size_t tag)
{
    return (struct gen_request){
        .raw = js_get_text(c, "prompt", ""),
        .raw_is_plain = true,
        .sampling = { .temperature = temperature,
                      .top_p = 1,
                      .contrast_alpha = js_get_real(c, "alpha", NAN),
                      .contrast_lambda = js_get_real(c, "amount", NAN),
                      .max_tok = max_tok,
                      .seed = tag },
        .tag = tag,
    };
}

/* The same tokens as torch with both models, whole texts read anew for each, in fp32. */
void test_contrast_greedy(void)
{
    struct gen *g;
    struct gen_result r;
    struct err err = { "" };
    struct js *v = contrast_golden();
    const struct js *cases = js_get(v, "greedy");
    size_t n = js_len(cases), n_done = 0;
    CHECK(n >= 20, "%zu cases", n);
    if (!open_two(&g, (struct gen_conf){ .n_threads = 2, .n_slots = 8 }, AMATEUR))
        return;
    for (size_t i = 0; i < n; i++) {
        const struct js *c = js_at(cases, i);
        struct gen_request q = request(c, (int)js_len(js_get(c, "tokens")), 0, i);
        gen_submit(g, &q);
    }
    while (gen_next(g, &r, &err) == ST_OK) {
        struct strbuf want = { 0 };
        const struct js *c = js_at(cases, r.tag), *tok = js_get(c, "tokens");
        for (size_t k = 0; k < js_len(tok); k++) {
            uint32_t id = (uint32_t)js_as_whole(js_at(tok, k), 0);
            tok_decode(gen_tok(g), &id, 1, &want);
        }
        CHECK(want.n == r.n_bytes && memcmp(want.s, r.text, want.n) == 0,
              "'%s', alpha %g, lambda %g: other tokens than torch's", js_get_text(c, "prompt", ""),
              js_get_real(c, "alpha", NAN), js_get_real(c, "amount", NAN));
        str_release(&want);
        n_done++;
    }
    CHECK(n_done == n, "%zu of %zu", n_done, n);
    gen_close(g);
    js_free(v);
}

/* First tokens drawn many times, against torch's probabilities. */
static void check_draws(struct gen *g, const struct js *c)
{
    struct gen_result r;
    struct err err = { "" };
    int count[MAX_VOCAB] = { 0 };
    uint32_t id_of[256]; /* first byte of a text to the token of that byte alone */
    const struct js *p = js_get(c, "p");
    memset(id_of, 0xff, sizeof id_of);
    for (size_t i = 0; i < js_len(p); i++) {
        size_t n_bytes = 0;
        uint32_t id = (uint32_t)js_as_whole(js_at(js_at(p, i), 0), 0);
        const char *s = tok_spelling(gen_tok(g), id, &n_bytes);
        NEED(s && n_bytes > 0 && id_of[(uint8_t)s[0]] == UINT32_MAX,
             "token %u cannot be told from others by its first byte", id);
        id_of[(uint8_t)s[0]] = id;
    }
    for (size_t i = 0; i < DRAWS; i++) {
        struct gen_request q = request(c, 1, js_get_real(c, "temperature", NAN), i);
        gen_submit(g, &q);
    }
    while (gen_next(g, &r, &err) == ST_OK) {
        uint32_t id = r.n_bytes ? id_of[(uint8_t)r.text[0]] : UINT32_MAX;
        CHECK(id != UINT32_MAX, "'%s': a token that is not plausible",
              js_get_text(c, "prompt", ""));
        if (id != UINT32_MAX)
            count[id]++;
    }
    double chi2 = 0, rest = DRAWS, rest_want = DRAWS;
    int n_class = 0;
    for (size_t i = 0; i < js_len(p); i++) {
        double want = DRAWS * js_as_real(js_at(js_at(p, i), 1), NAN);
        int got = count[js_as_whole(js_at(js_at(p, i), 0), 0)];
        if (want < 5)
            continue;
        chi2 += (got - want) * (got - want) / want;
        rest -= got;
        rest_want -= want;
        n_class++;
    }
    if (rest_want >= 5)
        chi2 += (rest - rest_want) * (rest - rest_want) / rest_want;
    CHECK(chi2 < n_class + 4 * sqrt(2.0 * n_class) + 6, "'%s': chi square %g in %d classes",
          js_get_text(c, "prompt", ""), chi2, n_class);
}

void test_contrast_draws(void)
{
    struct gen *g;
    struct js *v = contrast_golden();
    const struct js *cases = js_get(v, "first");
    CHECK(js_len(cases) >= 3, "%zu cases", js_len(cases));
    if (!open_two(&g, (struct gen_conf){ .n_threads = 2, .n_slots = 16 }, AMATEUR))
        return;
    for (size_t i = 0; i < js_len(cases); i++)
        check_draws(g, js_at(cases, i));
    gen_close(g);
    js_free(v);
}

static void run_many(struct strbuf text[MANY], struct gen_conf conf, const char *amateur, int first,
                     int step)
{
    static const char filler[] = "the sea and the sand and the boats ";
    struct gen *g;
    struct gen_result r;
    struct err err = { "" };
    enum st st;
    if (!open_two(&g, conf, amateur))
        return;
    for (int i = first; i < MANY; i += step) {
        char prompt[400];
        int n = snprintf(prompt, sizeof prompt, "The keepers of the light, ");
        for (int k = 0; k < i % 5; k++)
            n += snprintf(prompt + n, sizeof prompt - (size_t)n, "%s", filler);
        snprintf(prompt + n, sizeof prompt - (size_t)n, "and %d", i % 3);
        struct gen_request q = { .raw = prompt,
                                 .raw_is_plain = true,
                                 .sampling = { .temperature = i % 5 ? 1 : 0,
                                               .top_p = i % 2 ? 0.95 : 1,
                                               .top_k = i % 3 ? 0 : 20,
                                               .repetition_penalty = i % 4 ? 1 : 1.1,
                                               .contrast_alpha = i % 4 ? 0.1 : 0.01,
                                               .contrast_lambda = i % 6 ? 1 : 0.5,
                                               .max_tok = 5 + i,
                                               .seed = (uint64_t)i },
                                 .tag = (uint64_t)i };
        gen_submit(g, &q);
    }
    while ((st = gen_next(g, &r, &err)) == ST_OK) {
        str_printf(&text[r.tag], "%d %d %d ", (int)r.finish, r.n_tok_prompt, r.n_tok);
        str_add(&text[r.tag], r.text, r.n_bytes);
    }
    CHECK(st == ST_END, "%s", err.msg);
    gen_close(g);
}

static bool same(const struct strbuf *a, const struct strbuf *b)
{
    return a->n > 0 && a->n == b->n && memcmp(a->s, b->s, a->n) == 0;
}

/* Text depends neither on threads nor on neighbours, whatever the numbers are; and the amateur
 * matters. */
void test_contrast_neighbours(void)
{
    for (size_t p = 0; p < N_NUMERICS; p++) {
        struct strbuf crowd[MANY] = { { 0 } }, few[MANY] = { { 0 } }, alone[MANY] = { { 0 } },
                      without[MANY] = { { 0 } };
        struct gen_conf c = { .precision = numerics[p].precision, .kv = numerics[p].kv };
        int n_other = 0;
        c.n_threads = 3, c.n_slots = 16;
        run_many(crowd, c, AMATEUR, 0, 1);
        c.n_threads = 1, c.n_slots = 3;
        run_many(few, c, AMATEUR, 0, 1);
        run_many(without, c, NULL, 0, 1);
        c.n_threads = 2, c.n_slots = 1;
        for (int i = 0; i < MANY; i += 5)
            run_many(alone, c, AMATEUR, i, MANY);
        for (int i = 0; i < MANY; i++) {
            CHECK(same(&crowd[i], &few[i]), "%zu: %d: other text in three slots", p, i);
            CHECK(i % 5 || same(&crowd[i], &alone[i]), "%zu: %d: other text alone", p, i);
            n_other += !same(&crowd[i], &without[i]);
            str_release(&crowd[i]);
            str_release(&few[i]);
            str_release(&alone[i]);
            str_release(&without[i]);
        }
        CHECK(n_other > MANY / 2, "%zu: %d of %d texts are others without the amateur", p, n_other,
              MANY);
    }
}

void test_contrast_refused(void)
{
    struct gen *g;
    struct err err = { "" };
    struct gen_conf conf = { .n_threads = 1, .amateur = TINY };
    CHECK(gen_open(&g, EXPERT, &conf, &err) == ST_USAGE && strstr(err.msg, "vocabulary"), "%s",
          err.msg);
    conf.amateur = CONTRAST "nobody";
    CHECK(gen_open(&g, EXPERT, &conf, &err) < 0 && strstr(err.msg, "nobody"), "%s", err.msg);
    conf.amateur = NULL;
    NEED(gen_open(&g, EXPERT, &conf, &err) == ST_OK, "%s", err.msg);
    CHECK(!gen_has_amateur(g), "an amateur out of nothing");
    gen_close(g);
}
