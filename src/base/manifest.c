/* base/manifest.c - see manifest.h. */
#include "base/manifest.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/log.h"

void manifest_key(char hex[DIGEST_HEX], const char *stage, int version, const struct js *settings,
                  const struct js *inputs)
{
    struct strbuf b = { 0 };
    str_printf(&b, "%s %d ", stage, version);
    js_write(settings, &b);
    js_write(inputs, &b);
    digest_hex(digest_of(b.s, b.n), hex);
    str_release(&b);
}

enum st manifest_check(const char *dir, const char *stage, int version, const struct js *settings,
                       const struct js *inputs, struct err *err)
{
    char want[DIGEST_HEX], *path = path_join(dir, "manifest.json");
    struct js *m = NULL;
    enum st st = ST_OK;
    if (file_exists(path)) {
        manifest_key(want, stage, version, settings, inputs);
        st = js_read_file(&m, path, err);
        if (st == ST_OK && strcmp(js_get_text(m, "key", ""), want) == 0)
            st = ST_END;
        else if (st == ST_OK)
            st = err_set(err, ST_USAGE,
                         "'%s' holds the result of other settings or inputs (stage %s); choose "
                         "another --out or delete it",
                         dir, js_get_text(m, "stage", "?"));
    }
    js_free(m);
    free(path);
    return st;
}

enum st manifest_write(const char *dir, const char *stage, int version, const struct js *settings,
                       const struct js *inputs, const struct js *counts, double wall_s,
                       struct err *err)
{
    char key[DIGEST_HEX], *path = path_join(dir, "manifest.json");
    manifest_key(key, stage, version, settings, inputs);
    struct js *m = js_object();
    js_put_text(m, "stage", stage);
    js_put_whole(m, "version", version);
    js_put_text(m, "key", key);
    js_put(m, "settings", js_copy(settings));
    js_put(m, "inputs", js_copy(inputs));
    js_put(m, "counts", js_copy(counts));
    js_put_real(m, "wall_s", wall_s);
    enum st st = js_write_file(m, path, err);
    js_free(m);
    free(path);
    return st;
}

enum st manifest_read(const char *dir, struct js **out, struct err *err)
{
    char *path = path_join(dir, "manifest.json");
    enum st st = js_read_file(out, path, err);
    free(path);
    return st;
}

enum st manifest_inputs(struct js **out, char *const *path, size_t n_path, struct err *err)
{
    struct js *inputs = js_object();
    struct progress progress; /* seen on large inputs only */
    enum st st = ST_OK;
    progress_start(&progress, "digest inputs", n_path, "files");
    for (size_t i = 0; i < n_path && st == ST_OK; i++) {
        struct digest d;
        char hex[DIGEST_HEX];
        progress_at(&progress, i);
        st = digest_file(&d, path[i], err);
        if (st == ST_OK)
            js_put_text(inputs, path[i], digest_hex(d, hex));
    }
    if (st == ST_OK)
        *out = inputs;
    else
        js_free(inputs);
    return st;
}
