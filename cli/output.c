/* output.c: standard output and error, colours, messages, progress. */
#define _GNU_SOURCE
#include "output.h"

#include "text.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

static bool broken;       /* standard output has failed and that was said */
static int first_error;   /* errno of the first failed write */
static bool status_shown; /* a status line stands on the terminal */

bool out_is_terminal(void)
{
    return isatty(STDOUT_FILENO);
}

bool err_is_terminal(void)
{
    return isatty(STDERR_FILENO);
}

int out_columns(void)
{
    struct winsize size;
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
        return size.ws_col;
    return 80;
}

static void note_error(void)
{
    if (!first_error)
        first_error = errno ? errno : EIO;
}

void out_text(const char *text)
{
    if (fputs(text, stdout) == EOF)
        note_error();
}

void out_print(const char *format, ...)
{
    va_list list;
    va_start(list, format);
    int n = vprintf(format, list);
    va_end(list);
    if (n < 0)
        note_error();
}

static bool put_harmless(FILE *f, const char *text, size_t n, const char *mark)
{
    bool good = true;
    while (n > 0) {
        const char *shown;
        size_t length, taken = harmless(text, n, mark, &shown, &length);
        good &= fwrite(shown, 1, length, f) == length;
        text += taken;
        n -= taken;
    }
    return good;
}

/* To a file or a program text goes as it is, but on one line. */
static bool put_line(FILE *f, const char *text, size_t n)
{
    bool good = true;
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)text[i];
        good &= putc(c < 0x20 || c == 0x7f ? ' ' : c, f) != EOF;
    }
    return good;
}

void out_plain_part(const char *text, size_t n)
{
    if (!(out_is_terminal() ? put_harmless(stdout, text, n, " ") : put_line(stdout, text, n)))
        note_error();
}

void out_plain(const char *text)
{
    out_plain_part(text, strlen(text));
}

bool out_flush(void)
{
    if (broken)
        return false;
    if (fflush(stdout) != 0)
        note_error();
    if (!first_error)
        return true;
    broken = true;
    if (first_error != EPIPE)
        complain("standard output: %s", strerror(first_error));
    return false;
}

int out_finish(int code)
{
    progress(NULL);
    return out_flush() || first_error == EPIPE ? code : EXIT_FAILED;
}

static bool coloured(void)
{
    const char *term = getenv("TERM"), *no = getenv("NO_COLOR");
    return out_is_terminal() && !(no && *no) && term && strcmp(term, "dumb") != 0;
}

const char *out_bold(void)
{
    return coloured() ? "\033[1m" : "";
}

const char *out_dim(void)
{
    return coloured() ? "\033[2m" : "";
}

const char *out_normal(void)
{
    return coloured() ? "\033[0m" : "";
}

/* Whole when there is memory for a long one: what is wrong stands at its end. */
static void complain_list(const char *format, va_list list)
{
    char line[2048], *whole = NULL;
    va_list again;
    va_copy(again, list);
    if (vsnprintf(line, sizeof line, format, list) >= (int)sizeof line &&
        vasprintf(&whole, format, again) < 0)
        whole = NULL;
    va_end(again);
    progress(NULL);
    fputs("blip2: ", stderr);
    put_harmless(stderr, whole ? whole : line, strlen(whole ? whole : line), "?");
    fputs("\n", stderr);
    free(whole);
}

void complain(const char *format, ...)
{
    va_list list;
    va_start(list, format);
    complain_list(format, list);
    va_end(list);
}

void err_print(const char *format, ...)
{
    va_list list;
    progress(NULL);
    va_start(list, format);
    vfprintf(stderr, format, list);
    va_end(list);
}

int usage_error(const char *format, ...)
{
    va_list list;
    va_start(list, format);
    complain_list(format, list);
    va_end(list);
    return EXIT_USAGE;
}

void progress(const char *format, ...)
{
    if (!err_is_terminal() || (!format && !status_shown))
        return;
    fputs("\r\033[K", stderr);
    status_shown = format != NULL;
    if (format) {
        char line[1024];
        va_list list;
        va_start(list, format);
        vsnprintf(line, sizeof line, format, list);
        va_end(list);
        put_harmless(stderr, line, strlen(line), "?");
    }
    fflush(stderr);
}
