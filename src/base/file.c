/* base/file.c: mapping, bounded reading, paths. */
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"

enum { HEAD_READ = 4096, PIPE_READ = 1 << 16 };

static const char *kind_of(mode_t mode)
{
    return S_ISDIR(mode)    ? "a directory"
           : S_ISFIFO(mode) ? "a pipe"
           : S_ISCHR(mode)  ? "a device"
           : S_ISBLK(mode)  ? "a device"
           : S_ISSOCK(mode) ? "a socket"
                            : "something else";
}

static int open_flags(const char *path, int more, struct stat *st, ErrorCode code, Error *e)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | more);
    if (fd >= 0 && fstat(fd, st) == 0)
        return fd;
    if (fd < 0 && errno == ENOENT && file_listed(path))
        error_set(e, code,
                  "%s: file: expected one, got a link to one that is not there: an unfinished "
                  "download, or a copy without what links lead to",
                  path);
    error_set(e, code, "%s: %s", path, strerror(errno));
    if (fd >= 0)
        close(fd);
    return -1;
}

/* O_NONBLOCK: the opening of a pipe that nobody writes to must not make us wait. */
static int open_regular(const char *path, struct stat *st, ErrorCode code, Error *e)
{
    int fd = open_flags(path, O_NONBLOCK, st, code, e);
    if (fd < 0 || S_ISREG(st->st_mode))
        return fd;
    error_set(e, code, "%s: expected a file, got %s", path, kind_of(st->st_mode));
    close(fd);
    return -1;
}

/* What a user named may also be a pipe, whose writer is waited for, or a terminal. */
static int open_named(const char *path, struct stat *st, ErrorCode code, Error *e)
{
    bool pipe = stat(path, st) == 0 && S_ISFIFO(st->st_mode);
    int fd = open_flags(path, pipe ? 0 : O_NONBLOCK, st, code, e);
    bool terminal = fd >= 0 && isatty(fd);
    if (terminal)
        fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK);
    if (fd < 0 || terminal || S_ISREG(st->st_mode) || S_ISFIFO(st->st_mode))
        return fd;
    error_set(e, code, "%s: expected a file or a pipe, got %s", path, kind_of(st->st_mode));
    close(fd);
    return -1;
}

bool file_map(MappedFile *m, const char *path, ErrorCode code, Error *e)
{
    struct stat st = {0};
    int fd = open_regular(path, &st, code, e);
    *m = (MappedFile){0};
    if (fd < 0)
        return false;
    bool ok = true;
    if (st.st_size > 0) {
        void *p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (p == MAP_FAILED)
            ok = error_set(e, ERR_MEMORY, "%s: cannot map %lld bytes: %s", path,
                           (long long)st.st_size, strerror(errno));
        else
            *m = (MappedFile){p, (size_t)st.st_size};
    }
    close(fd);
    return ok;
}

bool file_map_within(MappedFile *m, const char *path, size_t limit, ErrorCode code, Error *e)
{
    if (!file_map(m, path, code, e))
        return false;
    if (m->size <= limit)
        return true;
    error_set(e, code, "%s: file: expected at most %zu bytes, got %zu", path, limit, m->size);
    file_unmap(m);
    return false;
}

void file_unmap(MappedFile *m)
{
    if (m->data)
        munmap((void *)(uintptr_t)m->data, m->size);
    *m = (MappedFile){0};
}

size_t file_forget(const MappedFile *m, size_t from, size_t to)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    from = (from + page - 1) / page * page;
    to = to / page * page;
    if (!m->data || to <= from || to > m->size)
        return from;
    madvise((void *)(uintptr_t)(m->data + from), to - from, MADV_DONTNEED);
    return to;
}

typedef struct Reading {
    const char *name;
    size_t hint, limit; /* bytes expected, and allowed */
    HeadFn *worth;      /* NULL: all of it is */
    ErrorCode code;
} Reading;

static bool enough(const Reading *r, const unsigned char *buf, size_t before, size_t n)
{
    return r->worth && before < FILE_HEAD && n >= FILE_HEAD && !r->worth(buf, n);
}

/* Reads until the end of fd, growing as it goes, since a pipe has no size. */
static unsigned char *read_all(int fd, const Reading *r, size_t *size, Error *e)
{
    size_t cap = (r->hint < r->limit ? r->hint : r->limit) + 2,
           n = 0; /* one byte is for the zero */
    unsigned char *buf = mem_alloc(cap);
    while (buf) {
        size_t room = cap - 1 - n;
        ssize_t got = read(fd, buf + n, n < FILE_HEAD && room > HEAD_READ ? HEAD_READ : room);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0) {
            error_set(e, r->code, "%s: %s", r->name, strerror(errno));
            break;
        }
        n += (size_t)got;
        if (n > r->limit) {
            error_set(e, r->code, "%s: expected at most %zu bytes, got more", r->name, r->limit);
            break;
        }
        if (got == 0 || enough(r, buf, n - (size_t)got, n)) {
            buf[n] = 0;
            *size = n;
            return buf;
        }
        if (n == cap - 1 && !MEM_GROW(buf, &cap, cap + 1))
            break;
    }
    error_memory(e, r->name, cap - 1); /* no effect when a reason is already there */
    mem_free(buf);
    return NULL;
}

static unsigned char *read_opened(int fd, const struct stat *st, Reading *r, size_t *size, Error *e)
{
    unsigned char *buf = NULL;
    if (fd < 0)
        return NULL;
    r->hint = st->st_size > 0 ? (size_t)st->st_size : PIPE_READ;
    if (S_ISREG(st->st_mode) && r->hint > r->limit)
        error_set(e, r->code, "%s: expected at most %zu bytes, got %zu", r->name, r->limit,
                  r->hint);
    else
        buf = read_all(fd, r, size, e);
    close(fd);
    return buf;
}

unsigned char *file_read(const char *path, size_t limit, size_t *size, ErrorCode code, Error *e)
{
    struct stat st = {0};
    Reading r = {.name = path, .limit = limit, .code = code};
    return read_opened(open_regular(path, &st, code, e), &st, &r, size, e);
}

unsigned char *file_read_named(const char *path, size_t limit, HeadFn *worth, size_t *size,
                               ErrorCode code, Error *e)
{
    struct stat st = {0};
    Reading r = {.name = path, .hint = PIPE_READ, .limit = limit, .worth = worth, .code = code};
    if (strcmp(path, "-") != 0)
        return read_opened(open_named(path, &st, code, e), &st, &r, size, e);
    r.name = "standard input";
    return read_all(STDIN_FILENO, &r, size, e);
}

bool file_exists(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0;
}

bool file_listed(const char *path)
{
    struct stat st;
    return lstat(path, &st) == 0 || (errno != ENOENT && errno != ENOTDIR);
}

bool file_is_dir(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

char *path_join(const char *dir, const char *name)
{
    size_t n = strlen(dir), k = strlen(name);
    char *p = mem_alloc(n + k + 2);
    if (!p)
        return NULL;
    memcpy(p, dir, n);
    if (n && dir[n - 1] != '/')
        p[n++] = '/';
    memcpy(p + n, name, k + 1);
    return p;
}

int file_in_dir(const char *dir, const char *name)
{
    char *path = path_join(dir, name);
    int there = path ? file_exists(path) : -1;
    mem_free(path);
    return there;
}
