/*
 * eval/bpb.h - held-out loss in nats per token and in bits per byte.
 *
 * Bits per byte compares models whose tokenizers differ:
 *     bpb = sum of token losses in nats / (ln 2 * bytes of text scored)
 * Bytes are UTF-8 bytes before tokenization. A window's first token has no context, so neither its
 * loss nor its bytes count; end-of-document tokens stand for no text and are not scored either.
 *
 *     struct bpb s = { 0 };
 *     bpb_add(&s, loss, n_bytes);            one token
 *     printf("%.4f\n", bpb_value(&s));       NaN when nothing was scored
 *
 * Threads: no shared state; sum in each thread, then bpb_merge in a fixed order.
 * Source: Gao et al. 2020, The Pile (arXiv:2101.00027), section 3.1.
 */
#ifndef MIXLAW_EVAL_BPB_H
#define MIXLAW_EVAL_BPB_H

#include <stddef.h>
#include <stdint.h>

struct bpb {
    double nats;             /* summed loss */
    uint64_t n_tok, n_bytes; /* tokens and bytes scored */
};

void bpb_add(struct bpb *s, double nats, size_t n_bytes);
void bpb_merge(struct bpb *into, const struct bpb *s);
double bpb_loss(const struct bpb *s);  /* nats per token; NaN when nothing was scored */
double bpb_value(const struct bpb *s); /* bits per byte; NaN when nothing was scored */

#endif
