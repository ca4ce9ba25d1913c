/* line.h: lines of standard input, of any program and of any length that makes sense. */
#ifndef CLI_LINE_H
#define CLI_LINE_H

#include <stdbool.h>
#include <stddef.h>

typedef struct Line {
    char *text; /* without its newline, terminated; may hold NUL */
    size_t length, capacity, number;
    bool failed; /* reading ended by a failure, which has been reported */
} Line;

/* Reads the next line of standard input. false: there is none, or it cannot be read, or it is longer
 * than 64 MiB. Free l->text with free(). */
bool read_line(Line *l);

#endif
