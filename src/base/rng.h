/*
 * base/rng.h - reproducible random numbers: xoshiro256++ streams, one per purpose.
 *
 * A stream is named by (seed, purpose, index): the same three give the same numbers on every
 * machine, and adding a stream never disturbs another. The state is four words that can be saved.
 * Source: Blackman and Vigna 2019 (arXiv:1805.01407), public-domain algorithm, written anew.
 */
#ifndef MIXLAW_BASE_RNG_H
#define MIXLAW_BASE_RNG_H

#include <stddef.h>
#include <stdint.h>

struct rng {
    uint64_t s[4];
};

void rng_init(struct rng *r, uint64_t seed, const char *purpose, uint64_t index);
uint64_t rng_u64(struct rng *r);
uint64_t rng_below(struct rng *r, uint64_t n); /* uniform in [0, n), n > 0, no modulo bias */
double rng_uniform(struct rng *r);             /* [0, 1) with 53 bits */
double rng_normal(struct rng *r);              /* mean 0, standard deviation 1 */
/* n values std * rng_normal, rounded to float: the same ones as by n calls, several times as fast.
 */
void rng_normals(struct rng *r, double std, float *out, size_t n);
void rng_shuffle(struct rng *r, uint32_t *item, size_t n);

#endif
