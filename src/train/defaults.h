/*
 * train/defaults.h - learning rate, batch, window and warm-up for those who do not choose them.
 *
 * Step Law, fitted on models from 60M parameters up (N without embeddings, D tokens):
 *     lr = exp(.578) N^-.712 D^.307         batch = exp(-.556) D^.571 tokens
 * Below its range it names a batch that leaves too few steps and, at small batches, a rate about
 * five times too high. Measured at N .4M, D .25M-1M (natural text, context 256):
 *
 *     batch   8,192  2,048  512 tokens
 *     best lr 8e-3   2e-3   2e-3            loss 6.54  6.08  5.88
 *
 * that is, of Step Law's rate (.0103 at D .5M), .8, .2-.4 and .2: about the square root of the
 * batch. Below that it falls faster: at 256 tokens a step, N .1M and D .44M (four seeds, WSD),
 * 8e-4, 1.5e-3 and 2.9e-3 give 5.88, 5.84 and 5.91; at N .2M, 1e-3 and 1.7e-3 give 5.81 and 5.86.
 * So: batch = the smaller of Step Law's and D/1000 (a thousand steps), whole windows;
 *     lr    = Step Law's * min(1, .2 sqrt(batch / 512) r), r = 1 from 512 tokens on, batch / 512
 * down to 256, and 1/2 below, where nothing was measured.
 * From about 13k tokens a batch on this is Step Law itself. A study corrects it (study/sweep.h).
 * Source: Li et al. 2025, Step Law (arXiv:2503.04715).
 */
#ifndef MIXLAW_TRAIN_DEFAULTS_H
#define MIXLAW_TRAIN_DEFAULTS_H

#include <stdint.h>

double default_lr(uint64_t n_param_nonemb, uint64_t n_tok, uint64_t batch_tokens);
uint64_t default_batch_tokens(uint64_t n_tok, uint64_t seq_len); /* a multiple of seq_len */
uint64_t default_seq_len(uint64_t n_param_nonemb);
uint64_t default_warmup(uint64_t n_step); /* 5 % up to a hundred steps, at least 1 % */

enum { STEPS_SUFFICIENT = 500 }; /* a model trained for fewer counts as insufficient */

#endif
