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
