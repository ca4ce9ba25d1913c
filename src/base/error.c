/* base/error.c: the first error is written down, later ones are not. */
#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Text from files must not move the cursor or start a new line. */
static void make_printable(char *s)
{
    for (; *s; s++)
        if ((unsigned char)*s < 0x20 || *s == 0x7f)
            *s = '?';
}

bool error_set(Error *e, ErrorCode code, const char *fmt, ...)
{
    if (!e || e->code)
        return false;
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(e->message, sizeof e->message, fmt, ap);
    va_end(ap);
    make_printable(e->message);
    e->code = code;
    return false;
}

bool error_memory(Error *e, const char *what, unsigned long long bytes)
{
    return error_set(e, ERR_MEMORY, "%s: out of memory (%llu bytes)", what, bytes);
}

void error_prefix(Error *e, const char *prefix)
{
    char old[sizeof e->message];
    if (!e || !e->code)
        return;
    memcpy(old, e->message, sizeof old);
    int n = snprintf(e->message, sizeof e->message, "%s: ", prefix);
    if (n >= 0 && (size_t)n < sizeof e->message)
        snprintf(e->message + n, sizeof e->message - (size_t)n, "%s", old);
    make_printable(e->message);
}

_Noreturn void bug(const char *file, int line, const char *what)
{
    fprintf(stderr, "blip2: bug at %s:%d: %s\n", file, line, what);
    abort();
}
