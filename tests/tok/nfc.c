/* tests/tok/nfc.c - NFC as Hugging Face's, of everything and before anything. Recorded by
 * tests/golden/make_tok.py. */
#include "base/mem.h"
#include "base/rng.h"
#include "tok/unicode.h"
#include "tok_tests.h"

/* Behind NFC: Hugging Face's ids, the text in NFC comes back, and a saved tokenizer still does so.
 */
void test_nfc_as_hugging_face(void)
{
    struct js *v;
    struct err err = { "" };
    NEED(js_read_file(&v, "tests/golden/tok/vectors.json", &err) == ST_OK, "%s", err.msg);
    const struct js *part = js_get(v, "nfc"), *texts = js_get(part, "texts"),
                    *normal = js_get(part, "normal");
    char *path = with_parts(qwen2_json, nfc_json, false), *plain_path;
    struct tok *t = load_tok(path), *again, *plain;
    NEED(t, "not loaded");
    CHECK(tok_normalizes(t) && tok_room(t, 8) == 24, "does not normalize");
    check_ids(t, texts, normal, js_get(part, "ids"), "nfc", false);
    check_ids(t, texts, normal, js_get(part, "special"), "nfc, special", true);
    CHECK(tok_save(t, path, &err) == ST_OK, "%s", err.msg);
    NEED((again = load_tok(path)), "not loaded again");
    CHECK(digest_cmp(tok_digest(t), tok_digest(again)) == 0, "saving changed it");
    plain_path = with_parts(qwen2_json, "null", false);
    NEED((plain = load_tok(plain_path)), "not loaded");
    CHECK(!tok_normalizes(plain) && tok_room(plain, 8) == 8, "normalizes");
    CHECK(digest_cmp(tok_digest(t), tok_digest(plain)) != 0, "the same digest without NFC");
    tok_free(plain);
    tok_free(again);
    tok_free(t);
    free(plain_path);
    free(path);
    js_free(v);
}

static uint32_t crc32_of(uint32_t crc, const uint8_t *p, size_t n)
{
    crc = ~crc;
    for (size_t i = 0; i < n; i++) {
        crc ^= p[i];
        for (int k = 0; k < 8; k++)
            crc = crc >> 1 ^ (crc & 1 ? 0xEDB88320u : 0);
    }
    return ~crc;
}

/* Code point c as the script that made nfc.json puts it beside marks. */
static void add_contexts(struct strbuf *text, uint32_t c, const char *marks)
{
    uint8_t one[4];
    size_t n = put_utf8(one, c);
    bool letters = c < 0x3200 || (c >= 0x10000 && c < 0x12000);
    str_add(text, one, n);
    str_adds(text, "\na");
    str_add(text, one, n);
    str_adds(text, "\xCC\xB4\na\xCD\x85");
    str_add(text, one, n);
    for (const char *p = letters ? marks : "\xE1\x86\xA8"; *p;) {
        size_t n_mark = (*p & 0xE0) == 0xC0 ? 2 : 3;
        str_addc(text, '\n');
        str_add(text, one, n);
        str_add(text, p, n_mark);
        p += n_mark;
    }
}

/* Every code point, alone and beside marks, as Hugging Face normalizes it. */
void test_nfc_of_all_characters(void)
{
    struct js *v;
    struct err err = { "" };
    struct nfc scratch = { 0 };
    struct strbuf text = { 0 };
    NEED(js_read_file(&v, "tests/golden/tok/nfc.json", &err) == ST_OK, "%s", err.msg);
    const char *marks = js_get_text(v, "marks", "");
    const struct js *blocks = js_get(v, "blocks");
    CHECK(js_len(blocks) == 0x110 && strlen(marks) > 50, "%zu blocks", js_len(blocks));
    for (uint32_t block = 0; block < 0x110; block++) {
        uint32_t crc = 0;
        for (uint32_t c = block << 12; c < (block + 1) << 12; c++) {
            if (c >= 0xD800 && c < 0xE000)
                continue;
            str_clear(&text);
            add_contexts(&text, c, marks);
            size_t n = text.n;
            const uint8_t *normal = nfc_text(&scratch, (const uint8_t *)text.s, &n);
            crc = crc32_of(crc, normal, n);
        }
        CHECK(crc == (uint32_t)js_as_whole(js_at(blocks, block), -1), "from U+%04X on: other NFC",
              block << 12);
    }
    str_release(&text);
    nfc_release(&scratch);
    js_free(v);
}

static void check_nfc(struct nfc *s, const char *text, const char *want)
{
    size_t n = strlen(text);
    const uint8_t *got = nfc_text(s, (const uint8_t *)text, &n);
    CHECK(n == strlen(want) && memcmp(got, want, n) == 0, "'%s' became '%.*s'", text, (int)n,
          (const char *)got);
}

/* Damaged bytes stay and keep marks from joining over them; NFC of NFC is the same, for any bytes.
 */
void test_nfc_of_damage(void)
{
    static const char *const part[] = {
        "e",        "\xCC\x81",     "\xCC\xA3",        "\xFF",         "\xCC",
        "\xE1\x84", "\xED\xA0\x80", "\xE1\x84\x80",    "\xE1\x85\xA1", "\xF0\x9D\x85\xA0",
        "\xC3\xA9", "\n",           "\xF4\x90\x80\x80"
    };
    struct nfc once = { 0 }, twice = { 0 };
    check_nfc(&once, "e\xCC\x81", "\xC3\xA9");
    check_nfc(&once, "e\xFF\xCC\x81", "e\xFF\xCC\x81");
    check_nfc(&once, "e\xCC", "e\xCC");
    check_nfc(&once, "\xCC\xCC\x81", "\xCC\xCC\x81");
    check_nfc(&once, "e\xCC\x81\xCC", "\xC3\xA9\xCC");
    check_nfc(&once, "\xE1\x84\xCC\x81", "\xE1\x84\xCC\x81");
    struct rng rng;
    rng_init(&rng, 2, "nfc", 0);
    for (int round = 0; round < 3000; round++) {
        struct strbuf text = { 0 };
        for (size_t i = 1 + (size_t)rng_below(&rng, 40); i > 0; i--)
            str_adds(&text, part[rng_below(&rng, N_OF(part))]);
        size_t n = text.n, again;
        const uint8_t *a = nfc_text(&once, (const uint8_t *)text.s, &n), *b;
        CHECK(n <= NFC_GROWTH * text.n, "%zu bytes of %zu", n, text.n);
        again = n;
        b = nfc_text(&twice, a, &again);
        CHECK(again == n && memcmp(a, b, n) == 0, "round %d: NFC of NFC differs", round);
        str_release(&text);
    }
    nfc_release(&once);
    nfc_release(&twice);
}

/* One letter with a million marks in the worst order costs no more than their number. */
void test_nfc_of_many_marks(void)
{
    enum { N = 1 << 20 };
    struct nfc s = { 0 };
    struct strbuf text = { 0 };
    str_addc(&text, 'e');
    for (int i = 0; i < N; i++)
        str_adds(&text, i % 2 ? "\xCC\xA3" : "\xCC\x81"); /* above, below, above, ... */
    size_t n = text.n;
    double start = check_cpu_s();
    const uint8_t *got = nfc_text(&s, (const uint8_t *)text.s, &n);
    CHECK(check_cpu_s() - start < 20, "took %g s", check_cpu_s() - start);
    CHECK(n == text.n && memcmp(got, "\xE1\xBA\xB9\xCC\xA3", 5) == 0, "%zu bytes", n);
    str_release(&text);
    nfc_release(&s);
}

/* Added tokens that are to be found in normalized text are refused, not found before. */
void test_nfc_refuses(void)
{
    static const char added[] = "[{\"id\":0,\"content\":\"<|endoftext|>\",\"normalized\":%s}]";
    struct js *v, *list;
    struct err err = { "" };
    char *path = with_parts(qwen2_json, nfc_json, false);
    for (int normalized = 0; normalized < 2; normalized++) {
        struct tok *t = NULL;
        char *json = xasprintf(added, normalized ? "true" : "false");
        NEED(js_read_file(&v, path, &err) == ST_OK, "%s", err.msg);
        NEED(js_parse(&list, json, strlen(json), &err) == ST_OK, "%s", err.msg);
        js_put(v, "added_tokens", list);
        NEED(js_write_file(v, path, &err) == ST_OK, "%s", err.msg);
        enum st st = tok_load(&t, path, &err);
        if (normalized)
            CHECK(st == ST_UNSUPPORTED && strstr(err.msg, "'<|endoftext|>' with normalized"), "%s",
                  err.msg);
        else
            CHECK(st == ST_OK && tok_check_bytes(t, &err) == ST_UNSUPPORTED &&
                      strstr(err.msg, "\"normalizer\": null"),
                  "%s", err.msg);
        tok_free(t);
        js_free(v);
        free(json);
    }
    free(path);
}
