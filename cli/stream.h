/* stream.h: text on a terminal while it is generated. The tokens' text is shown as the final result
 * will be: without white space at both ends, on one line. */
#ifndef CLI_STREAM_H
#define CLI_STREAM_H

#include <stdbool.h>
#include <stddef.h>

typedef struct Stream {
    char *shown; /* what stands on the terminal, terminated */
    size_t length, capacity;
    size_t spaces;  /* held back: they are shown only when something follows */
    size_t columns; /* before the text on this line */
} Stream;

void stream_add(Stream *s, const char *text);
/* Makes the line hold exactly `text` (clean-up may have changed it since), and ends the line. */
void stream_end(Stream *s, const char *text);
/* Takes the line away, so that a message can stand in its place. */
void stream_drop(Stream *s);
void stream_free(Stream *s);

#endif
