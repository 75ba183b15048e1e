/* tests/synth/edit.c - texts through the editor: what comes back is text, and the same text where
 * nothing is taken for granted. */
#include "synth_tests.h"

#include "base/mem.h"
#include "synth/edit.h"
#include "synth/recipe.h"

#define EXPERT "tests/golden/contrast/expert"

static const char *const page[] = {
    "The keeper lived with his family in a small white house below the tower, and his children "
    "rowed to school across the bay. Since 1988 the light has been automatic.",
    "\t Caf\xc3\xa9s, na\xc3\xafve \xe2\x80\x9cquotes\xe2\x80\x9d, "
    "\xf0\x9f\x9a\xa2\xf0\x9f\x9a\xa2 "
    "and \xc4\x8d"
    "e\xc5\xa1tina: <|endoftext|> is text here.\r\n\n  The end  ",
    "x",
    "",
    "the the the the the the the the the the the the the the the the the the the the the the",
};
enum { N_PAGE = N_OF(page) };

struct result {
    struct strbuf text;
    enum finish finish;
    uint32_t n_tok, n_redrawn, n_changed;
};

static bool open_gen(struct gen **g, const char *path, int n_threads, int max_seq_len)
{
    struct err err = { "" };
    const struct gen_conf conf = { .n_threads = n_threads, .max_seq_len = max_seq_len };
    enum st st = gen_open(g, path, &conf, &err);
    CHECK(st == ST_OK, "%s", err.msg);
    return st == ST_OK;
}

static void edit_all(struct result out[N_PAGE], struct gen *g, const char *const text[N_PAGE],
                     double above, double temperature)
{
    struct editor *e = editor_new(g);
    struct generation got;
    struct err err = { "" };
    enum st st;
    size_t n = 0;
    for (size_t i = 0; i < N_PAGE; i++) {
        const struct gen_request q = {
            .raw = text[i],
            .raw_is_plain = true,
            .edit_above = above,
            .sampling = { .temperature = temperature, .top_p = 1, .seed = 3 * i },
            .tag = i
        };
        editor_submit(e, &q);
    }
    CHECK(editor_n_waiting(e) == N_PAGE, "%zu wait", editor_n_waiting(e));
    while ((st = editor_next(e, &got, &err)) == ST_OK) {
        struct result *r = &out[got.tag];
        str_clear(&r->text);
        str_add(&r->text, got.text, got.n_bytes);
        str_adds(&r->text, "");
        r->finish = got.finish;
        r->n_tok = got.n_tok;
        r->n_redrawn = got.n_redrawn;
        r->n_changed = got.n_changed;
        n++;
    }
    CHECK(st == ST_END && n == N_PAGE && editor_n_waiting(e) == 0, "%zu came back: %s", n, err.msg);
    editor_free(e);
}

static void release(struct result r[N_PAGE])
{
    for (size_t i = 0; i < N_PAGE; i++)
        str_release(&r[i].text);
}

/* Nothing is surer than 1: every byte stays. */
static void test_edit_nothing(void)
{
    struct gen *g;
    struct result r[N_PAGE] = { { .n_tok = 0 } };
    if (!open_gen(&g, EXPERT, 1, 0))
        return;
    edit_all(r, g, page, 1, 1.5);
    for (size_t i = 0; i < N_PAGE; i++)
        CHECK(r[i].finish == FINISH_STOP && r[i].n_redrawn == 0 && r[i].n_changed == 0 &&
                  r[i].text.n == strlen(page[i]) && strcmp(r[i].text.s, page[i]) == 0,
              "page %zu: '%s'", i, r[i].text.s);
    release(r);
    gen_close(g);
}

/* Every token but the first is judged once, in windows too, and text stays text. */
static void test_edit_everything(void)
{
    struct gen *g;
    struct result whole[N_PAGE] = { { .n_tok = 0 } }, cut[N_PAGE] = { { .n_tok = 0 } };
    if (!open_gen(&g, EXPERT, 2, 0))
        return;
    edit_all(whole, g, page, 1e-30, 3);
    gen_close(g);
    if (!open_gen(&g, EXPERT, 1, 20))
        return;
    edit_all(cut, g, page, 1e-30, 3);
    gen_close(g);
    for (size_t i = 0; i < N_PAGE; i++) {
        const struct result *r[] = { &whole[i], &cut[i] };
        for (size_t k = 0; k < N_OF(r); k++) {
            uint32_t n = r[k]->n_tok;
            CHECK(r[k]->n_redrawn == (n ? n - 1 : 0), "page %zu: %u of %u tokens", i,
                  r[k]->n_redrawn, n);
            CHECK(n < 20 || (r[k]->n_changed > 0 && r[k]->n_changed <= r[k]->n_redrawn),
                  "page %zu: %u of %u changed", i, r[k]->n_changed, r[k]->n_redrawn);
            CHECK(utf8_valid(r[k]->text.s, r[k]->text.n) == r[k]->text.n &&
                      strlen(r[k]->text.s) == r[k]->text.n,
                  "page %zu is no text any more", i);
        }
    }
    release(whole);
    release(cut);
}

/* A folder like the expert's whose tokenizer brings text to NFC. */
static bool make_nfc_model(char *dir)
{
    static const char *const file[] = { "config.json", "model.safetensors", "tokenizer.json" };
    struct err err = { "" };
    bool ok = dir_make(dir, &err) == ST_OK;
    for (size_t i = 0; i < N_OF(file) && ok; i++) {
        struct strbuf b = { 0 };
        char *from = path_join(EXPERT, file[i]), *to = path_join(dir, file[i]);
        ok = file_read(from, 1 << 20, &b, &err) == ST_OK;
        char *at = ok ? strstr(b.s, "\"normalizer\": null") : NULL;
        if (at) {
            static const char nfc[] = "\"normalizer\":{\"type\":\"NFC\"}";
            struct strbuf with = { 0 };
            str_add(&with, b.s, (size_t)(at - b.s));
            str_adds(&with, nfc);
            str_adds(&with, at + strlen("\"normalizer\": null"));
            str_release(&b);
            b = with;
        }
        ok = ok && (i < 2 || at) && file_write(to, b.s, b.n, &err) == ST_OK;
        str_release(&b);
        free(from);
        free(to);
    }
    CHECK(ok, "cannot make a model: %s", err.msg);
    return ok;
}

/* A page that its tokens do not give back is told, and not changed in silence. */
static void test_edit_round_trip(void)
{
    static const char *const text[N_PAGE] = { "Plain words stay plain words.",
                                              "Cafe\xcc\x81 in two pieces becomes one.",
                                              "Caf\xc3\xa9 in one piece.", "", "x" };
    struct gen *g;
    struct result r[N_PAGE] = { { .n_tok = 0 } };
    char *dir = path_join(check_dir(), "nfc");
    if (make_nfc_model(dir) && open_gen(&g, dir, 1, 0)) {
        edit_all(r, g, text, 1e-30, 1.5);
        for (size_t i = 0; i < N_PAGE; i++)
            CHECK((r[i].finish == FINISH_NO_ROUND_TRIP) == (i == 1), "text %zu: %s", i,
                  finish_name(r[i].finish));
        CHECK(strcmp(r[1].text.s, text[1]) == 0 && r[1].n_redrawn == 0, "'%s'", r[1].text.s);
        gen_close(g);
    }
    release(r);
    free(dir);
}

const struct check_test edit_test[] = {
    TEST(test_edit_nothing),
    TEST(test_edit_everything),
    TEST(test_edit_round_trip),
};
const size_t n_edit_test = N_OF(edit_test);
