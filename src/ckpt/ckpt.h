/* ckpt/ckpt.h: find a model, open its weights, look tensors up by name.
 *
 * A Checkpoint is a set of named tensors in mapped files. It knows nothing of models. Files come
 * from strangers: every offset, size and name is checked before use, and nothing is copied.
 *
 * A file must stay as it is while it is open: one that shrinks after it was mapped ends the process
 * with SIGBUS, and nothing here can prevent that. */
#ifndef CKPT_CKPT_H
#define CKPT_CKPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/error.h"
#include "tensor/dtype.h"

#define CKPT_MAX_RANK 8

typedef struct CkptTensor {
    const char *name;
    DType dtype;
    int rank;
    int64_t shape[CKPT_MAX_RANK];
    const void *data; /* in the mapping; aligned to nothing in particular */
    size_t bytes;
    const char *file; /* path of the file it lies in, for messages */
    bool used;        /* set by ckpt_take */
} CkptTensor;

typedef struct Checkpoint Checkpoint;

/* Opens all weights of a directory: model.safetensors, or model.safetensors.index.json with its
 * shards. Errors: ERR_NO_MODEL (no such directory, no weights in it), ERR_BAD_MODEL, ERR_MEMORY.
 * Checked is what the format's own reader checks (safetensors, src/tensor.rs), and that index and
 * shards agree. Tensors of a shard that the index does not name are kept, unless another one has the
 * name: whoever reports what is left unused sees them. Free with ckpt_close; tensors point into
 * it. */
Checkpoint *ckpt_open(const char *dir, Error *e);
void ckpt_close(Checkpoint *c);

/* One safetensors file on its own (also used by tests to read goldens). */
Checkpoint *ckpt_open_file(const char *path, Error *e);

const char *ckpt_path(const Checkpoint *c);
size_t ckpt_count(const Checkpoint *c);
CkptTensor *ckpt_at(Checkpoint *c, size_t i); /* in order of name */
/* By the name in current Hugging Face files; older spellings (ckpt/names.h) are tried after it, so
 * the tensor's own name may differ. NULL: not there. */
CkptTensor *ckpt_find(Checkpoint *c, const char *name);

/* As ckpt_find, and marks it used: what is left over can then be reported. */
CkptTensor *ckpt_take(Checkpoint *c, const char *name);

/* Tells the kernel that this tensor's bytes, having been copied, will not be read again: its pages
 * stop counting as this process's memory. Reading it stays correct. Never fails. */
void ckpt_done_with(const CkptTensor *t);

/* Where a model named on the command line lives: an existing directory is itself; otherwise a name
 * is looked for in $BLIP2_MODELS (colon-separated), the build tree's models/, the installed
 * prefix's share/blip2/models, share/blip2/models beside the running program's bin/, and Hugging
 * Face's cache (a repository's name or a published model's, ckpt/hub.h). NULL name: "scenes", never
 * a directory of that name that happens to be here. A published model that is not on this machine
 * gets ERR_NO_MODEL with what to do. The path is mem_alloc'd. */
char *model_find(const char *name, Error *e);

/* NPY (float32, C order) for dumps and goldens. */
bool npy_write(const char *path, const float *data, int rank, const int64_t *shape, Error *e);
/* Reads a float32 or float64 array; data is mem_alloc'd. Errors: ERR_FAILED. */
float *npy_read(const char *path, int *rank, int64_t shape[CKPT_MAX_RANK], Error *e);

#endif
