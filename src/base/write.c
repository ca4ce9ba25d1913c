/* base/write.c: files that appear whole or not at all; what is no file is written to. */
#define _GNU_SOURCE
#include "base/write.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/str.h"

enum { LINKS_MAX = 40, TRIES = 1000, NAME_PART = 200 };

static bool fail(const char *path, int why, Error *e)
{
    return error_set(e, ERR_FAILED, "%s: %s", path, strerror(why));
}

/* --- signals ------------------------------------------------------------------------------------- */

/* A write beyond the limit of file sizes, or to a pipe without a reader, raises a signal in the
 * thread that writes, and it ends the program. How a program takes signals is not ours to change, so
 * this thread holds the two back while it writes and takes away what its writes raised. */
typedef struct Quiet {
    sigset_t both, before, waiting;
} Quiet;

static void quiet_begin(Quiet *q)
{
    sigemptyset(&q->both);
    sigaddset(&q->both, SIGXFSZ);
    sigaddset(&q->both, SIGPIPE);
    sigpending(&q->waiting);
    pthread_sigmask(SIG_BLOCK, &q->both, &q->before);
}

static void quiet_end(const Quiet *q)
{
    static const int OURS[] = {SIGXFSZ, SIGPIPE};
    int kept = errno;
    for (int i = 0; i < 2; i++) {
        sigset_t one;
        sigemptyset(&one);
        sigaddset(&one, OURS[i]);
        if (!sigismember(&q->waiting, OURS[i]))
            sigtimedwait(&one, NULL, &(struct timespec){0, 0});
    }
    pthread_sigmask(SIG_SETMASK, &q->before, NULL);
    errno = kept;
}

static bool write_all(int fd, const Piece *pieces, int n)
{
    for (int i = 0; i < n; i++)
        for (size_t at = 0; at < pieces[i].n;) {
            ssize_t k = write(fd, (const char *)pieces[i].data + at, pieces[i].n - at);
            if (k < 0 && errno != EINTR)
                return false;
            at += k > 0 ? (size_t)k : 0;
        }
    return true;
}

static bool write_quietly(int fd, const Piece *pieces, int n)
{
    Quiet q;
    quiet_begin(&q);
    bool ok = write_all(fd, pieces, n);
    quiet_end(&q);
    return ok;
}

/* --- what is no file ------------------------------------------------------------------------------- */

/* The descriptor that a name stands for, or -1. Opening such a name would not do: a socket cannot be
 * opened, and a file would be written from its start. */
static int named_descriptor(const char *path)
{
    static const char *const FOLDERS[] = {"/dev/fd/", "/proc/self/fd/"};
    if (strcmp(path, "/dev/stdout") == 0)
        return STDOUT_FILENO;
    if (strcmp(path, "/dev/stderr") == 0)
        return STDERR_FILENO;
    for (int i = 0; i < 2; i++)
        if (str_starts(path, FOLDERS[i])) {
            const char *digits = path + strlen(FOLDERS[i]);
            size_t n = strspn(digits, "0123456789");
            return n > 0 && n < 7 && !digits[n] ? atoi(digits) : -1;
        }
    return -1;
}

static bool write_to(int fd, const char *path, const Piece *pieces, int n, Error *e)
{
    if (fd < 0)
        return fail(path, errno, e);
    bool ok = write_quietly(fd, pieces, n);
    int why = errno;
    if (close(fd) != 0 && ok) {
        ok = false;
        why = errno;
    }
    return ok || fail(path, why, e);
}

static bool write_direct(const char *path, const char *end, const Piece *pieces, int n, WriteTo to,
                         Error *e)
{
    int named = named_descriptor(end);
    if (to == WRITE_FILE)
        return error_set(e, ERR_FAILED, "%s: expected a file, got something else", path);
    return write_to(named >= 0 ? fcntl(named, F_DUPFD_CLOEXEC, 0)
                               : open(end, O_WRONLY | O_CLOEXEC | O_NOCTTY),
                    path, pieces, n, e);
}

/* --- files ----------------------------------------------------------------------------------------- */

/* Puts what the link at *path says in place of *path. */
static bool follow(char **path)
{
    char text[4096];
    ssize_t n = readlink(*path, text, sizeof text - 1);
    if (n < 0 || n == sizeof text - 1) {
        errno = n < 0 ? errno : ENAMETOOLONG;
        return false;
    }
    text[n] = 0;
    const char *slash = strrchr(*path, '/');
    size_t dir = text[0] == '/' || !slash ? 0 : (size_t)(slash - *path) + 1;
    char *next = mem_alloc(dir + (size_t)n + 1);
    if (next) {
        memcpy(next, *path, dir);
        memcpy(next + dir, text, (size_t)n + 1);
        mem_free(*path);
        *path = next;
    } else {
        errno = ENOMEM;
    }
    return next != NULL;
}

/* Follows links that lead to a file until there is none, or a name for a descriptor; the file at the
 * end may not be there. Its mode is 0 then. */
static bool find_end(char **path, struct stat *st)
{
    for (int i = 0; i < LINKS_MAX; i++) {
        *st = (struct stat){0};
        if (named_descriptor(*path) >= 0 || (stat(*path, st) == 0 && !S_ISREG(st->st_mode)))
            return true; /* the text of a link in /proc may be no path: pipe:[123] */
        if (lstat(*path, st) != 0)
            return errno == ENOENT;
        if (!S_ISLNK(st->st_mode))
            return true;
        if (!follow(path))
            return false;
    }
    errno = ELOOP;
    return false;
}

/* Opens a new file beside path, with the mode of the old one (0: there is none), and writes its name to
 * tmp. */
static int open_beside(const char *path, mode_t mode, char *tmp, size_t size)
{
    static atomic_uint serial;
    const char *slash = strrchr(path, '/');
    int dir = slash ? (int)(slash - path) + 1 : 0, fd = -1;
    errno = EEXIST;
    for (int i = 0; fd < 0 && errno == EEXIST && i < TRIES; i++) {
        snprintf(tmp, size, "%.*s%.*s.tmp.%ld.%u", dir, path, NAME_PART, path + dir, (long)getpid(),
                 atomic_fetch_add(&serial, 1));
        fd = open(tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOCTTY,
                  mode ? mode & 0777 : 0666);
    }
    if (fd >= 0 && mode)
        (void)!fchmod(fd, mode & 0777); /* some file systems have no permissions */
    return fd;
}

/* --- a file that grows ------------------------------------------------------------------------------ */

struct OutFile {
    char *path, *end, *tmp; /* as it was given; where its links lead; what is written meanwhile */
    int fd;
};

static void out_free(OutFile *f)
{
    mem_free(f->path);
    mem_free(f->end);
    mem_free(f->tmp);
    mem_free(f);
}

/* Takes `end` over. */
static OutFile *out_new(const char *path, char *end, Error *e)
{
    OutFile *f = mem_calloc(1, sizeof *f);
    size_t size = strlen(end) + 64;
    if (!f) {
        mem_free(end);
        error_memory(e, path, sizeof *f);
        return NULL;
    }
    *f = (OutFile){.path = mem_strdup(path), .end = end, .tmp = mem_alloc(size), .fd = -1};
    if (f->path && f->tmp)
        return f;
    out_free(f);
    error_memory(e, path, size);
    return NULL;
}

static OutFile *begin_at(const char *path, char *end, mode_t mode, Error *e)
{
    OutFile *f = out_new(path, end, e);
    if (!f)
        return NULL;
    f->fd = open_beside(f->end, mode, f->tmp, strlen(f->end) + 64);
    if (f->fd >= 0)
        return f;
    fail(path, errno, e);
    out_free(f);
    return NULL;
}

/* Errors name the path that was given, not the end of its links. */
static bool add_pieces(OutFile *f, const Piece *pieces, int n, Error *e)
{
    return write_quietly(f->fd, pieces, n) || fail(f->path, errno, e);
}

bool out_add(OutFile *f, const void *data, size_t n, Error *e)
{
    return add_pieces(f, &(Piece){data, n}, 1, e);
}

static bool put_in_place(OutFile *f, bool sync, Error *e)
{
    bool ok = !sync || fsync(f->fd) == 0;
    int why = errno;
    if (close(f->fd) != 0 && ok) {
        ok = false;
        why = errno;
    }
    if (ok && rename(f->tmp, f->end) != 0) {
        ok = false;
        why = errno;
    }
    if (!ok) {
        unlink(f->tmp);
        fail(f->path, why, e);
    }
    out_free(f);
    return ok;
}

bool out_commit(OutFile *f, Error *e)
{
    return put_in_place(f, true, e);
}

bool out_commit_unsynced(OutFile *f, Error *e)
{
    return put_in_place(f, false, e);
}

void out_drop(OutFile *f)
{
    if (!f)
        return;
    close(f->fd);
    unlink(f->tmp);
    out_free(f);
}

/* Where the links of path lead, in memory of the caller's; NULL: an error. */
static char *end_of(const char *path, struct stat *st, Error *e)
{
    char *end = mem_strdup(path);
    if (end && find_end(&end, st)) {
        if (!S_ISDIR(st->st_mode))
            return end;
        error_set(e, ERR_FAILED, "%s: expected a file, got a directory", path);
    } else if (!end || errno == ENOMEM) {
        error_memory(e, path, strlen(path));
    } else {
        fail(path, errno, e);
    }
    mem_free(end);
    return NULL;
}

/* What is written to as it is, rather than replaced. */
static bool is_direct(const char *end, const struct stat *st)
{
    return named_descriptor(end) >= 0 || (st->st_mode && !S_ISREG(st->st_mode));
}

OutFile *out_begin(const char *path, Error *e)
{
    struct stat st;
    char *end = end_of(path, &st, e);
    if (!end)
        return NULL;
    if (!is_direct(end, &st))
        return begin_at(path, end, st.st_mode, e);
    error_set(e, ERR_FAILED, "%s: expected a file, got something else", path);
    mem_free(end);
    return NULL;
}

static bool replace(const char *path, char *end, mode_t mode, const Piece *pieces, int n, Error *e)
{
    OutFile *f = begin_at(path, end, mode, e);
    if (f && add_pieces(f, pieces, n, e))
        return out_commit(f, e);
    out_drop(f);
    return false;
}

bool file_write(const char *path, const Piece *pieces, int n, WriteTo to, Error *e)
{
    struct stat st;
    char *end = end_of(path, &st, e);
    if (!end)
        return false;
    if (!is_direct(end, &st))
        return replace(path, end, st.st_mode, pieces, n, e);
    bool ok = write_direct(path, end, pieces, n, to, e);
    mem_free(end);
    return ok;
}
