/* base/base64.c: see base/base64.h. */
#include "base/base64.h"

#include <stdint.h>
#include <string.h>

#include "base/mem.h"

static int value_of(char c)
{
    static const char DIGITS[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *at = c ? strchr(DIGITS, c) : NULL;
    return at ? (int)(at - DIGITS) : -1;
}

void *base64_decode(const char *s, size_t n, size_t *out_n)
{
    if (n > 0 && n % 4 == 0)
        for (int i = 0; i < 2 && s[n - 1] == '='; i++)
            n--;
    *out_n = 0;
    for (size_t i = 0; i < n; i++)
        if (value_of(s[i]) < 0)
            return NULL;
    if (n % 4 == 1)
        return NULL;
    *out_n = n / 4 * 3 + (n % 4 ? n % 4 - 1 : 0);
    unsigned char *out = mem_alloc(*out_n);
    size_t k = 0;
    uint32_t bits = 0;
    for (size_t i = 0; out && i < n; i++) {
        bits = bits << 6 | (uint32_t)value_of(s[i]);
        if (i % 4 == 0)
            continue;
        out[k++] = (unsigned char)(bits >> (6 - 2 * (i % 4)));
    }
    return out;
}
