/*
 * data/slots.c - see slots.h.
 *
 * A point below t is counted by floors: [x mod M < t] = floor(x / M) - floor((x - t) / M), and sums
 * of floors of a line are computed as Euclid computes a greatest common divisor, in some 20 steps.
 * Sums wrap at 2^64; only their difference is used, and that is below 2^33.
 */
#include "data/slots.h"

/* Sum over i < n of floor((a i + b) / m), modulo 2^64. n, m <= 2^32; a, b < 2^32 + m. */
static uint64_t floor_sum(uint64_t n, uint64_t m, uint64_t a, uint64_t b)
{
    uint64_t sum = 0;
    while (n > 0) {
        uint64_t pairs = n % 2 ? (n - 1) / 2 * n : n / 2 * (n - 1); /* n (n - 1) / 2 */
        sum += pairs * (a / m) + n * (b / m);
        a %= m;
        b %= m;
        uint64_t top = a * n + b; /* below 2^64: a < 2^32, n <= 2^32, b < 2^32 */
        n = top / m;
        b = top % m;
        uint64_t swap = m;
        m = a;
        a = swap;
    }
    return sum;
}

/* Slots 0..n-1 with a point below t. */
static uint64_t count_below(uint32_t offset, uint64_t n, uint64_t t)
{
    const uint64_t a = 2654435769u;
    if (t == 0)
        return 0;
    if (t == SLOT_RANGE)
        return n;
    uint64_t whole = n / SLOT_RANGE * t; /* G is odd: a full period visits every point once */
    n %= SLOT_RANGE;
    uint64_t all = floor_sum(n, SLOT_RANGE, a, offset);
    uint64_t above = floor_sum(n, SLOT_RANGE, a, offset + SLOT_RANGE - t) - n;
    return whole + all - above;
}

uint64_t slots_count(uint32_t offset, uint64_t n, uint64_t lo, uint64_t hi)
{
    return count_below(offset, n, hi) - count_below(offset, n, lo);
}

uint64_t slots_find(uint32_t offset, uint64_t n, uint64_t lo, uint64_t hi, uint64_t k)
{
    uint64_t left = 0, right = n - 1; /* the answer is within */
    while (left < right) {
        uint64_t mid = left + (right - left) / 2;
        if (slots_count(offset, mid + 1, lo, hi) > k)
            right = mid;
        else
            left = mid + 1;
    }
    return left;
}
