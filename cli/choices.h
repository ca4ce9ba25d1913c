/* choices.h: a closed list of answers, from a file or the command line. */
#ifndef CLI_CHOICES_H
#define CLI_CHOICES_H

#include <stddef.h>

typedef struct Choices {
    char *bytes; /* the texts, one after another */
    const char **text;
    size_t count, capacity;
} Choices;

/* The lines of the file of that name, else what stands between commas; white space around is not part of a choice, and
 * empty ones are none. Returns 0, or the exit code after one line. Free in both cases. */
int choices_read(Choices *c, const char *word);
void choices_free(Choices *c);

#endif
