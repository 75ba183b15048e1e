/* tests/synth/main.c - recipes, passages, answers and verdicts. What the shipped recipes do is in
 * recipes.c, the ledger in ledger.c, odd pages in odd_pages.c, killed runs in kills.c, runs against
 * servers in run.sh and bad_days.sh. */
#include "synth_tests.h"

#include <math.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "synth/generator.h"
#include "synth/item.h"
#include "synth/recipe.h"
#include "synth/text.h"
#include "synth/verdict.h"

static struct arena scratch;

static void test_shipped_recipes(void)
{
    struct err err;
    int n = 0;
    for (const struct recipe_builtin *k = recipe_builtin; k->name; k++, n++) {
        struct recipe *r;
        NEED(recipe_open(&r, k->name, &err) == ST_OK, "%s: %s", k->name, err.msg);
        CHECK(strcmp(r->name, k->name) == 0, "file %s holds recipe %s", k->name, r->name);
        CHECK(r->purpose && *r->purpose, "%s has no purpose", k->name);
        recipe_free(r);
    }
    CHECK(n >= 23, "%d recipes", n);
    struct recipe *r;
    CHECK(recipe_open(&r, "nothing", &err) == ST_USAGE && strstr(err.msg, "hq"), "%s", err.msg);
}

#define HEAD "name: x\npurpose: y\n"
#define PROMPT "prompts:\n  - name: a\n    user: \"{text} go\"\n"

static void test_recipe_messages(void)
{
    static const struct {
        const char *yaml, *want;
    } row[] = {
        { HEAD PROMPT "sampling: {temprature: 1}\n", "line 6: unknown setting 'temprature'" },
        { HEAD PROMPT "sampling: {temperature: hot}\n", "line 6: temperature" },
        { HEAD PROMPT "sampling:\n  top_p: 1.3\n", "line 7: top_p" },
        { HEAD PROMPT "sampling: [1]\n", "line 6" },
        { HEAD PROMPT "limits: {max_similar: 0.2}\n", "line 6: max_similar" },
        { HEAD PROMPT "collapse: {window: 3}\n", "line 6: window" },
        { HEAD PROMPT "collapse: {action: panic}\n", "line 6: action" },
        { HEAD PROMPT "collapse: {max_same_openings: 1}\n", "unknown setting 'max_same_openings'" },
        { HEAD PROMPT "collapse: {min_distinct_2: 7}\n", "line 6: min_distinct_2" },
        { HEAD PROMPT "parse: {form: json}\n", "line 6: form" },
        { HEAD PROMPT "input: {unit: book}\n", "line 6: unit" },
        { HEAD PROMPT "input: {max_words: 20, min_words: 30}\n",
          "min_words 30 is above max_words 20" },
        { HEAD "prompts:\n  - name: a\n    user: \"{txt} {text}\"\n",
          "line 5: unknown placeholder {txt}" },
        { HEAD "prompts:\n  - name: a\n    user: go\n", "want {text} or {keywords}" },
        { HEAD "prompts:\n  - name: a\n", "line 4: a prompt needs" },
        { HEAD "prompts:\n  - {name: a, user: \"{text}\", raw: \"{text}\"}\n",
          "line 4: raw is text to go on with" },
        { HEAD "prompts:\n  - {name: a, user: \"{text}\"}\n  - {name: b, raw: \"{text}\"}\n",
          "line 5: raw prompts and others" },
        { HEAD "prompts:\n  - {name: a, raw: \"{txt} {text}\"}\n", "line 4: unknown placeholder" },
        { HEAD PROMPT "sampling: {contrast_alpha: 0.2}\n", "line 6: contrast_alpha says nothing" },
        { HEAD PROMPT "sampling: {contrast_lambda: 1, contrast_alpha: 0}\n",
          "line 6: contrast_alpha" },
        { HEAD "edit: {above: 1.5}\n", "line 3: above" },
        { HEAD "edit: {over: 0.9}\n", "line 3: unknown setting 'over'" },
        { HEAD PROMPT "edit: {above: 0.9}\n", "line 4: edit takes no 'prompts'" },
        { HEAD "edit: {above: 0.9}\n" PROMPT, "line 5: edit takes no 'prompts'" },
        { HEAD "edit: {above: 0.9}\nparse: {form: text}\n", "line 4: edit takes no 'parse'" },
        { HEAD "edit: {above: 0.9}\ntransform: copy\n", "line 3: edit needs a model" },
        { HEAD "edit: {above: 0.9}\nsampling: {contrast_lambda: 1}\n",
          "line 4: edit draws from one" },
        { HEAD "edit: {above: 0.9}\ninput: {unit: keywords}\n", "line 4: edit wants a passage" },
        { HEAD "prompts: 7\n", "line 3: prompts: want a list" },
        { HEAD, "'prompts' is missing" },
        { PROMPT, "'name' is missing" },
        { "name: A b\n" PROMPT, "line 1: name" },
        { HEAD "transform: copy\n" PROMPT, "takes no prompts" },
        { HEAD "transform: melt\n", "line 3: transform" },
        { HEAD PROMPT "vary: {text: [a]}\n", "the source's own placeholder" },
        { HEAD PROMPT "vary: {tone: []}\n", "tone" },
        { HEAD PROMPT "vary: {tone: [kind, {x: 1}]}\n", "line 6: tone: want a list" },
        { HEAD "prompts:\n  - {name: a, user: \"{text}\"}\n  - {name: a, user: \"{text}\"}\n",
          "two prompts are called 'a'" },
        { HEAD PROMPT "input: {draw: two}\n", "line 6: draw" },
        { HEAD PROMPT "parse: {join: site}\n", "line 6: join" },
        { HEAD PROMPT "parse: {tags: [A, B]}\n", "line 6: tags belongs to form qa" },
        { HEAD PROMPT "parse: {form: qa, tags: [A]}\n", "line 6: tags: want two" },
        { HEAD PROMPT "parse: {form: qa, tags: [A, a]}\n", "line 6: tags: want two" },
        { HEAD PROMPT "parse: {form: lines, line_start: \" #\"}\n", "line 6: line_start: want" },
        { HEAD PROMPT "parse: {max_lines: 3}\n",
          "line 6: max_lines belongs to form lines table, this is text" },
        { HEAD PROMPT "parse: {form: qa}\nlimits: {min_lines: 3}\n",
          "line 7: min_lines belongs to" },
        { HEAD PROMPT "parse: {form: lines}\nlimits: {min_pairs: 3}\n",
          "line 7: min_pairs belongs to form qa, this is lines" },
        { HEAD PROMPT "parse: {form: table, line_start: x}\n", "line 6: line_start belongs to" },
        { "just text", "want a map" },
        { "a: [", "line" },
        { "", "" },
    };
    for (size_t i = 0; i < N_OF(row); i++) {
        struct recipe *r = NULL;
        struct err err = { "" };
        enum st st = recipe_parse_text(&r, "my.yaml", row[i].yaml, strlen(row[i].yaml), &err);
        CHECK(st < 0, "accepted: %s", row[i].yaml);
        CHECK(strstr(err.msg, row[i].want) && strstr(err.msg, "my.yaml"), "'%s' says not '%s'",
              err.msg, row[i].want);
        if (st == ST_OK)
            recipe_free(r);
    }
}

static struct recipe *recipe_of(const char *yaml)
{
    struct recipe *r = NULL;
    struct err err = { "" };
    enum st st = recipe_parse_text(&r, "my.yaml", yaml, strlen(yaml), &err);
    CHECK(st == ST_OK, "%s", err.msg);
    return st == ST_OK ? r : NULL;
}

static void test_recipe_version_and_render(void)
{
    struct recipe *a = recipe_of(HEAD PROMPT), *b = recipe_of("# a remark\n" HEAD "\n" PROMPT),
                  *c = recipe_of(HEAD PROMPT "limits: {min_words: 3}\n");
    NEED(a && b && c, "no recipes");
    CHECK(digest_cmp(a->version, b->version) == 0, "a comment changes the version");
    CHECK(digest_cmp(a->version, c->version) != 0, "a limit does not change the version");
    CHECK(digest_cmp(a->prompt[0].digest, c->prompt[0].digest) == 0, "a limit changes the prompt");
    struct recipe *v =
        recipe_of(HEAD "vary: {tone: [kind, cool]}\n"
                       "prompts: [{name: a, user: \"{text} {tone} {n_words} {a, b} {T}\"}]\n");
    NEED(v, "no recipe");
    const char *tone = "kind";
    struct recipe_slots slots = { "see {tone}", "", 2, &tone };
    struct strbuf out = { 0 };
    recipe_render(v, &slots, v->prompt[0].user, &out);
    CHECK(strcmp(out.s, "see {tone} kind 2 {a, b} {T}") == 0, "%s", out.s);
    str_release(&out);
    recipe_free(a);
    recipe_free(b);
    recipe_free(c);
    recipe_free(v);
}

static const char page[] =
    "Menu Home About\n"
    "Dr. Smith arrived on Jan. 5, e.g. by train. It was 3.5 km away! \"Was it far?\" she asked. "
    "Nobody knew (not even J. Doe). The end came soon…\n\nA heading\nOne more line without an end";

static void test_sentences(void)
{
    static const char *const want[] = { "Menu Home About",
                                        "Dr. Smith arrived on Jan.",
                                        "5, e.g. by train.",
                                        "It was 3.5 km away!",
                                        "\"Was it far?\"",
                                        "she asked.",
                                        "Nobody knew (not even J. Doe).",
                                        "The end came soon…",
                                        "A heading",
                                        "One more line without an end" };
    size_t n;
    struct span *s = text_sentences(&scratch, page, sizeof page - 1, &n);
    CHECK(n == N_OF(want), "%zu sentences", n);
    for (size_t i = 0; i < n && i < N_OF(want); i++)
        CHECK(strlen(want[i]) == s[i].n_bytes && memcmp(want[i], s[i].s, s[i].n_bytes) == 0,
              "'%.*s'", (int)s[i].n_bytes, s[i].s);
    CHECK(text_whole_sentences("Yes. No. May", 12) == 8, "%zu",
          text_whole_sentences("Yes. No. May", 12));
    CHECK(text_whole_sentences("May", 3) == 0, "no whole sentence");
    arena_release(&scratch);
}

/* Passages cover the page in order without overlap, none is longer than asked. */
static void test_words(void)
{
    static const char *const phrase[] = { "the text", "as an ai", "in summary", "the" };
    static const struct {
        const char *text;
        uint64_t found;
    } row[] = { { "The text, as an AI sees it", 1 | 2 | 8 },
                { "the texts; as an aide; in summary", 4 | 8 },
                { "bathe text", 0 },
                { "\xc3\xa9the text", 0 }, /* a letter before it */
                { "the  text", 8 },
                { "in summar", 0 },
                { "", 0 } };
    for (size_t i = 0; i < N_OF(row); i++) {
        size_t n = strlen(row[i].text);
        CHECK(text_find_each(row[i].text, n, phrase, N_OF(phrase)) == row[i].found, "'%s'",
              row[i].text);
        for (size_t k = 0; k < N_OF(phrase); k++)
            CHECK(!text_find(row[i].text, n, phrase[k]) == !(row[i].found >> k & 1), "'%s' in '%s'",
                  phrase[k], row[i].text);
    }
    const char *text = " one, two-three! ";
    CHECK(text_words_end(text, 17, 0) == 0 && text_words_end(text, 17, 2) == 9, "ends of words");
    CHECK(text_words_end(text, 17, 3) == 15 && text_words_end(text, 17, 4) == 17, "the last ones");
}

static void test_passages(void)
{
    struct strbuf b = { 0 };
    for (int i = 0; i < 200; i++)
        str_printf(&b, "This is sentence number %d of the page%s", i, i % 7 ? ". " : "\n");
    for (int i = 0; i < 300; i++)
        str_printf(&b, "word%d ", i); /* one sentence that is too long */
    static const size_t max[] = { 10, 37, 100, 1000 };
    for (size_t m = 0; m < N_OF(max); m++) {
        size_t n, words = 0;
        struct piece *p = text_passages(&scratch, b.s, b.n, max[m], &n);
        const char *end = b.s;
        for (size_t i = 0; i < n; i++) {
            CHECK(p[i].s >= end && p[i].index == (int)i, "piece %zu overlaps", i);
            CHECK(p[i].n_words <= max[m] && p[i].n_words > 0, "%zu words", p[i].n_words);
            for (const char *q = end; q < p[i].s; q++)
                CHECK(*q == ' ' || *q == '\n', "'%c' is lost", *q);
            end = p[i].s + p[i].n_bytes;
            words += p[i].n_words;
        }
        CHECK(words == text_n_words(b.s, b.n), "%zu of %zu words", words, text_n_words(b.s, b.n));
    }
    size_t n;
    text_passages(&scratch, "", 0, 10, &n);
    CHECK(n == 0, "pieces of nothing");
    text_passages(&scratch, "\n \n", 3, 10, &n);
    CHECK(n == 0, "pieces of space");
    str_release(&b);
    arena_release(&scratch);
}

static const char source[] =
    "The lighthouse at Cape Marten was built in 1874 by the engineer Ada Holloway. It stands 38 "
    "metres "
    "above the harbour and its lamp burned rapeseed oil until electricity arrived in 1931.";

static struct answer judge(const struct recipe *r, const char *raw, bool hit_limit)
{
    struct answer a = { .raw = raw,
                        .n_raw = strlen(raw),
                        .hit_limit = hit_limit,
                        .source = source,
                        .frame =
                            "Rewrite the words above as a clear and friendly letter to nobody" };
    answer_read(&a, r, &scratch);
    answer_judge(&a, r, NULL, &scratch);
    arena_release(&scratch);
    return a;
}

#define GOOD                                                                                       \
    "Cape Marten's lighthouse, designed by engineer Ada Holloway, opened in 1874. Rising 38 "      \
    "metres "                                                                                      \
    "over the harbour, it was lit by rapeseed oil up to 1931, when electricity replaced it."

static void test_verdicts(void)
{
    static const struct {
        const char *raw;
        bool hit_limit;
        enum verdict want;
        const char *text; /* NULL: not looked at */
    } row[] = {
        { GOOD, false, V_KEPT, GOOD },
        { "Here is a rewritten version of the passage:\n\n" GOOD, false, V_KEPT, GOOD },
        { "Sure! Here's the rewritten text:\n" GOOD "\n\nLet me know if you need more!", false,
          V_KEPT, GOOD },
        { "```\n" GOOD "\n```", false, V_KEPT, GOOD },
        { "\"" GOOD "\"", false, V_KEPT, GOOD },
        { "<think>hm</think>\n" GOOD, false, V_KEPT, GOOD },
        { GOOD " And then it", true, V_KEPT, GOOD },
        { GOOD " " GOOD, false, V_KEPT, GOOD },
        { "The passage is about a tower. " GOOD, false, V_KEPT, GOOD },
        { "", false, V_EMPTY, "" },
        { " \n ", false, V_EMPTY, "" },
        { "and so the lighthouse of Cape Marten by engineer", true, V_TRUNCATED, "" },
        { "I'm sorry, but I cannot help with that.", false, V_REFUSAL, NULL },
        { "The passage describes a lighthouse in the text.", false, V_META_TALK, "" },
        { "Write the words above as a clear and friendly letter. " GOOD, false, V_PROMPT_LEAK,
          NULL },
        { "A lighthouse.", false, V_TOO_SHORT, NULL },
        { source, false, V_COPY, NULL },
        { "Gardens need water and light every single day of the long dry season, and the gardener "
          "who "
          "forgets will lose every plant.",
          false, V_SOURCE_LOST, NULL },
        { "the lighthouse engineer Holloway of Cape Marten electricity and the lighthouse engineer "
          "Holloway "
          "of Cape Marten electricity and the lighthouse engineer Holloway of Cape Marten "
          "electricity and "
          "the lighthouse engineer Holloway of Cape Marten",
          false, V_LOOP, NULL },
    };
    struct recipe *r = recipe_of(
        HEAD PROMPT "parse: {cut_at_sentence: true, cut_at_loop: true, drop_meta_sentences: true}\n"
                    "limits: {min_words: 10, max_copied: 0.6, max_loop: 0.2, min_source_kept: 0.3, "
                    "max_ratio: 3}\n");
    NEED(r, "no recipe");
    for (size_t i = 0; i < N_OF(row); i++) {
        struct answer a = judge(r, row[i].raw, row[i].hit_limit);
        CHECK(a.verdict == row[i].want, "%s: want %s: %s", verdict_name(a.verdict),
              verdict_name(row[i].want), row[i].raw);
        CHECK(!row[i].text || strcmp(a.text.s, row[i].text) == 0, "read as '%s'", a.text.s);
        if (a.verdict == V_KEPT) { /* reading what was read changes nothing */
            struct answer b = judge(r, a.text.s, false);
            CHECK(strcmp(a.text.s, b.text.s) == 0, "'%s' became '%s'", a.text.s, b.text.s);
            answer_release(&b);
        }
        answer_release(&a);
    }
    recipe_free(r);
}

static void test_qa(void)
{
    struct recipe *r =
        recipe_of(HEAD PROMPT "parse: {form: qa, cut_at_sentence: true, max_pairs: 3}\n"
                              "limits: {min_words: 5, max_copied: 1}\n");
    NEED(r, "no recipe");
    static const struct {
        const char *raw;
        bool hit_limit;
        uint32_t n;
        const char *text;
    } row[] = {
        { "Question: Who?\nAnswer: Ada Holloway built it.", false, 1,
          "Question: Who?\nAnswer: Ada Holloway built it." },
        { "Here are the questions:\n\n1. **Question:** Who?\n**Answer:** Ada\nHolloway.\n\nQ2: "
          "When?\nA: In "
          "1874.",
          false, 2, "Question: Who?\nAnswer: Ada Holloway.\n\nQuestion: When?\nAnswer: In 1874." },
        { "Question: Who?\nAnswer: Ada Holloway.\nQuestion: When?\nAnswer: In 1874. It was", true,
          2, "Question: Who?\nAnswer: Ada Holloway.\n\nQuestion: When?\nAnswer: In 1874." },
        { "Question: Who?\nAnswer: Ada Holloway.\nQuestion: When?\nAnswer: In", true, 1,
          "Question: Who?\nAnswer: Ada Holloway." },
        { "Question: Who?\nAnswer: Ada Holloway.\nQuestion: Who?\nAnswer: Somebody else.", false, 1,
          "Question: Who?\nAnswer: Ada Holloway." },
        { "Question: a?\nAnswer: One thing.\nQuestion: b?\nAnswer: Two.\nQuestion: c?\nAnswer: "
          "Three.\nQuestion: d?\nAnswer: Four.",
          false, 3,
          "Question: a?\nAnswer: One thing.\n\nQuestion: b?\nAnswer: Two.\n\nQuestion: c?\nAnswer: "
          "Three." },
        { "Just prose about the lighthouse and nothing else.", false, 0, "" },
    };
    for (size_t i = 0; i < N_OF(row); i++) {
        struct answer a = judge(r, row[i].raw, row[i].hit_limit);
        CHECK(a.n_pairs == row[i].n && strcmp(a.text.s, row[i].text) == 0, "%u pairs: '%s'",
              a.n_pairs, a.text.s);
        CHECK((a.flags >> V_FORMAT & 1) == (row[i].n == 0), "%s", verdict_name(a.verdict));
        answer_release(&a);
    }
    recipe_free(r);
}

/* Whatever comes, it is read without a fault and the document stays valid UTF-8. */
static void test_hostile_answers(void)
{
    struct recipe
        *text = recipe_of(
            HEAD PROMPT
            "parse: {cut_at_sentence: true, cut_at_loop: true, drop_meta_sentences: true}\n"),
        *qa = recipe_of(HEAD PROMPT "parse: {form: qa, cut_at_sentence: true}\n"),
        *lines = recipe_of(HEAD PROMPT "parse: {form: lines, cut_at_sentence: true}\n"),
        *table = recipe_of(HEAD PROMPT "parse: {form: table, after: \"Q:\"}\n");
    NEED(text && qa && lines && table, "no recipes");
    const struct recipe *const form[] = { text, qa, lines, table };
    static const char *const unit[] = { "a",       " ",          "\n",
                                        ".",       "Q:",         "Question:",
                                        "Answer:", "<|im_end|>", "\xe2\x80\x9d",
                                        "```",     "\"",         "</think>",
                                        "{text}",  "**",         "Here is the text:\n",
                                        "- ",      "|",          "|a|b|\n",
                                        "- a\n" };
    for (size_t i = 0; i < N_OF(unit); i++)
        for (size_t n = 1; n <= 30000; n *= 10) {
            struct strbuf b = { 0 };
            for (size_t k = 0; k < n; k++)
                str_adds(&b, unit[i]);
            for (size_t f = 0; f < N_OF(form); f++) {
                struct answer a = judge(form[f], b.s, n % 3 == 0);
                CHECK(utf8_valid(a.text.s, a.text.n) == a.text.n, "damaged UTF-8 from %s", unit[i]);
                answer_release(&a);
            }
            str_release(&b);
        }
    for (size_t f = 0; f < N_OF(form); f++)
        recipe_free((struct recipe *)form[f]);
}

static void test_item_key(void)
{
    struct recipe *a = recipe_of(HEAD PROMPT),
                  *b = recipe_of(HEAD PROMPT "limits: {min_words: 3}\n"),
                  *c = recipe_of(HEAD PROMPT "sampling: {temperature: 0.5}\n");
    NEED(a && b && c, "no recipes");
    struct doc d = { .id = "1", .text = source, .n_bytes = sizeof source - 1 };
    struct piece p = { source, sizeof source - 1, 30, 0 };
    struct page pg = { &d, &p, 1 };
    struct digest model = { 1, 2 }, other = { 1, 3 };
    struct item x, y;
    item_make(&x, a, &pg, 0, NULL, model, 1, &scratch);
    item_make(&y, b, &pg, 0, NULL, model, 1, &scratch);
    CHECK(digest_cmp(x.key, y.key) == 0, "a limit changes the request");
    item_make(&y, c, &pg, 0, NULL, model, 1, &scratch);
    CHECK(digest_cmp(x.key, y.key) != 0, "temperature does not change the request");
    item_make(&y, a, &pg, 0, NULL, other, 1, &scratch);
    CHECK(digest_cmp(x.key, y.key) != 0, "the model does not change the request");
    item_make(&y, a, &pg, 0, NULL, model, 2, &scratch);
    CHECK(digest_cmp(x.key, y.key) != 0, "the seed does not change the request");
    CHECK(strncmp(x.user, source, sizeof source - 1) == 0 && strstr(x.user, " go"), "%s", x.user);
    arena_release(&scratch);
    recipe_free(a);
    recipe_free(b);
    recipe_free(c);
}

/* Two models in a request's key: what contrasts them is in it, and of other recipes it is not. */
static void test_contrast_key(void)
{
#define CONTRAST_OF(rest) recipe_of(HEAD PROMPT "sampling: {temperature: 0.5" rest "}\n")
    struct recipe *r[] = { CONTRAST_OF(""),
                           CONTRAST_OF(", contrast_lambda: 0"),
                           CONTRAST_OF(", contrast_lambda: 1"),
                           CONTRAST_OF(", contrast_lambda: 0.5"),
                           CONTRAST_OF(", contrast_lambda: 1, contrast_alpha: 0.2"),
                           recipe_of(HEAD "prompts:\n  - name: a\n    raw: \"{text} go\"\n"
                                          "sampling: {temperature: 0.5}\n") };
    struct doc d = { .id = "1", .text = source, .n_bytes = sizeof source - 1 };
    struct piece p = { source, sizeof source - 1, 30, 0 };
    struct page pg = { &d, &p, 1 };
    struct item it[N_OF(r)];
    for (size_t i = 0; i < N_OF(r); i++) {
        NEED(r[i], "no recipe %zu", i);
        item_make(&it[i], r[i], &pg, 0, NULL, (struct digest){ 1, 2 }, 1, &scratch);
        for (size_t k = 0; k < i; k++)
            CHECK((digest_cmp(it[i].key, it[k].key) == 0) == (i == 1 && k == 0),
                  "recipes %zu and %zu", i, k);
    }
    const struct gen_request turn = item_request(&it[0], 7), raw = item_request(&it[5], 7);
    CHECK(turn.user && !turn.raw && turn.tag == 7, "a turn is raw");
    CHECK(raw.raw && !raw.user && raw.raw_is_plain, "raw text is a turn");
    CHECK(recipe_contrasts(r[2]) && !recipe_contrasts(r[1]) && recipe_goes_on(r[5]) &&
              !recipe_goes_on(r[0]),
          "what recipes are");
    arena_release(&scratch);
    for (size_t i = 0; i < N_OF(r); i++)
        recipe_free(r[i]);
}

static void check_open(const char *recipe, const char *generator, const char *amateur, enum st want,
                       const char *says)
{
    struct recipe *r;
    struct generator *g = NULL;
    struct err err = { "" };
    const struct generator_conf conf = { .n_threads = 1, .amateur = amateur };
    NEED(recipe_open(&r, recipe, &err) == ST_OK, "%s", err.msg);
    enum st st = generator_open_for(&g, r, generator, &conf, &err);
    CHECK(st == want && (st == ST_OK || (strstr(err.msg, says) && !g)), "%s: %d %s", recipe,
          (int)st, err.msg);
    generator_close(g);
    recipe_free(r);
}

static void test_amateurs(void)
{
    const char *expert = "tests/golden/contrast/expert", *amateur = "tests/golden/contrast/amateur",
               *other = "tests/golden/gguf/tiny.gguf";
    check_open("contrast", expert, amateur, ST_OK, "");
    check_open("contrast", expert, NULL, ST_USAGE, "want --amateur");
    check_open("contrast", expert, other, ST_USAGE, "vocabulary");
    check_open("contrast", expert, "tests/golden/nothing", ST_IO, "nothing");
    check_open("extend", expert, amateur, ST_OK, ""); /* said to be unused */
    check_open("toedit", expert, NULL, ST_OK, "");
    check_open("extend", "record:tests/golden/nothing", NULL, ST_IO, "nothing");
}

static struct digest settings_digest(enum gen_precision precision, enum gen_kv kv, int n_threads)
{
    struct generator *g;
    struct err err = { "" };
    const struct generator_conf conf = {
        .n_threads = n_threads, .n_in_flight = n_threads, .precision = precision, .kv = kv
    };
    struct digest d = { 0, 0 };
    enum st st = generator_open(&g, "tests/golden/gguf/tiny.gguf", &conf, &err);
    CHECK(st == ST_OK, "%s", err.msg);
    if (st < 0)
        return d;
    d = generator_digest(g);
    generator_close(g);
    return d;
}

/* What was asked of the local engine that changes its answers is in requests' keys; how many
 * threads is not. */
static void test_local_settings(void)
{
    const struct digest usual = settings_digest(GEN_AUTO, GEN_KV_F16, 1), other[] = {
        settings_digest(GEN_FP32, GEN_KV_F16, 1), settings_digest(GEN_INT8, GEN_KV_F16, 1),
        settings_digest(GEN_AUTO, GEN_KV_Q8, 1), settings_digest(GEN_FP32, GEN_KV_Q8, 1)
    };
    CHECK(digest_cmp(usual, settings_digest(GEN_AUTO, GEN_KV_F16, 2)) == 0, "threads in the key");
    CHECK(digest_cmp(other[2], settings_digest(GEN_AUTO, GEN_KV_Q8, 2)) == 0, "threads in the key");
    for (size_t i = 0; i < N_OF(other); i++) {
        CHECK(digest_cmp(usual, other[i]) != 0, "settings %zu have the usual key", i);
        for (size_t k = 0; k < i; k++)
            CHECK(digest_cmp(other[k], other[i]) != 0, "settings %zu and %zu share a key", k, i);
    }
}

static char *tiny_answer(enum gen_api api, const struct gen_request *r, struct digest *digest)
{
    const struct generator_conf conf = { .n_threads = 1, .api = api };
    struct generator *g;
    struct generation out = { 0 };
    struct err err = { "" };
    char *text = NULL;
    enum st st = generator_open(&g, "tests/golden/gguf/tiny.gguf", &conf, &err);
    CHECK(st == ST_OK, "%s", err.msg);
    if (st < 0)
        return NULL;
    generator_submit(g, r);
    st = generator_next(g, &out, &err);
    CHECK(st == ST_OK && !out.failed, "%s", err.msg);
    if (st == ST_OK && out.text)
        text = xstrndup(out.text, out.n_bytes);
    *digest = generator_digest(g);
    generator_close(g);
    return text;
}

/* A model without a template gets system, user and prefill as one text, under keys of its own. */
static void test_local_plain(void)
{
    struct digest chat = { 0 }, plain = { 0 };
    struct gen_request r = { .system = "Be brief.",
                             .user = "The harbour was built in 1850.",
                             .prefill = "It",
                             .sampling = { .top_p = 1, .repetition_penalty = 1, .max_tok = 6 } };
    char *joined = tiny_answer(API_COMPLETION, &r, &plain);
    r.raw = "Be brief.\n\nThe harbour was built in 1850.\n\n";
    r.raw_is_plain = true;
    char *raw = tiny_answer(API_CHAT, &r, &chat);
    NEED(joined && raw, "no answers");
    CHECK(strcmp(joined, raw) == 0 && str_starts(joined, "It") && strlen(joined) > 2,
          "'%s', as raw '%s'", joined, raw);
    CHECK(digest_cmp(chat, plain) != 0, "a chat's keys");
    free(joined);
    free(raw);
}

static const struct check_test tests[] = {
    TEST(test_shipped_recipes),
    TEST(test_recipe_messages),
    TEST(test_recipe_version_and_render),
    TEST(test_sentences),
    TEST(test_words),
    TEST(test_passages),
    TEST(test_verdicts),
    TEST(test_qa),
    TEST(test_hostile_answers),
    TEST(test_item_key),
    TEST(test_contrast_key),
    TEST(test_amateurs),
    TEST(test_local_settings),
    TEST(test_local_plain),
};

int main(int argc, char **argv)
{
    static struct check_test all[64];
    const struct {
        const struct check_test *test;
        size_t n;
    } part[] = { { tests, N_OF(tests) },
                 { forecast_test, n_forecast_test },
                 { survival_test, n_survival_test },
                 { recipes_test, n_recipes_test },
                 { ledger_test, n_ledger_test },
                 { kills_test, n_kills_test },
                 { odd_pages_test, n_odd_pages_test },
                 { edit_test, n_edit_test },
                 { batch_test, n_batch_test },
                 { monitor_test, n_monitor_test } };
    size_t n = 0;
    for (size_t i = 0; i < N_OF(part); i++)
        for (size_t k = 0; k < part[i].n; k++)
            all[n++] = part[i].test[k];
    log_set_level(LOG_QUIET);
    return check_main(all, n, argc, argv);
}
