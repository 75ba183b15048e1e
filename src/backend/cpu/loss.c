/* backend/cpu/loss.c - see loss.h. */
#include "backend/cpu/loss.h"

#include <assert.h>
#include <math.h>

enum { ITEM_ROWS = 8 };

/* Rows whose logits exist at once: few, so that they stay in cache, but more for wider models,
 * whose weight gradient is read and written once a chunk. */
static int chunk_rows(int d)
{
    int rows = 96 * ((d + 127) / 128);
    return rows < 384 ? rows : 384;
}

struct loss_job {
    const struct kernels *k;
    float *losses, *logits;
    const uint32_t *target;
    int n, vocab;
    bool gradients;
    float scale, z_loss;
};

static void loss_item(void *arg, size_t item, int thread)
{
    const struct loss_job *j = arg;
    (void)thread;
    for (int r = (int)item * ITEM_ROWS; r < j->n && r < (int)(item + 1) * ITEM_ROWS; r++) {
        float *l = j->logits + (size_t)r * (size_t)j->vocab, max;
        uint32_t t = j->target[r];
        assert(t < (uint32_t)j->vocab);
        float right = l[t], sum = j->k->softmax_exp(l, j->vocab, &max);
        float lse = logf(sum) + max;
        j->losses[r] = lse - right;
        if (!j->gradients)
            continue;
        j->k->scale(l, j->scale / sum * (1 + 2 * j->z_loss * lse), j->vocab);
        l[t] -= j->scale;
    }
}

void head_loss(struct cpu *c, float *losses, float *dh, float *dw, const float *h, int n,
               const struct packed *head, const struct packed *head_t, const uint32_t *target,
               float scale, float z_loss)
{
    size_t d = (size_t)head->n_in, vocab = (size_t)head->n_out;
    int chunk = chunk_rows(head->n_in);
    float *logits = cpu_shared(c, SHARED_LAYER, (size_t)chunk * vocab);
    for (int r = 0; r < n; r += chunk) {
        int rows = n - r < chunk ? n - r : chunk;
        const float *x = h + (size_t)r * d;
        product(c, logits, vocab, x, d, rows, head, NULL, 0);
        struct loss_job j = { .k = c->k,
                              .losses = losses + r,
                              .logits = logits,
                              .target = target + r,
                              .n = rows,
                              .vocab = head->n_out,
                              .gradients = dh != NULL,
                              .scale = scale,
                              .z_loss = z_loss };
        pool_run(c->pool, (size_t)((rows + ITEM_ROWS - 1) / ITEM_ROWS), loss_item, &j);
        if (!dh)
            continue;
        product(c, dh + (size_t)r * d, d, logits, vocab, rows, head_t, NULL, 0);
        product_wgrad(c, dw, logits, vocab, x, d, rows, head->n_out, head->n_in);
    }
}
