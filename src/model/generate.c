/*
 * model/generate.c - see generate.h: requests wait in a queue, n_slots of them are in work at once.
 *
 * A step takes one row from every request that is writing, then fills up with prompt tokens of the
 * requests behind, oldest first, to at most `max_rows` rows, and sends all of them through the
 * network together. So the weights are read once for all, and prompts ride along with decoding.
 */
#include "model/generate.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/pool.h"
#include "base/rng.h"
#include "model/gen.h"
#include "model/hf.h"
#include "model/weights.h"

enum {
    SLOTS = 32, /* by default */
    MAX_SLOTS = 1024,
    SEQ_LEN = 2048,   /* by default; the model's limit when that is lower */
    ROWS = 256,       /* a step; more when there are more slots */
    SPARE_BLOCKS = 64 /* of the cache, for prefixes whose users have gone */
};

/* A request from submission to result. */
struct job {
    uint64_t tag;
    struct sampling sampling;
    char **stop;                /* owned */
    uint32_t *tok;              /* prompt, then new tokens */
    int n_prompt, n_tok, n_max; /* n_max: prompt and new at most */
    int n_done;                 /* tokens whose keys and values are in the cache */
    struct kv_seq seq;
    struct rng rng;
    struct strbuf text;
    size_t n_prefill; /* bytes of text that were given */
    size_t max_stop;  /* bytes of the longest stop text */
    enum gen_finish finish;
    enum st st; /* of the request itself */
    char *problem;
    double start_s, wall_s;
    struct job *next;
};

static void list_add(struct job_list *l, struct job *j)
{
    if (!l->first)
        l->last = &l->first;
    j->next = NULL;
    *l->last = j;
    l->last = &j->next;
    l->n++;
}

static struct job *list_take(struct job_list *l)
{
    struct job *j = l->first;
    if (j) {
        l->first = j->next;
        l->n--;
    }
    return j;
}

static void job_free(struct job *j)
{
    if (!j)
        return;
    for (int i = 0; i < j->sampling.n_stop; i++)
        free(j->stop[i]);
    free(j->stop);
    free(j->tok);
    free(j->problem);
    str_release(&j->text);
    free(j);
}

/* ---- Opening. ---- */

enum gen_precision gen_precision_by_name(const char *name)
{
    static const char *const known[] = { "auto", "fp32", "int16", "int8" };
    for (int i = 0; i < (int)N_OF(known); i++)
        if (strcmp(name, known[i]) == 0)
            return (enum gen_precision)i;
    assert(!"one of GEN_PRECISIONS");
    return GEN_AUTO;
}

static const char *const kv_name[] = { "f16", "q8" };

enum gen_kv gen_kv_by_name(const char *name)
{
    for (int i = 0; i < (int)N_OF(kv_name); i++)
        if (strcmp(name, kv_name[i]) == 0)
            return (enum gen_kv)i;
    assert(!"one of GEN_KVS");
    return GEN_KV_F16;
}

static void add_stop_id(struct gen *g, int64_t id)
{
    if (id < 0 || id >= g->n_vocab) /* none, or one that is never written */
        return;
    for (int i = 0; i < g->n_stop_id; i++)
        if (g->stop_id[i] == (uint32_t)id)
            return;
    assert(g->n_stop_id < GEN_MAX_STOP_IDS);
    g->stop_id[g->n_stop_id++] = (uint32_t)id;
}

static enum st open_tok_gguf(struct gen *g, struct err *err)
{
    const struct gguf *file = g->w->gguf;
    enum st st = tok_from_gguf(&g->tok, file, err);
    if (st < 0)
        return st;
    g->n_vocab = tok_vocab_size(g->tok);
    static const char *const end[] = { "tokenizer.ggml.eos_token_id", "tokenizer.ggml.eot_token_id",
                                       "tokenizer.ggml.eom_token_id" };
    for (size_t i = 0; i < N_OF(end); i++)
        add_stop_id(g, (int64_t)gguf_whole(file, end[i], UINT32_MAX));
    chat_init(&g->chat, gguf_text(file, "tokenizer.chat_template", NULL), g->tok);
    return ST_OK;
}

static enum st open_tok_folder(struct gen *g, const char *dir, struct err *err)
{
    char *path = path_join(dir, "tokenizer.json");
    struct hf_marks marks = { 0 };
    enum st st = tok_load(&g->tok, path, err);
    if (st == ST_OK)
        st = hf_marks_read(&marks, dir, err);
    if (st == ST_OK) {
        g->n_vocab = tok_vocab_size(g->tok);
        chat_init(&g->chat, marks.chat, g->tok);
        add_stop_id(g, marks.end ? tok_id(g->tok, marks.end) : -1);
        for (int i = 0; i < marks.n_stop_id; i++)
            add_stop_id(g, marks.stop_id[i]);
    }
    hf_marks_release(&marks);
    free(path);
    return st;
}

static enum st open_tok(struct gen *g, const char *path, struct err *err)
{
    enum st st = g->w->gguf ? open_tok_gguf(g, err) : open_tok_folder(g, path, err);
    if (st < 0)
        return st;
    if (g->n_vocab > g->w->conf.vocab_size)
        return err_set(err, ST_FORMAT, "'%s': the tokenizer has %d tokens, the model %d", path,
                       g->n_vocab, g->w->conf.vocab_size);
    add_stop_id(g, tok_eod(g->tok));
    if (!g->chat.problem) {
        add_stop_id(g, g->chat.end);
        add_stop_id(g, g->chat.start);
    }
    return ST_OK;
}

/* Tokens of a prompt and its answer at most. */
static int longest(const struct weights *w)
{
    int most = w->conf.max_seq_len, window = w->conf.window;
    if (!window || window >= most)
        return most;
    /* Inside the window nothing is hidden; the cache's kernels know no window. */
    log_info("the model has a sliding window of %d tokens: prompt and answer end there", window);
    return window;
}

static void make_room(struct gen *g, const struct gen_conf *c)
{
    int most = longest(g->w), amateurs = g->amateur_w ? longest(g->amateur_w) : most;
    most = amateurs < most ? amateurs : most;
    int limit = most < SEQ_LEN ? most : SEQ_LEN;
    g->n_slots = c->n_slots > 0 ? c->n_slots : SLOTS;
    g->n_slots = g->n_slots < MAX_SLOTS ? g->n_slots : MAX_SLOTS;
    g->max_seq_len = c->max_seq_len > 0 ? c->max_seq_len : limit;
    if (g->max_seq_len > most)
        g->max_seq_len = most;
    g->max_rows = 2 * g->n_slots > ROWS ? 2 * g->n_slots : ROWS;
    g->max_logits = g->n_slots > SLOTS ? g->n_slots : SLOTS;
    g->pool = pool_new(c->n_threads > 0 ? c->n_threads : cpu_count());
    g->infer = infer_new(g->w, g->kernels, g->pool, c->precision, c->kv, g->max_seq_len,
                         g->max_rows, g->max_logits);
    size_t block_bytes = infer_block_bytes(g->infer);
    if (g->amateur_w) {
        g->amateur = infer_new(g->amateur_w, g->kernels, g->pool, c->precision, c->kv,
                               g->max_seq_len, g->max_rows, g->max_logits);
        infer_share_blocks(g->amateur, block_bytes);
        block_bytes += infer_block_bytes(g->amateur);
    }
    int n_block = (g->max_seq_len + KV_BLOCK - 1) / KV_BLOCK;
    g->kv = c->kv;
    g->cache = kvcache_new(block_bytes, (g->n_slots + 1) * n_block + SPARE_BLOCKS);
    g->active = xcalloc((size_t)g->n_slots, sizeof *g->active);
    g->row = NEW_ARRAY(struct infer_row, (size_t)g->max_rows);
    g->sampling = xcalloc((size_t)g->max_rows, sizeof *g->sampling);
    g->scratch = NEW_ARRAY(struct sample_scratch, (size_t)pool_size(g->pool));
}

enum st gen_open(struct gen **out, const char *path, const struct gen_conf *conf, struct err *err)
{
    struct gen *g = NEW(struct gen);
    *out = NULL;
    char *place = weights_place(path);
    enum st st = weights_open(&g->w, place, err);
    if (st == ST_OK)
        st = open_tok(g, place, err);
    if (st == ST_OK)
        st = decode_kernels(&g->kernels, err);
    if (st == ST_OK && conf->amateur)
        st = gen_open_amateur(g, conf->amateur, err);
    free(place);
    if (st < 0) {
        gen_close(g);
        return st;
    }
    make_room(g, conf);
    *out = g;
    return ST_OK;
}

static void list_free(struct job_list *l)
{
    for (struct job *j; (j = list_take(l));)
        job_free(j);
}

void gen_close(struct gen *g)
{
    if (!g)
        return;
    for (int i = 0; i < g->n_active; i++) {
        kv_seq_close(g->cache, &g->active[i]->seq);
        job_free(g->active[i]);
    }
    list_free(&g->queue);
    list_free(&g->done);
    job_free(g->returned);
    for (int t = 0; g->scratch && t < pool_size(g->pool); t++)
        sample_scratch_release(&g->scratch[t]);
    free(g->scratch);
    free(g->active);
    free(g->row);
    free(g->sampling);
    kvcache_free(g->cache);
    infer_free(g->infer);
    infer_free(g->amateur);
    pool_free(g->pool);
    chat_release(&g->chat);
    tok_free(g->tok);
    weights_close(g->w);
    weights_close(g->amateur_w);
    free(g);
}

/* ---- Requests. ---- */

static void raw_tokens(struct gen *g, struct job *j, const struct gen_request *r)
{
    char *s = xasprintf("%s%s", r->raw, r->prefill ? r->prefill : "");
    size_t n = strlen(s);
    j->tok = NEW_ARRAY(uint32_t, tok_room(g->tok, n) + 1);
    j->n_prompt = (int)(r->raw_is_plain ? tok_encode(g->tok, s, n, j->tok)
                                        : tok_encode_special(g->tok, s, n, j->tok));
    if (j->n_prompt == 0) /* something has to be there for the first token to follow */
        j->tok[j->n_prompt++] = g->n_stop_id ? g->stop_id[0] : 0;
    free(s);
}

uint64_t gen_submit(struct gen *g, const struct gen_request *r)
{
    struct job *j = NEW(struct job);
    struct err err = { "" };
    assert(!(r->edit_above > 0));
    j->tag = r->tag;
    j->sampling = r->sampling;
    j->stop = xcalloc((size_t)r->sampling.n_stop, sizeof *j->stop);
    for (int i = 0; i < r->sampling.n_stop; i++) {
        size_t n = strlen(r->sampling.stop[i]);
        j->stop[i] = xstrdup(r->sampling.stop[i]);
        j->max_stop = n > j->max_stop ? n : j->max_stop;
    }
    j->sampling.stop = NULL;
    if (r->raw)
        raw_tokens(g, j, r);
    else
        j->st = chat_tokens(&g->chat, g->tok, r->system, r->user, r->prefill, &j->tok, &j->n_prompt,
                            &err);
    if (j->st < 0)
        j->problem = xstrdup(err.msg);
    if (r->prefill)
        str_adds(&j->text, r->prefill);
    j->n_prefill = j->text.n;
    rng_init(&j->rng, r->sampling.seed, "sample", 0);
    list_add(&g->queue, j);
    return r->tag;
}

static void finish(struct gen *g, struct job *j, enum gen_finish how)
{
    j->finish = how;
    j->wall_s = clock_s() - j->start_s;
    kv_seq_close(g->cache, &j->seq);
    list_add(&g->done, j);
}

/* Moves requests from the queue into free slots. */
static void admit(struct gen *g)
{
    while (g->n_active < g->n_slots && g->queue.first) {
        struct job *j = g->queue.first;
        int n_new = j->sampling.max_tok > 0 ? j->sampling.max_tok : 0;
        bool fits = j->n_prompt < g->max_seq_len;
        j->start_s = clock_s();
        if (j->st < 0 || !fits || n_new == 0) {
            list_take(&g->queue);
            finish(g, j, fits ? GEN_LENGTH : GEN_TOO_LONG);
            if (!fits)
                str_clear(&j->text);
            continue;
        }
        j->n_max = n_new < g->max_seq_len - j->n_prompt ? j->n_prompt + n_new : g->max_seq_len;
        if (!kv_seq_open(g->cache, &j->seq, j->tok, j->n_prompt, j->n_max, &j->n_done))
            return; /* a later step has room */
        list_take(&g->queue);
        j->n_tok = j->n_prompt;
        j->tok = xrealloc(j->tok, (size_t)j->n_max, sizeof *j->tok);
        g->active[g->n_active++] = j;
    }
}

static void add_rows(struct gen *g, struct job *j, int room, int *n_row, int *n_sampling)
{
    for (; room > 0 && j->n_done < j->n_tok; room--, j->n_done++) {
        bool last = j->n_done + 1 == j->n_tok;
        kv_seq_fill(&j->seq, j->n_done);
        g->row[(*n_row)++] = (struct infer_row){ j->tok[j->n_done], j->n_done, j->seq.data, last };
        if (last)
            g->sampling[(*n_sampling)++] = j;
    }
}

static int plan_step(struct gen *g, int *n_sampling)
{
    int n_row = 0, n_writing = 0;
    for (int i = 0; i < g->n_active; i++)
        n_writing += g->active[i]->n_tok > g->active[i]->n_prompt;
    int room = g->max_rows - n_writing; /* every request that is writing has its row */
    for (int i = 0; i < g->n_active; i++) {
        struct job *j = g->active[i];
        int before = n_row;
        if (j->n_tok > j->n_prompt)
            add_rows(g, j, 1, &n_row, n_sampling);
        else if (kv_seq_ready(&j->seq, j->n_done)) {
            add_rows(g, j, room, &n_row, n_sampling);
            room -= n_row - before;
        }
    }
    return n_row;
}

static void sample_item(void *job, size_t item, int thread)
{
    struct gen *g = job;
    struct job *j = g->sampling[item];
    float *logits = g->logits + item * (size_t)g->w->conf.vocab_size;
    const float *amateur =
        g->amateur ? g->amateur_logits + item * (size_t)g->amateur_w->conf.vocab_size : NULL;
    j->tok[j->n_tok] =
        sample_token(g->kernels, &g->scratch[thread], &j->sampling, &j->rng, logits, amateur,
                     g->n_vocab, j->tok + j->n_prompt, j->n_tok - j->n_prompt);
}

/* Looks for stop texts that end in the newest bytes; cuts the text there. */
static bool meets_stop_text(struct job *j, size_t n_before)
{
    size_t from = n_before > j->max_stop ? n_before - j->max_stop : 0;
    from = from > j->n_prefill ? from : j->n_prefill;
    char *first = NULL;
    for (int i = 0; i < j->sampling.n_stop; i++) {
        size_t n = strlen(j->stop[i]);
        for (size_t at = from; n > 0 && at + n <= j->text.n; at++)
            if (memcmp(j->text.s + at, j->stop[i], n) == 0) {
                if (!first || j->text.s + at < first)
                    first = j->text.s + at;
                break;
            }
    }
    if (!first)
        return false;
    j->text.n = (size_t)(first - j->text.s);
    *first = '\0';
    return true;
}

/* Takes the sampled token in; true when the request is finished. */
static bool take_token(struct gen *g, struct job *j)
{
    uint32_t id = j->tok[j->n_tok++];
    for (int i = 0; i < g->n_stop_id; i++)
        if (g->stop_id[i] == id) {
            finish(g, j, GEN_STOP);
            return true;
        }
    size_t n_before = j->text.n;
    tok_decode(g->tok, &id, 1, &j->text);
    bool stop = meets_stop_text(j, n_before);
    if (!stop && j->n_tok < j->n_max)
        return false;
    finish(g, j, stop ? GEN_STOP : GEN_LENGTH);
    return true;
}

static void step(struct gen *g)
{
    int n_sampling = 0, n_row = plan_step(g, &n_sampling), n_left = 0;
    if (n_row == 0)
        return;
    g->logits = infer_forward(g->infer, g->row, n_row);
    if (g->amateur)
        g->amateur_logits = infer_forward(g->amateur, g->row, n_row);
    pool_run(g->pool, (size_t)n_sampling, sample_item, g);
    for (int i = 0, s = 0; i < g->n_active; i++) {
        struct job *j = g->active[i];
        bool sampled = s < n_sampling && g->sampling[s] == j;
        s += sampled;
        if (!sampled || !take_token(g, j))
            g->active[n_left++] = j;
    }
    g->n_active = n_left;
}

enum st gen_next(struct gen *g, struct gen_result *r, struct err *err)
{
    job_free(g->returned);
    g->returned = NULL;
    for (;;) {
        admit(g);
        if (g->done.first)
            break;
        if (g->n_active == 0)
            return ST_END;
        if (stop_asked())
            return err_set(err, ST_INTERRUPTED, "generation stopped with %zu requests open",
                           gen_n_waiting(g));
        step(g);
    }
    struct job *j = g->returned = list_take(&g->done);
    if (j->st < 0)
        return err_set(err, j->st, "%s", j->problem);
    *r = (struct gen_result){ .tag = j->tag,
                              .text = j->text.s ? j->text.s : "",
                              .n_bytes = j->text.n,
                              .finish = j->finish,
                              .n_tok_prompt = j->n_prompt,
                              .n_tok = j->n_tok > j->n_prompt ? j->n_tok - j->n_prompt : 0,
                              .wall_s = j->wall_s };
    return ST_OK;
}

size_t gen_n_waiting(const struct gen *g)
{
    return g->queue.n + g->done.n + (size_t)g->n_active;
}

struct digest gen_digest(const struct gen *g)
{
    return g->w->digest;
}

bool gen_has_amateur(const struct gen *g)
{
    return g->amateur_w != NULL;
}

struct digest gen_amateur_digest(const struct gen *g)
{
    return g->amateur_w ? g->amateur_w->digest : (struct digest){ 0, 0 };
}

const struct tok *gen_tok(const struct gen *g)
{
    return g->tok;
}

const char *gen_kernels(const struct gen *g)
{
    return g->kernels->name;
}

const char *gen_precision(const struct gen *g)
{
    int bits = infer_row_bits(g->infer);
    return bits == 0 ? "fp32" : bits == 8 ? "int8" : "int16";
}

const char *gen_kv(const struct gen *g)
{
    return kv_name[g->kv];
}

size_t gen_kv_bytes(const struct gen *g)
{
    return kvcache_bytes(g->cache);
}

int gen_vocab_size(const struct gen *g)
{
    return g->w->conf.vocab_size;
}
