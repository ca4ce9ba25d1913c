/* base/file.h: mapped files, bounded reads, paths. The files of models and users are opened here: what is
 * read into memory has a bound, and no pipe is waited for that nobody named. */
#ifndef BASE_FILE_H
#define BASE_FILE_H

#include <stddef.h>
#include "base/error.h"

typedef struct MappedFile {
    const unsigned char *data; /* NULL for an empty file */
    size_t size;
} MappedFile;

/* Maps a regular file read-only. A directory, a missing or an unreadable file is an error with
 * `code` and a message that begins with the path. */
bool file_map(MappedFile *m, const char *path, ErrorCode code, Error *e);
/* The same with at most `limit` bytes: "PATH: file: expected at most ..." with `code` otherwise.
 * For small files of strangers. */
bool file_map_within(MappedFile *m, const char *path, size_t limit, ErrorCode code, Error *e);
void file_unmap(MappedFile *m);
/* Gives the whole pages of [from, to) back to the system: what a reader has left behind does not count as the program's
 * memory, and is read again when it is looked at again. Returns where the last one of them ends, for the next `from`. */
size_t file_forget(const MappedFile *m, size_t from, size_t to);

/* Reads all of a regular file into one zero-terminated mem_alloc'd block of at most `limit` bytes.
 * The caller frees it with mem_free. What is no file (a pipe, a device) is an error at once, since it
 * might never answer or never end. */
unsigned char *file_read(const char *path, size_t limit, size_t *size, ErrorCode code, Error *e);

enum { FILE_HEAD = 64 };
/* Whether what begins with these n bytes, at least FILE_HEAD, is worth reading. */
typedef bool HeadFn(const unsigned char *head, size_t n);
/* The same for what a user named: "-" is standard input, and a pipe is read to its end. A device
 * that is no terminal is refused. When `worth` says no, reading stops, and what was read by then is
 * returned for the caller to say what it is not. */
unsigned char *file_read_named(const char *path, size_t limit, HeadFn *worth, size_t *size,
                               ErrorCode code, Error *e);

bool file_exists(const char *path); /* anything with that name, links followed */
/* Whether the directory lists that name, be it a link that leads nowhere: only what it does not list is
 * absent. What cannot be looked at counts as listed, and opening it says why. */
bool file_listed(const char *path);
/* Whether there is a NAME in a directory: 1, 0; -1: out of memory. */
int file_in_dir(const char *dir, const char *name);
bool file_is_dir(const char *path);

/* "dir/name" in mem_alloc'd memory, or NULL when out of memory. */
char *path_join(const char *dir, const char *name);

#endif
