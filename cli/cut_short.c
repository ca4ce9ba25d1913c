/* cut_short.c: a handler of SIGBUS. All that it calls is on POSIX' list of what a handler may call, or
 * is a function without state; its buffers are static, since the stack of a thread may be small. */
#define _GNU_SOURCE
#include "cut_short.h"

#include "output.h"
#include "text.h"

#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

typedef struct Maps {
    int fd;
    char buffer[4096];
    ssize_t at, n;
} Maps;

static int next_char(Maps *m)
{
    if (m->at == m->n) {
        m->n = read(m->fd, m->buffer, sizeof m->buffer);
        m->at = 0;
        if (m->n <= 0) {
            m->n = 0;
            return -1;
        }
    }
    return (unsigned char)m->buffer[m->at++];
}

static uintptr_t hexadecimal(Maps *m)
{
    uintptr_t value = 0;
    for (;;) {
        int c = next_char(m);
        if (c >= '0' && c <= '9')
            value = value * 16 + (uintptr_t)(c - '0');
        else if (c >= 'a' && c <= 'f')
            value = value * 16 + (uintptr_t)(c - 'a') + 10;
        else
            return value;
    }
}

/* The rest of a line; of its words the sixth is the path, which may have spaces (proc(5)). */
static int rest_of_line(Maps *m, char *path, size_t size)
{
    size_t n = 0;
    int c = next_char(m), field = 2;
    for (; c >= 0 && c != '\n' && field < 6; c = next_char(m))
        field += c == ' ';
    for (; c >= 0 && c != '\n'; c = next_char(m))
        if (n + 1 < size && (n > 0 || c != ' '))
            path[n++] = (char)c;
    path[n] = '\0';
    return c;
}

/* The file that is mapped at an address; an empty text when the system does not say. */
static void file_at(uintptr_t address, char *path, size_t size)
{
    static Maps m;
    path[0] = '\0';
    m.fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
    for (int c = m.fd < 0 ? -1 : 0; c >= 0;) {
        uintptr_t from = hexadecimal(&m), to = hexadecimal(&m);
        c = rest_of_line(&m, path, size);
        if (address >= from && address < to)
            return;
        path[0] = '\0';
    }
}

static void say(const char *text, size_t n)
{
    const char *shown;
    for (size_t taken, length; n > 0; text += taken, n -= taken) {
        taken = harmless(text, n, "?", &shown, &length);
        if (write(STDERR_FILENO, shown, length) < 0)
            return;
    }
}

/* What is no fault of a mapping comes again, and ends the program as if nobody had caught it. */
static void on_bus_error(int number, siginfo_t *info, void *context)
{
    static atomic_flag said = ATOMIC_FLAG_INIT;
    static char path[8192];
    static const char
        name[] = "blip2: ",
        what[] = ": weights: the file was cut short, or can no longer be read, while it was in use";
    (void)context;
    if (info->si_code != BUS_ADRERR) {
        signal(number, SIG_DFL);
        if (info->si_code <= 0)
            raise(number);
        return;
    }
    while (atomic_flag_test_and_set(&said)) /* another thread is about to end the program */
        pause();
    file_at((uintptr_t)info->si_addr, path, sizeof path);
    say(name, sizeof name - 1);
    say(path[0] ? path : "model", strlen(path[0] ? path : "model"));
    say(what, sizeof what - 1);
    (void)!write(STDERR_FILENO, "\n", 1); /* nothing is left to be done about it */
    _exit(EXIT_BAD_MODEL);
}

void watch_mapped_files(void)
{
    struct sigaction action = {.sa_sigaction = on_bus_error, .sa_flags = SA_SIGINFO};
    sigfillset(&action.sa_mask);
    sigaction(SIGBUS, &action, NULL);
}
