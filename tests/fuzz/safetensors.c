/*
 * tests/fuzz/safetensors.c - libFuzzer driver of the safetensors reader, and of a folder's config.json.
 *
 *     clang -g -O1 -std=c17 -D_POSIX_C_SOURCE=200809L -fsanitize=fuzzer,address,undefined -Isrc \
 *         tests/fuzz/safetensors.c src/model/{safetensors,conf}.c src/base/{json,file,err,mem,str}.c \
 *         -ljansson -lm -o fuzz_safetensors && ./fuzz_safetensors corpus/
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/mem.h"
#include "model/hf.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

/* Whatever opens must be readable to its last byte. */
static void read_all(const char *path)
{
    struct safetensors *s;
    struct err err;
    volatile uint64_t sum = 0;
    if (safetensors_open(&s, path, &err) < 0)
        return;
    for (size_t i = 0; i < safetensors_n(s); i++) {
        const struct safetensor *t = safetensors_at(s, i);
        float first, last;
        if (safetensors_find(s, t->name) == NULL)
            abort();
        if (t->n && safetensors_read_part(t, 0, 1, &first) &&
            safetensors_read_part(t, t->n - 1, 1, &last))
            sum += (first > 0) + (last > 0);
    }
    safetensors_close(s);
}

static void read_conf(const uint8_t *bytes, size_t n)
{
    struct js *o;
    struct model_conf c;
    struct err err;
    if (js_parse(&o, (const char *)bytes, n, &err) < 0)
        return;
    if (hf_conf_parse(&c, o, "config.json", &err) == ST_OK) {
        struct js *again = model_conf_json(&c); /* what is accepted can be written and read again */
        if (hf_conf_parse(&c, again, "config.json", &err) < 0)
            abort();
        js_free(again);
    }
    js_free(o);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    static char path[] = "/tmp/fuzz-safetensors-XXXXXX";
    static int fd = -1;
    if (fd < 0)
        fd = mkstemp(path);
    if (fd < 0 || ftruncate(fd, 0) != 0 || pwrite(fd, bytes, n, 0) != (ssize_t)n)
        abort();
    read_all(path);
    read_conf(bytes, n);
    return 0;
}
