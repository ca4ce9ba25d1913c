/* base/folder.c: see base/folder.h. */
#include "base/folder.h"

#include <string.h>

#include "base/file.h"
#include "base/mem.h"

Folder folder_of(const char *dir)
{
    return (Folder){.path = dir, .dir = dir};
}

static const FolderFile *listed(const Folder *f, const char *name)
{
    for (size_t i = 0; i < f->files; i++)
        if (strcmp(f->file[i].name, name) == 0)
            return &f->file[i];
    return NULL;
}

int folder_has(const Folder *f, const char *name)
{
    if (listed(f, name))
        return 1;
    if (!f->dir)
        return 0;
    char *path = path_join(f->dir, name);
    int there = path ? file_listed(path) : -1;
    mem_free(path);
    return there;
}

char *folder_path(const Folder *f, const char *name)
{
    return path_join(f->dir && !listed(f, name) ? f->dir : f->path, name);
}

static char *copy(const FolderFile *file, const char *path, size_t limit, size_t *size,
                  ErrorCode code, Error *e)
{
    if (file->size > limit) {
        error_set(e, code, "%s: expected at most %zu bytes, got %zu", path, limit, file->size);
        return NULL;
    }
    char *text = mem_strndup(file->text, file->size);
    *size = file->size;
    if (!text)
        error_memory(e, path, file->size);
    return text;
}

char *folder_read(const Folder *f, const char *name, size_t limit, size_t *size, ErrorCode code,
                  Error *e)
{
    const FolderFile *file = listed(f, name);
    char *path = folder_path(f, name), *text = NULL;
    if (!path)
        error_memory(e, f->path, strlen(f->path));
    else if (file)
        text = copy(file, path, limit, size, code, e);
    else if (f->dir)
        text = (char *)file_read(path, limit, size, code, e);
    else
        error_set(e, code, "%s: no such file", path);
    mem_free(path);
    return text;
}
