/*
 * tok/bytemap.h - GPT-2's printable stand-ins for bytes, in which vocabularies are written down.
 *
 * Bytes 33-126, 161-172 and 174-255 stand for themselves as code points; the other 68, in order,
 * are U+0100 to U+0143. A space is U+0120.
 */
#ifndef MIXLAW_TOK_BYTEMAP_H
#define MIXLAW_TOK_BYTEMAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

struct bytemap {
    uint16_t symbol[256]; /* code point of a byte */
    int16_t byte[0x144];  /* byte of a code point, or -1 */
};

void bytemap_init(struct bytemap *m);
/* Appends the bytes as symbols, UTF-8. */
void bytemap_write(const struct bytemap *m, const uint8_t *bytes, size_t n, struct strbuf *out);
/* Appends the bytes that the symbols stand for; false, with *out as it was, when one stands for
 * none. */
bool bytemap_read(const struct bytemap *m, const char *symbols, size_t n, struct strbuf *out);

#endif
