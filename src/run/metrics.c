/* run/metrics.c - see metrics.h. */
#include "run/metrics.h"

#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "run/tfevents.h"

static const char metrics_name[] = "metrics.jsonl", events_name[] = "events.out.tfevents.mixlaw";
enum { MAX_METRICS_BYTES = 1 << 30 };

struct run_log {
    char *metrics_path, *events_path;
    FILE *metrics, *events;
};

static struct js *metric_json(const struct run_metric *m)
{
    struct js *v = js_object();
    js_put_whole(v, "step", (int64_t)m->step);
    js_put_whole(v, "n_tok", (int64_t)m->n_tok);
    js_put_real(v, "loss", m->loss);
    js_put_real(v, "lr", m->lr);
    js_put_real(v, "grad_norm", m->grad_norm);
    js_put_real(v, "tok_per_s", m->tok_per_s);
    js_put_real(v, "wall_s", m->wall_s);
    js_put_real(v, "time", m->time);
    return v;
}

static void metric_line(struct strbuf *out, const struct run_metric *m)
{
    struct js *v = metric_json(m);
    js_write(v, out);
    str_addc(out, '\n');
    js_free(v);
}

static void metric_events(struct strbuf *out, const struct run_metric *m)
{
    const struct {
        const char *tag;
        double value;
    } scalar[] = { { "train/loss", m->loss },
                   { "train/lr", m->lr },
                   { "train/grad_norm", m->grad_norm },
                   { "train/tok_per_s", m->tok_per_s } };
    for (size_t i = 0; i < N_OF(scalar); i++)
        tfevents_scalar(out, scalar[i].tag, m->step, m->time, scalar[i].value);
}

static struct run_metric metric_of(const struct js *v)
{
    return (struct run_metric){ .step = (uint64_t)js_get_whole(v, "step", 0),
                                .n_tok = (uint64_t)js_get_whole(v, "n_tok", 0),
                                .loss = js_get_real(v, "loss", NAN),
                                .lr = js_get_real(v, "lr", NAN),
                                .grad_norm = js_get_real(v, "grad_norm", NAN),
                                .tok_per_s = js_get_real(v, "tok_per_s", NAN),
                                .wall_s = js_get_real(v, "wall_s", NAN),
                                .time = js_get_real(v, "time", 0) };
}

enum st run_metrics_read(const char *dir, struct run_metric **out, size_t *n, struct err *err)
{
    char *path = path_join(dir, metrics_name);
    struct strbuf text = { 0 };
    size_t cap = 0, line = 0;
    enum st st = ST_OK;
    *out = NULL;
    *n = 0;
    if (file_exists(path))
        st = file_read(path, MAX_METRICS_BYTES, &text, err);
    for (char *p = text.s, *end; st == ST_OK && p && (end = strchr(p, '\n')) != NULL; p = end + 1) {
        struct js *v = NULL;
        struct err why = { "" };
        line++;
        bool good = js_parse(&v, p, (size_t)(end - p), &why) == ST_OK &&
                    js_kind(js_get(v, "step")) == JS_WHOLE;
        if (good) {
            GROW(*out, *n, cap);
            (*out)[(*n)++] = metric_of(v);
        }
        js_free(v);
        if (!good) {
            log_warn("'%s' line %zu is damaged (%s); it and what follows is left out", path, line,
                     why.msg[0] ? why.msg : "no step");
            break;
        }
    }
    if (st < 0) {
        free(*out);
        *out = NULL;
        *n = 0;
    }
    str_release(&text);
    free(path);
    return st;
}

/* Writes both files with the metrics up to a step, each at once. */
static enum st write_both(const char *dir, const struct run_metric *m, size_t n, uint64_t keep_step,
                          struct err *err)
{
    char *metrics = path_join(dir, metrics_name), *events = path_join(dir, events_name);
    struct strbuf lines = { 0 }, bytes = { 0 };
    tfevents_begin(&bytes, n ? m[0].time : 0);
    for (size_t i = 0; i < n && m[i].step <= keep_step; i++) {
        metric_line(&lines, &m[i]);
        metric_events(&bytes, &m[i]);
    }
    enum st st = file_write(metrics, lines.s, lines.n, err);
    if (st == ST_OK)
        st = file_write(events, bytes.s, bytes.n, err);
    str_release(&lines);
    str_release(&bytes);
    free(metrics);
    free(events);
    return st;
}

enum st run_metrics_copy(const char *from_dir, const char *to_dir, uint64_t keep_step,
                         struct err *err)
{
    struct run_metric *m;
    size_t n;
    enum st st = run_metrics_read(from_dir, &m, &n, err);
    if (st == ST_OK)
        st = write_both(to_dir, m, n, keep_step, err);
    free(m);
    return st;
}

static enum st append(FILE *f, const char *path, const struct strbuf *b, struct err *err)
{
    if (fwrite(b->s, 1, b->n, f) != b->n || fflush(f) != 0)
        return err_set(err, ST_IO, "cannot write '%s': %s", path, strerror(errno));
    return ST_OK;
}

/* Opens both for appending; those of a new folder begin here, and need no wait for the disk:
 * nothing is replaced. */
static enum st open_both(struct run_log *l, bool fresh, struct err *err)
{
    struct strbuf begin = { 0 };
    l->metrics = fopen(l->metrics_path, "abe");
    l->events = fopen(l->events_path, "abe");
    if (!l->metrics || !l->events)
        return err_set(err, ST_IO, "cannot append to '%s': %s",
                       l->metrics ? l->events_path : l->metrics_path, strerror(errno));
    if (!fresh)
        return ST_OK;
    tfevents_begin(&begin, 0);
    enum st st = append(l->events, l->events_path, &begin, err);
    str_release(&begin);
    return st;
}

enum st run_log_open(struct run_log **out, const char *dir, uint64_t keep_step, struct err *err)
{
    struct run_log *l = NEW(struct run_log);
    *out = NULL;
    l->metrics_path = path_join(dir, metrics_name);
    l->events_path = path_join(dir, events_name);
    bool fresh = !file_exists(l->metrics_path) && !file_exists(l->events_path);
    enum st st = fresh ? ST_OK : run_metrics_copy(dir, dir, keep_step, err);
    if (st == ST_OK)
        st = open_both(l, fresh, err);
    if (st == ST_OK) {
        *out = l;
        return ST_OK;
    }
    struct err late;
    if (run_log_close(l, &late) < 0)
        log_debug("%s", late.msg); /* the first failure is the one to tell */
    return st;
}

enum st run_log_add(struct run_log *l, const struct run_metric *m, struct err *err)
{
    struct strbuf line = { 0 }, events = { 0 };
    metric_line(&line, m);
    metric_events(&events, m);
    enum st st = append(l->metrics, l->metrics_path, &line, err);
    if (st == ST_OK)
        st = append(l->events, l->events_path, &events, err);
    str_release(&line);
    str_release(&events);
    return st;
}

enum st run_log_scalar(struct run_log *l, const char *tag, uint64_t step, double time, double value,
                       struct err *err)
{
    struct strbuf events = { 0 };
    tfevents_scalar(&events, tag, step, time, value);
    enum st st = append(l->events, l->events_path, &events, err);
    str_release(&events);
    return st;
}

enum st run_log_close(struct run_log *l, struct err *err)
{
    enum st st = ST_OK;
    if (!l)
        return st;
    if (l->metrics && fclose(l->metrics) != 0)
        st = err_set(err, ST_IO, "cannot write '%s': %s", l->metrics_path, strerror(errno));
    if (l->events && fclose(l->events) != 0 && st == ST_OK)
        st = err_set(err, ST_IO, "cannot write '%s': %s", l->events_path, strerror(errno));
    free(l->metrics_path);
    free(l->events_path);
    free(l);
    return st;
}
