/* base/kind.h: what a file is that is not what it should be.
 *
 * Models are downloaded, and what lies under a file's name then is now and then something else. For
 * readers of model files, once they know that they cannot read one: recognising is for the message. */
#ifndef BASE_KIND_H
#define BASE_KIND_H

#include <stdbool.h>
#include <stddef.h>

/* A phrase that goes behind "got", next step included ("a Git LFS pointer (git lfs pull fetches the
 * file)"), told by the first bytes; NULL: nothing known. */
const char *file_kind(const void *data, size_t size);

/* Whether it begins as what PyTorch's torch.save writes: a zip archive, or a pickle. */
bool file_is_torch(const void *data, size_t size);

#endif
