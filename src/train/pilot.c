/* train/pilot.c - the speed of training steps, measured on random tokens; see train.h. */
#include "train/train.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/rng.h"
#include "train/defaults.h"

enum { MAX_STEPS = 1000, MIN_STEPS = 3 };
static const double enough_s = 2;

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* One whole step on new random tokens, and its time. */
static enum st timed_step(struct model *m, const struct adamw_conf *adamw, uint32_t *tok, int pass,
                          int n_window, int seq_len, uint64_t step, struct rng *rng, double *step_s,
                          struct err *err)
{
    uint64_t vocab = (uint64_t)model_config(m)->vocab_size;
    double start = clock_s(), loss = 0, grad_norm = 0;
    enum st st = ST_OK;
    for (int done = 0; done < n_window && st == ST_OK; done += pass) {
        int n = n_window - done < pass ? n_window - done : pass;
        for (size_t i = 0; i < (size_t)n * ((size_t)seq_len + 1); i++)
            tok[i] = (uint32_t)rng_below(rng, vocab);
        st = model_forward_backward(m, tok, n, seq_len, (double)n / n_window, &loss, err);
    }
    if (st == ST_OK)
        st = model_adamw_step(m, adamw, step, &grad_norm, err);
    *step_s = clock_s() - start;
    return st;
}

/* The better of what was measured before and now: a disturbance can only make it less. */
static void look_at_peak(struct pilot *p, struct backend *b)
{
    struct backend_peak now;
    b->ops->peak(b, &now);
    p->peak = now.used > p->peak ? now.used : p->peak;
}

static enum st measure(struct pilot *out, struct model *m, struct backend *profiled,
                       const struct adamw_conf *adamw, uint64_t batch_tokens, uint64_t seq_len,
                       uint64_t seed, struct err *err)
{
    uint64_t n_window = batch_tokens / seq_len;
    int pass = train_pass(n_window, seq_len);
    uint32_t *tok = NEW_ARRAY(uint32_t, (size_t)pass * (seq_len + 1));
    double *took = NEW_ARRAY(double, MAX_STEPS), warm_s, sum = 0;
    struct rng rng;
    rng_init(&rng, seed, "train/pilot", 0);
    /* The first step allocates and touches its memory: not timed. */
    enum st st =
        timed_step(m, adamw, tok, pass, (int)n_window, (int)seq_len, 1, &rng, &warm_s, err);
    if (profiled) {
        look_at_peak(out, profiled);
        backend_profile_reset(profiled);
    }
    uint64_t n = 0;
    while (st == ST_OK && n < MAX_STEPS && (n < MIN_STEPS || sum + warm_s < enough_s) &&
           !stop_asked()) {
        st = timed_step(m, adamw, tok, pass, (int)n_window, (int)seq_len, n + 2, &rng, &took[n],
                        err);
        sum += took[n++];
    }
    if (st == ST_OK && n == 0)
        st = err_set(err, ST_INTERRUPTED, "interrupted");
    if (st == ST_OK && profiled) {
        backend_profile(profiled, &out->profile);
        look_at_peak(out, profiled);
    }
    if (st == ST_OK) {
        qsort(took, n, sizeof *took, by_value);
        out->n_step = n;
        out->step_s = took[n / 2];
        out->tok_per_s = (double)batch_tokens / took[n / 2];
    }
    free(took);
    free(tok);
    return st;
}

enum st train_pilot(struct pilot *out, const struct train_conf *conf, const struct train_env *env,
                    struct err *err)
{
    struct backend *b = NULL;
    struct model *m = NULL;
    struct model_conf shape;
    const struct adamw_conf adamw = { .lr = 1e-4,
                                      .beta1 = 0.9,
                                      .beta2 = 0.95,
                                      .eps = TRAIN_ADAM_EPS,
                                      .grad_clip = 1,
                                      .muon = train_muon(conf) };
    uint64_t seq_len = conf->seq_len ? conf->seq_len : default_seq_len(conf->params);
    uint64_t batch_tokens = conf->batch_tokens ? conf->batch_tokens : seq_len;
    *out = (struct pilot){ 0 };
    if (conf->vocab_size == 0)
        return err_set(err, ST_USAGE, "--pilot wants --vocab-size");
    if (batch_tokens % seq_len)
        return err_set(err, ST_USAGE, "--batch-tokens %llu is no multiple of --seq-len %llu",
                       (unsigned long long)batch_tokens, (unsigned long long)seq_len);
    enum st st = train_shape(&shape, conf, (int)conf->vocab_size, seq_len, err);
    if (st == ST_OK)
        st = backend_open(&b, env->backend, env->n_threads, train_precision(conf), err);
    if (st == ST_OK && conf->profile)
        b = backend_profiled(b);
    if (st == ST_OK) {
        out->n_param = model_n_param(&shape);
        out->n_param_nonemb = model_n_param_nonemb(&shape);
        out->flop_per_tok = model_flop_per_tok(&shape, (int)seq_len);
        snprintf(out->backend, sizeof out->backend, "%s", backend_name(b));
        model_memory(&shape, b, train_pass(batch_tokens / seq_len, seq_len), (int)seq_len,
                     conf->ema > 0, &out->memory);
    }
    if (st == ST_OK && !conf->dry_run)
        st = train_memory_check(&out->memory, mem_limit(), err);
    if (st == ST_OK && !conf->dry_run)
        st = model_new(&m, &shape, b, err);
    if (st == ST_OK && m) {
        model_init(m, env->seed);
        model_z_loss(m, conf->z_loss);
        model_ema(m, conf->ema);
        st = measure(out, m, conf->profile ? b : NULL, &adamw, batch_tokens, seq_len, env->seed,
                     err);
    }
    model_free(m);
    backend_close(b);
    return st;
}
