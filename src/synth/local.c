/* synth/local.c - the generator that runs here: model/generate.h with a GGUF file or a model
 * folder. */
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "synth/edit.h"

struct local {
    struct gen *gen;
    struct editor
        *editor; /* of the same engine; a recipe has edits or other requests, never both */
    char *path, *amateur;
    enum gen_precision precision; /* as asked for: what auto chose may differ elsewhere */
    size_t n_room;                /* waiting requests that keep every slot busy */
};

static void local_close(void *state)
{
    struct local *l = state;
    if (!l)
        return;
    editor_free(l->editor);
    gen_close(l->gen);
    free(l->path);
    free(l->amateur);
    free(l);
}

static enum st local_open(void **state, const char *where, const struct generator_conf *conf,
                          struct err *err)
{
    struct local *l = NEW(struct local);
    struct gen_conf c = { .n_threads = conf->n_threads,
                          .n_slots = conf->n_in_flight,
                          .max_seq_len = conf->max_seq_len,
                          .precision = conf->precision,
                          .kv = conf->kv,
                          .amateur = conf->amateur };
    l->precision = conf->precision;
    l->path = xstrdup(where);
    l->amateur = conf->amateur ? xstrdup(conf->amateur) : NULL;
    l->n_room = conf->n_in_flight ? 2 * (size_t)conf->n_in_flight : 64;
    enum st st = gen_open(&l->gen, where, &c, err);
    if (st < 0) {
        local_close(l);
        return st;
    }
    l->editor = editor_new(l->gen);
    *state = l;
    return ST_OK;
}

static int local_room(const void *state)
{
    const struct local *l = state;
    size_t waiting = gen_n_waiting(l->gen) + editor_n_waiting(l->editor);
    return waiting < l->n_room ? (int)(l->n_room - waiting) : 0;
}

static void local_submit(void *state, const struct gen_request *r)
{
    struct local *l = state;
    if (r->edit_above > 0)
        editor_submit(l->editor, r);
    else
        gen_submit(l->gen, r);
}

static enum st local_next(void *state, struct generation *out, struct err *err)
{
    struct local *l = state;
    struct gen_result r;
    if (editor_n_waiting(l->editor) > 0)
        return editor_next(l->editor, out, err);
    enum st st = gen_next(l->gen, &r, err);
    if (st != ST_OK)
        return st;
    *out = (struct generation){ .tag = r.tag,
                                .text = r.text ? r.text : "",
                                .n_bytes = r.n_bytes,
                                .finish = r.finish == GEN_STOP     ? FINISH_STOP
                                          : r.finish == GEN_LENGTH ? FINISH_LENGTH
                                                                   : FINISH_NO_ROOM,
                                .n_tok_prompt = (uint32_t)r.n_tok_prompt,
                                .n_tok = (uint32_t)r.n_tok,
                                .wall_s = r.wall_s };
    return ST_OK;
}

static struct js *local_about(const void *state)
{
    const struct local *l = state;
    struct js *v = js_object();
    js_put_text(v, "model", path_base(l->path));
    if (l->amateur)
        js_put_text(v, "amateur", path_base(l->amateur));
    js_put_text(v, "precision", gen_precision(l->gen));
    js_put_text(v, "kv", gen_kv(l->gen));
    return v;
}

/* With the settings by default the model's own, so that answers are found again on a machine where
 * auto means something else; whoever asks for a precision or a form of the cache gets answers of
 * that kind alone. */
static struct digest local_digest(const void *state)
{
    const struct local *l = state;
    struct digest model = gen_digest(l->gen);
    bool usual = l->precision == GEN_AUTO && strcmp(gen_kv(l->gen), "f16") == 0;
    if (usual && !gen_has_amateur(l->gen))
        return model;
    struct hasher *h = hasher_new();
    hasher_whole(h, model.hi);
    hasher_whole(h, model.lo);
    hasher_whole(h, (uint64_t)l->precision);
    hasher_text(h, gen_kv(l->gen));
    if (gen_has_amateur(l->gen)) {
        struct digest amateur = gen_amateur_digest(l->gen);
        hasher_text(h, "amateur");
        hasher_whole(h, amateur.hi);
        hasher_whole(h, amateur.lo);
    }
    struct digest d = hasher_digest(h);
    hasher_free(h);
    return d;
}

const struct generator_ops generator_local = { .name = "local",
                                               .can = GENERATOR_RAW | GENERATOR_CONTRAST |
                                                      GENERATOR_EDIT,
                                               .open = local_open,
                                               .room = local_room,
                                               .submit = local_submit,
                                               .next = local_next,
                                               .about = local_about,
                                               .digest = local_digest,
                                               .close = local_close };
