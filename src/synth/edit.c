/* synth/edit.c - see edit.h: texts wait, all that wait go through the model together. */
#include "synth/edit.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"

struct edit { /* one text */
    uint64_t tag;
    char *text;
    size_t n_bytes;
    struct gen_edit how;
    uint32_t *tok, *drawn; /* [n]; drawn: GEN_NOT_DRAWN where a token stays */
    float *logp;
    int n;
    bool damaged; /* the tokens do not give the text back */
    double wall_s;
};

struct editor {
    struct gen *gen;
    struct edit *waiting, *done;
    size_t n_waiting, cap_waiting, n_done, cap_done, next_done;
    struct strbuf text;
};

struct editor *editor_new(struct gen *g)
{
    struct editor *e = NEW(struct editor);
    e->gen = g;
    return e;
}

static void edit_release(struct edit *t)
{
    free(t->text);
    free(t->tok);
    free(t->drawn);
    free(t->logp);
}

void editor_free(struct editor *e)
{
    if (!e)
        return;
    for (size_t i = 0; i < e->n_waiting; i++)
        edit_release(&e->waiting[i]);
    for (size_t i = e->next_done; i < e->n_done; i++)
        edit_release(&e->done[i]);
    free(e->waiting);
    free(e->done);
    str_release(&e->text);
    free(e);
}

void editor_submit(struct editor *e, const struct gen_request *r)
{
    const struct tok *t = gen_tok(e->gen);
    size_t n = strlen(r->raw), room = tok_room(t, n) + 1;
    GROW(e->waiting, e->n_waiting, e->cap_waiting);
    struct edit *w = &e->waiting[e->n_waiting++];
    *w = (struct edit){ .tag = r->tag,
                        .text = xstrndup(r->raw, n),
                        .n_bytes = n,
                        .how = { .above = r->edit_above, .sampling = r->sampling },
                        .tok = NEW_ARRAY(uint32_t, room) };
    w->how.sampling.stop = NULL;
    w->how.sampling.n_stop = 0;
    w->n = (int)tok_encode(t, w->text, n, w->tok);
    str_clear(&e->text);
    tok_decode(t, w->tok, (size_t)w->n, &e->text);
    w->damaged = e->text.n != n || memcmp(e->text.s, w->text, n) != 0;
    if (w->damaged)
        return;
    w->drawn = NEW_ARRAY(uint32_t, room);
    w->logp = NEW_ARRAY(float, room);
    for (int i = 0; i < w->n; i++)
        w->drawn[i] = GEN_NOT_DRAWN;
}

size_t editor_n_waiting(const struct editor *e)
{
    return e->n_waiting + e->n_done - e->next_done;
}

/* The windows of one text, appended to *list. */
static void add_windows(const struct editor *e, struct edit *w, struct gen_text **list, size_t *n,
                        size_t *cap)
{
    int most = gen_max_text(e->gen), hop = most / 2;
    for (int at = 0, from = 1; at + from < w->n; at += hop, from = most - hop) {
        int len = w->n - at < most ? w->n - at : most;
        GROW(*list, *n, *cap);
        (*list)[(*n)++] = (struct gen_text){ .tok = w->tok + at,
                                             .n_tok = len,
                                             .from = from,
                                             .logp = w->logp + at + from,
                                             .edit = &w->how,
                                             .drawn = w->drawn + at + from,
                                             .at = at };
    }
}

/* All that waits goes through the model; nothing is lost when that is interrupted. */
static enum st edit_waiting(struct editor *e, struct err *err)
{
    struct gen_text *list = NULL;
    size_t n = 0, cap = 0;
    double start = clock_s();
    for (size_t i = 0; i < e->n_waiting; i++)
        if (!e->waiting[i].damaged)
            add_windows(e, &e->waiting[i], &list, &n, &cap);
    enum st st = gen_logprobs(e->gen, list, n, err);
    free(list);
    if (st < 0)
        return st;
    struct edit *was = e->done;
    size_t was_cap = e->cap_done;
    for (size_t i = 0; i < e->n_waiting; i++)
        e->waiting[i].wall_s = clock_s() - start;
    e->done = e->waiting;
    e->n_done = e->n_waiting;
    e->cap_done = e->cap_waiting;
    e->waiting = was;
    e->cap_waiting = was_cap;
    e->n_waiting = e->next_done = 0;
    return ST_OK;
}

/* Whole characters of text, none of them NUL. */
static bool is_text(const struct tok *t, uint32_t id)
{
    size_t n = 0;
    const char *s = tok_n_bytes(t, id) ? tok_spelling(t, id, &n) : NULL;
    return s && n > 0 && !memchr(s, '\0', n) && utf8_valid(s, n) == n;
}

enum st editor_next(struct editor *e, struct generation *out, struct err *err)
{
    const struct tok *t = gen_tok(e->gen);
    if (e->next_done == e->n_done) {
        if (!e->n_waiting)
            return ST_END;
        enum st st = edit_waiting(e, err);
        if (st < 0)
            return st;
    }
    struct edit *w = &e->done[e->next_done++];
    *out = (struct generation){ .tag = w->tag,
                                .finish = w->damaged ? FINISH_NO_ROUND_TRIP : FINISH_STOP,
                                .n_tok_prompt = (uint32_t)w->n,
                                .n_tok = w->damaged ? 0 : (uint32_t)w->n,
                                .wall_s = w->wall_s };
    str_clear(&e->text);
    if (w->damaged)
        str_add(&e->text, w->text, w->n_bytes);
    for (int i = 0; i < w->n && !w->damaged; i++) {
        uint32_t id = w->drawn[i];
        out->n_redrawn += id != GEN_NOT_DRAWN;
        if (id != GEN_NOT_DRAWN && id != w->tok[i] && is_text(t, id) && is_text(t, w->tok[i])) {
            w->tok[i] = id;
            out->n_changed++;
        }
    }
    if (!w->damaged)
        tok_decode(t, w->tok, (size_t)w->n, &e->text);
    out->text = e->text.s ? e->text.s : "";
    out->n_bytes = e->text.n;
    edit_release(w);
    return ST_OK;
}
