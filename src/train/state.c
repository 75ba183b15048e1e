/* train/state.c - see state.h. */
#include "train/state.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"

static const char pattern[] = "state-%012" PRIu64 "%s";
enum { N_KEPT = 2 };

static char *state_path(const char *dir, uint64_t step, const char *suffix)
{
    char name[64];
    snprintf(name, sizeof name, pattern, step, suffix);
    return path_join(dir, name);
}

/* Steps of the states in dir, newest last. The caller frees *step. */
static enum st list_states(const char *dir, uint64_t **step, size_t *n, struct err *err)
{
    struct strlist names = { 0 };
    *n = 0;
    *step = NULL;
    if (!file_is_dir(dir))
        return ST_OK;
    enum st st = dir_list(dir, &names, err); /* sorted: steps are padded with zeros */
    *step = NEW_ARRAY(uint64_t, names.n + 1);
    for (size_t i = 0; i < names.n; i++) {
        uint64_t v;
        int end = 0;
        if (sscanf(names.s[i], "state-%12" SCNu64 ".json%n", &v, &end) == 1 && end > 0 &&
            names.s[i][end] == '\0')
            (*step)[(*n)++] = v;
    }
    strlist_release(&names);
    return st;
}

/* Removes whatever belongs to no state to be kept: older ones, and parts that a crash left. */
static enum st remove_old(const char *dir, struct err *err)
{
    uint64_t *step;
    size_t n;
    struct strlist names = { 0 };
    enum st st = list_states(dir, &step, &n, err);
    if (st == ST_OK)
        st = dir_list(dir, &names, err);
    for (size_t i = 0; i < names.n && st == ST_OK; i++) {
        bool keep = false;
        for (size_t k = n > N_KEPT ? n - N_KEPT : 0; k < n; k++) {
            char want[64];
            snprintf(want, sizeof want, pattern, step[k], ".");
            keep |= str_starts(names.s[i], want) && !strstr(names.s[i], ".tmp-");
        }
        if (keep || !str_starts(names.s[i], "state-"))
            continue;
        char *path = path_join(dir, names.s[i]);
        st = dir_remove(path, err);
        free(path);
    }
    strlist_release(&names);
    free(step);
    return st;
}

enum st state_save(const char *dir, const char *key, const struct train_state *s, struct model *m,
                   const char *backend, struct err *err)
{
    char *bin = state_path(dir, s->step, ".bin"), *json = state_path(dir, s->step, ".json");
    struct err late;
    enum st st = dir_make(dir, err);
    if (st == ST_OK)
        st = model_save_state(m, bin, s->step, err); /* appears whole or not at all */
    if (st == ST_OK) {
        struct js *v = js_object();
        js_put_text(v, "key", key);
        js_put_text(v, "backend", backend);
        js_put_whole(v, "step", (int64_t)s->step);
        js_put_real(v, "log_sum", s->log_sum);
        js_put_whole(v, "log_n", (int64_t)s->log_n);
        js_put_real(v, "tail_sum", s->tail_sum);
        js_put_whole(v, "tail_n", (int64_t)s->tail_n);
        js_put_real(v, "train_s", s->train_s);
        st = js_write_file(v, json, err);
        js_free(v);
    }
    if (st == ST_OK)
        st = remove_old(dir, err);
    else if (!file_exists(json) &&
             dir_remove(bin, &late) < 0) /* room for others, and the next try */
        log_warn("%s", late.msg);
    free(bin);
    free(json);
    return err_in(err, st, "saving the state of step %" PRIu64 " (older states stay)", s->step);
}

/* ST_END: of another key. */
static enum st load_one(const char *dir, uint64_t step, const char *key, struct train_state *s,
                        struct model *m, bool *as_made, const char *backend, struct err *err)
{
    char *bin = state_path(dir, step, ".bin"), *json = state_path(dir, step, ".json");
    struct js *v = NULL;
    uint64_t in_bin = 0;
    enum st st = js_read_file(&v, json, err);
    if (st == ST_OK && strcmp(js_get_text(v, "key", ""), key) != 0)
        st = ST_END;
    *s = (struct train_state){ .step = (uint64_t)js_get_whole(v, "step", -1),
                               .log_sum = js_get_real(v, "log_sum", 0),
                               .log_n = (uint64_t)js_get_whole(v, "log_n", 0),
                               .tail_sum = js_get_real(v, "tail_sum", 0),
                               .tail_n = (uint64_t)js_get_whole(v, "tail_n", 0),
                               .train_s = js_get_real(v, "train_s", 0) };
    if (st == ST_OK && s->step != step)
        st = err_set(err, ST_FORMAT, "'%s' is of another step", json);
    if (st == ST_OK) {
        *as_made = false;
        st = model_load_state(m, bin, &in_bin, err);
    }
    if (st == ST_OK && in_bin != step)
        st = err_set(err, ST_FORMAT, "'%s' is of step %" PRIu64 ", want %" PRIu64, bin, in_bin,
                     step);
    const char *was = js_get_text(v, "backend", backend);
    if (st == ST_OK && strcmp(was, backend) != 0)
        log_warn("'%s' was trained on %s and goes on on %s: its numbers will differ in the last "
                 "digits from an unbroken run's",
                 dir, was, backend);
    js_free(v);
    free(bin);
    free(json);
    return st;
}

enum st state_load(const char *dir, const char *key, uint64_t max_step, struct train_state *s,
                   struct model *m, bool *as_made, const char *backend, struct err *err)
{
    uint64_t *step;
    size_t n;
    enum st st = list_states(dir, &step, &n, err);
    enum st got = ST_END;
    while (st == ST_OK && n-- > 0) {
        struct err why = { "" };
        if (step[n] > max_step)
            continue;
        got = load_one(dir, step[n], key, s, m, as_made, backend, &why);
        if (got == ST_OK)
            break;
        if (got == ST_DEVICE || got == ST_INTERRUPTED) {
            *err = why;
            st = got;
        } else if (got < 0) {
            log_warn("%s; an older state is used", why.msg);
        }
        got = ST_END;
    }
    free(step);
    return st < 0 ? st : got;
}
