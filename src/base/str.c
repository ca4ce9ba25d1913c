/* base/str.c: the growing string; prefixes, suffixes, edit distance. */
#include "base/str.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"

static bool room(StrBuf *s, size_t n)
{
    s->failed = s->failed || !MEM_GROW(s->data, &s->cap, s->len + n + 1);
    return !s->failed;
}

void strbuf_add(StrBuf *s, const void *bytes, size_t n)
{
    if (!room(s, n))
        return;
    if (n)
        memcpy(s->data + s->len, bytes, n);
    s->len += n;
    s->data[s->len] = 0;
}

void strbuf_puts(StrBuf *s, const char *text)
{
    strbuf_add(s, text, strlen(text));
}

void strbuf_printf(StrBuf *s, const char *fmt, ...)
{
    va_list ap, again;
    va_start(ap, fmt);
    va_copy(again, ap);
    int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    if (n >= 0 && room(s, (size_t)n)) {
        vsnprintf(s->data + s->len, (size_t)n + 1, fmt, again);
        s->len += (size_t)n;
    }
    va_end(again);
}

const char *strbuf_cstr(StrBuf *s)
{
    if (s->failed)
        return NULL;
    return s->data ? s->data : "";
}

void strbuf_free(StrBuf *s)
{
    mem_free(s->data);
    *s = (StrBuf){0};
}

bool str_starts(const char *s, const char *prefix)
{
    return strncmp(s, prefix, strlen(prefix)) == 0;
}

bool str_ends(const char *s, const char *suffix)
{
    size_t n = strlen(s), k = strlen(suffix);
    return n >= k && memcmp(s + n - k, suffix, k) == 0;
}

enum { DISTANCE_MAX = 64 };

static int min3(int a, int b, int c)
{
    int m = a < b ? a : b;
    return m < c ? m : c;
}

int str_distance(const char *a, const char *b)
{
    int n = (int)strnlen(a, DISTANCE_MAX), m = (int)strnlen(b, DISTANCE_MAX);
    int rows[3][DISTANCE_MAX + 1], *before = rows[0], *last = rows[1], *now = rows[2];
    for (int j = 0; j <= m; j++)
        last[j] = before[j] = j;
    for (int i = 1; i <= n; i++) {
        now[0] = i;
        for (int j = 1; j <= m; j++) {
            now[j] = min3(last[j] + 1, now[j - 1] + 1, last[j - 1] + (a[i - 1] != b[j - 1]));
            bool swap = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
            if (swap && before[j - 2] + 1 < now[j])
                now[j] = before[j - 2] + 1;
        }
        int *spare = before;
        before = last;
        last = now;
        now = spare;
    }
    return last[m];
}
