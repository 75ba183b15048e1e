/* tests/eval/main.c - bits per byte, windows of domains. */
#include "eval_tests.h"

#include <math.h>

#include "base/mem.h"
#include "data/shard.h"
#include "eval/bpb.h"
#include "eval/domain.h"
#include "eval/score.h"
#include "eval/unigram.h"

/* Documents of a hundred bytes or so, all different. */
static char *text_of(int i)
{
    struct strbuf b = { 0 };
    for (int k = 0; k < 10 + i % 7; k++)
        str_printf(&b, "line %d of page %d says %d. ", k, i, (i * 7919 + k * 104729) % 1000);
    return str_detach(&b);
}

static struct tok *train_tok(int vocab_size)
{
    struct tok_trainer *tr = tok_trainer_new();
    struct tok *tok = NULL;
    struct err err = { "" };
    for (int i = 0; i < 50; i++) {
        char *t = text_of(i);
        tok_trainer_add(tr, t, strlen(t));
        free(t);
    }
    CHECK(tok_trainer_finish(tr, vocab_size, &tok, &err) == ST_OK, "%s", err.msg);
    tok_trainer_free(tr);
    return tok;
}

/* Token files of documents from..to, encoded with tok. */
static enum st write_shard(const char *prefix, const struct tok *tok, int from, int to,
                           bool name_tokenizer, struct err *err)
{
    struct shard_writer *w;
    char hex[DIGEST_HEX];
    struct js *extra = js_object();
    enum st st = shard_writer_open(&w, prefix, tok_vocab_size(tok), err);
    for (int i = from; i < to && st == ST_OK; i++) {
        char *t = text_of(i);
        size_t n_bytes = strlen(t);
        uint32_t *id = NEW_ARRAY(uint32_t, n_bytes + 1);
        size_t n = tok_encode(tok, t, n_bytes, id);
        id[n++] = (uint32_t)tok_eod(tok);
        st = shard_write(w, id, n, n_bytes, err);
        free(id);
        free(t);
    }
    if (name_tokenizer)
        js_put_text(extra, "tokenizer", digest_hex(tok_digest(tok), hex));
    if (st == ST_OK)
        st = shard_writer_commit(w, extra, err);
    else
        js_free(extra);
    shard_writer_close(w);
    return st;
}

static void test_bpb(void)
{
    struct bpb a = { 0 }, b = { 0 };
    CHECK(isnan(bpb_value(&a)) && isnan(bpb_loss(&a)), "nothing was scored");
    /* Two tokens of 3 and 1 bytes with probability 1/4 and 1/16: 2 + 4 bits over 4 bytes. */
    bpb_add(&a, log(4), 3);
    bpb_add(&b, log(16), 1);
    bpb_merge(&a, &b);
    CHECK(fabs(bpb_value(&a) - 1.5) < 1e-12, "got %.17g", bpb_value(&a));
    CHECK(fabs(bpb_loss(&a) - 3 * log(2)) < 1e-12, "got %.17g", bpb_loss(&a));
    CHECK(a.n_tok == 2 && a.n_bytes == 4, "counts");
}

static void add_texts(struct eval_texts *t, int from, int to)
{
    for (int i = from; i < to; i++) {
        char *s = text_of(i);
        CHECK(eval_texts_add(t, s, strlen(s)), "text %d was left out", i);
        free(s);
    }
}

/* Every byte of text is scored once, whatever the window. */
static void test_all_of_it(void)
{
    struct tok *tok = train_tok(300);
    struct eval_texts *t = eval_texts_new(tok);
    struct err err = { "" };
    uint64_t bytes = 0;
    add_texts(t, 0, 40);
    for (int i = 0; i < 40; i++) {
        char *s = text_of(i);
        bytes += strlen(s);
        free(s);
    }
    static const int lens[] = { 2, 7, 64, 256, 4096 };
    for (size_t i = 0; i < N_OF(lens); i++) {
        struct eval_domain d;
        size_t n_tok = 0;
        uint64_t n_bytes = 0;
        NEED(eval_texts_domain(t, &d, "x", lens[i], 0, &err) == ST_OK, "%s", err.msg);
        for (size_t k = 0; k < d.n_window * (size_t)lens[i]; k++) {
            n_tok += d.n_bytes[k] > 0;
            n_bytes += d.n_bytes[k];
        }
        CHECK(n_bytes == bytes && d.n_bytes_scored == bytes && n_tok == d.n_tok_scored,
              "windows of %d: %llu bytes of %llu", lens[i], (unsigned long long)n_bytes,
              (unsigned long long)bytes);
        for (size_t w = 1; w < d.n_window;
             w++) /* each window begins with the last token before it */
            CHECK(d.tok[w * ((size_t)lens[i] + 1)] ==
                      d.tok[(w - 1) * ((size_t)lens[i] + 1) + (size_t)lens[i]],
                  "window %zu", w);
        eval_domain_release(&d);
    }
    eval_texts_free(t);
    tok_free(tok);
}

/* A limit takes from many documents, the same text whatever the window length. */
static void test_limit(void)
{
    struct tok *tok = train_tok(300);
    struct eval_texts *t = eval_texts_new(tok);
    struct err err = { "" };
    struct eval_domain a, b;
    add_texts(t, 0, 100);
    struct strbuf big = { 0 };
    for (int i = 0; i < 5000; i++)
        str_adds(&big, "one very long page ");
    CHECK(eval_texts_add(t, big.s, big.n), "left out");
    NEED(eval_texts_domain(t, &a, "x", 64, 8000, &err) == ST_OK, "%s", err.msg);
    NEED(eval_texts_domain(t, &b, "x", 256, 8000, &err) == ST_OK, "%s", err.msg);
    CHECK(a.n_bytes_scored >= 8000 && a.n_bytes_scored < 8000 + 64, "got %llu",
          (unsigned long long)a.n_bytes_scored);
    CHECK(a.n_bytes_scored == b.n_bytes_scored && a.n_tok_scored == b.n_tok_scored, "differ");
    int eods = 0;
    for (size_t i = 0; i < a.n_window * 65; i++)
        eods += a.tok[i] == (uint32_t)tok_eod(tok);
    CHECK(eods > 15, "only %d pieces: one page stands for the domain", eods);
    eval_domain_release(&a);
    eval_domain_release(&b);
    str_release(&big);
    eval_texts_free(t);
    tok_free(tok);
}

static void test_shard_as_texts(void)
{
    struct tok *tok = train_tok(300), *other = train_tok(270);
    struct err err = { "" };
    struct eval_domain a, b;
    char *prefix = path_join(check_dir(), "held"), *loose = path_join(check_dir(), "loose");
    struct eval_texts *t = eval_texts_new(tok);
    NEED(write_shard(prefix, tok, 0, 40, true, &err) == ST_OK, "%s", err.msg);
    add_texts(t, 0, 40);
    NEED(eval_domain_shard(&a, "held", prefix, tok, 32, 3000, &err) == ST_OK, "%s", err.msg);
    NEED(eval_texts_domain(t, &b, "held", 32, 3000, &err) == ST_OK, "%s", err.msg);
    CHECK(a.n_window == b.n_window && a.n_bytes_scored == b.n_bytes_scored &&
              memcmp(a.tok, b.tok, a.n_window * 33 * sizeof *a.tok) == 0 &&
              memcmp(a.n_bytes, b.n_bytes, a.n_window * 32 * sizeof *a.n_bytes) == 0,
          "token files and texts must give the same windows");
    eval_domain_release(&a);
    eval_domain_release(&b);
    CHECK(eval_domain_shard(&a, "held", prefix, other, 32, 0, &err) == ST_USAGE &&
              strstr(err.msg, "another tokenizer"),
          "got '%s'", err.msg);
    CHECK(eval_domain_shard(&a, "none", "/nowhere/x", tok, 32, 0, &err) == ST_IO &&
              strstr(err.msg, "/nowhere/x"),
          "got '%s'", err.msg);
    NEED(write_shard(loose, tok, 0, 0, true, &err) == ST_OK, "%s", err.msg);
    CHECK(eval_domain_shard(&a, "empty", loose, tok, 32, 0, &err) == ST_FORMAT &&
              strstr(err.msg, "no text"),
          "got '%s'", err.msg);
    char *bin = xasprintf("%s.bin", prefix);
    FILE *f = fopen(bin, "r+b");
    NEED(f && fseek(f, 2 * 77, SEEK_SET) == 0 && fwrite("\xff\xff", 1, 2, f) == 2 && fclose(f) == 0,
         "cannot damage '%s'", bin);
    CHECK(eval_domain_shard(&a, "held", prefix, tok, 32, 0, &err) == ST_FORMAT &&
              strstr(err.msg, "at byte 154: token 77 is 65535, want below"),
          "got '%s'", err.msg);
    free(bin);
    eval_texts_free(t);
    free(prefix);
    free(loose);
    tok_free(tok);
    tok_free(other);
}

/* A fresh model knows nothing: about ln V. Scores are the sums of model_losses over what is scored,
 * whatever the windows' grouping. */
static void test_score(void)
{
    struct tok *tok = train_tok(300);
    struct eval_texts *t = eval_texts_new(tok);
    struct eval_domain d[2];
    struct backend *b;
    struct model *m;
    struct err err = { "" };
    struct bpb got[2], want = { 0 };
    const struct model_conf conf = { .n_layer = 1,
                                     .d_model = 32,
                                     .n_head = 2,
                                     .n_kv_head = 2,
                                     .d_head = 16,
                                     .d_ff = 64,
                                     .vocab_size = tok_vocab_size(tok),
                                     .max_seq_len = 64,
                                     .rope_theta = 10000,
                                     .norm_eps = 1e-5 };
    add_texts(t, 0, 60);
    NEED(eval_texts_domain(t, &d[0], "a", 64, 0, &err) == ST_OK, "%s", err.msg);
    NEED(eval_texts_domain(t, &d[1], "b", 16, 500, &err) == ST_OK, "%s", err.msg);
    NEED(backend_open(&b, "cpu", 2, PRECISION_FP32, &err) == ST_OK, "%s", err.msg);
    NEED(model_new(&m, &conf, b, &err) == ST_OK, "%s", err.msg);
    model_init(m, 1);
    NEED(eval_score(m, d, 2, got, &err) == ST_OK, "%s", err.msg);
    for (size_t w = 0; w < d[0].n_window; w++) {
        float losses[64];
        NEED(model_losses(m, d[0].tok + w * 65, 1, 64, losses, &err) == ST_OK, "%s", err.msg);
        for (size_t i = 0; i < 64; i++)
            if (d[0].n_bytes[w * 64 + i])
                bpb_add(&want, losses[i], d[0].n_bytes[w * 64 + i]);
    }
    CHECK(got[0].nats == want.nats && got[0].n_tok == want.n_tok && got[0].n_bytes == want.n_bytes,
          "%.17g, one window at a time %.17g", got[0].nats, want.nats);
    CHECK(fabs(bpb_loss(&got[0]) - log(conf.vocab_size)) < 0.1, "%g, ln V is %g", bpb_loss(&got[0]),
          log(conf.vocab_size));
    struct eval_mean mean = eval_mean(got, 2);
    CHECK(fabs(mean.loss - (bpb_loss(&got[0]) + bpb_loss(&got[1])) / 2) < 1e-12 &&
              mean.n_tok == got[0].n_tok + got[1].n_tok,
          "the unweighted mean");
    CHECK(isnan(eval_mean(got, 0).loss), "of nothing");
    eval_domain_release(&d[0]);
    eval_domain_release(&d[1]);
    model_free(m);
    backend_close(b);
    eval_texts_free(t);
    tok_free(tok);
}

static struct unigram counted(const struct js *ids, const char *name, int vocab_size)
{
    struct unigram u = unigram_new(name, vocab_size);
    for (size_t i = 0; i < js_len(ids); i++) {
        uint32_t id = (uint32_t)js_as_whole(js_at(ids, i), 0);
        unigram_add(&u, &id, 1, -1);
    }
    return u;
}

static void check_reals(const struct js *want, const double *got, size_t n, const char *what)
{
    CHECK(js_len(want) == n, "%s: %zu values", what, js_len(want));
    for (size_t i = 0; i < n; i++)
        CHECK(fabs(js_as_real(js_at(want, i), NAN) - got[i]) < 1e-12, "%s %zu: %.17g", what, i,
              got[i]);
}

/* Against tests/golden/make_unigram.py, which knows the definitions only. */
static void test_unigram(void)
{
    struct js *g;
    struct err err = { "" };
    NEED(js_read_file(&g, "tests/golden/unigram.json", &err) == ST_OK, "%s", err.msg);
    int vocab_size = (int)js_get_whole(g, "vocab_size", 0);
    struct unigram natural = counted(js_get(g, "natural"), "natural", vocab_size),
                   synth = counted(js_get(g, "synth"), "hq", vocab_size),
                   v = counted(js_get(g, "domain"), "books", vocab_size);
    const struct js *cases = js_get(g, "cases");
    NEED(js_len(cases) == 6, "%zu cases", js_len(cases));
    for (size_t i = 0; i < js_len(cases); i++) {
        const struct js *want = js_at(cases, i), *blind = js_get(want, "blind"),
                        *top = js_get(want, "top");
        double share = js_get_real(want, "share", NAN);
        struct unigram mix = unigram_mix("mix", &natural, &synth, 0.25);
        const struct unigram *r = share == 0 ? &natural : share == 1 ? &synth : &mix;
        struct unigram_conf c = { .eps = js_get_real(want, "eps", 0),
                                  .tau = js_get_real(g, "tau", 0),
                                  .kappa = js_get_real(g, "kappa", 0) };
        struct unigram_score got;
        unigram_compare(&got, r, &v, &c);
        const struct {
            const char *key;
            double got;
        } real[] = { { "kl", got.kl },
                     { "kl_reverse", got.kl_reverse },
                     { "js", got.js },
                     { "cross_entropy", got.cross_entropy },
                     { "blind_mass", got.blind_mass } };
        for (size_t k = 0; k < N_OF(real); k++)
            CHECK(fabs(js_get_real(want, real[k].key, NAN) - real[k].got) < 1e-12, "%zu %s: %.17g",
                  i, real[k].key, real[k].got);
        check_reals(js_get(want, "coverage"), got.coverage, UNIGRAM_LEVELS, "coverage");
        check_reals(js_get(want, "coverage_types"), got.coverage_types, UNIGRAM_LEVELS, "types");
        CHECK(got.n_blind == js_len(blind), "%zu: %zu blind spots", i, got.n_blind);
        double mass = 0;
        for (int k = 0; k < UNIGRAM_BINS; k++)
            mass += got.bin_mass[k];
        CHECK(fabs(mass - 1) < 1e-12 && isnan(got.blind_loss), "bins hold %g", mass);
        struct unigram_token lack[5];
        NEED(unigram_top(lack, 5, r, &v, &c, false) == 5, "no tokens");
        for (size_t k = 0; k < 5; k++)
            CHECK(lack[k].id == js_as_whole(js_at(top, k), -1), "%zu: token %u", i, lack[k].id);
        unigram_release(&mix);
    }
    unigram_release(&natural);
    unigram_release(&synth);
    unigram_release(&v);
    js_free(g);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        TEST(test_bpb),
        TEST(test_all_of_it),
        TEST(test_limit),
        TEST(test_shard_as_texts),
        TEST(test_score),
        TEST(test_unigram),
        TEST(test_harness_numbers),
        TEST(test_question_texts),
        TEST(test_bad_questions),
        TEST(test_strides),
    };
    return check_main(tests, N_OF(tests), argc, argv);
}
