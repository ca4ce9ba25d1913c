/* base/note.c: notes are joined by "; ". */
#include "base/note.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"

void note_add(Notes *n, const char *fmt, ...)
{
    static const char MORE[] = "; ...";
    size_t at = strlen(n->text), room = sizeof n->text - sizeof MORE;
    va_list ap;
    if (at >= room)
        return;
    char text[sizeof n->text];
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    error_printable(text);
    if (at + 2 + strlen(text) > room)
        strcpy(n->text + at, at ? MORE : MORE + 2);
    else
        note_append(n->text, sizeof n->text, text);
}

void note_add_all(Notes *n, const Notes *more)
{
    if (*more->text)
        note_add(n, "%s", more->text);
}

void note_append(char *line, size_t size, const char *text)
{
    size_t n = strlen(line);
    snprintf(line + n, size - n, "%s%s", n ? "; " : "", text);
}
