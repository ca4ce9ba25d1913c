/* line.c: reading with a limit, which getline() has not: /dev/zero is one line without end. */
#define _GNU_SOURCE
#include "line.h"

#include "memory.h"
#include "output.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { LONGEST = 64 << 20 };

bool read_line(Line *l)
{
    int c = 0;
    l->length = 0;
    l->text = need_room(l->text, &l->capacity, 1, 1);
    while (l->length <= LONGEST && (c = getc_unlocked(stdin)) != EOF && c != '\n') {
        if (l->length + 2 > l->capacity)
            l->text = need_room(l->text, &l->capacity, l->length + 2, 1);
        l->text[l->length++] = (char)c;
    }
    l->text[l->length] = '\0';
    l->number++;
    l->failed = ferror(stdin) || l->length > LONGEST;
    if (ferror(stdin))
        complain("standard input: %s", strerror(errno));
    else if (l->failed)
        complain("standard input: line %zu: expected at most %d bytes, got more", l->number,
                 LONGEST);
    return !l->failed && (c == '\n' || l->length > 0);
}
