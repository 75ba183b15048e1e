/*
 * base/hash.h - 128-bit content digests (XXH3) and a 64-bit hash for tables.
 *
 * Digests name content: documents, requests, model files, settings. They are fast and, at 128
 * bits, safe against accidents; they do not defend against somebody who wants a collision.
 * Texts are added with their length, so that ("ab","c") and ("a","bc") differ. The only file
 * that knows xxHash is hash.c.
 */
#ifndef MIXLAW_BASE_HASH_H
#define MIXLAW_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct digest {
    uint64_t hi, lo;
};
enum { DIGEST_HEX = 33 }; /* 32 digits and the terminator */

struct hasher; /* an unfinished digest */
struct hasher *hasher_new(void);
void hasher_free(struct hasher *h);                             /* NULL is fine */
void hasher_add(struct hasher *h, const void *bytes, size_t n); /* no length prefix */
void hasher_text(struct hasher *h, const char *s); /* length, then bytes; NULL differs from "" */
void hasher_whole(struct hasher *h, uint64_t v);
struct digest hasher_digest(const struct hasher *h); /* the hasher goes on */

struct digest digest_of(const void *bytes, size_t n);
const char *digest_hex(struct digest d, char hex[DIGEST_HEX]); /* returns hex */
MUST_USE enum st digest_parse(struct digest *d, const char *hex, struct err *err);
MUST_USE enum st digest_file(struct digest *d, const char *path, struct err *err);
int digest_cmp(struct digest a, struct digest b);

uint64_t hash64(const void *bytes, size_t n, uint64_t seed);

#endif
