/* stream.c: white space waits for what follows it; a result that differs is shown again. */
#include "stream.h"

#include "memory.h"
#include "output.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void put(Stream *s, char c)
{
    s->shown = need_room(s->shown, &s->capacity, s->length + 2, 1);
    s->shown[s->length++] = c;
    s->shown[s->length] = '\0';
    out_print("%c", c);
}

void stream_add(Stream *s, const char *text)
{
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;
        if (c <= ' ' || c == 0x7f) {
            s->spaces += s->length > 0;
            continue;
        }
        for (; s->spaces > 0; s->spaces--)
            put(s, ' ');
        put(s, (char)c);
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
    for (; *shown && *text; shown++, text++) {
        unsigned char c = (unsigned char)*text;
        if ((unsigned char)*shown != (c < ' ' || c == 0x7f ? ' ' : c))
            return false;
    }
    return *shown == *text;
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
