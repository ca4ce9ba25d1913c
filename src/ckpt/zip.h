/* ckpt/zip.h: the table of contents of a zip archive whose members are stored as they are. For
 * torch.c, and its tests.
 *
 * Members lie in the file uncompressed, so that they can be used where they are. What is encrypted or
 * compressed is listed, and refused when it is asked for. Zip64 is read; archives of several disks
 * are not. Source: PKWARE's APPNOTE.TXT, sections 4.3 to 4.5. */
#ifndef CKPT_ZIP_H
#define CKPT_ZIP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/error.h"

enum { ZIP_MEMBERS_MAX = 1 << 20 };

typedef struct ZipMember {
    const char *name; /* in the file, not zero-terminated */
    size_t len;
    uint64_t at;           /* of its local header */
    uint64_t size, packed; /* bytes that it has, and that lie in the file */
    unsigned flags, method;
} ZipMember;

typedef struct Zip {
    ZipMember *member; /* in order of name */
    size_t n, cap;
    const unsigned char *data;
    uint64_t end; /* of the members: where the directory begins */
    const char *path;
} Zip;

/* Reads the directory of data[0..size), a whole file called `path` in messages; it points into data
 * and keeps `path`. Errors: ERR_BAD_MODEL, ERR_MEMORY. Ends with zip_close in any case. */
bool zip_open(Zip *z, const unsigned char *data, size_t size, const char *path, Error *e);
void zip_close(Zip *z);

/* The member whose name is folder[0..n) and `name` together; NULL: there is none. */
const ZipMember *zip_find(const Zip *z, const char *folder, size_t n, const char *name);

/* Where the m->size bytes of a member begin. NULL: ERR_BAD_MODEL, since it is compressed or encrypted,
 * or does not lie where the directory says. */
const unsigned char *zip_data(const Zip *z, const ZipMember *m, Error *e);

#endif
