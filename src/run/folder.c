/* run/folder.c - see folder.h. */
#include "run/folder.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/hash.h"
#include "base/log.h"

static const char run_json[] = "run.json", result_json[] = "result.json";

void run_key(const struct js *settings, char hex[])
{
    struct strbuf b = { 0 };
    str_printf(&b, "run %d ", (int)RUN_SCHEMA);
    js_write(settings, &b);
    digest_hex(digest_of(b.s, b.n), hex);
    str_release(&b);
}

const char *run_state_name(enum run_state s)
{
    return s == RUN_FINISHED ? "finished" : s == RUN_DAMAGED ? "damaged" : "unfinished";
}

/* The key in dir's run.json: ST_END when there is no such file, ST_FORMAT when it is damaged. */
static enum st read_key(const char *dir, char hex[DIGEST_HEX], struct err *err)
{
    char *path = path_join(dir, run_json);
    struct js *v = NULL;
    enum st st = ST_END;
    if (file_exists(path)) {
        st = js_read_file(&v, path, err);
        struct digest d;
        if (st == ST_OK)
            st = err_in(err, digest_parse(&d, js_get_text(v, "key", ""), err), "'%s' key", path);
        if (st == ST_OK)
            digest_hex(d, hex);
    }
    js_free(v);
    free(path);
    return st;
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

enum st run_begin(const char *dir, const char *run_id, const struct js *settings,
                  const struct js *machine, bool *known, struct err *err)
{
    char want[DIGEST_HEX], have[DIGEST_HEX] = "";
    struct err why = { "" };
    *known = false;
    run_key(settings, want);
    enum st st = dir_make(dir, err);
    if (st < 0)
        return st;
    st = read_key(dir, have, &why);
    if (st == ST_IO) {
        *err = why;
        return st;
    }
    if (st == ST_OK) {
        if (strcmp(have, want) != 0)
            return err_set(err, ST_USAGE,
                           "'%s' holds a run of other settings (see its run.json); choose another "
                           "--out or delete it",
                           dir);
        *known = true;
        return check_result(dir, err);
    }
    if (st < 0) {
        st = set_aside(dir, run_json, why.msg, err);
        if (st < 0)
            return st;
    }
    char *path = path_join(dir, run_json);
    struct js *v = js_object();
    js_put_whole(v, "schema", RUN_SCHEMA);
    js_put_text(v, "run_id", run_id);
    js_put_text(v, "key", want);
    js_put_text(v, "program", MIXLAW_VERSION);
    js_put(v, "settings", js_copy(settings));
    if (machine)
        js_put(v, "machine", js_copy(machine));
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
