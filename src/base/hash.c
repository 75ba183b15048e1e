/* base/hash.c - see hash.h. The only file that knows xxHash. */
#include "base/hash.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/log.h"
#include "base/mem.h"

struct hasher {
    XXH3_state_t state;
};

struct hasher *hasher_new(void)
{
    struct hasher *h = xaligned(sizeof *h);
    XXH3_128bits_reset(&h->state);
    return h;
}

void hasher_free(struct hasher *h)
{
    free(h);
}

void hasher_add(struct hasher *h, const void *bytes, size_t n)
{
    XXH3_128bits_update(&h->state, bytes, n);
}

void hasher_text(struct hasher *h, const char *s)
{
    hasher_whole(h, s ? strlen(s) : UINT64_MAX);
    if (s)
        hasher_add(h, s, strlen(s));
}

void hasher_whole(struct hasher *h, uint64_t v)
{
    uint8_t little[8];
    for (int i = 0; i < 8; i++)
        little[i] = (uint8_t)(v >> (8 * i));
    hasher_add(h, little, sizeof little);
}

static struct digest from(XXH128_hash_t v)
{
    return (struct digest){ v.high64, v.low64 };
}

struct digest hasher_digest(const struct hasher *h)
{
    return from(XXH3_128bits_digest(&h->state));
}

struct digest digest_of(const void *bytes, size_t n)
{
    return from(XXH3_128bits(bytes, n));
}

const char *digest_hex(struct digest d, char hex[DIGEST_HEX])
{
    snprintf(hex, DIGEST_HEX, "%016llx%016llx", (unsigned long long)d.hi, (unsigned long long)d.lo);
    return hex;
}

enum st digest_parse(struct digest *d, const char *hex, struct err *err)
{
    uint64_t part[2] = { 0 };
    size_t n = strlen(hex);
    if (n != DIGEST_HEX - 1 || strspn(hex, "0123456789abcdef") != n)
        return err_set(err, ST_FORMAT, "'%.40s' is not a digest, want 32 hexadecimal digits", hex);
    for (size_t i = 0; i < n; i++)
        part[i / 16] =
            part[i / 16] << 4 | (uint64_t)(hex[i] <= '9' ? hex[i] - '0' : hex[i] - 'a' + 10);
    *d = (struct digest){ part[0], part[1] };
    return ST_OK;
}

enum st digest_file(struct digest *d, const char *path, struct err *err)
{
    FILE *f = fopen(path, "rbe");
    if (!f)
        return err_set(err, ST_IO, "cannot open '%s': %s", path, strerror(errno));
    enum { CHUNK = 1 << 20 };
    char *buf = xmalloc(CHUNK);
    struct hasher *h = hasher_new();
    size_t n;
    bool stopped =
        false; /* only between chunks: a small file is read whole, so that work ends in order */
    while (!stopped && (n = fread(buf, 1, CHUNK, f)) > 0) {
        hasher_add(h, buf, n);
        stopped = n == CHUNK && stop_asked();
    }
    enum st st = ST_OK;
    if (ferror(f))
        st = err_set(err, ST_IO, "cannot read '%s': %s", path, strerror(errno));
    else if (stopped)
        st = err_set(err, ST_INTERRUPTED, "stopped while reading '%s'", path);
    *d = hasher_digest(h);
    hasher_free(h);
    free(buf);
    fclose(f);
    return st;
}

int digest_cmp(struct digest a, struct digest b)
{
    if (a.hi != b.hi)
        return a.hi < b.hi ? -1 : 1;
    return (a.lo > b.lo) - (a.lo < b.lo);
}

uint64_t hash64(const void *bytes, size_t n, uint64_t seed)
{
    return XXH3_64bits_withSeed(bytes, n, seed);
}
