/* terminal.h: the terminal's settings, given back whatever ends the program. Line editing switches
 * echo, lines and signals off while it reads; nobody else's shell may be left like that. */
#ifndef CLI_TERMINAL_H
#define CLI_TERMINAL_H

#include <stdbool.h>

/* From now on standard input's settings are put back as they are now: when the program exits, when a
 * signal ends it, and while one has stopped it. Signals that were ignored (nohup) stay ignored. Call
 * before anything changes them. */
void terminal_keep(void);
/* Puts them back now; terminal_keep may be called again. Does nothing when nothing is kept. */
void terminal_give_back(void);

/* Around the reading of a line. What stands between is set again when the program goes on after a
 * stop. */
void terminal_reading(bool on);
/* Whether the program was stopped and went on since the last call: the line has to be shown again. */
bool terminal_resumed(void);

/* Stops the program's job, as the terminal does for Control-Z where it sees that key itself. */
void terminal_suspend(void);

/* Ends the program by a signal, as if nobody had caught it. Safe in a signal handler. */
void terminal_die(int signal_number);

#endif
