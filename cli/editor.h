/* editor.h: reading lines from a person or a script. At a terminal with libedit lines can be edited
 * and are remembered in $XDG_STATE_HOME/blip2/chat_history; without it they are read as they come.
 * When standard input is no terminal there is no prompt. */
#ifndef CLI_EDITOR_H
#define CLI_EDITOR_H

#include <stdbool.h>

typedef struct Editor Editor;

Editor *editor_open(const char *prompt);
/* The next line without its newline, valid until the next call; NULL at the end of input. A line
 * given up with Control-C is an empty line. */
const char *editor_line(Editor *e);
/* false: the last line goes on behind a NUL byte, at which the string ends. */
bool editor_line_is_whole(const Editor *e);
/* Whether reading ended by a failure; it has been reported. */
bool editor_failed(const Editor *e);
bool editor_is_interactive(const Editor *e);
void editor_close(Editor *e);

/* "libedit" or "none" */
const char *editor_kind(void);

#endif
