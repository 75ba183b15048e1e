/* tok/bytemap.c - see bytemap.h. */
#include "tok/bytemap.h"

static bool stands_for_itself(int b)
{
    return (b >= 33 && b <= 126) || (b >= 161 && b <= 172) || b >= 174;
}

void bytemap_init(struct bytemap *m)
{
    for (size_t i = 0; i < sizeof m->byte / sizeof *m->byte; i++)
        m->byte[i] = -1;
    int n_moved = 0;
    for (int b = 0; b < 256; b++) {
        int c = stands_for_itself(b) ? b : 256 + n_moved++;
        m->symbol[b] = (uint16_t)c;
        m->byte[c] = (int16_t)b;
    }
}

void bytemap_write(const struct bytemap *m, const uint8_t *bytes, size_t n, struct strbuf *out)
{
    for (size_t i = 0; i < n; i++) {
        unsigned c = m->symbol[bytes[i]];
        if (c < 128) {
            str_addc(out, (char)c);
        } else {
            str_addc(out, (char)(0xC0 | c >> 6));
            str_addc(out, (char)(0x80 | (c & 63)));
        }
    }
}

bool bytemap_read(const struct bytemap *m, const char *symbols, size_t n, struct strbuf *out)
{
    const uint8_t *p = (const uint8_t *)symbols, *end = p + n;
    size_t before = out->n;
    while (p < end) {
        unsigned c = *p++;
        if (c >= 0xC2 && c <= 0xC5 && p < end && (*p & 0xC0) == 0x80)
            c = (c & 31) << 6 | (*p++ & 63);
        else if (c >= 128)
            c = 0x143 + 1;
        int byte = c < sizeof m->byte / sizeof *m->byte ? m->byte[c] : -1;
        if (byte < 0) {
            out->n = before;
            return false;
        }
        str_addc(out, (char)byte);
    }
    return true;
}
