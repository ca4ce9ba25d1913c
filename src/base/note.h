/* base/note.h: things that a user should know and that are no error, collected to one line. */
#ifndef BASE_NOTE_H
#define BASE_NOTE_H

#include <stddef.h>

/* Starts as {0}; owns nothing and may be copied. */
typedef struct Notes {
    char text[1024]; /* "FILE: OBJECT: what, ...; FILE: OBJECT: ..."; "": nothing */
} Notes;

/* Adds one; of what no longer fits only "..." is left. Control characters are replaced as in errors. */
void note_add(Notes *n, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Adds one to a line of `size` bytes, behind "; " when there is something. */
void note_append(char *line, size_t size, const char *text);

/* Adds those of another list. */
void note_add_all(Notes *n, const Notes *more);

#endif
