/* fuzz/gguf.c - the GGUF container: metadata and the directory of tensors. */
#include <stdlib.h>

#include "base/gguf.h"
#include "fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    struct gguf *g;
    struct err err;
    if (gguf_open(&g, fuzz_file("model.gguf", bytes, n), &err) < 0)
        return 0;
    for (size_t i = 0; i < gguf_n_keys(g); i++)
        for (size_t k = 0; k < gguf_array_len(g, gguf_key_at(g, i)); k++) {
            size_t len = 0;
            const char *s = gguf_array_text(g, gguf_key_at(g, i), k, &len);
            fuzz_see(s && len ? (uint64_t)(s[0] + s[len - 1]) : 0);
            fuzz_see((uint64_t)gguf_array_whole(g, gguf_key_at(g, i), k, 0));
        }
    for (size_t i = 0; i < gguf_n_tensors(g); i++) {
        const struct gguf_tensor *t = gguf_tensor_at(g, i);
        fuzz_see(t->n_bytes ? (uint64_t)t->data[0] + t->data[t->n_bytes - 1] : 0);
    }
    gguf_close(g);
    return 0;
}
