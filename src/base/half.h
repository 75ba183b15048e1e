/*
 * base/half.h - 16-bit floats in files: IEEE half precision (F16) and bfloat16, to float and back.
 *
 * Going down rounds to the nearest, ties to even, as NumPy and PyTorch do. F16 ends at 65504: what
 * is larger becomes infinite, which whoever writes weights has to refuse by name.
 */
#ifndef MIXLAW_BASE_HALF_H
#define MIXLAW_BASE_HALF_H

#include <stdint.h>
#include <string.h>

static inline float float_from_bits(uint32_t u)
{
    float f;
    memcpy(&f, &u, sizeof f);
    return f;
}

static inline uint32_t float_bits(float f)
{
    uint32_t u;
    memcpy(&u, &f, sizeof u);
    return u;
}

static inline float float_from_f16(uint16_t h)
{
    uint32_t sign = (uint32_t)(h & 0x8000) << 16, e = h >> 10 & 31, m = h & 0x3ff;
    if (e == 0) /* zero and subnormals: m * 2^-24 */
        return sign ? -(float)m * 0x1p-24f : (float)m * 0x1p-24f;
    return float_from_bits(sign | (e == 31 ? 0x7f800000u : (e + 112) << 23) | m << 13);
}

static inline float float_from_bf16(uint16_t h)
{
    return float_from_bits((uint32_t)h << 16);
}

/* Two bytes as files hold them: the low one first. */
static inline float f16_at(const uint8_t *p)
{
    return float_from_f16((uint16_t)(p[0] | p[1] << 8));
}

static inline uint16_t float_to_bf16(float f)
{
    uint32_t u = float_bits(f);
    if ((u & 0x7fffffff) > 0x7f800000) /* NaN: stays one when the low bits go */
        return (uint16_t)(u >> 16 | 0x40);
    return (uint16_t)((u + 0x7fff + (u >> 16 & 1)) >> 16);
}

static inline uint16_t float_to_f16(float f)
{
    uint32_t u = float_bits(f), sign = u >> 16 & 0x8000;
    u &= 0x7fffffff;
    if (u > 0x7f800000)
        return (uint16_t)(sign | 0x7e00);
    if (u >= 0x47800000) /* from 65536 on */
        return (uint16_t)(sign | 0x7c00);
    if (u <
        0x38800000) { /* below 2^-14: adding 0.5 leaves m * 2^-24, rounded, in the lowest bits */
        uint32_t m = float_bits(float_from_bits(u) + 0.5f) - 0x3f000000;
        return (uint16_t)(sign | m);
    }
    u += 0xfff + (u >> 13 & 1); /* may carry into the exponent, and into infinity */
    return (uint16_t)(sign | (u - 0x38000000) >> 13);
}

#endif
