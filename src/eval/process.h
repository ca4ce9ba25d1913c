/* eval/process.h: a program of the user's that computes a metric: it is given text and answers with text.
 *
 * No signal of this process is touched: what the program no longer reads is an error and no SIGPIPE. Writing and reading go
 * on together, so neither side can wait for the other for ever. One thread at a time uses a Process. */
#ifndef EVAL_PROCESS_H
#define EVAL_PROCESS_H

#include <stddef.h>

#include "base/error.h"
#include "base/str.h"

typedef struct Process Process;

/* Starts argv[0], looked up in PATH; argv ends with NULL. Its standard error is kept for messages. NULL: ERR_FAILED
 * "PROGRAM: program: not found ..." or why it could not be started, or ERR_MEMORY. Ended with process_end. */
Process *process_start(const char *const *argv, Error *e);

/* Gives it n bytes and appends to out what it answers: until `lines` ends of lines have come, or with lines = 0 all of it
 * (its input is closed then). At most `limit` bytes. False: it ended early, answered more, or memory ended. */
bool process_ask(Process *p, const char *text, size_t n, size_t lines, size_t limit, StrBuf *out,
                 Error *e);

/* Closes its input, waits until it has ended, frees p. False when it failed: "PROGRAM: exit code N: last line of its
 * standard error". After an error of process_ask it is ended and that error stays. NULL is fine. */
bool process_end(Process *p, Error *e);

/* Asks it to end (SIGTERM), for those whose answer is no longer wanted; process_end follows. */
void process_stop(Process *p);

/* The three in one: standard input, standard output, exit code 0. */
bool process_filter(const char *const *argv, const char *text, size_t n, size_t limit, StrBuf *out,
                    Error *e);

#endif
