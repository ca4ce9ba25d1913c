/* data/unpack.h: pictures out of a zip or tar file (gzip, bzip2, xz, zstd) to their places. */
#ifndef DATA_UNPACK_H
#define DATA_UNPACK_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

typedef struct Unpack {
    const char *archive;
    const char *inside; /* entries whose names begin so are taken, others are not */
    const char *begin;  /* what stands in its place below `into` */
    const char *into;   /* folder; made where it is not there */
    /* Called now and then; bytes of the archive that were read, and all. False stops (ERR_STOPPED). May be NULL. */
    bool (*progress)(void *user, uint64_t done, uint64_t total);
    void *user;
} Unpack;

typedef struct Unpacked {
    size_t written, here,
        other; /* files: new; there already in that size; of other names or kinds */
} Unpacked;

/* A file appears whole or not at all, and one that is there in its size is left: what was interrupted goes on. Names that lead out of
 * `into` are an error; links and devices are passed over. Errors, ERR_FAILED: no archive, a damaged one, no entry below
 * `inside`, a place that cannot be written; ERR_STOPPED, ERR_MEMORY. */
bool unpack(const Unpack *u, Unpacked *out, Error *e);

/* Whether a name is a path that stays within the folder it is relative to. */
bool stays_inside(const char *name);

#endif
