/* text.c: UTF-8 that is harmless to print, paragraphs, sizes and counts. */
#include "text.h"

#include "memory.h"
#include "output.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WIDTH = 79 }; /* columns of what is written for people */

/* Length of the well-formed UTF-8 sequence at p, or 0; *skip is then the length of the maximal
 * ill-formed part. The bounds of the second byte keep out surrogates, overlong forms and
 * everything above U+10FFFF. */
static size_t sequence(const unsigned char *p, size_t n, size_t *skip)
{
    unsigned char c = p[0], low = 0x80, high = 0xbf;
    size_t length = c < 0x80 ? 1 : c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : 2;
    *skip = 1;
    if (length == 1)
        return 1;
    if (c < 0xc2 || c > 0xf4)
        return 0;
    low = c == 0xe0 ? 0xa0 : c == 0xf0 ? 0x90 : low;
    high = c == 0xed ? 0x9f : c == 0xf4 ? 0x8f : high;
    for (size_t i = 1; i < length; i++, low = 0x80, high = 0xbf) {
        if (i >= n || p[i] < low || p[i] > high)
            return 0;
        *skip = i + 1;
    }
    return length;
}

unsigned code_point(const unsigned char *p, size_t length)
{
    unsigned c = length == 1 ? p[0] : p[0] & (0x7fu >> length);
    for (size_t i = 1; i < length; i++)
        c = c << 6 | (p[i] & 0x3f);
    return c;
}

/* C0, DEL and C1; those that turn the direction of writing. */
static bool is_obeyed(const unsigned char *p, size_t length)
{
    unsigned c = code_point(p, length);
    return c < 0x20 || (c >= 0x7f && c < 0xa0) || (c >= 0x202a && c <= 0x202e) ||
           (c >= 0x2066 && c <= 0x2069);
}

size_t harmless(const char *text, size_t n, const char *mark, const char **shown, size_t *length)
{
    const unsigned char *p = (const unsigned char *)text;
    size_t skip, good = sequence(p, n, &skip);
    *shown = !good ? "\xef\xbf\xbd" : is_obeyed(p, good) ? mark : text;
    *length = *shown == text ? good : strlen(*shown);
    return good ? good : skip;
}

char *utf8_clean(const char *text, size_t n, size_t *length)
{
    char *clean = need_array(n + 1, 3);
    size_t used = 0, i = 0, skip = 1;
    while (i < n) {
        size_t good = sequence((const unsigned char *)text + i, n - i, &skip);
        memcpy(clean + used, good ? text + i : "\xef\xbf\xbd", good ? good : 3);
        used += good ? good : 3;
        i += good ? good : skip;
    }
    *length = used;
    return clean;
}

long utf8_fault(const char *text)
{
    size_t n = strlen(text), skip;
    for (size_t i = 0, length; i < n; i += length) {
        length = sequence((const unsigned char *)text + i, n - i, &skip);
        if (length == 0)
            return (long)i;
    }
    return -1;
}

void wrap(const char *text, int at, int indent)
{
    while (*text) {
        int n = (int)strcspn(text, " ");
        if (at > indent && at + n > WIDTH) {
            out_print("\n%*s", indent, "");
            at = indent;
        }
        out_plain_part(text, (size_t)n);
        at += n;
        text += n;
        if (*text == ' ') {
            if (at + 1 + (int)strcspn(text + 1, " ") <= WIDTH)
                out_text(" ");
            at++;
            text++;
        }
    }
    out_text("\n");
}

void fact(int column, const char *label, const char *text)
{
    out_print("  %-*s", column - 2, label);
    wrap(text, column, column);
}

const char *size_text(char buffer[32], uint64_t bytes)
{
    static const char *const units[] = {"bytes", "kB", "MB", "GB", "TB"};
    double value = (double)bytes;
    int unit = 0;
    while (value >= 999.5 && unit < 4) {
        value /= 1000;
        unit++;
    }
    int decimals = unit == 0 || value >= 100 ? 0 : value >= 10 ? 1 : 2;
    snprintf(buffer, 32, "%.*f %s", decimals, value, units[unit]);
    return buffer;
}

const char *count_text(char buffer[32], uint64_t n)
{
    char digits[24];
    int length = snprintf(digits, sizeof digits, "%llu", (unsigned long long)n), used = 0;
    for (int i = 0; i < length; i++) {
        if (i > 0 && (length - i) % 3 == 0)
            buffer[used++] = ',';
        buffer[used++] = digits[i];
    }
    buffer[used] = '\0';
    return buffer;
}
