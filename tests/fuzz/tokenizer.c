/* fuzz/tokenizer.c - a tokenizer.json; what loads must encode and decode any text. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "fuzz/fuzz.h"
#include "tok/tok.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    struct tok *t;
    struct err err;
    if (tok_load(&t, fuzz_file("tokenizer.json", bytes, n), &err) < 0)
        return 0;
    const char *text = (const char *)bytes;
    size_t n_text = n < 2000 ? n : 2000;
    size_t room = tok_room(t, n_text);
    uint32_t *ids = xmalloc((room + 1) * sizeof *ids);
    size_t n_id = tok_encode(t, text, n_text, ids);
    struct strbuf back = { 0 };
    tok_decode(t, ids, n_id, &back);
    if (n_id > room || back.n > room || tok_encode_special(t, text, n_text, ids) > room)
        abort();
    str_release(&back);
    free(ids);
    tok_free(t);
    return 0;
}
