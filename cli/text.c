/* text.c: UTF-8 that is harmless to print, paragraphs, sizes and counts. */
#include "text.h"

#include "memory.h"
#include "output.h"

#include <blip2_debug.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WIDTH = 79 }; /* columns of what is written for people */

/* C0, DEL and C1; those that turn the direction of writing. */
static bool is_obeyed(uint32_t c)
{
    return c < 0x20 || (c >= 0x7f && c < 0xa0) || (c >= 0x202a && c <= 0x202e) ||
           (c >= 0x2066 && c <= 0x2069);
}

size_t harmless(const char *text, size_t n, const char *mark, const char **shown, size_t *length)
{
    uint32_t c;
    size_t taken;
    bool good = blip2_debug_utf8_next(text, n, &c, &taken);
    *shown = !good ? "\xef\xbf\xbd" : is_obeyed(c) ? mark : text;
    *length = *shown == text ? taken : strlen(*shown);
    return taken;
}

char *utf8_clean(const char *text, size_t n, size_t *length)
{
    char *clean = need_array(n + 1, 3);
    size_t used = 0, taken;
    uint32_t c;
    for (size_t i = 0; i < n; i += taken) {
        bool good = blip2_debug_utf8_next(text + i, n - i, &c, &taken);
        size_t kept = good ? taken : 3;
        memcpy(clean + used, good ? text + i : "\xef\xbf\xbd", kept);
        used += kept;
    }
    *length = used;
    return clean;
}

long utf8_fault(const char *text)
{
    size_t n = strlen(text), taken;
    uint32_t c;
    for (size_t i = 0; i < n; i += taken)
        if (!blip2_debug_utf8_next(text + i, n - i, &c, &taken))
            return (long)i;
    return -1;
}

const char *fault_text(char buffer[128], const char *what, const char *text, long at)
{
    snprintf(buffer, 128, "%s: byte %ld: expected UTF-8, got 0x%02x", what, at,
             (unsigned char)text[at]);
    return buffer;
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
