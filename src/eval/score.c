/* eval/score.c - see score.h. */
#include "eval/score.h"

#include <math.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/mem.h"

/* Windows scored in one call: a number of tokens that keeps the buffers small at any seq_len. */
enum { BATCH_TOKENS = 4096 };

enum st eval_score_domain(struct model *m, const struct eval_domain *d, struct bpb *out,
                          struct err *err)
{
    size_t len = (size_t)d->seq_len, batch = BATCH_TOKENS / len ? BATCH_TOKENS / len : 1;
    float *losses = NEW_ARRAY(float, batch *len);
    struct bpb sum = { 0 };
    enum st st = ST_OK;
    for (size_t w = 0; w < d->n_window && st == ST_OK; w += batch) {
        size_t n = d->n_window - w < batch ? d->n_window - w : batch;
        if (stop_asked())
            st = err_set(err, ST_INTERRUPTED, "interrupted while scoring '%s'", d->name);
        else
            st = model_losses(m, d->tok + w * (len + 1), (int)n, d->seq_len, losses, err);
        for (size_t i = 0; i < n * len && st == ST_OK; i++)
            if (d->n_bytes[w * len + i] > 0)
                bpb_add(&sum, losses[i], d->n_bytes[w * len + i]);
    }
    free(losses);
    if (st == ST_OK)
        *out = sum;
    return err_in(err, st, "scoring domain '%s'", d->name);
}

/* Where scoring of a window begins and ends, as tokens of the window; false: nothing to score. */
static bool scored_part(const struct eval_domain *d, size_t w, int *from, int *end)
{
    const uint16_t *n_bytes = d->n_bytes + w * (size_t)d->seq_len;
    *from = *end = 0;
    for (int i = 0; i < d->seq_len; i++)
        if (n_bytes[i] > 0) {
            *end = i + 2;
            *from = *from ? *from : i + 1;
        }
    return *from > 0;
}

enum st eval_score_domain_gen(struct gen *g, const struct eval_domain *d, struct bpb *out,
                              struct err *err)
{
    size_t len = (size_t)d->seq_len;
    float *logp = NEW_ARRAY(float, d->n_window *len);
    struct gen_text *text = NEW_ARRAY(struct gen_text, d->n_window);
    struct bpb sum = { 0 };
    size_t n = 0;
    int from, end;
    for (size_t w = 0; w < d->n_window; w++)
        if (scored_part(d, w, &from, &end))
            text[n++] = (struct gen_text){ .tok = d->tok + w * (len + 1),
                                           .n_tok = end,
                                           .from = from,
                                           .logp = logp + w * len + (size_t)from - 1 };
    enum st st = gen_logprobs(g, text, n, err);
    for (size_t i = 0; i < d->n_window * len && st == ST_OK; i++)
        if (d->n_bytes[i] > 0)
            bpb_add(&sum, -(double)logp[i], d->n_bytes[i]);
    free(logp);
    free(text);
    if (st == ST_OK)
        *out = sum;
    return err_in(err, st, "scoring domain '%s'", d->name);
}

enum st eval_score(struct model *m, const struct eval_domain *d, size_t n, struct bpb *out,
                   struct err *err)
{
    enum st st = ST_OK;
    for (size_t i = 0; i < n && st == ST_OK; i++)
        st = eval_score_domain(m, &d[i], &out[i], err);
    return st;
}

struct eval_mean eval_mean(const struct bpb *score, size_t n)
{
    struct eval_mean mean = { .loss = n ? 0 : NAN, .bpb = n ? 0 : NAN };
    for (size_t i = 0; i < n; i++) {
        mean.loss += bpb_loss(&score[i]) / (double)n;
        mean.bpb += bpb_value(&score[i]) / (double)n;
        mean.n_tok += score[i].n_tok;
        mean.n_bytes += score[i].n_bytes;
    }
    return mean;
}
