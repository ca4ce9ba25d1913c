/* ckpt/checkpoint.h: inside a Checkpoint, for those who open one or change its list. */
#ifndef CKPT_CHECKPOINT_H
#define CKPT_CHECKPOINT_H

#include "base/file.h"
#include "ckpt/tensors.h"

typedef struct CkptFile {
    MappedFile map;
    char *path;
    size_t first, n; /* its tensors in the list, until that is sorted */
} CkptFile;

struct Checkpoint {
    char *path;
    TensorList list; /* sorted by key */
    CkptFile *files;
    size_t n_files;
    Checkpoint *parts; /* those whose tensors it has taken over, linked by next */
    Checkpoint *next;
};

/* An empty one; path is what ckpt_path says. NULL: out of memory. Ends with ckpt_close. */
Checkpoint *ckpt_new(const char *path, Error *e);

/* Makes room for so many files, once. `where` begins the message. False: out of memory. */
bool ckpt_reserve(Checkpoint *c, size_t files, const char *where, Error *e);

/* Maps and reads one more file, whose path it takes over (NULL: out of memory): safetensors or, if it
 * begins so, PyTorch's. Its tensors are appended to the list, in order of name. Errors: ERR_BAD_MODEL, ERR_MEMORY. */
bool ckpt_add_file(Checkpoint *c, char *path, Error *e);

/* Adds the tensors of another one as a piece of the model, and ends with it from now on, whether this
 * succeeds or not. Names that lack their part get it in front (name_part). false: out of memory. */
bool ckpt_join(Checkpoint *c, Checkpoint *part, int piece, Error *e);

#endif
