/* train/train.c - see train.h. */
#include "train/train.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/file.h"
#include "base/hash.h"
#include "base/log.h"
#include "eval/score.h"
#include "run/folder.h"
#include "run/metrics.h"
#include "train/state.h"

struct trainer {
    struct train_plan *p;
    struct backend *backend;
    struct model *model;
    bool as_made;  /* the model is as fresh_model made it */
    uint32_t *tok; /* one pass: [pass, seq_len + 1] */
    struct progress progress;
    double peak; /* FLOP/s of the backend; 0: not measured yet */
    bool started, stepped;
    char note[64];
};

/* One stretch of steps in one folder: a whole run, the trunk up to a branch, or a branch. */
struct stretch {
    const char *dir; /* of its states and metrics */
    const char *key;
    uint64_t end;    /* last step */
    uint64_t n_step; /* of the schedule: a trunk's has no end */
    uint64_t tail;   /* losses count for loss_train after this step */
    uint64_t done;   /* progress: steps done before this stretch counts, see progress_of */
    struct train_state s;
    bool diverged;
};

static uint64_t no_end = UINT64_MAX / 4; /* of a trunk's schedule: it never cools down */

static double unix_time(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* A fresh model at step 0: new buffers, so that nothing of a failed load stays. */
static enum st fresh_model(struct trainer *t, struct err *err)
{
    const struct train_plan *p = t->p;
    model_free(t->model);
    t->model = NULL;
    enum st st = p->conf->init ? model_load(&t->model, p->conf->init, t->backend, err)
                               : model_new(&t->model, &p->model, t->backend, err);
    if (st < 0)
        return st;
    if (p->conf->mup)
        model_mup(t->model, (int)p->conf->mup);
    if (!p->conf->init)
        model_init(t->model, p->env.seed);
    if (p->conf->document_mask)
        model_mask_documents(t->model, (int)p->document_end);
    model_z_loss(t->model, p->conf->z_loss);
    model_ema(t->model, p->conf->ema);
    t->as_made = true;
    return ST_OK;
}

static enum st need_model(struct trainer *t, struct err *err)
{
    return t->model ? ST_OK : fresh_model(t, err);
}

/* What a start costs, for those who ask (bench/start.sh reads it). */
static void tell_start(const struct trainer *t, const char *what)
{
    if (!t->stepped)
        log_debug("the first step %s after %.4f s of processor time", what, clock_cpu_s());
}

/* One optimizer step; *loss is the batch's mean in nats per token. */
static enum st one_step(struct trainer *t, uint64_t step, double lr, double *loss,
                        double *grad_norm, struct err *err)
{
    const struct train_plan *p = t->p;
    const struct train_conf *c = p->conf;
    const struct adamw_conf adamw = { .lr = lr,
                                      .beta1 = c->beta1,
                                      .beta2 = c->beta2,
                                      .eps = TRAIN_ADAM_EPS,
                                      .weight_decay = c->weight_decay,
                                      .grad_clip = c->grad_clip,
                                      .muon = train_muon(c) };
    uint64_t slot = (step - 1) * p->n_window;
    enum st st = ST_OK;
    t->as_made = false;
    *loss = 0;
    tell_start(t, "begins");
    for (uint64_t done = 0; done < p->n_window && st == ST_OK;) {
        double one = 0;
        int n =
            (int)(p->n_window - done < (uint64_t)p->pass ? p->n_window - done : (uint64_t)p->pass);
        double share = (double)n / (double)p->n_window;
        for (int w = 0; w < n && st == ST_OK; w++)
            st = mixture_window(p->mixture, slot++, t->tok + (size_t)w * (p->seq_len + 1), err);
        if (st == ST_OK)
            st = model_forward_backward(t->model, t->tok, n, (int)p->seq_len, share, &one, err);
        *loss += one * share;
        done += (uint64_t)n;
    }
    if (st == ST_OK)
        st = model_adamw_step(t->model, &adamw, step, grad_norm, err);
    if (st == ST_OK)
        tell_start(t, "ended");
    t->stepped = true;
    return st;
}

static enum st log_line(struct run_log *log, struct stretch *x, const struct train_plan *p,
                        double lr, double grad_norm, double tok_per_s, struct err *err)
{
    struct run_metric m = { .step = x->s.step,
                            .n_tok = x->s.step * p->batch_tokens,
                            .loss = x->s.log_sum / (double)x->s.log_n,
                            .lr = lr,
                            .grad_norm = grad_norm,
                            .tok_per_s = tok_per_s,
                            .wall_s = x->s.train_s,
                            .time = unix_time() };
    x->s.log_sum = 0;
    x->s.log_n = 0;
    return run_log_add(log, &m, err);
}

static enum st save(struct trainer *t, const struct stretch *x, struct err *err)
{
    char *dir = path_join(x->dir, "state");
    enum st st = state_save(dir, x->key, &x->s, t->model, backend_name(t->backend), err);
    free(dir);
    return st;
}

/* Trains until x->end. On ST_OK x->s.step is x->end, or x->diverged is set. */
static enum st train_stretch(struct trainer *t, struct stretch *x, struct err *err)
{
    const struct train_plan *p = t->p;
    struct run_log *log;
    enum st st = run_log_open(&log, x->dir, x->s.step, err);
    if (st < 0)
        return st;
    double before = x->s.train_s, start = clock_s(), saved = start, line = start;
    uint64_t line_step = x->s.step;
    if (!t->started) /* what an earlier go did must not count in this one's rate */
        progress_resume(&t->progress, x->done + x->s.step * p->batch_tokens);
    t->started = true;
    while (x->s.step < x->end && st == ST_OK) {
        uint64_t step = x->s.step + 1;
        double loss = 0, grad_norm = 0, lr = schedule_lr(&p->schedule, step, x->n_step);
        st = one_step(t, step, lr, &loss, &grad_norm, err);
        if (st < 0)
            break;
        double now = clock_s();
        x->s.step = step;
        x->s.train_s = before + (now - start);
        x->s.log_sum += loss;
        x->s.log_n++;
        if (step > x->tail) {
            x->s.tail_sum += loss;
            x->s.tail_n++;
        }
        if (!isfinite(loss) || !isfinite(grad_norm)) {
            log_info("the loss is not finite at step %llu: recorded as diverged",
                     (unsigned long long)step);
            x->diverged = true;
        }
        if (step % p->log_every == 0 || step == x->end || x->diverged) {
            double rate = (double)((step - line_step) * p->batch_tokens) / (now - line);
            snprintf(t->note, sizeof t->note, "loss %.3f",
                     x->s.log_sum / (double)(x->s.log_n ? x->s.log_n : 1));
            /* A branch point is no line of its own: the trunk's lines must not depend on it. */
            if (step % p->log_every == 0 || step == x->n_step || x->diverged)
                st = log_line(log, x, p, lr, grad_norm, rate, err);
            line = now;
            line_step = step;
        }
        progress_at(&t->progress, x->done + step * p->batch_tokens);
        if (x->diverged)
            break;
        if (st == ST_OK && stop_asked()) {
            st = save(t, x, err);
            if (st == ST_OK)
                st = err_set(err, ST_INTERRUPTED,
                             "interrupted at step %llu; the same command goes on from there",
                             (unsigned long long)step);
        } else if (st == ST_OK && step < x->end && now - saved >= p->conf->checkpoint_every) {
            st = save(t, x, err);
            saved = clock_s();
        }
    }
    struct err late;
    enum st closed = run_log_close(log, &late);
    if (st == ST_OK && closed < 0) {
        *err = late;
        st = closed;
    }
    return st;
}

/* The newest saved state of the stretch, else step 0 with a fresh model. */
static enum st load_or_begin(struct trainer *t, struct stretch *x, struct err *err)
{
    char *dir = path_join(x->dir, "state");
    enum st st = need_model(t, err);
    if (st == ST_OK)
        st = state_load(dir, x->key, x->end, &x->s, t->model, &t->as_made, backend_name(t->backend),
                        err);
    free(dir);
    if (st != ST_END)
        return st;
    x->s = (struct train_state){ 0 };
    return t->as_made ? ST_OK : fresh_model(t, err);
}

static enum st save_checkpoint(struct trainer *t, const char *dir, struct err *err)
{
    char *final = path_join(dir, "checkpoint"), *part = path_join(dir, "checkpoint.tmp");
    char *tok = path_join(part, "tokenizer.json");
    enum st st = dir_remove(part, err);
    if (st == ST_OK)
        st = dir_make(part, err);
    if (st == ST_OK)
        st = model_save(t->model, part, err);
    if (st == ST_OK && t->p->conf->tokenizer) {
        struct strbuf text = { 0 };
        st = file_read(t->p->conf->tokenizer, (size_t)1 << 30, &text, err);
        if (st == ST_OK)
            st = file_write(tok, text.s, text.n, err);
        str_release(&text);
    }
    if (st == ST_OK)
        st = dir_remove(final, err);
    if (st == ST_OK)
        st = file_rename(part, final, err);
    free(final);
    free(part);
    free(tok);
    return err_in(err, st, "saving the checkpoint");
}

static struct js *sources_json(const struct train_plan *p, const struct mixture_use *use)
{
    struct js *list = js_array();
    for (size_t i = 0; i < p->n_source; i++) {
        struct js *v = js_object();
        js_put_text(v, "source", use[i].name);
        js_put_real(v, "share_asked", p->source[i].share);
        js_put_real(v, "share", use[i].share);
        js_put_whole(v, "n_tok", (int64_t)use[i].n_tok);
        js_put_whole(v, "n_tok_unique", (int64_t)use[i].n_tok_unique);
        js_put_real(v, "n_epoch", use[i].n_epoch);
        js_push(list, v);
    }
    return list;
}

/* What was drawn, natural and synthetic apart; epochs of several synthetic pools: drawn / pools. */
static void fill_use(struct run_record *r, const struct train_plan *p,
                     const struct mixture_use *use)
{
    double drawn = 0, pool = 0;
    for (size_t i = 0; i < p->n_source; i++) {
        if (i < p->n_natural) {
            r->n_tok_unique_natural = use[i].n_tok_unique;
            r->n_epoch_natural = use[i].n_epoch;
        } else {
            r->n_tok_unique_synth += use[i].n_tok_unique;
            drawn += (double)use[i].n_tok;
            pool += use[i].n_epoch > 0 ? (double)use[i].n_tok / use[i].n_epoch : 0;
        }
    }
    r->n_epoch_synth = pool > 0 ? drawn / pool : 0;
}

static struct run_record record_of(const struct trainer *t, const struct train_budget *b)
{
    const struct train_plan *p = t->p;
    uint64_t n_tok = b->n_step * p->batch_tokens;
    return (struct run_record){ .run_id = b->run_id,
                                .arm = p->arm,
                                .kind = p->kind,
                                .schedule = p->conf->schedule,
                                .backend = backend_name(t->backend),
                                .frac_synth = p->frac_synth,
                                .n_param = model_n_param(&p->model),
                                .n_param_nonemb = model_n_param_nonemb(&p->model),
                                .n_tok = n_tok,
                                .n_step = b->n_step,
                                .flop =
                                    model_flop_per_tok(&p->model, (int)p->seq_len) * (double)n_tok,
                                .lr = p->schedule.lr,
                                .seed = p->env.seed,
                                .batch_tokens = p->batch_tokens,
                                .seq_len = p->seq_len,
                                .vocab_size = (uint64_t)p->model.vocab_size,
                                .loss = NAN,
                                .bpb = NAN,
                                .loss_train = NAN,
                                .mfu = NAN };
}

static enum st score(struct trainer *t, struct run_record *r, struct err *err)
{
    struct train_plan *p = t->p;
    struct bpb *sum = NEW_ARRAY(struct bpb, p->n_domain);
    enum st st = r->diverged ? ST_OK : eval_score(t->model, p->domain, p->n_domain, sum, err);
    r->n_domain = p->n_domain;
    r->domain = NEW_ARRAY(struct run_domain, p->n_domain);
    for (size_t i = 0; i < p->n_domain && st == ST_OK; i++) {
        r->domain[i] = (struct run_domain){ .name = p->domain[i].name,
                                            .loss = bpb_loss(&sum[i]),
                                            .bpb = bpb_value(&sum[i]),
                                            .n_tok = p->domain[i].n_tok_scored,
                                            .n_bytes = p->domain[i].n_bytes_scored };
        if (!isfinite(r->domain[i].loss))
            r->diverged = true;
    }
    if (st == ST_OK && !r->diverged) {
        struct eval_mean mean = eval_mean(sum, p->n_domain);
        r->loss = mean.loss;
        r->bpb = mean.bpb;
    }
    if (r->diverged)
        r->loss_train = NAN;
    run_domains_sort(r->domain, r->n_domain);
    free(sum);
    return st;
}

static enum st log_score(const char *dir, const struct run_record *r, struct err *err)
{
    struct run_log *log;
    double now = unix_time();
    enum st st = run_log_open(&log, dir, UINT64_MAX, err);
    if (st < 0)
        return st;
    for (size_t i = 0; i < r->n_domain && st == ST_OK; i++) {
        char *loss = xasprintf("eval/loss/%s", r->domain[i].name);
        char *bpb = xasprintf("eval/bpb/%s", r->domain[i].name);
        st = run_log_scalar(log, loss, r->n_step, now, r->domain[i].loss, err);
        if (st == ST_OK)
            st = run_log_scalar(log, bpb, r->n_step, now, r->domain[i].bpb, err);
        free(loss);
        free(bpb);
    }
    if (st == ST_OK)
        st = run_log_scalar(log, "eval/loss", r->n_step, now, r->loss, err);
    struct err late;
    enum st closed = run_log_close(log, &late);
    if (st == ST_OK && closed < 0) {
        *err = late;
        st = closed;
    }
    return st;
}

/* Measured once a process, when the first result is due; NaN where the backend has none. */
static double peak_of(struct trainer *t)
{
    if (t->peak == 0) {
        struct backend_peak peak;
        t->backend->ops->peak(t->backend, &peak);
        t->peak = peak.used > 0 ? peak.used : NAN;
    }
    return t->peak;
}

/* Scores, saves and writes the result of a budget whose steps are done (or diverged). */
static enum st finish_budget(struct trainer *t, const struct train_budget *b,
                             const struct stretch *x, struct err *err)
{
    struct train_plan *p = t->p;
    struct run_record r = record_of(t, b);
    struct mixture_use *use = NEW_ARRAY(struct mixture_use, p->n_source);
    double start = clock_s();
    struct err late;
    r.diverged = x->diverged;
    r.loss_train = x->s.tail_n ? x->s.tail_sum / (double)x->s.tail_n : NAN;
    mixture_use(p->mixture, b->n_step * p->n_window, use);
    fill_use(&r, p, use);
    /* What is scored and saved is the average where one is kept; the state for going on is not. */
    bool averaged = p->conf->ema > 0 && !r.diverged;
    enum st st = averaged ? model_ema_swap(t->model, err) : ST_OK;
    if (st == ST_OK)
        st = score(t, &r, err);
    if (st == ST_OK)
        st = log_score(b->dir, &r, err);
    if (st == ST_OK && !r.diverged)
        st = save_checkpoint(t, b->dir, err);
    if (averaged && model_ema_swap(t->model, &late) < 0)
        log_warn("%s", late.msg);
    else if (st == ST_INTERRUPTED && save(t, x, &late) < 0)
        log_warn("%s", late.msg);
    if (st == ST_OK) {
        struct js *extra = js_object();
        r.wall_s = x->s.train_s + (clock_s() - start);
        r.tok_per_s = x->s.train_s > 0 ? (double)(x->s.step * p->batch_tokens) / x->s.train_s : 0;
        r.mfu = r.tok_per_s * model_flop_per_tok(&p->model, (int)p->seq_len) / peak_of(t);
        js_put(extra, "sources", sources_json(p, use));
        if (r.diverged)
            js_put_whole(extra, "diverged_step", (int64_t)x->s.step);
        st = run_finish(b->dir, &r, extra, err);
        js_free(extra);
    }
    if (st == ST_OK) {
        char *state = path_join(b->dir, "state");
        st = dir_remove(state, err);
        free(state);
    }
    free(r.domain);
    free(use);
    return st;
}

static struct js *machine_json(const struct trainer *t)
{
    struct js *v = js_object();
    js_put_text(v, "backend", backend_name(t->backend));
    js_put_whole(v, "threads", t->p->env.n_threads);
    js_put(v, "paths", train_plan_paths(t->p));
    return v;
}

/* Begins or recognises a budget's folder; its key goes to hex. ST_END: finished before. */
static enum st begin_budget(struct trainer *t, const struct train_budget *b, char hex[DIGEST_HEX],
                            struct err *err)
{
    struct js *asked = train_plan_asked(t->p, b), *settings = train_plan_settings(t->p, b),
              *machine = machine_json(t);
    const struct run_begun begun = { TRAIN_VERSION, asked, settings, machine };
    enum st st = run_begin(b->dir, b->run_id, &begun, hex, err);
    js_free(machine);
    js_free(settings);
    js_free(asked);
    return st;
}

/* The step after which losses count for loss_train: the last tenth, never before the branch point,
 * so that a branch and a run of its own say the same. */
static uint64_t tail_of(const struct train_plan *p, uint64_t n_step)
{
    uint64_t tail = n_step - (n_step + 9) / 10;
    uint64_t branch = p->schedule.kind == SCHEDULE_WSD ? schedule_branch(&p->schedule, n_step) : 0;
    return tail > branch ? tail : branch;
}

static enum st run_single(struct trainer *t, struct err *err)
{
    struct train_plan *p = t->p;
    const struct train_budget *b = &p->budget[0];
    char key[DIGEST_HEX];
    enum st st = begin_budget(t, b, key, err);
    if (st != ST_OK)
        return st == ST_END ? ST_OK : st;
    struct stretch x = { .dir = b->dir,
                         .key = key,
                         .end = b->n_step,
                         .n_step = b->n_step,
                         .tail = tail_of(p, b->n_step) };
    progress_start(&t->progress, b->run_id, b->n_step * p->batch_tokens, "tok");
    t->progress.note = t->note;
    st = load_or_begin(t, &x, err);
    if (st == ST_OK)
        st = train_stretch(t, &x, err);
    progress_end(&t->progress);
    return st == ST_OK ? finish_budget(t, b, &x, err) : st;
}

/* Trains the branch of one budget from the trunk's state, which stands in the model. */
static enum st run_branch(struct trainer *t, const struct train_budget *b, const char *key,
                          const char *trunk_dir, const struct stretch *trunk, bool begun,
                          struct stretch *x, struct err *err)
{
    enum st st = ST_OK;
    if (!begun) {
        x->s = trunk->s;
        st = run_metrics_copy(trunk_dir, b->dir, b->branch, err);
    }
    x->dir = b->dir;
    x->key = key;
    x->end = x->n_step = b->n_step;
    x->tail = tail_of(t->p, b->n_step);
    x->diverged = trunk->diverged;
    if (st == ST_OK && !x->diverged)
        st = train_stretch(t, x, err);
    return st == ST_OK ? finish_budget(t, b, x, err) : st;
}

/* Steps that a budget adds to what its trunk and the smaller ones' branches took. */
static uint64_t steps_before(const struct train_plan *p, size_t i)
{
    uint64_t n = 0;
    for (size_t k = 0; k < i; k++)
        n += p->budget[k].n_step - p->budget[k].branch;
    return n;
}

/* One budget of several: goes on in its branch, or brings the trunk to its branch point first.
 * dry: only begins its folder. */
static enum st run_budget(struct trainer *t, size_t i, struct stretch *trunk, bool dry,
                          struct err *err)
{
    struct train_plan *p = t->p;
    const struct train_budget *b = &p->budget[i];
    char key[DIGEST_HEX];
    struct stretch x = { .done = steps_before(p, i) * p->batch_tokens };
    bool begun = false;
    enum st st = begin_budget(t, b, key, err);
    if (st != ST_OK || dry)
        return st == ST_END ? ST_OK : st;
    if (!trunk->diverged) {
        char *states = path_join(b->dir, "state");
        st = need_model(t, err);
        if (st == ST_OK)
            st = state_load(states, key, b->n_step, &x.s, t->model, &t->as_made,
                            backend_name(t->backend), err);
        free(states);
        begun = st == ST_OK;
        if (st < 0)
            return st;
    }
    if (!begun && !trunk->diverged) {
        trunk->end = b->branch;
        trunk->done = x.done;
        st = load_or_begin(t, trunk, err);
        if (st == ST_OK && trunk->s.step < trunk->end) {
            st = train_stretch(t, trunk, err);
            /* The branch point itself is saved: the trunk goes on from it after the branch. */
            if (st == ST_OK && !trunk->diverged)
                st = save(t, trunk, err);
        }
    }
    return st == ST_OK ? run_branch(t, b, key, trunk->dir, trunk, begun, &x, err) : st;
}

static enum st run_trunk(struct trainer *t, struct err *err)
{
    struct train_plan *p = t->p;
    char key[DIGEST_HEX], *dir = path_join(p->conf->out, "trunk");
    struct js *asked = train_plan_asked(p, NULL);
    run_key(TRAIN_VERSION, asked, key);
    js_free(asked);
    struct stretch trunk = { .dir = dir, .key = key, .n_step = no_end, .tail = no_end };
    const struct train_budget *last = &p->budget[p->n_budget - 1];
    const char *name = p->conf->run_id ? p->conf->run_id : "train";
    progress_start(&t->progress, name,
                   (steps_before(p, p->n_budget - 1) + last->n_step) * p->batch_tokens, "tok");
    t->progress.note = t->note;
    enum st st = dir_make(dir, err);
    /* All folders first: one that belongs to another run is told before any work. */
    for (size_t i = 0; i < p->n_budget && st == ST_OK; i++)
        st = run_budget(t, i, &trunk, true, err);
    for (size_t i = 0; i < p->n_budget && st == ST_OK; i++)
        st = run_budget(t, i, &trunk, false, err);
    progress_end(&t->progress);
    if (st == ST_OK)
        st = dir_remove(dir, err); /* its metrics stand in every branch's */
    free(dir);
    return st;
}

/* RUN is the run of one budget and RUN/TOKENS the runs of several: never both in one folder. */
static enum st check_layout(const struct train_plan *p, struct err *err)
{
    const char *out = p->conf->out;
    char *own = path_join(out, "run.json");
    struct strlist names = { 0 };
    enum st st = ST_OK;
    if (p->n_budget > 1 && file_exists(own))
        st = err_set(
            err, ST_USAGE,
            "'%s' is the run of one budget; several go into RUN/TOKENS each: choose another "
            "--out",
            out);
    else if (p->n_budget == 1 && !file_exists(own) && file_is_dir(out))
        st = dir_list(out, &names, err);
    for (size_t i = 0; i < names.n && st == ST_OK; i++) {
        char *inner = xasprintf("%s/%s/run.json", out, names.s[i]);
        if (file_exists(inner))
            st = err_set(err, ST_USAGE, "'%s' holds runs of its own ('%s'): choose another --out",
                         out, names.s[i]);
        free(inner);
    }
    strlist_release(&names);
    free(own);
    return st;
}

enum st train_run(struct train_plan *p, struct err *err)
{
    struct trainer t = { .p = p };
    struct lock lock = { .fd = -1 };
    enum st st = check_layout(p, err);
    if (st == ST_OK)
        st = dir_make(p->conf->out, err);
    if (st < 0)
        return st;
    char *lock_path = path_join(p->conf->out, ".lock");
    st = lock_take(&lock, lock_path, err);
    if (st == ST_OK)
        st = backend_open(&t.backend, p->env.backend, p->env.n_threads, train_precision(p->conf),
                          err);
    if (st == ST_OK) {
        struct model_memory memory;
        train_memory(p, t.backend, &memory);
        st = train_memory_check(&memory, mem_limit(), err);
    }
    if (st == ST_OK) {
        t.tok = NEW_ARRAY(uint32_t, (size_t)p->pass * (p->seq_len + 1));
        st = p->n_budget > 1 ? run_trunk(&t, err) : run_single(&t, err);
    }
    free(t.tok);
    model_free(t.model);
    backend_close(t.backend);
    lock_drop(&lock);
    free(lock_path);
    return st;
}
