/* json.c: values put together by jansson, and written as one line. */
#include "json.h"

#include "memory.h"
#include "output.h"
#include "text.h"

#include <blip2_debug.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

json_t *json_text_n(const char *text, size_t n)
{
    size_t length;
    char *clean = utf8_clean(text, n, &length);
    json_t *value = json_stringn(clean, length);
    free(clean);
    if (!value)
        out_of_memory();
    return value;
}

json_t *json_text(const char *text)
{
    return text ? json_text_n(text, strlen(text)) : json_null();
}

json_t *json_number(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

json_t *json_known(uint64_t bytes)
{
    return bytes ? json_integer((json_int_t)bytes) : json_null();
}

void json_put(json_t *object, const char *key, json_t *value)
{
    if (json_object_set_new(object, key, value) != 0)
        out_of_memory();
}

static json_t *base64(const char *text)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const unsigned char *p = (const unsigned char *)text;
    size_t n = strlen(text), used = 0;
    char *out = need_array(n + 2, 2);
    for (size_t i = 0; i < n; i += 3) {
        unsigned v = p[i] * 65536u + (i + 1 < n ? p[i + 1] * 256u : 0) + (i + 2 < n ? p[i + 2] : 0);
        for (int k = 0; k < 4; k++)
            out[used++] = i + (size_t)k > n ? '=' : digits[v >> (18 - 6 * k) & 63];
    }
    json_t *value = json_stringn(out, used);
    free(out);
    return value;
}

void json_put_path(json_t *object, const char *key, const char *path)
{
    json_put(object, key, json_text(path));
    if (path && utf8_fault(path) >= 0) {
        char *bytes = need_format("%s_bytes", key);
        json_put(object, bytes, base64(path));
        free(bytes);
    }
}

void json_add(json_t *array, json_t *value)
{
    if (json_array_append_new(array, value) != 0)
        out_of_memory();
}

/* JSON lets control characters of C1, DEL and those of direction stand as they are; a terminal obeys
 * them. They can only be within strings, where \u009b says the same. */
static void write_escaped(const char *line)
{
    const char *from = line, *shown;
    size_t n = strlen(line), length, taken;
    for (; n > 0; line += taken, n -= taken) {
        uint32_t code_point;
        taken = harmless(line, n, "", &shown, &length);
        if (length > 0)
            continue;
        blip2_debug_utf8_next(line, n, &code_point, &taken);
        out_print("%.*s\\u%04x", (int)(line - from), from, (unsigned)code_point);
        from = line + taken;
    }
    out_text(from);
}

static void write_line(json_t *value, size_t flags)
{
    char *line = value ? json_dumps(value, flags) : NULL;
    json_decref(value);
    if (!line)
        out_of_memory();
    write_escaped(line);
    out_text("\n");
    free(line);
}

void out_json(json_t *value)
{
    write_line(value, JSON_REAL_PRECISION(15));
}

/* Whether 15 digits, which look best, say all. */
static bool short_reals(const json_t *value)
{
    const char *key;
    json_t *inner;
    char text[64];
    bool all = true;
    if (json_is_real(value)) {
        snprintf(text, sizeof text, "%.15g", json_real_value(value));
        return strtod(text, NULL) == json_real_value(value);
    }
    json_object_foreach((json_t *)(uintptr_t)value, key, inner) all = all && short_reals(inner);
    return all;
}

void out_json_exact(json_t *value)
{
    write_line(value,
               value && short_reals(value) ? JSON_REAL_PRECISION(15) : JSON_REAL_PRECISION(17));
}
