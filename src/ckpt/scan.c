/* ckpt/scan.c: tokens of JSON in place. */
#include "ckpt/scan.h"

#include <stdio.h>
#include <string.h>

#include "base/utf8.h"

bool scan_fail(const Scan *s, const char *expected)
{
    char got[16] = "the end";
    if (s->p < s->end)
        snprintf(got, sizeof got, *s->p < 0x7f && *s->p >= 0x20 ? "'%c'" : "byte 0x%02x", *s->p);
    size_t at = (size_t)(s->p - s->start);
    if (s->tensor)
        return error_set(s->e, ERR_BAD_MODEL,
                         "%s: tensor \"%.200s\": header byte %zu: expected %s, got %s", s->file,
                         s->tensor, at, expected, got);
    return error_set(s->e, ERR_BAD_MODEL, "%s: header: byte %zu: expected %s, got %s", s->file, at,
                     expected, got);
}

static void skip_space(Scan *s)
{
    while (s->p < s->end && (*s->p == ' ' || *s->p == '\n' || *s->p == '\t' || *s->p == '\r'))
        s->p++;
}

bool scan_accept(Scan *s, char c)
{
    skip_space(s);
    if (s->p == s->end || *s->p != (unsigned char)c)
        return false;
    s->p++;
    return true;
}

bool scan_token(Scan *s, char c)
{
    char expected[] = {'\'', c, '\'', 0};
    return scan_accept(s, c) || scan_fail(s, expected);
}

bool scan_end(Scan *s)
{
    skip_space(s);
    return s->p == s->end || scan_fail(s, "nothing after the object");
}

bool scan_count(Scan *s, uint64_t *v)
{
    static const char WANT[] = "an unsigned integer below 2^63";
    skip_space(s);
    const unsigned char *first = s->p;
    uint64_t n = 0;
    for (; s->p < s->end && *s->p >= '0' && *s->p <= '9'; s->p++) {
        unsigned digit = *s->p - '0';
        if (n > ((uint64_t)INT64_MAX - digit) / 10)
            return scan_fail(s, WANT);
        n = n * 10 + digit;
    }
    bool leading_zero = s->p - first > 1 && *first == '0';
    if (s->p == first || leading_zero)
        return scan_fail(s, WANT);
    if (s->p < s->end && strchr(".eE+-", *s->p) && *s->p)
        return scan_fail(s, WANT);
    *v = n;
    return true;
}

/* --- strings --------------------------------------------------------------------------------- */

/* Four hexadecimal digits. */
static bool read_hex(Scan *s, uint32_t *v)
{
    *v = 0;
    for (int i = 0; i < 4; i++, s->p++) {
        unsigned c = s->p < s->end ? *s->p : 0, digit;
        if (c >= '0' && c <= '9')
            digit = c - '0';
        else if ((c | 32) >= 'a' && (c | 32) <= 'f')
            digit = (c | 32) - 'a' + 10;
        else
            return scan_fail(s, "a hexadecimal digit");
        *v = *v << 4 | digit;
    }
    return true;
}

/* What follows backslash-u, a surrogate pair included. */
static bool read_unicode(Scan *s, uint32_t *cp)
{
    uint32_t low;
    if (!read_hex(s, cp))
        return false;
    if (*cp < 0xd800 || *cp > 0xdfff)
        return true;
    bool pair = *cp < 0xdc00 && s->end - s->p >= 2 && s->p[0] == '\\' && s->p[1] == 'u';
    if (!pair)
        return scan_fail(s, "a surrogate pair");
    s->p += 2;
    if (!read_hex(s, &low))
        return false;
    if (low < 0xdc00 || low > 0xdfff)
        return scan_fail(s, "the second half of a surrogate pair");
    *cp = 0x10000 + ((*cp - 0xd800) << 10) + (low - 0xdc00);
    return true;
}

static bool read_escape(Scan *s, uint32_t *cp)
{
    static const char FROM[] = "\"\\/bfnrt", TO[] = "\"\\/\b\f\n\r\t";
    if (s->p < s->end && *s->p == 'u') {
        s->p++;
        return read_unicode(s, cp);
    }
    const char *at = s->p < s->end && *s->p ? strchr(FROM, *s->p) : NULL;
    if (!at)
        return scan_fail(s, "an escape");
    s->p++;
    *cp = (unsigned char)TO[at - FROM];
    return true;
}

static bool read_utf8(Scan *s, uint32_t *cp)
{
    bool valid;
    int n = utf8_next((const char *)s->p, (size_t)(s->end - s->p), cp, &valid);
    if (!valid)
        return scan_fail(s, "valid UTF-8");
    s->p += n;
    return true;
}

/* Skips ASCII that stands for itself, at most so many bytes: names are hardly anything else. */
static size_t skip_plain(Scan *s, size_t most)
{
    const unsigned char *p = s->p, *end = (size_t)(s->end - p) < most ? s->end : p + most;
    while (p < end && *p >= 0x20 && *p < 0x80 && *p != '"' && *p != '\\')
        p++;
    size_t n = (size_t)(p - s->p);
    s->p = p;
    return n;
}

/* One code point, as the file spells it. */
static bool read_char(Scan *s, uint32_t *cp)
{
    if (*s->p < 0x20)
        return scan_fail(s, "no control character in a string");
    if (*s->p != '\\')
        return read_utf8(s, cp);
    s->p++;
    return read_escape(s, cp);
}

bool scan_string(Scan *s, char *buf, size_t cap)
{
    if (!scan_accept(s, '"'))
        return scan_fail(s, "a string");
    size_t n = 0;
    while (s->p < s->end && *s->p != '"') {
        char utf8[4];
        const void *bytes = s->p;
        uint32_t cp = 1;
        size_t k = skip_plain(s, buf ? cap - n : SIZE_MAX);
        if (k == 0) {
            if (!read_char(s, &cp))
                return false;
            k = (size_t)utf8_put(cp, utf8);
            bytes = utf8;
        }
        if (!buf)
            continue;
        if (cp == 0 || n + k + 1 > cap)
            return scan_fail(s, cp ? "a shorter string" : "no U+0000 in a string");
        memcpy(buf + n, bytes, k);
        n += k;
    }
    if (buf)
        buf[n] = 0;
    return scan_token(s, '"');
}
