/* ckpt/torch_storage.h: the two layouts of a file of torch.save: what was saved, and the storages, which
 * are the bytes that tensors are views of. For torch.c. */
#ifndef CKPT_TORCH_STORAGE_H
#define CKPT_TORCH_STORAGE_H

#include "ckpt/pickle.h"
#include "ckpt/zip.h"
#include "tensor/dtype.h"

enum { TORCH_KEY_MAX = 64 }; /* bytes of a storage's name */

typedef struct TorchStorage {
    char key[TORCH_KEY_MAX + 1];
    DType dtype;
    bool untyped; /* no more than bytes: the tensor says the type */
    uint64_t bytes;
    const unsigned char *data; /* in the file, aligned to nothing; NULL: not found there */
} TorchStorage;

typedef struct TorchFile {
    const unsigned char *data;
    size_t size;
    const char *path;
    Pickle pickle; /* what was saved */
    Zip zip;       /* since 1.6; else empty */
    const char *folder;
    size_t folder_n;       /* bytes of its name, the "/" included */
    TorchStorage *storage; /* before 1.6: in order of key */
    size_t n, cap;
    Error *e;
} TorchFile;

/* Reads data[0..size), a whole file called `path` in messages; it keeps all three. Errors:
 * ERR_BAD_MODEL, ERR_MEMORY. Ends with torch_close in any case. */
bool torch_open(TorchFile *f, const unsigned char *data, size_t size, const char *path, Error *e);
void torch_close(TorchFile *f);

/* The storage that a persistent value of the pickle names. */
bool torch_find(TorchFile *f, PickleValue v, TorchStorage *s);

/* The type that "torch.NAME" is: a dtype ("float32") or a storage's ("FloatStorage"). */
bool torch_type(const Pickle *p, PickleValue global, DType *t);

#endif
