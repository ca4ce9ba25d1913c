/* operands.c: folders become the pictures in them. */
#define _GNU_SOURCE
#include "operands.h"

#include "image.h"
#include "memory.h"
#include "output.h"
#include "path.h"
#include "profile.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

static void add(Pictures *p, char *path)
{
    p->paths = need_room(p->paths, &p->capacity, p->count + 1, sizeof *p->paths);
    p->paths[p->count++] = path;
}

/* By name, since a damaged picture must be heard of, too, and whatever else lies there must not. */
bool is_picture_name(const char *name)
{
    static const char *const ENDS[] = {"jpg", "jpeg", "jpe",  "jfif", "png",  "webp",
                                       "gif", "bmp",  "dib",  "pnm",  "ppm",  "pgm",
                                       "pbm", "tif",  "tiff", "avif", "heic", "heif"};
    const char *dot = strrchr(name, '.');
    for (size_t i = 0; dot && i < sizeof ENDS / sizeof *ENDS; i++)
        if (strcasecmp(dot + 1, ENDS[i]) == 0)
            return true;
    return false;
}

static char *joined(const char *folder, const char *name)
{
    size_t n = strlen(folder);
    return need_format("%s%s%s", folder, n && folder[n - 1] == '/' ? "" : "/", name);
}

static void look_into(Pictures *p, const char *folder, bool below);

static void look_at(Pictures *p, char *path, const char *name, bool below)
{
    struct stat st;
    if (*name != '.' && below && lstat(path, &st) == 0 && S_ISDIR(st.st_mode))
        look_into(p, path, below);
    if (*name != '.' && is_picture_name(name) && !is_folder(path))
        add(p, path);
    else
        free(path);
}

static void look_into(Pictures *p, const char *folder, bool below)
{
    DIR *dir = opendir(folder);
    const struct dirent *entry;
    while (dir && (entry = readdir(dir)))
        look_at(p, joined(folder, entry->d_name), entry->d_name, below);
    if (dir)
        closedir(dir);
}

static int by_path(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

void pictures_find(Pictures *p, char *const *operands, size_t count, bool below)
{
    *p = (Pictures){.many = count > 1};
    for (size_t i = 0; i < count; i++) {
        size_t first = p->count;
        if (is_folder(operands[i]))
            look_into(p, operands[i], below);
        if (p->count == first) {
            add(p, need_copy(operands[i]));
            continue;
        }
        qsort(p->paths + first, p->count - first, sizeof *p->paths, by_path);
        p->many = true;
    }
}

void pictures_free(Pictures *p)
{
    for (size_t i = 0; i < p->count; i++)
        free(p->paths[i]);
    free(p->paths);
    *p = (Pictures){0};
}

void pictures_none(const char *folder, blip2_error *err)
{
    DIR *dir = opendir(folder);
    const char *why = dir ? "expected pictures in the folder (.jpg, .png, .webp, ...), got none; "
                            "-r looks into the folders below it"
                          : strerror(errno);
    err->code = BLIP2_FAILED;
    snprintf(err->message, sizeof err->message, "%.500s: %s", folder, why);
    if (dir)
        closedir(dir);
}

bool is_picture(const char *word)
{
    return strcmp(word, "-") == 0 || is_regular(word) || is_url(word) || is_folder(word);
}

int pictures_once(char *const *paths, size_t count)
{
    size_t from_input = 0;
    for (size_t i = 0; i < count; i++)
        from_input += strcmp(paths[i], "-") == 0;
    return from_input < 2 ? 0
                          : usage_error("-: standard input can be read only once, got it %zu times",
                                        from_input);
}

blip2_image *open_operand(const char *path, blip2_error *err)
{
    blip2_image *image = NULL;
    if (is_folder(path))
        pictures_none(path, err);
    else
        image = open_image(path, err);
    profile_picture(image);
    return image;
}
