/* base/utf8.c: one character at a time, in both directions. */
#include "base/utf8.h"

#include <string.h>

/* Length that a lead byte announces (0: not a lead byte), and the bounds of the second byte
 * (Unicode, table 3-7). */
static int lead_length(unsigned char b, unsigned char *lo, unsigned char *hi)
{
    *lo = b == 0xe0 ? 0xa0 : b == 0xf0 ? 0x90 : 0x80;
    *hi = b == 0xed ? 0x9f : b == 0xf4 ? 0x8f : 0xbf;
    if (b < 0x80)
        return 1;
    if (b < 0xc2 || b > 0xf4)
        return 0;
    return b < 0xe0 ? 2 : b < 0xf0 ? 3 : 4;
}

int utf8_next(const char *s, size_t n, uint32_t *cp, bool *valid)
{
    const unsigned char *u = (const unsigned char *)s;
    unsigned char lo, hi;
    int want = lead_length(u[0], &lo, &hi), got = 1;
    uint32_t c = want == 1 ? u[0] : u[0] & (0x7f >> (want & 7));
    for (; got < want && (size_t)got < n && u[got] >= lo && u[got] <= hi; got++) {
        c = c << 6 | (u[got] & 0x3f);
        lo = 0x80;
        hi = 0xbf;
    }
    *valid = got == want;
    *cp = *valid ? c : 0xfffd;
    return got;
}

int utf8_put(uint32_t cp, char out[4])
{
    if (cp < 0x80) {
        out[0] = (char)cp;
        return 1;
    }
    int n = cp < 0x800 ? 2 : cp < 0x10000 ? 3 : 4;
    for (int i = n - 1; i > 0; i--, cp >>= 6)
        out[i] = (char)(0x80 | (cp & 0x3f));
    out[0] = (char)((0xf00 >> n) | cp);
    return n;
}

/* From `at`, the offset of the first invalid byte, or n. */
static size_t valid_end(const char *s, size_t n, size_t at)
{
    uint32_t cp;
    bool valid = true;
    while (at < n) {
        if ((unsigned char)s[at] < 0x80) {
            at++;
            continue;
        }
        int k = utf8_next(s + at, n - at, &cp, &valid);
        if (!valid)
            break;
        at += (size_t)k;
    }
    return at;
}

long utf8_invalid(const char *s, size_t n)
{
    size_t end = valid_end(s, n, 0);
    return end < n ? (long)end : -1;
}

void utf8_add_lossy(StrBuf *out, const char *s, size_t n)
{
    uint32_t cp;
    bool valid;
    for (size_t at = 0; at < n;) {
        size_t end = valid_end(s, n, at);
        strbuf_add(out, s + at, end - at);
        if (end == n)
            return;
        at = end + (size_t)utf8_next(s + end, n - end, &cp, &valid);
        strbuf_add(out, "\xef\xbf\xbd", 3);
    }
}

size_t utf8_cut(const char *s, size_t n, size_t limit)
{
    if (n <= limit)
        return n;
    while (limit > 0 && ((unsigned char)s[limit] & 0xc0) == 0x80)
        limit--;
    return limit;
}

size_t utf8_mark(const void *s, size_t n)
{
    return n >= 3 && memcmp(s, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
}
