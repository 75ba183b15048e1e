/*
 * model/checkpoint.c - Hugging Face folders out and in, and the state file for exact resume.
 *
 * The state file: 8 bytes "MXLSTATE", then little-endian words of 8 bytes: version, number of
 * parameters, optimizer step, digest of the configuration (2); then parameters, first and second
 * moments as floats, in version 2 also the average of the parameters; then the digest (2 words) of
 * all before it.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/hash.h"
#include "base/mem.h"
#include "model/export.h"
#include "model/hf.h"
#include "model/state.h"
#include "model/weights.h"

/* Floats go to files as they are in memory. */
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "files here are little-endian");

static enum st save_weights(struct model *m, const char *path, struct err *err)
{
    struct outfile f = { 0 };
    struct strbuf header = { 0 };
    float *value = xmalloc(m->params.n * sizeof *value);
    m->b->ops->download(m->b, value, m->p);
    safetensors_header(&header, &m->params, "F32", 4);
    enum st st = m->b->ops->sync(m->b, err);
    if (st == ST_OK)
        st = outfile_open(&f, path, err);
    if (st == ST_OK)
        st = outfile_write(&f, header.s, header.n, err);
    if (st == ST_OK)
        st = outfile_write(&f, value, m->params.n * sizeof *value, err);
    if (st == ST_OK)
        st = outfile_commit(&f, err);
    outfile_abort(&f);
    str_release(&header);
    free(value);
    return st;
}

enum st model_save(struct model *m, const char *dir, struct err *err)
{
    char *weights = path_join(dir, "model.safetensors"), *config = path_join(dir, "config.json");
    struct js *conf = model_conf_json(&m->conf);
    enum st st = dir_make(dir, err);
    if (st == ST_OK)
        st = save_weights(m, weights, err);
    if (st == ST_OK) /* last: a folder without it is not a model yet */
        st = js_write_file(conf, config, err);
    js_free(conf);
    free(weights);
    free(config);
    return st;
}

enum st hf_conf_read(struct model_conf *out, const char *dir, struct err *err)
{
    char *path = path_join(dir, "config.json");
    struct js *o = NULL;
    enum st st = js_read_file(&o, path, err);
    if (st == ST_OK)
        st = hf_conf_parse(out, o, path, err);
    js_free(o);
    free(path);
    return st;
}

/* All parameters as floats, in the table's order. */
static void read_params(float *value, const struct params *p, const struct weights *w)
{
    for (size_t i = 0; i < p->n_row; i++) {
        const struct weight *from = weights_param(w, p, i);
        for (int r = 0; r < from->n_row; r++)
            weight_row(value + p->row[i].offset + (size_t)r * (size_t)from->n_col, from, r);
    }
}

enum st model_load(struct model **out, const char *path, struct backend *b, struct err *err)
{
    struct weights *w = NULL;
    struct model *m = NULL;
    *out = NULL;
    enum st st = weights_open(&w, path, err);
    if (st == ST_OK)
        st = model_new(&m, &w->conf, b, err);
    if (st == ST_OK) {
        float *value = xmalloc(m->params.n * sizeof *value);
        read_params(value, &m->params, w);
        m->b->ops->upload(m->b, m->p, value);
        free(value);
        *out = m;
        m = NULL;
    }
    weights_close(w);
    model_free(m);
    return st;
}

/* Exact resume. */

enum { STATE_VERSION = 1, STATE_WITH_MEAN = 2, N_WORDS = 6 };
static const char magic[8] = "MXLSTATE";

static struct digest conf_digest(const struct model_conf *conf)
{
    struct strbuf text = { 0 };
    struct js *o = model_conf_json(conf);
    js_write(o, &text);
    struct digest d = digest_of(text.s, text.n);
    js_free(o);
    str_release(&text);
    return d;
}

static void state_head(uint64_t head[N_WORDS], const struct model *m, uint64_t step)
{
    struct digest d = conf_digest(&m->conf);
    memcpy(&head[0], magic, 8);
    head[1] = m->ema > 0 ? STATE_WITH_MEAN : STATE_VERSION;
    head[2] = m->params.n;
    head[3] = step;
    head[4] = d.hi;
    head[5] = d.lo;
}

enum st model_save_state(struct model *m, const char *path, uint64_t step, struct err *err)
{
    struct outfile f = { 0 };
    enum st st = model_training_state(m, err);
    if (st < 0)
        return st;
    const struct tensor part[] = { m->p, m->m, m->v, m->mean };
    size_t n_bytes = m->params.n * sizeof(float), n_part = m->ema > 0 ? 4 : 3;
    float *value = xmalloc(n_bytes);
    uint64_t head[N_WORDS];
    struct hasher *h = hasher_new();
    state_head(head, m, step);
    hasher_add(h, head, sizeof head);
    if ((st = outfile_open(&f, path, err)) == ST_OK)
        st = outfile_write(&f, head, sizeof head, err);
    for (size_t i = 0; i < n_part && st == ST_OK; i++) {
        m->b->ops->download(m->b, value, part[i]);
        if ((st = m->b->ops->sync(m->b, err)) < 0)
            break;
        hasher_add(h, value, n_bytes);
        st = outfile_write(&f, value, n_bytes, err);
    }
    struct digest d = hasher_digest(h);
    uint64_t tail[2] = { d.hi, d.lo };
    if (st == ST_OK)
        st = outfile_write(&f, tail, sizeof tail, err);
    if (st == ST_OK)
        st = outfile_commit(&f, err);
    outfile_abort(&f);
    hasher_free(h);
    free(value);
    return st;
}

enum st model_load_state(struct model *m, const char *path, uint64_t *step, struct err *err)
{
    struct filemap map;
    enum st st = model_training_state(m, err);
    if (st < 0 || (st = filemap_open(&map, path, err)) < 0)
        return st;
    uint64_t head[N_WORDS], want[N_WORDS], tail[2];
    size_t n_bytes = m->params.n * sizeof(float), n_part = m->ema > 0 ? 4 : 3,
           all = sizeof head + n_part * n_bytes;
    if (map.n_bytes < sizeof head || memcmp(map.bytes, magic, 8) != 0) {
        st = err_set(err, ST_FORMAT, "'%s' is no training state", path);
        goto out;
    }
    memcpy(head, map.bytes, sizeof head);
    state_head(want, m, head[3]);
    if (memcmp(head + 1, want + 1, sizeof head - 8) != 0) {
        st = err_set(err, ST_FORMAT, "'%s' belongs to another model or version", path);
        goto out;
    }
    if (map.n_bytes != all + sizeof tail) {
        st = err_set(err, ST_FORMAT, "'%s' has %zu bytes, want %zu", path, map.n_bytes,
                     all + sizeof tail);
        goto out;
    }
    memcpy(tail, map.bytes + all, sizeof tail);
    struct digest d = digest_of(map.bytes, all);
    if (d.hi != tail[0] || d.lo != tail[1]) {
        st = err_set(err, ST_FORMAT, "'%s' is damaged: its checksum differs", path);
        goto out;
    }
    const struct tensor part[] = { m->p, m->m, m->v, m->mean };
    for (size_t i = 0; i < n_part; i++)
        m->b->ops->upload(m->b, part[i], map.bytes + sizeof head + i * n_bytes);
    m->b->ops->zero(m->b, m->g);
    model_changed(m);
    *step = head[3];
out:
    filemap_close(&map);
    return st;
}
