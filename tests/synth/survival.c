/* tests/synth/survival.c - what survives of a source: words, names, numbers; and who is too weak.
 */
#include "synth_tests.h"

#include <math.h>

#include "base/mem.h"
#include "synth/rates.h"
#include "synth/survival.h"

static struct arena scratch;

static void test_survival(void)
{
    static const struct {
        const char *source, *answer;
        int n[SURVIVE_N], kept[SURVIVE_N];
    } row[] = {
        /* Oxley, Dunvar and Captain are names; The and They begin sentences; 1,851 is 1851. */
        { "The lighthouse of Dunvar was asked for by Captain Oxley in 1,851. They built 24 of "
          "them.",
          "In 1851 a captain called Oxley wanted lighthouses, 24 in all.",
          { 5, 3, 2 },
          { 3, 2, 2 } },
        { "The lighthouse of Dunvar was asked for by Captain Oxley in 1,851. They built 24 of "
          "them.",
          "Somebody wanted a tower long ago.",
          { 5, 3, 2 },
          { 0, 0, 0 } },
        /* after a quote or a colon a sentence may begin; I is no name; a heading has none */
        { "He said: \"Never go there again\", and I went. Note: Beware of it.\nHow To Find Lost "
          "Ships",
          "He went there.",
          { 1, 0, 0 },
          { 0, 0, 0 } },
        /* written small elsewhere: no name */
        { "We saw the Harbour and then another harbour of Leith.",
          "It was Leith's.",
          { 2, 1, 0 },
          { 0, 1, 0 } },
        /* typographic quotes; accents (a letter of two bytes counts as two); an acronym */
        { "It is Oxley\xe2\x80\x99s ship that \xc3\x89mile of NASA saw.",
          "Oxley and \xc3\x89mile\xe2\x80\x99s friend of Nasa.",
          { 2, 3, 0 },
          { 1, 3, 0 } },
        /* numbers: a decimal is one, one digit is none, nor is a name's, a decade is its
           year */
        { "it cost 3.75 of 5 and 1,250,000 in the 1990s for B52 by 12,34",
          "3.75; 1250000; 1990; 12,34",
          { 5, 1, 4 },
          { 3, 0, 4 } },
        { "", "anything", { 0, 0, 0 }, { 0, 0, 0 } },
    };
    for (size_t i = 0; i < N_OF(row); i++) {
        struct survival s =
            survival_of(&scratch, row[i].answer, strlen(row[i].answer), row[i].source);
        for (int k = 0; k < SURVIVE_N; k++)
            CHECK((int)s.n[k] == row[i].n[k] && (int)s.kept[k] == row[i].kept[k],
                  "case %zu: %s: %d of %d, want %d of %d", i, survivor_name(k), (int)s.kept[k],
                  (int)s.n[k], row[i].kept[k], row[i].n[k]);
    }
    struct survival none = { 0 }, two = { { 4, 0, 1 }, { 3, 0, 1 } }, sum = two;
    CHECK(isnan(survival_share(&none, SURVIVE_NAMES)), "nothing to lose");
    survival_add(&sum, &two);
    CHECK(survival_share(&sum, SURVIVE_WORDS) == 0.75 && sum.n[SURVIVE_NUMBERS] == 2, "sum");
}

/* A generator that loses names, though words survive, is named; so is an answer that does. */
static void test_names_lost(void)
{
    static const char yaml[] = "name: own\npurpose: a test\n"
                               "limits: {min_words: 3, min_names_kept: 0.5}\n"
                               "weak: {min_kept: 0, min_names_kept: 0.6, min_numbers_kept: 0.5}\n"
                               "prompts:\n  - name: a\n    user: \"{text} Go.\"\n";
    static const char source[] = "the lighthouse was wanted by Oxley and Penrose in 1851";
    static const char *const answer[] = { "The lighthouse was wanted by Oxley and Penrose in 1851.",
                                          "The lighthouse was wanted by two men in 1851." };
    struct recipe *r = NULL;
    struct err err;
    struct rates rates = { 0 };
    NEED(recipe_parse_text(&r, "own.yaml", yaml, strlen(yaml), &err) == ST_OK, "%s", err.msg);
    for (int i = 0; i < 20; i++) {
        const char *raw = answer[i % 2];
        struct answer a = { .raw = raw, .n_raw = strlen(raw), .source = source, .frame = "Go." };
        answer_read(&a, r, &scratch);
        answer_judge(&a, r, NULL, &scratch);
        CHECK(a.verdict == (i % 2 ? V_SOURCE_LOST : V_KEPT), "%s: %s", raw,
              verdict_name(a.verdict));
        rates_add(&rates, r, &a);
        answer_release(&a);
    }
    struct strlist reasons = { 0 };
    rates_weak(&rates, r, &reasons);
    CHECK(reasons.n == 1 && strcmp(reasons.s[0], "only 50 % of the source's names survive") == 0,
          "%zu reasons, first: %s", reasons.n, reasons.n ? reasons.s[0] : "none");
    struct js *v = rates_json(&rates);
    CHECK(js_get_real(js_get(v, "raw"), "names_kept", 0) == 0.5 &&
              js_get_real(js_get(v, "raw"), "numbers_kept", 0) == 1 &&
              js_get_real(js_get(v, "mended"), "names_kept", 0) == 1,
          "rates");
    js_free(v);
    strlist_release(&reasons);
    recipe_free(r);
}

const struct check_test survival_test[] = { TEST(test_survival), TEST(test_names_lost) };
const size_t n_survival_test = N_OF(survival_test);
