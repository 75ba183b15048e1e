/* tests/data/mixtures.c - shares of every prefix, nesting, pairing, epochs, threads. */
#include "check.h"
#include "data_tests.h"

#include <math.h>

#include "base/mem.h"
#include "base/pool.h"
#include "data/mixture.h"
#include "data/slots.h"

/* Counting by Euclid against counting one by one. */
static void test_slots_count(void)
{
    static const uint64_t border[] = { 0, 1, 12345, 1u << 31, 2863311530u, UINT32_MAX, SLOT_RANGE };
    for (uint32_t offset = 1; offset < 4000000000u; offset += 999999999u)
        for (size_t b = 0; b + 1 < N_OF(border); b++) {
            uint64_t n = 0, lo = border[b], hi = border[b + 1];
            for (uint64_t i = 0; i < 3000; i++) {
                CHECK(slots_count(offset, i, lo, hi) == n, "%llu slots: want %llu, got %llu",
                      (unsigned long long)i, (unsigned long long)n,
                      (unsigned long long)slots_count(offset, i, lo, hi));
                uint32_t point = slot_point(offset, i);
                if (point >= lo && point < hi) {
                    CHECK(slots_find(offset, 3000, lo, hi, n) == i, "the %llu-th is elsewhere",
                          (unsigned long long)n);
                    n++;
                }
            }
        }
    uint64_t far = 3 * SLOT_RANGE; /* whole periods */
    CHECK(slots_count(77, far, 0, 1u << 30) == far / 4, "got %llu",
          (unsigned long long)slots_count(77, far, 0, 1u << 30));
}

static struct mixture *mix(const char *natural, const char *a, const char *b, double share_a,
                           double share_b, int seq_len, uint64_t seed)
{
    struct mixture_source s[] = { { "natural", natural, 1 - share_a - share_b, 0 },
                                  { "a", a, share_a, 0 },
                                  { "b", b, share_b, 0 } };
    struct err err = { "" };
    struct mixture *m = NULL;
    enum st st = mixture_open(&m, s, 3, seq_len, seed, &err);
    CHECK(st == ST_OK, "%s", err.msg);
    return m;
}

static void test_mixture_shares(void)
{
    char *n = make_shard("nat", 50, 3, 40, 1000), *a = make_shard("a", 30, 3, 40, 1000);
    static const double share[] = { 0, 0.01, 0.25, 1 / 3., 0.5, 0.67, 0.9, 1 };
    for (size_t i = 0; i < N_OF(share); i++) {
        for (uint64_t seed = 0; seed < 5; seed++) {
            struct mixture *m = mix(n, a, a, share[i] * 0.75, share[i] * 0.25, 16, seed);
            NEED(m, "no mixture");
            uint64_t count[3] = { 0 };
            double worst = 0;
            for (uint64_t slot = 0; slot < 20000; slot++) {
                count[mixture_slot_source(m, slot)]++;
                double off[3] = { (double)count[0] - (1 - share[i]) * (double)(slot + 1),
                                  (double)count[1] - share[i] * 0.75 * (double)(slot + 1),
                                  (double)count[2] - share[i] * 0.25 * (double)(slot + 1) };
                for (int k = 0; k < 3; k++)
                    worst = fmax(worst, fabs(off[k]));
            }
            CHECK(worst < 4, "share %g: off by %g windows", share[i], worst);
            if (share[i] == 0)
                CHECK(worst < 1e-6 && count[0] == 20000, "share 0 has %g", worst);
            struct mixture_use use[3];
            mixture_use(m, 20000, use);
            for (int k = 0; k < 3; k++)
                CHECK(use[k].n_tok == 16 * count[k], "used %llu, counted %llu",
                      (unsigned long long)use[k].n_tok, 16 * (unsigned long long)count[k]);
            mixture_close(m);
        }
    }
    free(n);
    free(a);
}

/* The window of an undamaged source. */
static void window(const struct mixture *m, uint64_t slot, uint32_t *tok)
{
    struct err err = { "" };
    NEED(mixture_window(m, slot, tok, &err) == ST_OK, "%s", err.msg);
}

/* Natural slots of a larger share are natural at a smaller one too, and hold the same window. */
static void test_mixture_paired(void)
{
    char *n = make_shard("nat", 400, 20, 90, 30000), *a = make_shard("a", 30, 3, 40, 30000);
    static const double share[] = { 0, 0.1, 1 / 3., 0.5, 0.67, 0.95 };
    enum { L = 8, SLOTS = 2500 };
    for (uint64_t seed = 1; seed < 4; seed++) {
        struct mixture *m[N_OF(share)];
        for (size_t i = 0; i < N_OF(share); i++)
            m[i] = mix(n, a, a, share[i] / 2, share[i] / 2, L, seed);
        for (uint64_t slot = 0; slot < SLOTS; slot++) {
            uint32_t want[L + 1], got[L + 1];
            window(m[0], slot, want);
            bool synthetic = false;
            for (size_t i = 0; i < N_OF(share); i++) {
                bool natural = mixture_slot_source(m[i], slot) == 0;
                CHECK(!(natural && synthetic), "slot %llu is natural again at share %g",
                      (unsigned long long)slot, share[i]);
                synthetic = !natural;
                window(m[i], slot, got);
                if (natural)
                    CHECK(memcmp(want, got, sizeof want) == 0, "slot %llu differs at share %g",
                          (unsigned long long)slot, share[i]);
            }
        }
        for (size_t i = 0; i < N_OF(share); i++)
            mixture_close(m[i]);
    }
    free(n);
    free(a);
}

/* Every token of the pool is drawn once before any is drawn twice; counts of unique tokens are
 * exact. */
static void check_epochs(const char *prefix, double share_natural, int seq_len, uint64_t max_tok)
{
    struct mixture_source s[] = { { "natural", prefix, share_natural, max_tok },
                                  { "a", prefix, 1 - share_natural, max_tok } };
    struct err err = { "" };
    struct mixture *m;
    struct shard *sh;
    NEED(mixture_open(&m, s, 2, seq_len, 9, &err) == ST_OK, "%s", err.msg);
    NEED(shard_open(&sh, prefix, &err) == ST_OK, "%s", err.msg);
    uint64_t n_pool = max_tok && max_tok < shard_n_tok(sh) ? max_tok : shard_n_tok(sh);
    int vocab = shard_vocab_size(sh);
    int *drawn[2] = { NEW_ARRAY(int, (size_t)vocab), NEW_ARRAY(int, (size_t)vocab) };
    uint32_t *tok = NEW_ARRAY(uint32_t, (size_t)seq_len + 1);
    uint32_t *last = NEW_ARRAY(uint32_t, 2);
    for (uint64_t slot = 0; slot < 4 * n_pool / (uint64_t)seq_len; slot++) {
        size_t k = mixture_slot_source(m, slot);
        window(m, slot, tok);
        struct mixture_use use[2];
        for (int i = 0; i < seq_len; i++)
            drawn[k][tok[i]]++;
        mixture_use(m, slot + 1, use);
        uint64_t unique = 0;
        int least = INT32_MAX, most = 0;
        for (int v = 0; v < vocab; v++) {
            unique += drawn[k][v] > 0;
            most = drawn[k][v] > most ? drawn[k][v] : most;
            least = drawn[k][v] && drawn[k][v] < least ? drawn[k][v] : least;
        }
        CHECK(unique == use[k].n_tok_unique, "slot %llu source %zu: %llu different, said %llu",
              (unsigned long long)slot, k, (unsigned long long)unique,
              (unsigned long long)use[k].n_tok_unique);
        if (unique < n_pool)
            CHECK(most == 1, "slot %llu source %zu: repeated after %llu of %llu",
                  (unsigned long long)slot, k, (unsigned long long)unique,
                  (unsigned long long)n_pool);
        else
            CHECK(most - least <= 1, "epochs overlap: %d and %d", least, most);
    }
    free(drawn[0]);
    free(drawn[1]);
    free(tok);
    free(last);
    shard_close(sh);
    mixture_close(m);
}

static uint32_t distinct_len(uint32_t first)
{
    return 1 + first * 13 % 37;
}

/* A file in which each token is different, so that draws can be told apart. */
static char *distinct_shard(uint32_t n_tok)
{
    struct err err = { "" };
    struct shard_writer *w = NULL;
    char *prefix = path_join(check_dir(), "distinct");
    uint32_t tok[40], next = 0;
    CHECK(shard_writer_open(&w, prefix, n_tok, &err) == ST_OK, "%s", err.msg);
    if (!w)
        return prefix;
    while (next + 40 < n_tok) {
        size_t n = distinct_len(next);
        for (size_t i = 0; i < n; i++)
            tok[i] = next++;
        CHECK(shard_write(w, tok, n, n, &err) == ST_OK, "%s", err.msg);
    }
    CHECK(shard_writer_commit(w, NULL, &err) == ST_OK, "%s", err.msg);
    shard_writer_close(w);
    return prefix;
}

static void test_mixture_epochs(void)
{
    char *prefix = distinct_shard(700);
    check_epochs(prefix, 1, 8, 0);
    check_epochs(prefix, 0.5, 8, 0);
    check_epochs(prefix, 0.1, 8, 0);
    check_epochs(prefix, 0.7, 50, 0);
    check_epochs(prefix, 0.4, 7, 201);
    check_epochs(prefix, 0.5, 16, 16);
    free(prefix);
}

/* A cut pool is the beginning of the whole one, cut alike: each of its windows is one of the whole
 * one's. The last token of a window is where another begins. */
static void test_mixture_pool(void)
{
    enum { L = 10, N_TOK = 2000, N_CUT = 1000 };
    char *n = distinct_shard(N_TOK);
    struct mixture_source all = { "natural", n, 1, 0 }, some = { "natural", n, 1, N_CUT };
    struct err err = { "" };
    struct mixture *a, *b;
    uint32_t x[L + 1],
        follows[N_TOK] = { 0 }; /* of a window's first token: the last one, its target */
    bool begins[N_TOK] = { false }, is_document[N_TOK] = { false };
    int n_last = 0, n_wrong = 0;
    struct mixture_use use;
    NEED(mixture_open(&a, &all, 1, L, 5, &err) == ST_OK, "%s", err.msg);
    NEED(mixture_open(&b, &some, 1, L, 5, &err) == ST_OK, "%s", err.msg);
    mixture_use(a, N_TOK, &use);
    uint64_t n_window = use.n_tok_unique / L;
    for (uint32_t t = 0; t < N_TOK; t += distinct_len(t))
        is_document[t] = true;
    for (uint64_t i = 0; i < n_window; i++) {
        window(a, i, x);
        begins[x[0]] = true;
        follows[x[0]] = x[L];
        for (int k = 1; k <= L; k++) /* the next of its document, or the beginning of another */
            n_wrong += x[k] != x[k - 1] + 1 && !is_document[x[k]];
    }
    CHECK(n_wrong == 0, "%d tokens follow what they do not follow in the file", n_wrong);
    for (uint32_t t = 0; t < N_TOK; t++)
        n_last += begins[t] && !begins[follows[t]];
    CHECK(n_last <= 1, "%d targets are not the next token", n_last);
    for (uint64_t i = 0, n_other = 0; i < N_CUT / L; i++) {
        window(b, i, x);
        n_other += begins[x[0]] && follows[x[0]] != x[L];
        CHECK(begins[x[0]] && n_other <= 1, "window %llu is cut elsewhere", (unsigned long long)i);
    }
    mixture_use(b, 250, &use);
    CHECK(use.n_tok == 2500 && use.n_tok_unique == N_CUT && use.n_epoch == 2.5, "got %g epochs",
          use.n_epoch);
    mixture_close(a);
    mixture_close(b);
    free(n);
}

/* A document of a hundred windows does not stand in one row of a hundred steps: its windows lie
 * among those of the short documents, as a shuffle lays them, and each comes once. */
static void test_mixture_long_documents(void)
{
    enum { L = 8, WINDOWS = 100, N_TOK = 2 * L * WINDOWS };
    struct err err = { "" };
    struct shard_writer *w;
    struct mixture *m;
    char *prefix = path_join(check_dir(), "long");
    struct mixture_source s = { "natural", prefix, 1, 0 };
    uint32_t tok[L * WINDOWS], got[L + 1];
    int n_row = 0, longest = 0, n_long = 0, n_change = 0;
    bool drawn[N_TOK] = { false };
    NEED(shard_writer_open(&w, prefix, N_TOK, &err) == ST_OK, "%s", err.msg);
    for (uint32_t i = 0; i < L * WINDOWS; i++)
        tok[i] = i;
    CHECK(shard_write(w, tok, N_OF(tok), N_OF(tok), &err) == ST_OK, "%s", err.msg);
    for (uint32_t d = 0; d < WINDOWS; d++) { /* as many short ones, of a window each */
        for (uint32_t i = 0; i < L; i++)
            tok[i] = L * WINDOWS + L * d + i;
        CHECK(shard_write(w, tok, L, L, &err) == ST_OK, "%s", err.msg);
    }
    CHECK(shard_writer_commit(w, NULL, &err) == ST_OK, "%s", err.msg);
    shard_writer_close(w);
    NEED(mixture_open(&m, &s, 1, L, 3, &err) == ST_OK, "%s", err.msg);
    for (uint64_t slot = 0; slot < 2 * WINDOWS; slot++) {
        window(m, slot, got);
        bool is_long = got[0] < L * WINDOWS;
        CHECK(!drawn[got[0]], "the window of token %u is drawn twice", got[0]);
        drawn[got[0]] = true;
        n_long += is_long;
        n_change += is_long == (n_row == 0);
        n_row = is_long ? n_row + 1 : 0;
        longest = n_row > longest ? n_row : longest;
    }
    CHECK(n_long == WINDOWS, "%d windows of the long document", n_long);
    CHECK(longest <= 12 && n_change > 60, "%d in a row, %d changes", longest, n_change);
    mixture_close(m);
    free(prefix);
}

struct sums {
    const struct mixture *m;
    uint64_t sum[600];
};

static void sum_window(void *job, size_t item, int thread)
{
    (void)thread;
    struct sums *s = job;
    uint32_t tok[33];
    window(s->m, item * 37, tok);
    for (int i = 0; i < 33; i++)
        s->sum[item] = s->sum[item] * 31 + tok[i];
}

static void test_mixture_threads(void)
{
    char *n = make_shard("nat", 60, 5, 60, 30000), *a = make_shard("a", 9, 5, 60, 30000);
    struct mixture *m = mix(n, a, a, 0.3, 0.2, 32, 3), *again = mix(n, a, a, 0.3, 0.2, 32, 3);
    NEED(m && again, "no mixture");
    struct sums one = { .m = again }, many = { .m = m };
    struct pool *p = pool_new(4);
    pool_run(p, 600, sum_window, &many);
    pool_run(NULL, 600, sum_window, &one);
    CHECK(memcmp(one.sum, many.sum, sizeof one.sum) == 0, "threads change the windows");
    pool_free(p);
    mixture_close(m);
    mixture_close(again);
    free(n);
    free(a);
}

/* A file too large to be read beforehand: damage is named by whatever window meets it, and by no
 * other. */
static void test_mixture_damaged(void)
{
    enum { N_DOC = 10, LEN = 60000, L = 100, AT = 123456 };
    char *n = make_shard("large", N_DOC, LEN, LEN + 1, 500), *bin = xasprintf("%s.bin", n);
    struct mixture_source s = { "natural", n, 1, 0 };
    struct err err = { "" };
    struct mixture *m;
    uint32_t tok[L + 1];
    FILE *f = fopen(bin, "r+b");
    NEED(f && fseek(f, 2 * AT, SEEK_SET) == 0 && fwrite("\xff\xff", 1, 2, f) == 2 && fclose(f) == 0,
         "cannot damage '%s'", bin);
    NEED(mixture_open(&m, &s, 1, L, 5, &err) == ST_OK, "%s", err.msg);
    int n_refused = 0;
    for (uint64_t slot = 0; slot < N_DOC * LEN / L - 1; slot++) {
        struct err why = { "" };
        enum st st = mixture_window(m, slot, tok, &why);
        if (st == ST_OK)
            continue;
        n_refused++;
        CHECK(st == ST_FORMAT && strstr(why.msg, "source 'natural'") &&
                  strstr(why.msg, "at byte 246912: token 123456 is 65535, want below 500"),
              "got %d, %s", (int)st, why.msg);
    }
    CHECK(n_refused >= 1 && n_refused <= 2, "%d windows were refused", n_refused);
    mixture_close(m);
    free(bin);
    free(n);
}

static void test_mixture_refuses(void)
{
    char *n = make_shard("nat", 10, 5, 9, 100), *wide = make_shard("wide", 10, 5, 9, 200);
    char *none = make_shard("none", 0, 1, 2, 100), *lost = path_join(check_dir(), "lost");
    char *json = xasprintf("%s.json", n);
    struct {
        struct mixture_source s[2];
        enum st want;
        const char *msg;
    } row[] = {
        { { { "natural", n, 1.3, 0 }, { "a", n, -0.3, 0 } }, ST_USAGE, "is 1.3, want 0 to 1" },
        { { { "natural", n, 0.5, 0 }, { "a", n, 0.4, 0 } }, ST_USAGE, "sum to 0.9, want 1" },
        { { { "natural", n, (double)NAN, 0 }, { "a", n, 0.4, 0 } }, ST_USAGE, "want 0 to 1" },
        { { { "natural", n, 0.5, 0 }, { "a", lost, 0.5, 0 } }, ST_IO, "source 'a'" },
        { { { "natural", n, 0.5, 0 }, { "a", none, 0.5, 0 } }, ST_USAGE, "has no tokens" },
        { { { "natural", n, 1, 0 }, { "a", none, 0, 0 } }, ST_OK, "" },
        { { { "natural", n, 0.5, 0 }, { "a", wide, 0.5, 0 } }, ST_USAGE, "vocabulary of 200" },
    };
    for (size_t i = 0; i < N_OF(row); i++) {
        struct err err = { "" };
        struct mixture *m = NULL;
        enum st st = mixture_open(&m, row[i].s, 2, 4, 1, &err);
        CHECK(st == row[i].want && strstr(err.msg, row[i].msg), "row %zu: got %d, %s", i, (int)st,
              err.msg);
        mixture_close(m);
    }
    /* ids that its own manifest does not allow */
    struct err err = { "" };
    struct mixture *m;
    struct mixture_source s = { "natural", n, 1, 0 };
    struct js *v;
    NEED(js_read_file(&v, json, &err) == ST_OK, "%s", err.msg);
    js_put_whole(v, "vocab_size", 20);
    CHECK(js_write_file(v, json, &err) == ST_OK, "%s", err.msg);
    CHECK(mixture_open(&m, &s, 1, 4, 1, &err) == ST_FORMAT && strstr(err.msg, "want below 20"),
          "got %s", err.msg);
    js_free(v);
    free(n);
    free(wide);
    free(none);
    free(lost);
    free(json);
}

const struct check_test mixture_tests[] = {
    TEST(test_slots_count),     TEST(test_mixture_shares),  TEST(test_mixture_paired),
    TEST(test_mixture_epochs),  TEST(test_mixture_pool),    TEST(test_mixture_threads),
    TEST(test_mixture_damaged), TEST(test_mixture_refuses), TEST(test_mixture_long_documents),
};
const size_t n_mixture_tests = N_OF(mixture_tests);
