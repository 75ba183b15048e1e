/* base/rng.c - see rng.h. */
#include "base/rng.h"

#include <math.h>
#include <string.h>

#include "base/attr.h"
#include "base/hash.h"

static uint64_t splitmix(uint64_t *x)
{
    uint64_t z = *x += 0x9E3779B97F4A7C15ULL;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL;
    return z ^ (z >> 31);
}

void rng_init(struct rng *r, uint64_t seed, const char *purpose, uint64_t index)
{
    uint64_t x = hash64(purpose, strlen(purpose), seed);
    x = splitmix(&x) ^ index;
    for (int i = 0; i < 4; i++)
        r->s[i] = splitmix(&x);
}

static uint64_t rotl(uint64_t x, int k)
{
    return x << k | x >> (64 - k);
}

uint64_t rng_u64(struct rng *r)
{
    uint64_t *s = r->s, out = rotl(s[0] + s[3], 23) + s[0], t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotl(s[3], 45);
    return out;
}

uint64_t rng_below(struct rng *r, uint64_t n)
{
    uint64_t v, limit = UINT64_MAX - UINT64_MAX % n;
    do
        v = rng_u64(r);
    while (v >= limit);
    return v % n;
}

double rng_uniform(struct rng *r)
{
    return (double)(rng_u64(r) >> 11) * 0x1p-53;
}

#define TAU 6.283185307179586

static double normal(double u, double v) /* Box and Muller 1958; one of the pair is enough */
{
    return sqrt(-2.0 * log(u)) * cos(TAU * v);
}

double rng_normal(struct rng *r)
{
    double u = 1.0 - rng_uniform(r), v = rng_uniform(r);
    return normal(u, v);
}

/* The logarithm of u in 2^-53..1: u = m 2^e with m in .707..1.415, and log m = 2 artanh((m - 1) /
 * (m + 1)), a series of odd powers. Here and below no branch and no call, so that compilers use
 * vectors. */
static inline double fast_log(double u)
{
    static const uint64_t least = 0x3fe6a09e667f3bcd; /* the bits of m's lower end, .707 */
    uint64_t bits, exponent, mantissa;
    double e, m, sum = 0;
    memcpy(&bits, &u, sizeof bits);
    bits += 0x3ff0000000000000 - least;         /* e counts from m's lower end on */
    exponent = bits >> 52 | 0x4330000000000000; /* as a double: 2^52 + it */
    mantissa = (bits & 0x000fffffffffffff) + least;
    memcpy(&e, &exponent, sizeof e);
    memcpy(&m, &mantissa, sizeof m);
    double s = (m - 1) / (m + 1), z = s * s;
    UNROLLED
    for (int k = 6; k > 0; k--)
        sum = z * (1. / (2 * k + 1) + sum);
    return (e - (0x1p52 + 1023)) * 0.6931471805599453 + 2 * s * (1 + sum);
}

/* The cosine of x in 0..2 pi: x = n pi/2 + r with |r| <= pi/4, then the series of cosine or sine of
 * r. */
static inline double fast_cos(double x)
{
    static const double whole = 0x1.8p52; /* added and taken away: leaves a whole number */
    static const double half_pi = 0x1.921fb544p+0, rest = 0x1.0b4611a626331p-34;
    double n = x * 0.6366197723675814 + whole - whole;
    double r = x - n * half_pi - n * rest, z = r * r, c = 1, s = 1;
    UNROLLED
    for (int k = 6; k > 0; k--) {
        c = 1 - z * (1. / (2 * k * (2 * k - 1))) * c;
        s = 1 - z * (1. / (2 * k * (2 * k + 1))) * s;
    }
    double side = fabs(n - 2); /* cos x is c, -s, -c, s, c for n from 0 on */
    return (side - 1) * c + (n - 2) * (2 - side) * r * s;
}

/*
 * Every value must be the float that rng_normal gives, on any processor and with any compiler. So
 * the fast value is taken only where nothing within a bound of its error, far above what the
 * functions above have, rounds to another float; the few others (one in a thousand) are computed as
 * rng_normal does.
 */
WIDE_TOO void rng_normals(struct rng *r, double std, float *out, size_t n)
{
    enum { BLOCK = 64 };
    static const double bound = 1e-11;
    double u[BLOCK], v[BLOCK], low[BLOCK], high[BLOCK];
    for (size_t at = 0; at < n; at += BLOCK) {
        size_t m = n - at < BLOCK ? n - at : BLOCK;
        for (size_t i = 0; i < BLOCK; i++)
            u[i] = 1, v[i] = 0;
        for (size_t i = 0; i < m; i++) {
            u[i] = 1.0 - rng_uniform(r);
            v[i] = rng_uniform(r);
        }
        for (size_t i = 0; i < BLOCK; i++) {
            double size = std * sqrt(-2.0 * fast_log(u[i])), x = fast_cos(TAU * v[i]);
            low[i] = size * (x - bound);
            high[i] = size * (x + bound);
        }
        for (size_t i = 0; i < m; i++)
            out[at + i] =
                (float)low[i] == (float)high[i] ? (float)low[i] : (float)(std * normal(u[i], v[i]));
    }
}

void rng_shuffle(struct rng *r, uint32_t *item, size_t n)
{
    for (size_t i = n; i > 1; i--) {
        size_t j = (size_t)rng_below(r, i);
        uint32_t t = item[i - 1];
        item[i - 1] = item[j];
        item[j] = t;
    }
}
