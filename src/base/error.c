/* base/error.c: the first error is written down, later ones are not. */
#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void error_printable(char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text < 0x20 || *text == 0x7f)
            *text = '?';
}

/* A long path must not push out what is wrong with it: head and tail stay, the middle goes. */
static void fit(char *message, size_t size, const char *text, size_t n)
{
    static const char GAP[] = " ... ";
    size_t head = size / 3, tail = n - (size - head - sizeof GAP);
    while (head > 0 && ((unsigned char)text[head] & 0xc0) == 0x80)
        head--;
    while (((unsigned char)text[tail] & 0xc0) == 0x80)
        tail++;
    snprintf(message, size, "%.*s%s%s", (int)head, text, GAP, text + tail);
}

static void write_message(Error *e, const char *fmt, va_list ap)
{
    va_list again;
    va_copy(again, ap);
    int n = vsnprintf(e->message, sizeof e->message, fmt, ap);
    /* Not one of the library's allocations: an error is no place for another one. */
    char *whole = n >= (int)sizeof e->message ? malloc((size_t)n + 1) : NULL;
    if (whole) {
        vsnprintf(whole, (size_t)n + 1, fmt, again);
        fit(e->message, sizeof e->message, whole, (size_t)n);
    }
    free(whole);
    va_end(again);
    error_printable(e->message);
}

bool error_set(Error *e, ErrorCode code, const char *fmt, ...)
{
    if (!e || e->code)
        return false;
    va_list ap;
    va_start(ap, fmt);
    write_message(e, fmt, ap);
    va_end(ap);
    e->code = code;
    return false;
}

void error_add(Error *e, const char *fmt, ...)
{
    va_list ap;
    if (!e || !e->code)
        return;
    size_t at = strlen(e->message);
    va_start(ap, fmt);
    vsnprintf(e->message + at, sizeof e->message - at, fmt, ap);
    va_end(ap);
    error_printable(e->message);
}

bool error_memory(Error *e, const char *what, unsigned long long bytes)
{
    return error_set(e, ERR_MEMORY, "%s: out of memory (%llu bytes)", what, bytes);
}

void error_prefix(Error *e, const char *prefix)
{
    if (!e || !e->code)
        return;
    Error old = *e;
    e->code = ERR_NONE;
    error_set(e, old.code, "%s: %s", prefix, old.message);
}

_Noreturn void bug(const char *file, int line, const char *what)
{
    fprintf(stderr, "blip2: bug at %s:%d: %s\n", file, line, what);
    abort();
}
