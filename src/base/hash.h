/* base/hash.h: SHA-1 and SHA-256 (FIPS 180-4) and MD5 (RFC 1321) of bytes that come in pieces, to see whether a file is the
 * one that was published; for nothing that has to be secret. */
#ifndef BASE_HASH_H
#define BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

typedef enum HashKind { HASH_SHA1, HASH_SHA256, HASH_MD5 } HashKind;

enum { HASH_TEXT = 65 }; /* the longest digest in hexadecimal digits, and the zero behind it */

typedef struct Hash {
    HashKind kind;
    uint32_t state[8];
    unsigned char block[64];
    uint64_t bytes; /* so far */
} Hash;

void hash_begin(Hash *h, HashKind kind);
void hash_add(Hash *h, const void *bytes, size_t n);
/* The digest in lower-case hexadecimal digits. h must be begun anew before it is used again. */
void hash_end(Hash *h, char text[HASH_TEXT]);

#endif
