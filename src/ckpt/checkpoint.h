/* ckpt/checkpoint.h: inside a Checkpoint; for checkpoint.c and index.c. */
#ifndef CKPT_CHECKPOINT_H
#define CKPT_CHECKPOINT_H

#include "base/file.h"
#include "ckpt/safetensors.h"

typedef struct CkptFile {
    MappedFile map;
    char *path;
    size_t first, n; /* its tensors in the list, until that is sorted */
} CkptFile;

struct Checkpoint {
    char *path;
    TensorList list; /* sorted by name */
    CkptFile *files;
    size_t n_files;
};

enum { SHARDS_MAX = 1000 };

/* Maps and reads one more file, whose path it takes over (NULL: out of memory). c->files has room. */
bool ckpt_add_file(Checkpoint *c, char *path, Error *e);

/* Reads the shards that the index file names, and checks each against the other. */
bool index_open(Checkpoint *c, const char *dir, const char *index_path, Error *e);

#endif
