/* base/write.h: every file that is written is written here. */
#ifndef BASE_WRITE_H
#define BASE_WRITE_H

#include <stddef.h>
#include "base/error.h"

typedef struct Piece {
    const void *data;
    size_t n;
} Piece;

typedef enum WriteTo {
    WRITE_FILE, /* a regular file only; what is something else is refused without being opened */
    WRITE_ANY,  /* what a user named: a device, a pipe, a terminal is written to as it is */
} WriteTo;

/* Writes the pieces, one after the other, to path. A regular file is replaced: a file beside it is
 * written, synced and renamed, so that after a crash or a full disk there is the old or the whole
 * new one, with the mode of the old; on failure nothing else remains. A symbolic link stays,
 * and the file that it leads to is the one replaced. Any thread and any process may write the same
 * path at once. A limit on file sizes is an error and no signal, whatever the program does about
 * SIGXFSZ and SIGPIPE. Errors are ERR_FAILED with "PATH: why", or ERR_MEMORY. */
bool file_write(const char *path, const Piece *pieces, int n, WriteTo to, Error *e);

/* The same piece by piece, for what is too large for memory: a regular file only. Nothing is at `path`, or
 * the old file, until out_commit. out_commit and out_drop end it; after an error of out_add it is to be
 * dropped, which removes what was written. A process that is killed meanwhile leaves "PATH.tmp.PID.N". */
typedef struct OutFile OutFile;
OutFile *out_begin(const char *path, Error *e);
bool out_add(OutFile *f, const void *data, size_t n, Error *e);
bool out_commit(OutFile *f, Error *e);
/* The same without waiting for the disk: for thousands of files that can be had again. After a crash of the machine (not of
 * the program) one may be empty. */
bool out_commit_unsynced(OutFile *f, Error *e);
void out_drop(OutFile *f); /* NULL is fine */

#endif
