/*
 * data/slots.h - which source a slot of the stream belongs to: a low-discrepancy sequence.
 *
 * Slot i has the point u_i = (offset + i * G) mod 2^32, G = 2654435769 (2^32 over the golden ratio,
 * odd). A source owns an interval of points as wide as its share, so any n slots in a row hold its
 * share of n to within a few. Intervals are whole numbers: nothing depends on rounding.
 */
#ifndef MIXLAW_DATA_SLOTS_H
#define MIXLAW_DATA_SLOTS_H

#include <stdint.h>

#define SLOT_RANGE ((uint64_t)1 << 32)

static inline uint32_t slot_point(uint32_t offset, uint64_t slot)
{
    return offset + (uint32_t)slot * 2654435769u;
}

/* How many of slots 0..n-1 have a point in [lo, hi); 0 <= lo <= hi <= SLOT_RANGE. */
uint64_t slots_count(uint32_t offset, uint64_t n, uint64_t lo, uint64_t hi);

/* The k-th slot (from 0) with a point in [lo, hi), which must exist below n. */
uint64_t slots_find(uint32_t offset, uint64_t n, uint64_t lo, uint64_t hi, uint64_t k);

#endif
