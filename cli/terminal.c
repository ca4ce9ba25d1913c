/* terminal.c: signal handlers around the terminal's settings. Everything they call is on POSIX' list
 * of what a handler may call. */
#define _GNU_SOURCE
#include "terminal.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <termios.h>
#include <unistd.h>

/* Whether a signal ends a program unless it is caught. SIGPIPE does not: main ignores it. */
static bool deadly(int number)
{
    static const int HARMLESS[] = {SIGCHLD, SIGCONT, SIGSTOP,  SIGTSTP, SIGTTIN,
                                   SIGTTOU, SIGURG,  SIGWINCH, SIGKILL, SIGPIPE};
    for (size_t i = 0; i < sizeof HARMLESS / sizeof *HARMLESS; i++)
        if (number == HARMLESS[i])
            return false;
    return true;
}

static struct termios before, while_reading;
static struct sigaction previous[NSIG];
static volatile sig_atomic_t kept, reading, resumed;

/* Only the job in the foreground may set a terminal; others would be stopped for it, or would change
 * it under the shell. */
static void set_terminal(const struct termios *settings)
{
    if (tcgetpgrp(STDIN_FILENO) == getpgrp())
        tcsetattr(STDIN_FILENO, TCSANOW, settings);
}

void terminal_die(int number)
{
    sigset_t one;
    if (kept)
        set_terminal(&before);
    signal(number, SIG_DFL);
    raise(number);
    sigemptyset(&one);
    sigaddset(&one, number);
    sigprocmask(SIG_UNBLOCK, &one, NULL);
}

/* A handler that was there before has its say: the signal comes again, of a fault by itself. */
static void on_deadly(int number, siginfo_t *info, void *context)
{
    (void)context;
    if (previous[number].sa_handler == SIG_DFL) {
        terminal_die(number);
        return;
    }
    if (kept)
        set_terminal(&before);
    sigaction(number, &previous[number], NULL);
    if (info->si_code <= 0) /* sent by somebody */
        raise(number);
}

static void watch_for(int number, struct sigaction action)
{
    sigfillset(&action.sa_mask);
    sigaction(number, NULL, &previous[number]);
    if (previous[number].sa_handler != SIG_IGN)
        sigaction(number, &action, NULL);
}

/* Also after a stop that cannot be caught, when the shell has put back its own settings. */
static void on_continue(int number)
{
    int error = errno;
    (void)number;
    if (reading && tcgetpgrp(STDIN_FILENO) == getpgrp()) { /* not sent on in the background */
        set_terminal(&while_reading);
        resumed = 1;
    }
    errno = error;
}

static void on_stop(int number)
{
    struct sigaction own;
    sigset_t one;
    int error = errno;
    set_terminal(&before);
    sigaction(number, &previous[number], &own);
    raise(number);
    sigemptyset(&one);
    sigaddset(&one, number);
    sigprocmask(SIG_UNBLOCK, &one, NULL); /* here it stands still */
    sigaction(number, &own, NULL);
    on_continue(SIGCONT);
    errno = error;
}

void terminal_keep(void)
{
    static bool at_exit;
    if (kept || tcgetattr(STDIN_FILENO, &before) != 0)
        return;
    for (int number = 1; number < NSIG; number++)
        if (deadly(number))
            watch_for(number,
                      (struct sigaction){.sa_sigaction = on_deadly, .sa_flags = SA_SIGINFO});
    watch_for(SIGTSTP, (struct sigaction){.sa_handler = on_stop});
    watch_for(SIGCONT, (struct sigaction){.sa_handler = on_continue});
    if (!at_exit)
        at_exit = atexit(terminal_give_back) == 0;
    kept = 1;
}

void terminal_give_back(void)
{
    if (!kept)
        return;
    reading = 0;
    set_terminal(&before);
    kept = 0;
    for (int number = 1; number < NSIG; number++)
        if (deadly(number))
            sigaction(number, &previous[number], NULL);
    sigaction(SIGTSTP, &previous[SIGTSTP], NULL);
    sigaction(SIGCONT, &previous[SIGCONT], NULL);
}

void terminal_reading(bool on)
{
    if (on && kept)
        tcgetattr(STDIN_FILENO, &while_reading);
    reading = on && kept;
}

bool terminal_resumed(void)
{
    bool was = resumed;
    resumed = 0;
    return was;
}

void terminal_suspend(void)
{
    kill(0, SIGTSTP);
}
