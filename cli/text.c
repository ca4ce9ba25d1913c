#include "text.h"

#include "memory.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

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

json_t *json_text_n(const char *text, size_t n)
{
    char *clean = need_array(n + 1, 3);
    size_t used = 0, i = 0, skip = 1;
    while (i < n) {
        size_t length = sequence((const unsigned char *)text + i, n - i, &skip);
        memcpy(clean + used, length ? text + i : "\xef\xbf\xbd", length ? length : 3);
        used += length ? length : 3;
        i += length ? length : skip;
    }
    json_t *value = json_stringn(clean, used);
    free(clean);
    if (!value)
        out_of_memory();
    return value;
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

json_t *json_text(const char *text)
{
    return text ? json_text_n(text, strlen(text)) : json_null();
}

json_t *json_number(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

void json_put(json_t *object, const char *key, json_t *value)
{
    if (json_object_set_new(object, key, value) != 0)
        out_of_memory();
}

void json_add(json_t *array, json_t *value)
{
    if (json_array_append_new(array, value) != 0)
        out_of_memory();
}

void wrap(FILE *f, const char *text, int at, int indent, int width)
{
    while (*text) {
        int n = (int)strcspn(text, " ");
        if (at > indent && at + n > width) {
            fprintf(f, "\n%*s", indent, "");
            at = indent;
        }
        fprintf(f, "%.*s", n, text);
        at += n;
        text += n;
        if (*text == ' ') {
            if (at + 1 + (int)strcspn(text + 1, " ") <= width)
                fputc(' ', f);
            at++;
            text++;
        }
    }
    fputc('\n', f);
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
