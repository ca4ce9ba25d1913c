/* ckpt/bytes.h: little-endian numbers in the bytes of a file, aligned to nothing. */
#ifndef CKPT_BYTES_H
#define CKPT_BYTES_H

#include <stdint.h>

/* The unsigned number that n bytes (0..8) hold. */
static inline uint64_t little(const unsigned char *p, int n)
{
    uint64_t v = 0;
    while (n-- > 0)
        v = v << 8 | p[n];
    return v;
}

#endif
