/* ckpt/tensors.h: the list of tensors that the readers of weight files fill. For inside of ckpt/ only,
 * and its tests and fuzzers. */
#ifndef CKPT_TENSORS_H
#define CKPT_TENSORS_H

#include "base/mem.h"
#include "ckpt/ckpt.h"

enum {
    TENSORS_MAX = 100 * 1000, /* of a file, as its reader counts */
    TENSOR_NAME_MAX = 500,    /* bytes */
};

/* Starts as {0}, ends with tensors_free. */
typedef struct TensorList {
    CkptTensor *t;
    size_t n, cap;
    CkptText *text; /* in the memory of names */
    size_t texts, text_cap;
    Arena names;
    Arena copies; /* what lies in no file as it is needed; the data of tensors that are `copied` */
} TensorList;

/* Appends one, whose name is in the list's memory; its key becomes that. `path` begins the message.
 * False: out of memory. */
bool tensors_push(TensorList *list, const CkptTensor *t, const char *path, Error *e);
/* Those from `first` on are all of a file: puts them in order of name. False: ERR_BAD_MODEL, a name is
 * there twice. */
bool tensors_close(TensorList *list, size_t first, const char *path, Error *e);

void tensors_sort(CkptTensor *t, size_t n); /* by key, then by piece */
void tensors_free(TensorList *list);

#endif
