/*
 * model/kquants.c - see kquants.h.
 *
 * A weight is d * scale * q - dmin * min: d and dmin are half floats of the whole block, scale and
 * min 4 or 6 bits wide, one for 16 or 32 weights, q 2 to 6 bits. Low and high bits of q lie in
 * planes: byte j of a plane holds bits of weights j, j + 32, ... (or + 64, ...).
 */
#include "model/kquants.h"

#include "base/half.h"

/* 16 scales and mins of 4 bits; 64 bytes of 2-bit weights; d, dmin. */
void kquant_q2(float *out, const uint8_t *p, uint64_t n)
{
    for (; n; n -= KQUANT_BLOCK, out += KQUANT_BLOCK, p += 84) {
        const uint8_t *q = p + 16;
        float d = f16_at(p + 80), dmin = f16_at(p + 82);
        for (int i = 0; i < KQUANT_BLOCK; i++) {
            int plane = i / 128, shift = i % 128 / 32 * 2, scale = p[i / 16];
            int v = q[plane * 32 + i % 32] >> shift & 3;
            out[i] = d * (float)(scale & 15) * (float)v - dmin * (float)(scale >> 4);
        }
    }
}

/* 32 bytes of high bits (a clear one subtracts 4); 64 bytes of low bits; 16 scales of 6 bits less
 * 32; d. */
void kquant_q3(float *out, const uint8_t *p, uint64_t n)
{
    for (; n; n -= KQUANT_BLOCK, out += KQUANT_BLOCK, p += 110) {
        const uint8_t *high = p, *low = p + 32, *packed = p + 96;
        float d = f16_at(p + 108);
        int scale[16];
        for (int i = 0; i < 16; i++) {
            int low4 = packed[i % 8] >> (i < 8 ? 0 : 4) & 15;
            int high2 = packed[8 + i % 4] >> i / 4 * 2 & 3;
            scale[i] = (low4 | high2 << 4) - 32;
        }
        for (int i = 0; i < KQUANT_BLOCK; i++) {
            int plane = i / 128, shift = i % 128 / 32 * 2;
            int v = (low[plane * 32 + i % 32] >> shift & 3) - (high[i % 32] >> i / 32 & 1 ? 0 : 4);
            out[i] = d * (float)scale[i / 16] * (float)v;
        }
    }
}

/* Eight scales and eight mins of 6 bits in 12 bytes: the first four of each whole, the others in
 * halves. */
static void scale_min(int i, const uint8_t *p, int *scale, int *min)
{
    if (i < 4) {
        *scale = p[i] & 63;
        *min = p[i + 4] & 63;
    } else {
        *scale = (p[i + 4] & 15) | p[i - 4] >> 6 << 4;
        *min = p[i + 4] >> 4 | p[i] >> 6 << 4;
    }
}

/* d, dmin; 12 bytes of scales and mins; 128 bytes of 4-bit weights. */
void kquant_q4(float *out, const uint8_t *p, uint64_t n)
{
    for (; n; n -= KQUANT_BLOCK, p += 144)
        for (int part = 0; part < 8; part++) {
            const uint8_t *q = p + 16 + part / 2 * 32;
            int scale, min;
            scale_min(part, p + 4, &scale, &min);
            float d = f16_at(p) * (float)scale, m = f16_at(p + 2) * (float)min;
            for (int j = 0; j < 32; j++)
                *out++ = d * (float)(part % 2 ? q[j] >> 4 : q[j] & 15) - m;
        }
}

/* The same with 32 bytes of fifth bits before the weights. */
void kquant_q5(float *out, const uint8_t *p, uint64_t n)
{
    for (; n; n -= KQUANT_BLOCK, p += 176)
        for (int part = 0; part < 8; part++) {
            const uint8_t *high = p + 16, *q = p + 48 + part / 2 * 32;
            int scale, min;
            scale_min(part, p + 4, &scale, &min);
            float d = f16_at(p) * (float)scale, m = f16_at(p + 2) * (float)min;
            for (int j = 0; j < 32; j++) {
                int v = (part % 2 ? q[j] >> 4 : q[j] & 15) | (high[j] >> part & 1) << 4;
                *out++ = d * (float)v - m;
            }
        }
}

/* 128 bytes of low bits, 64 of high ones, 16 scales of 8 bits, d; weights less 32. */
void kquant_q6(float *out, const uint8_t *p, uint64_t n)
{
    for (; n; n -= KQUANT_BLOCK, out += KQUANT_BLOCK, p += 210) {
        const int8_t *scale = (const int8_t *)(p + 192);
        float d = f16_at(p + 208);
        for (int i = 0; i < KQUANT_BLOCK; i++) {
            int plane = i / 128, in = i % 128;
            int low = p[plane * 64 + in % 64] >> in / 64 * 4 & 15;
            int high = p[128 + plane * 32 + in % 32] >> in / 32 * 2 & 3;
            out[i] = d * (float)scale[i / 16] * (float)((low | high << 4) - 32);
        }
    }
}
