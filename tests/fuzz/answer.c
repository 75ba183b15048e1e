/* fuzz/answer.c - what a generator wrote, read as a document; and a ledger's line. Byte 0 picks the
 * recipe. */
#include <stdlib.h>
#include <string.h>

#include "fuzz/fuzz.h"
#include "synth/ledger.h"
#include "synth/text.h"
#include "synth/verdict.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    enum { N = 6 };
    static const char *const name[N] = { "hq", "qa", "txbk", "facts", "table", "rewire" };
    static struct recipe *recipe[N];
    struct err err;
    struct arena arena = { 0 };
    for (int i = 0; i < N && !recipe[N - 1]; i++)
        if (recipe_open(&recipe[i], name[i], &err) < 0)
            abort();
    if (n == 0)
        return 0;
    struct strbuf raw = { 0 };
    utf8_repair(&raw, (const char *)bytes + 1, n - 1);
    raw.n = strlen(raw.s); /* answers hold no NUL */
    struct answer a = { .raw = raw.s,
                        .n_raw = raw.n,
                        .hit_limit = bytes[0] & 64,
                        .source = "The old mill of Ely was built in 1712 by John Carr.",
                        .frame = "Paraphrase this paragraph sentence by sentence." };
    answer_read(&a, recipe[bytes[0] % N], &arena);
    answer_judge(&a, recipe[bytes[0] % N], NULL, &arena);
    js_free(answer_json(&a));
    size_t n_piece, n_text = 0;
    struct piece *p = text_passages(&arena, raw.s, raw.n, 10, &n_piece);
    for (size_t i = 0; i < n_piece; i++)
        n_text += p[i].n_bytes;
    if (n_text > raw.n)
        abort();
    answer_release(&a);
    arena_release(&arena);
    struct ledger_row row;
    struct js *tree;
    if (ledger_parse(&row, &tree, raw.s, raw.n))
        js_free(tree);
    str_release(&raw);
    return 0;
}
