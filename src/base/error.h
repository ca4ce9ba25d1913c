/* base/error.h: errors are values.
 *
 * A function that can fail because the world is wrong (file, flag, device, memory) takes an Error
 * as its last argument and returns false or NULL. The caller owns the Error; zero-initialise it
 * with `Error e = {0}`. The first error stays: later ones are consequences. The message has the
 * form "file: object: what, expected vs got", one line, no newline, no trailing full stop.
 *
 * A state that no input can reach is a bug: BUG() says where and aborts. */
#ifndef BASE_ERROR_H
#define BASE_ERROR_H

#include <stdbool.h>

typedef enum ErrorCode {
    ERR_NONE = 0,
    ERR_FAILED = 1,    /* this item could not be done: a bad picture, a prompt too long */
    ERR_USAGE = 2,     /* the caller asked for something that has no meaning */
    ERR_NO_MODEL = 4,  /* no such model, or not reachable */
    ERR_BAD_MODEL = 5, /* a model file that is damaged, hostile or incomplete */
    ERR_MEMORY = 6,    /* an allocation failed */
    ERR_STOPPED = 7,   /* a callback of the caller asked to stop */
} ErrorCode;

typedef struct Error {
    ErrorCode code;
    char message[1024];
} Error;

/* Sets code and message unless an error is already there (or e is NULL). Control characters in the
 * message (error_printable) are replaced; what is too long loses its middle. Always returns false. */
bool error_set(Error *e, ErrorCode code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* "WHAT: out of memory (N bytes)". Always returns false. */
bool error_memory(Error *e, const char *what, unsigned long long bytes);

/* C0 and DEL in a text become "?": text from files must not move the cursor or start a new line. What
 * only a terminal would obey (C1 and the like) is the business of whoever writes to one. */
void error_printable(char *text);

/* Adds to the message that is there; nothing when there is none. */
void error_add(Error *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Puts "prefix: " before the message that is there. */
void error_prefix(Error *e, const char *prefix);

_Noreturn void bug(const char *file, int line, const char *what);
#define BUG(what) bug(__FILE__, __LINE__, what)

#endif
