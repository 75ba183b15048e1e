/* train/defaults.c - see defaults.h. */
#include "train/defaults.h"

#include <math.h>

#include "base/units.h"

double default_lr(uint64_t n_param_nonemb, uint64_t n_tok, uint64_t batch_tokens)
{
    double step_law = exp(.578) * pow((double)n_param_nonemb, -.712) * pow((double)n_tok, .307);
    double ratio = (double)batch_tokens / 512;
    double steep = fmin(1, fmax(.5, ratio)); /* nothing was measured below 256 tokens */
    double small = .2 * sqrt(ratio) * steep;
    double lr = step_law * (small < 1 ? small : 1);
    return units_round(lr, 2); /* it is a rule of thumb, and people read and repeat it */
}

uint64_t default_batch_tokens(uint64_t n_tok, uint64_t seq_len)
{
    double step_law = exp(-.556) * pow((double)n_tok, .571), thousand = (double)n_tok / 1000;
    uint64_t n_window = (uint64_t)((step_law < thousand ? step_law : thousand) / (double)seq_len);
    return (n_window ? n_window : 1) * seq_len;
}

uint64_t default_seq_len(uint64_t n_param_nonemb)
{
    return n_param_nonemb < 5000000 ? 256 : n_param_nonemb < 50000000 ? 512 : 1024;
}

uint64_t default_warmup(uint64_t n_step)
{
    uint64_t some = n_step / 20 < 100 ? n_step / 20 : 100;
    uint64_t warmup = some > n_step / 100 ? some : n_step / 100;
    return warmup ? warmup : 1;
}
