/* base/sized.c: see base/sized.h. */
#include "base/sized.h"

#include <string.h>

static size_t size_of(const void *theirs)
{
    size_t size;
    memcpy(&size, theirs, sizeof size);
    return size;
}

bool sized_good(size_t size)
{
    enum { LARGEST = 4096 };
    return size >= sizeof size && size <= LARGEST;
}

bool sized_check(const void *theirs, const char *what, Error *e)
{
    size_t size = size_of(theirs);
    return sized_good(size) ||
           error_set(e, ERR_USAGE, "%s: size: expected that of the struct, got %zu", what, size);
}

bool sized_take(void *ours, size_t size, const void *theirs, const char *what, Error *e)
{
    if (!sized_check(theirs, what, e))
        return false;
    const char *bytes = theirs;
    size_t theirs_size = size_of(theirs);
    for (size_t i = size; i < theirs_size; i++)
        if (bytes[i])
            return error_set(e, ERR_USAGE,
                             "%s: expected the fields of this version, got newer ones", what);
    memcpy(ours, theirs, theirs_size < size ? theirs_size : size);
    return true;
}
