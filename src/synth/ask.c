/* synth/ask.c - the first phase of a run: requests out, raw answers into the ledger. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "synth/job.h"

enum {
    FAILURES_MAX = 20 /* in a row, with no answer between: the generator is gone */
};

struct flight { /* a request that is out */
    bool used;
    struct digest key, prompt;
    char *id;
    int piece;
    const char *variant; /* borrowed from the recipe */
};

struct ask {
    struct job *job;
    struct flight *slot;
    size_t n_slot, cap_slot, n_out;
    uint64_t n_tok_prompt, n_tok; /* of everything answered so far, paid for now or before */
    uint64_t n_done, n_failed_in_row;
    struct page page;
    size_t item; /* next of the page */
    bool have_page, exhausted;
    struct progress progress;
};

static bool is_out(const struct ask *a, struct digest key)
{
    for (size_t i = 0; i < a->n_slot; i++)
        if (a->slot[i].used && digest_cmp(a->slot[i].key, key) == 0)
            return true;
    return false;
}

static size_t free_slot(struct ask *a)
{
    for (size_t i = 0; i < a->n_slot; i++)
        if (!a->slot[i].used)
            return i;
    GROW(a->slot, a->n_slot, a->cap_slot);
    a->slot[a->n_slot] = (struct flight){ 0 };
    return a->n_slot++;
}

static void submit(struct ask *a, const struct item *it)
{
    size_t i = free_slot(a);
    a->slot[i] = (struct flight){ .used = true,
                                  .key = it->key,
                                  .prompt = it->prompt,
                                  .id = xstrdup(it->doc->id),
                                  .piece = it->piece,
                                  .variant = a->job->recipe->prompt[it->variant].name };
    const struct gen_request r = item_request(it, i);
    generator_submit(a->job->generator, &r);
    a->n_out++;
    a->job->n_asked++;
}

/* The next item that is neither answered nor out; counts those that are answered. ST_END: none
 * left. */
static enum st next_item(struct ask *a, struct item *it, struct err *err)
{
    struct job *j = a->job;
    for (;;) {
        struct ledger_row row;
        if (!a->have_page) {
            enum st st = pages_next(j->pages, &a->page, err);
            if (st != ST_OK)
                return st;
            a->have_page = true;
            a->item = 0;
        }
        if (a->item == item_n(j->recipe, &a->page)) {
            a->have_page = false;
            continue;
        }
        if (!job_item(j, &a->page, a->item++, it) || is_out(a, it->key))
            continue;
        enum st st = ledger_get(j->ledger, it->key, &row, err);
        if (st == ST_END)
            return ST_OK;
        if (st < 0)
            return st;
        a->n_tok_prompt += row.n_tok_prompt;
        a->n_tok += row.n_tok;
        progress_at(&a->progress, ++a->n_done);
        if (job_over_budget(j, a->n_tok_prompt, a->n_tok))
            return ST_END;
    }
}

static enum st take(struct ask *a, const struct generation *g, struct err *err)
{
    struct job *j = a->job;
    struct flight *f = &a->slot[g->tag];
    enum st st = ST_OK;
    if (g->failed) {
        digests_add(&j->failed, f->key);
        j->n_later += g->is_later;
        if (g->is_later)
            snprintf(j->why_later, sizeof j->why_later, "%s", g->why);
        snprintf(j->why, sizeof j->why, "%s", g->why ? g->why : "no reason given");
        log_debug("'%s' failed: %s", f->id, j->why);
        a->n_failed_in_row += !g->is_alone;
        if (a->n_failed_in_row >= FAILURES_MAX)
            st = err_set(err, ST_NET,
                         "%d requests in a row failed, the last because: %s; what was answered is "
                         "kept, the same command goes on",
                         FAILURES_MAX, j->why);
    } else {
        const struct ledger_row row = { .key = f->key,
                                        .prompt = f->prompt,
                                        .id = f->id,
                                        .piece = f->piece,
                                        .variant = f->variant,
                                        .finish = g->finish,
                                        .raw = g->text ? g->text : "",
                                        .n_raw = g->n_bytes,
                                        .n_tok_prompt = g->n_tok_prompt,
                                        .n_tok = g->n_tok,
                                        .n_redrawn = g->n_redrawn,
                                        .n_changed = g->n_changed,
                                        .wall_s = g->wall_s };
        a->n_failed_in_row = 0;
        if (j->pace)
            pace_add(j->pace, clock_s(), g->n_tok, a->n_out);
        a->n_tok_prompt += g->n_tok_prompt;
        a->n_tok += g->n_tok;
        st = ledger_add(j->ledger, &row, err);
    }
    free(f->id);
    *f = (struct flight){ 0 };
    a->n_out--;
    progress_at(&a->progress, ++a->n_done);
    return st;
}

static enum st ask_loop(struct ask *a, struct err *err)
{
    struct job *j = a->job;
    enum st st = ST_OK;
    for (;;) {
        while (!a->exhausted && generator_room(j->generator) > 0) {
            struct item it;
            arena_rewind(&j->arena, j->base);
            if (job_over_budget(j, a->n_tok_prompt, a->n_tok))
                st = ST_END;
            else
                st = next_item(a, &it, err);
            if (st < 0)
                return st;
            if (st == ST_END)
                a->exhausted = true;
            else
                submit(a, &it);
        }
        struct generation g;
        st = generator_next(j->generator, &g, err);
        if (st == ST_END)
            return a->exhausted ? ST_OK
                                : err_set(err, ST_NET, "the generator gave back too little");
        if (st == ST_OK)
            st = take(a, &g, err);
        if (st < 0)
            return st;
    }
}

static const char *which_budget(const struct job *j, uint64_t n_tok_prompt, uint64_t n_tok)
{
    const struct synth_conf *c = j->conf;
    if (c->max_tok && n_tok >= c->max_tok)
        return "max_tokens";
    if (c->max_cost > 0 && job_cost(j, n_tok_prompt, n_tok) >= c->max_cost)
        return "max_cost";
    if (c->max_s > 0 && ledger_stats(j->ledger).wall_s >= c->max_s)
        return "max_time";
    return NULL;
}

bool job_over_budget(const struct job *j, uint64_t n_tok_prompt, uint64_t n_tok)
{
    return which_budget(j, n_tok_prompt, n_tok) != NULL;
}

double job_cost(const struct job *j, uint64_t n_tok_prompt, uint64_t n_tok)
{
    return ((double)n_tok_prompt * j->conf->price_in + (double)n_tok * j->conf->price_out) / 1e6;
}

enum st job_ask(struct job *j, struct err *err)
{
    struct ask a = { .job = j };
    struct err late;
    char what[64];
    snprintf(what, sizeof what, "generate %s", j->recipe->name);
    uint64_t n_prompt = recipe_asks_all(j->recipe) ? j->recipe->n_prompt : 1;
    progress_start(&a.progress, what, n_prompt * pages_n_pieces(j->pages), "requests");
    pages_rewind(j->pages);
    enum st st = ask_loop(&a, err);
    progress_end(&a.progress);
    if (ledger_sync(j->ledger, &late) < 0 && st >= 0) {
        st = ST_IO;
        *err = late;
    }
    j->stopped = which_budget(j, a.n_tok_prompt, a.n_tok);
    for (size_t i = 0; i < a.n_slot; i++)
        free(a.slot[i].id);
    free(a.slot);
    return st;
}
