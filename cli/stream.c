/* stream.c: white space waits for what follows it; a result that differs is shown again. */
#include "stream.h"

#include "memory.h"
#include "output.h"
#include "text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void put(Stream *s, const char *shown, size_t length)
{
    s->shown = need_room(s->shown, &s->capacity, s->length + length + 1, 1);
    memcpy(s->shown + s->length, shown, length);
    s->length += length;
    s->shown[s->length] = '\0';
    out_plain_part(shown, length);
}

void stream_add(Stream *s, const char *text)
{
    size_t n = strlen(text), length;
    for (const char *shown; n > 0;) {
        size_t taken = harmless(text, n, " ", &shown, &length);
        text += taken;
        n -= taken;
        if (*shown == ' ') {
            s->spaces += s->length > 0;
            continue;
        }
        for (; s->spaces > 0; s->spaces--)
            put(s, " ", 1);
        put(s, shown, length);
    }
    out_flush();
}

/* The text fits on its line, so going back to the start of the line is enough to replace it. */
static bool one_line(const Stream *s)
{
    return s->columns + s->length < (size_t)out_columns();
}

static bool same(const char *shown, const char *text)
{
    size_t n = strlen(text), length;
    for (const char *piece; n > 0; shown += length) {
        size_t taken = harmless(text, n, " ", &piece, &length);
        if (strncmp(shown, piece, length) != 0)
            return false;
        text += taken;
        n -= taken;
    }
    return !*shown;
}

void stream_end(Stream *s, const char *text)
{
    if (s->length == 0) {
        out_plain(text);
    } else if (!same(s->shown, text)) {
        if (one_line(s) && s->columns == 0)
            out_text("\r\033[K");
        else
            out_text("\n");
        out_plain(text);
    }
    out_text("\n");
    stream_free(s);
}

void stream_drop(Stream *s)
{
    out_text(one_line(s) ? "\r\033[K" : "\n");
    out_flush();
    stream_free(s);
}

void stream_free(Stream *s)
{
    free(s->shown);
    *s = (Stream){0};
}
