/* base/hash.c: FIPS 180-4 and RFC 1321; names of variables are those of the standards. */
#include "base/hash.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static const uint32_t K256[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

/* floor(2^32 |sin(t + 1)|). */
static const uint32_t KMD5[64] = {
    0xd76aa478, 0xe8c7b756, 0x242070db, 0xc1bdceee, 0xf57c0faf, 0x4787c62a, 0xa8304613, 0xfd469501,
    0x698098d8, 0x8b44f7af, 0xffff5bb1, 0x895cd7be, 0x6b901122, 0xfd987193, 0xa679438e, 0x49b40821,
    0xf61e2562, 0xc040b340, 0x265e5a51, 0xe9b6c7aa, 0xd62f105d, 0x02441453, 0xd8a1e681, 0xe7d3fbc8,
    0x21e1cde6, 0xc33707d6, 0xf4d50d87, 0x455a14ed, 0xa9e3e905, 0xfcefa3f8, 0x676f02d9, 0x8d2a4c8a,
    0xfffa3942, 0x8771f681, 0x6d9d6122, 0xfde5380c, 0xa4beea44, 0x4bdecfa9, 0xf6bb4b60, 0xbebfbc70,
    0x289b7ec6, 0xeaa127fa, 0xd4ef3085, 0x04881d05, 0xd9d4d039, 0xe6db99e5, 0x1fa27cf8, 0xc4ac5665,
    0xf4292244, 0x432aff97, 0xab9423a7, 0xfc93a039, 0x655b59c3, 0x8f0ccc92, 0xffeff47d, 0x85845dd1,
    0x6fa87e4f, 0xfe2ce6e0, 0xa3014314, 0x4e0811a1, 0xf7537e82, 0xbd3af235, 0x2ad7d2bb, 0xeb86d391};

static const uint32_t START1[5] = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0};
static const uint32_t START256[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                     0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};

static uint32_t left(uint32_t x, int n)
{
    return x << n | x >> (32 - n);
}

static uint32_t right(uint32_t x, int n)
{
    return x >> n | x << (32 - n);
}

static uint32_t word(const unsigned char *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* f and K of the round t, 4.1.1 and 4.2.1. */
static uint32_t sha1_mix(int t, uint32_t b, uint32_t c, uint32_t d)
{
    if (t < 20)
        return ((b & c) ^ (~b & d)) + 0x5a827999;
    if (t < 40)
        return (b ^ c ^ d) + 0x6ed9eba1;
    if (t < 60)
        return ((b & c) ^ (b & d) ^ (c & d)) + 0x8f1bbcdc;
    return (b ^ c ^ d) + 0xca62c1d6;
}

static void sha1_block(uint32_t *state, const unsigned char *p)
{
    uint32_t w[80], a = state[0], b = state[1], c = state[2], d = state[3], e = state[4];
    for (int t = 0; t < 16; t++)
        w[t] = word(p + 4 * t);
    for (int t = 16; t < 80; t++)
        w[t] = left(w[t - 3] ^ w[t - 8] ^ w[t - 14] ^ w[t - 16], 1);
    for (int t = 0; t < 80; t++) {
        uint32_t next = left(a, 5) + sha1_mix(t, b, c, d) + e + w[t];
        e = d;
        d = c;
        c = left(b, 30);
        b = a;
        a = next;
    }
    state[0] += a;
    state[1] += b;
    state[2] += c;
    state[3] += d;
    state[4] += e;
}

static void sha256_schedule(uint32_t w[64], const unsigned char *p)
{
    for (int t = 0; t < 16; t++)
        w[t] = word(p + 4 * t);
    for (int t = 16; t < 64; t++) {
        uint32_t x = w[t - 15], y = w[t - 2];
        w[t] = w[t - 16] + (right(x, 7) ^ right(x, 18) ^ x >> 3) + w[t - 7] +
               (right(y, 17) ^ right(y, 19) ^ y >> 10);
    }
}

static void sha256_block(uint32_t *state, const unsigned char *p)
{
    uint32_t w[64], v[8];
    sha256_schedule(w, p);
    memcpy(v, state, sizeof v);
    for (int t = 0; t < 64; t++) {
        uint32_t a = v[0], e = v[4];
        uint32_t t1 = v[7] + (right(e, 6) ^ right(e, 11) ^ right(e, 25)) +
                      ((e & v[5]) ^ (~e & v[6])) + K256[t] + w[t];
        uint32_t t2 =
            (right(a, 2) ^ right(a, 13) ^ right(a, 22)) + ((a & v[1]) ^ (a & v[2]) ^ (v[1] & v[2]));
        memmove(v + 1, v, 7 * sizeof *v);
        v[4] += t1;
        v[0] = t1 + t2;
    }
    for (int i = 0; i < 8; i++)
        state[i] += v[i];
}

/* f and the word of the round t, 3.4. */
static uint32_t md5_mix(int t, uint32_t b, uint32_t c, uint32_t d, int *word_at)
{
    *word_at = (t < 16 ? t : t < 32 ? 5 * t + 1 : t < 48 ? 3 * t + 5 : 7 * t) % 16;
    if (t < 16)
        return (b & c) | (~b & d);
    if (t < 32)
        return (b & d) | (c & ~d);
    return t < 48 ? b ^ c ^ d : c ^ (b | ~d);
}

/* Words are little-endian. */
static void md5_block(uint32_t *state, const unsigned char *p)
{
    static const int TURN[4][4] = {
        {7, 12, 17, 22}, {5, 9, 14, 20}, {4, 11, 16, 23}, {6, 10, 15, 21}};
    uint32_t x[16], a = state[0], b = state[1], c = state[2], d = state[3];
    for (int t = 0; t < 16; t++)
        x[t] = __builtin_bswap32(word(p + 4 * t));
    for (int t = 0; t < 64; t++) {
        int at;
        uint32_t f = md5_mix(t, b, c, d, &at);
        uint32_t next = b + left(a + f + x[at] + KMD5[t], TURN[t / 16][t % 4]);
        a = d;
        d = c;
        c = b;
        b = next;
    }
    state[0] += a;
    state[1] += b;
    state[2] += c;
    state[3] += d;
}

static void add_block(Hash *h, const unsigned char *p)
{
    if (h->kind == HASH_SHA1)
        sha1_block(h->state, p);
    else if (h->kind == HASH_MD5)
        md5_block(h->state, p);
    else
        sha256_block(h->state, p);
}

void hash_begin(Hash *h, HashKind kind)
{
    *h = (Hash){.kind = kind};
    if (kind != HASH_SHA256)
        memcpy(h->state, START1, sizeof START1); /* MD5 has the first four */
    else
        memcpy(h->state, START256, sizeof START256);
}

void hash_add(Hash *h, const void *bytes, size_t n)
{
    const unsigned char *p = bytes;
    size_t held = h->bytes % 64;
    h->bytes += n;
    if (held) {
        size_t take = n < 64 - held ? n : 64 - held;
        memcpy(h->block + held, p, take);
        p += take;
        n -= take;
        if (held + take < 64)
            return;
        add_block(h, h->block);
    }
    for (; n >= 64; p += 64, n -= 64)
        add_block(h, p);
    if (n)
        memcpy(h->block, p, n);
}

void hash_end(Hash *h, char text[HASH_TEXT])
{
    static const unsigned char PAD[64] = {0x80};
    unsigned char length[8];
    bool little = h->kind == HASH_MD5;
    int words = h->kind == HASH_SHA1 ? 5 : little ? 4 : 8;
    uint64_t bits = h->bytes * 8;
    for (int i = 0; i < 8; i++)
        length[i] = (unsigned char)(bits >> (little ? 8 * i : 56 - 8 * i));
    hash_add(h, PAD, 1 + (119 - h->bytes % 64) % 64);
    hash_add(h, length, 8);
    for (int i = 0; i < words; i++)
        snprintf(text + 8 * i, 9, "%08x",
                 (unsigned)(little ? __builtin_bswap32(h->state[i]) : h->state[i]));
}
