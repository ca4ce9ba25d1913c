/* ckpt/st_write.h: a safetensors file that is larger than memory: the header first, since all sizes are known,
 * then the tensors, one after the other, as they come. */
#ifndef CKPT_ST_WRITE_H
#define CKPT_ST_WRITE_H

#include "base/str.h"
#include "base/write.h"
#include "ckpt/ckpt.h"

typedef struct StEntry {
    const char *name;
    DType dtype;
    int place; /* those of a lower one come first; mostly 0 */
    int rank;
    int64_t shape[CKPT_MAX_RANK];
    size_t bytes;
} StEntry;

/* The order in which tensors lie: by place, then larger elements first, so that each is aligned to its own, then by name. For
 * qsort over a struct that begins with a StEntry. */
int st_order(const void *a, const void *b);

/* Appends the header of a file with these tensors in this order, n structs of `size` bytes that begin with a
 * StEntry. metadata: the members of __metadata__ as JSON. The data begins on a multiple of 64 bytes. */
void st_header(StrBuf *out, const void *entries, size_t n, size_t size, const char *metadata);

#endif
