/* fuzz/safetensors.c - the safetensors reader, and config.json: the same bytes as either. */
#include <stdlib.h>

#include "fuzz/fuzz.h"
#include "model/hf.h"

/* Whatever opens can be read to its last byte. */
static void read_file(const char *path)
{
    struct safetensors *s;
    struct err err;
    if (safetensors_open(&s, path, &err) < 0)
        return;
    for (size_t i = 0; i < safetensors_n(s); i++) {
        const struct safetensor *t = safetensors_at(s, i);
        float first, last;
        if (safetensors_find(s, t->name) == NULL)
            abort();
        if (t->n && safetensors_read_part(t, 0, 1, &first) &&
            safetensors_read_part(t, t->n - 1, 1, &last))
            fuzz_see((first > 0) + (last > 0));
    }
    safetensors_close(s);
}

/* What is accepted can be written and read again. */
static void read_conf(const uint8_t *bytes, size_t n)
{
    struct js *o;
    struct model_conf c;
    struct err err;
    if (js_parse(&o, (const char *)bytes, n, &err) < 0)
        return;
    if (hf_conf_parse(&c, o, "config.json", &err) == ST_OK) {
        struct js *again = model_conf_json(&c);
        if (hf_conf_parse(&c, again, "config.json", &err) < 0)
            abort();
        js_free(again);
    }
    js_free(o);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    read_file(fuzz_file("model.safetensors", bytes, n));
    read_conf(bytes, n);
    return 0;
}
