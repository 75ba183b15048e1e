/*
 * synth/ask.c - the first phase of a run: requests out, raw answers into the ledger.
 *
 * Answers come in any order; the monitor sees them in the plan's (monitor.h says why): visited
 * pieces wait in a ring until all before them are answered or failed. When a variant collapses
 * while later pieces of it were asked already, what is out is taken in and the walk through the
 * plan begins anew: it meets the same answers, comes to the same, and asks what is missing now.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "synth/job.h"
#include "synth/verdict.h"

enum {
    FAILURES_MAX = 20, /* in a row, with no answer between: the generator is gone */
    AHEAD_MAX = 8192   /* pieces visited beyond the first one without an answer */
};

struct flight { /* a request that is out */
    bool used;
    struct digest key, prompt;
    char *id;
    int piece;
    const char *variant; /* borrowed from the recipe */
};

struct waiting { /* a visited piece that the monitor has not seen */
    struct digest key;
    int variant;
    char *source;
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
    struct digests visited;
    struct waiting *ahead; /* a ring of AHEAD_MAX */
    size_t first, n_ahead;
    bool stale;    /* a variant collapsed of which later pieces were visited */
    size_t n_said; /* of the monitor's sentences, logged */
    struct progress progress;
};

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

static void visit(struct ask *a, const struct item *it)
{
    digests_add(&a->visited, it->key);
    a->ahead[(a->first + a->n_ahead++) % AHEAD_MAX] =
        (struct waiting){ it->key, it->variant, xstrndup(it->source, it->n_source) };
}

static void show_answer(struct ask *a, const struct waiting *w, const struct ledger_row *row)
{
    struct job *j = a->job;
    const struct item it = { .source = w->source }; /* all that reading needs of it */
    struct answer read = item_answer(&it, row->finish, row->raw, row->n_raw);
    answer_read(&read, j->recipe, &j->arena);
    if (monitor_add(j->monitor, w->variant, read.text.s, read.text.n, &j->arena))
        for (size_t i = 1; i < a->n_ahead; i++)
            a->stale |= a->ahead[(a->first + i) % AHEAD_MAX].variant == w->variant;
    answer_release(&read);
    const struct strlist *said = monitor_said(j->monitor);
    for (; a->n_said < said->n; a->n_said++) /* the walk anew says the same first */
        log_warn("%s: %s", j->recipe->name, said->s[a->n_said]);
}

/* Shows the monitor what is next in the plan, as far as it is answered. */
static enum st show(struct ask *a, struct err *err)
{
    struct job *j = a->job;
    while (a->n_ahead) {
        struct waiting *w = &a->ahead[a->first];
        struct ledger_row row;
        enum st st = ledger_get(j->ledger, w->key, &row, err);
        if (st < 0)
            return st;
        if (st == ST_OK)
            show_answer(a, w, &row);
        else if (!digests_has(&j->failed, w->key))
            return ST_OK;
        free(w->source);
        a->first = (a->first + 1) % AHEAD_MAX;
        a->n_ahead--;
    }
    return ST_OK;
}

/* Begins the walk through the plan. */
static void begin(struct ask *a)
{
    for (; a->n_ahead; a->n_ahead--)
        free(a->ahead[(a->first + a->n_ahead - 1) % AHEAD_MAX].source);
    free(a->visited.d);
    a->visited = (struct digests){ 0 };
    a->n_tok_prompt = a->n_tok = a->n_done = 0;
    a->have_page = a->exhausted = a->stale = false;
    job_rewind(a->job);
}

/* No more can be asked before answers have come. */
static bool is_blocked(const struct ask *a)
{
    return a->stale || a->n_ahead == AHEAD_MAX;
}

/* The next item that is neither answered nor out; counts those that are answered. ST_END: none now;
 * none at all once the walk is exhausted. */
static enum st next_item(struct ask *a, struct item *it, struct err *err)
{
    struct job *j = a->job;
    enum st st = ST_OK;
    while (st == ST_OK && !is_blocked(a)) {
        struct ledger_row row;
        if (monitor_all_stopped(j->monitor) || job_over_budget(j, a->n_tok_prompt, a->n_tok)) {
            st = ST_END;
            break;
        }
        if (!a->have_page) {
            st = pages_next(j->pages, &a->page, err);
            a->have_page = st == ST_OK;
            a->item = 0;
            continue;
        }
        if (a->item == item_n(j->recipe, &a->page)) {
            a->have_page = false;
            continue;
        }
        arena_rewind(&j->arena, j->base);
        if (!job_item(j, &a->page, a->item++, it) || digests_has(&a->visited, it->key) ||
            digests_has(&j->failed, it->key))
            continue;
        visit(a, it);
        st = ledger_get(j->ledger, it->key, &row, err);
        if (st == ST_END)
            return ST_OK;
        if (st == ST_OK) {
            a->n_tok_prompt += row.n_tok_prompt;
            a->n_tok += row.n_tok;
            progress_at(&a->progress, ++a->n_done);
            st = show(a, err);
        }
    }
    a->exhausted = st == ST_END;
    return st < 0 ? st : ST_END;
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
    return st == ST_OK ? show(a, err) : st;
}

/* Sends out as much as the generator takes. */
static enum st fill(struct ask *a, struct err *err)
{
    enum st st = ST_OK;
    while (st == ST_OK && !a->exhausted && generator_room(a->job->generator) > 0) {
        struct item it;
        st = next_item(a, &it, err);
        if (st == ST_OK)
            submit(a, &it);
    }
    return st < 0 ? st : ST_OK;
}

static enum st ask_loop(struct ask *a, struct err *err)
{
    struct job *j = a->job;
    enum st st = ST_OK;
    begin(a);
    for (;;) {
        struct generation g;
        st = fill(a, err);
        if (st == ST_OK)
            st = generator_next(j->generator, &g, err);
        if (st == ST_END && a->stale) {
            begin(a);
            continue;
        }
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
    struct ask a = { .job = j, .ahead = NEW_ARRAY(struct waiting, AHEAD_MAX) };
    struct err late;
    char what[64];
    snprintf(what, sizeof what, "generate %s", j->recipe->name);
    uint64_t n_prompt = recipe_asks_all(j->recipe) ? j->recipe->n_prompt : 1;
    progress_start(&a.progress, what, n_prompt * pages_n_pieces(j->pages), "requests");
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
    for (; a.n_ahead; a.n_ahead--)
        free(a.ahead[(a.first + a.n_ahead - 1) % AHEAD_MAX].source);
    free(a.ahead);
    free(a.visited.d);
    return st;
}
