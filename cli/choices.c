/* choices.c: see choices.h. */
#include "choices.h"

#include "memory.h"
#include "output.h"
#include "path.h"
#include "session.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BYTES_MOST = 64 << 20 };

static int read_file(const char *path, char **bytes)
{
    size_t n = 0, room = 0, got;
    FILE *f = fopen(path, "rb");
    if (!f) {
        complain("%s: %s", path, strerror(errno));
        return EXIT_FAILED;
    }
    do {
        *bytes = need_room(*bytes, &room, n + 65536, 1);
        got = fread(*bytes + n, 1, 65535, f);
        n += got;
    } while (got && n < BYTES_MOST);
    bool failed = ferror(f);
    fclose(f);
    (*bytes)[n] = 0;
    if (n >= BYTES_MOST || failed || strlen(*bytes) != n) {
        complain("%s: expected lines of text, at most %d bytes", path, BYTES_MOST);
        return EXIT_FAILED;
    }
    return 0;
}

/* Without white space around. */
static char *trimmed(char *s)
{
    s += strspn(s, " \t\r");
    size_t n = strlen(s);
    while (n && strchr(" \t\r", s[n - 1]))
        s[--n] = 0;
    return s;
}

int choices_read(Choices *c, const char *word)
{
    bool file = is_regular(word);
    int code = 0;
    *c = (Choices){0};
    if (file)
        code = read_file(word, &c->bytes);
    else
        c->bytes = need_copy(word);
    for (char *s = c->bytes, *next; !code && s; s = next) {
        next = strpbrk(s, file ? "\n" : ",");
        if (next)
            *next++ = 0;
        s = trimmed(s);
        if (!*s)
            continue;
        code = check_text("--choices", s);
        c->text = need_room(c->text, &c->capacity, c->count + 1, sizeof *c->text);
        c->text[c->count++] = s;
    }
    if (!code && !c->count)
        code =
            usage_error("--choices: expected a file of answers, or some between commas, got none");
    return code;
}

void choices_free(Choices *c)
{
    free(c->bytes);
    free(c->text);
}
