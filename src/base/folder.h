/* base/folder.h: small files by name: those of a directory, texts in memory, or texts that stand before a
 * directory's. For readers of the files that lie beside a model's weights (configuration, tokenizer): a
 * packed model carries them in itself. */
#ifndef BASE_FOLDER_H
#define BASE_FOLDER_H

#include <stddef.h>
#include "base/error.h"

typedef struct FolderFile {
    const char *name, *text; /* need not end with a zero */
    size_t size;
} FolderFile;

/* Owns nothing and may be copied. */
typedef struct Folder {
    const char *path; /* what messages call it: "PATH/NAME" */
    const char *dir;  /* where the files lie that are not in the list; NULL: nowhere */
    const FolderFile *file;
    size_t files;
} Folder;

Folder folder_of(const char *dir);

/* Whether it has a file of that name, be it a link that leads nowhere: 1, 0; -1: out of memory. */
int folder_has(const Folder *f, const char *name);

/* "PATH/NAME" in mem_alloc'd memory; NULL: out of memory. */
char *folder_path(const Folder *f, const char *name);

/* The whole file in one zero-terminated mem_alloc'd block, at most `limit` bytes. Errors: those of file_read,
 * with `code`; ERR_MEMORY. */
char *folder_read(const Folder *f, const char *name, size_t limit, size_t *size, ErrorCode code,
                  Error *e);

#endif
