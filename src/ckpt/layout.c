/* ckpt/layout.c: see ckpt/layout.h. */
#define _GNU_SOURCE
#include "ckpt/layout.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/file.h"

static bool make_dir(const char *path, Error *e)
{
    if (mkdir(path, 0777) == 0 || errno == EEXIST)
        return file_is_dir(path) ||
               error_set(e, ERR_FAILED, "%s: expected a directory, got something else", path);
    return error_set(e, ERR_FAILED, "%s: cannot be made: %s", path, strerror(errno));
}

bool layout_dir(const char *path, Error *e)
{
    char *copy = mem_strdup(path);
    bool ok = copy || error_memory(e, path, strlen(path));
    for (char *p = copy; ok && p && *p;) {
        p += strspn(p, "/");
        p += strcspn(p, "/");
        char kept = *p;
        *p = 0;
        ok = file_is_dir(copy) || make_dir(copy, e);
        *p = kept;
    }
    mem_free(copy);
    return ok;
}

bool layout_dir_in(const char *base, const char *name, Error *e)
{
    char *path = path_join(base, name);
    bool ok = path ? layout_dir(path, e) : error_memory(e, base, 256);
    mem_free(path);
    return ok;
}

bool layout_room(const char *dir, const Fetch *file, size_t n, Error *e)
{
    struct statvfs v;
    struct stat st;
    uint64_t need = 0;
    for (size_t i = 0; i < n; i++) {
        uint64_t size = file[i].size > 0 ? (uint64_t)file[i].size : 0;
        uint64_t part = stat(file[i].part, &st) == 0 ? (uint64_t)st.st_size : 0;
        if (!fetch_is_here(&file[i]))
            need += size > part ? size - part : 0;
    }
    if (need == 0 || statvfs(dir, &v) != 0 || v.f_blocks == 0)
        return true;
    uint64_t room = (uint64_t)v.f_bavail * v.f_frsize;
    return need <= room || error_set(e, ERR_FAILED, "%s: disk: expected %.2f GB free, got %.2f GB",
                                     dir, (double)need / 1e9, (double)room / 1e9);
}

bool layout_link(const char *dir, const Fetch *f, Error *e)
{
    char to[256], is[256], path[PATH_MAX - 64], tmp[PATH_MAX];
    int k = snprintf(path, sizeof path, "%s/%s", dir, strrchr(f->name, '/') + 1);
    snprintf(to, sizeof to, "../../blobs/%s", f->tag);
    if (k < 0 || k >= (int)sizeof path)
        return error_set(e, ERR_FAILED, "%s: the path is too long", dir);
    ssize_t n = readlink(path, is, sizeof is - 1);
    is[n > 0 ? n : 0] = 0;
    if (strcmp(is, to) == 0)
        return true;
    snprintf(tmp, sizeof tmp, "%s.tmp.%ld", path, (long)getpid());
    unlink(tmp);
    bool ok = symlink(to, tmp) == 0 || link(f->place, tmp) == 0;
    if (!ok || rename(tmp, path) != 0) {
        int why = errno;
        unlink(tmp);
        return error_set(e, ERR_FAILED, "%s: cannot be made: %s", path, strerror(why));
    }
    return true;
}
