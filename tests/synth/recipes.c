/*
 * tests/synth/recipes.c - golden cases, written by hand: what every shipped recipe asks about a
 * passage, and what it makes of good and bad answers. Then the forms an answer can have.
 */
#include "synth_tests.h"

#include "base/mem.h"
#include "synth/item.h"
#include "synth/keywords.h"
#include "synth/recipe.h"
#include "synth/verdict.h"

static struct arena scratch;

static const char source[] =
    "The lighthouse at Cape Marten was built in 1874 by the engineer Ada Holloway. It stands 38 "
    "metres above the harbour and its lamp burned rapeseed oil until electricity arrived in 1931. "
    "Fishermen from the village of Oxley had asked for a light since the storm of 1851, which sank "
    "eleven boats in one night. The keeper lived with his family in a small white house below the "
    "tower, and his children rowed to school across the bay. Since 1988 the light has been "
    "automatic, and the house is now a museum.";

static const char *const other_page =
    "Compilers translate programs. A linker joins the objects that compilers wrote. Some "
    "lighthouse keepers write compilers in winter.";

/* The item that a recipe makes of the passage, with keywords where it wants them. */
static void make_item(struct item *it, const struct recipe *r, int variant)
{
    static const struct doc doc = { .id = "1", .text = source, .n_bytes = sizeof source - 1 };
    const struct piece piece = { source, sizeof source - 1, 93, 0 };
    const struct page page = { &doc, &piece, 1 };
    struct keywords *k = NULL;
    if (recipe_needs_keywords(r)) {
        k = keywords_new();
        keywords_learn(k, source, sizeof source - 1, &scratch);
        keywords_learn(k, other_page, strlen(other_page), &scratch);
    }
    if (recipe_asks_all(r))
        item_make(it, r, &page, (size_t)variant, k, (struct digest){ 1, 2 }, 1, &scratch);
    else /* the seed decides: look for one that draws this prompt */
        for (uint64_t seed = 1; seed < 100; seed++) {
            item_make(it, r, &page, 0, k, (struct digest){ 1, 2 }, seed, &scratch);
            if (it->variant == variant)
                break;
        }
    keywords_free(k);
}

/* ---- what is asked ---- */

static void test_prompts(void)
{
    static const struct {
        const char *recipe, *variant;
        const char *before, *after; /* of the user's turn: around the passage */
        const char *system, *prefill;
        int max_tok; /* of 93 words */
    } row[] = {
        { "hq", "paraphrase", "",
          "\n\nParaphrase this paragraph sentence by sentence in clear encyclopedia style. Keep "
          "every name and number.",
          NULL, NULL, 184 },
        { "hq", "system", "", "",
          "You rewrite texts. Rewrite the input text so that it reads like a clear encyclopedia "
          "article and keeps all of its facts, names and numbers.",
          NULL, 184 },
        { "qa", "three", "",
          "\n\nWrite three questions about the facts in this paragraph and answer each of them in "
          "a full sentence. Begin each question with \"Question:\" and each answer with "
          "\"Answer:\".",
          NULL, "Question:", 200 },
        { "wrap_easy", "child", "",
          "\n\nTell this again for a child of eight years, in short sentences and everyday words. "
          "Keep the names and the numbers.",
          NULL, NULL, 184 },
        { "wrap_medium", "neutral", "",
          "\n\nParaphrase this paragraph in plain and neutral English. Leave no fact out.", NULL,
          NULL, 184 },
        { "wrap_hard", "scholar", "",
          "\n\nRestate this paragraph for specialists: terse, precise, with the terms of the "
          "field. Keep every name and number.",
          NULL, NULL, 184 },
        { "wrap_qa", "talk", "",
          "\n\nWrite a conversation about the facts in this paragraph: four questions, each with a "
          "full answer. Begin each question with \"Question:\" and each answer with \"Answer:\".",
          NULL, "Question:", 221 },
        { "distill", "shorter", "",
          "\n\nWrite this more briefly. Keep all facts, names, numbers, terms and reasons, drop "
          "filler and repetition, add nothing of your own.",
          NULL, NULL, 147 },
        { "extract", "textbook", "",
          "\n\nWrite down what a student can learn from this, in full sentences as in a textbook. "
          "Leave out advertising, opinions and remarks to the reader. Write no heading.",
          NULL, NULL, 147 },
        { "facts", "list", "",
          "\n\nList the facts of this text: names, numbers, events, terms and what they mean. One "
          "full sentence a line, each line begins with \"- \".",
          NULL, "-", 184 },
        { "wiki", "article", "",
          "\n\nMake an encyclopedia article of this: correct sentences, neutral tone, the facts in "
          "a sensible order. Leave out slogans, greetings and remarks about the web page.",
          NULL, NULL, 184 },
        { "table", "names", "",
          "\n\nMake a Markdown table of the facts in this paragraph. First column: a name or term. "
          "Second column: a full sentence about it.",
          NULL, "| Name |", 280 },
        { "table", "topics", "",
          "\n\nWrite the facts of this paragraph as a Markdown table with two columns, \"Topic\" "
          "and "
          "\"Fact\". Each fact is a full sentence.",
          NULL, "| Topic | Fact |\n| --- | --- |\n|", 280 },
        { "math", "problem", "",
          "\n\nWrite a word problem with small numbers about the subject of this paragraph and "
          "solve "
          "it. Begin with \"Problem:\", then \"Solution:\".",
          NULL, "Problem:", 260 },
        { "faq", "visitors", "",
          "\n\nWrite four questions that people often ask about this subject, and answer each in "
          "two "
          "or three full sentences. Begin each question with \"Q:\" and each answer with \"A:\".",
          NULL, "Q:", 320 },
        { "tutorial", "steps", "",
          "\n\nWrite a short tutorial on the facts in this paragraph. It has three steps, each "
          "with "
          "a full explanation.",
          NULL, "Step 1:", 320 },
        { "continue", "next", "",
          "\n\nWrite the next paragraph of this text, in the same style and on the same subject. "
          "Do not repeat what was said.",
          NULL, NULL, 184 },
        { "extend", "beginning", "", "", NULL, NULL, 256 },
        { "contrast", "beginning", "", "", NULL, NULL, 256 },
        { "toedit", "edit", "", "", NULL, NULL, 512 },
        { "summary", "sentences", "", "\n\nSummarize this paragraph in three sentences.", NULL,
          NULL, 160 },
        { "rewire", "draft", "Draft:\n",
          "\n\nImprove this draft. First write \"Plan:\" and say in two sentences whom the draft "
          "serves and what is missing or unclear. Then write \"Improved text:\" on a new line, and "
          "below it the whole text again, at least as long as the draft, better ordered and "
          "explained, with all useful facts and without noise.",
          NULL, "Plan:", 640 },
        { "megadoc", "reference", "",
          "\n\nParaphrase this paragraph in plain and neutral English. Leave no fact out.", NULL,
          NULL, 184 },
        { "megadoc", "easy", "",
          "\n\nTell this again in short sentences and everyday words. Keep the names and the "
          "numbers.",
          NULL, NULL, 184 },
        { "megadoc", "teacher", "",
          "\n\nExplain this to a class as a teacher would, with all names and numbers, and say why "
          "it matters.",
          NULL, NULL, 184 },
    };
    for (size_t i = 0; i < N_OF(row); i++) {
        struct recipe *r;
        struct err err;
        struct item it;
        int variant = 0;
        NEED(recipe_open(&r, row[i].recipe, &err) == ST_OK, "%s", err.msg);
        while (variant < (int)r->n_prompt && strcmp(r->prompt[variant].name, row[i].variant) != 0)
            variant++;
        CHECK(variant < (int)r->n_prompt, "%s has no prompt '%s'", r->name, row[i].variant);
        make_item(&it, r, variant);
        char *want = xasprintf("%s%s%s", row[i].before, source, row[i].after);
        CHECK(it.variant == variant && strcmp(it.user, want) == 0, "%s asks '%s'", r->name,
              it.user);
        CHECK(strcmp(it.system ? it.system : "", row[i].system ? row[i].system : "") == 0,
              "%s: system '%s'", r->name, it.system);
        CHECK(strcmp(it.prefill ? it.prefill : "", row[i].prefill ? row[i].prefill : "") == 0,
              "%s: prefill '%s'", r->name, it.prefill);
        CHECK(it.sampling.max_tok == row[i].max_tok, "%s: max_tok %d", r->name,
              it.sampling.max_tok);
        free(want);
        recipe_free(r);
        arena_release(&scratch);
    }
}

static bool is_ever_drawn(const struct recipe *r, const char *value)
{
    bool drawn = false;
    for (uint64_t seed = 1; seed <= 80 && !drawn; seed++) {
        const struct doc doc = { .id = "1", .text = source, .n_bytes = sizeof source - 1 };
        const struct piece piece = { source, sizeof source - 1, 93, 0 };
        const struct page page = { &doc, &piece, 1 };
        struct item it;
        item_make(&it, r, &page, 0, NULL, (struct digest){ 1, 2 }, seed, &scratch);
        CHECK(!strchr(it.user, '{'), "%s leaves a placeholder: %s", r->name, it.user);
        drawn = strstr(it.user, value) != NULL;
    }
    arena_release(&scratch);
    return drawn;
}

/* Placeholders that are drawn: every value of theirs comes to stand in a prompt. */
static void test_drawn_prompts(void)
{
    static const char *const name[] = { "diverse_qa", "instruct", "txbk" };
    for (size_t i = 0; i < N_OF(name); i++) {
        struct recipe *r;
        struct err err;
        NEED(recipe_open(&r, name[i], &err) == ST_OK, "%s", err.msg);
        for (size_t v = 0; v < r->n_vary; v++)
            for (size_t k = 0; k < r->vary[v].value.n; k++)
                CHECK(is_ever_drawn(r, r->vary[v].value.s[k]), "%s never asks for '%s'", r->name,
                      r->vary[v].value.s[k]);
        recipe_free(r);
    }
}

/* ---- what is made of answers ---- */

#define REWRITE                                                                                    \
    "Cape Marten's lighthouse, designed by engineer Ada Holloway, opened in 1874. Rising 38 "      \
    "metres over the harbour, it was lit by rapeseed oil up to 1931, when electricity replaced "   \
    "it. The storm of 1851 had taken eleven boats in a single night, so the fishermen of Oxley "   \
    "wanted a light. The keeper, his wife and their children had the white house beneath it and "  \
    "went to school by boat. It became automatic in 1988; a museum fills the house today."
#define LOST                                                                                       \
    "Gardens need water and light on every single day of the long dry season. Whoever forgets it " \
    "once will lose the tomatoes first and the beans a little later. Most people water at dawn, "  \
    "when the sun is low and the ground still cool. A thick cover of straw saves half of that "    \
    "work and keeps weeds away too."
#define SHORT                                                                                      \
    "Ada Holloway built the lighthouse at Cape Marten in 1874, after eleven boats of Oxley were "  \
    "lost in the storm of 1851. It changed from rapeseed oil to electricity in 1931, has been "    \
    "automatic since 1988, and its keeper's house became a museum."
#define REFUSAL "I'm sorry, but I cannot help with that."
#define TALK                                                                                       \
    "Question: Who built the lighthouse at Cape Marten?\nAnswer: The engineer Ada Holloway built " \
    "it in 1874.\n\nQuestion: What did its lamp burn before electricity?\nAnswer: It burned "      \
    "rapeseed oil until 1931.\n\nQuestion: Why did the fishermen of Oxley want it?\nAnswer: A "    \
    "storm had sunk eleven of their boats in 1851."
#define DO                                                                                         \
    "Instruction: Name the reason why the lighthouse was wanted.\nResponse: The storm of 1851 "    \
    "sank eleven boats of fishermen from Oxley in one night.\n\nInstruction: Put the years in "    \
    "order.\nResponse: 1851, 1874, 1931, 1988."
#define SUM                                                                                        \
    "Problem: The lighthouse of Cape Marten is 38 metres high and its stairs have 5 steps a "      \
    "metre. The keeper climbs them twice a day. How many steps does he climb in a day?\n"          \
    "Solution: The tower has 38 times 5, that is 190 steps. Twice 190 are 380 steps."
#define FAQ                                                                                        \
    "Q: Where does the lighthouse stand?\nA: It stands at Cape Marten, above the harbour near "    \
    "Oxley. It is 38 metres high.\n\nQ: Can it be visited?\nA: The tower works alone since 1988. " \
    "The keeper's house is a museum and can be visited."
#define STEPS                                                                                      \
    "Step 1: Learn where a lighthouse is needed. The fishermen of Oxley lost eleven boats in the " \
    "storm of 1851, so a light was wanted above the harbour.\nStep 2: Choose what burns in the "   \
    "lamp. Rapeseed oil was used until 1931, then electricity, because it needs less care.\n"      \
    "Step 3: Make it automatic, as in 1988, and no keeper has to live below the tower."
#define FACTS                                                                                      \
    "- Ada Holloway built the lighthouse at Cape Marten in 1874.\n- It is 38 metres high.\n"       \
    "- Electricity replaced rapeseed oil in 1931.\n- A storm sank eleven boats in 1851."
#define TABLE                                                                                      \
    "| Year | Event |\n|---|---|\n| 1874 | Ada Holloway finished the lighthouse at Cape Marten "   \
    "|\n"                                                                                          \
    "| 1931 | Electricity replaced rapeseed oil |\n| 1988 | The light became automatic |"

struct golden {
    const char *recipe, *raw;
    bool hit_limit;
    enum verdict want;
    const char *text; /* the document; NULL: not looked at */
};

static const struct golden golden[] = {
    { "hq", REWRITE, false, V_KEPT, REWRITE },
    { "hq", LOST, false, V_SOURCE_LOST, NULL },
    { "qa", TALK, false, V_KEPT, TALK },
    { "qa", REWRITE, false, V_FORMAT, "" },
    { "txbk", REWRITE " " SHORT, false, V_KEPT, REWRITE " " SHORT },
    { "txbk", SHORT, false, V_TOO_SHORT, SHORT },
    { "wrap_easy", REWRITE, false, V_KEPT, REWRITE },
    { "wrap_easy", "Here is the text for a child:\n\n" REWRITE, false, V_KEPT, REWRITE },
    { "wrap_easy", REFUSAL, false, V_REFUSAL, NULL },
    { "wrap_medium", REWRITE " And then", true, V_KEPT, REWRITE },
    { "wrap_medium", source, false, V_COPY, source },
    { "wrap_hard", REWRITE, false, V_KEPT, REWRITE },
    { "wrap_hard", "A lighthouse.", false, V_TOO_SHORT, NULL },
    { "wrap_qa", TALK, false, V_KEPT, TALK },
    { "wrap_qa", TALK "\n\nQuestion: What is it", true, V_KEPT, TALK },
    { "wrap_qa", "Question: Who built it, and when, and for whom?", false, V_FORMAT, "" },
    { "diverse_qa", TALK, false, V_KEPT, TALK },
    { "diverse_qa", "1. Where is it?\n2. Who built it?", false, V_FORMAT, "" },
    { "distill", SHORT, false, V_KEPT, SHORT },
    { "distill", REWRITE " " LOST, false, V_OVERLONG, NULL },
    { "extract", REWRITE, false, V_KEPT, REWRITE },
    { "extract", "The passage describes it.", false, V_META_TALK, "" },
    { "facts", FACTS, false, V_KEPT, FACTS },
    { "facts",
      "Facts:\n* Ada Holloway built the lighthouse at Cape Marten in 1874.\n2) It is 38 "
      "metres high.\n- Electricity replaced rapeseed oil\n  in 1931.\n\xe2\x80\xa2 A storm sank "
      "eleven boats in 1851.\n- It is 38 metres high.\n\nLet me know!",
      false, V_KEPT, FACTS },
    { "facts", REWRITE, false, V_FORMAT, "" },
    { "wiki", REWRITE, false, V_KEPT, REWRITE },
    { "wiki", LOST, false, V_SOURCE_LOST, LOST },
    { "table", TABLE, false, V_KEPT, TABLE },
    { "table",
      "| Year | Event |\n| :-- | --- |\n|1874| Ada Holloway finished the lighthouse at Cape "
      "Marten|\n| 1900 | much | too wide |\n| 1931 | Electricity replaced rapeseed oil\n| 1931 | "
      "Electricity replaced rapeseed oil |\n| 1988 | The light became automatic |\nThat is all.",
      false, V_KEPT, TABLE },
    { "table", "| Year | Event |\n|---|---|\n| 1874 | Ada Holloway", true, V_TRUNCATED, "" },
    { "table", REWRITE, false, V_FORMAT, "" },
    { "math", SUM, false, V_KEPT, SUM },
    { "math", "Problem: How high is the tower of Cape Marten in feet?", false, V_FORMAT, "" },
    { "faq", FAQ, false, V_KEPT, FAQ },
    { "faq", "**Q:** Who?\n**A:** " SHORT, false, V_FORMAT, NULL },
    { "tutorial", STEPS, false, V_KEPT, STEPS },
    { "tutorial", "Step 1: " REWRITE, false, V_FORMAT, NULL },
    { "continue", LOST, false, V_KEPT, LOST },
    { "continue", source, false, V_COPY, source },
    { "summary", SHORT, false, V_KEPT, SHORT },
    { "summary", source, false, V_OVERLONG, source },
    { "extend", REFUSAL " " LOST " In", true, V_KEPT, REFUSAL " " LOST }, /* nobody was asked */
    { "extend", source, false, V_COPY, source },
    { "contrast", LOST, false, V_KEPT, LOST },
    { "contrast", "A boat. The text ends. A", true, V_TOO_SHORT, "A boat. The text ends." },
    { "toedit", source, false, V_KEPT, source },
    { "toedit", "Here is the text:\n\n" REFUSAL " " LOST "\n\nLet me know!\n", false, V_KEPT,
      "Here is the text:\n\n" REFUSAL " " LOST "\n\nLet me know!\n" },
    { "toedit", "A boat.", false, V_TOO_SHORT, "A boat." },
    { "rewire", "Plan: It serves visitors. Dates are scattered.\n\n**Improved text:**\n" REWRITE,
      false, V_KEPT, REWRITE },
    { "rewire", "Plan: It serves visitors.\n\n" REWRITE, false, V_FORMAT, "" },
    { "rewire", "Plan: It serves visitors and many", true, V_TRUNCATED, "" },
    { "instruct", DO, false, V_KEPT, DO },
    { "instruct", TALK, false, V_FORMAT, "" },
    { "megadoc", REWRITE, false, V_KEPT, REWRITE },
    { "megadoc", REFUSAL, false, V_REFUSAL, NULL },
};

static void test_answers(void)
{
    for (const struct recipe_builtin *k = recipe_builtin; k->name; k++) {
        struct recipe *r;
        struct err err;
        struct item it;
        int good = 0, bad = 0;
        NEED(recipe_open(&r, k->name, &err) == ST_OK, "%s: %s", k->name, err.msg);
        if (recipe_needs_generator(r))
            make_item(&it, r, 0);
        for (size_t i = 0; i < N_OF(golden); i++) {
            const struct golden *g = &golden[i];
            if (strcmp(g->recipe, k->name) != 0)
                continue;
            struct answer a = { .raw = g->raw,
                                .n_raw = strlen(g->raw),
                                .hit_limit = g->hit_limit,
                                .source = it.source,
                                .frame = it.frame };
            answer_read(&a, r, &scratch);
            answer_judge(&a, r, NULL, &scratch);
            CHECK(a.verdict == g->want, "%s says %s, want %s, of '%s'", k->name,
                  verdict_name(a.verdict), verdict_name(g->want), g->raw);
            CHECK(!g->text || strcmp(a.text.s, g->text) == 0, "%s reads '%s'", k->name, a.text.s);
            good += g->want == V_KEPT;
            bad += g->want != V_KEPT;
            answer_release(&a);
        }
        CHECK(!recipe_needs_generator(r) || (good && bad), "%s: %d good and %d bad cases", k->name,
              good, bad);
        recipe_free(r);
        arena_release(&scratch);
    }
}

/* ---- forms ---- */

#define HEAD "name: x\npurpose: y\nprompts: [{name: a, user: \"{text}\"}]\n"

static void test_forms(void)
{
    static const struct {
        const char *parse, *raw;
        bool hit_limit;
        uint32_t n; /* lines or pairs */
        const char *text;
    } row[] = {
        /* a start with a number: written anew, whatever the generator counted */
        { "{form: lines, line_start: \"Step #:\"}",
          "step 3: Go.\n**Step 9**: Come.\nSteps are good.", false, 2,
          "Step 1: Go.\nStep 2: Come. Steps are good." },
        { "{form: lines, line_start: \"Fact: \"}", "- one\nFact: two\n### Fact: three\nFacts: four",
          false, 2, "Fact: two\nFact: three Facts: four" },
        { "{form: lines, max_lines: 2}", "- a\n- b\n- c", false, 2, "- a\n- b" },
        { "{form: lines}", "-a\n--b\n1.c\n-", false, 0, "" },
        { "{form: lines}", "- whole.\n- cut off", true, 1, "- whole." },
        { "{form: lines, cut_at_sentence: true}", "- whole.\n- One sentence. Cut", true, 2,
          "- whole.\n- One sentence." },
        { "{form: lines, drop_meta_sentences: true}", "- a\n- the passage says so", false, 1,
          "- a" },
        { "{form: table}", "| a |\n| b |", false, 0, "" },
        { "{form: table}", "| a | b |\n|---|---|", false, 0, "" },
        { "{form: table}", "a | b\n|x|y|\n|1|2", false, 1, "| x | y |\n|---|---|\n| 1 | 2 |" },
        { "{form: table, max_lines: 1}", "|x|y|\n|1|2|\n|3|4|", false, 1,
          "| x | y |\n|---|---|\n| 1 | 2 |" },
        { "{form: table}", "|x|y|\n|1||\n| | |", false, 1, "| x | y |\n|---|---|\n| 1 |  |" },
        { "{form: qa, tags: [Problem, Solution]}", "P1: a?\nS: b.\nQuestion: c?\nAnswer: d.", false,
          1, "Problem: a?\nSolution: b. Question: c? Answer: d." },
        { "{after: \"Text #:\"}", "Text 1: no\ntext 2:\nyes", false, 0, "yes" },
        { "{after: \"Text:\"}", "no text: at all", false, 0, "" },
    };
    for (size_t i = 0; i < N_OF(row); i++) {
        struct recipe *r = NULL;
        struct err err = { "" };
        char *yaml = xasprintf(HEAD "parse: %s\n", row[i].parse);
        NEED(recipe_parse_text(&r, "my.yaml", yaml, strlen(yaml), &err) == ST_OK, "%s", err.msg);
        struct answer a = { .raw = row[i].raw,
                            .n_raw = strlen(row[i].raw),
                            .hit_limit = row[i].hit_limit,
                            .source = source,
                            .frame = "" };
        answer_read(&a, r, &scratch);
        answer_judge(&a, r, NULL, &scratch);
        CHECK(a.n_lines + a.n_pairs == row[i].n && strcmp(a.text.s, row[i].text) == 0,
              "%s: %u parts: '%s'", row[i].parse, a.n_lines + a.n_pairs, a.text.s);
        CHECK((a.flags >> V_FORMAT & 1) == !*row[i].text, "%s: %s", row[i].parse,
              verdict_name(a.verdict));
        answer_release(&a);
        recipe_free(r);
        free(yaml);
        arena_release(&scratch);
    }
}

/* Each prompt for each piece: all of the page under one prompt, then under the next. */
static void test_all_prompts(void)
{
    struct recipe *r;
    struct err err;
    NEED(recipe_open(&r, "megadoc", &err) == ST_OK, "%s", err.msg);
    const struct doc doc = { .id = "1", .text = source, .n_bytes = sizeof source - 1 };
    const struct piece piece[] = { { source, 77, 14, 0 }, { source + 78, 100, 17, 3 } };
    const struct page page = { &doc, piece, 2 };
    CHECK(item_n(r, &page) == 6, "%zu items", item_n(r, &page));
    struct digest key[6];
    for (size_t i = 0; i < 6; i++) {
        struct item it;
        item_make(&it, r, &page, i, NULL, (struct digest){ 1, 2 }, 1, &scratch);
        CHECK(it.variant == (int)i / 2 && it.piece == (i % 2 ? 3 : 0), "item %zu: %d of piece %d",
              i, it.variant, it.piece);
        key[i] = it.key;
        for (size_t k = 0; k < i; k++)
            CHECK(digest_cmp(key[k], key[i]) != 0, "items %zu and %zu share a key", k, i);
    }
    recipe_free(r);
    arena_release(&scratch);
}

const struct check_test recipes_test[] = {
    TEST(test_prompts), TEST(test_drawn_prompts), TEST(test_answers),
    TEST(test_forms),   TEST(test_all_prompts),
};
const size_t n_recipes_test = N_OF(recipes_test);
