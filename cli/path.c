/* path.c: unquoting as a POSIX shell does (2.2 Quoting), and file URIs (RFC 8089). */
#define _GNU_SOURCE
#include "path.h"

#include "memory.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

/* Quotes and backslashes taken off, blanks at the end that are not quoted too. false: a quote is
 * open. */
static bool unquote(const char *text, char *out)
{
    size_t n = 0, end = 0; /* end: behind the last byte that stays whatever it is */
    char quote = 0;
    for (; *text; text++) {
        bool escapes = *text == '\\' && text[1] && quote != '\'';
        if (quote == '"' && escapes)
            escapes = strchr("\"\\$`", text[1]) != NULL;
        if (!escapes && (quote ? *text == quote : *text == '\'' || *text == '"')) {
            quote = quote ? 0 : *text;
            continue;
        }
        text += escapes;
        out[n++] = *text;
        if (escapes || quote || !strchr(" \t\r", *text))
            end = n;
    }
    out[end] = '\0';
    return !quote;
}

static int hex(char c)
{
    static const char digits[] = "0123456789abcdef";
    const char *at = c ? strchr(digits, c >= 'A' && c <= 'F' ? c + ('a' - 'A') : c) : NULL;
    return at ? (int)(at - digits) : -1;
}

/* file:///a%20b, file://localhost/a and file:/a become the path in place; anything else stays. */
static void from_uri(char *path)
{
    const char *from = path;
    if (strncasecmp(from, "file:/", 6) != 0)
        return;
    from += 5;
    if (from[1] == '/') {
        from += 2;
        from += strncasecmp(from, "localhost/", 10) == 0 ? 9 : 0;
    }
    if (*from != '/')
        return;
    for (; *from; from++) {
        int high = *from == '%' ? hex(from[1]) : -1, low = high < 0 ? -1 : hex(from[2]);
        bool coded = low >= 0 && (high || low);
        *path++ = coded ? (char)(high * 16 + low) : *from;
        from += coded ? 2 : 0;
    }
    *path = '\0';
}

char *typed_path(const char *text)
{
    const char *home = getenv("HOME");
    char *path = need_copy(text);
    if (access(text, F_OK) == 0 || !unquote(text, path))
        return strcpy(path, text);
    from_uri(path);
    if (strncmp(text, "~/", 2) == 0 && home && *home) {
        char *whole = need_format("%s%s", home, path + 1);
        free(path);
        path = whole;
    }
    return path;
}

bool is_regular(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISREG(st.st_mode);
}

/* The path with its folder resolved; NULL: there is no such folder. Free with free(). */
static char *in_folder(const char *path)
{
    const char *slash = strrchr(path, '/');
    char *folder = slash ? need_format("%.*s/", (int)(slash - path), path) : need_copy(".");
    char *real = realpath(folder, NULL);
    char *whole = real ? need_format("%s/%s", real, slash ? slash + 1 : path) : NULL;
    free(folder);
    free(real);
    return whole;
}

bool same_file(const char *a, const char *b)
{
    struct stat at, bt;
    bool there = stat(a, &at) == 0, other = stat(b, &bt) == 0;
    if (there || other)
        return there && other && at.st_dev == bt.st_dev && at.st_ino == bt.st_ino &&
               S_ISREG(at.st_mode);
    char *first = in_folder(a), *second = in_folder(b);
    bool same = first && second && strcmp(first, second) == 0;
    free(first);
    free(second);
    return same;
}

bool is_folder(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

bool is_url(const char *text)
{
    bool like = strncasecmp(text, "https://", 8) == 0 || strncasecmp(text, "http://", 7) == 0;
    return like && access(text, F_OK) != 0;
}
