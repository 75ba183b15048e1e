/* run/tfevents.c - see tfevents.h. */
#include "run/tfevents.h"

#include <string.h>

uint32_t crc32c(const void *bytes, size_t n)
{
    const uint8_t *p = bytes;
    uint32_t crc = 0xffffffffu;
    while (n--) { /* bit by bit: records are a few dozen bytes, some per second */
        crc ^= *p++;
        for (int bit = 0; bit < 8; bit++)
            crc = (crc >> 1) ^ (crc & 1 ? 0x82f63b78u : 0);
    }
    return ~crc;
}

static void little(struct strbuf *out, uint64_t v, int n_bytes)
{
    for (int i = 0; i < n_bytes; i++)
        str_addc(out, (char)(uint8_t)(v >> (8 * i)));
}

static void varint(struct strbuf *out, uint64_t v)
{
    for (; v >= 0x80; v >>= 7)
        str_addc(out, (char)(uint8_t)(v | 0x80));
    str_addc(out, (char)(uint8_t)v);
}

enum wire { VARINT = 0, BITS64 = 1, BYTES = 2, BITS32 = 5 };

static void key(struct strbuf *out, int field, enum wire wire)
{
    varint(out, (uint64_t)(field << 3 | (int)wire));
}

static void bytes_field(struct strbuf *out, int field, const void *bytes, size_t n)
{
    key(out, field, BYTES);
    varint(out, n);
    str_add(out, bytes, n);
}

static void double_field(struct strbuf *out, int field, double v)
{
    uint64_t bits;
    memcpy(&bits, &v, sizeof bits);
    key(out, field, BITS64);
    little(out, bits, 8);
}

static uint32_t masked_crc(const void *bytes, size_t n)
{
    uint32_t crc = crc32c(bytes, n);
    return ((crc >> 15) | (crc << 17)) + 0xa282ead8u;
}

static void record(struct strbuf *out, const struct strbuf *event)
{
    size_t at = out->n;
    little(out, event->n, 8);
    little(out, masked_crc(out->s + at, 8), 4);
    str_add(out, event->s, event->n);
    little(out, masked_crc(event->s, event->n), 4);
}

void tfevents_begin(struct strbuf *out, double time)
{
    static const char version[] = "brain.Event:2";
    struct strbuf event = { 0 };
    double_field(&event, 1, time);
    bytes_field(&event, 3, version, sizeof version - 1);
    record(out, &event);
    str_release(&event);
}

void tfevents_scalar(struct strbuf *out, const char *tag, uint64_t step, double time, double value)
{
    struct strbuf one = { 0 }, summary = { 0 }, event = { 0 };
    float f = (float)value;
    uint32_t bits;
    memcpy(&bits, &f, sizeof bits);
    bytes_field(&one, 1, tag, strlen(tag));
    key(&one, 2, BITS32);
    little(&one, bits, 4);
    bytes_field(&summary, 1, one.s, one.n);
    double_field(&event, 1, time);
    key(&event, 2, VARINT);
    varint(&event, step);
    bytes_field(&event, 5, summary.s, summary.n);
    record(out, &event);
    str_release(&one);
    str_release(&summary);
    str_release(&event);
}
