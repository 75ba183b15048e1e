/* run/folder.c - see folder.h. */
#include "run/folder.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/hash.h"
#include "base/log.h"

static const char run_json[] = "run.json", result_json[] = "result.json";

static void key_of(const char *head, int version, const struct js *v, char hex[])
{
    struct strbuf b = { 0 };
    str_printf(&b, "%s %d ", head, version);
    js_write(v, &b);
    digest_hex(digest_of(b.s, b.n), hex);
    str_release(&b);
}

void run_key(int version, const struct js *asked, char hex[])
{
    key_of("train", version, asked, hex);
}

const char *run_state_name(enum run_state s)
{
    return s == RUN_FINISHED ? "finished" : s == RUN_DAMAGED ? "damaged" : "unfinished";
}

/* dir's run.json: ST_END when there is no such file, ST_FORMAT when it is damaged. */
static enum st read_begun(const char *dir, struct js **out, struct err *err)
{
    char *path = path_join(dir, run_json);
    *out = NULL;
    enum st st = file_exists(path) ? js_read_file(out, path, err) : ST_END;
    struct digest d;
    if (st == ST_OK)
        st = err_in(err, digest_parse(&d, js_get_text(*out, "key", ""), err), "'%s' key", path);
    if (st < 0) {
        js_free(*out);
        *out = NULL;
    }
    free(path);
    return st;
}

enum { MAX_TOLD = 3 };

static void tell(struct strbuf *b, const char *name, const struct js *there, const struct js *now)
{
    struct strbuf x = { 0 }, y = { 0 };
    if (there)
        js_write(there, &x);
    if (now)
        js_write(now, &y);
    str_printf(b, "%s%s is %.40s there and %.40s here", b->n ? "; " : "", name,
               there ? x.s : "absent", now ? y.s : "absent");
    str_release(&x);
    str_release(&y);
}

static bool same_json(const struct js *a, const struct js *b)
{
    struct strbuf x = { 0 }, y = { 0 };
    js_write(a, &x);
    js_write(b, &y);
    bool same = strcmp(x.s, y.s) == 0;
    str_release(&x);
    str_release(&y);
    return same;
}

/* The first settings that differ, in words. */
static void differences(struct strbuf *b, const struct js *there, const struct js *now)
{
    int n = 0;
    for (void *it = js_iter(now); it && n < MAX_TOLD; it = js_next(now, it)) {
        const struct js *was = js_get(there, js_iter_key(it));
        if (was && same_json(was, js_iter_value(it)))
            continue;
        tell(b, js_iter_key(it), was, js_iter_value(it));
        n++;
    }
    for (void *it = js_iter(there); it && n < MAX_TOLD; it = js_next(there, it))
        if (!js_get(now, js_iter_key(it))) {
            tell(b, js_iter_key(it), js_iter_value(it), NULL);
            n++;
        }
}

/* Is the folder's key that of what is asked now? Otherwise says what differs. */
static enum st compare(const char *dir, const struct js *begun, const struct run_begun *b,
                       char hex[], struct err *err)
{
    const struct js *asked = js_get(begun, "asked");
    if (asked)
        run_key(b->version, b->asked, hex);
    else /* of the time before "asked" */
        key_of("run", RUN_SCHEMA, b->settings, hex);
    if (strcmp(js_get_text(begun, "key", ""), hex) == 0)
        return ST_OK;
    struct strbuf why = { 0 };
    int64_t version = js_get_whole(begun, "version", b->version);
    if (version != b->version)
        str_printf(&why, "it was begun by version %lld of training, this is version %d",
                   (long long)version, b->version);
    else
        differences(&why, asked ? asked : js_get(begun, "settings"),
                    asked ? b->asked : b->settings);
    enum st st = err_set(
        err, ST_USAGE, "'%s' holds a run of other settings (%s); choose another --out or delete it",
        dir, why.n ? why.s : "see its run.json");
    str_release(&why);
    return st;
}

enum st run_frozen(const char *dir, int version, const struct js *asked, struct js **settings)
{
    char hex[DIGEST_HEX];
    struct js *begun;
    struct err err; /* run_begin meets it again and tells */
    *settings = NULL;
    if (read_begun(dir, &begun, &err) != ST_OK)
        return ST_END;
    run_key(version, asked, hex);
    bool mine = js_get(begun, "asked") && strcmp(js_get_text(begun, "key", ""), hex) == 0;
    if (mine && js_kind(js_get(begun, "settings")) == JS_OBJECT)
        *settings = js_copy(js_get(begun, "settings"));
    js_free(begun);
    return *settings ? ST_OK : ST_END;
}

/* Puts a file that cannot be read out of the way, keeping it for inspection. */
static enum st set_aside(const char *dir, const char *name, const char *why, struct err *err)
{
    char *path = path_join(dir, name), *aside = xasprintf("%s.damaged", path);
    log_warn("%s; the run goes on as unfinished, the file is kept as '%s'", why, aside);
    enum st st = file_rename(path, aside, err);
    free(aside);
    free(path);
    return st;
}

/* ST_END when result.json stands and can be read. A damaged one is set aside. */
static enum st check_result(const char *dir, struct err *err)
{
    struct arena a = { 0 };
    struct run_entry e;
    run_look(&e, dir, &a);
    enum st st = e.state == RUN_FINISHED ? ST_END : ST_OK;
    if (e.state == RUN_DAMAGED)
        st = set_aside(dir, result_json, e.why, err);
    arena_release(&a);
    return st;
}

enum st run_begin(const char *dir, const char *run_id, const struct run_begun *b, char hex[],
                  struct err *err)
{
    struct js *begun;
    struct err why = { "" };
    enum st st = dir_make(dir, err);
    if (st < 0)
        return st;
    st = read_begun(dir, &begun, &why);
    if (st == ST_IO) {
        *err = why;
        return st;
    }
    if (st == ST_OK) {
        st = compare(dir, begun, b, hex, err);
        js_free(begun);
        return st == ST_OK ? check_result(dir, err) : st;
    }
    if (st < 0) {
        st = set_aside(dir, run_json, why.msg, err);
        if (st < 0)
            return st;
    }
    char *path = path_join(dir, run_json);
    struct js *v = js_object();
    run_key(b->version, b->asked, hex);
    js_put_whole(v, "schema", RUN_SCHEMA);
    js_put_text(v, "run_id", run_id);
    js_put_text(v, "key", hex);
    js_put_whole(v, "version", b->version);
    js_put_text(v, "program", MIXLAW_VERSION);
    js_put(v, "asked", js_copy(b->asked));
    js_put(v, "settings", js_copy(b->settings));
    if (b->machine)
        js_put(v, "machine", js_copy(b->machine));
    st = js_write_file(v, path, err);
    js_free(v);
    free(path);
    return st;
}

enum st run_finish(const char *dir, const struct run_record *r, const struct js *extra,
                   struct err *err)
{
    char *path = path_join(dir, result_json);
    struct js *v = run_record_json(r, extra);
    enum st st = js_write_file(v, path, err);
    js_free(v);
    free(path);
    return st;
}

void run_look(struct run_entry *e, const char *dir, struct arena *a)
{
    struct err err = { "" };
    struct js *begun = NULL, *result = NULL;
    char *begun_path = path_join(dir, run_json), *result_path = path_join(dir, result_json);
    *e = (struct run_entry){ .dir = arena_strdup(a, dir) };
    enum st st = js_read_file(&begun, begun_path, &err);
    const char *id = js_get_text(begun, "run_id", NULL);
    if (st == ST_OK && !id)
        st = err_set(&err, ST_FORMAT, "'%s' has no run_id", begun_path);
    if (st == ST_OK && file_exists(result_path)) {
        st = js_read_file(&result, result_path, &err);
        if (st == ST_OK)
            st = err_in(&err, run_record_parse(&e->rec, result, a, &err), "'%s'", result_path);
        if (st == ST_OK && strcmp(e->rec.run_id, id) != 0)
            st = err_set(&err, ST_FORMAT, "'%s' is of run '%s', the folder's run.json of '%s'",
                         result_path, e->rec.run_id, id);
        e->state = RUN_FINISHED;
    }
    if (st < 0) {
        e->state = RUN_DAMAGED;
        e->why = arena_strdup(a, err.msg);
    }
    if (e->state != RUN_FINISHED)
        e->rec = (struct run_record){ .run_id = id ? arena_strdup(a, id) : NULL };
    js_free(begun);
    js_free(result);
    free(begun_path);
    free(result_path);
}

enum { MAX_DEPTH = 8 }; /* folders below the one scanned */

static enum st scan(struct run_list *l, const char *dir, int depth, struct err *err)
{
    char *path = path_join(dir, run_json);
    bool is_run = file_exists(path);
    free(path);
    if (is_run) {
        GROW(l->run, l->n, l->cap);
        run_look(&l->run[l->n++], dir, &l->memory);
    }
    struct strlist names = { 0 };
    enum st st = dir_list(dir, &names, err);
    for (size_t i = 0; i < names.n && st == ST_OK && depth < MAX_DEPTH; i++) {
        if (names.s[i][0] == '.' || strcmp(names.s[i], "checkpoint") == 0)
            continue;
        char *child = path_join(dir, names.s[i]);
        if (file_is_dir(child))
            st = scan(l, child, depth + 1, err);
        free(child);
    }
    strlist_release(&names);
    return st;
}

enum st run_scan(struct run_list *l, const char *dir, struct err *err)
{
    return file_is_dir(dir) ? scan(l, dir, 0, err) : ST_OK;
}

void run_list_release(struct run_list *l)
{
    free(l->run);
    arena_release(&l->memory);
    *l = (struct run_list){ 0 };
}
