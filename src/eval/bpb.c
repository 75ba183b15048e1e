/* eval/bpb.c - see bpb.h. */
#include "eval/bpb.h"

#include <math.h>

static const double ln2 = 0.69314718055994530942;

void bpb_add(struct bpb *s, double nats, size_t n_bytes)
{
    s->nats += nats;
    s->n_tok++;
    s->n_bytes += n_bytes;
}

void bpb_merge(struct bpb *into, const struct bpb *s)
{
    into->nats += s->nats;
    into->n_tok += s->n_tok;
    into->n_bytes += s->n_bytes;
}

double bpb_loss(const struct bpb *s)
{
    return s->n_tok ? s->nats / (double)s->n_tok : NAN;
}

double bpb_value(const struct bpb *s)
{
    return s->n_bytes ? s->nats / (ln2 * (double)s->n_bytes) : NAN;
}
