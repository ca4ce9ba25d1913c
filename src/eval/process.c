/* eval/process.c: a socket for what the program reads, so that a closed end is an error code, and pipes for what it
 * writes. */
#define _GNU_SOURCE
#include "eval/process.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"

enum { TAIL = 400, CHUNK = 1 << 16 };

struct Process {
    const char *name;
    pid_t pid;
    int in, out, err;    /* -1: closed */
    char tail[TAIL + 1]; /* the end of what it wrote to standard error */
    size_t tail_length;
    char chunk[CHUNK];
};

static void shut(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

/* --- starting ------------------------------------------------------------------------------------- */

typedef struct Ends {
    int in[2], out[2], err[2]; /* [0] ours, [1] the program's */
} Ends;

static void shut_ends(Ends *x)
{
    for (int i = 0; i < 2; i++) {
        shut(&x->in[i]);
        shut(&x->out[i]);
        shut(&x->err[i]);
    }
}

static bool open_ends(Ends *x)
{
    *x = (Ends){{-1, -1}, {-1, -1}, {-1, -1}};
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, x->in) == 0 &&
        pipe2(x->out, O_CLOEXEC) == 0 && pipe2(x->err, O_CLOEXEC) == 0)
        return true;
    shut_ends(x);
    return false;
}

/* What this process ignores, the program does not. */
static int default_signals(posix_spawnattr_t *attributes)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGPIPE);
    sigaddset(&set, SIGXFSZ);
    int failed = posix_spawnattr_setsigdefault(attributes, &set);
    return failed ? failed : posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETSIGDEF);
}

/* 0 or an error number. */
static int spawn_with(pid_t *pid, const Ends *x, const char *const *argv,
                      posix_spawnattr_t *attributes)
{
    posix_spawn_file_actions_t actions;
    int failed = posix_spawn_file_actions_init(&actions);
    if (failed)
        return failed;
    failed = posix_spawn_file_actions_adddup2(&actions, x->in[1], 0);
    if (!failed)
        failed = posix_spawn_file_actions_adddup2(&actions, x->out[1], 1);
    if (!failed)
        failed = posix_spawn_file_actions_adddup2(&actions, x->err[1], 2);
    if (!failed)
        failed = posix_spawnp(pid, argv[0], &actions, attributes, (char *const *)(uintptr_t)argv,
                              environ);
    posix_spawn_file_actions_destroy(&actions);
    return failed;
}

static int spawn(pid_t *pid, const Ends *x, const char *const *argv)
{
    posix_spawnattr_t attributes;
    int failed = posix_spawnattr_init(&attributes);
    if (failed)
        return failed;
    failed = default_signals(&attributes);
    if (!failed)
        failed = spawn_with(pid, x, argv, &attributes);
    posix_spawnattr_destroy(&attributes);
    return failed;
}

static void cannot_start(const char *name, int why, Error *e)
{
    if (why == ENOENT)
        error_set(e, ERR_FAILED, "%s: program: not found; is it installed, and in PATH?", name);
    else
        error_set(e, ERR_FAILED, "%s: program: not started: %s", name, strerror(why));
}

Process *process_start(const char *const *argv, Error *e)
{
    Ends x;
    Process *p = mem_calloc(1, sizeof *p);
    if (!p) {
        error_memory(e, argv[0], sizeof *p);
        return NULL;
    }
    int failed = open_ends(&x) ? 0 : errno;
    if (!failed) {
        failed = spawn(&p->pid, &x, argv);
        shut(&x.in[1]);
        shut(&x.out[1]);
        shut(&x.err[1]);
    }
    if (failed) {
        cannot_start(argv[0], failed, e);
        shut_ends(&x);
        mem_free(p);
        return NULL;
    }
    p->name = argv[0];
    p->in = x.in[0];
    p->out = x.out[0];
    p->err = x.err[0];
    return p;
}

/* --- talking -------------------------------------------------------------------------------------- */

/* The last bytes of what there is and of what comes. */
static void keep_tail(Process *p, const char *bytes, size_t n)
{
    if (n > TAIL) {
        bytes += n - TAIL;
        n = TAIL;
    }
    size_t stay = p->tail_length + n > TAIL ? TAIL - n : p->tail_length;
    memmove(p->tail, p->tail + p->tail_length - stay, stay);
    memcpy(p->tail + stay, bytes, n);
    p->tail_length = stay + n;
    p->tail[p->tail_length] = 0;
}

/* Bytes in p->chunk; the descriptor is closed at its end. */
static size_t receive(Process *p, int *fd)
{
    ssize_t n = read(*fd, p->chunk, CHUNK);
    if (n > 0)
        return (size_t)n;
    if (n == 0 || (errno != EINTR && errno != EAGAIN))
        shut(fd);
    return 0;
}

typedef struct Talk {
    const char *text;
    size_t left, lines, limit, got; /* got: lines */
    StrBuf *out;
} Talk;

static void send_more(Process *p, Talk *t)
{
    ssize_t n = send(p->in, t->text, t->left, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n >= 0) {
        t->text += n;
        t->left -= (size_t)n;
    } else if (errno != EINTR && errno != EAGAIN) {
        shut(&p->in);
    }
}

static void take_answer(Process *p, Talk *t)
{
    size_t n = receive(p, &p->out);
    for (size_t i = 0; i < n; i++)
        t->got += p->chunk[i] == '\n';
    strbuf_add(t->out, p->chunk, n);
}

/* What there is to do at one of the three ends. False: waiting failed. */
static bool talk_once(Process *p, Talk *t)
{
    struct pollfd fds[3] = {
        {t->left ? p->in : -1, POLLOUT, 0}, {p->out, POLLIN, 0}, {p->err, POLLIN, 0}};
    if (poll(fds, 3, -1) < 0)
        return errno == EINTR;
    if (fds[0].revents)
        send_more(p, t);
    if (fds[1].revents)
        take_answer(p, t);
    if (fds[2].revents)
        keep_tail(p, p->chunk, receive(p, &p->err));
    return true;
}

/* The last line that it wrote to standard error; "" when there is none. */
static const char *last_words(Process *p)
{
    while (p->tail_length > 0 && strchr("\r\n ", p->tail[p->tail_length - 1]))
        p->tail[--p->tail_length] = 0;
    const char *line = strrchr(p->tail, '\n');
    return line ? line + 1 : p->tail;
}

/* 0 when it ended well, or when somebody else in this process collected it. */
static int wait_for(Process *p)
{
    int status = 0;
    pid_t got;
    do
        got = waitpid(p->pid, &status, 0);
    while (got < 0 && errno == EINTR);
    p->pid = 0;
    return got < 0 ? 0 : status;
}

/* Lets it end and hears how; once. */
static bool collect(Process *p, Error *e)
{
    if (p->pid == 0)
        return true;
    shut(&p->in);
    shut(&p->out);
    while (p->err >= 0)
        keep_tail(p, p->chunk, receive(p, &p->err));
    int status = wait_for(p);
    const char *words = last_words(p), *between = *words ? ": " : "";
    if (WIFSIGNALED(status))
        return error_set(e, ERR_FAILED, "%s: program: ended by signal %d%s%s", p->name,
                         WTERMSIG(status), between, words);
    return WEXITSTATUS(status) == 0 ||
           error_set(e, ERR_FAILED, "%s: program: expected exit code 0, got %d%s%s", p->name,
                     WEXITSTATUS(status), between, words);
}

static bool finished(const Talk *t)
{
    return t->lines && t->got >= t->lines;
}

bool process_ask(Process *p, const char *text, size_t n, size_t lines, size_t limit, StrBuf *out,
                 Error *e)
{
    Talk t = {.text = text, .left = n, .lines = lines, .limit = limit, .out = out};
    size_t from = out->len;
    while (p->out >= 0 && !finished(&t) && !out->failed) {
        if (!talk_once(p, &t))
            return error_set(e, ERR_FAILED, "%s: program: %s", p->name, strerror(errno));
        if (out->len - from > limit)
            return error_set(e, ERR_FAILED, "%s: answer: expected at most %zu bytes, got more",
                             p->name, limit);
        if (!lines && t.left == 0 && p->in >= 0)
            shut(&p->in);
    }
    if (out->failed)
        return error_memory(e, p->name, limit);
    if (!lines || finished(&t))
        return true;
    /* A program that ended early says why by its exit code. */
    return collect(p, e) && error_set(e, ERR_FAILED, "%s: answer: expected %zu lines, got %zu",
                                      p->name, lines, t.got);
}

/* --- the end -------------------------------------------------------------------------------------- */

bool process_end(Process *p, Error *e)
{
    if (!p)
        return true;
    bool ok = collect(p, e);
    mem_free(p);
    return ok;
}

void process_stop(Process *p)
{
    if (p && p->pid > 0)
        kill(p->pid, SIGTERM);
}

bool process_filter(const char *const *argv, const char *text, size_t n, size_t limit, StrBuf *out,
                    Error *e)
{
    Process *p = process_start(argv, e);
    bool ok = p && process_ask(p, text, n, 0, limit, out, e);
    if (!ok)
        process_stop(p);
    return process_end(p, e) && ok;
}
