/* model/logprob.c - log-probabilities of given text (see generate.h): rows of many texts share a
 * step, nothing is padded. */
#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "model/gen.h"

/* A text under way: rows for its tokens [n_done, n_tok - 1) are still to come. */
struct given {
    struct gen_text *text;
    struct kv_seq seq;
    int n_done;
};

struct wanted { /* a row whose logits are asked for */
    struct gen_text *text;
    int pos;
};

struct scoring {
    struct gen *g;
    struct given *open; /* in the order of texts */
    int n_open, max_open;
    struct wanted *wanted; /* [max_rows] */
    int first;             /* of the logits under way */
};

static enum st check_text(const struct gen *g, const struct gen_text *t, size_t i, struct err *err)
{
    uint32_t vocab = (uint32_t)g->w->conf.vocab_size;
    if (t->n_tok - 1 > g->max_seq_len)
        return err_set(err, ST_LIMIT, "text %zu has %d tokens, the model takes %d at once", i,
                       t->n_tok, g->max_seq_len + 1);
    if (t->from < 1 || t->from >= t->n_tok)
        return err_set(err, ST_USAGE, "text %zu of %d tokens is to be scored from token %d on", i,
                       t->n_tok, t->from);
    for (int k = 0; k < t->n_tok; k++)
        if (t->tok[k] >= vocab)
            return err_set(err, ST_USAGE, "text %zu holds token %u, the model has %u", i, t->tok[k],
                           vocab);
    return ST_OK;
}

/* Opens texts while there is room: before rows are planned, as opening may copy what others have
 * computed. */
static void open_texts(struct scoring *s, struct gen_text *text, size_t n_text, size_t *next)
{
    for (; *next < n_text && s->n_open < s->max_open; (*next)++) {
        struct gen_text *t = &text[*next];
        struct given *o = &s->open[s->n_open];
        *o = (struct given){ .text = t };
        if (!kv_seq_open(s->g->cache, &o->seq, t->tok, t->from, t->n_tok - 1, &o->n_done))
            return; /* a later step has room */
        s->n_open++;
    }
}

/* Rows of this step: what each open text still needs, oldest first. */
static int plan_rows(struct scoring *s)
{
    struct gen *g = s->g;
    int n_row = 0, n_wanted = 0;
    for (int i = 0; i < s->n_open && n_row < g->max_rows; i++) {
        struct given *o = &s->open[i];
        struct gen_text *t = o->text;
        if (!kv_seq_ready(&o->seq, o->n_done))
            continue;
        for (; o->n_done < t->n_tok - 1 && n_row < g->max_rows; o->n_done++) {
            bool wanted = o->n_done + 1 >= t->from;
            kv_seq_fill(&o->seq, o->n_done);
            g->row[n_row++] =
                (struct infer_row){ t->tok[o->n_done], o->n_done, o->seq.data, wanted };
            if (wanted)
                s->wanted[n_wanted++] = (struct wanted){ t, o->n_done };
        }
    }
    return n_row;
}

/* A token for the place of one that the model takes for granted; else none. */
static uint32_t redraw(const struct gen *g, struct sample_scratch *scratch, const struct wanted *w,
                       double logp, float *logits)
{
    const struct gen_edit *e = w->text->edit;
    struct rng rng;
    if (!(exp(logp) > e->above))
        return GEN_NOT_DRAWN;
    rng_init(&rng, e->sampling.seed, "edit", (uint64_t)(w->text->at + w->pos + 1));
    return sample_token(g->kernels, scratch, &e->sampling, &rng, logits, NULL, g->n_vocab, NULL, 0);
}

static void score_row(void *job, size_t item, int thread)
{
    const struct scoring *s = job;
    const struct decode_kernels *k = s->g->kernels;
    const struct wanted *w = &s->wanted[s->first + (int)item];
    struct sample_scratch *scratch = &s->g->scratch[thread];
    int n = s->g->w->conf.vocab_size, at = w->pos + 1 - w->text->from;
    float *logits = s->g->logits + item * (size_t)n, max = k->max(logits, n);
    double logit = (double)logits[w->text->tok[w->pos + 1]] - (double)max;
    double logp = logit - log(k->exp_sum(sample_room(scratch, n), logits, n, max, 1));
    w->text->logp[at] = (float)logp;
    if (w->text->edit)
        w->text->drawn[at] = redraw(s->g, scratch, w, logp, logits);
}

/* Closes texts whose rows are all done. */
static void close_done(struct scoring *s)
{
    int n = 0;
    for (int i = 0; i < s->n_open; i++) {
        struct given *o = &s->open[i];
        if (o->n_done == o->text->n_tok - 1)
            kv_seq_close(s->g->cache, &o->seq);
        else
            s->open[n++] = *o;
    }
    s->n_open = n;
}

enum st gen_logprobs(struct gen *g, struct gen_text *text, size_t n_text, struct err *err)
{
    struct scoring s = { .g = g, .max_open = g->n_slots };
    enum st st = ST_OK;
    size_t next = 0;
    assert(g->n_active == 0); /* its slots and blocks are used here */
    assert(!g->amateur);      /* whose part of the blocks would stay empty */
    for (size_t i = 0; i < n_text && st == ST_OK; i++)
        st = check_text(g, &text[i], i, err);
    s.open = NEW_ARRAY(struct given, (size_t)s.max_open);
    s.wanted = NEW_ARRAY(struct wanted, (size_t)g->max_rows);
    while (st == ST_OK && (next < n_text || s.n_open > 0)) {
        if (stop_asked()) {
            st = err_set(err, ST_INTERRUPTED, "interrupted while scoring text");
            break;
        }
        open_texts(&s, text, n_text, &next);
        int n_wanted = infer_layers(g->infer, g->row, plan_rows(&s));
        for (s.first = 0; s.first < n_wanted; s.first += g->max_logits) {
            int n = n_wanted - s.first < g->max_logits ? n_wanted - s.first : g->max_logits;
            g->logits = infer_logits(g->infer, s.first, n);
            pool_run(g->pool, (size_t)n, score_row, &s);
        }
        close_done(&s);
    }
    for (int i = 0; i < s.n_open; i++)
        kv_seq_close(g->cache, &s.open[i].seq);
    free(s.open);
    free(s.wanted);
    return st;
}

int gen_max_text(const struct gen *g)
{
    return g->max_seq_len + 1; /* the last token is never an input */
}

enum st gen_logits(struct gen *g, const uint32_t *tok, int n_tok, float *logits, struct err *err)
{
    struct kv_seq seq;
    int n_have, vocab = g->w->conf.vocab_size;
    if (n_tok < 1 || n_tok > g->max_seq_len)
        return err_set(err, ST_USAGE, "%d tokens, want 1 to %d", n_tok, g->max_seq_len);
    for (int i = 0; i < n_tok; i++)
        if (tok[i] >= (uint32_t)vocab)
            return err_set(err, ST_USAGE, "token %u, the model has %d", tok[i], vocab);
    if (!kv_seq_open(g->cache, &seq, tok, 0, n_tok, &n_have))
        return err_set(err, ST_LIMIT, "no room in the cache");
    for (int pos = 0; pos < n_tok;) {
        int n = n_tok - pos < g->max_logits ? n_tok - pos : g->max_logits;
        for (int i = 0; i < n; i++)
            g->row[i] = (struct infer_row){ tok[pos + i], pos + i, seq.data, true };
        memcpy(logits + (size_t)pos * (size_t)vocab, infer_forward(g->infer, g->row, n),
               (size_t)n * (size_t)vocab * sizeof *logits);
        pos += n;
    }
    kv_seq_close(g->cache, &seq);
    return ST_OK;
}
