/*
 * tests/fuzz/gguf.c - libFuzzer driver of the GGUF container.
 *
 *     clang -g -O1 -std=c17 -D_POSIX_C_SOURCE=200809L -fsanitize=fuzzer,address,undefined -Isrc \
 *         tests/fuzz/gguf.c src/base/{gguf,file,err,mem,str}.c -o fuzz_gguf && ./fuzz_gguf corpus/
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/gguf.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    static char path[] = "/tmp/fuzz-gguf-XXXXXX";
    static int fd = -1;
    if (fd < 0)
        fd = mkstemp(path);
    if (fd < 0 || ftruncate(fd, 0) != 0 || pwrite(fd, bytes, n, 0) != (ssize_t)n)
        abort();
    struct gguf *g;
    struct err err;
    volatile uint64_t sum = 0;
    if (gguf_open(&g, path, &err) < 0)
        return 0;
    for (size_t i = 0; i < gguf_n_keys(g); i++)
        for (size_t k = 0; k < gguf_array_len(g, gguf_key_at(g, i)); k++) {
            size_t len = 0;
            const char *s = gguf_array_text(g, gguf_key_at(g, i), k, &len);
            sum += s && len ? (uint64_t)(s[0] + s[len - 1]) : 0;
            sum += (uint64_t)gguf_array_whole(g, gguf_key_at(g, i), k, 0);
        }
    for (size_t i = 0; i < gguf_n_tensors(g); i++) {
        const struct gguf_tensor *t = gguf_tensor_at(g, i);
        sum += t->n_bytes ? (uint64_t)t->data[0] + t->data[t->n_bytes - 1] : 0;
    }
    gguf_close(g);
    return 0;
}
