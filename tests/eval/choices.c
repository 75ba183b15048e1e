/* tests/eval/choices.c - multiple choice against lm-evaluation-harness (recorded), and questions
 * that are none. */
#include <math.h>

#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "eval/choice.h"
#include "eval/score.h"
#include "eval_tests.h"

#define CHOICE "tests/golden/choice/"
#define TINY "tests/golden/gguf/tiny.gguf"

static struct gen *open_tiny(void)
{
    struct gen *g = NULL;
    struct err err = { "" };
    struct gen_conf conf = { .n_threads = 1, .max_seq_len = 1 << 20, .precision = GEN_FP32 };
    CHECK(gen_open(&g, TINY, &conf, &err) == ST_OK, "%s", err.msg);
    return g;
}

/* tests/golden/make_choice.py asked the harness the same questions of the same model. */
void test_harness_numbers(void)
{
    static const char *const file[] = { "hellaswag", "arc", "piqa" };
    struct js *expected;
    struct err err = { "" };
    NEED(js_read_file(&expected, CHOICE "expected.json", &err) == ST_OK, "%s", err.msg);
    struct gen *g = open_tiny();
    for (size_t f = 0; g && f < N_OF(file); f++) {
        const struct js *want = js_get(expected, file[f]), *scores = js_get(want, "scores");
        char *path = xasprintf(CHOICE "%s.jsonl", file[f]);
        struct questions q;
        struct choice_score got;
        double own[24 * 8], worst = 0;
        NEED(choice_read(&q, path, true, &err) == ST_OK, "%s", err.msg);
        CHECK(strcmp(q.kind, file[f]) == 0 && q.n == js_len(scores) && q.n <= 24, "%s: %zu of %s",
              file[f], q.n, q.kind);
        NEED(choice_score(&q, g, &got, own, &err) == ST_OK, "%s", err.msg);
        for (size_t i = 0, at = 0; i < q.n; i++) {
            const struct js *row = js_at(scores, i);
            CHECK(js_len(row) == (size_t)q.q[i].n_choice, "%s %zu: %zu choices", file[f], i,
                  js_len(row));
            for (size_t c = 0; c < js_len(row); c++, at++)
                worst = fmax(worst, fabs(own[at] / js_as_real(js_at(row, c), NAN) - 1));
        }
        CHECK(worst < 1e-3, "%s: a log-likelihood is off by a share of %g", file[f], worst);
        CHECK(got.acc == js_get_real(want, "acc", -1) &&
                  got.acc_norm == js_get_real(want, "acc_norm", -1),
              "%s: acc %.17g, acc_norm %.17g, the harness %.17g and %.17g", file[f], got.acc,
              got.acc_norm, js_get_real(want, "acc", -1), js_get_real(want, "acc_norm", -1));
        CHECK(fabs(got.acc_stderr - sqrt(got.acc * (1 - got.acc) / 23)) < 1e-12, "%g",
              got.acc_stderr);
        choice_release(&q);
        free(path);
    }
    gen_close(g);
    js_free(expected);
}

static const char hella[] = "{\"ctx_a\":\"A b.\",\"ctx_b\":\"then\",\"activity_label\":\"X\","
                            "\"endings\":[\" one [x] two\",\"three\"],\"label\":\"1\"}\n";

void test_question_texts(void)
{
    struct questions q;
    struct err err = { "" };
    char *path = path_join(check_dir(), "one.jsonl");
    NEED(file_write(path, hella, strlen(hella), &err) == ST_OK, "%s", err.msg);
    NEED(choice_read(&q, path, true, &err) == ST_OK, "%s", err.msg);
    CHECK(q.n == 1 && strcmp(q.name, "one") == 0 && strcmp(q.q[0].prompt, "X: A b. Then") == 0,
          "'%s'", q.q[0].prompt);
    CHECK(strcmp(q.q[0].choice[0], "one two") == 0 && q.q[0].gold == 1, "'%s'", q.q[0].choice[0]);
    choice_release(&q);
    free(path);
}

void test_bad_questions(void)
{
    static const struct {
        const char *line, *says;
    } bad[] = {
        { "{\"endings\":", "line 2: " },
        { "[1]", "no object" },
        { "{\"text\":\"a page\"}", "no question of HellaSwag" },
        { "{\"goal\":\"g\",\"sol1\":\"a\",\"sol2\":\"b\",\"label\":0}", "another kind" },
        { "{\"ctx_a\":\"A\",\"ctx_b\":\"b\",\"activity_label\":\"X\",\"endings\":[\"a\"],\"label\":"
          "0}",
          "2 to 64 choices" },
        { "{\"ctx_a\":\"A\",\"ctx_b\":\"b\",\"activity_label\":\"X\",\"endings\":[\"a\",\"b\"],"
          "\"label\":2}",
          "names none" },
        { "{\"ctx_a\":\"A\",\"ctx_b\":\"b\",\"activity_label\":\"X\",\"endings\":[\"a\",\"b\"],"
          "\"label\":\"one\"}",
          "names none" },
        { "{\"ctx_a\":\"A\",\"ctx_b\":\"b\",\"activity_label\":\"X\",\"endings\":[\"a\",\"b\"],"
          "\"label\":4294967296}",
          "names none" },
        { "{\"ctx_a\":\"A\",\"ctx_b\":\"b\",\"activity_label\":\"X\",\"endings\":[\"a\",\"[b]\"],"
          "\"label\":0}",
          "a choice is empty" },
        { "{\"ctx_a\":\"A\",\"ctx_b\":7,\"activity_label\":\"X\",\"endings\":[\"a\",\"b\"],"
          "\"label\":0}",
          "to be text" },
    };
    struct err err = { "" };
    struct questions q;
    char *path = path_join(check_dir(), "bad.jsonl");
    for (size_t i = 0; i < N_OF(bad); i++) {
        char *text = xasprintf("%s%s\n%s", hella, bad[i].line, hella);
        NEED(file_write(path, text, strlen(text), &err) == ST_OK, "%s", err.msg);
        CHECK(choice_read(&q, path, true, &err) == ST_FORMAT && strstr(err.msg, bad[i].says) &&
                  strstr(err.msg, "line 2"),
              "%zu: '%s', want '%s'", i, err.msg, bad[i].says);
        CHECK(choice_read(&q, path, false, &err) == ST_OK && q.n == 2 && q.n_skipped == 1,
              "%zu: %zu questions", i, q.n);
        choice_release(&q);
        free(text);
    }
    NEED(file_write(path, "\n\n", 2, &err) == ST_OK, "%s", err.msg);
    CHECK(choice_read(&q, path, false, &err) == ST_FORMAT && strstr(err.msg, "no question"), "%s",
          err.msg);
    CHECK(choice_read(&q, "/nowhere/q.jsonl", false, &err) == ST_IO, "%s", err.msg);
    /* A choice longer than the model's context. */
    struct gen *g = open_tiny();
    struct choice_score score;
    char *text = xasprintf("{\"goal\":\"g\",\"sol1\":\"%0300d\",\"sol2\":\"b\",\"label\":0}", 7);
    NEED(file_write(path, text, strlen(text), &err) == ST_OK, "%s", err.msg);
    NEED(choice_read(&q, path, true, &err) == ST_OK, "%s", err.msg);
    CHECK(g && choice_score(&q, g, &score, NULL, &err) == ST_LIMIT &&
              strstr(err.msg, "question 1: choice '000"),
          "%s", err.msg);
    choice_release(&q);
    gen_close(g);
    free(text);
    free(path);
}

/* Every token of the text is scored once at any stride, after as much context as is promised. */
void test_strides(void)
{
    struct gen *g = open_tiny();
    struct err err = { "" };
    struct bpb whole, score;
    if (!g)
        return;
    struct strbuf b = { 0 };
    for (int i = 0; i < 60; i++)
        str_printf(&b, "line %d says %d. ", i, i * 7919 % 1000);
    struct eval_texts *t = eval_texts_new(gen_tok(g));
    NEED(eval_texts_add(t, b.s, b.n), "no room");
    for (int stride = 1; stride <= 50; stride += 7) {
        struct eval_domain d;
        NEED(eval_texts_domain(t, &d, "x", 50, 0, &err) == ST_OK, "%s", err.msg);
        NEED(eval_score_domain_gen(g, &d, &whole, &err) == ST_OK, "%s", err.msg);
        uint32_t first[300];
        size_t len = 50, n = 0;
        for (size_t i = 0; i < 300; i++)
            first[i] = d.tok[i / len * (len + 1) + i % len + 1];
        eval_domain_stride(&d, stride);
        for (size_t w = 0; w < d.n_window; w++)
            for (size_t i = 0; i < len; i++)
                if (d.n_bytes[w * len + i] > 0) {
                    CHECK(w == 0 || i + 1 > len - (size_t)stride, "stride %d: target %zu", stride,
                          i);
                    if (n < 300)
                        CHECK(d.tok[w * (len + 1) + i + 1] == first[n], "stride %d: token %zu",
                              stride, n);
                    n++;
                }
        CHECK(n == whole.n_tok, "stride %d: %zu of %d tokens", stride, n, (int)whole.n_tok);
        NEED(eval_score_domain_gen(g, &d, &score, &err) == ST_OK, "%s", err.msg);
        CHECK(score.n_tok == whole.n_tok && score.n_bytes == whole.n_bytes, "stride %d", stride);
        CHECK(stride < 50 ? score.nats != whole.nats : score.nats == whole.nats,
              "stride %d: %g, %g", stride, score.nats, whole.nats);
        eval_domain_release(&d);
    }
    eval_texts_free(t);
    str_release(&b);
    gen_close(g);
}
