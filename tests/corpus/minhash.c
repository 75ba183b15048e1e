/* tests/corpus/minhash.c - estimates and duplicates against exact similarities and datatrove's
 * (tests/golden/make_minhash.py), and input made to be slow. */
#include <math.h>

#include "base/hash.h"
#include "base/json.h"
#include "base/mem.h"
#include "corpus/minhash.h"
#include "corpus_tests.h"

struct recorded {
    struct js *tree;
    const struct js *pairs;
    size_t n;
    struct minhash *sig; /* of each text */
};

static bool recorded_open(struct recorded *r)
{
    struct err err;
    enum st st = js_read_file(&r->tree, "tests/golden/minhash.json", &err);
    CHECK(st == ST_OK, "%s", err.msg);
    if (st < 0)
        return false;
    const struct js *texts = js_get(r->tree, "texts");
    r->pairs = js_get(r->tree, "pairs");
    r->n = js_len(texts);
    r->sig = NEW_ARRAY(struct minhash, r->n);
    for (size_t i = 0; i < r->n; i++) {
        const char *text = js_as_text(js_at(texts, i), NULL);
        CHECK(minhash_of(&r->sig[i], text, strlen(text)), "text %zu has no signature", i);
    }
    return true;
}

static void recorded_release(struct recorded *r)
{
    js_free(r->tree);
    free(r->sig);
}

/* The error against the exact similarity is that of 112 draws, as datatrove's is, and no bias. */
static void test_similarity(void)
{
    struct recorded r;
    double sum = 0, square = 0, theirs = 0;
    if (!recorded_open(&r))
        return;
    size_t n = js_len(r.pairs);
    for (size_t i = 0; i < n; i++) {
        const struct js *p = js_at(r.pairs, i);
        double exact = js_get_real(p, "exact", NAN);
        double ours =
            minhash_similarity(&r.sig[js_get_whole(p, "a", 0)], &r.sig[js_get_whole(p, "b", 0)]);
        double error = ours - exact, sd = sqrt(exact * (1 - exact) / MINHASH_N);
        CHECK(fabs(error) <= 4.5 * sd, "pair %zu: %.3f, exact %.3f", i, ours, exact);
        sum += error;
        square += error * error;
        theirs += pow(js_get_real(p, "datatrove", NAN) - exact, 2);
    }
    CHECK(n > 100 && fabs(sum / (double)n) < 0.012, "bias %.4f over %zu pairs", sum / (double)n, n);
    CHECK(sqrt(square) < 1.3 * sqrt(theirs), "error %.4f, datatrove's %.4f",
          sqrt(square / (double)n), sqrt(theirs / (double)n));
    recorded_release(&r);
}

/* Texts well above the limit are found, well below they are not; what is found is the truth. */
static void test_duplicates(void)
{
    struct recorded r;
    const double limit = 0.75, doubt = 0.13; /* three deviations of the estimate */
    if (!recorded_open(&r))
        return;
    struct minhash_index *ix = minhash_index_new(limit);
    uint32_t *text_of = NEW_ARRAY(uint32_t, r.n), which;
    int *first = NEW_ARRAY(int, r.n); /* by text: what it duplicates, or -1 when it was kept */
    for (size_t i = 0; i < r.n; i++) {
        bool found = minhash_index_find(ix, &r.sig[i], &which);
        first[i] = found ? (int)text_of[which] : -1;
        if (!found)
            text_of[minhash_index_add(ix, &r.sig[i])] = (uint32_t)i;
    }
    double best[256] = { 0 }; /* of a text with an earlier one that was kept */
    bool truth[256] = { 0 };
    int n_sure = 0, n_not = 0, n_agree = 0, n_theirs = 0;
    NEED(r.n <= N_OF(best), "%zu texts", r.n);
    for (size_t i = 0; i < js_len(r.pairs); i++) {
        const struct js *p = js_at(r.pairs, i);
        size_t a = (size_t)js_get_whole(p, "a", 0), b = (size_t)js_get_whole(p, "b", 0);
        double exact = js_get_real(p, "exact", NAN);
        if (first[a] < 0)
            best[b] = fmax(best[b], exact);
        truth[b] |= first[b] == (int)a && exact > limit - doubt;
        if (first[a] < 0 && js_get_bool(p, "same_bucket", false) && exact > limit + doubt) {
            n_theirs++;
            n_agree += first[b] >= 0;
        }
    }
    for (size_t i = 0; i < r.n; i++) {
        n_sure += best[i] > limit + doubt;
        n_not += best[i] < limit - doubt;
        CHECK(best[i] <= limit + doubt || first[i] >= 0, "text %zu (%.2f) was kept", i, best[i]);
        CHECK(best[i] >= limit - doubt || first[i] < 0, "text %zu (%.2f) fell", i, best[i]);
        CHECK(first[i] < 0 || truth[i], "text %zu is not like %d", i, first[i]);
    }
    CHECK(n_sure >= 10 && n_not >= 40, "%d sure, %d surely not: adapt the texts", n_sure, n_not);
    CHECK(n_theirs >= 10 && n_agree == n_theirs, "%d of datatrove's %d", n_agree, n_theirs);
    minhash_index_free(ix);
    free(text_of);
    free(first);
    recorded_release(&r);
}

/* Case, punctuation and white space do not matter, order does; few words have no signature. */
static void test_words(void)
{
    static const char a[] = "One, two; THREE four five six!",
                      b[] = "one two three\n\nfour Five six", c[] = "six five four three two one";
    struct minhash x, y, z;
    CHECK(minhash_of(&x, a, sizeof a - 1) && minhash_of(&y, b, sizeof b - 1), "no signature");
    CHECK(minhash_of(&z, c, sizeof c - 1), "no signature");
    CHECK(minhash_similarity(&x, &y) == 1, "%g", minhash_similarity(&x, &y));
    CHECK(minhash_similarity(&x, &z) == 0, "%g", minhash_similarity(&x, &z));
    CHECK(!minhash_of(&z, "one two three four", 18), "a signature of four words");
    CHECK(!minhash_of(&z, "", 0) && !minhash_of(&z, "...", 3), "a signature of nothing");
    CHECK(minhash_of(&z, "\xff\xfe a b c d e \xc3", 15), "damaged bytes are separators");
}

/* Texts that all agree in bands but not as a whole: each is compared with few others.
 * Quadratic work would be 2e10 comparisons: minutes instead of a moment. */
static void test_crowded_bands(void)
{
    enum { TEXTS = 200000 };
    struct minhash m = { { 0 } };
    struct minhash_index *ix = minhash_index_new(0.75);
    uint32_t which;
    size_t n_found = 0;
    for (uint32_t i = 0; i < TEXTS; i++) {
        for (int k = MINHASH_N / 2; k < MINHASH_N; k++) /* the first seven bands are all alike */
            m.v[k] = (uint16_t)hash64(&i, sizeof i, (uint64_t)k);
        n_found += minhash_index_find(ix, &m, &which);
        minhash_index_add(ix, &m);
    }
    CHECK(n_found == 0, "%zu found alike", n_found);
    CHECK(minhash_index_find(ix, &m, &which) && which == TEXTS - 1, "the last is not found");
    for (int k = MINHASH_N / 2; k < MINHASH_N; k++)
        m.v[k] = 0;
    CHECK(!minhash_index_find(ix, &m, &which), "half alike is not alike");
    minhash_index_free(ix);
}

static void test_first_wins(void)
{
    struct minhash m;
    struct minhash_index *ix = minhash_index_new(0.75);
    uint32_t which = 7;
    CHECK(minhash_of(&m, "a b c d e f g h", 15), "no signature");
    CHECK(!minhash_index_find(ix, &m, &which) && which == 7, "found in an empty index");
    CHECK(minhash_index_add(ix, &m) == 0 && minhash_index_add(ix, &m) == 1, "numbers");
    CHECK(minhash_index_find(ix, &m, &which) && which == 0, "%u", which);
    minhash_index_free(ix);
    ix = minhash_index_new(1); /* nothing is more than equal */
    minhash_index_add(ix, &m);
    CHECK(!minhash_index_find(ix, &m, &which), "more than equal");
    minhash_index_free(ix);
    minhash_index_free(NULL);
}

const struct check_test minhash_test[] = { TEST(test_similarity), TEST(test_duplicates),
                                           TEST(test_words), TEST(test_crowded_bands),
                                           TEST(test_first_wins) };
const size_t n_minhash_test = N_OF(minhash_test);
