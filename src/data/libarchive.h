/* data/libarchive.h: libarchive, loaded when it is first needed: half a dozen other libraries come with it, and most runs of
 * the program unpack nothing. For data/unpack.c, and what says whether it is there. */
#ifndef DATA_LIBARCHIVE_H
#define DATA_LIBARCHIVE_H

#include <archive.h>
#include <archive_entry.h>

#include "base/error.h"

#define ARCHIVE_CALLS(X)               \
    X(archive_read_new)                \
    X(archive_read_free)               \
    X(archive_read_support_filter_all) \
    X(archive_read_support_format_tar) \
    X(archive_read_support_format_zip) \
    X(archive_read_open_filename)      \
    X(archive_read_next_header)        \
    X(archive_read_data_block)         \
    X(archive_read_data_skip)          \
    X(archive_filter_bytes)            \
    X(archive_error_string)            \
    X(archive_version_string)          \
    X(archive_entry_pathname)          \
    X(archive_entry_pathname_utf8)     \
    X(archive_entry_filetype)          \
    X(archive_entry_size)              \
    X(archive_entry_size_is_set)

typedef struct ArchiveCalls {
#define ARCHIVE_CALL(name) __typeof__(name) *name;
    ARCHIVE_CALLS(ARCHIVE_CALL)
#undef ARCHIVE_CALL
} ArchiveCalls;

/* NULL: it cannot be loaded, and e says "WHAT: ... libarchive ..." and which package has it. */
const ArchiveCalls *archive_calls(const char *what, Error *e);

#endif
