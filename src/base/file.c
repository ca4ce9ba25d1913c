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

static int open_regular(const char *path, struct stat *st, ErrorCode code, Error *e)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a pipe must not make us wait */
    if (fd < 0) {
        error_set(e, code, "%s: %s", path, strerror(errno));
        return -1;
    }
    if (fstat(fd, st) == 0 && S_ISREG(st->st_mode))
        return fd;
    error_set(e, code, "%s: expected a file, got %s", path,
              S_ISDIR(st->st_mode) ? "a directory" : "something else");
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

/* Reads until the end of fd, growing as it goes, since a pipe has no size. */
static unsigned char *read_all(int fd, const char *path, size_t hint, size_t limit, size_t *size,
                               ErrorCode code, Error *e)
{
    size_t cap = (hint < limit ? hint : limit) + 2, n = 0; /* one byte is for the zero */
    unsigned char *buf = mem_alloc(cap);
    while (buf) {
        ssize_t got = read(fd, buf + n, cap - 1 - n);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0) {
            error_set(e, code, "%s: %s", path, strerror(errno));
            break;
        }
        n += (size_t)got;
        if (n > limit) {
            error_set(e, code, "%s: expected at most %zu bytes, got more", path, limit);
            break;
        }
        if (got == 0) {
            buf[n] = 0;
            *size = n;
            return buf;
        }
        if (n == cap - 1 && !MEM_GROW(buf, &cap, cap + 1))
            break;
    }
    error_memory(e, path, cap - 1); /* no effect when a reason is already there */
    mem_free(buf);
    return NULL;
}

unsigned char *file_read(const char *path, size_t limit, size_t *size, ErrorCode code, Error *e)
{
    if (strcmp(path, "-") == 0)
        return read_all(STDIN_FILENO, "standard input", 1 << 16, limit, size, code, e);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat st = {0};
    if (fd < 0) {
        error_set(e, code, "%s: %s", path, strerror(errno));
        return NULL;
    }
    unsigned char *buf = NULL;
    if (fstat(fd, &st) == 0 && S_ISDIR(st.st_mode))
        error_set(e, code, "%s: expected a file, got a directory", path);
    else
        buf =
            read_all(fd, path, st.st_size > 0 ? (size_t)st.st_size : 1 << 16, limit, size, code, e);
    close(fd);
    return buf;
}

bool file_exists(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0;
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
