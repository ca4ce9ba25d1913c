/* output.h: what the command writes. Results go to standard output, everything else to standard
 * error. A result that cannot be written (disk full) is an error like any other: it is
 * noticed at the flush after each result, reported once, and ends the run with exit code 1. A reader
 * that has had enough (head -1) ends the run, too, and is no failure. */
#ifndef CLI_OUTPUT_H
#define CLI_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>

/* Exit codes; the same numbers as blip2_error_code where both exist. */
enum {
    EXIT_OK = 0,
    EXIT_FAILED = 1,
    EXIT_USAGE = 2,
    EXIT_SOME = 3,
    EXIT_NO_MODEL = 4,
    EXIT_BAD_MODEL = 5,
    EXIT_MEMORY = 6
};

bool out_is_terminal(void);
bool err_is_terminal(void);
/* Columns of the terminal on standard output; 80 when there is none. */
int out_columns(void);

void out_text(const char *text);
void out_print(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Text of others, a model's or a file's name, on one line: control characters become spaces, on a
 * terminal all that it would obey (text.h, harmless); elsewhere the rest goes as it is. */
void out_plain(const char *text);
void out_plain_part(const char *text, size_t n);
/* false once nothing more can be written; says so on standard error the first time, unless it is that
 * the reader has gone. */
bool out_flush(void);
/* Flushes; returns code, or EXIT_FAILED when standard output failed. What the reader did not want
 * does not count. */
int out_finish(int code);

/* Start and end of emphasis: escape sequences on a terminal, else empty strings. */
const char *out_bold(void);
const char *out_dim(void);
const char *out_normal(void);

/* "blip2: MESSAGE" on standard error, always one line; what a terminal would obey becomes "?". */
void complain(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* A line of a table on standard error, without "blip2: ". */
void err_print(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* complain(), then returns EXIT_USAGE. */
int usage_error(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* A status line on standard error that the next one replaces; nothing unless it is a terminal.
 * NULL removes it. */
void progress(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
