/* base/sized.h: structs of a caller who may have been compiled with an older or newer header. Each begins
 * with its size, a size_t. */
#ifndef BASE_SIZED_H
#define BASE_SIZED_H

#include <stdbool.h>
#include <stddef.h>
#include "base/error.h"

/* Whether some struct can have that size. */
bool sized_good(size_t size);
/* ERR_USAGE when the struct says no size, or one that none has; `what` is what messages call it. */
bool sized_check(const void *theirs, const char *what, Error *e);
/* Theirs into ours of `size` bytes: what theirs does not have stays as it was in ours. ERR_USAGE as
 * sized_check, and when something stands behind ours: fields that this version lacks, or `reserved`,
 * which is not counted. */
bool sized_take(void *ours, size_t size, const void *theirs, const char *what, Error *e);

#endif
